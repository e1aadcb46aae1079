"""The error-arm test gives its published vector, and stays an e-value for the shares that were observed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tidegauge.assess.sequential import error_arm, mixtures

SIDES = [error_arm.GRID, 1 / error_arm.GRID]


def test_it_gives_the_published_vector() -> None:
    log = mixtures.mean_of(error_arm.steps(20, 180, 0.05, 1.0, error_arm.GRID))
    assert float(log) == pytest.approx(2.777486979536536, rel=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.2, 3.0])
@pytest.mark.parametrize("grid", SIDES)
def test_it_is_the_ratio_of_two_binomial_likelihoods(ratio: float, grid: np.ndarray) -> None:
    share = 0.1
    theta = [share * r / (share * r + 1 - share) for r in (ratio, *(ratio * grid))]
    expected = [stats.binom.logpmf(7, 30, one) - stats.binom.logpmf(7, 30, theta[0]) for one in theta[1:]]
    assert np.allclose(error_arm.steps(7, 23, share, ratio, grid), expected)


@pytest.mark.parametrize(("candidate", "baseline", "wrong"), [(1, 99, 5), (20, 80, 13), (50, 50, 40), (2, 3, 4)])
@pytest.mark.parametrize("grid", SIDES)
def test_its_mean_is_at_most_one_whichever_rows_are_wrong(
    candidate: int, baseline: int, wrong: int, grid: np.ndarray
) -> None:
    """Exact: the candidate's errors are hypergeometric when both arms are equally good."""
    x = np.arange(max(0, wrong - baseline), min(candidate, wrong) + 1)
    chance = stats.hypergeom.pmf(x, candidate + baseline, wrong, candidate)
    values = np.exp(error_arm.steps(x, wrong - x, candidate / (candidate + baseline), 1.0, grid))
    assert np.all(chance @ values <= 1 + 1e-12)


def test_it_is_additive_over_blocks_of_one_share() -> None:
    parts = error_arm.steps(2, 7, 0.2, 1.0, error_arm.GRID) + error_arm.steps(3, 8, 0.2, 1.0, error_arm.GRID)
    assert np.allclose(parts, error_arm.steps(5, 15, 0.2, 1.0, error_arm.GRID))


def test_a_block_without_errors_says_nothing() -> None:
    assert not error_arm.steps(0, 0, 0.3, 1.4, error_arm.GRID).any()


def test_where_the_null_ratio_holds_evidence_does_not_grow() -> None:
    share, ratio = 0.2, 1.5
    theta = share * ratio / (share * ratio + 1 - share)
    x = np.arange(101)
    for grid in SIDES:
        mean = stats.binom.pmf(x, 100, theta) @ np.exp(error_arm.steps(x, 100 - x, share, ratio, grid))
        assert np.allclose(mean, 1)
        assert math.isfinite(float(mixtures.mean_of(error_arm.steps(100, 0, share, ratio, grid))))


def test_the_time_until_a_threshold_is_where_the_mean_reaches_it() -> None:
    logs = np.array([[0.3, 1.0, -2.0], [0.0, -1.0, -5.0], [2.9, 2.8, 2.7], [-3.0, 0.01, -9.0]])
    times = error_arm.times_until(logs, 3.0)
    assert np.isnan(times[1])
    grows = [0, 2, 3]
    assert np.allclose(mixtures.mean_of(logs[grows] * times[grows, None]), 3.0)
