"""Numbered rows of one structured dtype that know which are in use and which changed since they were last saved.

The ingest thread alone calls a table; nothing here locks. Both marks are one bit a row, so that a hundred million rows
stay affordable, with one small count a page so that no operation has to look at the whole table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
Numbers = NDArray[np.int64]
Bits = NDArray[np.uint8]

PAGE_BYTES = 256 * 1024
_SMALLEST = 64


class TableFull(Exception):
    """More rows were asked for than a table of fixed capacity has left; nothing was allocated."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Which rows changed: `bits[i]` holds one bit for every row of page `pages[i]`, lowest row in the lowest bit."""

    pages: Numbers
    bits: Bits


class Table:
    """Rows numbered from 0, recycled when freed.

    `rows` is a view that stays valid until the next `allocate`: a table without a fixed capacity moves when it grows.
    Freed rows are zero. Write through `rows[...]`, then tell `touch` which rows were written; rows fresh from
    `allocate` are marked already.
    """

    __slots__ = (
        "_changed",
        "_live",
        "_page_changed",
        "_page_live",
        "_shift",
        "capacity",
        "dtype",
        "high_water",
        "live",
        "name",
        "rows",
    )

    def __init__(self, name: str, dtype: np.dtype[Any], capacity: int | None = None) -> None:
        """With `capacity` the rows are reserved once (memory is committed as it is written), else they grow by half.

        Raises ValueError for a dtype without fixed bytes.
        """
        if dtype.hasobject or dtype.itemsize == 0:
            raise ValueError(f"table {name}: rows must be plain bytes, not {dtype}")
        self.name = name
        self.dtype = dtype
        self.capacity = capacity
        self.high_water = 0
        self.live = 0
        self._shift = page_shift(dtype.itemsize)
        self.rows: Rows = np.zeros(0, dtype)
        self._live: Bits = np.zeros(0, np.uint8)
        self._changed: Bits = np.zeros(0, np.uint8)
        self._page_live: NDArray[np.int32] = np.zeros(0, np.int32)
        self._page_changed: NDArray[np.bool_] = np.zeros(0, np.bool_)
        if capacity is not None:
            self._resize(capacity)

    @property
    def rows_per_page(self) -> int:
        return 1 << self._shift

    @property
    def pages(self) -> int:
        """Pages that hold rows below the high-water mark."""
        return -(-self.high_water >> self._shift)

    @property
    def raw(self) -> Rows:
        """The rows as opaque bytes: numpy gathers and scatters whole rows ten times faster without their fields."""
        return self.rows.view(f"V{self.dtype.itemsize}")

    @property
    def nbytes(self) -> int:
        """Bytes in use: rows below the high-water mark and what tracking them takes."""
        return self.high_water * self.dtype.itemsize + self.pages * (2 * self.rows_per_page // 8 + 5)

    def allocate(self, n: int) -> Numbers:
        """Numbers of `n` zeroed rows: freed ones first, then beyond the high-water mark. They count as changed.

        Raises TableFull, having allocated nothing.
        """
        recycled = min(n, self.high_water - self.live)
        stop = self.high_water + n - recycled
        if stop > len(self.rows):
            if self.capacity is not None:
                raise TableFull(f"table {self.name}: {n} rows asked for, {self.live} of {self.capacity} are in use")
            self._resize(max(stop, len(self.rows) + len(self.rows) // 2, _SMALLEST))
        numbers = self._recycle(recycled) if recycled else np.zeros(0, np.int64)
        if stop > self.high_water:
            numbers = np.concatenate((numbers, self._extend(stop)))
        self.live += n
        return numbers

    def free(self, numbers: Numbers) -> None:
        """Zeroes rows and recycles their numbers. Raises ValueError, having freed nothing, if one is not in use."""
        if numbers.size == 0:
            return
        self._check(numbers)
        byte, mask = numbers >> 3, _masks(numbers)
        if not (self._live[byte] & mask).all():
            raise ValueError(f"table {self.name}: a row that is not in use cannot be freed")
        self.raw[numbers] = np.zeros((), f"V{self.dtype.itemsize}")
        np.bitwise_and.at(self._live, byte, ~mask)
        pages = self._pages_of(numbers)
        before = int(self._page_live[pages].sum())
        self._page_live[pages] = np.bitwise_count(self.live_bits(pages)).sum(axis=1)
        self.live -= before - int(self._page_live[pages].sum())
        np.bitwise_or.at(self._changed, byte, mask)
        self._page_changed[pages] = True

    def touch(self, numbers: Numbers) -> None:
        """Marks rows as changed; the next save will contain them. Numbers may repeat."""
        if numbers.size == 0:
            return
        self._check(numbers)
        np.bitwise_or.at(self._changed, numbers >> 3, _masks(numbers))
        self._page_changed[numbers >> self._shift] = True

    def live_numbers(self, start: int = 0, stop: int | None = None) -> Numbers:
        """Numbers of the rows in use within [start, stop), ascending."""
        end = self.high_water if stop is None else min(stop, self.high_water)
        if start >= end:
            return np.zeros(0, np.int64)
        first = start >> 3
        bits = np.unpackbits(self._live[first : -(-end >> 3)], bitorder="little")
        numbers = np.flatnonzero(bits) + (first << 3)
        return numbers[(numbers >= start) & (numbers < end)]

    def is_live(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Whether each of these rows is in use."""
        self._check(numbers)
        found: NDArray[np.bool_] = (self._live[numbers >> 3] & _masks(numbers)) != 0
        return found

    # What follows serves saving and restoring.

    def take_changes(self) -> Changes:
        """Hands over the change marks and clears them."""
        pages = np.flatnonzero(self._page_changed[: self.pages])
        changed = self._changed.reshape(-1, self.rows_per_page // 8)
        bits = changed[pages]
        changed[pages] = 0
        self._page_changed[pages] = False
        return Changes(pages, bits)

    def put_back(self, changes: Changes) -> None:
        """Marks again what `take_changes` handed over, because it could not be saved."""
        self._changed.reshape(-1, self.rows_per_page // 8)[changes.pages] |= changes.bits
        self._page_changed[changes.pages] = True

    def live_bits(self, pages: Numbers) -> Bits:
        """A copy of the in-use bits of whole pages, one row of the result a page."""
        return self._live.reshape(-1, self.rows_per_page // 8)[pages]

    def page_live(self, pages: Numbers) -> NDArray[np.int32]:
        """How many rows of each page are in use."""
        return self._page_live[pages]

    def page_range(self, page: int) -> tuple[int, int]:
        """First row of a page and the one after its last, cut at the high-water mark."""
        return page << self._shift, min((page + 1) << self._shift, self.high_water)

    def prepare(self, high_water: int) -> None:
        """Makes room for the rows [0, high_water) of a saved table, none of them in use yet."""
        if high_water > len(self.rows):
            self._resize(high_water)
        self.high_water = high_water

    def put_live_bits(self, pages: Numbers, bits: Bits) -> None:
        """Sets the in-use bits of whole pages; `recount` must follow before the table is used."""
        self._live.reshape(-1, self.rows_per_page // 8)[pages] = bits

    def put_rows(self, live: Numbers, rows: Rows, freed: Numbers) -> None:
        """Applies a saved difference: rows in use with their bytes, rows freed. `recount` must follow."""
        raw = self.raw
        raw[live] = rows
        raw[freed] = np.zeros((), raw.dtype)
        np.bitwise_or.at(self._live, live >> 3, _masks(live))
        np.bitwise_and.at(self._live, freed >> 3, ~_masks(freed))

    def recount(self) -> None:
        """Recomputes the counts from the in-use bits."""
        bits = self._live.reshape(-1, self.rows_per_page // 8)[: self.pages]
        self._page_live[: self.pages] = np.bitwise_count(bits).sum(axis=1)
        self.live = int(self._page_live.sum())

    def _resize(self, rows: int) -> None:
        pages = -(-rows >> self._shift)
        self.rows = _extended(self.rows, rows)
        self._live = _extended(self._live, pages * self.rows_per_page // 8)
        self._changed = _extended(self._changed, pages * self.rows_per_page // 8)
        self._page_live = _extended(self._page_live, pages)
        self._page_changed = _extended(self._page_changed, pages)

    def _recycle(self, n: int) -> Numbers:
        room = self.rows_per_page - self._page_live[: self.pages]
        roomy = np.flatnonzero(room)
        enough = int(np.searchsorted(np.cumsum(room[roomy]), n)) + 1
        numbers = positions(roomy[:enough], ~self.live_bits(roomy[:enough]), self._shift)[:n]
        byte, mask = numbers >> 3, _masks(numbers)
        np.bitwise_or.at(self._live, byte, mask)
        np.bitwise_or.at(self._changed, byte, mask)
        used, counts = np.unique(numbers >> self._shift, return_counts=True)
        self._page_live[used] += counts.astype(np.int32)
        self._page_changed[used] = True
        return numbers

    def _extend(self, stop: int) -> Numbers:
        start = self.high_water
        _set_range(self._live, start, stop)
        _set_range(self._changed, start, stop)
        pages = np.arange(start >> self._shift, -(-stop >> self._shift))
        low = np.maximum(pages << self._shift, start)
        high = np.minimum((pages + 1) << self._shift, stop)
        self._page_live[pages] += (high - low).astype(np.int32)
        self._page_changed[pages] = True
        self.high_water = stop
        return np.arange(start, stop)

    def _pages_of(self, numbers: Numbers) -> Numbers:
        seen = np.zeros(self.pages, np.bool_)
        seen[numbers >> self._shift] = True
        return np.flatnonzero(seen)

    def _check(self, numbers: Numbers) -> None:
        # A negative index would silently wrap around in numpy.
        if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= self.high_water):
            raise IndexError(f"table {self.name}: a row outside [0, {self.high_water})")


def page_shift(itemsize: int) -> int:
    """log2 of the rows a page holds: a power of two near PAGE_BYTES; at least 3, so that pages begin on whole bytes."""
    return max(3, round(math.log2(PAGE_BYTES / itemsize)))


def positions(pages: Numbers, bits: Bits, shift: int) -> Numbers:
    """Row numbers of the bits set in `bits` (one row a page), ascending if the pages are."""
    flat = bits.reshape(-1)
    byte = np.flatnonzero(flat)
    found = np.flatnonzero(np.unpackbits(flat[byte], bitorder="little"))
    within = byte[found >> 3]
    per_page = (1 << shift) >> 3
    page = within // per_page
    numbers: Numbers = (pages[page] << shift) + ((within - page * per_page) << 3) + (found & 7)
    return numbers


def _masks(numbers: Numbers) -> Bits:
    masks: Bits = np.left_shift(1, numbers & 7).astype(np.uint8)
    return masks


def _set_range(bits: Bits, start: int, stop: int) -> None:
    first, last = start >> 3, stop >> 3
    if first == last:
        bits[first] |= np.uint8(((1 << (stop - start)) - 1) << (start & 7))
        return
    bits[first] |= np.uint8((0xFF << (start & 7)) & 0xFF)
    bits[first + 1 : last] = 0xFF
    if stop & 7:
        bits[last] |= np.uint8((1 << (stop & 7)) - 1)


def _extended(old: NDArray[Any], length: int) -> NDArray[Any]:
    new = np.zeros(length, old.dtype)
    new[: len(old)] = old
    return new
