"""A new metric: the share of wrong answers."""

from __future__ import annotations

from dataclasses import replace

from tidegauge.assess.counts import ClassificationCounts, Estimates
from tidegauge.assess.quality.accuracy import accuracy
from tidegauge.assess.quality.metric import Metric


def error_rate(counts: ClassificationCounts) -> Estimates:
    right = accuracy(counts)
    return replace(
        right,
        score=1 - right.score,
        lower=1 - right.upper,
        upper=1 - right.lower,
        numerator=right.denominator - right.numerator,
    )


METRIC = Metric("error_rate", ("binary", "multiclass"), error_rate)
