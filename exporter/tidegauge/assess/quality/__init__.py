"""The registry of quality metrics: what can be published, for which tasks and kinds of channel.

A new metric is one file of pure functions beside this one and one line in METRICS.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tidegauge.assess.counts import (
    ClassificationCounts,
    Estimates,
    FeedbackCounts,
    Floats,
    RankingCounts,
    RegressionCounts,
    TextCounts,
)
from tidegauge.assess.quality import (
    accuracy,
    balanced_accuracy,
    calibration,
    mcc,
    pr_auc,
    probability,
    r2,
    ranking,
    rates,
    regression,
    reports,
    roc_auc,
    text,
)
from tidegauge.assess.quality.metric import Metric

Counts = ClassificationCounts | RegressionCounts | RankingCounts | TextCounts | FeedbackCounts

_CLASSES: Final = ("binary", "multiclass")
_NUMBERS: Final = ("regression",)
_ANY: Final = (*_CLASSES, *_NUMBERS, "ranking", "text")
_REPORTS: Final = ("mistakes", "voluntary")

METRICS: Final[tuple[Metric, ...]] = (
    Metric("accuracy", _CLASSES, accuracy.accuracy, accuracy.constant),
    Metric("balanced_accuracy", _CLASSES, balanced_accuracy.balanced_accuracy, balanced_accuracy.constant),
    Metric("precision", _CLASSES, rates.precision, rates.constant_precision, rates.precision_per_class),
    Metric("recall", _CLASSES, rates.recall, rates.constant_recall, rates.recall_per_class),
    Metric("f1", _CLASSES, rates.f1, rates.constant_f1, rates.f1_per_class),
    Metric("specificity", _CLASSES, rates.specificity, rates.constant_specificity, rates.specificity_per_class),
    Metric("mcc", _CLASSES, mcc.mcc, mcc.constant),
    Metric("log_loss", _CLASSES, probability.log_loss, probability.constant_log_loss),
    Metric("brier", _CLASSES, probability.brier, probability.constant_brier),
    Metric("roc_auc", _CLASSES, roc_auc.roc_auc, roc_auc.constant, roc_auc.roc_auc_per_class),
    Metric("pr_auc", _CLASSES, pr_auc.pr_auc, pr_auc.constant),
    Metric("calibration_error", _CLASSES, calibration.calibration_error),
    Metric("mae", _NUMBERS, regression.mae),
    Metric("rmse", _NUMBERS, regression.rmse, regression.constant_rmse),
    Metric("mape", _NUMBERS, regression.mape),
    Metric("r2", _NUMBERS, r2.r2, r2.constant),
    Metric("mean_error", _NUMBERS, regression.mean_error),
    Metric("ndcg", ("ranking",), ranking.ndcg),
    Metric("mrr", ("ranking",), ranking.mrr),
    Metric("hit_rate", ("ranking",), ranking.hit_rate),
    Metric("word_error_rate", ("text",), text.word_error_rate),
    Metric("character_error_rate", ("text",), text.character_error_rate),
    Metric("reported_error_rate", _ANY, reports.reported_error_rate, kinds=_REPORTS),
    Metric("response_rate", _ANY, reports.response_rate, kinds=_REPORTS),
)


def metrics_for(task: str, kind: str) -> tuple[Metric, ...]:
    """The metrics that a model of this task can have on a channel of this kind, in the registry's order."""
    return tuple(metric for metric in METRICS if task in metric.tasks and kind in metric.kinds)


def per_class(counts: ClassificationCounts) -> dict[str, Estimates]:
    """Every metric that is defined for one class against the rest, each of shape (S, K)."""
    estimates = {metric.name: metric.per_class(counts) for metric in METRICS if metric.per_class is not None}
    if counts.class_bins is None:
        del estimates["roc_auc"]
    return estimates


def constant_baseline(metric: Metric, counts: Counts) -> Floats:
    """The score that the best constant answer would have had on the same rows, (S,); NaN where it says nothing."""
    return np.full(_series(counts), np.nan) if metric.constant is None else metric.constant(counts)


def _series(counts: Counts) -> int:
    match counts:
        case ClassificationCounts():
            return len(counts.w)
        case RegressionCounts():
            return len(counts.error.w)
        case RankingCounts():
            return len(counts.ndcg.w)
        case TextCounts():
            return len(counts.words.w)
        case FeedbackCounts():
            return len(counts.predictions)
