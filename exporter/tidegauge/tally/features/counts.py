"""Rows to counts of features, cell by cell: exact whole numbers, whatever the order of rows and however they are cut.

Rows are counted as they are logged: `count` is heeded, statistical weights are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import INVALID_NUMBER, Rows
from tidegauge.tally.features.binning import CategoricalBinner, NumericBinner, Workspace, is_number
from tidegauge.tally.features.layout import FIRST_BIN, UNIT_BITS, UNSEEN, Spot
from tidegauge.tally.features.schema import NumericBins, Schema
from tidegauge.tally.features.watched import FROM_CLASS, FROM_NUMBER, FROM_SCORE, NUMERIC, Watched, watched

BLOCK = 10_000
"""Rows that are worked on at once, so that the arrays between steps stay in the processor's cache."""
EXACT_ROWS = 1 << (53 - UNIT_BITS)
"""Up to so many rows, float64 holds every sum of units."""
DENSE = 2_000_000
"""Counts that are laid out at once."""

Value = float | str


@dataclass(frozen=True, slots=True)
class _Column:
    """A watched feature where its rows and its columns are."""

    watched: Watched
    spot: Spot
    binner: NumericBinner | CategoricalBinner


class FeatureCounter:
    """Counts the rows of one model in the bins of its features.

    `last` holds the last valid value of each feature that was seen of a version, by (version code, name): whether a
    feature varies shows over batches too. It is state: whoever saves counts saves it.

    A feature of the schema that the model does not watch, or as another kind, is not counted.
    """

    def __init__(self, schema: Schema, model: Model, last: Mapping[tuple[int, str], Value] | None = None) -> None:
        self.schema = schema
        self.last: dict[tuple[int, str], Value] = dict(last or {})
        bins = dict(zip(schema.names, zip(schema.features, schema.layout.spots, strict=True), strict=True))
        self._columns: list[_Column] = []
        for each in watched(model):
            found, spot = bins.get(each.name, (None, None))
            if found is None or spot is None or spot.numeric != (each.kind == NUMERIC):
                continue
            binner = NumericBinner(found) if isinstance(found, NumericBins) else CategoricalBinner(found)
            self._columns.append(_Column(each, spot, binner))
        self._workspace = Workspace(0)

    def forget(self, versions: Sequence[int]) -> None:
        """Drops what is remembered of versions whose codes may come to mean others."""
        gone = set(versions)
        self.last = {key: value for key, value in self.last.items() if key[0] not in gone}

    def accumulate(
        self,
        rows: Rows,
        local: NDArray[np.int64],
        cells: int,
        versions: NDArray[np.integer],
        classes: Sequence[str] = (),
    ) -> NDArray[np.int64]:
        """Counts of rows, shape (cells, schema.columns).

        local (n,): the cell of each row, -1 where it has none; versions (cells,): the version code of each cell, by
        which `last` goes; classes: texts of the codes in `rows.predicted`.
        """
        parts = [counts for _, counts in self.parts(rows, local, cells, versions, classes)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def parts(
        self,
        rows: Rows,
        local: NDArray[np.int64],
        cells: int,
        versions: NDArray[np.integer],
        classes: Sequence[str] = (),
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The same in parts of consecutive cells, (first cell, counts), so that many cells need little memory."""
        if len(local) and int(local.min()) < 0:
            inside = np.flatnonzero(local >= 0)
            rows, local = rows.take(inside), local[inside]
        most = max(1, DENSE // max(1, self.schema.columns))
        if cells <= most:
            yield 0, self._counts(rows, local, versions, classes)
            return
        order = np.argsort(local, kind="stable")
        firsts = range(0, cells, most)
        cuts = [*np.searchsorted(local[order], np.array(firsts)).tolist(), len(order)]
        for number, first in enumerate(firsts):
            some = order[cuts[number] : cuts[number + 1]]
            yield first, self._counts(rows.take(some), local[some] - first, versions[first : first + most], classes)

    def _counts(
        self, rows: Rows, local: NDArray[np.int64], versions: NDArray[np.integer], classes: Sequence[str]
    ) -> NDArray[np.int64]:
        total = np.zeros((len(versions), self.schema.columns), dtype=np.int64)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, min(start + BLOCK, len(rows)))
            size = block.stop - block.start
            if size > self._workspace.rows:
                self._workspace = Workspace(size)
            _Block(self, rows, block, local[block], versions, classes).add_to(total)
        return total


class _Block:
    """Some rows while they are counted."""

    def __init__(
        self,
        counter: FeatureCounter,
        rows: Rows,
        block: slice,
        local: NDArray[np.int64],
        versions: NDArray[np.integer],
        classes: Sequence[str],
    ) -> None:
        self._last, self._workspace, self._features = counter.last, counter._workspace, counter._columns
        self._rows, self._block, self._local, self._classes = rows, block, local, classes
        self._cells = len(versions)
        self._count = None if rows.count is None else rows.count[block]
        self._float_count: NDArray[np.float64] | None = None
        if self._count is not None and int(self._count.sum()) < EXACT_ROWS:
            self._float_count = self._count.astype(np.float64)
        self._starts: dict[int, NDArray[np.intp]] = {}
        # The cells that have rows, by version and then by their last row; and the last row of each version.
        final = np.full(self._cells, -1, dtype=np.int64)
        final[local] = np.arange(len(local))  # of equal places the last one holds
        used = np.flatnonzero(final >= 0)
        self._used = used[np.lexsort((final[used], versions[used]))]
        self._version = versions[self._used].astype(np.int64)
        self._ends = dict(zip(self._version.tolist(), final[self._used].tolist(), strict=True))

    def add_to(self, total: NDArray[np.int64]) -> None:
        for column in self._features:
            if isinstance(column.binner, NumericBinner):
                self._add_numbers(total, column.watched, column.spot, column.binner)
            else:
                self._add_categories(total, column.watched, column.spot, column.binner)

    def _add_numbers(self, total: NDArray[np.int64], feature: Watched, spot: Spot, binner: NumericBinner) -> None:
        x = self._numbers(feature)
        columns, units, constant = binner.columns(x, self._workspace)
        width = spot.bins_end - spot.start
        spots = self._spots(columns, width)
        counts = self._sum(spots, None, width)
        total[:, spot.start : spot.bins_end] += counts
        total[:, spot.bins_end : spot.end] += self._sum(spots, units, width)[:, FIRST_BIN:]
        self._add_varied(total, feature.name, spot, counts[:, FIRST_BIN:], _Numbers(x, constant))

    def _add_categories(
        self, total: NDArray[np.int64], feature: Watched, spot: Spot, binner: CategoricalBinner
    ) -> None:
        codes, texts = self._codes(feature)
        width = spot.end - spot.start
        counts = self._sum(self._spots(binner.columns(codes, texts, self._workspace), width), None, width)
        total[:, spot.start : spot.end] += counts
        self._add_varied(total, feature.name, spot, counts[:, UNSEEN:], _Texts(codes, texts))

    def _numbers(self, feature: Watched) -> NDArray[np.float64]:
        rows = self._rows
        if feature.source == FROM_NUMBER:
            if rows.features is None:
                return np.full(len(self._local), np.nan)
            return rows.features.numbers[feature.index, self._block]
        return (rows.score if feature.source == FROM_SCORE else rows.value)[self._block]

    def _codes(self, feature: Watched) -> tuple[NDArray[np.integer], Sequence[str]]:
        rows = self._rows
        if feature.source == FROM_CLASS:
            # Codes beyond the classes say that there is no answer.
            code = rows.predicted[self._block].astype(np.int16)
            code[code >= len(self._classes)] = -1
            return code, self._classes
        if rows.features is None:
            return np.full(len(self._local), -1, dtype=np.int32), ()
        column = rows.features.codes[feature.index]
        return column.codes[self._block], column.values

    def _spots(self, columns: NDArray[np.intp], width: int) -> NDArray[np.intp]:
        """Places in a table of (cells, width); `columns` is overwritten."""
        if self._cells > 1:
            starts = self._starts.get(width)
            if starts is None:
                starts = self._starts[width] = self._local.astype(np.intp) * width
            columns += starts
        return columns

    def _sum(self, spots: NDArray[np.intp], units: NDArray[np.float64] | None, width: int) -> NDArray[np.int64]:
        """Sum of counts, or of units by counts, shape (cells, width); exact."""
        size = self._cells * width
        if self._count is None:
            sums = np.bincount(spots, weights=units, minlength=size)
        elif self._float_count is not None:
            weights = self._float_count if units is None else units * self._float_count
            sums = np.bincount(spots, weights=weights, minlength=size)
        else:
            sums = np.zeros(size, dtype=np.int64)
            np.add.at(sums, spots, self._count if units is None else units.astype(np.int64) * self._count)
        return sums.reshape(self._cells, width).astype(np.int64, copy=False)

    def _add_varied(
        self, total: NDArray[np.int64], name: str, spot: Spot, bins: NDArray[np.int64], values: _Numbers | _Texts
    ) -> None:
        """Adds 1 to cells whose values differ among themselves or from what came before; notes the last ones.

        bins: the counts of each cell. Values of different bins differ; only those of one bin must be looked at.
        """
        filled = np.add.reduce(bins != 0, axis=1)[self._used]
        varied = filled > 1
        if not (varied.all() and self._note_ends(name, values)):
            varied |= self._look_closer(name, np.flatnonzero(filled), values)
        total[self._used[varied], spot.varied] += 1

    def _note_ends(self, name: str, values: _Numbers | _Texts) -> bool:
        """Notes the last value of each version if its last row has one in all of them; says whether that is so."""
        ends: dict[tuple[int, str], Value] = {}
        for version, row in self._ends.items():
            value = values.value(row)
            if value is None:
                return False
            ends[version, name] = value
        self._last.update(ends)
        return True

    def _look_closer(self, name: str, found: NDArray[np.int64], values: _Numbers | _Texts) -> NDArray[np.bool_]:
        """Which used cells, of those `found` to have values, hold one that differs from the one before it."""
        varied = np.zeros(len(self._used), dtype=np.bool_)
        if not len(found):
            return varied
        codes = values.codes
        # The last valid row of each cell, and whether a valid one of the same cell differs from it.
        rows = np.flatnonzero(values.valid())
        cell = self._local[rows]
        final = np.full(self._cells, -1, dtype=np.int64)
        final[cell] = rows
        differs = np.zeros(self._cells, dtype=np.bool_)
        if not values.constant:
            differs[cell[codes[rows] != codes[final[cell]]]] = True
        row, version = final[self._used[found]], self._version[found]
        begins = np.append(True, version[1:] != version[:-1])
        moved = np.append(False, codes[row[1:]] != codes[row[:-1]])
        for place in np.flatnonzero(begins).tolist():
            before = self._last.get((int(version[place]), name))
            moved[place] = before is not None and before != values.value(int(row[place]))
        varied[found] = moved | differs[self._used[found]]
        for place in np.flatnonzero(np.append(begins[1:], True)).tolist():
            value = values.value(int(row[place]))
            if value is not None:
                self._last[int(version[place]), name] = value
        return varied


class _Numbers:
    """Numbers of rows, to see whether they vary."""

    def __init__(self, x: NDArray[np.float64], constant: bool) -> None:
        self.codes = x
        self.constant = constant

    def valid(self) -> NDArray[np.bool_]:
        return is_number(self.codes)

    def value(self, row: int) -> Value | None:
        number = float(self.codes[row])
        return number if INVALID_NUMBER < number < math.inf else None


class _Texts:
    """The same for texts, told apart by their codes."""

    constant = False

    def __init__(self, codes: NDArray[np.integer], texts: Sequence[str]) -> None:
        self.codes = codes
        self._texts = texts

    def valid(self) -> NDArray[np.bool_]:
        return self.codes >= 0

    def value(self, row: int) -> Value | None:
        code = int(self.codes[row])
        return self._texts[code] if code >= 0 else None
