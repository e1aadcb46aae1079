"""A hash index from prediction keys to row numbers, in numpy.

Open addressing with linear probing, four bytes a slot: a slot holds a row number, and the key is read from the row itself. All
operations take arrays. Keys are hashes already; their upper half picks the slot (the lower bits pick the hash sample).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

EMPTY = np.uint32(0)
DELETED = np.uint32(0xFFFFFFFF)
MAXIMUM_LOAD = 0.75
GROWTH = 1.35
SMALLEST = 1024
CHUNK = 1 << 16

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]


class HashIndex:
    """Row numbers by key.

    `key_of` gives the keys of row numbers; it is how a slot is compared, so a row's key must be written before the row is
    inserted and must stay until it is removed.
    """

    def __init__(self, key_of: Callable[[Numbers], Keys], expected: int = 0) -> None:
        self._key_of = key_of
        self._slots = np.zeros(max(SMALLEST, int(expected / MAXIMUM_LOAD) + 1), dtype=np.uint32)
        self._used = 0  # slots that are not EMPTY
        self.live = 0

    @property
    def nbytes(self) -> int:
        return self._slots.nbytes

    def _home(self, keys: Keys) -> Numbers:
        upper = keys >> np.uint64(32)
        home: Numbers = ((upper * np.uint64(len(self._slots))) >> np.uint64(32)).astype(np.int64)
        return home

    def lookup(self, keys: Keys) -> Numbers:
        """Row number of each key, -1 where there is none."""
        found = np.full(len(keys), -1, dtype=np.int64)
        slots, size = self._slots, len(self._slots)
        slot = self._home(keys)
        open_ = np.arange(len(keys))
        while len(open_):
            held = slots[slot]
            occupied = held != EMPTY
            open_, slot, held = open_[occupied], slot[occupied], held[occupied]
            if not len(open_):
                break
            alive = held != DELETED
            number = np.where(alive, held, 1).astype(np.int64) - 1
            same = alive & (self._key_of(number) == keys[open_])
            found[open_[same]] = number[same]
            other = ~same
            open_ = open_[other]
            slot = slot[other] + 1
            slot[slot == size] = 0
        return found

    def insert(self, keys: Keys, numbers: Numbers) -> NDArray[np.bool_]:
        """Adds rows whose keys are not in the index yet; True where added.

        Where a key is repeated within the call, the first one is added.
        """
        self._reserve(len(keys))
        added = np.zeros(len(keys), dtype=np.bool_)
        slots, size = self._slots, len(self._slots)
        slot = self._home(keys)
        open_ = np.arange(len(keys))
        while len(open_):
            held = slots[slot]
            vacant = np.flatnonzero(held == EMPTY)
            if len(vacant):
                # Of several writes to one element the last one stays; reversed, that is the first record.
                claim = vacant[::-1]
                slots[slot[claim]] = (numbers[open_[claim]] + 1).astype(np.uint32)
                held = slots[slot]
                won = vacant[held[vacant] == (numbers[open_[vacant]] + 1).astype(np.uint32)]
                added[open_[won]] = True
                self._used += len(won)
            alive = held != DELETED
            number = np.where(alive, held, 1).astype(np.int64) - 1
            settled = alive & (self._key_of(number) == keys[open_])  # added just now, or a repeat of one that was
            keep = ~settled
            open_ = open_[keep]
            slot = slot[keep] + 1
            slot[slot == size] = 0
        self.live += int(added.sum())
        return added

    def remove(self, keys: Keys) -> None:
        """Takes keys out; their rows must still carry them."""
        slots, size = self._slots, len(self._slots)
        slot = self._home(keys)
        open_ = np.arange(len(keys))
        while len(open_):
            held = slots[slot]
            occupied = held != EMPTY
            open_, slot, held = open_[occupied], slot[occupied], held[occupied]
            if not len(open_):
                break
            alive = held != DELETED
            number = np.where(alive, held, 1).astype(np.int64) - 1
            same = alive & (self._key_of(number) == keys[open_])
            slots[slot[same]] = DELETED
            self.live -= int(same.sum())
            other = ~same
            open_ = open_[other]
            slot = slot[other] + 1
            slot[slot == size] = 0

    def _reserve(self, more: int) -> None:
        if self._used + more <= MAXIMUM_LOAD * len(self._slots):
            return
        wanted = self.live + more
        size = len(self._slots)
        if wanted > 0.6 * size:  # else removals filled the slots, and the same size will do
            size = max(int(size * GROWTH), int(wanted / MAXIMUM_LOAD * 1.15) + 1)
        old = self._slots
        self._slots = np.zeros(size, dtype=np.uint32)
        self._used = self.live = 0
        for start in range(0, len(old), CHUNK):
            held = old[start : start + CHUNK]
            numbers = held[(held != EMPTY) & (held != DELETED)].astype(np.int64) - 1
            if len(numbers):
                self.insert(self._key_of(numbers), numbers)
