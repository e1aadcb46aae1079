"""What a metric is: a name, where it applies and pure functions of counts.

A metric is added by one file with such functions and one line in the registry of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegauge.assess.counts import ClassificationCounts, Estimates, Floats


@dataclass(frozen=True, slots=True)
class Metric:
    """One measure of quality.

    value takes the counts of the task (ClassificationCounts for binary and multiclass, RegressionCounts, RankingCounts,
    TextCounts; FeedbackCounts for channels of the kinds mistakes and voluntary) and gives Estimates of shape (S,).
    per_class gives shape (S, K). constant gives the score, shape (S,), that the best constant answer would have had on
    the same rows, NaN where that is unknown; None where it says nothing (the best constant is perfect, or cannot be
    told from the sums).
    """

    name: str
    tasks: tuple[str, ...]
    value: Callable[[Any], Estimates]
    constant: Callable[[Any], Floats] | None = None
    per_class: Callable[[ClassificationCounts], Estimates] | None = None
    kinds: tuple[str, ...] = ("complete", "sample")
