"""The form of a measure: a mean of one loss a row, which can be compared and watched block by block.

A loss is the more the worse. A block gives, for each series, how many rows there were, the sum of their losses and the
sum of the squares. Where rows weigh differently these are the sums of as many equal rows as would tell as much (Kish's
effective size), so that total / n is the weighted mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats, Integers, Moments
from tidegauge.assess.numeric import kish, ratio
from tidegauge.join.rows import Rows

PROPORTION, BOUNDED, UNBOUNDED, RATIO = "proportion", "bounded", "unbounded", "ratio"
"""Losses that are 0 or 1; in [0, 1]; not negative; edits over lengths."""


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over a block, each array over `series`."""

    series: Integers
    n: Floats
    total: Floats
    squares: Floats
    plain_squares: Floats | None = None
    """Where losses may be negative: the squares of others with the same sum that may not, as watching needs them."""


@dataclass(frozen=True, slots=True)
class CappedSums:
    """The same with losses held at a cap, and how many were."""

    sums: LossSums
    clipped: Floats


@dataclass(frozen=True, slots=True)
class RowLosses:
    """Losses of the rows at `index`. `length`: the loss is `loss` edits on so much text, see `pseudo_losses`.

    `logged`: rows count as they are logged, without statistical weights, as in the sums of reports.
    """

    index: NDArray[np.int64]
    loss: Floats
    length: Floats | None = None
    logged: bool = False


class BlockSums:
    """A sealed block's counts by family, laid out over the series that have any."""

    def __init__(self, counts: Mapping[str, tuple[Integers, Integers]], room: int) -> None:
        """`room`: the classes that confusion matrices are laid out for."""
        self._counts = counts
        self.room = room
        found = [series for series, _ in counts.values()]
        self.series: Integers = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def family(self, name: str) -> Integers | None:
        """Sums of shape (series, columns); None where nothing was counted."""
        if name not in self._counts:
            return None
        series, sums = self._counts[name]
        aligned = np.zeros((len(self.series), sums.shape[1]), dtype=np.int64)
        aligned[np.searchsorted(self.series, series)] = sums
        return aligned


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is compared between versions, and watched if it comes from labels.

    The published value is offset + sign * mean loss; sign is -1 where more is better.
    """

    stream: str  # key of the slot whose blocks it reads; "" for what comes with the prediction
    channel: str  # the label; "" for signals and for what comes with the prediction
    metric: str  # the label
    kind: str
    sign: float
    offset: float
    sums: Callable[[BlockSums], LossSums | None]
    rows: Callable[[Rows], RowLosses] | None = None  # None: predictions are not kept that long
    capped: Callable[[BlockSums, float], CappedSums | None] | None = None  # where a cap needs no rows
    sizes: Callable[[BlockSums], Floats | None] | None = None  # (series, BINS): losses by half octave, without rows
    watched: bool = True  # for changes
    judged: bool = True  # it is known which way is good
    deciding: bool = True  # about the release
    margin: float | None = None  # None: by the baseline's loss
    definition: str = ""  # what a signal is made of; where it changes, losses are others

    @property
    def form(self) -> str:
        """What losses depend on: those of another form never add."""
        return f"{self.kind} {self.sign:g} {self.offset:g} {self.definition}".rstrip()

    def value(self, loss: float) -> float:
        """A mean loss in the metric's own units."""
        return self.offset + self.sign * loss


def of_proportion(
    series: Integers, wrong: Floats, wrong_squares: Floats, weight: Floats, weight_squares: Floats
) -> LossSums:
    """From the sums of w and w**2 of the rows that count against it, and of all of them."""
    n = kish(weight, weight_squares)
    total = np.nan_to_num(ratio(wrong, weight)) * n
    return LossSums(series, n, total, total)


def of_moments(series: Integers, moments: Moments, upside_down: float | None = None) -> LossSums:
    """From weighted moments of the loss; of 1 - score where the moments are a score's and `upside_down` is 1."""
    n = kish(moments.w, moments.w2)
    mean = np.nan_to_num(ratio(moments.wl, moments.w))
    square = np.nan_to_num(ratio(moments.w2l2, moments.w2))
    if upside_down is not None:
        square = upside_down**2 - 2 * upside_down * np.nan_to_num(ratio(moments.w2l, moments.w2)) + square
        mean = upside_down - mean
    return LossSums(series, n, mean * n, square * n)


def pseudo_losses(edits: Floats, length: Floats, weight: Floats) -> Floats:
    """Losses whose weighted mean is the ratio of the sums, and whose spread is the ratio's (the delta method's).

    y = R + (e - R n) / mean(n), with R the ratio of the sums (Sarndal, Swensson, Wretman 1992, section 5.7).
    """
    total = float((weight * length).sum())
    rate = float((weight * edits).sum()) / total if total > 0 else 0.0
    mean = total / float(weight.sum()) if len(weight) else 0.0
    spread: Floats = (edits - rate * length) / mean if mean > 0 else np.zeros(len(edits))
    return rate + spread
