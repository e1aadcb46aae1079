"""Models in production, in small: the logs of a scenario or of our own, and the real pipeline over them in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.recount.driver import Page, Run
from tests.recount.logs import settings_for
from tidegauge.config.settings import DAY, HOUR, MINUTE, Change, Channel, Model, Objective, Release, Signal
from tidegauge.simulate import Scenario, Traffic

START = 20_000 * DAY  # midnight UTC
DELAY = 12 * MINUTE

FRAUD = Model(
    "fraud",
    "binary",
    (Channel("outcome", "complete", HOUR),),
    slices=("country",),
    signals=(Signal("confidence", "numeric", "confidence", better="higher"),),
    windows=(HOUR, DAY),
    horizon=2 * DAY,
    objectives=(Objective("accuracy", 0.9, "at_least"),),
    release=Release((("accuracy", 0.01),)),
    change=Change(learning=DAY),
)
PRICE = Model(
    "price",
    "regression",
    (Channel("outcome", "complete", HOUR),),
    windows=(HOUR, DAY),
    horizon=2 * DAY,
    change=Change(learning=6 * HOUR),
)


@dataclass(frozen=True)
class Logs:
    """Both logs as (time of the record in ms, line), in order of time."""

    predictions: list[tuple[int, bytes]]
    feedback: list[tuple[int, bytes]]

    def late(self, chance: random.Random, most: int) -> Logs:
        """Every line is written up to `most` ms late, so that lines change places."""

        def mixed(lines: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
            return sorted((time + chance.randrange(most), line) for time, line in lines)

        return Logs(mixed(self.predictions), mixed(self.feedback))


def scenario_logs(scenario: Scenario, *, duration: int, rate: float, seed: int = 5) -> Logs:
    """A scenario's logs, run in less time than it is made for; `rate` in predictions a second."""
    traffic = Traffic(scenario, seed=seed, start=START, duration=duration, rate=rate, delay=DELAY)
    parts = [traffic.step(until) for until in range(START + HOUR, START + duration + HOUR, HOUR)]
    return Logs(*(list(_timed(b"".join(part[side] for part in parts))) for side in (0, 1)))


def _timed(log: bytes) -> Iterator[tuple[int, bytes]]:
    lines = log.splitlines(keepends=True)
    found = [line.partition(b'"timestamp":"')[2].partition(b'"')[0].decode().removesuffix("Z") for line in lines]
    times = np.array(found, "datetime64[ms]").astype(np.int64)
    return zip(times.tolist(), lines, strict=True)


def price_logs(*, hours: float, switch: float, worse: float, users: int = 0, seed: int = 1, rate: float = 0.4) -> Logs:
    """A regression with heavy-tailed errors; v2 gets 30 % of the traffic from hour `switch` on and errs `worse` more."""
    random_ = np.random.default_rng(seed)
    n = int(rate * hours * 3600)
    times = np.sort(START + random_.integers(0, int(hours * HOUR), n))
    second = (times >= START + switch * HOUR) & (random_.random(n) < 0.3)
    errors = random_.lognormal(0, 1.2, n) * np.where(second, 1 + worse, 1.0) * random_.choice([-1, 1], n)
    user = random_.integers(0, max(users, 1), n)
    due = times + random_.exponential(DELAY, n).astype(np.int64)
    predictions, feedback = [], []
    for number, (time, late, then, error, who) in enumerate(
        zip(times.tolist(), second.tolist(), due.tolist(), errors.tolist(), user.tolist(), strict=True)
    ):
        record: dict[str, Any] = {"prediction_id": number, "timestamp": time, "model": "price"}
        record |= {"version": "v2" if late else "v1", "prediction": 100.0, "latency_ms": 10 + error % 5}
        if users:
            record["unit_id"] = f"u{who}"
        predictions.append((time, json.dumps(record).encode() + b"\n"))
        told = {"prediction_id": number, "timestamp": then, "model": "price", "label": 100.0 - error}
        feedback.append((then, json.dumps(told).encode() + b"\n"))
    return Logs(predictions, sorted(feedback))


def production(folder: Path, model: Model) -> Run:
    """The exporter over empty logs; feedback is of the channel "outcome"."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_for(folder, (model,))
    sources = tuple(replace(one, channel="outcome") if one.kind == "feedback" else one for one in settings.sources)
    return Run(replace(settings, sources=sources))


def feed(
    run: Run, logs: Logs, step: int, look: Callable[[int, Page], None] | None = None, *, since: int = 0, until: int = 0
) -> Page:
    """Writes the logs in parts of `step` ms, from ms after the start to ms after it; shows each page to `look`."""
    end = START + until if until else max(logs.predictions[-1][0], logs.feedback[-1][0]) + 1
    page: Page = {}
    for begin in range(START + since, end, step):
        for kind, lines in (("predictions", logs.predictions), ("feedback", logs.feedback)):
            now = min(begin + step, end)
            run.write(kind, b"".join(line for time, line in lines if begin <= time < now))
        run.settle()
        if look is not None:
            page = run.page()
            look(begin + step - START, page)
    return page if look is not None else run.page()


def states(run: Run) -> dict[str, bytes]:
    """What the detectors of releases and changes would save of each stream."""
    (engine,) = run.pipeline.engines.values()
    saved = engine.sealing._save()
    return {
        key: json.dumps(state, sort_keys=True, allow_nan=False).encode()
        for key, state in saved.items()
        if key.startswith(("lifecycle/", "quality/"))
    }


def verdict(page: Page, metric: str = "overall", version: str = "v2") -> str | None:
    """The one verdict of a release that is published as 1."""
    found = [
        row[-1]
        for (name, row), value in page.items()
        if name == "model_release_verdict" and row[1] == version and row[-2] == metric and value
    ]
    assert len(found) <= 1
    return found[0] if found else None


def values(page: Page, family: str, *labels: str) -> list[float]:
    """The values of a family's samples that have all these label values."""
    return [value for (name, row), value in page.items() if name == family and set(labels) <= set(row)]
