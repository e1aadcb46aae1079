"""Matthews' correlation coefficient of labels and answers, in Gorodkin's form for any number of classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import wilson
from tidegauge.assess.numeric import ratio
from tidegauge.assess.quality.confusion import delta_variance, effective_rows, present, total


def _terms(cells: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Shares of labels t and answers p (S, K), then covariance, 1 - sum p**2 and 1 - sum t**2 (S,), of cells (S, K,
    K).
    """
    shares = np.nan_to_num(ratio(cells, cells.sum(axis=(1, 2))[:, None, None]))
    actual, predicted = shares.sum(axis=2), shares.sum(axis=1)
    covariance = np.einsum("skk->s", shares) - (actual * predicted).sum(axis=1)
    return actual, predicted, covariance, 1 - (predicted**2).sum(axis=1), 1 - (actual**2).sum(axis=1)


def _coefficient(cells: Floats) -> Floats:
    """The coefficient; 0 where all answers are one class (scikit-learn's convention), NaN where all labels are."""
    _, _, covariance, predicted_spread, actual_spread = _terms(cells)
    several_labels = (cells.sum(axis=2) > 0).sum(axis=1) >= 2
    several_answers = (cells.sum(axis=1) > 0).sum(axis=1) >= 2
    product = np.where(several_labels & several_answers, predicted_spread * actual_spread, 0.0)
    score = np.clip(np.nan_to_num(ratio(covariance, np.sqrt(product))), -1, 1)
    return np.where(several_labels, score, np.nan)


def _gradient(cells: Floats) -> Floats:
    """Derivative of the coefficient by each cell's share, (S, K, K); 0 where it has none."""
    actual, predicted, covariance, predicted_spread, actual_spread = _terms(cells)
    scale = np.sqrt(np.maximum(predicted_spread * actual_spread, 0))[:, None, None]
    score = np.nan_to_num(ratio(covariance, scale[:, 0, 0]))[:, None, None]
    by_covariance = np.eye(cells.shape[1]) - predicted[:, :, None] - actual[:, None, :]
    by_spread = (
        ratio(predicted, predicted_spread[:, None])[:, None, :] + ratio(actual, actual_spread[:, None])[:, :, None]
    )
    return np.nan_to_num(ratio(by_covariance, scale) + score * by_spread)


def mcc(counts: ClassificationCounts) -> Estimates:
    """Matthews' correlation coefficient (Gorodkin 2004, Comput. Biol. Chem. 28:367, eq. 8), in [-1, 1].

    Interval: the delta method's variance on the multinomial of cells, each class's row smoothed by one pseudo-row
    spread evenly over the answers (half a row in each cell of a binary table, Haldane 1956) so that empty cells are
    not taken for impossible ones; then Wilson's form on (1 + coefficient) / 2, which keeps the interval within the
    range. Unsupported where fewer than two classes occur as labels.
    """
    classes = present(counts)
    kinds = np.maximum(classes.sum(axis=1), 1)[:, None, None]
    pseudo_rows = classes[:, :, None] * classes[:, None, :] / kinds
    row_weight = np.nan_to_num(ratio(counts.w2.sum(axis=(1, 2)), total(counts)))[:, None, None]
    smoothed = replace(counts, w=counts.w + pseudo_rows * row_weight, w2=counts.w2 + pseudo_rows * row_weight**2)
    score = _coefficient(counts.w)
    centre = (1 + np.nan_to_num(_coefficient(smoothed.w))) / 2
    variance = delta_variance(smoothed, _gradient(smoothed.w)) / 4
    size = ratio(centre * (1 - centre), variance)
    samples = effective_rows(counts)
    lower, upper = wilson((1 + score) / 2, np.where(size > 0, size, samples))
    return estimate(score, 2 * lower - 1, 2 * upper - 1, samples)


def constant(counts: ClassificationCounts) -> Floats:
    """0, as a constant answer is correlated with nothing; NaN where all labels are one class."""
    labels = (counts.w.sum(axis=2) > 0).sum(axis=1)
    return np.where(labels >= 2, 0.0, np.nan)
