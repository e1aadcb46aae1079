"""The values that are published: a family and the columns of its samples.

Everything here is immutable data; assess and pipeline build it, render turns it into text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

KINDS = ("gauge", "counter", "histogram")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family, as the catalogue lists it."""

    name: str  # sample name in full: a counter's ends in _total, a histogram's has no _bucket
    kind: str  # one of KINDS
    help: str
    labels: tuple[str, ...]  # label names in the order of a row; a histogram's leave out le


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of a gauge or counter family; a value of NaN stands for "unknown" and is left out when rendered."""

    family: Family
    rows: Sequence[tuple[str, ...]]  # label values in the family's order; no two rows of a page are equal
    values: Sequence[float] | NDArray[Any]  # one a row; any real dtype

    @property
    def series(self) -> int:
        """Number of series that these samples become at most."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class HistogramSamples:
    """Samples of a histogram family; a row whose sum is NaN is left out when rendered."""

    family: Family
    bounds: tuple[float, ...]  # ascending upper bounds, without +Inf; the same for all rows of the family
    rows: Sequence[tuple[str, ...]]
    counts: NDArray[Any]  # integers [rows, bounds + 1], a bucket each, NOT cumulative
    sums: NDArray[Any]  # real [rows]

    @property
    def series(self) -> int:
        """Number of series: the buckets with +Inf, _sum and _count of each row."""
        return len(self.rows) * (len(self.bounds) + 3)


AnySamples = Samples | HistogramSamples
