"""A new bin family: labelled predictions by tenth of their score."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.family import Contribution, Family

BINS = 10


def bind(model: Model, classes: int) -> Iterable[Family]:
    for number, channel in enumerate(model.channels):

        def contribution(rows: Rows, number: int = number) -> list[Contribution]:
            scored = np.flatnonzero(rows.labels[number].answered & (rows.score >= 0))
            bin_ = np.minimum((rows.score[scored] * BINS).astype(np.int64), BINS - 1)
            return [Contribution(scored, bin_, rows.counts()[scored])]

        yield Family(f"tenths/{channel.name}", BINS, contribution, channels=(number,), schema="10 equal bins")
