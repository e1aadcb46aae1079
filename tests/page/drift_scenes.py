"""One exporter with a model for each thing that can be said of drift and of data quality."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUR = 3_600_000
MANY = 50
ATTACK = "<img src=x onerror=alert(1)>"
"""A feature whose name attacks the page."""

Features = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traffic:
    """A model of this scene: how its features and scores are, in the reference and in the last 20 hours."""

    name: str
    features: Mapping[str, str]
    before: Callable[[random.Random], Features]
    now: Callable[[random.Random], Features]
    score: float = 0.0  # by how much scores have moved
    labelled: bool = True
    referenced: bool = True
    multivariate: bool = False
    predictions: int = 2000


def ordinary(chance: random.Random) -> Features:
    return {
        "amount": round(chance.gauss(100, 20), 2),
        "age": chance.randint(18, 80),
        "country": chance.choices(("US", "DE", "BR"), (6, 3, 1))[0],
    }


def larger(chance: random.Random) -> Features:
    return ordinary(chance) | {"amount": round(chance.gauss(115, 20), 2)}


def dead(chance: random.Random) -> Features:
    """One is renamed, one has become text, one is always the same."""
    found = ordinary(chance)
    return {"amnt": found["amount"], "age": str(found["age"]), "country": "US"}


def gappy(chance: random.Random) -> Features:
    found = ordinary(chance)
    return found if chance.random() < 0.9 else found | {"age": None}


def crowd(chance: random.Random) -> Features:
    return {f"f{number:02}": round(chance.gauss(0, 1), 3) for number in range(MANY - 1)} | {ATTACK: chance.choice("ab")}


def moved_crowd(chance: random.Random) -> Features:
    found = crowd(chance)
    for number in range(20):
        found[f"f{number:02}"] = round(found[f"f{number:02}"] + 1.5 - number / 20, 3)
    return found | {ATTACK: chance.choice("aaab")}


KINDS = {"amount": "numeric", "age": "numeric", "country": "categorical"}
CROWD = {f"f{number:02}": "numeric" for number in range(MANY - 1)} | {ATTACK: "categorical"}
CROWDED = Traffic("crowd", CROWD, crowd, moved_crowd, predictions=1500)
MODELS = (
    Traffic("still", KINDS, ordinary, ordinary, multivariate=True),
    Traffic("one-input", KINDS, ordinary, larger),
    Traffic("score", KINDS, ordinary, ordinary, score=0.15, labelled=False),
    Traffic("dead", KINDS, ordinary, dead),
    Traffic("gaps", KINDS, ordinary, gappy),
    CROWDED,
    Traffic("young", KINDS, ordinary, ordinary, referenced=False, predictions=300),
)


def drifting(directory: Path, models: tuple[Traffic, ...] = MODELS) -> Path:
    """Writes configuration, references and logs."""
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)
    now = int(time.time() * 1000)
    predictions: list[tuple[int, str]] = []
    feedback: list[tuple[int, str]] = []
    for model in models:
        if model.referenced:
            rows = (_record(chance, model, model.before(chance), 0.0) for _ in range(4000))
            (directory / f"{model.name}.jsonl").write_text("".join(map(_line, rows)), encoding="utf-8")
        for number in range(model.predictions):
            at = int(now - 20 * HOUR + 20 * HOUR * number / model.predictions)
            record = _record(chance, model, model.now(chance), model.score)
            name = {"prediction_id": f"{model.name}-{number}", "timestamp": at, "model": model.name}
            predictions.append((at, _line(name | {"version": "v1"} | record)))
            label = str(record["prediction"])
            if chance.random() >= 0.95:
                label = str(1 - int(label))
            if model.labelled and at + 60_000 < now:
                feedback.append((at + 60_000, _line(name | {"timestamp": at + 60_000, "label": label})))
    for kind, lines in (("predictions", predictions), ("feedback", feedback)):
        (directory / f"{kind}.log").write_text("".join(line for _, line in sorted(lines)), encoding="utf-8")
    config = directory / "tidegauge.yml"
    config.write_text(_configuration(models), encoding="utf-8")
    return config


def _record(chance: random.Random, model: Traffic, features: Features, moved: float) -> dict[str, Any]:
    score = min(1.0, max(0.0, chance.betavariate(2, 4) + moved))
    return {"prediction": str(int(score >= 0.5)), "score": round(score, 4), "features": features}


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


def _configuration(models: tuple[Traffic, ...]) -> str:
    parts = [
        "state: state\nrefresh_interval: 500ms\npoll_interval: 100ms\n"
        "links: {runbook: 'https://runbooks.example/tidegauge/{alert}.html'}\n"
        "sources:\n  - predictions: predictions.log\n  - {feedback: feedback.log, channel: outcome}\nmodels:\n"
    ]
    for model in models:
        parts.append(
            f"  - name: {model.name}\n    task: binary\n    feedback: {{outcome: {{maturity: 10m}}}}\n"
            f"    windows: [1h, 24h]\n    objectives: {{accuracy: 0.9}}\n    features: {json.dumps(model.features)}\n"
        )
        if model.multivariate:
            parts.append("    drift: {multivariate: true}\n")
        if model.referenced:
            parts.append(f"    reference: {model.name}.jsonl\n")
    return "".join(parts)
