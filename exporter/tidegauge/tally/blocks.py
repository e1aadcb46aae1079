"""Sealed blocks: stretches of prediction time whose sums are final.

A block is sealed for a channel once, when the clock has passed its end plus the channel's maturity plus grace and
every source has been read that far. What counts must not change its mind reads blocks, in order, and never the
windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.tally.tally import Tally


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """The final sums of one channel over [start, end) of prediction time, in ms.

    `counts` has, for each family that the model keeps and that reads this channel (and those that read none), the
    series (version as a whole or slice; see `Tally.series`) and their sums, shape (series, columns).
    """

    channel: int
    start: int
    end: int
    counts: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]


def seal(tally: Tally, channel: int, start: int, end: int) -> Iterator[SealedBlock]:
    """The blocks of [start, end) that hold anything, in order. Both bounds are multiples of the block width."""
    names = [family.name for family in tally.families if not family.channels or channel in family.channels]
    found = {name: tally.blocks(name, start, end) for name in names}
    width = tally.ladder.block
    for block in sorted({block for blocks in found.values() for block in blocks}):
        counts = {name: blocks[block] for name, blocks in found.items() if block in blocks}
        yield SealedBlock(channel, block, block + width, counts)
