"""One-vs-rest score histograms of a multiclass model, for its macro ROC AUC and average precision."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

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
    """[class, is it that class, bin] columns; whole versions only."""
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
                actual = (label.code[scored] == code).astype(np.int64)
                contributions.append(Contribution(scored, (code * 2 + actual) * BINS + bin_, count))
            return contributions

        yield Family(
            name(channel.name),
            classes * 2 * BINS,
            contribution,
            channels=(number,),
            slice_columns=0,
            schema=f"{BINS} equal bins",
            class_axes=1,
        )
