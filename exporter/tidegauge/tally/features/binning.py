"""Which bin a value falls into, for many values at once: the hot path of everything that is told of features.

Placing compares every number with every edge. With the dozen edges that bins have, that is faster than a search, exact
for whatever a float can hold, and does not depend on where the edges lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.join.rows import INVALID_NUMBER
from tidegauge.tally.features.layout import FIRST_BIN, INVALID, MISSING, NON_FINITE, OUTSIDE, UNIT_BITS, UNSEEN, span
from tidegauge.tally.features.schema import CategoricalBins, NumericBins

COMPARED_EDGES = 48
"""Up to so many edges, comparing with all is faster than a binary search."""
REMEMBERED = 1 << 14
"""Texts of a feature whose column is kept at hand."""
_MOST_UNITS = float(1 << UNIT_BITS)


class Workspace:
    """Arrays for up to `rows` rows that are used again and again.

    What a binner returns lies in them until it is called next.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._above = np.empty(COMPARED_EDGES * rows, dtype=np.bool_)
        self._few = np.empty(rows, dtype=np.int8)
        self._places = np.empty(rows, dtype=np.intp)
        self._units = np.empty(rows, dtype=np.float64)
        self._ends = np.empty(rows, dtype=np.complex128)

    def above(self, edges: int, rows: int) -> NDArray[np.bool_]:
        return self._above[: edges * rows].reshape(edges, rows)

    def few(self, rows: int) -> NDArray[np.int8]:
        return self._few[:rows]

    def places(self, rows: int) -> NDArray[np.intp]:
        return self._places[:rows]

    def units(self, rows: int) -> NDArray[np.float64]:
        return self._units[:rows]

    def ends(self, rows: int) -> NDArray[np.complex128]:
        return self._ends[:rows]


class NumericBinner:
    """Places numbers in the bins of one feature."""

    def __init__(self, bins: NumericBins) -> None:
        edges = bins.edges
        self._low, self._high = edges[0], edges[-1]
        # What is above the last edge is at least the next float.
        self._starts = np.array([*edges[:-1], np.nextafter(edges[-1], np.inf)])
        self._column = np.ascontiguousarray(self._starts[:, np.newaxis])
        self._anchor = np.array([edges[0], *edges[:-1], edges[-1]])
        self._width = np.array([-OUTSIDE * span(edges), *np.diff(edges), OUTSIDE * span(edges)])
        self._width[self._width == 0.0] = 1.0  # a constant: its position is always 0
        with np.errstate(over="ignore"):
            per_unit = _MOST_UNITS / self._width
        self._divides = not bool(np.isfinite(per_unit).all())
        # One look-up finds both, where the bin begins and how many units a number is worth there.
        self._ends = np.empty(len(self._anchor), dtype=np.complex128)
        self._ends.real, self._ends.imag = self._anchor, per_unit

    def place(self, x: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """(bin, position in it) of finite numbers, shape (n,).

        The position counts from the lower edge of the bin, 1 being its width. Outside the range it is the distance
        from it, 1 being 16 ranges, and no more than 1.
        """
        workspace = Workspace(len(x))
        bins = self._locate(x, workspace)
        return bins, self._any_units(x, bins, workspace) / _MOST_UNITS

    def columns(
        self, x: NDArray[np.float64], workspace: Workspace
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], bool]:
        """(column in the feature's columns, position in whole units, whether all rows hold the same number).

        `x` holds at least one row, and may hold anything: what is no number has its own columns, and no units.
        """
        low, high = float(x.min()), float(x.max())
        columns = self._locate(x, workspace)
        if self._low <= low and high <= self._high:
            units = self._units(x, columns, workspace)
            columns += FIRST_BIN
            return columns, np.rint(units, out=units), low == high
        units = self._any_units(x, columns, workspace)
        columns += FIRST_BIN
        if not (low > INVALID_NUMBER and high < np.inf):  # or there is a NaN, which is neither
            bad = np.flatnonzero(~is_number(x))
            columns[bad] = np.where(np.isnan(x[bad]), MISSING, np.where(np.isinf(x[bad]), NON_FINITE, INVALID))
            units[bad] = 0.0
        return columns, np.rint(units, out=units), low == high

    def _locate(self, x: NDArray[np.float64], workspace: Workspace) -> NDArray[np.intp]:
        """Number of bins that begin at or below each number; anything for a NaN."""
        places = workspace.places(len(x))
        if len(self._starts) > COMPARED_EDGES:
            places[:] = np.searchsorted(self._starts, x, side="right")
            return places
        above = np.greater_equal(x, self._column, out=workspace.above(len(self._starts), len(x)))
        places[:] = np.add.reduce(above.view(np.int8), axis=0, out=workspace.few(len(x)))
        return places

    def _units(self, x: NDArray[np.float64], bins: NDArray[np.intp], workspace: Workspace) -> NDArray[np.float64]:
        """Positions of numbers in the range in units of 2**-30 of their bins, not yet rounded."""
        units = workspace.units(len(x))
        if self._divides:
            # Bins so narrow that a float cannot hold how many units a number is worth there.
            np.subtract(x, self._anchor[bins], out=units)
            np.divide(units, self._width[bins], out=units)
            return np.multiply(units, _MOST_UNITS, out=units)
        # The default mode of `take` would buffer; bins are in range.
        ends = np.take(self._ends, bins, out=workspace.ends(len(x)), mode="clip")
        np.subtract(x, ends.real, out=units)
        return np.multiply(units, ends.imag, out=units)

    def _any_units(self, x: NDArray[np.float64], bins: NDArray[np.intp], workspace: Workspace) -> NDArray[np.float64]:
        """The same of anything; those of what is no number mean nothing."""
        with np.errstate(over="ignore", invalid="ignore"):
            units = self._units(x, bins, workspace)
        return np.minimum(units, _MOST_UNITS, out=units)


