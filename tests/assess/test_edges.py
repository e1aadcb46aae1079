"""Whatever the counts, a metric answers with a number in range and an interval around it, or says that it has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.assess import recount
from tidegauge.assess.counts import OK, UNSUPPORTED, ClassificationCounts, Estimates, FeedbackCounts
from tidegauge.assess.quality import METRICS, constant_baseline, metrics_for, per_class

VALUE = {metric.name: metric.value for metric in METRICS}
UNBOUNDED = ("log_loss", "mae", "rmse", "mape", "r2", "mean_error")


def check(name: str, result: Estimates) -> None:
    known = result.state == OK
    assert set(np.unique(result.state)) <= {OK, UNSUPPORTED}
    assert np.isfinite(result.score[known]).all()
    assert np.isnan(result.score[~known]).all()
    assert np.isnan(result.lower[~known]).all()
    assert not np.isnan(result.samples).any()
    lower, score, upper = result.lower[known], result.score[known], result.upper[known]
    if name not in UNBOUNDED:
        low, high = (-1 if name == "mcc" else 0), (2 if name == "brier" else 1)
        assert ((low <= lower) & (lower <= score) & (score <= upper) & (upper <= high)).all()
    else:
        assert not (lower > score).any()
        assert not (upper < score).any()


def classification(actual: list[int], predicted: list[int], score: list[float], task: str) -> ClassificationCounts:
    a, p = np.array(actual, dtype=np.int64), np.array(predicted, dtype=np.int64)
    s = np.array(score, dtype=np.float64)
    if task == "binary":
        return recount.binary(a, p, s, bins=30)
    return recount.multiclass(a, p, 2, np.column_stack([1 - s, s]), bins=30)


CASES: dict[str, tuple[list[int], list[int], list[float]]] = {
    "no rows": ([], [], []),
    "one row": ([1], [1], [0.7]),
    "one wrong row": ([1], [0], [0.2]),
    "no positives": ([0] * 50, [0, 1] * 25, [0.2, 0.7] * 25),
    "no positives and none predicted": ([0] * 50, [0] * 50, [0.1] * 50),
    "no negatives": ([1] * 50, [0, 1] * 25, [0.2, 0.7] * 25),
    "all correct": ([0, 1] * 25, [0, 1] * 25, [0.0, 1.0] * 25),
    "all wrong": ([0, 1] * 25, [1, 0] * 25, [1.0, 0.0] * 25),
    "constant answer": ([0, 1] * 25, [1] * 50, [0.5] * 50),
}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("case", CASES)
def test_every_classification_metric_has_an_answer_for(case: str, task: str) -> None:
    counts = classification(*CASES[case], task)
    for metric in metrics_for(task, "complete"):
        check(metric.name, metric.value(counts))
        constant_baseline(metric, counts)
    for name, result in per_class(counts).items():
        assert result.score.shape == (1, 2)
        check(name, result)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 1), st.sampled_from([0.1, 0.3, 1.0, 1e-9, 1e6])),
        max_size=12,
    ),
    st.sampled_from(["binary", "multiclass"]),
)
def test_every_classification_metric_has_an_answer_for_any_few_weighted_rows(
    rows: list[tuple[int, int, float, float]], task: str
) -> None:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    actual, predicted = columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64)
    score, weight = columns[:, 2], columns[:, 3]
    if task == "binary":
        counts = recount.binary(np.minimum(actual, 1), np.minimum(predicted, 1), score, weight, bins=30)
    else:
        probabilities = np.column_stack([1 - score, score / 2, score / 2])
        counts = recount.multiclass(actual, predicted, 3, probabilities, weight, bins=30)
    for metric in metrics_for(task, "complete"):
        check(metric.name, metric.value(counts))
    for name, result in per_class(counts).items():
        check(name, result)


def test_weights_that_do_not_add_up_exactly_do_not_make_a_class_occur() -> None:
    actual = np.zeros(30, dtype=np.int64)
    weight = np.tile([0.1, 0.2, 0.7], 10)
    counts = recount.multiclass(actual, np.arange(30) % 3, 3, weight=weight)
    assert per_class(counts)["specificity"].state[0, 0] == UNSUPPORTED
    assert per_class(counts)["recall"].state.tolist() == [[OK, UNSUPPORTED, UNSUPPORTED]]


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3)), max_size=12),
)
def test_every_regression_metric_has_an_answer_for_any_few_rows(rows: list[tuple[float, float, float]]) -> None:
    label, prediction, weight = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    with np.errstate(over="ignore", divide="ignore"):
        counts = recount.regression(label, prediction, weight)
    if not np.isfinite(counts.percentage_error.w2l2).all():
        return
    for metric in metrics_for("regression", "complete"):
        check(metric.name, metric.value(counts))
        constant_baseline(metric, counts)


def test_zero_weight_is_no_evidence() -> None:
    counts = recount.binary(np.array([0, 1]), np.array([0, 1]), np.array([0.1, 0.9]), np.zeros(2))
    for metric in metrics_for("binary", "complete"):
        result = metric.value(counts)
        assert (result.state[0], result.samples[0]) == (UNSUPPORTED, 0), metric.name


def test_a_single_configured_class_has_an_accuracy_and_little_else() -> None:
    counts = recount.multiclass(np.zeros(9, dtype=np.int64), np.zeros(9, dtype=np.int64), 1)
    supported = {m.name for m in metrics_for("multiclass", "complete") if m.value(counts).state[0] == OK}
    assert supported == {"accuracy", "precision", "recall", "f1"}


def test_one_class_only_has_no_score_that_compares_classes() -> None:
    counts = classification(*CASES["no positives"], "binary")
    supported = {m.name for m in metrics_for("binary", "complete") if m.value(counts).state[0] == OK}
    assert supported == {
        "accuracy",
        "precision",
        "f1",
        "specificity",
        "log_loss",
        "brier",
        "calibration_error",
    }


@pytest.mark.parametrize(
    "name", ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "specificity", "mcc", "roc_auc", "pr_auc"]
)
def test_all_correct_is_not_certainty(name: str) -> None:
    result = VALUE[name](classification(*CASES["all correct"], "binary"))
    assert (result.score[0], result.upper[0]) == (1, 1)
    assert 0.6 < result.lower[0] < 0.97


def test_a_rare_class_all_correct_keeps_its_uncertainty_in_the_averages() -> None:
    actual = np.array([1] * 5 + [0] * 495)
    for name in ("balanced_accuracy", "mcc"):
        assert VALUE[name](recount.binary(actual, actual)).lower[0] < 0.85
    assert VALUE["f1"](recount.multiclass(actual, actual, 2)).lower[0] < 0.85


def test_counts_of_hundreds_of_series_and_fifty_classes_are_one_call() -> None:
    rng = np.random.default_rng(31)
    cells = rng.integers(0, 4, (200, 50, 50))
    counts = ClassificationCounts(tuple(map(str, range(50))), None, cells, cells.astype(float), cells.astype(float))
    for name in ("accuracy", "balanced_accuracy", "f1", "mcc"):
        result = VALUE[name](counts)
        assert result.score.shape == (200,)
        check(name, result)


def test_rates_of_reports_never_exceed_the_predictions() -> None:
    counts = FeedbackCounts(np.array([0.0, 10, 10]), np.array([0.0, 0, 10]), np.array([0.0, 0, 10]))
    for metric in metrics_for("binary", "mistakes"):
        check(metric.name, metric.value(counts))
