"""Area under the precision-recall curve, as average precision, from score histograms.

Average precision is the mean over the positives of the precision at their score. Within a bin the order is unknown: the
score is the expectation over random orders, and two closed forms bound what any order or ties can give.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats, Integers
from tidegauge.assess.estimates import estimate, unsupported
from tidegauge.assess.intervals import wilson
from tidegauge.assess.numeric import kish, masked_mean, ratio
from tidegauge.assess.quality.confusion import actual_share, effective_rows
from tidegauge.assess.quality.histogram import sides
from tidegauge.assess.quality.roc_auc import binary_squares, class_squares


def _above(bins: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Negatives and positives by bin, then those in higher bins, each (..., B)."""
    negative, positive = sides(bins)

    def higher(side: Floats) -> Floats:
        return np.cumsum(side[..., ::-1], axis=-1)[..., ::-1] - side

    return negative, positive, np.maximum(higher(negative), 0), np.maximum(higher(positive), 0)


def average_precision(bins: Floats, rows: Integers | None = None) -> Floats:
    """Expected average precision over random orders within each bin, shape (...,); NaN without positives.

    With m rows of weight u in a bin, of which p positive, A positives and C rows above it (in units of u), the
    positive at place j of 1..m has A + 1 + (j - 1)(p - 1)/(m - 1) expected positives at or above it among C + j rows;
    the mean over j is a difference of digamma functions. Where every bin holds one row it is average precision itself.
    """
    negative, positive, false_above, true_above = _above(bins)
    weight = negative + positive
    n = weight if rows is None else rows.sum(axis=-2).astype(np.float64)
    unit = np.where(weight > 0, ratio(weight, n), 1.0)
    m, p = weight / unit, positive / unit
    above, true = (true_above + false_above) / unit, true_above / unit
    slope = np.clip(np.nan_to_num(ratio(p - 1, np.maximum(m - 1, 0))), 0, 1)
    steps = ratio(digamma(above + m + 1) - digamma(above + 1), m)
    precision = np.clip(slope + (true + 1 - slope * (above + 1)) * steps, 0, 1)
    # Equal weights within a bin are an assumption; the bounds hold for any.
    return np.clip(
        ratio((positive * np.nan_to_num(precision)).sum(axis=-1), positive.sum(axis=-1)),
        *average_precision_bounds(bins),
    )


def average_precision_bounds(bins: Floats) -> tuple[Floats, Floats]:
    """The least and most that the average precision of the unbinned scores can be, each (...,).

    Least: in every bin all negatives first, the integral of (A + t) / (A + F + n + t) over the positives. Most: in
    every bin the positives first and tied, so that all have the precision after the last of them.
    """
    negative, positive, false_above, true_above = _above(bins)
    false_after = false_above + negative
    end = true_above + positive + false_after
    growth = np.log(
        np.where(end > 0, ratio(end, true_above + false_after), 1.0), where=positive > 0, out=np.zeros_like(end)
    )
    least = positive - np.where(false_after > 0, false_after * np.where(np.isfinite(growth), growth, 0.0), 0.0)
    most = positive * np.nan_to_num(ratio(true_above + positive, true_above + positive + false_above))
    positives = positive.sum(axis=-1)
    return np.clip(ratio(least.sum(axis=-1), positives), 0, 1), np.clip(ratio(most.sum(axis=-1), positives), 0, 1)


def _with_interval(bins: Floats, rows: Integers | None, squares: Floats) -> tuple[Floats, Floats, Floats]:
    positive = bins[..., 1, :].sum(axis=-1)
    both_sides = (positive > 0) & (bins[..., 0, :].sum(axis=-1) > 0)
    positives = kish(positive, squares[..., 1, :].sum(axis=-1))
    least, most = average_precision_bounds(bins)
    lower, upper = wilson(least, positives)[0], wilson(most, positives)[1]
    return np.where(both_sides, average_precision(bins, rows), np.nan), lower, upper


def pr_auc(counts: ClassificationCounts) -> Estimates:
    """Average precision; multiclass: one versus rest, averaged over the classes that have rows on both sides.

    The interval is the binomial one of Boyd, Eng, Page 2013 (ECML PKDD, "binomial interval", n the number of positives)
    in Wilson's form, laid around the hard bounds. Unsupported with one class only.
    """
    if counts.positive is not None:
        if counts.score_bins is None:
            return unsupported(counts.w.shape[:1])
        squares = binary_squares(counts, counts.score_bins)
        return estimate(*_with_interval(counts.score_bins, counts.score_bins_n, squares), effective_rows(counts))
    if counts.class_bins is None:
        return unsupported(counts.w.shape[:1])
    score, lower, upper = _with_interval(
        counts.class_bins, counts.class_bins_n, class_squares(counts, counts.class_bins)
    )
    known = np.isfinite(score)
    return estimate(
        masked_mean(score, known), masked_mean(lower, known), masked_mean(upper, known), effective_rows(counts)
    )


def constant(counts: ClassificationCounts) -> Floats:
    """A constant score ties all rows: the share of positives; multiclass: the mean share of the classes that occur."""
    share = actual_share(counts)
    occurs = (share > 0) & (share < 1)
    if counts.positive is not None:
        return np.where(occurs[:, counts.positive], share[:, counts.positive], np.nan)
    return masked_mean(np.nan_to_num(share), occurs)
