"""What is left of a distance over its floor is nothing on average where nothing moved, and p-values are as they say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import distances, noise
from tidegauge.assess.drift.distances import STATISTICS, Axes, Sample
from tidegauge.assess.numeric import floats

QUANTILES = np.array([0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1])
RARE_TAIL = np.array([0.3, 0.25, 0.2, 0.1, 0.08, 0.04, 0.02, 0.005, 0.003, 0.001, 0.0007, 0.0003])
SHARES = {
    "quantiles": np.diff(QUANTILES),
    "two": np.array([0.7, 0.3]),
    "rare": np.array([0.93, 0.05, 0.019, 0.001]),
    "Poisson": np.append(stats.poisson.pmf(np.arange(12), 3), stats.poisson.sf(11, 3)),
    "12 categories": RARE_TAIL,
}
VALUES: dict[str, tuple[Callable[[np.random.Generator, int], Floats], Floats]] = {
    "normal": (lambda random, n: random.normal(size=n), stats.norm.ppf(QUANTILES).clip(-4.5, 4.5)),
    "lognormal": (lambda random, n: random.lognormal(size=n), np.exp(stats.norm.ppf(QUANTILES).clip(-4.5, 4.5))),
    "0/1": (lambda random, n: (random.random(n) < 0.3).astype(float), np.array([0, 0.5, 1])),
    "Poisson": (lambda random, n: random.poisson(3, n).astype(float), np.array([0, *(np.arange(12) + 0.5), 12.0])),
}


def counted(random: np.random.Generator, rows: int, shares: Floats, repetitions: int) -> Sample:
    """Repetitions (repetitions, 1, W) of a feature; nobody is without a value."""
    counts = floats(random.multinomial(rows, np.append(shares, 0), size=(repetitions, 1)))
    return Sample(counts, 0 * counts)


def drawn(
    random: np.random.Generator,
    draw: Callable[[np.random.Generator, int], Floats],
    edges: Floats,
    rows: int,
    times: int,
) -> Sample:
    """The same from values, with their sums."""
    values = draw(random, rows * times)
    width = len(edges)
    place = np.searchsorted(edges[1:-1], values, side="right") + width * np.repeat(np.arange(times), rows)
    shape = (times, 1, width)
    counts = floats(np.bincount(place, minlength=times * width).reshape(shape))
    sums = floats(np.bincount(place, weights=values, minlength=times * width).reshape(shape))
    return Sample(counts, sums)


def axes_of(bins: int, edges: Floats | None = None) -> Axes:
    bounds = np.full((1, bins + 2), np.nan)
    if edges is not None:
        bounds[0, : len(edges)] = edges
    return Axes(np.ones((1, bins + 1), np.bool_), np.array([edges is not None]), bounds)


def left_over(statistic: str, current: Sample, reference: Sample, axes: Axes, deff: float = 1.0) -> tuple[float, float]:
    """Mean excess and its Monte-Carlo error, over the floor."""
    floor = noise.floor(statistic, current, reference, axes, deff)
    excess = distances.distance(statistic, current, reference, axes) - floor
    return float(excess.mean() / floor.mean()), float(excess.std() / math.sqrt(excess.size) / floor.mean())


@pytest.mark.parametrize(
    "statistic", [name for name in STATISTICS if name not in ("kolmogorov_smirnov", "wasserstein")]
)
@pytest.mark.parametrize(
    ("rows", "size"), [(100, 1000), (100, 100_000), (1000, 1000), (10_000, 100_000), (100_000, 1000)]
)
def test_nothing_is_left_over_the_floor_where_nothing_moved(statistic: str, rows: int, size: int) -> None:
    random = np.random.default_rng(7)
    for name, shares in SHARES.items():
        now, then = (counted(random, n, shares, 500) for n in (rows, size))
        left, error = left_over(statistic, now, then, axes_of(len(shares)))
        assert abs(left) < 0.10 + 4 * error, name


@pytest.mark.parametrize("statistic", ["kolmogorov_smirnov", "wasserstein"])
@pytest.mark.parametrize(("rows", "size"), [(100, 1000), (1000, 1000), (1000, 10_000)])
def test_nothing_is_left_of_statistics_of_values(statistic: str, rows: int, size: int) -> None:
    random = np.random.default_rng(8)
    for name, (draw, edges) in VALUES.items():
        now, then = (drawn(random, draw, edges, n, 200) for n in (rows, size))
        left, error = left_over(statistic, now, then, axes_of(len(edges) - 1, edges))
        assert abs(left) < 0.10 + 4 * error, name


@pytest.mark.parametrize("statistic", ["psi", "jensen_shannon", "hellinger", "total_variation", "chi_squared"])
def test_the_floor_rises_with_the_design_effect_as_the_distance_does(statistic: str) -> None:
    random = np.random.default_rng(9)
    units = counted(random, 2000, SHARES["quantiles"], 400)
    now = Sample(20.0 * units.counts, units.sums)  # 20 rows a unit, all alike
    then = counted(random, 10_000, SHARES["quantiles"], 400)
    left, error = left_over(statistic, now, then, axes_of(14), deff=20.0)
    assert abs(left) < 0.05 + 4 * error
    assert left_over(statistic, now, then, axes_of(14))[0] > 0.7


@pytest.mark.parametrize("statistic", STATISTICS)
def test_there_is_no_floor_without_rows(statistic: str) -> None:
    none, some = (Sample(np.full((1, 3), n), np.zeros((1, 3))) for n in (0.0, 5.0))
    axes = axes_of(2, np.array([0.0, 1, 2]))
    assert np.isnan(noise.floor(statistic, none, some, axes)).all()
    assert np.isnan(noise.floor(statistic, some, none, axes)).all()


def test_an_unknown_statistic_is_refused() -> None:
    some = Sample(np.ones((1, 3)), np.ones((1, 3)))
    with pytest.raises(KeyError):
        noise.floor("kuiper", some, some, axes_of(2))


# -------------------------------------------------------------------- p-values


@pytest.mark.parametrize("size", [1000, 10_000, 100_000])
@pytest.mark.parametrize("rows", [100, 1000, 10_000])
def test_a_p_value_is_below_a_level_as_often_as_the_level_says(rows: int, size: int) -> None:
    random = np.random.default_rng(rows + size)
    for name, shares in SHARES.items():
        now, then = (counted(random, n, shares, 20_000).counts for n in (rows, size))
        p = noise.p_value(now, then)
        for level, factor in ((0.05, 1.1), (0.01, 1.15), (0.001, 1.5)):
            error = math.sqrt(level / p.size)
            assert (p <= level).mean() <= factor * level + 3 * error, (name, level)
        if name == "quantiles":
            assert (p <= 0.05).mean() >= 0.9 * 0.05, name


def test_bins_are_not_chosen_by_the_rows_that_are_tested() -> None:
    """5 % quantiles of the reference expect 5 of 100 rows, to the row; that must not hang on the 100."""
    reference = np.append(SHARES["quantiles"] * 100_000, 0)[None]
    now = counted(np.random.default_rng(11), 100, SHARES["quantiles"], 100_000).counts
    p = noise.p_value(now, np.broadcast_to(reference, now.shape))
    for level in (0.05, 0.01):
        assert (p <= level).mean() <= 1.05 * level + 3 * math.sqrt(level / p.size)


def exact_tail(rows: int, shares: Floats, statistic: NDArray[np.float64]) -> Floats:
    """P(a statistic of Pearson of a sample of known shares is at least this), over all samples."""
    every = np.array([c for c in itertools.product(range(rows + 1), repeat=len(shares) - 1) if sum(c) <= rows])
    every = np.column_stack([every, rows - every.sum(axis=1)])
    chance = stats.multinomial.pmf(every, rows, shares)
    value = (np.square(every - rows * shares) / (rows * shares)).sum(axis=1)
    return np.array([chance[value >= one - 1e-9].sum() for one in statistic])


@pytest.mark.parametrize("shares", [[0.9, 0.1], [0.2, 0.8], [0.85, 0.1, 0.05]])
def test_against_a_very_large_reference_it_is_near_the_exact_one(shares: list[float]) -> None:
    rows, p = 100, np.array(shares)
    reference = np.append(p * 1e12, 0)[None]
    for extra in (4, 6, 8):
        now = rows * p + np.array([-extra, *([0] * (len(p) - 2)), extra])
        ours = float(noise.p_value(np.append(now, 0)[None], reference)[0])
        exact = float(exact_tail(rows, p, (np.square(now - rows * p) / (rows * p)).sum(keepdims=True))[0])
        assert 0.5 < ours / exact < 1.6


def test_with_many_rows_it_is_scipys() -> None:
    random = np.random.default_rng(10)
    now, then = random.multinomial(20_000, SHARES["quantiles"]), random.multinomial(30_000, SHARES["quantiles"])
    theirs = stats.chi2_contingency(np.array([now, then]), correction=False).pvalue
    assert noise.p_value(now[None].astype(float), then[None].astype(float))[0] == pytest.approx(theirs, rel=0.02)


def test_a_design_effect_counts_rows_as_fewer() -> None:
    now, then = np.array([[600.0, 400, 0]]), np.array([[5200.0, 4800, 0]])
    fewer = noise.p_value(now / 10, then)
    assert noise.p_value(now, then, design_effect=10.0)[0] == pytest.approx(fewer[0], rel=1e-9)
    assert fewer[0] > noise.p_value(now, then)[0]
    tenth = noise.p_value(now, then / 10)
    assert noise.p_value(now, then, reference_design_effect=10.0)[0] == pytest.approx(tenth[0], rel=1e-9)


def test_a_value_never_seen_before_is_improbable() -> None:
    for more in (1, 1000):
        then, now = more * np.array([[5000.0, 4990, 10, 0]]), np.array([[480.0, 490, 0, 30]])
        assert noise.p_value(now, then)[0] < 1e-20
        assert noise.p_value(then[:, [0, 1, 3, 2]], now[:, [0, 1, 3, 2]])[0] < 1e-20


def test_too_few_rows_tell_nothing_and_none_are_unknown() -> None:
    some, none = np.array([[2.0, 1, 0]]), np.zeros((1, 3))
    assert noise.p_value(some, 1000 * some)[0] == 1.0
    assert np.isnan(noise.p_value(none, some)).all()
    assert np.isnan(noise.p_value(some, none)).all()
    assert noise.p_value(np.array([[50.0, 0, 0]]), np.array([[90.0, 0, 0]]))[0] == 1.0


def test_an_extreme_shift_has_a_p_value_of_nothing_and_no_warning() -> None:
    assert noise.p_value(np.array([[1e9, 0.0]]), np.array([[0.0, 1e9]]))[0] == 0.0
