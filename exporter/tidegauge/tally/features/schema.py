"""The bins of a model's features and the int64 columns in which rows are counted in them.

Bins belong to the model, never to a version or a reference, so that all of them compare bin by bin. Sums of numbers are
kept by bin as whole numbers: positions within the bin, in units of 2**-30 of its width, so that they add up exactly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.tally.features.layout import Layout, lay_out

LARGEST_EDGE = 1e140
"""Edges lie within this, so that sums over bins, and their squares, are finite."""
MOST_NAMED = 30
"""Categories that have a bin of their own."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class NumericBins:
    """Bins of a number: 0 below `edges[0]`; i of 1 to B `[edges[i - 1], edges[i])`, the last one closed; B + 1 above.

    B + 1 edges, ascending; two that are equal are a constant. Raises ValueError if they are something else.
    """

    name: str
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = self.edges
        if len(edges) < 2:
            raise ValueError(f"{self.name!r}: {len(edges)} edges; there must be at least 2")
        if not all(-LARGEST_EDGE <= edge <= LARGEST_EDGE for edge in edges):
            raise ValueError(f"{self.name!r}: edges must be numbers from {-LARGEST_EDGE:g} to {LARGEST_EDGE:g}")
        ascending = all(low < high for low, high in pairwise(edges))
        if not (ascending or (len(edges) == 2 and edges[0] == edges[1])):
            raise ValueError(f"{self.name!r}: edges must ascend; only two edges of a constant may be equal")

    @property
    def inner(self) -> int:
        """B: the bins between the first edge and the last."""
        return len(self.edges) - 1


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """Bins of a category: one a named value, then hash buckets for values that are known or may be without a name.

    A value without a bin of its own falls into bucket xxh3_64(text) % hashed if its hash is in `known`, or if `known`
    is None, which means that there are too many values to tell which are new; otherwise it is unseen. Raises
    ValueError where that makes no sense.
    """

    name: str
    values: tuple[str, ...]  # at most MOST_NAMED
    hashed: int = 0  # buckets
    known: tuple[int, ...] | None = ()  # hashes, ascending
    new: float = 0.0  # share of rows to be expected with a value that is unseen; see `learn_categorical`

    def __post_init__(self) -> None:
        if not 0.0 <= self.new <= 1.0:
            raise ValueError(f"{self.name!r}: the share of new categories must be from 0 to 1")
        if len(set(self.values)) != len(self.values) or len(self.values) > MOST_NAMED:
            raise ValueError(f"{self.name!r}: named categories must be at most {MOST_NAMED}, and distinct")
        if self.hashed < 0 or (not self.hashed and self.known != ()):
            raise ValueError(f"{self.name!r}: known hashes need buckets to fall into")
        if self.known is not None and list(self.known) != sorted(set(self.known)):
            raise ValueError(f"{self.name!r}: known hashes must ascend")


Bins = NumericBins | CategoricalBins


