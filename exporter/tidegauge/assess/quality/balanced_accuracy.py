"""Balanced accuracy: the mean over the classes that occur as labels of their recall."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import proportion
from tidegauge.assess.numeric import ratio
from tidegauge.assess.quality.confusion import effective_rows, one_versus_rest
from tidegauge.assess.quality.rates import macro


def balanced_accuracy(counts: ClassificationCounts) -> Estimates:
    """Mean recall, as scikit-learn's balanced_accuracy_score, with a MOVER interval of each class's Wilson interval.

    Unsupported where fewer than two classes occur as labels: it would be the recall of one class.
    """
    sums, squares = one_versus_rest(counts.w), one_versus_rest(counts.w2)
    share = proportion(sums.true_positive, squares.true_positive, sums.false_negative, squares.false_negative)
    labelled = share.denominator > 0
    score, lower, upper = macro(share, labelled, 1.0)
    score = np.where(labelled.sum(axis=1) >= 2, score, np.nan)
    return estimate(score, lower, upper, effective_rows(counts))


def constant(counts: ClassificationCounts) -> Floats:
    """Whatever the constant: one class wholly right, the others wholly wrong."""
    labels = (counts.w.sum(axis=2) > 0).sum(axis=1).astype(np.float64)
    return np.where(labels >= 2, ratio(1.0, labels), np.nan)
