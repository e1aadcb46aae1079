"""Distances are what scipy and the published vectors say, from counts and sums of bins alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import distances
from tidegauge.assess.drift.distances import STATISTICS, Axes, Sample
from tidegauge.assess.numeric import floats


def categories(*counts: float) -> Sample:
    """One feature's counts; nobody is without a value."""
    bins = np.array([*counts, 0.0])[None]
    return Sample(bins, np.zeros_like(bins))


def named(bins: int) -> Axes:
    """Axes of one categorical feature."""
    return Axes(np.ones((1, bins + 1), np.bool_), np.zeros(1, np.bool_), np.full((1, bins + 2), np.nan))


def binned(values: Floats, edges: Floats) -> Sample:
    """Counts and sums of one numeric feature; values beyond the edges are in the end bins."""
    place = np.searchsorted(edges[1:-1], values, side="right")
    counts, sums = (np.bincount(place, weights=some, minlength=len(edges))[None] for some in (None, values))
    return Sample(floats(counts), floats(sums))


def numeric(edges: Floats) -> Axes:
    """Axes of one numeric feature, with a bin for rows without a value."""
    bounds = np.append(edges, np.nan)[None]
    return Axes(np.ones((1, len(edges)), np.bool_), np.ones(1, np.bool_), bounds)


def of(statistic: str, current: Sample, reference: Sample, axes: Axes) -> float:
    return float(distances.distance(statistic, current, reference, axes)[0])


@pytest.mark.parametrize(
    ("statistic", "published"),
    [
        ("psi", 0.10986122886681093),
        ("jensen_shannon", 0.13970675101139313),
        ("hellinger", 0.11674617545929548),
        ("total_variation", 0.1),
        ("l_infinity", 0.1),
    ],
)
def test_the_published_vectors(statistic: str, published: float) -> None:
    p, q = categories(10, 20, 30, 40), categories(20, 20, 20, 40)
    assert of(statistic, p, q, named(4)) == pytest.approx(published, rel=0, abs=1e-9)


def test_an_evidently_vector() -> None:
    reference, current = categories(16, 18, 16, 14, 12, 12), categories(16, 16, 16, 16, 16, 8)
    assert of("hellinger", current, reference, named(6)) == pytest.approx(0.06812, abs=1e-5)


def test_the_vector_of_two_small_samples() -> None:
    x, y = np.arange(1.0, 6), np.array([2.0, 3, 4, 5, 9])
    edges = np.append(np.unique(np.concatenate([x, y])), 9.0)
    then, now = binned(x, edges), binned(y, edges)
    assert of("wasserstein", now, then, numeric(edges)) == pytest.approx(1.1313708498984762, rel=0, abs=1e-9)
    assert of("kolmogorov_smirnov", now, then, numeric(edges)) == pytest.approx(0.2, rel=0, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_statistics_of_counts_are_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    bins = int(random.integers(2, 20))
    now, then = random.integers(1, 500, (2, bins)).astype(float)
    p, q = now / now.sum(), then / then.sum()
    current, reference, axes = categories(*now), categories(*then), named(bins)
    theirs = {
        "psi": stats.entropy(p, q) + stats.entropy(q, p),
        "jensen_shannon": jensenshannon(p, q, base=2),
        "hellinger": np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2),
        "total_variation": np.abs(p - q).sum() / 2,
        "l_infinity": np.abs(p - q).max(),
        "chi_squared": stats.chi2_contingency(np.array([now, then]), correction=False).statistic,
    }
    for statistic, value in theirs.items():
        assert of(statistic, current, reference, axes) == pytest.approx(value, rel=1e-9, abs=1e-9), statistic


@pytest.mark.parametrize("seed", range(20))
def test_kolmogorov_smirnov_and_wasserstein_of_values_with_a_bin_each_are_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.poisson(3, 300).astype(float), random.poisson(3.3, 200).astype(float)
    points = np.unique(np.concatenate([x, y]))
    edges = np.concatenate([points[:1], (points[1:] + points[:-1]) / 2, points[-1:]])
    now, then, axes = binned(x, edges), binned(y, edges), numeric(edges)
    assert of("kolmogorov_smirnov", now, then, axes) == pytest.approx(stats.ks_2samp(x, y).statistic, abs=1e-9)
    # The functions are steps at the values, and so cross only there; a bin's half steps left and right may differ.
    area = stats.wasserstein_distance(x, y) / y.std()
    assert of("wasserstein", now, then, axes) <= area + 1e-9
    at_values = np.append(points, points[-1])
    exact = of("wasserstein", binned(x, at_values), binned(y, at_values), numeric(at_values))
    assert exact == pytest.approx(area, rel=0, abs=1e-9)


@pytest.mark.parametrize("shift", [0.05, 0.5, 3.0, -0.5])
@pytest.mark.parametrize("bins", [2, 5, 14])
def test_wasserstein_of_a_pure_shift_is_exact_in_bins_however_coarse_and_beyond_their_range(
    shift: float, bins: int
) -> None:
    y = np.random.default_rng(1).lognormal(size=2000)
    x = np.sort(y) + shift
    edges = np.quantile(y, np.linspace(0, 1, bins + 1))
    now, then, axes = binned(x, edges), binned(y, edges), numeric(edges)
    area = stats.wasserstein_distance(x, y)
    spread = float(distances.spread(then, axes)[0])
    assert of("wasserstein", now, then, axes) == pytest.approx(area / spread, rel=1e-9, abs=1e-9)
    assert spread <= y.std()


