"""Readings of the confusion counts that several metrics share. Assumes sums >= 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import ClassificationCounts, Floats
from tidegauge.assess.numeric import ROUNDING, kish, ratio


@dataclass(frozen=True, slots=True)
class OneVersusRest:
    """Each class against all others, sums of one power of w, each of shape (S, K)."""

    true_positive: Floats
    false_positive: Floats
    false_negative: Floats
    true_negative: Floats


def one_versus_rest(cells: Floats) -> OneVersusRest:
    """The four counts of every class from cells [actual, predicted] of shape (S, K, K)."""
    hit, missed = hits(cells), misses(cells)
    actual, predicted = missed.sum(axis=2), missed.sum(axis=1)
    everything = cells.sum(axis=(1, 2))[:, None]
    rest = everything - actual - predicted - hit
    return OneVersusRest(hit, predicted, actual, np.where(rest > ROUNDING * everything, rest, 0.0))


def hits(cells: Floats) -> Floats:
    """The diagonal of each (S, K, K): shape (S, K)."""
    diagonal: Floats = np.einsum("skk->sk", cells)
    return diagonal


def misses(cells: Floats) -> Floats:
    """The cells (S, K, K) with the diagonal empty; adding these up, not subtracting, keeps a zero a zero."""
    return np.where(np.eye(cells.shape[1], dtype=np.bool_), 0.0, cells)


def total(counts: ClassificationCounts) -> Floats:
    """Sum of w over all rows, shape (S,)."""
    weight: Floats = counts.w.sum(axis=(1, 2))
    return weight


def effective_rows(counts: ClassificationCounts) -> Floats:
    """Kish's effective sample size over all rows, shape (S,)."""
    return kish(total(counts), counts.w2.sum(axis=(1, 2)))


def actual_share(counts: ClassificationCounts) -> Floats:
    """Share of each class among the labels, shape (S, K); NaN where there are no rows."""
    return ratio(counts.w.sum(axis=2), total(counts)[:, None])


def present(counts: ClassificationCounts) -> NDArray[np.bool_]:
    """Whether a class occurs at all, as a label or as an answer, shape (S, K)."""
    occurs: NDArray[np.bool_] = (counts.w.sum(axis=2) > 0) | (counts.w.sum(axis=1) > 0)
    return occurs


def delta_variance(counts: ClassificationCounts, gradient: Floats) -> Floats:
    """Variance of a smooth function of the cell shares, shape (S,), by the delta method on the weighted multinomial.

    gradient is the function's derivative by each cell's share, shape (S, K, K); with g the gradient less its mean, the
    variance is sum w**2 g**2 / (sum w)**2 (the linearised Hajek variance; van der Vaart 1998, ch. 3).
    """
    weight = total(counts)
    centre = ratio((counts.w * gradient).sum(axis=(1, 2)), weight)
    square = (counts.w2 * (gradient - centre[:, None, None]) ** 2).sum(axis=(1, 2))
    return ratio(square, weight**2)
