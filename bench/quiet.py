"""Months in which nothing goes wrong, through the real exporter: how often does it cry wolf?

Several models, each with several versions asked about once a minute, wrong 5 times in 100 and in the afternoon more
often than at night by 30 %; the last version of each is released after some days, as good as the others. The logs are
fed in parts with `clock: log`, and removed once they have been read. Before each part the conditions of the alerts are
looked at in what the exporter serves. Run as: python -m bench.quiet [--days 90] [--models 10] [--versions 5] ...
"""

from __future__ import annotations

import argparse
import math
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
START: Final = 20_000 * DAY  # midnight UTC
RATE: Final = 0.05  # of wrong answers
CYCLE: Final = 0.3
DELAY: Final = 12 * 60_000  # ms, mean of the feedback's
COUNTRIES: Final = ("DE", "US")
RELEASED: Final = 30  # day on which the last version of each model appears
INTERVAL: Final = 90  # days; at most one false alarm a model in so long is promised
ALPHA: Final = 0.05
KEPT: Final = 3  # parts of the logs that stay on the disk
PATIENCE: Final = 600.0  # seconds for one part
ROOT: Final = Path(__file__).parents[1]

CONFIGURATION: Final = """\
state: state
clock: log
refresh_interval: 1s
poll_interval: 1s
sources:
  - predictions: logs/predictions-*.jsonl
  - feedback: logs/feedback-*.jsonl
    channel: outcome
models:
  - name: "*"
    task: binary
    positive_label: "1"
    slices: [country]
    windows: [24h]
    block: {block}
    feedback:
      outcome: {{kind: complete, maturity: 2h, no_feedback: missing}}
    objectives: {{accuracy: 0.9}}
"""


class Quiet:
    """The logs, part by part."""

    def __init__(self, *, models: int, versions: int, rate: float, seed: int, released: float = RELEASED) -> None:
        """`rate`: predictions a minute of each version; `released`: day on which the last version begins."""
        self.names = [f"model-{number + 1:02d}" for number in range(models)]
        self.versions = versions
        self.written = 0
        self._rate, self._released = rate, released
        self._random = np.random.default_rng(seed)
        self._due: list[tuple[np.ndarray, list[str]]] = []
        self._count = 0
        self.now = START

    def step(self, until: int) -> tuple[bytes, bytes]:
        """Lines of both logs between the last step and `until` (ms), in order of time."""
        random = self._random
        streams = len(self.names) * self.versions
        n = int(random.poisson(streams * self._rate * (1 + CYCLE) * (until - self.now) / 60_000))
        at = np.sort(random.integers(self.now, until, n))
        swing = 1 + CYCLE * np.cos(2 * np.pi * (at / DAY - 15 / 24))
        stream = random.integers(0, streams, n)
        model, version = np.divmod(stream, self.versions)
        before = (version == self.versions - 1) & (at < START + self._released * DAY) & (self.versions > 1)
        kept = (random.random(n) * (1 + CYCLE) < swing) & ~before
        at, swing, model, version = at[kept], swing[kept], model[kept], version[kept]
        n = len(at)
        said = random.integers(0, 2, n)
        label = np.where(random.random(n) < RATE * swing, 1 - said, said)
        country = random.integers(0, len(COUNTRIES), n)
        numbers = range(self._count, self._count + n)
        self._count += n
        columns = (at.tolist(), model.tolist(), version.tolist(), said.tolist(), country.tolist())
        predictions = [
            f'{{"prediction_id":{number},"timestamp":{time},"model":"{self.names[m]}","version":"v{v + 1}",'
            f'"prediction":{answer},"latency_ms":12,"slices":{{"country":"{COUNTRIES[c]}"}}}}\n'
            for number, time, m, v, answer, c in zip(numbers, *columns, strict=True)
        ]
        due = at + random.exponential(DELAY, n).astype(np.int64)
        told = [
            f'{{"prediction_id":{number},"timestamp":{time},"model":"{self.names[m]}","label":{truth}}}\n'
            for number, time, m, truth in zip(numbers, due.tolist(), model.tolist(), label.tolist(), strict=True)
        ]
        feedback = self._ripe(due, told, until)
        self.now = until
        self.written += len(predictions) + len(feedback)
        return "".join(predictions).encode(), "".join(feedback).encode()

    def _ripe(self, due: np.ndarray, lines: list[str], until: int) -> list[str]:
        """What has become known by `until`, in order."""
        for times, waiting in self._due:
            due, lines = np.concatenate([due, times]), lines + waiting
        order = np.argsort(due, kind="stable")
        ripe = int(np.searchsorted(due[order], until))
        later = order[ripe:]
        self._due = [(due[later], [lines[place] for place in later.tolist()])]
        return [lines[place] for place in order[:ripe].tolist()]


