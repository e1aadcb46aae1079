"""Logs of a model that watches features of each plain kind, the exporter over them, and a plain recount of them."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.pipeline.production import START
from tests.recount.driver import Page, Run
from tests.recount.logs import settings_for
from tidegauge.config.settings import DAY, HOUR, MINUTE, Channel, Drift, Feature, Model, Release
from tidegauge.reference.value import Reference
from tidegauge.tally.features.schema import Bins, NumericBins, Schema

Record = dict[str, Any]
Lines = list[tuple[int, bytes]]  # time at which the line is written in ms, line
Change = Callable[[Record, float], None]

WINDOW = 12 * HOUR
MOVED = 30.0  # hours after the start at which something happens
END = 44.0
RATE = 200  # predictions an hour
DELAY = 12 * MINUTE

SHOP = Model(
    "shop",
    "binary",
    (Channel("outcome", "complete", HOUR),),
    features=(
        Feature("amount", "numeric"),
        Feature("items", "numeric"),
        Feature("country", "categorical"),
        Feature("member", "boolean"),
        Feature("note", "text_length"),
    ),
    windows=(HOUR, WINDOW),
    horizon=DAY,
    release=Release(),
    drift=Drift(windows=(WINDOW,), references=("training", "previous_version", "first"), learning=500, first=2000),
)
PRICE = replace(SHOP, name="price", task="regression")

COUNTRIES = ("de", "fr", "es", "it", "nl")
SHARES = (0.4, 0.3, 0.15, 0.1, 0.05)


def records(
    seed: int,
    *,
    hours: float = END,
    rate: float = RATE,
    change: Change | None = None,
    positive: tuple[float, float] = (0.2, 0.2),
    shift: float = 0.0,
    messy: bool = False,
    users: int = 0,
    model: Model = SHOP,
    since: int = START,
) -> tuple[list[Record], list[Record]]:
    """(predictions, feedback). From MOVED on, labels have the second share of positives, or are `shift` larger.

    `change` may do something to each prediction; it is told its hour. With `messy`, some values are of all conditions.
    """
    random = np.random.default_rng(seed)
    n = int(rate * hours)
    times = np.sort(since + random.integers(0, int(hours * HOUR), n))
    hour = (times - since) / HOUR
    amount = random.lognormal(3, 1, n).round(4).tolist()
    items = (1 + random.poisson(2, n)).tolist()
    country = random.choice(COUNTRIES, n, p=SHARES).tolist()
    member = (random.random(n) < 0.3).tolist()
    note = random.integers(0, 60, n).tolist()
    score = random.random(n).round(5).tolist()
    user = random.integers(0, max(users, 1), n).tolist()
    late = hour >= MOVED
    flipped = (random.random(n) < np.where(late, positive[1], positive[0])).astype(int).tolist()
    number = (random.normal(100, 10, n) + np.where(late, shift, 0.0)).round(3).tolist()
    odd = random.random(n).tolist()
    strange = random.integers(0, len(STRANGE), n).tolist()
    names = list(FEATURES)
    predictions, feedback = [], []
    for row in range(n):
        features: Record = dict(
            zip(names, (amount[row], items[row], country[row], member[row], "x" * note[row]), strict=True)
        )
        if messy and odd[row] < 0.08:
            name = names[row % len(names)]
            features[name] = STRANGE[strange[row]]
            if features[name] == "absent":
                del features[name]
        record: Record = {"prediction_id": row, "timestamp": int(times[row]), "model": model.name, "version": "v1"}
        record |= {"score": score[row]} if model.task == "binary" else {"prediction": number[row]}
        record["features"] = features
        if users:
            record["unit_id"] = f"u{user[row]}"
        if change is not None:
            change(record, float(hour[row]))
        predictions.append(record)
        label = flipped[row] if model.task == "binary" else number[row]
        told = {"prediction_id": row, "timestamp": int(times[row]) + DELAY, "model": model.name, "label": label}
        feedback.append(told)
    return predictions, feedback


FEATURES = ("amount", "items", "country", "member", "note")
STRANGE: tuple[Any, ...] = (None, "absent", "new", [1], math.nan, math.inf, -1e9, 1e9, True, 7)


def lines(found: Iterable[Record]) -> Lines:
    """Records as they are written, each at its own time."""
    return [(one["timestamp"], json.dumps(one).encode() + b"\n") for one in found]


@contextmanager
def running(folder: Path, model: Model = SHOP, references: Mapping[str, Reference] | None = None) -> Iterator[Run]:
    """The exporter over empty logs."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_for(folder, (model,))
    sources = tuple(replace(one, channel="outcome") if one.kind == "feedback" else one for one in settings.sources)
    run = Run(replace(settings, sources=sources), references)
    try:
        yield run
    finally:
        run.close()


