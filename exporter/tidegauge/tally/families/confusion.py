"""Actual class by predicted class."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tidegauge.config.settings import CLASSIFICATION, Model
from tidegauge.join.rows import NONE, Rows
from tidegauge.tally.family import Contribution, Family
from tidegauge.tally.weights import WEIGHT, excess

SCORED_KINDS = ("complete", "sample")
"""Channels that support a score; the others only count reports."""


def name(channel: str) -> str:
    return f"confusion/{channel}"


def weighted_name(channel: str) -> str:
    return f"confusion-weights/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """classes**2 columns of rows, actual-major; for rows whose weight is not 1 the excess of w and w**2 as well."""
    if model.task not in CLASSIFICATION:
        return
    for number, channel in enumerate(model.channels):
        if channel.kind not in SCORED_KINDS:
            continue

        def contribution(rows: Rows, number: int = number) -> list[Contribution]:
            judged, cell = judge(rows, number, classes)
            return [Contribution(judged, cell, rows.counts()[judged])]

        def weights(rows: Rows, number: int = number) -> list[Contribution]:
            judged, cell = judge(rows, number, classes)
            return excess(rows, number, judged, cell * 2 * WEIGHT.limbs)

        yield Family(name(channel.name), classes**2, contribution, channels=(number,), class_axes=2)
        columns = classes**2 * 2 * WEIGHT.limbs
        yield Family(weighted_name(channel.name), columns, weights, channels=(number,), class_axes=2)


def judge(rows: Rows, channel: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows with both a label and an answer, and their cell in the flattened confusion matrix."""
    label = rows.labels[channel]
    judged = np.flatnonzero(label.answered & (rows.predicted != NONE) & (label.code < classes))
    return judged, label.code[judged].astype(np.int64) * classes + rows.predicted[judged]
