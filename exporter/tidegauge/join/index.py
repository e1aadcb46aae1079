"""A hash index from prediction keys to row numbers, in numpy.

Open addressing with double hashing, four bytes a slot: 27 bits of row number and 5 bits of the key, so that hardly
any row but the right one has to be looked at; the whole key is read from the row itself. All operations take arrays,
and each probe is a round of numpy calls over what is left, so few rounds matter more than near slots. Keys are hashes
already: the upper half picks the first slot, middle bits the step, and the lowest bits are left to the hash sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Slots = NDArray[np.uint32]

EMPTY = 0
NUMBER_BITS = 27
DELETED = (1 << NUMBER_BITS) - 1
"""Marks a slot whose row is gone; probing goes on past it."""
MAXIMUM_LOAD = 0.75
SMALL, SMALL_LOAD = 1 << 19, 0.5
"""Below so many slots (2 MB) half as many rounds are worth more than memory."""
GROWTH = 1.35
"""Small enough that an index that has just grown still takes less than eight bytes an entry."""
DOUBLING_BELOW = 3 << 19
SMALLEST = 4099
STEPS = 4096
"""Fewer than the smallest size, which is prime as all sizes are: every step visits every slot."""
CHUNK = 1 << 16

_NUMBER = np.uint32(DELETED)
_TAG = np.uint32(0xFFFFFFFF ^ DELETED)


class HashIndex:
    """Row numbers by key.

    `key_of` gives the keys of row numbers; it is how a slot is compared, so a row's key must be written before the
    row is inserted and must stay until it is removed.
    """

    def __init__(self, key_of: Callable[[Numbers], Keys], expected: int = 0) -> None:
        self._key_of = key_of
        self._slots: Slots = np.zeros(_prime(max(SMALLEST, int(expected / MAXIMUM_LOAD * 1.1))), dtype=np.uint32)
        self._used = 0  # slots that are not EMPTY
        self.live = 0

    @property
    def nbytes(self) -> int:
        return self._slots.nbytes

    def lookup(self, keys: Keys) -> Numbers:
        """Row number of each key, -1 where there is none."""
        found = np.full(len(keys), -1, dtype=np.int64)
        slot, tag = self._home(keys), _tags(keys)
        open_ = np.arange(len(keys))
        while len(open_):
            held = self._slots.take(slot)
            match = self._matches(held, tag, keys, open_)
            found[open_[match]] = (held[match] & _NUMBER).astype(np.int64) - 1
            open_, slot, tag = self._next(np.flatnonzero((held != EMPTY) & ~match), keys, open_, slot, tag)
        return found

    def insert(self, keys: Keys, numbers: Numbers) -> NDArray[np.bool_]:
        """Adds rows under keys that are not there yet; True where added.

        Where a key is repeated within the call, the first one is added.
        """
        self._reserve(len(keys))
        added = np.zeros(len(keys), dtype=np.bool_)
        slot, tag = self._home(keys), _tags(keys)
        open_ = np.arange(len(keys))
        while len(open_):
            held = self._slots.take(slot)
            vacant = np.flatnonzero(held == EMPTY)
            if len(vacant):
                entry = tag[vacant] | (numbers[open_[vacant]] + 1).astype(np.uint32)
                # Of several writes to one element the last one stays; reversed, that is the first record.
                self._slots[slot[vacant[::-1]]] = entry[::-1]
                held[vacant] = self._slots.take(slot[vacant])
                won = held[vacant] == entry
                added[open_[vacant[won]]] = True
                self._used += int(won.sum())
                match = self._matches(held, tag, keys, open_, but=vacant[won])
                match[vacant[won]] = True
            else:
                match = self._matches(held, tag, keys, open_)
            open_, slot, tag = self._next(np.flatnonzero(~match), keys, open_, slot, tag)
        self.live += int(added.sum())
        return added

    def remove(self, keys: Keys) -> None:
        """Takes keys out; their rows must still carry them."""
        slot, tag = self._home(keys), _tags(keys)
        open_ = np.arange(len(keys))
        while len(open_):
            held = self._slots.take(slot)
            match = self._matches(held, tag, keys, open_)
            self._slots[slot[match]] = DELETED
            self.live -= int(match.sum())
            open_, slot, tag = self._next(np.flatnonzero((held != EMPTY) & ~match), keys, open_, slot, tag)

    def _home(self, keys: Keys) -> Numbers:
        upper = keys >> np.uint64(32)
        home: Numbers = ((upper * np.uint64(len(self._slots))) >> np.uint64(32)).astype(np.int64)
        return home

    def _matches(
        self, held: Slots, tag: Slots, keys: Keys, open_: Numbers, but: Numbers | None = None
    ) -> NDArray[np.bool_]:
        """Which slots hold the row of their key; `but` names positions that need no look."""
        match: NDArray[np.bool_] = ((held & _TAG) == tag) & (held != EMPTY) & (held != DELETED)
        if but is not None:
            match[but] = False
        alike = np.flatnonzero(match)
        if len(alike):
            number = (held[alike] & _NUMBER).astype(np.int64) - 1
            match[alike] = self._key_of(number) == keys[open_[alike]]
        return match

    def _next(
        self, on: Numbers, keys: Keys, open_: Numbers, slot: Numbers, tag: Slots
    ) -> tuple[Numbers, Numbers, Slots]:
        """The probes that go on, one step further."""
        open_ = open_[on]
        return open_, self._step(keys[open_], slot[on]), tag[on]

    def _step(self, keys: Keys, slot: Numbers) -> Numbers:
        slot = slot + ((keys >> np.uint64(12)) & np.uint64(STEPS - 1)).astype(np.int64) + 1
        slot[slot >= len(self._slots)] -= len(self._slots)
        return slot

    def _reserve(self, more: int) -> None:
        size = len(self._slots)
        load = SMALL_LOAD if size < SMALL else MAXIMUM_LOAD
        if self._used + more <= load * size:
            return
        wanted = self.live + more
        if wanted > 0.8 * load * size:  # else removals filled the slots, and the same size will do
            factor = 2.0 if size < DOUBLING_BELOW else GROWTH
            size = max(int(size * factor), int(wanted / load * 1.1) + 1)
        old = self._slots
        self._slots = np.zeros(_prime(size), dtype=np.uint32)
        self._used = self.live = 0
        for start in range(0, len(old), CHUNK):
            held = old[start : start + CHUNK]
            number = (held[(held != EMPTY) & (held != DELETED)] & _NUMBER).astype(np.int64) - 1
            if len(number):
                self._place(self._key_of(number), number)

    def _place(self, keys: Keys, numbers: Numbers) -> None:
        """Adds rows whose keys are known to be all different."""
        slot, entry = self._home(keys), _tags(keys) | (numbers + 1).astype(np.uint32)
        self._used += len(keys)
        self.live += len(keys)
        while len(slot):
            vacant = np.flatnonzero(self._slots.take(slot) == EMPTY)
            self._slots[slot[vacant]] = entry[vacant]
            on = np.flatnonzero(self._slots.take(slot) != entry)
            keys, entry = keys[on], entry[on]
            slot = self._step(keys, slot[on])


def _tags(keys: Keys) -> Slots:
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32) & _TAG


def _prime(least: int) -> int:
    """The smallest prime that is not below `least`."""
    candidate = least | 1
    while any(candidate % divisor == 0 for divisor in range(3, math.isqrt(candidate) + 1, 2)):
        candidate += 2
    return candidate
