"""A hard switch is judged by the hour, against what the baseline's history supports."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from bench import statistics_release as bench
from tests.assess.sequential.test_comparison import at_most
from tidegauge.assess.sequential import before_after, mixtures
from tidegauge.assess.sequential.before_after import BeforeAfterState, advance, plan_before_after, read
from tidegauge.assess.sequential.comparison import Arm
from tidegauge.assess.sequential.error_arm import GRID


def test_blocks_count_when_their_hour_is_over() -> None:
    chosen = plan_before_after("proportion", 0.05, 0.0, 0.0475, 0.0, 0.01, 1e6, 400)
    state = BeforeAfterState.empty(chosen)
    for x in (1, 2, 3):
        state = advance(state, chosen, Arm(100, x, x), 0.05, 7)
    assert float(read(state, chosen).samples_candidate) == 0
    state = advance(state, chosen, Arm(10, 1, 1), 0.04, 8)
    assert float(read(state, chosen).samples_candidate) == 300
    expected = [
        stats.binom.logpmf(6, 300, g * 0.05 / (1 - 0.05 + g * 0.05)) - stats.binom.logpmf(6, 300, 0.05) for g in GRID
    ]
    assert float(read(state, chosen).log_evidence_harm) == pytest.approx(float(mixtures.mean_of(expected)))


def test_the_difference_weighs_hours_by_what_they_tell() -> None:
    chosen = plan_before_after("unbounded", 1.0, 0.04, 2.0, 0.0, 0.5, 1e6, 400)
    state = BeforeAfterState.empty(chosen)
    hours = [(50, 1.3, 1.0), (400, 1.1, 0.9), (10, 2.0, 1.2), (1, 0.0, 1.0)]
    for hour, (n, mean, expected) in enumerate(hours):
        state = advance(state, chosen, Arm(n, n * mean, n * (mean**2 + 2)), expected, hour)
    weights = [1 / (0.04 + 2.0 / n) for n, _, _ in hours[:-1]]
    residuals = [mean - expected for _, mean, expected in hours[:-1]]
    assert float(read(state, chosen).difference) == pytest.approx(np.average(residuals, weights=weights))


def test_less_than_a_day_of_history_supports_nothing() -> None:
    with pytest.raises(ValueError, match="24"):
        plan_before_after("proportion", 0.05, 0.0, 0.0475, 0.0, 0.01, 1e6, 23)


@pytest.mark.parametrize(("hours", "verdict"), [(24, "keep_watching"), (167, "keep_watching"), (168, "promote")])
def test_less_than_a_week_of_history_never_promotes(hours: int, verdict: str) -> None:
    chosen = plan_before_after("proportion", 0.05, 0.0, 0.0475, 0.0, 0.01, 1e6, hours)
    state = BeforeAfterState.empty(chosen)
    for hour in range(48):
        state = advance(state, chosen, Arm(1000, 50, 50), 0.05, hour)
    assert read(state, chosen).verdict == verdict


@pytest.mark.parametrize("kind", ["proportion", "unbounded"])
def test_a_level_hardly_known_never_proves_a_small_difference(kind: str) -> None:
    rate, variance = 0.05, 0.0475
    chosen = plan_before_after(kind, rate, 0.0, variance, 0.01**2, 0.01, 1e3, 400)  # type: ignore[arg-type]
    state = BeforeAfterState.empty(chosen)
    for hour in range(400):
        state = advance(state, chosen, Arm(10_000, 600, 600), rate, hour)
    result = read(state, chosen)
    assert result.verdict == "keep_watching"
    assert float(result.lower) < 0 < float(result.upper)
    assert math.isnan(float(result.samples_needed))


def test_a_state_survives_json_bit_for_bit() -> None:
    chosen = plan_before_after("proportion", 0.05, 1e-5, 0.0475, 1e-7, 0.01, 1e6, 400)
    state = again = BeforeAfterState.empty(chosen)
    for block in range(40):
        again = BeforeAfterState.from_json(json.loads(json.dumps(again.to_json(), allow_nan=False)))
        arm = Arm(70 + block, 4, 4)
        state, again = (advance(one, chosen, arm, 0.05 + block / 1e4, block // 12) for one in (state, again))
    assert json.dumps(state.to_json()) == json.dumps(again.to_json())


def test_hours_that_vary_on_their_own_are_no_evidence() -> None:
    rolled, _, missed = bench.switch(400, 7, 5000, 0.1, 0.0, 1)
    assert at_most(bench.frequency("", "", rolled))
    assert at_most(bench.frequency("", "", missed))
    _, promoted, _ = bench.switch(400, 7, 5000, 0.1, 0.01, 2)
    assert at_most(bench.frequency("", "", promoted))


def test_a_jump_is_seen_nearly_as_soon_as_can_be() -> None:
    for figure in bench.jumps(100):
        assert figure.value <= figure.bar + 3 * figure.error


def test_losses_are_compared_too() -> None:
    chosen = plan_before_after("unbounded", 1.0, 0.0, 1.0, 0.0, 0.1, 1e6, 400)
    random = np.random.default_rng(3)
    said = {}
    for shift in (0.0, 0.3):
        state = BeforeAfterState.empty(chosen, (200,))
        for hour in range(200):
            losses = random.exponential(1.0, (200, 50)) + shift
            arm = Arm(np.full(200, 50.0), losses.sum(axis=1), (losses**2).sum(axis=1))
            state = advance(state, chosen, arm, 1.0, hour)
        said[shift] = np.asarray(read(state, chosen).verdict)
    assert (said[0.0] == "promote").mean() > 0.95
    assert (said[0.3] == "roll_back").mean() > 0.99
    assert before_after.HOURS_TO_COMPARE < before_after.HOURS_TO_PROMOTE