@dataclass(frozen=True, slots=True)
class Schema:
    """The bins of all watched features of a model, and how arrays of counts in them are read.

    Arrays of counts have the shape (..., columns) and are integers. F features, W places for bins each: those of the
    feature that has most; what is beyond a feature's own bins is zero.
    """

    features: tuple[Bins, ...]
    id: str = field(init=False)
    """Names what the columns mean; counts of schemas with different ids never add. The same in every process."""
    layout: Layout = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len({bins.name for bins in self.features}) != len(self.features):
            raise ValueError("two features have the same name")
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        object.__setattr__(self, "id", xxhash.xxh3_64_hexdigest(canonical.encode()))
        shapes = (
            bins.edges if isinstance(bins, NumericBins) else len(bins.values) + bins.hashed for bins in self.features
        )
        object.__setattr__(self, "layout", lay_out(tuple(shapes)))

    # ---------------------------------------------------------------- what there is

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(bins.name for bins in self.features)

    @property
    def columns(self) -> int:
        """int64 columns of a cell."""
        return self.layout.columns

    @property
    def real(self) -> NDArray[np.bool_]:
        """(F, W): which places are bins of their feature, "unseen" and "none" included."""
        return self.layout.real

    @property
    def ordered(self) -> NDArray[np.bool_]:
        """(F,): which features are numbers."""
        return self.layout.ordered

    @property
    def bounds(self) -> NDArray[np.float64]:
        """(F, W + 1): edges of the compared bins of numbers, NaN beyond and for categories.

        What is below the first edge or above the last belongs to the first bin and the last. Of a constant, which has
        a bin below and one above, the outer bounds are one unit of its range away.
        """
        return self.layout.bounds

    @property
    def bin_names(self) -> tuple[tuple[str, ...], ...]:
        """For each feature the names of its compared bins, distinct: `03 [1.5, 3.2)`, a category, `other 07`."""
        return tuple(
            _numeric_names(bins) if isinstance(bins, NumericBins) else _categorical_names(bins)
            for bins in self.features
        )

    # ---------------------------------------------------------------- reading counts

    def compared(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """(..., F, W): rows in each bin that statistics compare, as whole numbers.

        Of a number: its bins, those outside the range added to the outermost (a constant keeps them apart); of a
        category: values, hash buckets, unseen. Then "none": missing, of a wrong type or not finite.
        """
        layout, padded = self.layout, _padded(counts)
        total = padded[..., layout.first] + padded[..., layout.second] + padded[..., layout.third]
        return total.astype(np.float64)

    def sums(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """(..., F, W): sum of the numbers in each compared bin; 0 for categories and "none"."""
        layout, padded = self.layout, _padded(counts).astype(np.float64)
        inside = layout.anchor * padded[..., layout.counted] + layout.unit * padded[..., layout.summed]
        outside = (
            layout.outer_anchor * padded[..., layout.outer_counted]
            + layout.outer_unit * padded[..., layout.outer_summed]
        )
        total: NDArray[np.float64] = inside + outside
        return total

    def conditions(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """(..., F, 6): rows by CONDITIONS. All but out_of_range, which is valid too, add up to the rows."""
        layout = self.layout
        found = np.zeros((*counts.shape[:-1], len(self.features), len(CONDITIONS)), dtype=np.int64)
        for number, spot in enumerate(layout.spots):
            place = found[..., number, :]
            place[..., 0] = counts[..., spot.bins : spot.bins_end].sum(axis=-1)
            place[..., 1] = counts[..., spot.missing]
            place[..., 4] = counts[..., spot.invalid]
            if spot.numeric:
                place[..., 3] = counts[..., spot.bins] + counts[..., spot.bins_end - 1]
                place[..., 5] = counts[..., spot.non_finite]
            else:
                place[..., 2] = counts[..., spot.unseen]
        return found

    def expecting_new(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Counts (columns,) of the rows that the bins come from, with as many unseen as others are to have.

        None of these rows was unseen, by the making of the bins. Those that are to be stand for rare ones, which hash
        buckets hold alike.
        """
        found = counts.copy()
        for bins, spot in zip(self.features, self.layout.spots, strict=True):
            if isinstance(bins, NumericBins) or not bins.hashed:
                continue
            rows, first = int(counts[spot.unseen : spot.bins_end].sum()), spot.bins + len(bins.values)
            held = np.cumsum(counts[first : spot.bins_end])
            more = min(round(bins.new * rows) - int(counts[spot.unseen]), int(held[-1]))
            if more > 0:
                taken = np.diff(held * more // held[-1], prepend=0)
                found[first : spot.bins_end] -= taken
                found[spot.unseen] += more
        return found

    @property
    def new(self) -> NDArray[np.float64]:
        """(F,): share of rows to be expected with a category that is unseen; 0 for numbers."""
        return np.array([0.0 if isinstance(bins, NumericBins) else bins.new for bins in self.features])

    def varied(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(..., F): whether two different values were seen."""
        found = np.zeros((*counts.shape[:-1], len(self.features)), dtype=np.bool_)
        for number, spot in enumerate(self.layout.spots):
            filled = np.count_nonzero(counts[..., spot.valid : spot.bins_end], axis=-1)
            found[..., number] = (counts[..., spot.varied] > 0) | (filled > 1)
        return found

    # ---------------------------------------------------------------- saving

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; `from_json` gives an equal schema."""
        return {"format": FORMAT, "features": [_bins_to_json(bins) for bins in self.features]}

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Schema:
        """Raises ValueError if this is no schema."""
        try:
            if saved["format"] != FORMAT:
                raise ValueError(f"format {saved['format']!r}; only {FORMAT} can be read")
            return Schema(tuple(_bins_from_json(bins) for bins in saved["features"]))
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"no schema of features: {fault!r}") from fault


CONDITIONS = ("valid", "missing", "unseen", "out_of_range", "invalid", "non_finite")
UNSEEN, NO_VALUE = "unseen", "none"


def _padded(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """With a column of zeros at the end, for places that have fewer columns to add."""
    return np.concatenate([counts, np.zeros((*counts.shape[:-1], 1), dtype=counts.dtype)], axis=-1)


def _numeric_names(bins: NumericBins) -> tuple[str, ...]:
    inner = [f"{edge:.4g}" for edge in (bins.edges if bins.inner == 1 else bins.edges[1:-1])]
    ends = ["-inf", *inner, "+inf"]
    names = [
        f"{number:02d} {'(' if number == 1 else '['}{low}, {high})"
        for number, (low, high) in enumerate(pairwise(ends), 1)
    ]
    if bins.inner == 1:
        # The last bin begins above the last edge.
        names[1], names[2] = f"02 [{inner[0]}, {inner[1]}]", f"03 ({inner[1]}, +inf)"
    return (*names, NO_VALUE)


def _categorical_names(bins: CategoricalBins) -> tuple[str, ...]:
    made = [*(f"other {bucket:02d}" for bucket in range(bins.hashed)), UNSEEN, NO_VALUE]
    taken, names = {*made, *bins.values}, []
    for value in bins.values:
        name = value
        if value in made:
            # A category may be called as Tidegauge calls a bin.
            while name in taken:
                name = f'"{name}"'
            taken.add(name)
        names.append(name)
    return (*names, *made)


def _bins_to_json(bins: Bins) -> dict[str, Any]:
    if isinstance(bins, NumericBins):
        # Without -0.0, so that equal edges have equal texts.
        return {"name": bins.name, "edges": [edge + 0.0 for edge in bins.edges]}
    known = None if bins.known is None else list(bins.known)
    return {"name": bins.name, "values": list(bins.values), "hashed": bins.hashed, "known": known, "new": bins.new}


def _bins_from_json(saved: Mapping[str, Any]) -> Bins:
    name = _text(saved["name"])
    if "edges" in saved:
        return NumericBins(name, tuple(_number(edge) for edge in saved["edges"]))
    known = saved["known"]
    return CategoricalBins(
        name,
        tuple(_text(value) for value in saved["values"]),
        _whole(saved["hashed"]),
        None if known is None else tuple(_whole(value) for value in known),
        _number(saved["new"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return value
