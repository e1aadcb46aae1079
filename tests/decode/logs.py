"""What the tests of decoding share: a configuration, and blocks turned back into plain rows."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tidegauge.config.settings import Channel, Feature, Model, Settings, Signal, Source
from tidegauge.config.watched import categorical_names, embedding_names, numeric_names
from tidegauge.decode import Categorical, FeedbackColumns, FeedbackDecoder, PredictionColumns, PredictionDecoder
from tidegauge.join.rows import (
    INVALID_CODE,
    INVALID_NUMBER,
    INVALID_VECTOR,
    MISSING_CODE,
    MISSING_VECTOR,
    NON_FINITE_VECTOR,
)

PREDICTIONS = Source("predictions", "predictions", "/logs/*")
FEEDBACK = Source("feedback", "feedback", "/logs/*")
FRAUD = Model(
    "fraud",
    "binary",
    (Channel("outcome"), Channel("audit", "sample")),
    features=(Feature("amount", "numeric"), Feature("country", "categorical")),
    slices=("country", "plan"),
)
DELAY = Model("delay", "regression", (Channel("arrival"),))
ANIMAL = Model("animal", "multiclass", (Channel("outcome"),))

SEARCH = Model(
    "search",
    "ranking",
    (Channel("clicks"),),
    signals=(Signal("length", "numeric", "answer_length"), Signal("dwell", "numeric"), Signal("bought", "boolean")),
)
SPEECH = Model("speech", "text", (Channel("transcript"),), signals=(Signal("empty", "boolean", "abstention"),))

Row = dict[str, Any]


def settings_for(*models: Model, default: Model | None = None) -> Settings:
    return Settings(Path("/t.yml"), Path("/state"), (PREDICTIONS, FEEDBACK), models, default)


def lines(*records: Any) -> bytes:
    """Records, or raw lines given as bytes, as a block."""
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records)


def predict(*records: Any, models: tuple[Model, ...] = (FRAUD,), source: Source = PREDICTIONS) -> list[Row]:
    """The rows of a prediction log; fails if a line is rejected."""
    decoded = PredictionDecoder(source, settings_for(*models)).decode(lines(*records), "/logs/a")
    assert decoded.rejections == []
    return [row for batch in decoded.batches for row in prediction_rows(batch)]


def feed(*records: Any, models: tuple[Model, ...] = (FRAUD,), source: Source = FEEDBACK) -> list[Row]:
    """The rows of a feedback log; fails if a line is rejected."""
    decoded = FeedbackDecoder(source, settings_for(*models)).decode(lines(*records), "/logs/a")
    assert decoded.rejections == []
    return [row for batch in decoded.batches for row in feedback_rows(batch)]


def reasons(*records: Any, models: tuple[Model, ...] = (FRAUD,), source: Source = PREDICTIONS) -> list[str]:
    """Why each line was rejected; fails if one was not."""
    kind = PredictionDecoder if source.kind == "predictions" else FeedbackDecoder
    decoded = kind(source, settings_for(*models)).decode(lines(*records), "/logs/a")
    assert decoded.batches == []
    return [rejection.reason for rejection in decoded.rejections]


def texts(column: Categorical) -> list[str | None]:
    return [None if code < 0 else column.values[code] for code in column.codes.tolist()]


def prediction_rows(batch: PredictionColumns) -> list[Row]:
    n = len(batch.time)
    columns: dict[str, list[Any]] = {
        "model": [batch.model] * n,
        "key": batch.key.tolist(),
        "time": batch.time.tolist(),
        "version": texts(batch.version),
        "label": texts(batch.label),
        "value": _absent(batch.value.tolist()),
        "score": _absent(batch.score.tolist()),
        "scores": [None] * n if batch.scores is None else batch.scores,
        "latency_ms": _absent(batch.latency_ms.tolist()),
        "error": batch.error.tolist(),
        "shadow": batch.shadow.tolist(),
        "weight": [1.0] * n if batch.weight is None else batch.weight.tolist(),
        "count": [1] * n if batch.count is None else batch.count.tolist(),
        "unit": [None] * n if batch.unit is None else batch.unit.tolist(),
        "offset": batch.offset.tolist(),
        **{f"slice {name}": texts(column) for name, column in batch.slices.items()},
        **{f"signal {name}": _absent(column.tolist()) for name, column in batch.signals.items()},
    }
    if batch.content is not None:
        columns["content"] = list(batch.content)
    assert {len(column) for column in columns.values()} == {n}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def feature_rows(batch: PredictionColumns, model: Model) -> list[Row]:
    """What the model saw, named and written as `recount.feature_of` does."""
    n, values = len(batch.time), batch.features
    if values is None:
        assert not model.features
        return [{} for _ in range(n)]
    assert values.numbers.shape == (len(numeric_names(model)), n)
    assert values.numbers.flags.c_contiguous
    assert values.numbers.dtype == np.float64
    columns: dict[str, list[Any]] = {}
    for name, numbers in zip(numeric_names(model), values.numbers, strict=True):
        columns[name] = [number_seen(number) for number in numbers.tolist()]
    for name, column in zip(categorical_names(model), values.codes, strict=True):
        assert column.codes.dtype == np.int32
        columns[name] = [
            None if code == MISSING_CODE else ("invalid",) if code == INVALID_CODE else column.values[code]
            for code in column.codes.tolist()
        ]
    for name, vectors in zip(embedding_names(model), values.vectors, strict=True):
        columns[name] = [None] * n
        if vectors is not None:
            assert len(vectors) == n
            said = {MISSING_VECTOR: None, INVALID_VECTOR: ("invalid",), NON_FINITE_VECTOR: ("not finite",)}
            numbers = iter(vectors.numbers.tolist())
            columns[name] = [
                said[length] if length < 0 else list(islice(numbers, length)) for length in vectors.lengths.tolist()
            ]
            assert not list(numbers)
    assert columns.keys() == {feature.name for feature in model.features}
    assert {len(column) for column in columns.values()} == {n}
    return [
        {f"feature {name}": value for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]


def number_seen(number: float) -> Any:
    if math.isnan(number):
        return None
    return ("invalid",) if number == INVALID_NUMBER else ("not finite",) if math.isinf(number) else number


def feedback_rows(batch: FeedbackColumns) -> list[Row]:
    n = len(batch.time)
    columns: dict[str, list[Any]] = {
        "model": [batch.model] * n,
        "key": batch.key.tolist(),
        "time": batch.time.tolist(),
        "channel": texts(batch.channel),
        "label": texts(batch.label),
        "value": _absent(batch.value.tolist()),
        "retract": batch.retract.tolist(),
        "propensity": _absent(batch.propensity.tolist()),
        "offset": batch.offset.tolist(),
    }
    if batch.content is not None:
        columns["content"] = list(batch.content)
    assert {len(column) for column in columns.values()} == {n}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _absent(numbers: list[float]) -> list[float | None]:
    return [None if math.isnan(number) else number for number in numbers]
