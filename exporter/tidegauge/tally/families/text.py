"""Edits between texts and their labels, and the labels' lengths, in words and in characters.

An error rate is a ratio of two sums; for its interval the sum of products is needed as well. It follows from the
squares of e + n: their sum is that of e**2, plus that of n**2, plus twice that of e * n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally import moments
from tidegauge.tally.families.confusion import SCORED_KINDS
from tidegauge.tally.family import Family
from tidegauge.tally.fixed import WHOLE, WIDE

UNITS = ("word", "character")
PER_UNIT = 3
"""Edits e, length n, and e + n."""


def name(channel: str) -> str:
    return f"text/{channel}"


def weighted_name(channel: str) -> str:
    return f"text-weights/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Moments of e, n and e + n in each unit, for each scored channel."""
    if model.task != "text":
        return
    for number, channel in enumerate(model.channels):
        if channel.kind in SCORED_KINDS:
            yield from moments.families(
                name(channel.name),
                weighted_name(channel.name),
                partial(quantities, channel=number),
                PER_UNIT * len(UNITS),
                WHOLE,
                WIDE,
                number,
            )


def quantities(rows: Rows, channel: int) -> tuple[NDArray[np.int64], Sequence[NDArray[np.float64]]]:
    label = rows.labels[channel]
    assert label.measures is not None
    measured = np.flatnonzero(label.answered & ~np.isnan(label.measures[:, 0]))
    word_edits, words, character_edits, characters = label.measures[measured].T
    of_words = (word_edits, words, word_edits + words)
    return measured, (*of_words, character_edits, characters, character_edits + characters)
