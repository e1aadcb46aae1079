"""Precision, recall, specificity and F1: of the positive class where the task is binary, else averaged over classes.

The macro average follows scikit-learn: over the classes that occur as label or answer, a class whose rate is 0/0
counting 0 (for specificity, whose 0/0 means that no other class occurred, the class is left out).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import Proportion, mover, proportion
from tidegauge.assess.numeric import masked_mean, ratio
from tidegauge.assess.quality.confusion import (
    OneVersusRest,
    actual_share,
    effective_rows,
    one_versus_rest,
    present,
)

Rate = Callable[[OneVersusRest, OneVersusRest], Proportion]


def _precision(sums: OneVersusRest, squares: OneVersusRest) -> Proportion:
    return proportion(sums.true_positive, squares.true_positive, sums.false_positive, squares.false_positive)


def _recall(sums: OneVersusRest, squares: OneVersusRest) -> Proportion:
    return proportion(sums.true_positive, squares.true_positive, sums.false_negative, squares.false_negative)


def _specificity(sums: OneVersusRest, squares: OneVersusRest) -> Proportion:
    return proportion(sums.true_negative, squares.true_negative, sums.false_positive, squares.false_positive)


def _f1(sums: OneVersusRest, squares: OneVersusRest) -> Proportion:
    """F1 = 2 q / (1 + q), rising in q = TP / (TP + FP + FN), which is a plain proportion; so is its interval."""
    jaccard = proportion(
        sums.true_positive,
        squares.true_positive,
        sums.false_positive + sums.false_negative,
        squares.false_positive + squares.false_negative,
    )
    return Proportion(
        value=2 * jaccard.value / (1 + jaccard.value),
        lower=2 * jaccard.lower / (1 + jaccard.lower),
        upper=2 * jaccard.upper / (1 + jaccard.upper),
        samples=jaccard.samples,
        numerator=2 * sums.true_positive,
        denominator=2 * sums.true_positive + sums.false_positive + sums.false_negative,
    )


def _per_class(rate: Rate, counts: ClassificationCounts) -> Estimates:
    share = rate(one_versus_rest(counts.w), one_versus_rest(counts.w2))
    return estimate(share.value, share.lower, share.upper, share.samples, share.numerator, share.denominator)


def _of_positive(rate: Rate, counts: ClassificationCounts, positive: int) -> Estimates:
    every = _per_class(rate, counts)
    return Estimates(
        score=every.score[:, positive],
        lower=every.lower[:, positive],
        upper=every.upper[:, positive],
        numerator=every.numerator[:, positive],
        denominator=every.denominator[:, positive],
        samples=every.samples[:, positive],
        state=every.state[:, positive],
    )


def macro(share: Proportion, counted: NDArray[np.bool_], inflation: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Mean of the rates of the counted classes and its MOVER interval; a counted rate of 0/0 is 0 within [0, 1]."""
    known = np.isfinite(share.value)
    value = np.where(known, share.value, 0.0)
    weight = np.nan_to_num(ratio(counted, counted.sum(axis=-1, keepdims=True)))
    below, above = mover(value, share.lower, share.upper, weight, inflation)
    return masked_mean(value, counted), np.clip(below, 0, 1), np.clip(above, 0, 1)


def _average(rate: Rate, counts: ClassificationCounts, inflation: float, zero_if_undefined: bool) -> Estimates:
    share = rate(one_versus_rest(counts.w), one_versus_rest(counts.w2))
    counted = present(counts) if zero_if_undefined else present(counts) & np.isfinite(share.value)
    return estimate(*macro(share, counted, inflation), effective_rows(counts))


def _value(
    rate: Rate, counts: ClassificationCounts, inflation: float = 1.0, zero_if_undefined: bool = True
) -> Estimates:
    if counts.positive is not None:
        return _of_positive(rate, counts, counts.positive)
    return _average(rate, counts, inflation, zero_if_undefined)


def precision(counts: ClassificationCounts) -> Estimates:
    """TP / (TP + FP), Wilson interval; macro: MOVER, as the rates of the predicted classes are independent."""
    return _value(_precision, counts)


def recall(counts: ClassificationCounts) -> Estimates:
    """TP / (TP + FN), Wilson interval; macro: MOVER, as the rates of the actual classes are independent."""
    return _value(_recall, counts)


def specificity(counts: ClassificationCounts) -> Estimates:
    """TN / (TN + FP), Wilson interval; macro: MOVER, as every wrong row is a false positive of one class only."""
    return _value(_specificity, counts, zero_if_undefined=False)


def f1(counts: ClassificationCounts) -> Estimates:
    """2 TP / (2 TP + FP + FN), interval from Wilson's of TP / (TP + FP + FN).

    Macro: MOVER with the variance doubled, because every wrong row lowers the F1 of two classes; at most so, hence the
    interval is somewhat wide where most of the noise is in the right answers.
    """
    return _value(_f1, counts, inflation=2.0)


def precision_per_class(counts: ClassificationCounts) -> Estimates:
    """Precision of each class against the rest, shape (S, K)."""
    return _per_class(_precision, counts)


def recall_per_class(counts: ClassificationCounts) -> Estimates:
    """Recall of each class against the rest, shape (S, K)."""
    return _per_class(_recall, counts)


def specificity_per_class(counts: ClassificationCounts) -> Estimates:
    """Specificity of each class against the rest, shape (S, K)."""
    return _per_class(_specificity, counts)


def f1_per_class(counts: ClassificationCounts) -> Estimates:
    """F1 of each class against the rest, shape (S, K)."""
    return _per_class(_f1, counts)


def _labels(counts: ClassificationCounts) -> Floats:
    """How many classes occur among the labels, shape (S,)."""
    number: Floats = (counts.w.sum(axis=2) > 0).sum(axis=1).astype(np.float64)
    return number


def constant_precision(counts: ClassificationCounts) -> Floats:
    """Always "positive": the share of positives. Multiclass: the most frequent label's share, over the classes."""
    share = actual_share(counts)
    if counts.positive is not None:
        return share[:, counts.positive]
    return ratio(share.max(axis=1), _labels(counts))


def constant_recall(counts: ClassificationCounts) -> Floats:
    """Multiclass: one class found whole, none of the others. Binary: none, as "always positive" is perfect."""
    if counts.positive is not None:
        return np.full(len(counts.w), np.nan)
    return ratio(1.0, _labels(counts))


def constant_specificity(counts: ClassificationCounts) -> Floats:
    """Multiclass: one class never kept out, the others always. Binary: none, as "always negative" is perfect."""
    if counts.positive is not None:
        return np.full(len(counts.w), np.nan)
    return ratio(_labels(counts) - 1, _labels(counts))


def constant_f1(counts: ClassificationCounts) -> Floats:
    """Always "positive", or always the most frequent label: 2 p / (1 + p), over the classes where multiclass."""
    share = actual_share(counts)
    if counts.positive is not None:
        positive = share[:, counts.positive]
        return 2 * positive / (1 + positive)
    largest = share.max(axis=1)
    return ratio(2 * largest / (1 + largest), _labels(counts))
