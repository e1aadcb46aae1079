"""Keeps one model's sums: a cell for each series and pane, in each cell the counts of every family that has any.

Additions are integer, so their order never matters. Panes move to coarser widths as they age, and end in one cell a
series that holds everything older.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import NONE, Rows
from tidegauge.state.table import Table
from tidegauge.tally.family import Contribution, Dense, Family
from tidegauge.tally.panes import FOREVER, Ladder

NO_SERIES = -1
SHRINK_ABOVE = 256
"""Rows below which a table is not worth compacting."""
EXACT = float(1 << 53)
"""Below this, float64 holds every integer, so numpy's fast weighted bincount is exact."""


class Series:
    """Numbers of series: a version as a whole, or one value of one slice of it."""

    def __init__(self, slices: int, room: int) -> None:
        self.slices = slices
        self.room = room  # codes a slice may have
        self.per_version = 1 + slices * room

    def number(self, version: int, key: int | None = None, value: int = 0) -> int:
        return version * self.per_version + (0 if key is None else 1 + key * self.room + value)

    def split(self, series: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(version, slice key or -1 for the whole version, slice value) of series numbers."""
        version, rest = np.divmod(series, self.per_version)
        key, value = np.divmod(rest - 1, self.room)
        whole = rest == 0
        return version, np.where(whole, -1, key), np.where(whole, 0, value)

    def of_rows(self, rows: Rows) -> list[NDArray[np.int64]]:
        """Series of each row: the version's, then one for each slice key (NO_SERIES where the row has no value)."""
        whole = rows.version.astype(np.int64) * self.per_version
        series = [whole]
        for key, code in enumerate(rows.slices):
            value = code.astype(np.int64)
            series.append(np.where(code == NONE, NO_SERIES, whole + 1 + key * self.room + value))
        return series


class Tally:
    """The sums of one model."""

    def __init__(self, name: str, families: Sequence[Family], ladder: Ladder, series: Series) -> None:
        self.name = name
        self.families = tuple(families)
        self.names = frozenset(family.name for family in self.families)
        self.ladder = ladder
        self.series = series
        self.edges: tuple[int, ...] = tuple(FOREVER for _ in ladder.widths)
        self.cells = Table(f"{name}/cells", self._cell_dtype())
        self._counts = [
            (_counts_table(f"{name}/{f.name}", f.columns), _counts_table(f"{name}/{f.name}/slices", f.sliced))
            for f in self.families
        ]
        self._directory: dict[tuple[int, int], int] = {}

    def _cell_dtype(self) -> np.dtype[np.void]:
        # `counts` holds, for each family, the row of its table plus one; 0: this cell has none.
        return np.dtype([("pane", "<i8"), ("series", "<u4"), ("level", "u1"), ("counts", "<u4", (len(self.families),))])

    # ---------------------------------------------------------------- adding

    def add(self, rows: Rows, sign: int, channels: Iterable[int] | None, only: frozenset[str] | None = None) -> None:
        """Adds (sign 1) or takes away (sign -1) what rows contribute to the families that read these channels.

        channels None: to the families that read none, which count predictions as they arrive. `only` names those of
        them that are wanted.
        """
        if not len(rows):
            return
        wanted = None if channels is None else set(channels)
        chosen = [
            number
            for number, family in enumerate(self.families)
            if (not family.channels if wanted is None else wanted.intersection(family.channels))
            and (only is None or family.name in only)
        ]
        if not chosen:
            return
        pane, level = self.ladder.place(rows.time, self.edges)
        # Panes lie close together in units of the finest width, which keeps the grouping linear.
        _, pane_number = _distinct(pane // self.ladder.widths[0])
        places = [self._places(series, pane, pane_number, level) for series in self.series.of_rows(rows)]
        for number in chosen:
            family = self.families[number]
            if family.dense is not None:
                self._add_dense(number, family.dense, rows, *places[0], sign)
                continue
            contributions = family.contribution(rows)
            self._accumulate(number, contributions, places[:1], sliced=False, sign=sign)
            if family.sliced and len(places) > 1:
                if family.slice_contribution is not None:
                    contributions = family.slice_contribution(rows)
                self._accumulate(number, contributions, places[1:], sliced=True, sign=sign)

    def _add_dense(
        self,
        number: int,
        dense: Dense,
        rows: Rows,
        cell: NDArray[np.int64],
        local: NDArray[np.int64],
        sign: int,
    ) -> None:
        sums = dense(rows, local, self.cells.rows["series"][cell].astype(np.int64) // self.series.per_version)
        used = np.flatnonzero(sums.any(axis=1))
        if len(used):
            self._add_counts(number, cell[used], sums[used] if sign > 0 else -sums[used], sliced=False)

    def _places(
        self,
        series: NDArray[np.int64],
        pane: NDArray[np.int64],
        pane_number: NDArray[np.int64],
        level: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(cell of each distinct place, position in that array of each row; -1 where the row has no such series)."""
        cell = np.zeros(0, dtype=np.int64)
        local = np.full(len(series), -1, dtype=np.int64)
        have = np.flatnonzero(series >= 0)
        if not len(have):
            return cell, local
        groups, group = _distinct(pane_number[have] * (int(series.max()) + 1) + series[have])
        first = np.empty(len(groups), dtype=np.int64)
        first[group[::-1]] = have[::-1]
        cell = self._cells_at(series[first], pane[first], level[first])
        local[have] = group
        return cell, local

    def _cells_at(
        self, series: NDArray[np.int64], pane: NDArray[np.int64], level: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Cells of distinct (series, pane) places; new ones where there are none."""
        places = list(zip(series.tolist(), pane.tolist(), strict=True))
        found = np.array([self._directory.get(place, -1) for place in places], dtype=np.int64)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            numbers = self.cells.allocate(len(missing))
            self.cells.rows["pane"][numbers] = pane[missing]
            self.cells.rows["series"][numbers] = series[missing]
            self.cells.rows["level"][numbers] = level[missing]
            found[missing] = numbers
            for position, number in zip(missing.tolist(), numbers.tolist(), strict=True):
                self._directory[places[position]] = number
        return found

    def _accumulate(
        self,
        number: int,
        contributions: list[Contribution],
        places: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
        *,
        sliced: bool,
        sign: int,
    ) -> None:
        columns = self.families[number].sliced if sliced else self.families[number].columns
        for cell, local in places:
            everywhere = bool(len(local)) and int(local.min()) >= 0
            first = local * columns
            # Contributions of one family mostly share their array of rows; its places are found once.
            known: dict[int, NDArray[np.int64]] = {}
            parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
            for row, column, amount in contributions:
                start = known.get(id(row))
                if start is None:
                    start = known[id(row)] = first[row]
                if everywhere:
                    parts.append((start + column, amount))
                else:
                    inside = np.flatnonzero(start >= 0)
                    spot = start[inside] + (column if isinstance(column, int) else column[inside])
                    parts.append((spot, amount[inside]))
            parts = [part for part in parts if len(part[0])]
            if parts:
                self._merge(number, cell, parts, columns, sliced=sliced, sign=sign)

    def _merge(
        self,
        number: int,
        cell: NDArray[np.int64],
        parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
        columns: int,
        *,
        sliced: bool,
        sign: int,
    ) -> None:
        """Adds amounts, none of the parts empty, at (position in `cell`) * columns + column."""
        most = sum(len(spot) for spot, _ in parts)
        if len(cell) * columns * len(parts) > most + (1 << 16):
            # Adding up each part would cost more than putting them together.
            parts = [(np.concatenate([spot for spot, _ in parts]), np.concatenate([amount for _, amount in parts]))]
        if len(cell) * columns > 4 * most + (1 << 18):
            # Few rows over many panes: only the cells that get something are laid out.
            position, column = np.divmod(parts[0][0], columns)
            used, position = _distinct(position)
            cell, parts = cell[used], [(position * columns + column, parts[0][1])]
        sums = np.zeros(len(cell) * columns, dtype=np.int64)
        for spot, amount in parts:
            _add_at(sums, spot, amount)
        shaped = sums.reshape(len(cell), columns)
        used = np.flatnonzero(shaped.any(axis=1))
        if len(used) < len(cell):
            cell, shaped = cell[used], shaped[used]
        if len(cell):
            self._add_counts(number, cell, shaped if sign > 0 else -shaped, sliced=sliced)

    def _add_counts(self, number: int, cell: NDArray[np.int64], sums: NDArray[np.int64], *, sliced: bool) -> None:
        """Adds whole count vectors to distinct cells."""
        table = self._counts[number][sliced]
        row = self.cells.rows["counts"][cell, number].astype(np.int64) - 1
        missing = np.flatnonzero(row < 0)
        if len(missing):
            row[missing] = table.allocate(len(missing))
            self.cells.rows["counts"][cell[missing], number] = row[missing] + 1
            self.cells.touch(cell[missing])
        table.rows["counts"][row] += sums
        table.touch(row)

    # ---------------------------------------------------------------- reading

    def window(self, family: str, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(series, sums [series, columns]) of the whole versions over panes that start in [start, end)."""
        return self._sum(family, start, end, sliced=False)

    def window_slices(self, family: str, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same for slices."""
        return self._sum(family, start, end, sliced=True)

    def _sum(self, name: str, start: int, end: int, *, sliced: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        number = self._family(name)
        if sliced and not self.families[number].sliced:
            return np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.int64)
        live = self.cells.live_numbers(0, self.cells.high_water)
        cells = self.cells.rows[live]
        row = cells["counts"][:, number].astype(np.int64) - 1
        wanted = (row >= 0) & (cells["pane"] >= start) & (cells["pane"] < end)
        wanted &= (cells["series"] % self.series.per_version != 0) == sliced
        series, row = cells["series"][wanted].astype(np.int64), row[wanted]
        table = self._counts[number][sliced]
        return _sum_by(series, table.rows["counts"], row)

    def stretches(
        self, family: str, start: int, end: int, width: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(series, start, sums) of whole versions for each stretch of `width` ms in [start, end) that has any."""
        number = self._family(family)
        cells = self.cells.rows
        live = self.cells.live_numbers(0, self.cells.high_water)
        pane = cells["pane"][live]
        live = live[(pane >= start) & (pane < end)]
        live = live[cells["series"][live] % self.series.per_version == 0]
        row = cells["counts"][live, number].astype(np.int64) - 1
        live, row = live[row >= 0], row[row >= 0]
        origin = start // width
        most = max(1, end // width - origin + 1)
        place = cells["series"][live].astype(np.int64) * most + cells["pane"][live] // width - origin
        found, sums = _sum_by(place, self._counts[number][False].rows["counts"], row)
        return found // most, (found % most + origin) * width, sums

    def blocks(self, family: str, start: int, end: int) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """(series, sums) of whole versions and slices for each block of [start, end) that has any, by block start."""
        number = self._family(family)
        live = self.cells.live_numbers(0, self.cells.high_water)
        cells = self.cells.rows[live]
        inside = (cells["pane"] >= start) & (cells["pane"] < end)
        found: dict[int, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
        for sliced in (False, True):
            if not (self.families[number].sliced if sliced else True):
                continue
            row = cells["counts"][:, number].astype(np.int64) - 1
            wanted = inside & (row >= 0) & ((cells["series"] % self.series.per_version != 0) == sliced)
            if sliced and self.families[number].slice_contribution is not None:
                continue  # other columns than the whole version's
            block = cells["pane"][wanted] // self.ladder.block * self.ladder.block
            row, series = row[wanted], cells["series"][wanted].astype(np.int64)
            for one in np.unique(block):
                here = block == one
                part = _sum_by(series[here], self._counts[number][sliced].rows["counts"], row[here])
                found.setdefault(int(one), []).append(part)
        return {
            block: (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
            for block, parts in sorted(found.items())
        }

    def _family(self, name: str) -> int:
        return next(number for number, family in enumerate(self.families) if family.name == name)

    def oldest_pane(self) -> int:
        """Start of the ladder: predictions before it have no pane any more."""
        return self.edges[-1]

    # ---------------------------------------------------------------- ageing

    def age(self, clock: int, sealed_until: int) -> None:
        """Moves panes that have left their width's part of the ladder on to the next one."""
        edges = self.ladder.edges(clock, sealed_until)
        self.edges = tuple(max(old, new) for old, new in zip(self.edges, edges, strict=True))
        live = self.cells.live_numbers(0, self.cells.high_water)
        cells = self.cells.rows[live]
        pane, level = self.ladder.place(np.where(cells["pane"] == FOREVER, FOREVER, cells["pane"]), self.edges)
        moving = np.flatnonzero(level > cells["level"])
        if not len(moving):
            return
        self._move(live[moving], cells[moving]["series"].astype(np.int64), pane[moving], level[moving])

    def _move(
        self, old: NDArray[np.int64], series: NDArray[np.int64], pane: NDArray[np.int64], level: NDArray[np.int64]
    ) -> None:
        before = self.cells.rows[old].copy()
        for was in zip(before["series"].tolist(), before["pane"].tolist(), strict=True):
            del self._directory[was]
        order = np.lexsort((series, pane))
        starts = np.ones(len(order), dtype=np.bool_)
        starts[1:] = (series[order][1:] != series[order][:-1]) | (pane[order][1:] != pane[order][:-1])
        group = np.empty(len(order), dtype=np.int64)
        group[order] = np.cumsum(starts) - 1
        first = order[starts]
        target = self._cells_at(series[first], pane[first], level[first])
        for number in range(len(self.families)):
            row = before["counts"][:, number].astype(np.int64) - 1
            for sliced in (False, True):
                some = np.flatnonzero((row >= 0) & ((series % self.series.per_version != 0) == sliced))
                if not len(some):
                    continue
                table = self._counts[number][sliced]
                groups, sums = _sum_by(group[some], table.rows["counts"], row[some])
                self._add_counts(number, target[groups], sums, sliced=sliced)
                table.free(row[some])
        self.cells.free(old)
        self._shrink()

    def forget(self, series: NDArray[np.int64]) -> None:
        """Drops everything kept of these series."""
        live = self.cells.live_numbers(0, self.cells.high_water)
        gone = live[np.isin(self.cells.rows["series"][live], series)]
        if not len(gone):
            return
        cells = self.cells.rows[gone].copy()
        for place in zip(cells["series"].tolist(), cells["pane"].tolist(), strict=True):
            del self._directory[place]
        sliced = cells["series"] % self.series.per_version != 0
        for number, pair in enumerate(self._counts):
            row = cells["counts"][:, number].astype(np.int64) - 1
            for which, table in enumerate(pair):
                table.free(row[(row >= 0) & (sliced == bool(which))])
        self.cells.free(gone)

    def series_in_panes(self) -> NDArray[np.int64]:
        """The series that have anything but what is older than every pane."""
        live = self.cells.live_numbers(0, self.cells.high_water)
        cells = self.cells.rows[live]
        return np.unique(cells["series"][cells["pane"] != FOREVER].astype(np.int64))

    def _shrink(self) -> None:
        """Gives memory back after a backlog, whose fine panes are gone once they have aged."""
        if _sparse(self.cells):
            self.cells, live, _ = _compacted(self.cells)
            cells = self.cells.rows[live]
            places = zip(cells["series"].tolist(), cells["pane"].tolist(), strict=True)
            self._directory = dict(zip(places, live.tolist(), strict=True))
        for number, pair in enumerate(self._counts):
            if not any(_sparse(table) for table in pair):
                continue
            live = self.cells.live_numbers(0, self.cells.high_water)
            is_slice = self.cells.rows["series"][live] % self.series.per_version != 0
            shrunk = list(pair)
            for sliced, table in enumerate(pair):
                if not _sparse(table):
                    continue
                shrunk[sliced], _, place = _compacted(table)
                holders = live[is_slice == bool(sliced)]
                row = self.cells.rows["counts"][holders, number].astype(np.int64) - 1
                holders, row = holders[row >= 0], row[row >= 0]
                self.cells.rows["counts"][holders, number] = place[row] + 1
                self.cells.touch(holders)
            self._counts[number] = (shrunk[0], shrunk[1])

    # ---------------------------------------------------------------- state

    def tables(self) -> list[Table]:
        """Everything to save."""
        return [self.cells, *(table for pair in self._counts for table in pair if table.dtype.itemsize > 1)]

    def adopt(self, tables: Mapping[str, Table], edges: Sequence[int]) -> None:
        """Takes over saved tables of the same shape."""
        self.edges = tuple(edges)
        self.cells = tables.get(self.cells.name, self.cells)
        self._counts = [
            (tables.get(whole.name, whole), tables.get(sliced.name, sliced)) for whole, sliced in self._counts
        ]
        live = self.cells.live_numbers(0, self.cells.high_water)
        cells = self.cells.rows[live]
        places = zip(cells["series"].tolist(), cells["pane"].tolist(), strict=True)
        self._directory = dict(zip(places, live.tolist(), strict=True))
        self._shrink()

    def take_over(
        self,
        other: Tally,
        old_room: int,
        new_room: int,
        *,
        only: frozenset[str] | None = None,
        renumber: Callable[[NDArray[np.int64]], NDArray[np.int64]] = lambda series: series,
    ) -> list[str]:
        """Adds the sums of a tally of another shape, as far as they fit; says what was dropped.

        A family fits if its columns mean the same (more room for classes is made up for). A pane that is wider than
        those of this ladder goes where it starts: windows whose edges were edges of such panes stay exact, finer ones
        become so as time goes on. `old_room` and `new_room` are the classes that the families are laid out for;
        `renumber` gives the series here of series there, -1 where there is none; `only` names the families wanted.
        """
        if self.ladder.widths == other.ladder.widths and not self._directory:
            self.edges = other.edges
        dropped: list[str] = []
        live = other.cells.live_numbers(0, other.cells.high_water)
        cells = other.cells.rows[live]
        series = renumber(cells["series"].astype(np.int64))
        cells, series = cells[series >= 0], series[series >= 0]
        pane = cells["pane"].copy()
        level = np.full(len(pane), len(self.ladder.widths), dtype=np.int64)
        timed = np.flatnonzero(pane != FOREVER)
        pane[timed], level[timed] = self.ladder.place(pane[timed], self.edges)
        if not len(cells):
            return dropped
        first, group = _distinct_pairs(series, pane)
        cell = self._cells_at(series[first], pane[first], level[first])
        theirs = {family.name: number for number, family in enumerate(other.families)}
        kept = set()
        for number, family in enumerate(self.families):
            if family.name not in theirs or (only is not None and family.name not in only):
                continue
            was = other.families[theirs[family.name]]
            columns = _columns_in(was.columns, family.columns, family.class_axes, old_room, new_room)
            if was.schema != family.schema or columns is None:
                continue
            kept.add(family.name)
            row = cells["counts"][:, theirs[family.name]].astype(np.int64) - 1
            for sliced, width in ((False, family.columns), (True, family.sliced)):
                some = np.flatnonzero((row >= 0) & ((series % self.series.per_version != 0) == sliced))
                if not len(some) or not width:
                    continue
                found, sums = _sum_by(group[some], other._counts[theirs[family.name]][sliced].rows["counts"], row[some])
                if family.class_axes and old_room != new_room:
                    wide = np.zeros((len(sums), width), dtype=np.int64)
                    wide[:, columns] = sums
                    sums = wide
                self._add_counts(number, cell[found], sums, sliced=sliced)
        dropped.extend(f"the counts of {name}" for name in sorted(set(theirs if only is None else only) - kept))
        return dropped


def _columns_in(old: int, new: int, class_axes: int, old_room: int, new_room: int) -> NDArray[np.int64] | None:
    """Where the old columns go among the new ones; None if they mean something else."""
    if not class_axes or old_room == new_room:
        return np.arange(old) if old == new else None
    rest = new // new_room**class_axes
    if new_room < old_room or old != old_room**class_axes * rest:
        return None
    shaped = np.arange(new).reshape(*(new_room for _ in range(class_axes)), rest)
    return shaped[tuple(slice(0, old_room) for _ in range(class_axes))].reshape(-1)


def _sparse(table: Table) -> bool:
    return table.high_water > SHRINK_ABOVE and 2 * table.live < table.high_water


def _compacted(table: Table) -> tuple[Table, NDArray[np.int64], NDArray[np.int64]]:
    """(the live rows in a table of their own, their numbers there, new number by old number)."""
    numbers = table.live_numbers(0, table.high_water)
    compact = Table(table.name, table.dtype)
    fresh = compact.allocate(len(numbers))
    compact.rows[fresh] = table.rows[numbers]
    place = np.full(table.high_water, -1, dtype=np.int64)
    place[numbers] = fresh
    return compact, fresh, place


def _counts_table(name: str, columns: int) -> Table:
    return Table(name, np.dtype([("counts", "<i8", (columns,))]) if columns else np.dtype("u1"))


def _add_at(sums: NDArray[np.int64], spot: NDArray[np.int64], amount: NDArray[np.int64]) -> None:
    """Adds amounts, at least one, at places that may repeat; exact."""
    least, most = int(amount.min()), int(amount.max())
    if least == most == 1:
        sums += np.bincount(spot, minlength=len(sums))
    elif float(max(-least, most)) * len(amount) < EXACT:
        sums += np.bincount(spot, weights=amount, minlength=len(sums)).astype(np.int64)
    else:
        np.add.at(sums, spot, amount)


def _distinct(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct values ascending, position of each value among them); linear where the values lie close together."""
    if not len(values):
        return values, values
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span > 1 << 18:
        distinct, position = np.unique(values, return_inverse=True)
        return distinct, position
    seen = np.zeros(span, dtype=np.bool_)
    seen[values - low] = True
    offsets = np.flatnonzero(seen)
    place = np.zeros(span, dtype=np.int64)
    place[offsets] = np.arange(len(offsets))
    return offsets + low, place[values - low]


def _distinct_pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(position of one example of each distinct pair, number of its pair for each position)."""
    pairs = np.stack([left, right], axis=1)
    _, first, group = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    return first, group.reshape(-1)


def _sum_by(
    group: NDArray[np.int64], counts: NDArray[np.int64], row: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct groups ascending, sum of the count vectors of each)."""
    if not len(group):
        return group, np.zeros((0, counts.shape[1]), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sums: NDArray[np.int64] = np.add.reduceat(counts[row[order]], starts, axis=0)
    return ordered[starts], sums
