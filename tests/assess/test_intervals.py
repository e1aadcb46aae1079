"""Intervals agree with published vectors and with scipy.stats, and stay honest where textbooks' fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.assess import recount
from tidegauge.assess.intervals import (
    loss_interval,
    mean,
    mean_interval,
    mean_variance,
    mover,
    proportion,
    wilson,
)
from tidegauge.assess.numeric import kish, ratio


def test_wilson_gives_the_published_vector() -> None:
    assert np.allclose(wilson(0.05, 100), (0.021543679154367966, 0.11175046923191914), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 50, 1000])
def test_wilson_is_that_of_scipy(n: int) -> None:
    successes = np.arange(n + 1)
    ours = wilson(successes / n, n)
    theirs = [stats.binomtest(int(x), n).proportion_ci(method="wilson") for x in successes]
    assert np.allclose(ours[0], [interval.low for interval in theirs], rtol=0, atol=1e-9)
    assert np.allclose(ours[1], [interval.high for interval in theirs], rtol=0, atol=1e-9)


def test_a_proportion_of_nothing_may_be_anything() -> None:
    assert np.ravel(wilson(np.nan, 0)).tolist() == [0, 1]
    share = proportion(*(np.zeros(1) for _ in range(4)))
    assert np.isnan(share.value).all()
    assert np.ravel([share.lower, share.upper, share.samples]).tolist() == [0, 1, 0]


def test_an_unweighted_proportion_has_the_plain_wilson_interval() -> None:
    share = proportion(np.array([30.0]), np.array([30.0]), np.array([70.0]), np.array([70.0]))
    assert np.allclose((share.lower, share.upper), np.array(wilson(0.3, 100))[:, None], rtol=0, atol=1e-12)
    assert share.samples == 100


def test_equal_weights_count_for_nothing() -> None:
    plain = proportion(np.array([30.0]), np.array([30.0]), np.array([70.0]), np.array([70.0]))
    tenfold = proportion(np.array([300.0]), np.array([3000.0]), np.array([700.0]), np.array([7000.0]))
    assert np.allclose((plain.lower, plain.upper), (tenfold.lower, tenfold.upper), rtol=0, atol=1e-12)


def test_the_weighted_share_is_hajeks_estimate() -> None:
    propensity, wrong = np.array([0.1, 0.1, 0.5, 0.5, 0.5]), np.array([1, 0, 1, 0, 0])
    w = 1 / propensity
    sums = [np.array([(w**power * side).sum()]) for side in (wrong, 1 - wrong) for power in (1, 2)]
    share = proportion(*sums)
    assert np.allclose(share.value, 0.46153846153846156, rtol=0, atol=1e-12)
    assert np.allclose(share.samples, w.sum() ** 2 / (w**2).sum())


@pytest.mark.parametrize(
    ("propensities", "errors"),
    [((0.01, 0.1), (0.02, 0.25)), ((0.01, 0.1), (0.25, 0.02)), ((0.002, 0.1), (0.02, 0.25)), ((0.05, 0.5), (0.3, 0.1))],
)
def test_weighted_proportions_are_covered_whichever_rows_carry_the_weight(
    propensities: tuple[float, float], errors: tuple[float, float]
) -> None:
    rng = np.random.default_rng(7)
    sums = np.zeros((4, 3000))
    for propensity, error, share in zip(propensities, errors, (0.8, 0.2), strict=True):
        labelled = rng.binomial(int(20_000 * share), propensity, 3000)
        wrong = rng.binomial(labelled, error)
        for index, rows in enumerate((wrong, wrong, labelled - wrong, labelled - wrong)):
            sums[index] += rows / propensity ** (1 + index % 2)
    truth = 0.8 * errors[0] + 0.2 * errors[1]
    estimated = proportion(*sums)
    assert ((estimated.lower <= truth) & (truth <= estimated.upper)).mean() >= 0.93


def test_the_mean_interval_is_students() -> None:
    values = np.random.default_rng(1).normal(3, 2, 40)
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert np.allclose(np.ravel(mean_interval(recount.moments(values))), (low, high), rtol=1e-9)


def test_the_variance_of_a_weighted_mean_is_the_linearised_one() -> None:
    rng = np.random.default_rng(2)
    values, w = rng.normal(size=50), rng.uniform(0.1, 5, 50)
    moments = recount.moments(values, w)
    centre = (w * values).sum() / w.sum()
    size = w.sum() ** 2 / (w**2).sum()
    expected = (w**2 * (values - centre) ** 2).sum() / w.sum() ** 2 * size / (size - 1)
    assert np.allclose(mean(moments), centre)
    assert np.allclose(mean_variance(moments), expected)
    assert np.allclose(kish(moments.w, moments.w2), size)


def test_one_row_says_nothing_of_the_spread() -> None:
    one = recount.moments(np.array([0.2]))
    assert np.isnan(mean_interval(one)).all()
    lower, upper = loss_interval(one)
    assert lower == 0
    assert np.isnan(upper).all()
    assert loss_interval(one, 1.0)[1] <= 1


def test_equal_bounded_losses_do_not_make_a_loss_certain() -> None:
    lower, upper = loss_interval(recount.moments(np.zeros(30)), 1.0)
    assert lower == 0
    assert np.allclose(upper, wilson(0, 30)[1])


def test_a_loss_interval_stays_within_the_range_of_the_loss() -> None:
    lower, upper = loss_interval(recount.moments(np.array([0.0, 0.0, 1.0])), 1.0)
    assert 0 < lower < 1 / 3 < upper <= 1


def test_mover_of_two_proportions_is_newcombes_method_ten() -> None:
    first, second = wilson(0.05, 1000), wilson(0.03, 1000)
    # p1 - p2 as a sum of p1 and 1 - p2, less 1.
    lower, upper = mover(
        np.array([0.05, 0.97]),
        np.array([first[0], 1 - second[1]]),
        np.array([first[1], 1 - second[0]]),
        np.array([1.0, 1.0]),
    )
    assert np.allclose((lower - 1, upper - 1), (0.002759755332041397, 0.03771537689472715), rtol=0, atol=1e-12)


def test_a_ratio_over_nothing_is_silent() -> None:
    assert np.isnan(ratio([1.0, 0.0], [0.0, 0.0])).all()
