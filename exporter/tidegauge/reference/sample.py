"""The rows from which bins are learned: all of them up to a bound, beyond it a sample by hash, in one pass.

The same rows in the same order give the same sample, however they are cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows

MOST_ROWS = 1_000_000
"""Up to so many rows, bins are learned from all of them."""
SAMPLED = 200_000
"""So many at most are kept of more rows than that; as a rule at least half as many."""
_EVERY = 1 << 64


class RowSample:
    """Rows, and by whom or what each was judged. Owned by one builder."""

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
        """The next rows of the file; units are hashes, 0 where there is none: such a row is a unit of its own."""
        hashes = _hashes(self._seen, len(rows))
        self._seen += len(rows)
        self._kept += len(rows)
        self.rows.append(rows)
        self.units.append(hashes if units is None else np.where(units == 0, hashes, units))
        self._hashes.append(hashes)
        if not self.whole:
            self._thin(len(self.rows) - 1)
        while self._seen > self._most_rows and self._kept > self._sampled:
            self._below //= 2
            for number in range(len(self.rows)):
                self._thin(number)

    def _thin(self, number: int) -> None:
        hashes = self._hashes[number]
        index = np.flatnonzero(hashes < np.uint64(self._below))
        self._kept -= len(hashes) - len(index)
        self.rows[number] = self.rows[number].take(index)
        self.units[number], self._hashes[number] = self.units[number][index], hashes[index]


def _hashes(first: int, rows: int) -> NDArray[np.uint64]:
    """Uniform hashes of the rows' numbers (the output function of SplitMix64)."""
    mixed = np.arange(first + 1, first + rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
