"""R squared: the share of the labels' variance that the predictions explain, 1 - sum e**2 / sum (y - mean y)**2."""

from __future__ import annotations

from typing import Final

import numpy as np

from tidegauge.assess.counts import Estimates, Floats, RegressionCounts
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import student
from tidegauge.assess.numeric import kish, ratio

_ROUNDING: Final = 1e-13  # of the mean square: a smaller variance is what subtracting equal sums leaves


def label_variance(counts: RegressionCounts) -> Floats:
    """Variance of the labels over the rows (divisor sum of w), shape (S,); NaN where there are no rows."""
    weight = counts.error.w
    square = ratio(counts.label.wy2, weight)
    variance = square - ratio(counts.label.wy, weight) ** 2
    return np.where(variance > _ROUNDING * square, variance, np.where(np.isfinite(variance), 0.0, np.nan))


def r2(counts: RegressionCounts) -> Estimates:
    """Coefficient of determination, as scikit-learn's r2_score; at most 1, no lower limit.

    Delta method on log(1 - R2) = log of mean e**2 less log of the labels' variance v, whose row influence is
    e**2 / mean e**2 - (y - mean y)**2 / v; so the interval stays below 1. Unsupported where the labels do not vary; the
    interval is absent below two effective rows.
    """
    labels, weight = counts.label, counts.error.w
    centre = ratio(labels.wy, weight)
    variance = label_variance(counts)
    square = ratio(counts.squared_error.wl, weight)
    unexplained = ratio(square, variance)

    w2, w2e2, w2e4 = counts.error.w2, counts.squared_error.w2l, counts.squared_error.w2l2
    w2e2d2 = labels.w2e2y2 - 2 * centre * labels.w2e2y + centre**2 * w2e2
    w2d4 = (
        labels.w2y4
        - 4 * centre * labels.w2y3
        + 6 * centre**2 * labels.w2y2
        - 4 * centre**3 * labels.w2y
        + centre**4 * w2
    )
    influence = ratio(w2e4, square**2) - 2 * ratio(w2e2d2, square * variance) + ratio(w2d4, variance**2)
    size = kish(weight, w2)
    correction = ratio(size, np.maximum(size - 1, 0))
    error = np.sqrt(np.maximum(ratio(influence, weight**2) * correction, 0))
    half = student(size) * np.where(square > 0, error, 0.0)
    return estimate(1 - unexplained, 1 - unexplained * np.exp(half), 1 - unexplained * np.exp(-half), size)


def constant(counts: RegressionCounts) -> Floats:
    """Always the labels' mean: 0; NaN where the labels do not vary."""
    return np.where(label_variance(counts) > 0, 0.0, np.nan)
