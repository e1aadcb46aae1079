"""Calibration: how far stated probabilities are from observed shares, in 15 groups of equal width.

Binary: the score and the share of positives; multiclass: the probability of the predicted class and the share of right
answers (top-label calibration).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats
from tidegauge.assess.estimates import estimate, unsupported
from tidegauge.assess.intervals import Z
from tidegauge.assess.numeric import kish, ratio
from tidegauge.assess.quality.histogram import inefficiency, squared_weights

GROUPS: Final = 15


@dataclass(frozen=True, slots=True)
class CalibrationBins:
    """The reliability diagram's sums, each (S, GROUPS); group g holds probabilities from g/15 up to (g + 1)/15."""

    weight: Floats  # sum of w
    probability: Floats  # sum of w * probability
    positive: Floats  # sum of w over the positives (or right answers)
    squares: Floats  # sum of w**2


def calibration_bins(counts: ClassificationCounts) -> CalibrationBins | None:
    """The counts' bins added up to groups; None where no scores are recorded."""
    if counts.score_bins is None or counts.score_sum is None:
        return None
    bins = counts.score_bins
    n, w, w2 = (part.sum(axis=(1, 2)).astype(np.float64)[:, None] for part in (counts.n, counts.w, counts.w2))
    both = bins.sum(axis=1, keepdims=True)
    rows = None if counts.score_bins_n is None else counts.score_bins_n.sum(axis=1, keepdims=True)
    squares = squared_weights(both, rows, inefficiency(n, w, w2))

    def grouped(values: Floats) -> Floats:
        sums: Floats = values.reshape(len(values), GROUPS, -1).sum(axis=2)
        return sums

    return CalibrationBins(
        weight=grouped(both[:, 0]),
        probability=grouped(counts.score_sum),
        positive=grouped(bins[:, 1]),
        squares=grouped(squares[:, 0]),
    )


def noise_floor(counts: ClassificationCounts) -> Floats:
    """The calibration error to expect of perfectly calibrated scores on as many rows, shape (S,); NaN without rows.

    sqrt(2/pi) * sum over groups of sqrt(sum w**2 * p (1 - p)) / sum w, p the group's mean probability (the mean of a
    folded normal). Less for a group whose probabilities differ much, so it errs upwards.
    """
    groups = calibration_bins(counts)
    if groups is None:
        return np.full(len(counts.w), np.nan)
    stated = np.nan_to_num(ratio(groups.probability, groups.weight))
    deviation = np.sqrt(groups.squares * np.clip(stated * (1 - stated), 0, None))
    return ratio(np.sqrt(2 / np.pi) * deviation.sum(axis=1), groups.weight.sum(axis=1))


def calibration_error(counts: ClassificationCounts) -> Estimates:
    """Expected calibration error: sum over groups of |positives - probabilities| / sum of w (Naeini et al. 2015, AAAI).

    The score is the plain one, which noise alone makes positive (see `noise_floor`); the interval accounts for that
    and is of the error of the groups' true shares. With d the groups' signed gaps and D the sum of their absolute
    errors: the score exceeds the truth by at most D, so lower = score - 97.5 % point of D (mean and spread of folded
    normals); and the score is at least the mean of the gaps signed as in truth, which is unbiased, so upper = score +
    1.96 standard errors of that. Both hold whatever the true gaps, so coverage is at least 95 % as far as
    the groups' sums are normal (simulated: 89 % for 500 calibrated rows that nearly all score close to 0 or 1).
    """
    groups = calibration_bins(counts)
    if groups is None:
        return unsupported(counts.w.shape[:1])
    weight = groups.weight.sum(axis=1)
    score = ratio(np.abs(groups.positive - groups.probability).sum(axis=1), weight)
    stated = np.nan_to_num(ratio(groups.probability, groups.weight))
    observed = np.nan_to_num(ratio(groups.positive, groups.weight))
    size = kish(groups.weight, groups.squares)
    # Four pseudo-rows (1.96 squared) at the stated probability: three rows that agree are not thereby free of noise.
    shrunk = np.clip((size * observed + 4 * stated) / (size + 4), 0, 1)
    variance = np.nan_to_num(ratio(groups.squares * shrunk * (1 - shrunk), weight[:, None] ** 2))
    between = np.nan_to_num(ratio(groups.squares * (observed - stated) ** 2, weight[:, None] ** 2)).sum(axis=1)
    overall = np.nan_to_num(score**2 * ratio(groups.squares.sum(axis=1), weight**2))
    signed_error = np.sqrt(variance.sum(axis=1) + np.maximum(between - overall, 0))
    absolute_mean = np.sqrt(2 / np.pi) * np.sqrt(variance).sum(axis=1)
    absolute_error = np.sqrt((1 - 2 / np.pi) * variance.sum(axis=1))
    lower = np.clip(score - absolute_mean - Z * absolute_error, 0, 1)
    upper = np.clip(score + Z * signed_error, 0, 1)
    return estimate(score, lower, upper, kish(weight, groups.squares.sum(axis=1)))
