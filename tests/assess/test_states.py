"""The state says why there is no number, or that the number rests on little."""

from __future__ import annotations

import numpy as np
import pytest

from tests.assess import recount
from tidegauge.assess.counts import STATES, FeedbackCounts
from tidegauge.assess.estimates import settle, unsupported
from tidegauge.assess.intervals import wilson
from tidegauge.assess.quality import METRICS, metrics_for

VALUE = {metric.name: metric.value for metric in METRICS}


def state_of(rows: int, *, mature: float, labeled: float, minimum: float = 30) -> str:
    actual = np.arange(rows) % 2
    result = settle(VALUE["accuracy"](recount.binary(actual, actual)), minimum=minimum, mature=mature, labeled=labeled)
    assert np.isfinite(result.score[0]) == (STATES[result.state[0]] in ("ok", "insufficient_samples"))
    return STATES[int(result.state[0])]


def test_nothing_mature_is_immature() -> None:
    assert state_of(0, mature=0, labeled=0) == "immature"


def test_mature_predictions_without_labels_have_no_feedback() -> None:
    assert state_of(0, mature=100, labeled=0) == "no_feedback"


def test_a_window_without_mature_predictions_publishes_no_score_even_if_labels_came_early() -> None:
    assert state_of(50, mature=0, labeled=50) == "immature"


def test_few_rows_still_have_a_score_and_a_wide_interval() -> None:
    assert state_of(29, mature=100, labeled=29) == "insufficient_samples"


def test_exactly_the_minimum_is_enough() -> None:
    assert state_of(30, mature=100, labeled=30) == "ok"


def test_rounding_does_not_take_away_the_last_sample() -> None:
    w = np.full(30, 0.1)
    actual = np.arange(30) % 2
    result = VALUE["accuracy"](recount.binary(actual, actual, weight=w))
    assert STATES[settle(result, minimum=30, mature=3.0, labeled=3.0).state[0]] == "ok"


def test_labels_of_one_class_leave_a_metric_unsupported() -> None:
    counts = recount.binary(np.zeros(50, dtype=np.int64), np.zeros(50, dtype=np.int64))
    result = settle(VALUE["balanced_accuracy"](counts), minimum=30, mature=50, labeled=50)
    assert STATES[result.state[0]] == "unsupported"


def test_states_are_told_for_each_series_alone() -> None:
    result = settle(unsupported((3,)), minimum=30, mature=[0, 1, 1], labeled=[0, 0, 1])
    assert [STATES[state] for state in result.state] == ["immature", "no_feedback", "unsupported"]


def test_states_are_told_for_each_class_alone() -> None:
    result = settle(unsupported((2, 3)), minimum=30, mature=np.array([[0], [1]]), labeled=np.array([[0], [1]]))
    assert [[STATES[state] for state in row] for row in result.state] == [["immature"] * 3, ["unsupported"] * 3]


def test_reports_are_counted_against_all_mature_predictions() -> None:
    counts = FeedbackCounts(np.array([1000.0]), labeled=np.array([80.0]), bad=np.array([50.0]))
    reported, responses = (metric.value(counts) for metric in metrics_for("binary", "voluntary"))
    assert (reported.score[0], responses.score[0]) == (0.05, 0.08)
    assert (reported.numerator[0], reported.denominator[0], reported.samples[0]) == (50, 1000, 1000)
    assert (reported.lower[0], reported.upper[0]) == pytest.approx(np.ravel(wilson(0.05, 1000)))


def test_no_report_is_a_rate_of_zero_not_a_missing_one() -> None:
    counts = FeedbackCounts(np.array([1000.0]), labeled=np.array([0.0]), bad=np.array([0.0]))
    result = metrics_for("binary", "mistakes")[0].value(counts)
    assert (result.score[0], result.lower[0]) == (0, 0)
    assert 0.001 < result.upper[0] < 0.01


def test_reports_of_a_sampled_log_rest_on_fewer_rows() -> None:
    counts = FeedbackCounts(np.array([1000.0]), np.array([80.0]), np.array([50.0]), squares=np.array([10_000.0]))
    assert metrics_for("binary", "mistakes")[0].value(counts).samples[0] == 100
