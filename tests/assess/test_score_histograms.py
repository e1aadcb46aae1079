"""ROC AUC, average precision and calibration from histograms: right where bins tell rows apart, bounded where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from tests.assess import recount
from tidegauge.assess.quality import METRICS
from tidegauge.assess.quality.calibration import GROUPS, calibration_bins, noise_floor
from tidegauge.assess.quality.pr_auc import average_precision, average_precision_bounds
from tidegauge.assess.quality.roc_auc import auc, auc_bound, model_variance, placement_variance

VALUE = {metric.name: metric.value for metric in METRICS}
Floats = NDArray[np.float64]

scored_rows = st.lists(
    st.tuples(st.booleans(), st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.floats(0.1, 20)),
    min_size=2,
    max_size=60,
).filter(lambda rows: 0 < sum(row[0] for row in rows) < len(rows))


def columns(rows: list[tuple[bool, float, float]]) -> tuple[NDArray[np.int64], Floats, Floats]:
    actual, score, weight = zip(*rows, strict=True)
    return np.array(actual, dtype=np.int64), np.array(score), np.array(weight)


@given(scored_rows, st.sampled_from([1, 2, 15, 30, 300]), st.booleans())
def test_the_true_auc_always_lies_within_the_bound(
    rows: list[tuple[bool, float, float]], bins: int, weighted: bool
) -> None:
    actual, score, weight = columns(rows)
    w = weight if weighted else np.ones(len(weight))
    histogram, _ = recount.histogram(score, actual, w, bins)
    exact = oracle.roc_auc_score(actual, score, sample_weight=w)
    assert abs(auc(histogram) - exact) <= auc_bound(histogram) + 1e-9


@given(scored_rows, st.sampled_from([1, 2, 15, 30, 300]), st.booleans())
def test_the_true_average_precision_always_lies_within_its_bounds(
    rows: list[tuple[bool, float, float]], bins: int, weighted: bool
) -> None:
    actual, score, weight = columns(rows)
    w = weight if weighted else np.ones(len(weight))
    histogram, count = recount.histogram(score, actual, w, bins)
    exact = oracle.average_precision_score(actual, score, sample_weight=w)
    least, most = average_precision_bounds(histogram)
    assert least - 1e-9 <= exact <= most + 1e-9
    assert least - 1e-9 <= average_precision(histogram, count) <= most + 1e-9


@pytest.mark.parametrize("rows", [10, 100, 290])
def test_where_every_row_has_its_own_bin_the_areas_are_exact(rows: int) -> None:
    rng = np.random.default_rng(rows)
    score = (rng.permutation(300)[:rows] + 0.5) / 300
    actual = np.r_[0, 1, rng.integers(0, 2, rows - 2)]
    counts = recount.binary(actual, (score > 0.5).astype(np.int64), score)
    assert VALUE["roc_auc"](counts).score[0] == pytest.approx(oracle.roc_auc_score(actual, score), abs=1e-9)
    assert VALUE["pr_auc"](counts).score[0] == pytest.approx(oracle.average_precision_score(actual, score), abs=1e-9)


def test_average_precision_is_the_expectation_over_orders_within_a_bin() -> None:
    rng = np.random.default_rng(3)
    actual, place = np.array([1, 0, 0, 1, 1, 0, 1, 0, 0, 0]), np.array([2, 2, 2, 2, 2, 1, 1, 1, 0, 0])
    histogram, count = recount.histogram((place + 0.5) / 3, actual, np.ones(10), 3)
    shuffled = [oracle.average_precision_score(actual, place + rng.random(10)) for _ in range(4000)]
    error = float(np.std(shuffled) / np.sqrt(len(shuffled)))
    assert average_precision(histogram, count) == pytest.approx(np.mean(shuffled), abs=4 * error)


def test_two_hundred_bins_bound_the_auc_to_a_quarter_of_a_percent() -> None:
    rng = np.random.default_rng(4)
    actual = (rng.random(200_000) < 0.3).astype(np.int64)
    score = 1 / (1 + np.exp(-rng.normal(1.5 * actual - 1, 1)))
    histogram, _ = recount.histogram(score, actual, np.ones(len(actual)), 200)
    assert auc_bound(histogram) <= 0.0025
    assert abs(auc(histogram) - oracle.roc_auc_score(actual, score)) <= 1e-4


def test_delongs_variance_is_that_of_the_placements() -> None:
    rng = np.random.default_rng(5)
    actual = rng.integers(0, 2, 120)
    score = rng.integers(0, 30, 120) / 30 + 1 / 60
    histogram, _ = recount.histogram(score, actual, np.ones(120), 30)
    positive, negative = score[actual == 1], score[actual == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    expected = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    assert placement_variance(histogram, histogram) == pytest.approx(expected, rel=1e-9)


def test_the_model_of_the_variance_is_the_same_seen_from_either_side() -> None:
    area = np.linspace(0, 1, 11)
    negatives, positives = np.full(11, 40.0), np.full(11, 7.0)
    assert np.allclose(
        model_variance(area, negatives, positives), model_variance(1 - area, positives, negatives), rtol=1e-12
    )


def test_perfect_ranking_of_few_rows_is_not_certain() -> None:
    actual = np.array([0] * 10 + [1] * 10)
    result = VALUE["roc_auc"](recount.binary(actual, actual, actual.astype(np.float64)))
    assert (result.score[0], result.upper[0]) == (1, 1)
    assert 0.6 < result.lower[0] < 0.95


def test_macro_auc_is_the_mean_over_the_classes_that_have_two_sides() -> None:
    rng = np.random.default_rng(6)
    actual, probabilities = rng.integers(0, 3, 600), rng.dirichlet(np.ones(4), 600)
    counts = recount.multiclass(actual, probabilities.argmax(axis=1), 4, probabilities, bins=3000)
    exact = np.mean([oracle.roc_auc_score(actual == k, probabilities[:, k]) for k in range(3)])
    assert VALUE["roc_auc"](counts).score[0] == pytest.approx(exact, abs=1e-4)
    precision = np.mean([oracle.average_precision_score(actual == k, probabilities[:, k]) for k in range(3)])
    assert VALUE["pr_auc"](counts).score[0] == pytest.approx(precision, abs=2e-3)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
def test_intervals_widen_where_the_weights_are_unequal(name: str) -> None:
    rng = np.random.default_rng(7)
    actual = (rng.random(400) < 0.4).astype(np.int64)
    score = np.clip(0.3 * actual + 0.7 * rng.random(400), 0, 1)
    predicted = (score > 0.5).astype(np.int64)
    even = VALUE[name](recount.binary(actual, predicted, score, np.full(400, 3.0)))
    plain = VALUE[name](recount.binary(actual, predicted, score))
    uneven = VALUE[name](recount.binary(actual, predicted, score, rng.choice([1.0, 30.0], 400)))
    assert np.allclose((even.lower, even.upper), (plain.lower, plain.upper), rtol=0, atol=1e-9)
    assert uneven.upper - uneven.lower > 1.1 * (plain.upper - plain.lower)
    assert uneven.samples < plain.samples


def plain_calibration_error(outcome: NDArray[np.int64], probability: Floats, weight: Floats) -> float:
    group = np.minimum((probability * 15).astype(int), 14)
    gaps = [abs((weight * (outcome - probability))[group == g].sum()) for g in range(15)]
    return float(sum(gaps) / weight.sum())


@pytest.mark.parametrize("bins", [15, 30, 300])
def test_calibration_error_is_the_plain_recount(bins: int) -> None:
    rng = np.random.default_rng(8)
    score, w = rng.random(700), rng.uniform(0.5, 4, 700)
    actual = (rng.random(700) < score**2).astype(np.int64)
    result = VALUE["calibration_error"](recount.binary(actual, (score > 0.5).astype(np.int64), score, w, bins))
    assert result.score[0] == pytest.approx(plain_calibration_error(actual, score, w), abs=1e-9)


def test_multiclass_calibration_is_of_the_predicted_class() -> None:
    rng = np.random.default_rng(9)
    actual, probabilities = rng.integers(0, 5, 500), rng.dirichlet(np.ones(5), 500)
    predicted = probabilities.argmax(axis=1)
    result = VALUE["calibration_error"](recount.multiclass(actual, predicted, 5, probabilities, bins=30))
    expected = plain_calibration_error((actual == predicted).astype(np.int64), probabilities.max(axis=1), np.ones(500))
    assert result.score[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rows", [200, 1000, 10_000])
def test_the_noise_floor_is_what_calibrated_scores_show(rows: int) -> None:
    rng = np.random.default_rng(10)
    scores, floors = [], []
    for _ in range(200):
        score = rng.random(rows)
        actual = (rng.random(rows) < score).astype(np.int64)
        counts = recount.binary(actual, (score > 0.5).astype(np.int64), score)
        scores.append(VALUE["calibration_error"](counts).score[0])
        floors.append(noise_floor(counts)[0])
    assert np.mean(floors) == pytest.approx(np.mean(scores), rel=0.06)


def test_calibration_bins_add_up_to_the_rows() -> None:
    score = np.array([0.0, 0.01, 0.5, 0.99, 1.0])
    bins = calibration_bins(recount.binary(np.array([0, 1, 0, 1, 1]), np.array([0, 0, 1, 1, 1]), score))
    assert bins is not None
    assert bins.weight.shape == (1, GROUPS)
    assert bins.weight[0, [0, 7, 14]].tolist() == [2, 1, 2]
    assert bins.positive[0, [0, 7, 14]].tolist() == [1, 0, 2]
    assert bins.probability.sum() == pytest.approx(score.sum())
    assert calibration_bins(recount.binary(np.array([0, 1]), np.array([0, 1]))) is None