def test_wasserstein_is_at_most_the_exact_one_where_functions_cross_within_a_bin() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(size=3000), random.normal(scale=1.5, size=3000)
    edges = np.quantile(y, np.linspace(0, 1, 8))
    found = of("wasserstein", binned(x, edges), binned(y, edges), numeric(edges))
    exact = stats.wasserstein_distance(x, y) / float(distances.spread(binned(y, edges), numeric(edges))[0])
    assert 0.95 * exact < found <= exact


def test_an_empty_bin_that_the_other_side_fills_gives_a_finite_psi_and_one_empty_on_both_sides_nothing() -> None:
    p, q = (np.array(counts) + 0.5 for counts in ([50, 50, 0], [40, 50, 10]))
    p, q = p / p.sum(), q / q.sum()
    smoothed = stats.entropy(p, q) + stats.entropy(q, p)
    assert of("psi", categories(50, 50, 0), categories(40, 50, 10), named(3)) == pytest.approx(smoothed, abs=1e-12)
    assert of("psi", categories(50, 50, 0, 0), categories(40, 50, 10, 0), named(4)) == pytest.approx(
        smoothed, abs=1e-12
    )
    plain = of("psi", categories(50, 50), categories(40, 60), named(2))
    assert of("psi", categories(50, 50, 0), categories(40, 60, 0), named(3)) == pytest.approx(plain, abs=1e-12)


def test_rows_without_a_value_move_every_statistic_but_those_of_values() -> None:
    edges = np.array([0.0, 1, 2, 3])
    values = np.array([0.5, 1.5, 2.5] * 20)
    whole = binned(values, edges)
    holes = Sample(whole.counts + np.array([[0, 0, 0, 30.0]]), whole.sums)
    for statistic in STATISTICS:
        moved = of(statistic, holes, whole, numeric(edges))
        if statistic in ("kolmogorov_smirnov", "wasserstein"):
            assert moved == pytest.approx(0, abs=1e-12), statistic
        else:
            assert moved > 0.1, statistic


@pytest.mark.parametrize("statistic", STATISTICS)
def test_nothing_is_known_without_rows_and_equal_samples_are_no_distance_apart(statistic: str) -> None:
    edges = np.array([0.0, 1, 2])
    some = binned(np.array([0.1, 0.2, 1.3]), edges)
    none = Sample(0 * some.counts, 0 * some.sums)
    assert np.isnan(of(statistic, none, some, numeric(edges)))
    assert np.isnan(of(statistic, some, none, numeric(edges)))
    assert of(statistic, some, some, numeric(edges)) == pytest.approx(0, abs=1e-12)


def test_statistics_of_values_are_unknown_for_categories() -> None:
    one, other = categories(1, 2), categories(2, 1)
    assert np.isnan(of("kolmogorov_smirnov", one, other, named(2)))
    assert np.isnan(of("wasserstein", one, other, named(2)))


def test_a_constant_that_stays_is_no_distance_and_one_that_moves_has_no_normed_distance() -> None:
    axes = Axes(np.ones((1, 4), np.bool_), np.ones(1, np.bool_), np.array([[5.0, 5, 5, 5, np.nan]]))
    constant = Sample(np.array([[0, 10.0, 0, 0]]), np.array([[0, 50.0, 0, 0]]))
    moved = Sample(np.array([[0, 5.0, 5, 0]]), np.array([[0, 25.0, 30, 0]]))
    assert of("wasserstein", constant, constant, axes) == 0
    assert np.isnan(of("wasserstein", moved, constant, axes))
    assert of("kolmogorov_smirnov", moved, constant, axes) == 0.5


@pytest.mark.parametrize("statistic", STATISTICS)
def test_many_at_once_are_what_each_is_alone_whatever_the_padding(statistic: str) -> None:
    random = np.random.default_rng(3)
    edges = np.array([0.0, 1, 2, 3])
    real: NDArray[np.bool_] = np.array([[True] * 4 + [False] * 2, [True] * 5 + [False]])
    bounds = np.full((2, 7), np.nan)
    bounds[0, :4] = edges
    axes = Axes(real, np.array([True, False]), bounds)
    counts = floats(random.integers(0, 50, (2, 3, 2, 6)) * real)
    sums = floats(counts * np.array([[0.4, 1.5, 2.5, 0, 0, 0], [0] * 6]))
    together = distances.distance(statistic, Sample(counts[0], sums[0]), Sample(counts[1], sums[1]), axes)
    for row in range(3):
        for feature, width, alone in ((0, 4, numeric(edges)), (1, 5, named(4))):
            now, then = (
                Sample(counts[side, row, [feature], :width], sums[side, row, [feature], :width]) for side in (0, 1)
            )
            theirs = of(statistic, now, then, alone)
            assert np.allclose(together[row, feature], theirs, atol=1e-12, equal_nan=True)


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(KeyError):
        of("kuiper", categories(1, 2), categories(1, 2), named(2))