def write(
    run: Run,
    predictions: Lines,
    feedback: Sequence[tuple[int, bytes]] = (),
    *,
    since: float = 0,
    until: float = END,
    step: float = 4,
) -> None:
    """The lines from one hour after the start to another, read in parts of `step` hours."""
    begin = START + int(since * HOUR)
    last = START + int(until * HOUR)
    while begin < last:
        end = min(begin + int(step * HOUR), last)
        run.write("predictions", b"".join(line for time, line in predictions if begin <= time < end))
        run.write("feedback", b"".join(line for time, line in feedback if begin <= time < end))
        run.settle()
        begin = end


def page_of(
    folder: Path,
    made: tuple[Sequence[Record], Sequence[Record]],
    model: Model = SHOP,
    references: Mapping[str, Reference] | None = None,
    until: float = END,
) -> Page:
    """What is published at the end."""
    with running(folder, model, references) as run:
        write(run, lines(made[0]), lines(made[1]), until=until)
        return run.page()


# --- what is published ------------------------------------------------------------------------------------------------


def shown(page: Page, family: str, version: str = "v1", *labels: str) -> dict[str, float]:
    """A family's values of a version, by feature; of samples that have all these labels."""
    return {
        row[2]: value
        for (name, row), value in page.items()
        if name == family and row[1] == version and set(labels) <= set(row)
    }


def moved(page: Page, reference: str = "first", version: str = "v1") -> set[str]:
    """The features that are said to have moved."""
    return {name for name, value in shown(page, "model_drift_detected", version, reference).items() if value == 1}


def states(page: Page, version: str = "v1") -> dict[str, str]:
    """The state of each feature."""
    return {
        row[2]: row[4]
        for (name, row), value in page.items()
        if name == "model_feature_state" and row[1] == version and value == 1
    }


def counted(page: Page, version: str = "v1") -> dict[tuple[str, str, str], float]:
    """Every count of features: ("bin" or "condition", feature, its name)."""
    found = {}
    for (name, row), value in page.items():
        if name == "model_feature_bin_records" and row[1] == version:
            found["bin", row[2], row[3]] = value
        if name == "model_feature_records" and row[1] == version:
            found["condition", row[2], row[4]] = value
    return found


# --- the recount ------------------------------------------------------------------------------------------------------


def recounted(schema: Schema, found: Iterable[Record], labels: bool = False) -> dict[tuple[str, str, str], float]:
    """The same as `counted`, one record after the other; numbers by their edges and categories by their texts."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for bins, names in zip(schema.features, schema.bin_names, strict=True):
        for name in names:
            counts["bin", bins.name, name] = 0
        for condition in ("valid", "missing", "unseen", "out_of_range", "invalid", "non_finite"):
            counts["condition", bins.name, condition] = 0
    for record in found:
        for bins, names in zip(schema.features, schema.bin_names, strict=True):
            value = record.get("label") if labels else _value(record, bins.name)
            condition, place = _placed(bins, value)
            counts["condition", bins.name, condition] += 1
            if condition == "out_of_range":
                counts["condition", bins.name, "valid"] += 1
            counts["bin", bins.name, names[place]] += 1
    return {key: float(value) for key, value in counts.items()}


ABSENT = object()


def _value(record: Record, name: str) -> Any:
    if name == "@score":
        return record["score"]
    if name == "@prediction":
        return str(int(record["score"] >= 0.5)) if "score" in record else record["prediction"]
    value = record.get("features", {}).get(name, ABSENT)
    if value is None or value is ABSENT:
        return ABSENT
    if name == "note":
        return len(value) if isinstance(value, str) else [value]
    if name == "member":
        return (
            {True: "true", False: "false", "true": "true", "false": "false"}.get(value, [value])
            if not isinstance(value, list)
            else value
        )
    if name == "country":
        if isinstance(value, float):
            return [value] if not math.isfinite(value) else f"{value:.0f}"
        return value if isinstance(value, str | list) else str(value).lower()
    return [value] if isinstance(value, bool | str) else value


def _placed(bins: Bins, value: Any) -> tuple[str, int]:
    """(condition, place among the compared bins); a list is a value of the wrong type."""
    none = -1
    if value is ABSENT:
        return "missing", none
    if isinstance(value, list):
        return "invalid", none
    if isinstance(bins, NumericBins):
        if not math.isfinite(value):
            return "non_finite", none
        low, *_, high = bins.edges
        condition = "valid" if low <= value <= high else "out_of_range"
        if bins.inner == 1:
            return condition, 0 if value < low else 1 if value <= high else 2
        return condition, min(max(bisect_right(bins.edges, value) - 1, 0), bins.inner - 1)
    assert not bins.hashed
    if str(value) in bins.values:
        return "valid", bins.values.index(str(value))
    return "unseen", len(bins.values)
