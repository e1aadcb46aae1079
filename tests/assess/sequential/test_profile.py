"""What is learned as normal: sums by hour of the week, a shape shared by versions, a level with a bound."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from tidegauge.assess.counts import Floats
from tidegauge.assess.sequential.history import DAY_MS, HOUR_MS, HOURS, History, half_octave, hour_of_week, quantile
from tidegauge.assess.sequential.profile import Measure, Shape, baseline, learned, learned_shape, ready

PROPORTION = Measure(proportion=True, highest=1.0)
LOSS = Measure(proportion=False)
CYCLE = 1 + 0.3 * np.sin(2 * np.pi * np.arange(24) / 24)


def lived(days: float, rates: Floats, rows: int, seed: int = 1, noise: float = 0.0, start: int = 4 * DAY_MS) -> History:
    """A history of Bernoulli streams (S,) at these rates by the daily cycle, so many rows an hour."""
    rng, history = np.random.default_rng(seed), History.empty(rates.size)
    for hour in range(int(days * 24)):
        rate = rates * CYCLE[hour % 24] * np.exp(noise * rng.normal(size=rates.size))
        errors = rng.binomial(rows, rate)
        history.add(start + hour * HOUR_MS, np.full(rates.size, rows), errors, errors)
    return history


def test_the_week_begins_on_monday_in_utc() -> None:
    monday = datetime(2024, 1, 1, tzinfo=UTC)
    assert hour_of_week(int(monday.timestamp() * 1000)) == 0
    assert hour_of_week(int(datetime(2024, 1, 7, 23, 59, tzinfo=UTC).timestamp() * 1000)) == 167


def test_blocks_add_up_to_hours_and_days() -> None:
    history = History.empty(1)
    for block in range(36):
        history.add(block * 300_000, 10, 2, 2)
    cell = history.closed([0])[0, hour_of_week(0)]
    assert cell.tolist() == [120, 24, 24, 24**2 / 120, 1]
    assert history.n().tolist() == [360]
    assert history.days.tolist() == [0]
    assert history.daily[0].tolist() == [[360, 72, 72]]
    assert history.span_ms().tolist() == [35 * 300_000]


def test_days_are_kept_for_half_a_year() -> None:
    history = History.empty(1)
    for day in range(200):
        history.add(day * DAY_MS, 1, 0, 0)
    assert history.daily.shape == (1, 180, 3)
    assert history.days[[0, -1]].tolist() == [20, 199]


def test_a_saved_history_is_the_same_bit_for_bit() -> None:
    history = lived(2.1, np.array([0.05, 0.1]), 7)
    again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    for each in (history, again):
        each.add(10 * DAY_MS, [1 / 3, 2], [0.1, 0.7], [0.1, 0.7])
    assert history.to_json() == again.to_json()
    assert History.from_json(History.empty(0).to_json()).streams == 0


def test_the_cap_of_losses_is_above_their_quantile_by_half_an_octave_at_most() -> None:
    losses = np.random.default_rng(2).lognormal(1, 1.5, 20_000)
    cap = quantile(np.bincount(half_octave(losses), minlength=82), 0.999)
    true = float(np.quantile(losses, 0.999, method="inverted_cdf"))
    assert cap is not None
    assert true <= cap <= true * 2**0.5
    assert quantile(np.bincount(half_octave([1e9]), minlength=82), 0.999) is None
    assert quantile(np.zeros(82), 0.5) is None


def test_a_daily_cycle_is_learned_and_a_flat_one_is_left_flat() -> None:
    shape = learned_shape(lived(14, np.array([0.05, 0.2]), 2000).closed([0, 1]), PROPORTION)
    assert np.allclose(shape.factors.reshape(7, 24).mean(axis=0), CYCLE, atol=0.06)
    rng, flat = np.random.default_rng(3), History.empty(1)
    for hour in range(7 * 24):
        errors = rng.binomial(200, 0.05)
        flat.add(hour * HOUR_MS, 200, errors, errors)
    assert np.abs(learned_shape(flat.closed([0]), PROPORTION).factors - 1).max() < 0.15


def test_a_weekend_is_learned_from_two_weeks() -> None:
    rng, history = np.random.default_rng(4), History.empty(1)
    for hour in range(14 * 24):
        weekend = hour_of_week(hour * HOUR_MS) >= 5 * 24
        errors = rng.binomial(300, 0.1 if weekend else 0.05)
        history.add(hour * HOUR_MS, 300, errors, errors)
    days = learned_shape(history.closed([0]), PROPORTION).factors.reshape(7, 24).mean(axis=1)
    assert np.allclose(days[5:] / days[:5].mean(), 2, atol=0.3)


def test_versions_share_a_shape_even_where_their_levels_and_shares_differ() -> None:
    rng, history = np.random.default_rng(5), History.empty(2)
    for hour in range(14 * 24):
        rows = np.array([4000, 40]) if hour < 7 * 24 else np.array([40, 4000])
        errors = rng.binomial(rows, np.array([0.05, 0.15]) * CYCLE[hour % 24])
        history.add(4 * DAY_MS + hour * HOUR_MS, rows, errors, errors)
    shape = learned_shape(history.closed([0, 1]), PROPORTION)
    assert np.allclose(shape.factors.reshape(7, 24).mean(axis=0), CYCLE, atol=0.06)


def test_the_bound_of_a_flat_level_is_clopper_pearsons() -> None:
    history = History.empty(1)
    history.add(0, 6000, 300, 300)
    found = baseline(history.closed([0]), Shape.flat(), PROPORTION)
    high = stats.binomtest(300, 6000).proportion_ci(confidence_level=0.9, method="exact").high
    assert found.bound[0, 17] == pytest.approx(high, abs=1e-12)
    assert found.mean[0, 17] == pytest.approx(0.05, abs=1e-12)


def test_the_level_lies_below_its_bound_as_often_as_promised() -> None:
    streams = 2000
    history = lived(8, np.full(streams, 0.05), 30, seed=6)
    found = learned(history, np.arange(streams), None, PROPORTION)
    level = found.bound.mean(axis=1)
    missed = float((level < 0.05).mean())
    assert missed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / streams)


def test_hours_that_vary_more_than_chance_are_noticed_and_widen_the_bound() -> None:
    calm = learned(lived(14, np.full(50, 0.05), 1000, seed=7), np.arange(50), None, PROPORTION)
    wild = learned(lived(14, np.full(50, 0.05), 1000, seed=7, noise=0.4), np.arange(50), None, PROPORTION)
    assert float((calm.tau2 == 0).mean()) > 0.8
    assert np.allclose(np.sqrt(wild.tau2) / 0.05, 0.4, rtol=0.5)
    assert (wild.bound / wild.mean > calm.bound / calm.mean).all()


def test_a_stream_without_any_error_gets_the_rule_of_three() -> None:
    history = History.empty(1)
    history.add(0, 6000, 0, 0)
    found = baseline(history.closed([0]), Shape.flat(), PROPORTION)
    assert found.bound[0, 0] == pytest.approx(1 - 0.05 ** (1 / 6000), rel=1e-9)


def test_a_loss_that_may_be_negative_is_learned_above_its_lowest() -> None:
    rng, history = np.random.default_rng(8), History.empty(1)
    for hour in range(8 * 24):
        y = rng.exponential(0.1, 100) - 0.1
        history.add(hour * HOUR_MS, 100, y.sum(), (y**2).sum())
    found = learned(history, [0], None, Measure(proportion=False, lowest=-1.0))
    assert abs(found.mean[0].mean()) < 0.01
    assert found.variance[0] == pytest.approx(0.01, rel=0.1)
    assert (found.bound > found.mean).all()


def test_learning_takes_time_and_rows_or_a_day_where_the_shape_is_known() -> None:
    week = 7 * DAY_MS
    assert not ready(lived(6.9, np.array([0.05]), 1000), week, None, PROPORTION)[0]
    assert ready(lived(7.1, np.array([0.05]), 1000), week, None, PROPORTION)[0]
    assert not ready(lived(7.1, np.array([0.05]), 20), week, None, PROPORTION)[0]
    assert ready(lived(1.1, np.array([0.05]), 1000), week, Shape.flat(), PROPORTION)[0]
    assert not ready(lived(0.5, np.array([0.05]), 1000), week, Shape.flat(), PROPORTION)[0]
    assert not ready(lived(7.1, np.array([0.0]), 1000), week, None, LOSS)[0]


def test_every_cell_is_a_finite_number_even_where_hours_were_never_seen() -> None:
    history = History.empty(1)
    for day in range(10):
        history.add(day * DAY_MS, 600, 30, 30)
    found = learned(history, [0], None, PROPORTION)
    assert found.mean.shape == (1, HOURS)
    assert np.isfinite(found.mean).all()
    json.dumps(found.to_json(), allow_nan=False)
