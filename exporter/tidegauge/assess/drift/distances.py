"""How far two distributions over the same bins are apart: each statistic by the definition that people know.

Pure functions of counts. Arrays have the shape (..., F, W): F features, W bins, zero-padded; leading axes broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import ratio

Flags = NDArray[np.bool_]

JEFFREYS: Final = 0.5  # added to each bin where one side alone is empty


@dataclass(frozen=True, slots=True)
class Axes:
    """What the bins of the features are."""

    real: Flags  # (F, W): the place is a bin, not padding; the last bin of a feature counts rows without a value
    ordered: Flags  # (F,): the bins are ascending ranges of a number
    bounds: Floats  # (F, W + 1): bin w of an ordered feature is [bounds[w], bounds[w + 1]); NaN or anything elsewhere

    def valued(self) -> Flags:
        """The bins (F, W) of rows that have a value: all but the last of each feature."""
        later = np.zeros_like(self.real)
        later[:, :-1] = self.real[:, 1:]
        return self.real & later


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows by feature and bin."""

    counts: Floats  # (..., F, W)
    sums: Floats  # (..., F, W): of the values in each bin, in the feature's units; 0 where it has none

    def size(self) -> Floats:
        """Rows of each feature (..., F), those without a value too."""
        rows: Floats = self.counts.sum(axis=-1)
        return rows


def proportions(counts: Floats) -> Floats:
    """The share of each bin; NaN where there are no rows."""
    return ratio(counts, counts.sum(axis=-1, keepdims=True))


def smoothed(current: Floats, reference: Floats) -> Flags:
    """Where (..., F) one side has an empty bin that the other fills, so that PSI adds 1/2."""
    lopsided: Flags = ((current > 0) != (reference > 0)).any(axis=-1)
    return lopsided


