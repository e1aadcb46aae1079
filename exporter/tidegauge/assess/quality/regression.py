"""Means of errors: mean error, MAE, RMSE, MAPE. The error of a row is its prediction less its label."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import Estimates, Floats, RegressionCounts
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import mean, mean_variance, student
from tidegauge.assess.numeric import kish, ratio
from tidegauge.assess.quality.means import mean_value
from tidegauge.assess.quality.probability import mean_loss
from tidegauge.assess.quality.r2 import label_variance


def mean_error(counts: RegressionCounts) -> Estimates:
    """Mean of the error, in the label's units; above 0 the model says too much. Student's t interval."""
    return mean_value(counts.error)


def mae(counts: RegressionCounts) -> Estimates:
    """Mean of the absolute error, in the label's units."""
    return mean_loss(counts.absolute_error)


def mape(counts: RegressionCounts) -> Estimates:
    """Mean of |error| / |label| as a fraction, over the rows whose label is not 0."""
    return mean_loss(counts.percentage_error)


def rmse(counts: RegressionCounts) -> Estimates:
    """Root of the mean squared error, in the label's units.

    Delta method on its logarithm (which keeps the interval above 0): standard error of the mean square over twice the
    mean square. numerator / denominator is the mean square; merge, divide, then take the root. The interval is absent
    below two effective rows.
    """
    moments = counts.squared_error
    square, size = mean(moments), kish(moments.w, moments.w2)
    half = student(size) * np.nan_to_num(ratio(np.sqrt(mean_variance(moments)), 2 * square))
    score = np.sqrt(square)
    return estimate(score, score * np.exp(-half), score * np.exp(half), size, moments.wl, moments.w)


def constant_rmse(counts: RegressionCounts) -> Floats:
    """Always the labels' mean: their standard deviation."""
    return np.sqrt(label_variance(counts))
