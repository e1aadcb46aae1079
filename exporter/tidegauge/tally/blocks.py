"""Sealed blocks: stretches of prediction time whose sums are final.

A block is sealed for a stream once: for a slot (a channel, or a signal that comes as feedback) when the clock has
passed its end plus the slot's maturity plus grace and every source has been read that far, for the arrivals without
maturity. What counts must not change its mind reads blocks, in order, and never the windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.families import traffic
from tidegauge.tally.tally import Tally

ARRIVALS = -1
"""The stream of what is counted when a prediction arrives."""


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """The final sums of one stream over [start, end) of prediction time, in ms.

    `counts` has, for each family that reads this slot and for the traffic (for the arrivals: each that reads none), the
    series (version as a whole or slice; see `Tally.series`) that have any, and their sums, shape (series, columns).

    Of a slot `rows` gives the pending predictions of that time, by time, then by id, with the labels of this slot that
    the sums are made of; those of other slots may not be final yet. It can be called while the block is being worked
    on. It raises RuntimeError afterwards, and for the arrivals, which are not kept.
    """

    channel: int  # number of the slot, or ARRIVALS
    start: int
    end: int
    counts: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
    rows: Callable[[], Rows]


def seal(tally: Tally, channel: int, start: int, end: int, rows: Callable[[int, int], Rows]) -> Iterator[SealedBlock]:
    """The blocks of [start, end) that hold anything, in order. Both bounds are multiples of the block width.

    `rows` gives the slot's rows of a [start, end) of time.
    """
    names = [
        family.name
        for family in tally.families
        if (channel in family.channels or family.name == traffic.NAME if channel != ARRIVALS else not family.channels)
    ]
    found: dict[int, dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
    for name in names:
        for block, (series, sums) in tally.blocks(name, start, end).items():
            # What was counted and taken back must leave no trace: whether it ever was depends on the order of arrival.
            some = np.flatnonzero(sums.any(axis=1))
            if len(some):
                found.setdefault(block, {})[name] = series[some], sums[some]
    width = tally.ladder.block
    for block, counts in sorted(found.items(), key=lambda one: one[0]):
        yield SealedBlock(channel, block, block + width, counts, partial(rows, block, block + width))
