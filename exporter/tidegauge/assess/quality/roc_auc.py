"""ROC AUC from score histograms: the chance that a positive scores above a negative, ties counting half.

Within a bin nobody knows the order: the score takes all pairs of a bin as ties, and a hard bound says how far off that
can be at most.
"""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats
from tidegauge.assess.estimates import estimate, unsupported
from tidegauge.assess.intervals import Z
from tidegauge.assess.numeric import kish, masked_mean, ratio
from tidegauge.assess.quality.confusion import effective_rows
from tidegauge.assess.quality.histogram import inefficiency, sides, squared_weights

_BISECTIONS = 60
_ENOUGH_FOR_PLACEMENTS = 5


def auc(bins: Floats) -> Floats:
    """Area under the ROC curve of the binned scores, shape (...,); NaN where one side is empty."""
    negative, positive = sides(bins)
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return np.clip(ratio((positive * below).sum(axis=-1), pairs), 0, 1)


def auc_bound(bins: Floats) -> Floats:
    """How far the AUC of the unbinned scores can be from `auc`, either way: half the share of pairs in one bin."""
    negative, positive = sides(bins)
    return ratio((positive * negative).sum(axis=-1) / 2, positive.sum(axis=-1) * negative.sum(axis=-1))


def placement_variance(bins: Floats, squares: Floats) -> Floats:
    """DeLong's variance of the AUC of the binned scores (DeLong, DeLong, Clarke-Pearson 1988, Biometrics 44:837).

    Weighted by the linearised form: over each side, sum w**2 (placement - AUC)**2 / (sum w)**2 * k / (k - 1), k Kish's
    size.
    """
    negative, positive = sides(bins)
    area = auc(bins)[..., None]
    negatives, positives = negative.sum(axis=-1), positive.sum(axis=-1)
    of_positive = ratio(np.cumsum(negative, axis=-1) - negative / 2, negatives[..., None])
    of_negative = 1 - ratio(np.cumsum(positive, axis=-1) - positive / 2, positives[..., None])

    def part(side: int, placement: Floats, weight: Floats) -> Floats:
        size = kish(weight, squares[..., side, :].sum(axis=-1))
        spread = ratio((squares[..., side, :] * (placement - area) ** 2).sum(axis=-1), weight**2)
        return spread * ratio(size, np.maximum(size - 1, 0))

    return part(1, of_positive, positives) + part(0, of_negative, negatives)


def model_variance(area: Floats, negatives: Floats, positives: Floats) -> Floats:
    """Hanley and McNeil's variance (1982, Radiology 143:29) in Newcombe's symmetric form (2006, Stat. Med. 25:559)."""
    half = np.maximum((negatives + positives) / 2 - 1, 0)
    spread = area * (1 - area) * (1 + half * (1 - area) / (2 - area) + half * area / (1 + area))
    return ratio(spread, negatives * positives)


def _lower(area: Floats, negatives: Floats, positives: Floats, scale: Floats) -> Floats:
    """The smallest AUC from which the observed one is no more than Z standard errors (taken there) away: a score
    interval.
    """
    low, high = np.zeros_like(area), np.copy(area)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        far = area - middle > Z * np.sqrt(scale * model_variance(middle, negatives, positives))
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    return low


def sampling_interval(bins: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Newcombe's score interval (2006, method 5), which stays wide at AUC 1 and within [0, 1].

    Its model of the variance is scaled by DeLong's variance over its own at the observed AUC; only upwards where the
    smaller side's effective rows times min(AUC, 1 - AUC) are fewer than 5: so few misranked rows tell DeLong little.
    """
    negative, positive = sides(bins)
    negatives = kish(negative.sum(axis=-1), squares[..., 0, :].sum(axis=-1))
    positives = kish(positive.sum(axis=-1), squares[..., 1, :].sum(axis=-1))
    area = auc(bins)
    found = ratio(placement_variance(bins, squares), model_variance(area, negatives, positives))
    few = np.minimum(negatives, positives) * np.minimum(area, 1 - area) < _ENOUGH_FOR_PLACEMENTS
    scale = np.where(np.isfinite(found) & (found > 0), found, 1.0)
    scale = np.where(few, np.maximum(scale, 1.0), scale)
    return _lower(area, negatives, positives, scale), 1 - _lower(1 - area, negatives, positives, scale)


def _with_interval(bins: Floats, squares: Floats) -> tuple[Floats, Floats, Floats]:
    bound = auc_bound(bins)
    lower, upper = sampling_interval(bins, squares)
    return auc(bins), np.clip(lower - bound, 0, 1), np.clip(upper + bound, 0, 1)


def _actual_inefficiency(counts: ClassificationCounts) -> Floats:
    """Design effect of the weights of the rows that are not and that are of each class, shape (S, K, 2)."""
    n, w, w2 = (part.sum(axis=2).astype(np.float64) for part in (counts.n, counts.w, counts.w2))

    def both(of_class: Floats) -> Floats:
        return np.stack([of_class.sum(axis=1, keepdims=True) - of_class, of_class], axis=-1)

    return inefficiency(both(n), both(w), both(w2))


def binary_squares(counts: ClassificationCounts, bins: Floats) -> Floats:
    """Sum of w**2 by bin of the binary score histogram, (S, 2, B)."""
    return squared_weights(bins, counts.score_bins_n, _actual_inefficiency(counts)[:, 1])


def class_squares(counts: ClassificationCounts, bins: Floats) -> Floats:
    """Sum of w**2 by bin of the one-versus-rest histograms, (S, K, 2, B)."""
    return squared_weights(bins, counts.class_bins_n, _actual_inefficiency(counts))


def roc_auc(counts: ClassificationCounts) -> Estimates:
    """Area under the ROC curve; multiclass: one versus rest, averaged over the classes that have rows on both sides.

    The interval is the sampling interval widened on both sides by the hard bound of `auc_bound`. Multiclass averages
    the ends of the classes' intervals, which is wide enough whatever their correlation. Unsupported with one class
    only.
    """
    if counts.positive is not None:
        if counts.score_bins is None:
            return unsupported(counts.w.shape[:1])
        score, lower, upper = _with_interval(counts.score_bins, binary_squares(counts, counts.score_bins))
        return estimate(score, lower, upper, effective_rows(counts))
    if counts.class_bins is None:
        return unsupported(counts.w.shape[:1])
    score, lower, upper = _with_interval(counts.class_bins, class_squares(counts, counts.class_bins))
    known = np.isfinite(score)
    return estimate(
        masked_mean(score, known), masked_mean(lower, known), masked_mean(upper, known), effective_rows(counts)
    )


def roc_auc_per_class(counts: ClassificationCounts) -> Estimates:
    """Area under the ROC curve of each class against the rest, shape (S, K); unsupported for binary counts."""
    if counts.class_bins is None:
        return unsupported(counts.w.shape[:2])
    score, lower, upper = _with_interval(counts.class_bins, class_squares(counts, counts.class_bins))
    return estimate(score, lower, upper, np.repeat(effective_rows(counts)[:, None], counts.w.shape[1], axis=1))


def constant(counts: ClassificationCounts) -> Floats:
    """A constant score ties all pairs: 1/2; NaN where all labels are one class."""
    labels = (counts.w.sum(axis=2) > 0).sum(axis=1)
    return np.where(labels >= 2, 0.5, np.nan)
