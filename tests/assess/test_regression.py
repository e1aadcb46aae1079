"""Regression scores from sums of powers equal scikit-learn's on the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as oracle

from tests.assess import recount
from tidegauge.assess.counts import OK, UNSUPPORTED
from tidegauge.assess.quality import METRICS

VALUE = {metric.name: metric.value for metric in METRICS}
ORACLE: dict[str, Callable[..., float]] = {
    "mae": oracle.mean_absolute_error,
    "rmse": oracle.root_mean_squared_error,
    "mape": oracle.mean_absolute_percentage_error,
    "r2": oracle.r2_score,
    "mean_error": lambda y, p, sample_weight=None: float(np.average(p - y, weights=sample_weight)),
}


@pytest.mark.parametrize("weighting", ["unweighted", "weighted"])
@pytest.mark.parametrize("name", ORACLE)
def test_regression_scores_are_those_of_scikit_learn(name: str, weighting: str) -> None:
    rng = np.random.default_rng(21)
    for _ in range(40):
        rows = int(rng.integers(5, 400))
        label = rng.normal(20, 6, rows)
        prediction = label * rng.uniform(0.5, 1.5) + rng.normal(0, 3, rows)
        w = None if weighting == "unweighted" else rng.uniform(0.1, 20, rows)
        result = VALUE[name](recount.regression(label, prediction, w))
        assert result.score[0] == pytest.approx(ORACLE[name](label, prediction, sample_weight=w), rel=1e-9, abs=1e-9)
        assert result.lower[0] <= result.score[0] <= result.upper[0]


def test_percentage_errors_leave_out_labels_of_zero() -> None:
    label, prediction = np.array([0.0, 10.0, -20.0]), np.array([5.0, 11.0, -18.0])
    result = VALUE["mape"](recount.regression(label, prediction))
    assert result.score[0] == pytest.approx(0.1)
    assert result.samples[0] == 2


def test_a_model_that_says_too_much_has_a_positive_mean_error() -> None:
    assert VALUE["mean_error"](recount.regression(np.array([1.0, 2.0]), np.array([2.0, 4.0]))).score[0] == 1.5


def test_r2_and_its_interval_do_not_depend_on_the_origin_of_the_labels() -> None:
    rng = np.random.default_rng(22)
    label = rng.gamma(2, 3, 300)
    prediction, w = label + rng.normal(0, 2, 300), rng.uniform(0.5, 2, 300)
    plain = VALUE["r2"](recount.regression(label, prediction, w))
    moved = VALUE["r2"](recount.regression(label, prediction, w, origin=-50))
    for field in ("score", "lower", "upper"):
        assert np.allclose(getattr(plain, field), getattr(moved, field), rtol=1e-7)


def test_labels_that_do_not_vary_have_no_r2() -> None:
    result = VALUE["r2"](recount.regression(np.full(50, 0.1), np.linspace(0, 1, 50)))
    assert (result.state[0], np.isnan(result.score[0])) == (UNSUPPORTED, True)


def test_perfect_predictions_are_perfect() -> None:
    label = np.linspace(1, 9, 40)
    counts = recount.regression(label, label)
    assert VALUE["r2"](counts).score[0] == 1
    for name in ("mae", "rmse", "mape", "mean_error"):
        result = VALUE[name](counts)
        assert (result.score[0], result.lower[0], result.upper[0], result.state[0]) == (0, 0, 0, OK)


def test_the_ratio_of_the_sums_of_rmse_is_the_mean_square() -> None:
    rng = np.random.default_rng(23)
    result = VALUE["rmse"](recount.regression(rng.normal(size=30), rng.normal(size=30)))
    assert np.sqrt(result.numerator / result.denominator) == pytest.approx(result.score)