def stability_index(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """Population stability index, sum (p - q) ln(p / q): Jeffreys' divergence, in nats.

    Where one side has an empty bin that the other fills, 1/2 is added to every bin that either fills, on both sides.
    """
    now, then = np.broadcast_arrays(current.counts, reference.counts)
    more = JEFFREYS * (smoothed(now, then)[..., None] & ((now > 0) | (then > 0)))
    p, q = proportions(now + more), proportions(then + more)
    filled = p > 0
    logs = np.log(np.where(filled, p, 1.0)) - np.log(np.where(filled, q, 1.0))
    known = (now.sum(axis=-1) > 0) & (then.sum(axis=-1) > 0)
    return np.where(known, ((p - q) * logs).sum(axis=-1), np.nan)


def jensen_shannon(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """Jensen-Shannon distance: the root of the divergence to the mean of both, in bits; from 0 to 1."""
    p, q = proportions(current.counts), proportions(reference.counts)
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / 2
    distance: Floats = np.sqrt(np.maximum(divergence, 0.0) / math.log(2))
    return distance


def hellinger(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """Hellinger distance, the norm of sqrt(p) - sqrt(q) over sqrt(2); from 0 to 1."""
    p, q = proportions(current.counts), proportions(reference.counts)
    distance: Floats = np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2)
    return distance


def total_variation(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """Half the sum of |p - q|: the share of rows that would have to move."""
    distance: Floats = np.abs(proportions(current.counts) - proportions(reference.counts)).sum(axis=-1) / 2
    return distance


def l_infinity(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """The largest |p - q| of a bin."""
    distance: Floats = np.abs(proportions(current.counts) - proportions(reference.counts)).max(axis=-1)
    return distance


def kolmogorov_smirnov(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """The largest difference of the distribution functions at the edges of the bins; ordered features, values only."""
    distance: Floats = np.abs(_cumulative(current, axes) - _cumulative(reference, axes)).max(axis=-1)
    return np.where(axes.ordered, distance, np.nan)


def wasserstein(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """Area between the distribution functions, over the reference's standard deviation; ordered features, values only.

    Bin by bin, from counts and sums: exact unless the functions cross inside a bin, else a little less. The standard
    deviation is that between the means of the reference's bins. NaN where that is 0 and something moved.
    """
    below, above = _areas(current, axes), _areas(reference, axes)
    area = np.abs(below - above).sum(axis=-1)
    deviation = spread(reference, axes)
    return np.where(axes.ordered, np.where((area == 0) & (deviation == 0), 0.0, ratio(area, deviation)), np.nan)


def chi_squared(current: Sample, reference: Sample, axes: Axes) -> Floats:
    """Pearson's statistic of the two rows of counts (Pearson 1900), without a correction; it grows with the rows."""
    now, then = np.broadcast_arrays(current.counts, reference.counts)
    n, m = now.sum(axis=-1, keepdims=True), then.sum(axis=-1, keepdims=True)
    both = now + then
    share = np.nan_to_num(ratio(n, n + m))
    off = np.square(now - both * share)  # the same in both rows
    cells = np.nan_to_num(ratio(off, both * share)) + np.nan_to_num(ratio(off, both * (1 - share)))
    return np.where((n > 0)[..., 0] & (m > 0)[..., 0], cells.sum(axis=-1), np.nan)


def spread(reference: Sample, axes: Axes) -> Floats:
    """Standard deviation (..., F) between the means of the bins, of rows that have a value."""
    counts = np.where(axes.valued(), reference.counts, 0.0)
    total = counts.sum(axis=-1, keepdims=True)
    centre = ratio(np.where(axes.valued(), reference.sums, 0.0).sum(axis=-1, keepdims=True), total)
    off = np.where(counts > 0, ratio(reference.sums, counts) - centre, 0.0)
    deviation: Floats = np.sqrt(ratio((counts * np.square(off)).sum(axis=-1), total[..., 0]))
    return deviation


def edges(axes: Axes) -> tuple[Floats, Floats]:
    """Lower and upper bound of each bin (F, W), 0 where there is none: the outermost ones cancel."""
    lower = np.where(np.isfinite(axes.bounds[:, :-1]), axes.bounds[:, :-1], 0.0)
    upper = np.where(np.isfinite(axes.bounds[:, 1:]), axes.bounds[:, 1:], 0.0)
    return np.where(axes.valued(), lower, 0.0), np.where(axes.valued(), upper, 0.0)


def _cumulative(sample: Sample, axes: Axes) -> Floats:
    shares = proportions(np.where(axes.valued(), sample.counts, 0.0))
    function: Floats = np.cumsum(shares, axis=-1)
    return function


def _areas(sample: Sample, axes: Axes) -> Floats:
    """The integral of the distribution function over each bin; those of two samples differ by that of F - G.

    In a bin [a, b) it is b F(b) - a F(a) - (sum of its values) / n, by parts; what lies beyond the outermost bounds
    is within it.
    """
    valued = axes.valued()
    function = _cumulative(sample, axes)
    before = np.concatenate([np.zeros_like(function[..., :1]), function[..., :-1]], axis=-1)
    last = valued & ~np.concatenate([valued[:, 1:], np.zeros_like(valued[:, :1])], axis=-1)
    lower, upper = edges(axes)
    total = np.where(valued, sample.counts, 0.0).sum(axis=-1, keepdims=True)
    values = ratio(np.where(valued, sample.sums, 0.0), total)
    # At the end F is 1 in both samples: the bound there, which means nothing, has no weight.
    areas: Floats = np.where(last, 0.0, upper * function) - lower * before - values
    return areas


_OF: Final[dict[str, Callable[[Sample, Sample, Axes], Floats]]] = {
    "psi": stability_index,
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "total_variation": total_variation,
    "l_infinity": l_infinity,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein,
    "chi_squared": chi_squared,
}

STATISTICS: Final[tuple[str, ...]] = tuple(_OF)
"""The names of the statistics, as configured and as the label `statistic`."""


def distance(statistic: str, current: Sample, reference: Sample, axes: Axes) -> Floats:
    """The statistic of each feature (..., F); NaN where a side has no rows, or the statistic is not for such a feature.

    KeyError for a name that is not in STATISTICS.
    """
    return _OF[statistic](current, reference, axes)
