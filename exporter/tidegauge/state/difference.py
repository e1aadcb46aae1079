"""What a save writes of each table: single rows where few changed, whole pages where many did, and old pages in turn.

A page's content is its last whole image and the single rows written since. Rewriting the oldest pages bounds how far
back that reaches, so that old segments fall out of use and their number and size stay bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.state.segments import Buffer, Damaged, Index, Segment, TableMeta, check, segment_name
from tidegauge.state.table import Bits, Changes, Numbers, Rows, Table, page_shift, positions

DENSE = 4  # a page is written whole when more than one in DENSE of its rows changed
ROTATION = 256  # every page is rewritten within this many saves, however little changes


@dataclass(frozen=True, slots=True)
class Difference:
    """A copy of one table's unsaved rows: `images` of the non-empty `pages`, then single rows outside those pages."""

    table: Table
    whole: bool  # all of the table, independent of earlier segments
    changes: Changes
    high_water: int
    live: int
    pages: Numbers
    live_bits: Bits
    images: tuple[Rows, ...]
    numbers: Numbers
    rows: Rows
    freed: Numbers

    def parts(self) -> Iterator[tuple[str, str, Sequence[Buffer]]]:
        """What a segment stores of this, as (kind, name, buffers)."""
        name = self.table.name
        if self.pages.size:
            yield "pages", name, (self.pages,)
            yield "live", name, (self.live_bits,)
            yield "images", name, tuple(_bytes(image) for image in self.images)
        if self.numbers.size or self.freed.size:
            yield "numbers", name, (self.numbers,)
            yield "rows", name, (_bytes(self.rows),)
            yield "freed", name, (self.freed,)

    def bases(self, before: NDArray[np.int64] | None, number: int) -> NDArray[np.int64]:
        """For each page the oldest segment it needs, once this is written as segment `number`."""
        after = np.zeros(-(-self.high_water >> page_shift(self.table.dtype.itemsize)), np.int64)
        if before is not None and not self.whole:
            after[: len(before)] = before
        _advance(after, self.pages, np.concatenate((self.numbers, self.freed)), self.table.rows_per_page, number)
        return after


def take_differences(
    tables: Sequence[Table], bases: Mapping[str, NDArray[np.int64]], other_bytes: int, *, idle: bool
) -> tuple[Difference, ...]:
    """Copies the unsaved rows of all tables and clears their change marks.

    `bases` holds the tables that earlier segments contain; others are taken whole. `other_bytes` is what the save
    writes besides. With `idle`, and nothing changed in any table, no page is rewritten.
    """
    changes = [table.take_changes() for table in tables]
    try:
        if idle and not any(change.pages.size for change in changes):
            images = [np.zeros(0, np.int64) for _ in tables]
        else:
            images = _choose_pages(tables, changes, bases, other_bytes)
        return tuple(
            _copy(table, change, pages, table.name not in bases)
            for table, change, pages in zip(tables, changes, images, strict=True)
        )
    except BaseException:
        for table, change in zip(tables, changes, strict=True):
            table.put_back(change)
        raise


def apply_difference(
    directory: Path, number: int, index: Index, meta: TableMeta, table: Table, bases: NDArray[np.int64]
) -> None:
    """Applies what segment `number` holds of a table, and notes it in `bases`. Raises Damaged, OSError."""
    with Segment(directory, number) as segment:
        pages = _read_array(segment, index, "pages", meta.name, np.dtype(np.int64))
        _check_within(pages, table.pages, number, meta.name)
        if pages.size:
            bits = _read_array(segment, index, "live", meta.name, np.dtype(np.uint8)).reshape(len(pages), -1)
            table.put_live_bits(pages, bits)
            _read_images(segment, index, meta, table, pages, bits)
        numbers = _read_array(segment, index, "numbers", meta.name, np.dtype(np.int64))
        freed = _read_array(segment, index, "freed", meta.name, np.dtype(np.int64))
        _check_within(np.concatenate((numbers, freed)), table.high_water, number, meta.name)
        if numbers.size or freed.size:
            rows = _read_array(segment, index, "rows", meta.name, np.dtype(f"V{table.dtype.itemsize}"))
            table.put_rows(numbers, rows, freed)
    _advance(bases, pages, np.concatenate((numbers, freed)), table.rows_per_page, number)


