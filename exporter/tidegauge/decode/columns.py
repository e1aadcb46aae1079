"""What decoding yields: plain columns, one batch a model, and the lines that were turned away.

Rows of a batch keep the order of their lines. A column never holds a Python object a record, except `scores` and
`content`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

REASONS = (
    "invalid_json",  # not one JSON value on the line, or nested too deeply
    "invalid_utf8",  # a field that is used holds bytes that are no UTF-8
    "not_an_object",
    "missing_model",
    "unknown_model",
    "missing_prediction_id",
    "invalid_prediction_id",
    "missing_timestamp",
    "invalid_timestamp",
    "missing_channel",
    "unknown_channel",
    "invalid_weight",
    "invalid_count",
    "invalid_propensity",
    "missing_prediction",
    "invalid_prediction",
    "missing_signal_value",
    "invalid_signal_value",
    "unknown_signal",
    "missing_label",
    "invalid_label",
)


Content = bytes | None
"""An answer or a label that is a text or a list of items, as JSON."""


@dataclass(frozen=True, slots=True)
class Categorical:
    """A text column, dictionary encoded for this batch only; code -1 means absent."""

    codes: NDArray[np.int32]
    values: list[str]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that gave no row: why (one of REASONS) and where in the block, in bytes. Never its content."""

    reason: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """Accepted predictions of one model; every array has one element a row."""

    model: str
    key: NDArray[np.uint64]  # hash of prediction_id; 0 = no id
    time: NDArray[np.int64]  # ms since the epoch
    version: Categorical
    label: Categorical  # the predicted class; empty for other tasks, -1 where `error` is set
    value: NDArray[np.float64]  # the predicted number; NaN unless regression
    score: NDArray[np.float64]  # NaN = absent
    scores: list[dict[str, float] | None] | None  # multiclass only; None if no row has them
    latency_ms: NDArray[np.float64]  # NaN = absent
    error: NDArray[np.bool_]
    shadow: NDArray[np.bool_]
    weight: NDArray[np.float64] | None  # None = all 1
    count: NDArray[np.int64] | None  # None = all 1
    slices: dict[str, Categorical]
    unit: NDArray[np.uint64] | None  # hash of unit_id, 0 = none; None unless asked for
    offset: NDArray[np.int64]  # of the row's line in the block
    content: list[Content] | None = None  # rankings and texts: the answer; None where `error` is set or it is too long
    signals: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # derived ones; NaN = absent


@dataclass(frozen=True, slots=True)
class FeedbackColumns:
    """Accepted feedback of one model, or (model None) of whichever model made the prediction."""

    model: str | None
    key: NDArray[np.uint64]  # never 0
    time: NDArray[np.int64]
    channel: Categorical  # keys of channels and of signals; never -1
    label: Categorical  # -1 where `retract` and for signals; empty if every model it can belong to is a regression
    value: NDArray[np.float64]  # the label or the signal's value as a number, NaN if it is none
    retract: NDArray[np.bool_]
    propensity: NDArray[np.float64]  # NaN = not given
    offset: NDArray[np.int64]
    content: list[Content] | None = None  # for rankings and texts: the label; None where it is none or too long


Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Decoded(Generic[Batch]):
    """Everything in a block: each non-blank line is a row of one batch or a rejection."""

    batches: list[Batch]
    rejections: list[Rejection]  # by offset
