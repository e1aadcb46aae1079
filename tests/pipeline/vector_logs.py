"""Logs of a model that has two numbers and two embeddings, and the exporter over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.pipeline.production import START
from tests.recount.driver import Page, Run
from tests.recount.logs import settings_for
from tidegauge.config.settings import DAY, HOUR, Channel, Drift, Feature, Model, Release
from tidegauge.reference.value import Reference

WINDOW = 12 * HOUR
CHANGE = 30 * HOUR  # after the start
END = CHANGE + WINDOW + 2 * HOUR
RATE = 250  # predictions an hour

Lines = list[tuple[int, bytes]]  # time of the record in ms, line
Record = dict[str, Any]

MODEL = Model(
    "shop",
    "binary",
    (Channel("outcome", "complete", HOUR),),
    windows=(HOUR, WINDOW),
    horizon=DAY,
    features=(
        Feature("left", "numeric"),
        Feature("right", "numeric"),
        Feature("text", "embedding"),
        Feature("image", "embedding"),
    ),
    release=Release(),
    drift=Drift(
        windows=(WINDOW,),
        references=("training", "previous_version", "first"),
        learning=500,
        first=2000,
        multivariate=True,
    ),
)


def records(
    seed: int,
    *,
    text: float = 0.0,
    correlation: float = 0.8,
    hours: float = END / HOUR,
    users: int = 0,
    change: Callable[[Record, bool], None] | None = None,
) -> list[Record]:
    """From CHANGE on, `text` moves by so many standard deviations and the two numbers have another correlation.

    Each number alone is standard normal all the time. With `users`, the text of each is always the same. `change` may
    do something to each record; it is told whether CHANGE has come.
    """
    random = np.random.default_rng(seed)
    n = int(RATE * hours)
    times = np.sort(START + random.integers(0, int(hours * HOUR), n))
    late = times >= START + CHANGE
    left, other = random.normal(size=(2, n))
    together = np.where(late, correlation, 0.8)
    right = together * left + np.sqrt(1 - together**2) * other
    user = random.integers(0, max(users, 1), n)
    texts, images = random.normal(size=(2, n, 6))
    if users:
        texts = random.normal(size=(users, 6))[user]
    texts[late] += text / np.sqrt(6)
    scores = random.random(n)
    found = []
    for row in range(n):
        features = {"left": float(left[row]), "right": float(right[row])}
        vectors = {"text": texts[row].round(6).tolist(), "image": images[row].round(6).tolist()}
        record: Record = {"prediction_id": row, "timestamp": int(times[row]), "model": "shop", "version": "v1"}
        record |= {"score": float(scores[row]), "features": features | vectors}
        if users:
            record["unit_id"] = f"u{user[row]}"
        if change is not None:
            change(record, bool(late[row]))
        found.append(record)
    return found


def lines(seed: int, **changes: Any) -> Lines:
    """The same as they are written."""
    return [(one["timestamp"], json.dumps(one).encode() + b"\n") for one in records(seed, **changes)]


def write(run: Run, written: Lines, until: int = END, since: int = 0, step: int = 6 * HOUR) -> None:
    """The records from ms after the start to ms after it, read in parts of `step` ms."""
    for begin in range(START + since, START + until, step):
        end = min(begin + step, START + until)
        run.write("predictions", b"".join(line for time, line in written if begin <= time < end))
        run.settle()


def shop(folder: Path, model: Model = MODEL, references: Mapping[str, Reference] | None = None) -> Run:
    """The exporter over empty logs."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_for(folder, (model,))
    sources = tuple(replace(one, channel="outcome") if one.kind == "feedback" else one for one in settings.sources)
    return Run(replace(settings, sources=sources), references)


def shown(page: Page, family: str, version: str = "v1", **labels: str) -> dict[str, float]:
    """A drift family's values of one version, by feature; of labels that are in any place of the row."""
    return {
        row[2]: value
        for (name, row), value in page.items()
        if name == family and row[1] == version and set(labels.values()) <= set(row)
    }


def moved(page: Page, reference: str = "first", version: str = "v1") -> set[str]:
    """The features of a version that are said to have moved."""
    found = shown(page, "model_drift_detected", version, reference=reference)
    return {name for name, value in found.items() if value == 1.0}


def states(page: Page, version: str = "v1") -> dict[str, str]:
    """The state of each feature."""
    return {
        row[2]: row[4]
        for (name, row), value in page.items()
        if name == "model_feature_state" and row[1] == version and value == 1.0
    }
