"""Means, rates and ratios of sums with their intervals: what several metrics and the signals are made of."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import Estimates, Moments, PairMoments
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import mean, mean_interval, mean_variance, proportion, student, wilson
from tidegauge.assess.numeric import kish, ratio


def mean_value(moments: Moments) -> Estimates:
    """Mean of an unbounded quantity, in its own units. Student's t interval, absent below two effective rows."""
    lower, upper = mean_interval(moments)
    return estimate(mean(moments), lower, upper, kish(moments.w, moments.w2), moments.wl, moments.w)


def mean_share(moments: Moments) -> Estimates:
    """Mean of a quantity in [0, 1]. Student's t interval within [0, 1].

    Where the spread of the rows says nothing (fewer than two effective rows, or all equal): Wilson's interval, the
    widest that a mean in that range can need.
    """
    score, size = mean(moments), kish(moments.w, moments.w2)
    lower, upper = mean_interval(moments)
    cautious_lower, cautious_upper = wilson(score, size)
    told = np.isfinite(lower) & (mean_variance(moments) > 0)
    return estimate(
        score,
        np.where(told, np.maximum(lower, 0.0), cautious_lower),
        np.where(told, np.minimum(upper, 1.0), cautious_upper),
        size,
        moments.wl,
        moments.w,
    )


def rate(moments: Moments) -> Estimates:
    """Share of the rows whose quantity is 1, where it is 1 or 0, with the interval of `proportion`."""
    share = proportion(moments.wl, moments.w2l, moments.w - moments.wl, moments.w2 - moments.w2l)
    return estimate(share.value, share.lower, share.upper, share.samples, share.numerator, share.denominator)


def ratio_of_sums(pairs: PairMoments) -> Estimates:
    """R = sum(w e) / sum(w n) with the delta method's interval, Student's t, not below 0.

    Variance: m / (m - 1) * sum w**2 (e - R n)**2 / (sum w n)**2, m the effective number of rows (Sarndal, Swensson,
    Wretman 1992, Model Assisted Survey Sampling, eq. 5.6.10). Where the rows do not differ (no error in any of them)
    the spread says nothing: Wilson's interval over the rows; absent below two effective rows and above a ratio of 1.
    """
    score = ratio(pairs.we, pairs.wn)
    size = kish(pairs.w, pairs.w2)
    residual = np.maximum(pairs.w2e2 - 2 * score * pairs.w2en + score**2 * pairs.w2n2, 0.0)
    half = student(size) * ratio(np.sqrt(ratio(size, np.maximum(size - 1, 0)) * residual), pairs.wn)
    lower, upper = np.maximum(score - half, 0.0), score + half
    even = (residual <= ROUNDED * pairs.w2n2) & (score <= 1) & np.isfinite(half)
    cautious_lower, cautious_upper = wilson(np.minimum(score, 1.0), size)
    return estimate(
        score,
        np.where(even, cautious_lower, lower),
        np.where(even, cautious_upper, upper),
        size,
        pairs.we,
        pairs.wn,
    )


ROUNDED = 1e-12
"""A spread below this share of the lengths' squares is rounding."""
