"""Means, rates and ratios of sums with their intervals: what several metrics and the signals are made of."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import Estimates, Moments, PairMoments
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import Z, mean, mean_interval, mean_variance, proportion, student, wilson
from tidegauge.assess.numeric import kish, ratio


def mean_value(moments: Moments) -> Estimates:
    """Mean of an unbounded quantity, in its own units. Student's t interval, absent below two effective rows."""
    lower, upper = mean_interval(moments)
    return estimate(mean(moments), lower, upper, kish(moments.w, moments.w2), moments.wl, moments.w)


def mean_share(moments: Moments) -> Estimates:
    """Mean of a quantity in [0, 1]: Wilson's interval at the number of yes-or-no rows that would tell as much.

    That number is m * p (1 - p) / s**2, m the effective number of rows and s**2 their spread (the design effect of
    Kish 1965, Survey Sampling, 8.2). WIDEST_SHARES rows as far apart as p allows are added to the spread, as near 0 and
    1 most samples lack the few rows that make it. Where the spread says nothing (fewer than two effective rows, or all
    equal): Wilson's interval over the rows, the widest that a mean in that range can need.
    """
    score, size = mean(moments), kish(moments.w, moments.w2)
    widest = score * (1 - score)
    spread = mean_variance(moments) * size
    told = np.isfinite(student(size)) & (spread > ROUNDED * widest)
    likely = (size * spread + WIDEST_SHARES * widest) / (size + WIDEST_SHARES)
    lower, upper = wilson(score, np.where(told, ratio(size * widest, likely), size))
    return estimate(score, lower, upper, size, moments.wl, moments.w)


def rate(moments: Moments) -> Estimates:
    """Share of the rows whose quantity is 1, where it is 1 or 0, with the interval of `proportion`."""
    share = proportion(moments.wl, moments.w2l, moments.w - moments.wl, moments.w2 - moments.w2l)
    return estimate(share.value, share.lower, share.upper, share.samples, share.numerator, share.denominator)


def ratio_of_sums(pairs: PairMoments) -> Estimates:
    """R = sum(w e) / sum(w n), for e >= 0, with the delta method's interval on its logarithm, Student's t.

    Variance of R: m / (m - 1) * sum w**2 (e - R n)**2 / (sum w n)**2, m the effective number of rows (Sarndal,
    Swensson, Wretman 1992, Model Assisted Survey Sampling, eq. 5.6.10). The logarithm leans to the right as sums of
    errors do. WIDEST_RATIOS rows are added that are as far off as R allows, wholly wrong or wholly right: errors come
    in clusters, and most samples lack the few worst ones. Above, it ends at 1 where the plain interval does. Where the
    rows do not differ (no error in any of them) the spread says nothing: Wilson's interval over the rows; absent below
    two effective rows and above a ratio of 1.
    """
    score = ratio(pairs.we, pairs.wn)
    size = kish(pairs.w, pairs.w2)
    residual = np.maximum(pairs.w2e2 - 2 * score * pairs.w2en + score**2 * pairs.w2n2, 0.0)
    even = residual <= ROUNDED * pairs.w2n2
    spread = ratio(size, np.maximum(size - 1, 0)) * residual
    likely = (size * spread + WIDEST_RATIOS * np.maximum(spread, score * (1 - score) * pairs.w2n2)) / (
        size + WIDEST_RATIOS
    )
    plain = student(size) * ratio(np.sqrt(spread), pairs.wn)
    half = student(size) * ratio(np.sqrt(likely), pairs.we)
    lower = score * np.exp(-half)
    # Of a few rows the exponential may be beyond all measure.
    upper = np.minimum(score * np.exp(np.minimum(half, LARGEST_HALF)), np.maximum(score + plain, 1.0))
    cautious = even & (score <= 1) & np.isfinite(student(size))
    cautious_lower, cautious_upper = wilson(np.minimum(score, 1.0), size)
    return estimate(
        score,
        np.where(cautious, cautious_lower, lower),
        np.where(cautious, cautious_upper, upper),
        size,
        pairs.we,
        pairs.wn,
    )


ROUNDED = 1e-12
"""A spread below this share of the widest is rounding."""
WIDEST_SHARES = Z * Z
"""As many rows as Wilson's interval itself draws the middle to."""
WIDEST_RATIOS = 2
LARGEST_HALF = 100.0
