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

from tidegauge.join.rows import FeatureValues

REASON_MEANINGS: Mapping[str, str] = {
    "invalid_json": "The line is not one JSON value, or is nested too deeply.",
    "invalid_utf8": "A field that is used holds bytes that are no UTF-8.",
    "not_an_object": "The line is JSON, but not an object.",
    "missing_model": "Neither the record nor its source names a model, and several are configured.",
    "unknown_model": "The record names a model that is not configured.",
    "missing_prediction_id": "Feedback without a prediction_id: nobody can tell what it is about.",
    "invalid_prediction_id": "The prediction_id is neither text nor a whole number.",
    "missing_timestamp": "The record has no timestamp.",
    "invalid_timestamp": "The timestamp is neither RFC 3339 nor an epoch number, or is not of the years 1990 to 2200.",
    "missing_channel": "Neither the record nor its source names a channel, and the model has several.",
    "unknown_channel": "The record names a channel that its model does not have.",
    "invalid_weight": "The weight is not a number above 0 and up to 1e6.",
    "invalid_count": "The count is not a whole number from 1 to 1e9.",
    "invalid_propensity": "The propensity is not a number above 0 and up to 1.",
    "missing_prediction": "The record holds no answer: neither a prediction nor a score that gives one, nor an error.",
    "invalid_prediction": "The prediction is of a type that this task cannot use, such as text where a number is due.",
    "missing_signal_value": "Feedback that names a signal and has no value.",
    "invalid_signal_value": "The value is not of the signal's type.",
    "unknown_signal": "The record names a signal that its model does not have.",
    "missing_label": "Feedback with neither a label, a signal nor a retraction.",
    "invalid_label": "The label is of a type that this task cannot use.",
}
"""Why a line gives no row, in words; the first that applies is counted."""

REASONS = tuple(REASON_MEANINGS)


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
    unit: NDArray[np.uint64] | None  # hash of unit_id, 0 = none; None if no row has one
    offset: NDArray[np.int64]  # of the row's line in the block
    content: list[Content] | None = None  # rankings and texts: the answer; None where `error` is set or it is too long
    signals: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # derived ones; NaN = absent
    features: FeatureValues | None = None  # None: the model has none configured
    feature_keys: frozenset[str] = frozenset()  # that the features of one of the rows had, whether configured or not


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