class CategoricalBinner:
    """Places texts in the bins of one feature."""

    def __init__(self, bins: CategoricalBins) -> None:
        self._named = {value: FIRST_BIN + number for number, value in enumerate(bins.values)}
        self._known = None if bins.known is None else frozenset(bins.known)
        self._first, self._hashed = FIRST_BIN + len(bins.values), bins.hashed
        self._remembered = dict(self._named)

    def columns(self, codes: NDArray[np.integer], texts: Sequence[str], workspace: Workspace) -> NDArray[np.intp]:
        """Columns of rows whose code is the place of their text; -1: missing, -2: of a wrong type."""
        # Negative codes wrap to the end of the table.
        table = np.array([*self._table(texts), INVALID, MISSING], dtype=np.intp)
        return np.take(table, codes, out=workspace.places(len(codes)), mode="wrap")

    def _table(self, texts: Sequence[str]) -> list[int]:
        """The column of each text."""
        known = list(map(self._remembered.get, texts))
        if None not in known:
            return [column for column in known if column is not None]
        if len(self._remembered) > REMEMBERED:
            self._remembered = dict(self._named)
        missing = [text for text, column in zip(texts, known, strict=True) if column is None]
        new = dict(zip(missing, self._unnamed(missing), strict=True))
        if len(new) <= REMEMBERED:
            self._remembered.update(new)
        return [new[text] if column is None else column for text, column in zip(texts, known, strict=True)]

    def _unnamed(self, texts: list[str]) -> list[int]:
        """Columns of texts that have no bin of their own."""
        if not self._hashed:
            return [UNSEEN] * len(texts)
        first, hashed, known = self._first, self._hashed, self._known
        numbers = map(hash_of, texts)
        if known is None:
            return [first + number % hashed for number in numbers]
        return [first + number % hashed if number in known else UNSEEN for number in numbers]


def is_number(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values of a feature are finite numbers, as decode gives them."""
    return (x > INVALID_NUMBER) & (x < np.inf)


def hash_of(text: str) -> int:
    """By which a category without a bin of its own is known: XXH3, 64 bits, of its UTF-8."""
    try:
        return xxhash.xxh3_64_intdigest(text.encode())
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can hold.
        return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
