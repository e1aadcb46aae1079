"""Scores from confusion counts equal scikit-learn's on the rows, weighted or not, binary or multiclass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from tests.assess import recount
from tidegauge.assess.counts import OK
from tidegauge.assess.intervals import wilson
from tidegauge.assess.quality import METRICS, per_class

VALUE = {metric.name: metric.value for metric in METRICS}
Rows = NDArray[np.int64]
Weight = NDArray[np.float64] | None


def specificity(actual: Rows, predicted: Rows, weight: Weight, positive: int) -> float:
    return float(oracle.recall_score(actual != positive, predicted != positive, sample_weight=weight))


BINARY: dict[str, Callable[[Rows, Rows, Weight], float]] = {
    "accuracy": lambda a, p, w: oracle.accuracy_score(a, p, sample_weight=w),
    "balanced_accuracy": lambda a, p, w: oracle.balanced_accuracy_score(a, p, sample_weight=w),
    "precision": lambda a, p, w: oracle.precision_score(a, p, sample_weight=w),
    "recall": lambda a, p, w: oracle.recall_score(a, p, sample_weight=w),
    "f1": lambda a, p, w: oracle.f1_score(a, p, sample_weight=w),
    "specificity": lambda a, p, w: specificity(a, p, w, 1),
    "mcc": lambda a, p, w: oracle.matthews_corrcoef(a, p, sample_weight=w),
}
MULTICLASS: dict[str, Callable[[Rows, Rows, Weight], float]] = {
    "accuracy": BINARY["accuracy"],
    "mcc": BINARY["mcc"],
    "precision": lambda a, p, w: oracle.precision_score(a, p, sample_weight=w, average="macro", zero_division=0),
    "recall": lambda a, p, w: oracle.recall_score(a, p, sample_weight=w, average="macro", zero_division=0),
    "f1": lambda a, p, w: oracle.f1_score(a, p, sample_weight=w, average="macro", zero_division=0),
    "specificity": lambda a, p, w: float(np.mean([specificity(a, p, w, k) for k in np.union1d(a, p)])),
}


def weights(kind: str, rows: int, rng: np.random.Generator) -> Weight:
    return None if kind == "unweighted" else rng.uniform(0.1, 20, rows)


@pytest.mark.parametrize("weighting", ["unweighted", "weighted"])
@pytest.mark.parametrize("name", BINARY)
def test_binary_scores_are_those_of_scikit_learn(name: str, weighting: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(40):
        rows = int(rng.integers(20, 300))
        actual, flip = rng.integers(0, 2, rows), rng.random(rows) < rng.uniform(0.05, 0.6)
        predicted = np.where(flip, 1 - actual, actual)
        w = weights(weighting, rows, rng)
        result = VALUE[name](recount.binary(actual, predicted, weight=w))
        assert result.score[0] == pytest.approx(BINARY[name](actual, predicted, w), abs=1e-9)
        assert result.state[0] == OK
        assert result.lower[0] <= result.score[0] <= result.upper[0]


@pytest.mark.parametrize("weighting", ["unweighted", "weighted"])
@pytest.mark.parametrize("name", MULTICLASS)
def test_multiclass_scores_are_those_of_scikit_learn(name: str, weighting: str) -> None:
    rng = np.random.default_rng(12)
    for _ in range(40):
        rows, classes = int(rng.integers(20, 300)), int(rng.integers(3, 12))
        actual = rng.integers(0, classes, rows)
        predicted = np.where(rng.random(rows) < 0.6, actual, rng.integers(0, classes, rows))
        w = weights(weighting, rows, rng)
        result = VALUE[name](recount.multiclass(actual, predicted, classes + 2, weight=w))
        assert result.score[0] == pytest.approx(MULTICLASS[name](actual, predicted, w), abs=1e-9)
        assert result.lower[0] <= result.score[0] <= result.upper[0]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_classes_seen_on_one_side_only_count_as_in_scikit_learn(rows: list[tuple[int, int]]) -> None:
    actual, predicted = np.array(rows).T
    counts = recount.multiclass(actual, predicted, 5)
    for name in ("precision", "recall", "f1"):
        assert VALUE[name](counts).score[0] == pytest.approx(MULTICLASS[name](actual, predicted, None), abs=1e-9)
    if len(set(actual)) > 1:
        assert VALUE["mcc"](counts).score[0] == pytest.approx(oracle.matthews_corrcoef(actual, predicted), abs=1e-9)
        recalls = [np.mean(predicted[actual == k] == k) for k in set(actual)]
        assert VALUE["balanced_accuracy"](counts).score[0] == pytest.approx(np.mean(recalls), abs=1e-9)


@pytest.mark.parametrize("weighting", ["unweighted", "weighted"])
def test_scores_per_class_are_those_of_scikit_learn(weighting: str) -> None:
    rng = np.random.default_rng(13)
    actual = rng.integers(0, 4, 400)
    predicted = np.where(rng.random(400) < 0.7, actual, rng.integers(0, 4, 400))
    w = weights(weighting, 400, rng)
    probabilities = rng.dirichlet(np.ones(4), 400)
    result = per_class(recount.multiclass(actual, predicted, 4, probabilities, w, bins=3000))
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(actual, predicted, sample_weight=w)
    assert np.allclose(result["precision"].score[0], precision, rtol=0, atol=1e-9)
    assert np.allclose(result["recall"].score[0], recall, rtol=0, atol=1e-9)
    assert np.allclose(result["f1"].score[0], f1, rtol=0, atol=1e-9)
    expected = [specificity(actual, predicted, w, k) for k in range(4)]
    assert np.allclose(result["specificity"].score[0], expected, rtol=0, atol=1e-9)
    for k in range(4):
        exact = oracle.roc_auc_score(actual == k, probabilities[:, k], sample_weight=w)
        assert result["roc_auc"].lower[0, k] <= exact <= result["roc_auc"].upper[0, k]
        assert result["roc_auc"].score[0, k] == pytest.approx(exact, abs=1e-3)


def test_counts_without_scores_have_no_auc_per_class() -> None:
    actual = np.array([0, 1, 2, 1])
    assert set(per_class(recount.multiclass(actual, actual, 3))) == {"precision", "recall", "f1", "specificity"}


def test_support_per_class_is_in_the_samples() -> None:
    actual, predicted = np.array([0, 0, 0, 1, 2]), np.array([0, 1, 0, 1, 1])
    result = per_class(recount.multiclass(actual, predicted, 3))
    assert result["recall"].samples.tolist() == [[3, 1, 1]]
    assert result["precision"].samples.tolist() == [[2, 3, 0]]


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "specificity"])
def test_plain_proportions_have_wilson_intervals(name: str) -> None:
    rng = np.random.default_rng(14)
    actual, predicted = rng.integers(0, 2, 80), rng.integers(0, 2, 80)
    result = VALUE[name](recount.binary(actual, predicted))
    expected = wilson(result.score, result.denominator)
    assert np.allclose((result.lower, result.upper), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1", "specificity", "brier", "log_loss"])
def test_ratios_merge_by_adding_their_sums(name: str) -> None:
    rng = np.random.default_rng(15)
    actual, score = rng.integers(0, 2, 300), rng.random(300)
    predicted, w = (score >= 0.5).astype(np.int64), rng.uniform(0.5, 3, 300)
    parts = [
        VALUE[name](recount.binary(actual[half], predicted[half], score[half], w[half]))
        for half in (slice(0, 100), slice(100, 300))
    ]
    merged = sum(p.numerator[0] for p in parts) / sum(p.denominator[0] for p in parts)
    assert merged == pytest.approx(VALUE[name](recount.binary(actual, predicted, score, w)).score[0], abs=1e-9)


@pytest.mark.parametrize("name", ["balanced_accuracy", "mcc", "roc_auc", "pr_auc", "calibration_error"])
def test_what_cannot_be_merged_by_adding_has_no_sums(name: str) -> None:
    rng = np.random.default_rng(16)
    actual, score = rng.integers(0, 2, 300), rng.random(300)
    result = VALUE[name](recount.binary(actual, (score >= 0.5).astype(np.int64), score))
    assert np.isfinite(result.score).all()
    assert np.isnan([result.numerator, result.denominator]).all()


def test_many_series_at_once_are_each_series_alone() -> None:
    rng = np.random.default_rng(17)
    series = []
    for rows in (0, 1, 5, 50, 500):
        actual, probabilities = rng.integers(0, 3, rows), rng.dirichlet(np.ones(3), rows)
        series.append(recount.multiclass(actual, probabilities.argmax(axis=1), 3, probabilities, bins=30))
    together = recount.stack(series)
    for metric in METRICS:
        if "multiclass" not in metric.tasks or "complete" not in metric.kinds:
            continue
        result = metric.value(together)
        for index, one in enumerate(series):
            alone = metric.value(one)
            for field in ("score", "lower", "upper", "numerator", "denominator", "samples", "state"):
                assert np.allclose(getattr(result, field)[index], getattr(alone, field)[0], equal_nan=True), metric.name


@pytest.mark.parametrize("name", ["log_loss", "brier"])
@pytest.mark.parametrize("weighting", ["unweighted", "weighted"])
def test_losses_of_probabilities_are_those_of_scikit_learn(name: str, weighting: str) -> None:
    rng = np.random.default_rng(18)
    score, w = rng.uniform(0.001, 0.999, 500), weights(weighting, 500, rng)
    actual = (rng.random(500) < score).astype(np.int64)
    score_of = {"log_loss": oracle.log_loss, "brier": oracle.brier_score_loss}[name]
    result = VALUE[name](recount.binary(actual, (score > 0.5).astype(np.int64), score, w))
    assert result.score[0] == pytest.approx(score_of(actual, score, sample_weight=w), abs=1e-9)
    probabilities, kinds = rng.dirichlet(np.ones(4), 500), rng.integers(0, 4, 500)
    multi = VALUE[name](recount.multiclass(kinds, probabilities.argmax(axis=1), 4, probabilities, w))
    options = {"scale_by_half": False} if name == "brier" else {}
    assert multi.score[0] == pytest.approx(
        score_of(kinds, probabilities, sample_weight=w, labels=range(4), **options), abs=1e-9
    )
