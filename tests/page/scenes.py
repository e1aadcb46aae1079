"""Log directories that bring a real exporter into the states that its page must explain.

Traffic is simulated with fixed seeds and ends now: the exporter runs by the wall clock.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.logs import EVERY_KIND, EVERY_SOURCE, write_every_kind
from tests.end_to_end.logs import configuration as every_configuration
from tests.page.drift_scenes import drifting

MINUTE = 60_000
HOUR = 60 * MINUTE
COUNTRIES = ("US", "DE", "BR", "JP", "NZ")
MATURITY = 10 * MINUTE
LINKS = """\
links:
  dashboard: "https://grafana.example/d/quality?var-model={model}&var-version={version}"
  runbook: https://runbooks.example/tidegauge/{alert}.html
"""


@dataclass(frozen=True, slots=True)
class Version:
    """How one version of a model is, for the last `hours`."""

    name: str
    accuracy: float
    predictions: int = 3000
    hours: float = 24.0
    until: float = 0.0  # hours before now at which its traffic ends
    worst: float = 0.0  # by how much it is worse in the last country
    unlabeled_hours: float = 0.0  # whose predictions get no feedback
    slipping: float = 0.0  # by how much it has become worse at the end, linearly over the last half


def model_section(name: str, *, objective: float | None = 0.9, owner: str = "payments", minimum: int = 30) -> str:
    """A model's part of the configuration."""
    lines = [
        f"  - name: {json.dumps(name)}",
        f"    owner: {json.dumps(owner)}",
        "    task: binary",
        "    feedback: {outcome: {maturity: 10m}}",
        "    slices: [country]",
        "    windows: [1h, 24h]",
        "    horizon: 48h",
        f"    minimum_samples: {minimum}",
    ]
    if objective is not None:
        lines.append(f"    objectives: {{accuracy: {objective}}}")
    return "\n".join(lines) + "\n"


def configuration(models: Sequence[str], *, sources: str = "", more: str = LINKS) -> str:
    """A configuration of these models' sections; `sources` is added to the two usual logs."""
    usual = "  - predictions: predictions.jsonl\n  - {feedback: feedback.jsonl, channel: outcome}\n"
    head = f"state: state\nrefresh_interval: 500ms\npoll_interval: 100ms\n{more}"
    return f"{head}sources:\n{usual}{sources}models:\n{''.join(models)}"


def write(directory: Path, text: str, models: Sequence[tuple[str, Sequence[Version]]], *, seed: int = 1) -> Path:
    """Writes the configuration and the logs of these models; the configuration's path."""
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    now = int(time.time() * 1000)
    predictions: list[tuple[int, str]] = []
    feedback: list[tuple[int, str]] = []
    for number, (model, versions) in enumerate(models):
        for place, version in enumerate(versions):
            _write_version(chance, now, f"{number}-{place}", model, version, predictions, feedback)
    for name, lines in (("predictions", predictions), ("feedback", feedback)):
        (directory / f"{name}.jsonl").write_text("".join(line for _, line in sorted(lines)), encoding="utf-8")
    config = directory / "tidegauge.yml"
    config.write_text(text, encoding="utf-8")
    return config


def _write_version(
    chance: random.Random,
    now: int,
    key: str,
    model: str,
    version: Version,
    predictions: list[tuple[int, str]],
    feedback: list[tuple[int, str]],
) -> None:
    length = version.hours * HOUR
    for number in range(version.predictions):
        share = number / version.predictions
        at = int(now - (version.hours + version.until) * HOUR + share * length)
        country = chance.choices(COUNTRIES, (8, 5, 4, 2, 1))[0]
        answer = chance.choice("01")
        score = chance.uniform(0.5, 1) if answer == "1" else chance.uniform(0, 0.5)
        right = version.accuracy - version.slipping * max(0.0, 2 * share - 1)
        right -= version.worst if country == COUNTRIES[-1] else 0.0
        label = answer if chance.random() < right else str(1 - int(answer))
        record = {
            "prediction_id": f"{key}-{number}",
            "timestamp": at,
            "model": model,
            "version": version.name,
            "prediction": answer,
            "score": round(score, 4),
            "slices": {"country": country},
            "latency_ms": round(chance.expovariate(0.05), 2),
        }
        if chance.random() < 0.004:
            record["error"] = "timeout"
        predictions.append((at, json.dumps(record, separators=(",", ":")) + "\n"))
        due = at + int(chance.expovariate(1 / (2 * MINUTE)))
        if chance.random() < 0.93 and due < now and at < now - version.unlabeled_hours * HOUR:
            line = {"prediction_id": f"{key}-{number}", "timestamp": due, "model": model, "label": label}
            feedback.append((due, json.dumps(line, separators=(",", ":")) + "\n"))


