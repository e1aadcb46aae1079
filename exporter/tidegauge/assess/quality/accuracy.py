"""Accuracy: the share of rows whose answer was the label."""

from __future__ import annotations

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import proportion
from tidegauge.assess.quality.confusion import actual_share, hits, misses


def accuracy(counts: ClassificationCounts) -> Estimates:
    """Sum of w on the diagonal over sum of w, with a Wilson interval. Unsupported without rows."""
    right, right_squares = hits(counts.w).sum(axis=1), hits(counts.w2).sum(axis=1)
    wrong, wrong_squares = misses(counts.w).sum(axis=(1, 2)), misses(counts.w2).sum(axis=(1, 2))
    share = proportion(right, right_squares, wrong, wrong_squares)
    return estimate(share.value, share.lower, share.upper, share.samples, share.numerator, share.denominator)


def constant(counts: ClassificationCounts) -> Floats:
    """The share of the most frequent label."""
    largest: Floats = actual_share(counts).max(axis=1)
    return largest
