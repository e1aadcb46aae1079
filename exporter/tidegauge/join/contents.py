"""Answers and labels of rankings and texts that wait for each other: too large for packed rows, so they rest in files.

What is read and used within one batch never touches the disk: such content is in flight, under references of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.state.spool import Spool

References = NDArray[np.uint64]
_IN_FLIGHT = np.uint64(1 << 63)


class Contents:
    """Items of bytes by reference; 0 is none. Without a spool everything stays in memory (for small references)."""

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._held: list[bytes | None] = []
        self.dropped = 0  # items for which there was no room, or that were damaged, since somebody last asked

    def hold(self, items: Sequence[bytes | None]) -> References:
        """References that are good until `release`."""
        first = len(self._held) + 1
        references = np.arange(first, first + len(items), dtype=np.uint64) | _IN_FLIGHT
        self._held += items
        if None in items:
            references[[item is None for item in items]] = 0
        return references

    def write(self, items: Sequence[bytes | None]) -> References:
        """Lasting references; 0 where there is no item, or no room left."""
        if self._spool is None:
            return self.hold(items)
        given = [item for item in items if item is not None]
        written = self._spool.append(given)
        self.dropped += len(given) - int(np.count_nonzero(written))
        if len(given) == len(items):
            return written
        references = np.zeros(len(items), np.uint64)
        references[[item is not None for item in items]] = written
        return references

    def rest(self, references: References) -> References:
        """Lasting references for the same items."""
        if self._spool is None:
            return references
        lasting = references.copy()
        flying = np.flatnonzero(references & _IN_FLIGHT)
        lasting[flying] = self.write(self.read(references[flying]))
        return lasting

    def read(self, references: References) -> list[bytes | None]:
        """The items; None for reference 0 and for what has expired or is damaged."""
        flying = (references & _IN_FLIGHT) != 0
        if flying.all():
            return [self._held[int(place) - 1] for place in (references ^ _IN_FLIGHT).tolist()]
        if not flying.any():
            return self._lying(references)
        items: list[bytes | None] = [None] * len(references)
        lying = np.flatnonzero(~flying)
        for place, item in zip(lying.tolist(), self._lying(references[lying]), strict=True):
            items[place] = item
        for place in np.flatnonzero(flying).tolist():
            items[place] = self._held[int(references[place] ^ _IN_FLIGHT) - 1]
        return items

    def _lying(self, references: References) -> list[bytes | None]:
        if self._spool is None:
            return [None] * len(references)
        items = self._spool.read(references)
        if None in items:
            self.dropped += items.count(None) - int(np.count_nonzero(references == 0))
        return items

    def release(self) -> None:
        """Forgets what is in flight."""
        if self._spool is not None:
            self._held.clear()

    def take_dropped(self) -> int:
        """How many items found no room, or could not be read back, since the last call."""
        dropped, self.dropped = self.dropped, 0
        return dropped
