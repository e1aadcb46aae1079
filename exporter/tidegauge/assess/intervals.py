"""Pointwise 95 % intervals from sums, vectorised; for looking at, never for paging.

Sample sizes may be effective ones, so they need not be whole. Where there are no rows an interval of a proportion is
[0, 1] and one of an unbounded mean is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from tidegauge.assess.counts import Floats, Moments
from tidegauge.assess.numeric import ROUNDING, floats, kish, ratio

LEVEL: Final = 0.95
Z: Final = float(ndtri(0.5 + LEVEL / 2))

Interval = tuple[Floats, Floats]


def wilson(proportion: ArrayLike, n: ArrayLike) -> Interval:
    """Wilson's score interval of a proportion seen over n rows (Wilson 1927, JASA 22:209; Newcombe 1998 method 3)."""
    p, size = np.broadcast_arrays(floats(proportion), floats(n))
    known = (size > 0) & np.isfinite(p)
    p, size = np.where(known, p, 0.5), np.where(known, size, 1.0)
    shrink = size / (size + Z * Z)
    centre = shrink * (p + Z * Z / (2 * size))
    half = shrink * Z * np.sqrt(np.maximum(p * (1 - p), 0) / size + (Z / (2 * size)) ** 2)
    return (
        np.where(known & (p > 0), np.clip(centre - half, 0, 1), 0.0),
        np.where(known & (p < 1), np.clip(centre + half, 0, 1), 1.0),
    )


@dataclass(frozen=True, slots=True)
class Proportion:
    """A weighted proportion with its interval and the effective number of rows under it."""

    value: Floats  # NaN where there are no rows
    lower: Floats
    upper: Floats
    samples: Floats
    numerator: Floats
    denominator: Floats


def proportion(success: Floats, success_squares: Floats, failure: Floats, failure_squares: Floats) -> Proportion:
    """Share of success from the sums of w and of w**2 of both sides, each of the same shape.

    Wilson's interval at the smaller of two effective sizes: Kish's, and that of the Hajek estimator's linearised
    variance sum w**2 (x - p)**2 / (sum w)**2 (Sarndal, Swensson, Wretman 1992, eq. 5.7.4). Unweighted they are the row
    count. Kish alone is too narrow where failures carry the large weights, Hajek alone where few rows carry most of
    the weight.
    """
    weight = success + failure
    value = ratio(success, weight)
    samples = kish(weight, success_squares + failure_squares)
    p = np.nan_to_num(value)
    spread = ratio(success_squares * (1 - p) ** 2 + failure_squares * p**2, weight**2)
    size = ratio(p * (1 - p), spread)
    lower, upper = wilson(value, np.where(size > 0, np.fmin(size, samples), samples))
    return Proportion(value, lower, upper, samples, success, weight)


def mover(values: Floats, lower: Floats, upper: Floats, weight: Floats, inflation: ArrayLike = 1.0) -> Interval:
    """Interval of a sum over the last axis of estimates times weights >= 0, from each one's own interval.

    MOVER (Zou and Donner 2008, Stat. Med. 27:1693, eq. 6), the general form of Newcombe's method 10. Unlike the delta
    method it stays wide where an estimate sits at the end of its range. inflation is the variance of the sum over that
    of the sum of independent estimates: 1 where they are independent.
    """
    centre = (weight * values).sum(axis=-1)
    below = np.sqrt(inflation * (weight**2 * (values - lower) ** 2).sum(axis=-1))
    above = np.sqrt(inflation * (weight**2 * (upper - values) ** 2).sum(axis=-1))
    return centre - below, centre + above


def mean(moments: Moments) -> Floats:
    """The weighted (Hajek) mean; NaN where there is no weight."""
    return ratio(moments.wl, moments.w)


def mean_variance(moments: Moments) -> Floats:
    """Variance of the weighted mean: sum w**2 (l - m)**2 / (sum w)**2 * k / (k - 1), k Kish's size; NaN unless k > 1.

    Unweighted this is s**2 / n with the unbiased s**2.
    """
    centre = np.nan_to_num(mean(moments))
    square_sum = moments.w2l2 - 2 * centre * moments.w2l + centre**2 * moments.w2
    size = kish(moments.w, moments.w2)
    correction = ratio(size, np.maximum(size - 1, 0))
    return ratio(np.maximum(square_sum, 0), moments.w**2) * correction


def student(samples: Floats) -> Floats:
    """Two-sided 95 % quantile of Student's t with samples - 1 degrees of freedom; NaN below two effective rows."""
    enough = samples >= 2 * (1 - ROUNDING)
    return np.where(enough, stdtrit(np.where(enough, samples - 1, 1.0), 0.5 + LEVEL / 2), np.nan)


def mean_interval(moments: Moments) -> Interval:
    """Student's t interval of the weighted mean; NaN below two effective rows."""
    half = student(kish(moments.w, moments.w2)) * np.sqrt(mean_variance(moments))
    return mean(moments) - half, mean(moments) + half


def loss_interval(moments: Moments, high: float = np.inf) -> Interval:
    """Interval of the mean of a loss in [0, high]: Student's t by the delta method on the logarithm of the mean.

    Losses are skewed to the right, so the plain interval misses above far more often than below; this one leans the
    right way and stays positive. Where the spread of the rows says nothing (fewer than two effective rows, or all
    equal) a loss with a finite range gets Wilson's interval, the widest that a mean in that range can need; one without
    has no upper end (NaN) from fewer than two effective rows.
    """
    centre, variance, size = mean(moments), mean_variance(moments), kish(moments.w, moments.w2)
    half = student(size) * np.where(centre > 0, ratio(np.sqrt(variance), centre), 0.0)
    lower, upper = centre * np.exp(-half), np.minimum(centre * np.exp(half), high)
    if np.isfinite(high):
        cautious_lower, cautious_upper = wilson(centre / high, size)
        told = (variance > 0) & np.isfinite(half)
        return np.where(told, lower, high * cautious_lower), np.where(told, upper, high * cautious_upper)
    return np.where(np.isnan(lower), 0.0, lower), upper