@dataclass
class Alarms:
    """What would have paged, by alert; the same alarm twice in a row is one."""

    found: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    streams: int = 0
    sliced: int = 0
    releases: set[tuple[str, ...]] = field(default_factory=set)
    promoted: set[tuple[str, ...]] = field(default_factory=set)
    _on: set[tuple[str, ...]] = field(default_factory=set)
    _detections: dict[tuple[str, ...], float] = field(default_factory=dict)

    def look(self, samples: list[tuple[str, dict[str, str], float]], day: float) -> None:
        """At one scrape: (family, labels, value)."""
        now = set()
        watched, sliced = set(), set()
        for name, labels, value in samples:
            key = (name, *labels.values())
            match name:
                case "model_change_detections_total":
                    more = value - self._detections.get(key, 0.0)
                    assert more >= 0, f"{key} fell"
                    self._detections[key] = value
                    self._raise("ModelDegrading", key, day, int(more))
                case "model_slice_change_detected":
                    sliced.add(key)
                    if value:
                        now.add(("ModelSliceDegrading", *key))
                case "model_change_state" if labels["state"] == "watching" and value:
                    watched.add(key)
                case "model_release_verdict" if labels["metric"] == "overall":
                    release = (labels["model"], labels["version"])
                    self.releases.add(release)
                    if labels["verdict"] == "roll_back" and value:
                        now.add(("ModelReleaseRegressed", *release))
                    if labels["verdict"] == "promote" and value:
                        self.promoted.add(release)
                case "model_objective_breach_timestamp_seconds":
                    now.add(("ModelObjectiveBreachForecast", *key))
        for alert, *key in sorted(now - self._on):
            self._raise(alert, tuple(key), day, 1)
        self._on = now
        self.streams, self.sliced = max(self.streams, len(watched)), max(self.sliced, len(sliced))

    def _raise(self, alert: str, key: tuple[str, ...], day: float, times: int) -> None:
        if times:
            self.found[alert] += times
            self.lines.append(f"day {day:g}: {alert} {' '.join(key)}")


def poisson_tail(count: int, mean: float) -> float:
    """Probability of so many or more."""
    return 1 - math.fsum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(count))


def report(alarms: Alarms, *, days: float, models: int) -> tuple[list[str], bool]:
    """Lines of a Markdown table, and whether what was promised was kept (at 1 %, as a rate is not a number)."""
    promised = models * days / INTERVAL
    rows = [
        ("ModelDegrading", f"{promised:.3g} at most, one a model in {INTERVAL} days", promised),
        ("ModelSliceDegrading", f"{promised:.3g} at most, the same of its slices", promised),
        ("ModelReleaseRegressed", f"{len(alarms.releases) * ALPHA:.3g} at most", len(alarms.releases) * ALPHA),
        ("ModelObjectiveBreachForecast", "no promise: 1 % of the days with a trend", math.inf),
    ]
    lines, kept = ["| alert | fired | promised |", "|---|---|---|"], True
    for alert, text, promise in rows:
        lines.append(f"| {alert} | {alarms.found[alert]} | {text} |")
        kept &= promise == math.inf or poisson_tail(alarms.found[alert], promise) >= 0.01
    lines.append("")
    lines.append(
        f"{alarms.streams} streams of versions and {alarms.sliced} of slices watched at most; "
        f"{len(alarms.promoted)} of {len(alarms.releases)} harmless releases promoted."
    )
    return lines, kept


class Exporter:
    """The real process over a directory."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self._port = taken.getsockname()[1]
        arguments = [
            "--config.file",
            str(directory / "tidegauge.yml"),
            "--web.listen-address",
            f"127.0.0.1:{self._port}",
        ]
        self._log = (directory / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tidegauge", "run", *arguments], stdout=self._log, stderr=self._log, cwd=ROOT
        )

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """The page; empty while the exporter does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
                page = answer.read().decode()
        except OSError:
            return []
        return [
            (one.name, one.labels, one.value)
            for family in text_string_to_metric_families(page)
            for one in family.samples
        ]

    def after(self, records: int) -> list[tuple[str, dict[str, str], float]]:
        """The page once so many records have been read. Raises TimeoutError, or RuntimeError if the process is gone."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the exporter ended with {self._process.returncode}")
            found = self.samples()
            if sum(value for name, _, value in found if name == "tidegauge_records_total") >= records:
                return found
            time.sleep(0.5)
        raise TimeoutError(f"{records} records were not read in {PATIENCE:g} s")

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait(60)
        self._log.close()


def parts(until: int, step: int) -> Iterator[int]:
    """Ends of the parts."""
    yield from range(START + step, until, step)
    yield until


def run(directory: Path, *, days: int, step: int, models: int, versions: int, block: str, seed: int) -> Alarms:
    """All of it in a directory of its own."""
    logs = directory / "logs"
    logs.mkdir()
    (directory / "tidegauge.yml").write_text(CONFIGURATION.format(block=block))
    quiet = Quiet(models=models, versions=versions, rate=1.0, seed=seed)
    alarms = Alarms()
    exporter = Exporter(directory)
    try:
        written: list[list[Path]] = []
        for number, until in enumerate(parts(START + days * DAY, step)):
            files = [logs / f"{kind}-{number:06d}.jsonl" for kind in ("predictions", "feedback")]
            for path, data in zip(files, quiet.step(until), strict=True):
                path.with_suffix(".part").write_bytes(data)
                path.with_suffix(".part").rename(path)
            written.append(files)
            samples = exporter.after(quiet.written)
            alarms.look(samples, (until - START) / DAY)
            for path in written.pop(0) if len(written) > KEPT else []:
                path.unlink()
            if (until - START) % (10 * DAY) == 0:
                print(f"day {(until - START) // DAY}: {dict(alarms.found)}", file=sys.stderr, flush=True)
    finally:
        exporter.close()
    return alarms


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--versions", type=int, default=5)
    parser.add_argument("--hours", type=int, default=12, help="of the logs, fed at a time")
    parser.add_argument("--block", default="5m")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        alarms = run(
            Path(directory),
            days=chosen.days,
            step=chosen.hours * HOUR,
            models=chosen.models,
            versions=chosen.versions,
            block=chosen.block,
            seed=chosen.seed,
        )
    lines, kept = report(alarms, days=chosen.days, models=chosen.models)
    print(f"{chosen.days} days of {chosen.models} models with {chosen.versions} versions, blocks of {chosen.block}:\n")
    print("\n".join([*alarms.lines, "", *lines]))
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
