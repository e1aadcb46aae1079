"""Log loss and Brier score: means of a loss of the predicted probability, over the rows that carried one."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats, Moments
from tidegauge.assess.estimates import estimate, unsupported
from tidegauge.assess.intervals import loss_interval, mean
from tidegauge.assess.numeric import kish
from tidegauge.assess.quality.confusion import actual_share


def mean_loss(moments: Moments, high: float = np.inf) -> Estimates:
    """The weighted mean of a loss that lies in [0, high], with the interval of `loss_interval`."""
    lower, upper = loss_interval(moments, high)
    return estimate(mean(moments), lower, upper, kish(moments.w, moments.w2), moments.wl, moments.w)


def log_loss(counts: ClassificationCounts) -> Estimates:
    """Mean of -log(probability given to the label), natural logarithm, probabilities kept 1e-15 away from 0 and 1."""
    if counts.log_loss is None:
        return unsupported(counts.w.shape[:1])
    return mean_loss(counts.log_loss)


def brier(counts: ClassificationCounts) -> Estimates:
    """Mean squared distance of probability and outcome (Brier 1950): in [0, 1] for binary; multiclass sums over
    classes, [0, 2].
    """
    if counts.brier is None:
        return unsupported(counts.w.shape[:1])
    return mean_loss(counts.brier, 1.0 if counts.positive is not None else 2.0)


def constant_log_loss(counts: ClassificationCounts) -> Floats:
    """Always the labels' own shares: their entropy."""
    share = actual_share(counts)
    entropy: Floats = entr(share).sum(axis=1)
    return entropy


def constant_brier(counts: ClassificationCounts) -> Floats:
    """Always the labels' own shares: p (1 - p), summed over the classes where multiclass."""
    share = actual_share(counts)
    if counts.positive is not None:
        return share[:, counts.positive] * (1 - share[:, counts.positive])
    spread: Floats = (share * (1 - share)).sum(axis=1)
    return spread
