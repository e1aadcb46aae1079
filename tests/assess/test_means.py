"""Means, rates and ratios of sums: the intervals hold the truth as often as they say, and degenerate sums do no harm.

Each case draws many samples of a population whose truth comes from a sample of millions. Student's t over such rows
misses the truth of a mean near 1, or of an error rate, in up to one sample in five.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tidegauge.assess.counts import OK, UNSUPPORTED, Estimates, Moments, PairMoments
from tidegauge.assess.quality.means import mean_share, mean_value, rate, ratio_of_sums

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
Pairs = Callable[[np.random.Generator, tuple[int, int]], tuple[Floats, Floats]]
REPETITIONS = 1500
TRUTH = (500, 2000)


def repetitions(rows: int) -> int:
    """Fewer where they are long."""
    return REPETITIONS if rows < 1000 else REPETITIONS // 3


def moments(values: Floats, weight: Floats | None = None) -> Moments:
    w = np.ones_like(values) if weight is None else weight
    n = np.full(len(values), values.shape[1], dtype=np.int64)
    terms = (w, w * values, w * w, w * w * values, w * w * values**2)
    return Moments(n, *(term.sum(axis=1) for term in terms))


def pair_moments(e: Floats, n: Floats, weight: Floats | None = None) -> PairMoments:
    w = np.ones_like(e) if weight is None else weight
    rows = np.full(len(e), e.shape[1], dtype=np.int64)
    terms = (w, w * w, w * e, w * n, w * w * e * e, w * w * n * n, w * w * e * n)
    return PairMoments(rows, *(term.sum(axis=1) for term in terms))


def covered(estimates: Estimates, truth: float) -> float:
    assert (estimates.lower <= estimates.score).all() and (estimates.score <= estimates.upper).all()
    return float(np.mean((estimates.lower <= truth) & (truth <= estimates.upper)))


def mixture(low: float, high: float, shape: tuple[float, float]) -> Draw:
    """0 with probability `low`, 1 with `high`, in between by a beta distribution."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
        chosen = rng.random(size)
        between = rng.beta(*shape, size)
        return np.where(chosen < low, 0.0, np.where(chosen > 1 - high, 1.0, between))

    return draw


