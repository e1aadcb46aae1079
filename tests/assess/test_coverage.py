"""Intervals hold the truth as often as they say: about 95 % at 500 rows, and not by being needlessly wide."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.assess import recount
from tidegauge.assess.counts import ClassificationCounts, RegressionCounts
from tidegauge.assess.quality import METRICS, metrics_for

VALUE = {metric.name: metric.value for metric in METRICS}
ROWS, REPETITIONS, TRUTH_ROWS = 500, 1000, 1_000_000
NEAR = (0.92, 0.98)


def scored_binary(
    rng: np.random.Generator, rows: int, prevalence: float, distance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Two normal score distributions, the score being the true probability."""
    actual = (rng.random(rows) < prevalence).astype(np.int64)
    signal = rng.normal(distance * actual, 1)
    score = 1 / (1 + np.exp(-(distance * signal - distance**2 / 2 + np.log(prevalence / (1 - prevalence)))))
    return actual, (score >= 0.5).astype(np.int64), score


@cache
def binary(prevalence: float, distance: float) -> tuple[ClassificationCounts, ClassificationCounts]:
    rng = np.random.default_rng(51)
    drawn = (scored_binary(rng, ROWS, prevalence, distance) for _ in range(REPETITIONS))
    sample = recount.stack([recount.binary(actual, predicted, score) for actual, predicted, score in drawn])
    return sample, recount.binary(*scored_binary(rng, TRUTH_ROWS, prevalence, distance), bins=3000)


@cache
def multiclass(classes: int, distance: float) -> tuple[ClassificationCounts, ClassificationCounts]:
    rng = np.random.default_rng(52)

    def draw(rows: int) -> ClassificationCounts:
        actual = rng.integers(0, classes, rows)
        predicted = (rng.gumbel(size=(rows, classes)) + distance * np.eye(classes)[actual]).argmax(axis=1)
        return recount.multiclass(actual, predicted, classes)

    return recount.stack([draw(ROWS) for _ in range(REPETITIONS)]), draw(TRUTH_ROWS)


@cache
def regression() -> tuple[RegressionCounts, RegressionCounts]:
    rng = np.random.default_rng(53)

    def draw(rows: int) -> RegressionCounts:
        label = 1 + rng.gamma(2, 2, rows)
        return recount.regression(label, 1 + 0.8 * label + rng.normal(0, 0.7 * np.sqrt(label)))

    return recount.stack_regression([draw(ROWS) for _ in range(REPETITIONS)]), draw(TRUTH_ROWS)


def coverage(name: str, drawn: Callable[[], tuple[object, object]], truth: float | None = None) -> float:
    sample, population = drawn()
    exact = float(VALUE[name](population).score[0]) if truth is None else truth
    result = VALUE[name](sample)
    known = np.isfinite(result.score)
    assert known.mean() > 0.99
    return float(((result.lower <= exact) & (exact <= result.upper))[known].mean())


@pytest.mark.parametrize(
    "name",
    [metric.name for metric in metrics_for("binary", "complete") if metric.name != "calibration_error"],
)
def test_binary_scores_are_covered(name: str) -> None:
    assert NEAR[0] <= coverage(name, lambda: binary(0.3, 1.5)) <= NEAR[1]


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc", "brier"])
def test_binary_scores_near_perfection_are_covered(name: str) -> None:
    assert NEAR[0] <= coverage(name, lambda: binary(0.3, 4.0)) <= NEAR[1]


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
def test_areas_near_one_are_covered_though_widely(name: str) -> None:
    assert coverage(name, lambda: binary(0.3, 4.0)) >= 0.95


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "specificity", "mcc"])
def test_multiclass_scores_are_covered(name: str) -> None:
    assert NEAR[0] <= coverage(name, lambda: multiclass(3, 2.0)) <= NEAR[1]


@pytest.mark.parametrize("name", ["mae", "rmse", "mape", "r2", "mean_error"])
def test_regression_scores_are_covered(name: str) -> None:
    assert NEAR[0] <= coverage(name, regression) <= NEAR[1]


def test_the_calibration_error_of_calibrated_scores_may_be_nothing() -> None:
    assert coverage("calibration_error", lambda: binary(0.3, 1.5), truth=0.0) >= 0.93


def test_the_calibration_error_of_miscalibrated_scores_is_covered() -> None:
    rng = np.random.default_rng(54)

    def draw(rows: int) -> ClassificationCounts:
        actual, predicted, score = scored_binary(rng, rows, 0.3, 1.5)
        return recount.binary(actual, predicted, score**2)

    drawn = recount.stack([draw(ROWS) for _ in range(REPETITIONS)]), draw(TRUTH_ROWS)
    assert coverage("calibration_error", lambda: drawn) >= 0.94
