"""The normal mixture gives published vectors, is an e-value by numerical integration, and inverts itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from tidegauge.assess.sequential import mixtures


@pytest.mark.parametrize(
    ("alpha", "k"),
    [
        (0.1, 6.638352067993812),
        (0.05, 8.211968062068253),
        (0.025, 9.752937920382603),
        (0.01, 11.756371222495419),
        (0.005, 13.253647577399756),
        (0.001, 16.68842079085992),
    ],
)
def test_the_best_ratio_is_the_published_one(alpha: float, k: float) -> None:
    assert mixtures.best_ratio(alpha) == pytest.approx(k, rel=1e-12)


def test_the_mixtures_give_the_vectors_of_confseq() -> None:
    two, one = 12.60056097925634, None
    assert float(mixtures.two_sided(10, 100, two)) == pytest.approx(-0.6510052, abs=1e-6)
    assert float(mixtures.radius(100, two, 0.05)) == pytest.approx(30.35209, abs=1e-5)
    # Its one-sided mixture is tuned by the same approximation at twice the level.
    log = 2 * math.log(1 / 0.1)
    one = 100 / (log + math.log(1 + log))
    assert float(mixtures.one_sided(10, 100, one)) == pytest.approx(-0.06502391, abs=1e-6)
    bound = 27.66071
    assert float(mixtures.one_sided(bound, 100, one)) == pytest.approx(math.log(20), abs=1e-5)


@pytest.mark.parametrize("variance", [0.5, 7.0, 300.0])
@pytest.mark.parametrize("rho", [0.1, 20.0])
def test_the_mean_of_an_e_value_under_no_difference_is_one(variance: float, rho: float) -> None:
    sd = math.sqrt(variance)
    for mixture in (mixtures.one_sided, mixtures.two_sided):

        def weighted(S: float, mixture=mixture) -> float:  # type: ignore[no-untyped-def]
            return math.exp(float(mixture(S, variance, rho)) + float(stats.norm.logpdf(S, scale=sd)))

        reach = 9 * math.sqrt(variance + variance**2 / rho)  # the sd of S where the mixture holds
        mean = integrate.quad(weighted, -reach, reach, limit=400, points=[0])[0]
        assert mean == pytest.approx(1, abs=1e-6)


def test_the_one_sided_mixture_is_the_half_normal_average_of_likelihood_ratios() -> None:
    S, V, rho = 12.0, 40.0, 9.0
    ratios = integrate.quad(
        lambda mean: math.exp(mean * S - mean**2 * V / 2) * 2 * float(stats.norm.pdf(mean, scale=rho**-0.5)), 0, 10
    )
    assert math.exp(float(mixtures.one_sided(S, V, rho))) == pytest.approx(ratios[0], rel=1e-8)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.001])
def test_the_radius_is_where_the_e_value_is_one_over_alpha(alpha: float) -> None:
    V = np.geomspace(0.01, 1e6, 30)
    assert np.allclose(mixtures.two_sided(mixtures.radius(V, 3.0, alpha), V, 3.0), math.log(1 / alpha))


def test_the_radius_is_narrowest_at_the_tuned_variance() -> None:
    rho = 5.0
    V = np.geomspace(1, 1e4, 20_001)
    width = mixtures.radius(V, rho, 0.05) / np.sqrt(V)
    assert V[width.argmin()] == pytest.approx(rho * mixtures.best_ratio(0.05), rel=1e-2)
    assert width.min() == pytest.approx(mixtures.standard_errors(0.05), rel=1e-9)
    assert mixtures.standard_errors(0.05) == pytest.approx(3.04, abs=0.005)
    assert mixtures.standard_errors(0.1) == pytest.approx(2.76, abs=0.005)


def test_the_variance_needed_is_where_the_drift_meets_the_bound() -> None:
    drift = np.array([1e-4, 0.01, 0.3, 5.0])
    V = mixtures.variance_needed(drift, 2.0, 0.1)
    assert np.allclose(drift * V, mixtures.radius(V, 2.0, 0.1), rtol=1e-9)


def test_the_mean_of_e_values_survives_logs_that_overflow() -> None:
    assert float(mixtures.mean_of([900.0, 900.0])) == pytest.approx(900)
    assert float(mixtures.mean_of(np.log([1.0, 3.0]))) == pytest.approx(math.log(2))
