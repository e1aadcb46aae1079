"""What can be measured: the values of the `metric` label, their tasks, channels, direction and range.

Data only; how a metric is computed is the business of `assess`.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from math import inf

from tidegauge.config.settings import CLASSIFICATION, TASKS

AT_LEAST = "at_least"
AT_MOST = "at_most"
DIRECTIONS = (AT_LEAST, AT_MOST)

SCORED = ("complete", "sample")
REPORTED = ("mistakes", "voluntary")


@dataclass(frozen=True, slots=True)
class Metric:
    """One value of the `metric` label. `low` and `high` are attainable bounds in the metric's own units."""

    name: str
    tasks: tuple[str, ...]
    kinds: tuple[str, ...]  # of channels that support it
    direction: str  # an objective's default: at_least where more is better, at_most for losses and errors
    low: float
    high: float


METRICS = (
    Metric("accuracy", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("balanced_accuracy", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("precision", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("recall", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("f1", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("specificity", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("mcc", CLASSIFICATION, SCORED, AT_LEAST, -1, 1),
    Metric("log_loss", CLASSIFICATION, SCORED, AT_MOST, 0, inf),
    Metric("brier", ("binary",), SCORED, AT_MOST, 0, 1),
    Metric("brier", ("multiclass",), SCORED, AT_MOST, 0, 2),  # the sum over classes, not its half
    Metric("roc_auc", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("pr_auc", CLASSIFICATION, SCORED, AT_LEAST, 0, 1),
    Metric("calibration_error", CLASSIFICATION, SCORED, AT_MOST, 0, 1),
    Metric("mae", ("regression",), SCORED, AT_MOST, 0, inf),
    Metric("rmse", ("regression",), SCORED, AT_MOST, 0, inf),
    Metric("mape", ("regression",), SCORED, AT_MOST, 0, inf),
    Metric("r2", ("regression",), SCORED, AT_LEAST, -inf, 1),
    Metric("mean_error", ("regression",), SCORED, AT_MOST, -inf, inf),
    Metric("ndcg", ("ranking",), SCORED, AT_LEAST, 0, 1),
    Metric("mrr", ("ranking",), SCORED, AT_LEAST, 0, 1),
    Metric("hit_rate", ("ranking",), SCORED, AT_LEAST, 0, 1),
    Metric("word_error_rate", ("text",), SCORED, AT_MOST, 0, inf),
    Metric("character_error_rate", ("text",), SCORED, AT_MOST, 0, inf),
    Metric("reported_error_rate", TASKS, REPORTED, AT_MOST, 0, 1),
    Metric("response_rate", TASKS, REPORTED, AT_LEAST, 0, 1),
)
METRIC_NAMES = tuple(dict.fromkeys(metric.name for metric in METRICS))


COMPARABLE = (
    *("accuracy", "precision", "recall", "specificity", "log_loss", "brier", "mae", "mape"),
    *("ndcg", "mrr", "hit_rate", "word_error_rate", "character_error_rate", "reported_error_rate"),
)
_OF_CLASSES = ("precision", "recall", "specificity")
FIRST = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "regression": "mae",
    "ranking": "ndcg",
    "text": "word_error_rate",
}
"""The metric by which scored channels of a task are compared and watched, whatever is configured."""


def is_comparable(name: str, task: str) -> bool:
    """Whether a metric is a mean over predictions, which can be tested again and again; areas and F1 are none.

    Of several classes precision, recall and specificity are means over classes.
    """
    return name in COMPARABLE and not (name in _OF_CLASSES and task != "binary")


def comparable_names(task: str, kinds: tuple[str, ...] = SCORED + REPORTED) -> tuple[str, ...]:
    """Names of the metrics of a model of this task that can be tested."""
    return tuple(name for name in metric_names(task, kinds) if is_comparable(name, task))


def tested(task: str, kind: str, asked: Container[str]) -> tuple[str, ...]:
    """What a channel of this kind is compared and watched by: its first metric, and what is asked for by name."""
    first = "reported_error_rate" if kind in REPORTED else FIRST[task]
    return tuple(name for name in comparable_names(task, (kind,)) if name == first or name in asked)


def find_metric(name: str, task: str) -> Metric | None:
    """The metric of that name for that task, or None if the task has none."""
    return next((metric for metric in METRICS if metric.name == name and task in metric.tasks), None)


def metric_names(task: str, kinds: tuple[str, ...] = SCORED + REPORTED) -> tuple[str, ...]:
    """Names of the metrics that a model of this task can have on channels of these kinds, in their usual order."""
    return tuple(m.name for m in METRICS if task in m.tasks and any(kind in m.kinds for kind in kinds))