def reciprocal(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    return np.where(rng.random(size) < 0.2, 0.0, 1.0 / np.minimum(rng.geometric(0.5, size), 10))


SHARES: dict[str, Draw] = {
    "near 0": mixture(0.9, 0.0, (1, 1)),
    "in the middle": mixture(0.3, 0.4, (2, 2)),
    "reciprocal ranks": reciprocal,
    "near 1": mixture(0.0, 0.9, (2, 1)),
    "nearly all 1": mixture(0.01, 0.96, (2, 1)),
    "all alike": mixture(0.0, 0.0, (40, 4)),
}


@pytest.mark.parametrize("rows", [10, 30, 100, 1000])
@pytest.mark.parametrize("name", SHARES)
def test_means_of_shares_are_covered(name: str, rows: int) -> None:
    rng = np.random.default_rng(61)
    truth = float(SHARES[name](rng, TRUTH).mean())
    found = mean_share(moments(SHARES[name](rng, (repetitions(rows), rows))))
    # With three rows in a hundred that are not 1, what a sample knows of them moves by whole rows.
    assert covered(found, truth) >= (0.88 if name == "nearly all 1" else 0.905)
    assert (found.lower >= 0).all() and (found.upper <= 1).all()


@pytest.mark.parametrize("name", ["near 0", "in the middle", "near 1"])
def test_weighted_means_of_shares_are_covered(name: str) -> None:
    rng = np.random.default_rng(62)
    truth = float(SHARES[name](rng, TRUTH).mean())
    weight = rng.choice([1.0, 2.0, 5.0], (REPETITIONS, 100))
    found = mean_share(moments(SHARES[name](rng, (REPETITIONS, 100)), weight))
    assert covered(found, truth) >= 0.91
    assert (found.samples < 100).all()


def clustered(shape: tuple[float, float], clean: float = 0.0, wreck: float = 0.0) -> Pairs:
    """Texts of skewed lengths, each with an error rate of its own; some without any error, some wholly wrong."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Floats, Floats]:
        length = np.maximum(1, np.rint(rng.lognormal(2.5, 0.7, size)))
        chosen = rng.random(size)
        p = np.where(chosen < clean, 0.0, np.where(chosen > 1 - wreck, 1.0, rng.beta(*shape, size)))
        inserted = rng.poisson(0.02 * length * (p > 0))
        return (rng.binomial(length.astype(np.int64), p) + inserted).astype(np.float64), length

    return draw


TEXTS: dict[str, Pairs] = {
    "errors at random": clustered((1e5, 9e5)),
    "errors in clusters": clustered((0.3, 2.7)),
    "mostly without error": clustered((0.5, 4), clean=0.8),
    "some wholly wrong": clustered((0.5, 9), wreck=0.02),
    "bad": clustered((3, 4)),
}


@pytest.mark.parametrize("rows", [30, 100, 1000])
@pytest.mark.parametrize("name", TEXTS)
def test_error_rates_are_covered(name: str, rows: int) -> None:
    rng = np.random.default_rng(63)
    e, n = TEXTS[name](rng, TRUTH)
    found = ratio_of_sums(pair_moments(*TEXTS[name](rng, (repetitions(rows), rows))))
    # Where two texts in a hundred make a fifth of all errors, one sample in eight has none of them.
    assert covered(found, float(e.sum() / n.sum())) >= (0.9 if name == "some wholly wrong" else 0.92)
    assert (found.lower >= 0).all() and np.isfinite(found.upper).all()


def test_weighted_error_rates_are_covered() -> None:
    rng = np.random.default_rng(64)
    draw = TEXTS["errors in clusters"]
    e, n = draw(rng, TRUTH)
    weight = rng.choice([1.0, 2.0, 5.0], (REPETITIONS, 200))
    found = ratio_of_sums(pair_moments(*draw(rng, (REPETITIONS, 200)), weight))
    assert covered(found, float(e.sum() / n.sum())) >= 0.92


@pytest.mark.parametrize("share", [0.02, 0.3, 0.98])
@pytest.mark.parametrize("weighted", [False, True])
def test_rates_are_covered(share: float, *, weighted: bool) -> None:
    rng = np.random.default_rng(65)
    for rows in (30, 100, 1000):
        weight = rng.choice([1.0, 2.0, 5.0], (repetitions(rows), rows)) if weighted else None
        found = rate(moments((rng.random((repetitions(rows), rows)) < share).astype(np.float64), weight))
        assert covered(found, share) >= 0.92, rows


@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (lambda rng, size: rng.normal(3, 2, size), 0.935),
        (lambda rng, size: rng.integers(1, 6, size).astype(np.float64), 0.935),
        (lambda rng, size: rng.gamma(2, 10, size), 0.92),
        # Dwell times: of so skewed a quantity, which may be of any sign, second moments do not tell more.
        (lambda rng, size: rng.lognormal(2, 1, size), 0.86),
    ],
)
def test_means_of_numbers_are_covered(draw: Draw, least: float) -> None:
    rng = np.random.default_rng(66)
    truth = float(draw(rng, TRUTH).mean())
    for rows in (30, 100, 1000):
        assert covered(mean_value(moments(draw(rng, (repetitions(rows), rows)))), truth) >= least, rows


class TestSumsThatTellLittle:
    """Never NaN where there is a score, never an exception, and never surer than the rows allow."""

    def test_no_rows_at_all(self) -> None:
        for found in (
            mean_share(moments(np.zeros((1, 0)))),
            mean_value(moments(np.zeros((1, 0)))),
            rate(moments(np.zeros((1, 0)))),
            ratio_of_sums(pair_moments(np.zeros((1, 0)), np.zeros((1, 0)))),
        ):
            assert found.state[0] == UNSUPPORTED
            assert found.samples[0] == 0
            assert np.isnan([found.score[0], found.lower[0], found.upper[0]]).all()

    @pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
    def test_one_ranking(self, value: float) -> None:
        found = mean_share(moments(np.array([[value]])))
        assert found.state[0] == OK
        assert found.score[0] == value
        assert found.lower[0] == (0 if value == 0 else pytest.approx(found.lower[0]))
        assert found.upper[0] - found.lower[0] > 0.7

    @pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
    def test_rankings_that_are_all_equal_leave_room(self, value: float) -> None:
        found = mean_share(moments(np.full((1, 50), value)))
        assert 0.05 < found.upper[0] - found.lower[0] < 0.3
        assert found.lower[0] <= value <= found.upper[0]

    def test_one_number(self) -> None:
        found = mean_value(moments(np.array([[7.0]])))
        assert (found.score[0], found.state[0]) == (7, OK)
        assert np.isnan([found.lower[0], found.upper[0]]).all()

    def test_texts_without_any_error_may_have_some(self) -> None:
        n = np.full((1, 40), 12.0)
        found = ratio_of_sums(pair_moments(np.zeros((1, 40)), n))
        assert (found.score[0], found.lower[0]) == (0, 0)
        assert 0.05 < found.upper[0] < 0.12

    def test_one_text(self) -> None:
        found = ratio_of_sums(pair_moments(np.array([[1.0]]), np.array([[5.0]])))
        assert (found.score[0], found.state[0]) == (0.2, OK)
        assert np.isnan([found.lower[0], found.upper[0]]).all()

    def test_labels_without_words_have_no_rate(self) -> None:
        found = ratio_of_sums(pair_moments(np.array([[3.0, 1.0]]), np.zeros((1, 2))))
        assert found.state[0] == UNSUPPORTED
        assert np.isnan([found.score[0], found.lower[0], found.upper[0], found.numerator[0]]).all()

    def test_more_errors_than_words(self) -> None:
        rng = np.random.default_rng(7)
        e, n = rng.poisson(30, (1, 20)).astype(np.float64), rng.integers(5, 20, (1, 20)).astype(np.float64)
        found = ratio_of_sums(pair_moments(e, n))
        assert 1 < found.lower[0] < found.score[0] < found.upper[0] < 10

    def test_two_texts_of_which_one_is_almost_right(self) -> None:
        found = ratio_of_sums(pair_moments(np.array([[1.0, 0.0]]), np.array([[1e6, 1e6]])))
        assert 0 <= found.lower[0] < found.score[0] < found.upper[0] <= 1

    def test_all_texts_wrong_alike(self) -> None:
        found = ratio_of_sums(pair_moments(np.full((1, 30), 5.0), np.full((1, 30), 5.0)))
        assert found.score[0] == 1
        assert found.lower[0] < 0.95
        assert np.isfinite(found.upper[0])

    def test_rounding_of_large_sums_is_no_spread(self) -> None:
        rows = 10**9
        one = np.array([0.1])
        found = mean_share(
            Moments(np.array([rows]), one * 10 * rows, one * rows, one * 10 * rows, one * rows, one * 0.1 * rows)
        )
        assert found.lower[0] <= 0.1 <= found.upper[0]
        assert found.upper[0] - found.lower[0] < 1e-4
