"""One-vs-rest score histograms of a multiclass model, for its macro ROC AUC and average precision."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.families.confusion import SCORED_KINDS
from tidegauge.tally.families.scores import bin_of
from tidegauge.tally.family import Contribution, Family

BINS = 100
MAX_CLASSES = 20
"""Beyond this many classes the histograms would outweigh everything else; the metric's state says unsupported."""


def name(channel: str) -> str:
    return f"classes/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """[class, is it that class, bin] columns; whole versions only.

    Rows that give a class no probability and are not of it are left out, see `with_zeros`.
    """
    if model.task != "multiclass" or classes > MAX_CLASSES:
        return
    for number, channel in enumerate(model.channels):
        if channel.kind not in SCORED_KINDS:
            continue

        def contribution(rows: Rows, number: int = number) -> list[Contribution]:
            if rows.vectors is None:
                return []
            label = rows.labels[number]
            scored = np.flatnonzero(label.answered & rows.vectors.given)
            count = rows.counts()[scored]
            contributions = []
            for code in range(min(classes, rows.vectors.probability.shape[1])):
                bin_ = bin_of(np.clip(rows.vectors.probability[scored, code], 0.0, 1.0), BINS)
                actual = label.code[scored] == code
                # A row says nothing of classes that are met only later, and must not, as it may have to be taken away.
                told = np.flatnonzero(actual | (rows.vectors.probability[scored, code] > 0))
                column = (code * 2 + actual[told]) * BINS + bin_[told]
                contributions.append(Contribution(scored[told], column, count[told]))
            return contributions

        yield Family(
            name(channel.name),
            classes * 2 * BINS,
            contribution,
            channels=(number,),
            slice_columns=0,
            schema=f"{BINS} equal bins, zeros implied",
            class_axes=1,
        )


def with_zeros(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts [series, classes, 2, BINS] with the rows that were left out: every row is of exactly one class."""
    whole = counts.copy()
    rows = counts[:, :, 1].sum(axis=(1, 2))
    whole[:, :, 0, 0] += rows[:, None] - counts.sum(axis=(2, 3))
    return whole
