"""The registry is complete, and baselines are what the best constant answer would have scored."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from tests.assess import recount
from tidegauge.assess.quality import METRICS, constant_baseline, metrics_for
from tidegauge.config.metrics import METRICS as CONFIGURABLE
from tidegauge.config.settings import KINDS, TASKS

METRIC = {metric.name: metric for metric in METRICS}


def test_every_metric_that_can_have_an_objective_is_computed_for_the_same_tasks_and_channels() -> None:
    configurable = {(m.name, task, kind) for m in CONFIGURABLE for task in m.tasks for kind in m.kinds}
    assert configurable <= {(m.name, task, kind) for m in METRICS for task in m.tasks for kind in m.kinds}


def test_names_are_given_once() -> None:
    assert len(METRIC) == len(METRICS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_channels_of_reports_have_nothing_called_accuracy(task: str, kind: str) -> None:
    names = {metric.name for metric in metrics_for(task, kind)}
    if kind in ("mistakes", "voluntary"):
        assert names == {"reported_error_rate", "response_rate"}
    else:
        assert names
        assert not names & {"reported_error_rate", "response_rate"}


def baseline(name: str, counts: object) -> float:
    return float(constant_baseline(METRIC[name], counts)[0])  # type: ignore[arg-type]


def test_binary_baselines_are_the_best_constant_answers() -> None:
    rng = np.random.default_rng(41)
    actual = (rng.random(500) < 0.3).astype(np.int64)
    counts = recount.binary(actual, rng.integers(0, 2, 500), rng.random(500))
    always, never, share = np.ones(500), np.zeros(500), np.full(500, actual.mean())
    expected = {
        "accuracy": oracle.accuracy_score(actual, never),
        "balanced_accuracy": oracle.balanced_accuracy_score(actual, never),
        "precision": oracle.precision_score(actual, always),
        "f1": oracle.f1_score(actual, always),
        "mcc": oracle.matthews_corrcoef(actual, always),
        "log_loss": oracle.log_loss(actual, share),
        "brier": oracle.brier_score_loss(actual, share),
        "roc_auc": oracle.roc_auc_score(actual, share),
        "pr_auc": oracle.average_precision_score(actual, share),
    }
    assert {name: baseline(name, counts) for name in expected} == pytest.approx(expected, abs=1e-9)


def test_multiclass_baselines_are_the_best_constant_answers() -> None:
    rng = np.random.default_rng(42)
    actual = rng.choice(4, 500, p=[0.5, 0.3, 0.15, 0.05])
    counts = recount.multiclass(actual, rng.integers(0, 4, 500), 5)
    most, share = np.zeros(500), np.tile(np.bincount(actual, minlength=4) / 500, (500, 1))
    expected = {
        "accuracy": oracle.accuracy_score(actual, most),
        "balanced_accuracy": oracle.balanced_accuracy_score(actual, most),
        "precision": oracle.precision_score(actual, most, average="macro", zero_division=0),
        "recall": oracle.recall_score(actual, most, average="macro"),
        "f1": oracle.f1_score(actual, most, average="macro"),
        "specificity": np.mean([np.mean(most[actual != k] != k) for k in range(4)]),
        "mcc": 0.0,
        "log_loss": oracle.log_loss(actual, share),
        "brier": oracle.brier_score_loss(actual, share, scale_by_half=False),
        "roc_auc": 0.5,
        "pr_auc": 0.25,
    }
    assert {name: baseline(name, counts) for name in expected} == pytest.approx(expected, abs=1e-9)


def test_regression_baselines_are_the_mean_answer() -> None:
    rng = np.random.default_rng(43)
    label, w = rng.gamma(2, 3, 200), rng.uniform(1, 3, 200)
    counts = recount.regression(label, label + rng.normal(size=200), w, origin=4.0)
    constant = np.full(200, np.average(label, weights=w))
    expected = {"rmse": oracle.root_mean_squared_error(label, constant, sample_weight=w), "r2": 0.0}
    assert {name: baseline(name, counts) for name in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["recall", "specificity", "calibration_error"])
def test_there_is_no_baseline_that_a_constant_wins(name: str) -> None:
    actual = np.arange(50) % 2
    assert np.isnan(baseline(name, recount.binary(actual, actual)))


@pytest.mark.parametrize("name", ["mae", "mape", "mean_error"])
def test_there_is_no_baseline_that_the_sums_do_not_tell(name: str) -> None:
    assert np.isnan(baseline(name, recount.regression(np.arange(5.0), np.arange(5.0))))
