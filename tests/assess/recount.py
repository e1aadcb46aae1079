"""Counts straight from rows, the plain way: the tests' own tally, so that assess is tested without the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import ClassificationCounts, LabelMoments, Moments, RegressionCounts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def moments(quantity: Floats, weight: Floats | None = None) -> Moments:
    w = np.ones(len(quantity)) if weight is None else weight
    return Moments(
        n=np.array([len(quantity)]),
        w=np.array([w.sum()]),
        wl=np.array([(w * quantity).sum()]),
        w2=np.array([(w**2).sum()]),
        w2l=np.array([(w**2 * quantity).sum()]),
        w2l2=np.array([(w**2 * quantity**2).sum()]),
    )


def histogram(probability: Floats, side: Integers, weight: Floats, bins: int) -> tuple[Floats, Integers]:
    """Sums of weight and row counts, (2, bins); side 0 or 1."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    w = np.zeros((2, bins))
    n = np.zeros((2, bins), dtype=np.int64)
    np.add.at(w, (side, place), weight)
    np.add.at(n, (side, place), 1)
    return w, n


def _by_place(place: Integers, values: Floats, bins: int) -> Floats:
    sums = np.zeros((1, bins))
    np.add.at(sums[0], place, values)
    return sums


def _confusion(actual: Integers, predicted: Integers, weight: Floats, classes: int) -> tuple[Integers, Floats, Floats]:
    n = np.zeros((1, classes, classes), dtype=np.int64)
    w, w2 = np.zeros((1, classes, classes)), np.zeros((1, classes, classes))
    np.add.at(n[0], (actual, predicted), 1)
    np.add.at(w[0], (actual, predicted), weight)
    np.add.at(w2[0], (actual, predicted), weight**2)
    return n, w, w2


def binary(
    actual: Integers, predicted: Integers, score: Floats | None = None, weight: Floats | None = None, bins: int = 300
) -> ClassificationCounts:
    """Counts of one series; actual and predicted are 0 or 1."""
    w = np.ones(len(actual)) if weight is None else weight
    confusion = _confusion(actual, predicted, w, 2)
    if score is None:
        return ClassificationCounts(("0", "1"), 1, *confusion)
    histogram_w, histogram_n = histogram(score, actual, w, bins)
    place = np.minimum((score * bins).astype(int), bins - 1)
    clipped = np.clip(score, 1e-15, 1 - 1e-15)
    return ClassificationCounts(
        ("0", "1"),
        1,
        *confusion,
        brier=moments((score - actual) ** 2, w),
        log_loss=moments(-np.log(np.where(actual == 1, clipped, 1 - clipped)), w),
        score_bins=histogram_w[None],
        score_bins_n=histogram_n[None],
        score_sum=_by_place(place, w * score, bins),
    )


def multiclass(
    actual: Integers,
    predicted: Integers,
    classes: int,
    probabilities: Floats | None = None,
    weight: Floats | None = None,
    bins: int = 300,
) -> ClassificationCounts:
    """Counts of one series; actual and predicted index the classes, probabilities has shape (rows, classes)."""
    w = np.ones(len(actual)) if weight is None else weight
    names = tuple(f"class {index}" for index in range(classes))
    confusion = _confusion(actual, predicted, w, classes)
    if probabilities is None:
        return ClassificationCounts(names, None, *confusion)
    rows = np.arange(len(actual))
    indicator = np.zeros_like(probabilities)
    indicator[rows, actual] = 1
    confidence = probabilities[rows, predicted]
    top_w, top_n = histogram(confidence, (actual == predicted).astype(np.int64), w, bins)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    each = [histogram(probabilities[:, k], (actual == k).astype(np.int64), w, bins) for k in range(classes)]
    return ClassificationCounts(
        names,
        None,
        *confusion,
        brier=moments(((probabilities - indicator) ** 2).sum(axis=1), w),
        log_loss=moments(-np.log(np.clip(probabilities[rows, actual], 1e-15, 1)), w),
        score_bins=top_w[None],
        score_bins_n=top_n[None],
        score_sum=_by_place(place, w * confidence, bins),
        class_bins=np.stack([part[0] for part in each])[None],
        class_bins_n=np.stack([part[1] for part in each])[None],
    )


def regression(
    label: Floats, prediction: Floats, weight: Floats | None = None, origin: float = 0.0
) -> RegressionCounts:
    """Counts of one series."""
    w = np.ones(len(label)) if weight is None else weight
    e, y, nonzero = prediction - label, label - origin, label != 0
    return RegressionCounts(
        error=moments(e, w),
        absolute_error=moments(np.abs(e), w),
        squared_error=moments(e**2, w),
        percentage_error=moments(np.abs(e[nonzero] / label[nonzero]), w[nonzero]),
        label=LabelMoments(
            wy=np.array([(w * y).sum()]),
            wy2=np.array([(w * y**2).sum()]),
            w2y=np.array([(w**2 * y).sum()]),
            w2y2=np.array([(w**2 * y**2).sum()]),
            w2y3=np.array([(w**2 * y**3).sum()]),
            w2y4=np.array([(w**2 * y**4).sum()]),
            w2e2y=np.array([(w**2 * e**2 * y).sum()]),
            w2e2y2=np.array([(w**2 * e**2 * y**2).sum()]),
        ),
    )


def _joined_moments(parts: Sequence[Moments]) -> Moments:
    return Moments(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Moments)))


def stack(series: Sequence[ClassificationCounts]) -> ClassificationCounts:
    """Many series of the same classes as one counts object with that many entries on the leading axis."""
    first = series[0]

    def joined(name: str) -> object:
        parts = [getattr(one, name) for one in series]
        if parts[0] is None:
            return None
        return _joined_moments(parts) if isinstance(parts[0], Moments) else np.concatenate(parts)

    arrays = {f.name: joined(f.name) for f in fields(ClassificationCounts) if f.name not in ("classes", "positive")}
    return ClassificationCounts(first.classes, first.positive, **arrays)  # type: ignore[arg-type]


def stack_regression(series: Sequence[RegressionCounts]) -> RegressionCounts:
    labels = [one.label for one in series]
    return RegressionCounts(
        error=_joined_moments([one.error for one in series]),
        absolute_error=_joined_moments([one.absolute_error for one in series]),
        squared_error=_joined_moments([one.squared_error for one in series]),
        percentage_error=_joined_moments([one.percentage_error for one in series]),
        label=LabelMoments(*(np.concatenate([getattr(one, f.name) for one in labels]) for f in fields(LabelMoments))),
    )
