"""The rows from which bins are learned: all of them up to a bound, beyond it a sample by hash, in one pass.

The same rows in the same order give the same sample, whatever their number turns out to be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows

MOST_ROWS = 1_000_000
"""Up to so many rows, bins are learned from all of them."""
SAMPLED = 200_000
"""So many at most are kept of more; at least half as many."""
_EVERY = 1 << 64


class Sample:
    """Rows with the hash of their unit (0: none). Owned by one builder."""

    def __init__(self, most_rows: int = MOST_ROWS, sampled: int = SAMPLED) -> None:
        self._most_rows, self._sampled = most_rows, sampled
        self._seen = self._kept = 0
        self._below = _EVERY
        self.rows: list[Rows] = []
        self.units: list[NDArray[np.uint64]] = []
        self._hashes: list[NDArray[np.uint64]] = []

    @property
    def whole(self) -> bool:
        """Whether every row is kept."""
        return self._below == _EVERY

    def add(self, rows: Rows, units: NDArray[np.uint64] | None) -> None:
        hashes = _hashes(self._seen, len(rows))
        self._seen += len(rows)
        self.rows.append(rows)
        self.units.append(np.zeros(len(rows), dtype=np.uint64) if units is None else units)
        self._hashes.append(hashes)
        self._kept += len(rows)
        if not self.whole:
            self._thin_from(len(self.rows) - 1)
        if self._seen > self._most_rows:
            while self._kept > self._sampled:
                self._below //= 2
                self._thin_from(0)

    def _thin_from(self, first: int) -> None:
        for number in range(first, len(self.rows)):
            index = np.flatnonzero(self._hashes[number] < np.uint64(self._below))
            self._kept -= len(self._hashes[number]) - len(index)
            self.rows[number] = self.rows[number].take(index)
            self.units[number], self._hashes[number] = self.units[number][index], self._hashes[number][index]


def _hashes(first: int, rows: int) -> NDArray[np.uint64]:
    """Uniform hashes of the rows' numbers (the output function of SplitMix64)."""
    mixed = np.arange(first + 1, first + rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