HEALTHY = (Version("2026-11-20", 0.94), Version("2026-11-22", 0.95, hours=9, predictions=1500))
"""Two versions that meet an objective of 0.9."""
HOSTILE_NAMES = (
    '<script>document.title="owned"</script>',
    "\"><img src=x onerror=alert(1)>'",
    "safe\u202egnp.exe\u2066 \u200b\x07",
    "x" * 10_240,
    "a\u0301" + "\u0301" * 200,
)


def healthy(directory: Path) -> Path:
    return write(directory, configuration([model_section("fraud")]), [("fraud", HEALTHY)])


def missed(directory: Path) -> Path:
    """One version surely misses its objective, one slice is much worse, one canary is too young, one model idles."""
    versions = (
        Version("v1", 0.955, predictions=3000),
        Version("v2", 0.93, hours=6, predictions=2000, slipping=0.12, worst=0.2),
        Version("v3-canary", 0.9, hours=0.1, predictions=80),
    )
    text = configuration(
        [model_section("fraud", objective=0.94), model_section("search", owner="discovery"), model_section("old")]
    )
    more = ("search", (Version("a", 0.905, predictions=500),)), ("old", (Version("9", 0.9, until=30, predictions=100),))
    return write(directory, text, [("fraud", versions), *more])


def silent(directory: Path) -> Path:
    """Labels stopped coming four hours ago: for three of them that is known, less a pane."""
    return write(
        directory,
        configuration([model_section("fraud")]),
        [("fraud", (Version("v1", 0.94, unlabeled_hours=4.0, predictions=2000),))],
    )


def broken(directory: Path) -> Path:
    """Globs that match nothing, a directory that is not there, and lines that are refused."""
    more = "  - predictions: nowhere/*.jsonl\n  - {feedback: labels-*.jsonl, channel: outcome}\n"
    config = write(directory, configuration([model_section("fraud")], sources=more), [("fraud", HEALTHY)])
    spoil(directory)
    return config


def spoil(directory: Path) -> None:
    """Adds lines that are refused for several reasons."""
    with (directory / "predictions.jsonl").open("a") as file:
        file.write("not json\n" * 40 + '{"prediction_id": 1}\n' * 7)
        file.write('{"prediction_id":"f","timestamp":"2099-01-01T00:00:00Z","version":"v1","prediction":"1"}\n' * 3)
    with (directory / "feedback.jsonl").open("a") as file:
        file.write('{"prediction_id":"f","timestamp":1,"label":"1","channel":"<b>nobody</b>"}\n' * 5)


def hostile(directory: Path) -> Path:
    """Models, versions and slices whose names attack whoever shows them."""
    versions = tuple(Version(name, 0.95, predictions=80, hours=3) for name in HOSTILE_NAMES)
    star = model_section("*")
    names = ("fraud", HOSTILE_NAMES[1])
    return write(directory, configuration([model_section("fraud"), star]), [(name, versions) for name in names])


def many(directory: Path, *, models: int = 10) -> Path:
    """The size of the bar: ten models with three versions each, slices and two windows."""
    names = [f"model-{number:02}" for number in range(models)]
    text = configuration([model_section(name, owner=f"team-{number % 3}") for number, name in enumerate(names)])
    versions = [
        (
            Version("v1", 0.93, predictions=500),
            Version("v2", 0.95 - 0.012 * number, predictions=500, worst=0.1),
            Version("v3", 0.91, predictions=200, hours=2),
        )
        for number in range(models)
    ]
    return write(directory, text, list(zip(names, versions, strict=True)))


def every_kind(directory: Path) -> Path:
    """A model of every task, channels of every kind, by the clock of the logs."""
    directory.mkdir(parents=True, exist_ok=True)
    write_every_kind(directory)
    config = directory / "tidegauge.yml"
    config.write_text(every_configuration(*EVERY_KIND, sources=EVERY_SOURCE), encoding="utf-8")
    return config


def released(directory: Path) -> Path:
    """A version that has become worse after it was learned, and a new one that is worse still."""
    section = model_section("fraud") + "    change: {learning: 6h}\n    release: {margins: {accuracy: 0.02}}\n"
    versions = (
        Version("v1", 0.96, predictions=9000, hours=30, slipping=0.3),
        Version("v2", 0.6, predictions=1500, hours=6),
    )
    return write(directory, configuration([section]), [("fraud", versions)])


SCENES = {
    "released": released,
    "every_kind": every_kind,
    "healthy": healthy,
    "missed": missed,
    "silent": silent,
    "broken": broken,
    "hostile": hostile,
    "many": many,
    "drifting": drifting,
}
