"""Where the counts of features lie among the columns of a cell, and where statistics find them.

Numbers: missing, invalid, non-finite, varied, then counts of bins 0 to B + 1, then their sums. Categories: missing,
invalid, varied, unseen, then counts of values and of hash buckets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSING, INVALID, NON_FINITE, NUMERIC_VARIED = range(4)
CATEGORICAL_VARIED, UNSEEN = 2, 3
FIRST_BIN = 4
UNIT_BITS = 30
"""Positions in a bin are summed in units of 2**-30 of its width: eight thousand million rows fit into a bin."""
OUTSIDE = 16.0
"""How far outside numbers are told apart, in ranges of the bins; outer bins are that wide."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Columns of one feature."""

    numeric: bool
    start: int
    bins: int  # first bin: of a number the one below the range, of a category the first value
    bins_end: int
    end: int

    @property
    def missing(self) -> int:
        return self.start + MISSING

    @property
    def invalid(self) -> int:
        return self.start + INVALID

    @property
    def non_finite(self) -> int:
        """Of a number."""
        return self.start + NON_FINITE

    @property
    def unseen(self) -> int:
        """Of a category."""
        return self.start + UNSEEN

    @property
    def varied(self) -> int:
        return self.start + (NUMERIC_VARIED if self.numeric else CATEGORICAL_VARIED)

    @property
    def valid(self) -> int:
        """First column of values, up to `bins_end`: an unseen category is a value too."""
        return self.bins if self.numeric else self.unseen


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of all features; arrays of shape (F, W) name columns, `columns` where there is none."""

    columns: int
    spots: tuple[Spot, ...]
    real: NDArray[np.bool_]
    ordered: NDArray[np.bool_]  # (F,)
    bounds: NDArray[np.float64]  # (F, W + 1)
    first: NDArray[np.int64]  # columns whose rows add up to those of a compared bin
    second: NDArray[np.int64]
    third: NDArray[np.int64]
    counted: NDArray[np.int64]  # a compared bin's numbers add up to anchor * counted + unit * summed,
    summed: NDArray[np.int64]
    anchor: NDArray[np.float64]
    unit: NDArray[np.float64]
    outer_counted: NDArray[np.int64]  # and the same of the bin outside the range that is added to it
    outer_summed: NDArray[np.int64]
    outer_anchor: NDArray[np.float64]
    outer_unit: NDArray[np.float64]


def lay_out(shapes: tuple[tuple[float, ...] | int, ...]) -> Layout:
    """Of features that are numbers with these edges, or categories with so many values and hash buckets."""
    spots: list[Spot] = []
    end = 0
    for shape in shapes:
        start, numeric = end, isinstance(shape, tuple)
        bins = len(shape) + 1 if isinstance(shape, tuple) else shape
        bins_end = start + FIRST_BIN + bins
        end = bins_end + (bins if numeric else 0)
        spots.append(Spot(numeric, start, start + FIRST_BIN, bins_end, end))
    width = max((_compared(shape) for shape in shapes), default=0)
    size = (len(shapes), width)
    columns = {name: np.full(size, end) for name in ("first", "second", "third", *_COLUMNS)}
    factors = {name: np.zeros(size) for name in _FACTORS}
    real, bounds = np.zeros(size, dtype=np.bool_), np.full((len(shapes), width + 1), np.nan)
    for number, (shape, spot) in enumerate(zip(shapes, spots, strict=True)):
        last = _compared(shape) - 1
        real[number, : last + 1] = True
        columns["first"][number, last] = spot.missing
        columns["second"][number, last] = spot.invalid
        if isinstance(shape, tuple):
            columns["third"][number, last] = spot.non_finite
            bounds[number, : last + 1] = _bounds(shape)
            _place_numbers(columns, factors, number, spot, shape)
        else:
            columns["first"][number, :shape] = spot.bins + np.arange(shape)
            columns["first"][number, shape] = spot.unseen
    ordered = np.array([spot.numeric for spot in spots], dtype=np.bool_)
    return Layout(
        end,
        tuple(spots),
        real,
        ordered,
        bounds,
        **columns,
        anchor=factors["anchor"],
        unit=factors["unit"],
        outer_anchor=factors["outer_anchor"],
        outer_unit=factors["outer_unit"],
    )


_COLUMNS = ("counted", "summed", "outer_counted", "outer_summed")
_FACTORS = ("anchor", "unit", "outer_anchor", "outer_unit")


def _compared(shape: tuple[float, ...] | int) -> int:
    """Compared bins of a feature."""
    if isinstance(shape, int):
        return shape + 2
    return 4 if len(shape) == 2 else len(shape)


def span(edges: tuple[float, ...]) -> float:
    """Width of the whole range; 1 for a constant."""
    return edges[-1] - edges[0] or 1.0


def _bounds(edges: tuple[float, ...]) -> tuple[float, ...]:
    return (edges[0] - span(edges), *edges, edges[-1] + span(edges)) if len(edges) == 2 else edges


def _place_numbers(
    columns: dict[str, NDArray[np.int64]],
    factors: dict[str, NDArray[np.float64]],
    number: int,
    spot: Spot,
    edges: tuple[float, ...],
) -> None:
    bins = spot.bins_end - spot.bins
    step = 2.0**-UNIT_BITS
    anchor = np.array([edges[0], *edges[:-1], edges[-1]])
    unit = np.array([-OUTSIDE * span(edges), *np.diff(edges), OUTSIDE * span(edges)]) * step
    apart = len(edges) == 2
    inside = np.arange(bins) if apart else np.arange(1, bins - 1)
    places = np.arange(len(inside))
    columns["first"][number, places] = columns["counted"][number, places] = spot.bins + inside
    columns["summed"][number, places] = spot.bins_end + inside
    factors["anchor"][number, places], factors["unit"][number, places] = anchor[inside], unit[inside]
    if apart:
        return
    ends, outside = np.array([places[0], places[-1]]), np.array([0, bins - 1])
    columns["second"][number, ends] = columns["outer_counted"][number, ends] = spot.bins + outside
    columns["outer_summed"][number, ends] = spot.bins_end + outside
    factors["outer_anchor"][number, ends], factors["outer_unit"][number, ends] = anchor[outside], unit[outside]