def _choose_pages(
    tables: Sequence[Table], changes: Sequence[Changes], bases: Mapping[str, NDArray[np.int64]], other_bytes: int
) -> list[Numbers]:
    chosen: list[Numbers] = []
    written = other_bytes
    for table, change in zip(tables, changes, strict=True):
        if table.name not in bases:
            pages = np.arange(table.pages)
        else:
            counts = np.bitwise_count(change.bits).sum(axis=1)
            dense = counts * DENSE > _rows_in(table, change.pages)
            pages = change.pages[dense]
            written += int(counts[~dense].sum()) * (table.dtype.itemsize + pages.dtype.itemsize)
        chosen.append(pages)
        written += int(_image_bytes(table, pages).sum())
    oldest = _oldest_pages(tables, chosen, bases, written)
    return [np.union1d(pages, more) for pages, more in zip(chosen, oldest, strict=True)]


def _oldest_pages(
    tables: Sequence[Table], taken: Sequence[Numbers], bases: Mapping[str, NDArray[np.int64]], budget: int
) -> list[Numbers]:
    # As many bytes as the save writes anyway, so that what lies on disk stays below twice what is alive, and enough
    # pages that none is older than ROTATION saves, so that the number of segments is bounded too.
    candidates, owner, age, size = [], [], [], []
    for position, (table, pages) in enumerate(zip(tables, taken, strict=True)):
        if table.name in bases:
            free = np.setdiff1d(np.arange(len(bases[table.name])), pages)
            candidates.append(free)
            owner.append(np.full(len(free), position))
            age.append(bases[table.name][free])
            size.append(_image_bytes(table, free))
    if not candidates:
        return [np.zeros(0, np.int64) for _ in tables]
    order = np.argsort(np.concatenate(age), kind="stable")
    enough = int(np.searchsorted(np.cumsum(np.concatenate(size)[order]), budget)) + 1
    least = -(-sum(table.pages for table in tables) // ROTATION)
    oldest = order[: max(enough, least)]
    page, of = np.concatenate(candidates)[oldest], np.concatenate(owner)[oldest]
    return [page[of == position] for position in range(len(tables))]


def _copy(table: Table, changes: Changes, pages: Numbers, whole: bool) -> Difference:
    live_bits = table.live_bits(pages)
    raw = table.raw
    used = pages[table.page_live(pages) > 0]
    images = tuple(raw[slice(*table.page_range(page))].copy() for page in used.tolist())
    single = ~np.isin(changes.pages, pages)
    numbers = positions(changes.pages[single], changes.bits[single], table.rows_per_page.bit_length() - 1)
    live = table.is_live(numbers)
    return Difference(
        table=table,
        whole=whole,
        changes=changes,
        high_water=table.high_water,
        live=table.live,
        pages=pages,
        live_bits=live_bits,
        images=images,
        numbers=numbers[live],
        rows=raw[numbers[live]],
        freed=numbers[~live],
    )


def _rows_in(table: Table, pages: Numbers) -> Numbers:
    return np.minimum(table.rows_per_page, table.high_water - pages * table.rows_per_page)


def _image_bytes(table: Table, pages: Numbers) -> Numbers:
    rows = np.where(table.page_live(pages) > 0, _rows_in(table, pages), 0)
    sizes: Numbers = rows * table.dtype.itemsize + table.rows_per_page // 8
    return sizes


def _advance(bases: NDArray[np.int64], pages: Numbers, numbers: Numbers, rows_per_page: int, number: int) -> None:
    first = np.unique(numbers // rows_per_page)
    bases[first[bases[first] == 0]] = number
    bases[pages] = number


def _read_images(segment: Segment, index: Index, meta: TableMeta, table: Table, pages: Numbers, bits: Bits) -> None:
    entry = index.find("images", meta.name)
    if entry is None:
        raise Damaged(f"{segment_name(segment.number)} has pages of {meta.name} without their rows")
    offset, digest = entry.offset, xxhash.xxh3_128()
    for page, filled in zip(pages.tolist(), np.bitwise_count(bits).sum(axis=1).tolist(), strict=True):
        start = page * meta.rows_per_page
        rows = table.raw[start : min(start + meta.rows_per_page, meta.high_water)]
        if filled == 0:
            rows[:] = np.zeros((), rows.dtype)
            continue
        image = _bytes(rows)
        segment.read_into(offset, image)
        digest.update(image)
        offset += image.nbytes
    check(segment.number, entry, digest)


def _read_array(segment: Segment, index: Index, kind: str, name: str, dtype: np.dtype[np.generic]) -> Rows:
    entry = index.find(kind, name)
    return np.zeros(0, dtype) if entry is None else np.frombuffer(segment.read(entry), dtype)


def _check_within(numbers: Numbers, stop: int, segment: int, name: str) -> None:
    # numpy would take negative ones for places counted from the end.
    if numbers.size and not (int(numbers.min()) >= 0 and int(numbers.max()) < stop):
        raise Damaged(f"{segment_name(segment)} has rows of {name} where there are none")


def _bytes(rows: Rows) -> Buffer:
    return rows.view(np.uint8)
