"""A trend is that of the textbooks, holds its level under noise that remembers, and forecasts only what is honest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tidegauge.assess.sequential.trend import DAYS, Trend, breach, lag_one, mann_kendall, theil_sen, trend

VECTOR = [0.05, 0.052, 0.049, 0.051, 0.055, 0.054, 0.057, 0.056, 0.06, 0.059, 0.061, 0.058]


def test_the_published_vector() -> None:
    s, variance, p = mann_kendall(VECTOR)
    assert (s, variance, p) == pytest.approx((48, 212.6667, 0.00126896), abs=1e-4)
    assert theil_sen(np.arange(12), VECTOR) == pytest.approx((0.001, 0.000667, 0.001429), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_slope_and_interval_are_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(14, 60))
    days = np.sort(rng.choice(200, n, replace=False))
    values = np.round(rng.normal(size=n), 1 if seed % 2 else 6)
    theirs = stats.theilslopes(values, days, 0.95)
    assert theil_sen(days, values) == pytest.approx((theirs.slope, theirs.low_slope, theirs.high_slope), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_the_test_agrees_with_kendalls_tau(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=80)
    s, _, p = mann_kendall(values)
    theirs = stats.kendalltau(np.arange(80), values, method="asymptotic")
    assert s / (80 * 79 / 2) == pytest.approx(theirs.statistic, abs=1e-12)
    assert p == pytest.approx(theirs.pvalue, abs=0.02)


def series(
    rng: np.random.Generator, days: int, memory: float, slope: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Daily means of AR(1) noise of standard deviation 1 around a line."""
    noise = rng.normal(size=days + 50)
    for day in range(1, days + 50):
        noise[day] = memory * noise[day - 1] + np.sqrt(1 - memory**2) * noise[day]
    return 100 + slope * np.arange(days) + noise[50:]


def of(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Trend | None:
    """The trend of daily means of 100 rows."""
    return trend(np.arange(values.size), np.full(values.size, 100), values * 100)


@pytest.mark.parametrize(("days", "memory"), [(14, 0.3), (30, 0.0), (30, 0.6), (90, 0.6)])
def test_noise_alone_is_seldom_a_trend(days: int, memory: float) -> None:
    rng, runs = np.random.default_rng(days), 400
    found = [of(series(rng, days, memory)) for _ in range(runs)]
    wrong = np.mean([each is not None and each.significant for each in found])
    assert wrong <= 0.01 + 3 * np.sqrt(0.01 / runs)


def test_memory_from_day_to_day_is_estimated_without_bias() -> None:
    rng = np.random.default_rng(3)
    found = [lag_one(np.arange(60.0), series(rng, 60, 0.5))[0] for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_a_rise_is_found_and_its_slope_lies_in_the_interval() -> None:
    found = of(series(np.random.default_rng(4), 60, 0.5, slope=0.1))
    assert found is not None
    assert found.significant
    assert found.lower < 0.1 < found.upper


def test_two_weeks_are_the_least_and_thin_days_do_not_count() -> None:
    days = np.arange(DAYS + 3)
    rows = np.full(DAYS + 3, 100.0)
    assert trend(days[: DAYS - 1], rows[: DAYS - 1], days[: DAYS - 1] * 1.0) is None
    rows[:4] = 29
    assert trend(days, rows, days * 1.0) is None
    assert trend(days, np.full(DAYS + 3, 100.0), days * 1.0) is not None


def test_an_objective_that_a_line_will_miss_is_forecast_with_its_range() -> None:
    found = Trend(slope=0.001, lower=0.0008, upper=0.002, p_value=1e-5, now=0.05, end_day=99, days=40)
    ahead = breach(found, 0.07)
    assert ahead is not None
    assert (ahead.day, ahead.earliest, ahead.latest) == pytest.approx((120, 110, 125))


@pytest.mark.parametrize(
    ("found", "objective"),
    [
        (Trend(0.001, -0.0001, 0.002, 1e-5, 0.05, 99, 40), 0.07),  # the interval includes 0
        (Trend(0.001, 0.0008, 0.002, 0.02, 0.05, 99, 40), 0.07),  # the test says chance
        (Trend(0.001, 0.0008, 0.002, 1e-5, 0.05, 99, 15), 0.07),  # further ahead than the history is long
        (Trend(0.001, 0.0008, 0.002, 1e-5, 0.08, 99, 40), 0.07),  # missed already
        (Trend(-0.001, -0.002, -0.0008, 1e-5, 0.05, 99, 40), 0.07),  # it gets better
    ],
)
def test_where_a_forecast_would_be_a_guess_there_is_none(found: Trend, objective: float) -> None:
    assert breach(found, objective) is None


def test_the_late_end_is_open_where_it_lies_beyond_the_horizon() -> None:
    ahead = breach(Trend(0.001, 0.0001, 0.002, 1e-5, 0.05, 99, 40), 0.07)
    assert ahead is not None
    assert ahead.latest is None


def test_equal_days_have_no_trend() -> None:
    found = of(np.full(30, 0.05))
    assert found is not None
    assert (found.slope, found.p_value, found.significant) == (0, 1, False)


def test_a_trend_holds_plain_numbers_that_can_be_saved() -> None:
    found = trend(np.arange(20), np.full(20, 1000.0), 50 + np.arange(20) % 7)
    assert found is not None
    kinds = {type(getattr(found, name)) for name in found.__slots__}
    assert kinds == {float, int}
