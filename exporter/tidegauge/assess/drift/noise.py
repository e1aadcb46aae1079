"""What a distance is where nothing has moved, and how improbable one as large would be then.

Pure functions of counts (..., F, W), as in distances.py; n rows are held against a reference of m rows. A design effect
d says that n rows tell as much as n / d independent ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, gammaincc, gammaln

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import distances
from tidegauge.assess.drift.distances import JEFFREYS, Axes, Sample
from tidegauge.assess.numeric import floats, ratio

EXPECTED: Final = 5.0  # rows that a bin of Pearson's test has to expect in the smaller sample (Cochran 1954)
LOPSIDED: Final = 10.0  # a sample so many times the other's size alone says which bins are rare
RARE: Final = 0.1  # share of the level for bins too rare for it
DRAWS: Final = 256  # of a normal sample, for statistics whose mean has no formula: 1 to 2 % of Monte-Carlo error
SEED: Final = 6
DRAWN: Final = ("l_infinity", "kolmogorov_smirnov", "wasserstein")
"""Those statistics; what is computed of them takes DRAWS times the memory of the counts."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Effective rows, and the distribution that both samples would have."""

    now: Floats  # (..., F, W): effective rows of each bin
    then: Floats  # (..., F, W): those of the reference
    n: Floats  # (..., F, 1): their sum; NaN where there are none
    m: Floats  # (..., F, 1)
    pooled: Floats  # (..., F, W): shares of both together

    @classmethod
    def of(cls, current: Floats, reference: Floats, deff: ArrayLike, reference_deff: ArrayLike) -> Sizes:
        """Of two samples of counts; NaN where a side is empty."""
        now, then = np.broadcast_arrays(
            current / floats(deff)[..., None], reference / floats(reference_deff)[..., None]
        )
        n, m = now.sum(axis=-1, keepdims=True), then.sum(axis=-1, keepdims=True)
        n, m = np.where(n > 0, n, np.nan), np.where(m > 0, m, np.nan)
        return cls(now, then, n, m, (now + then) / (n + m))

    @property
    def variance(self) -> Floats:
        """s = 1 / n + 1 / m (..., F, 1): of a difference of shares p it is s p (1 - p)."""
        s: Floats = 1 / self.n + 1 / self.m
        return s


# -------------------------------------------------------------------- moments of Poisson counts, as those of bins are


GRID: Final[Floats] = np.concatenate([np.logspace(-4, -1, 25)[:-1], np.logspace(-1, 2, 121)])  # expected rows of a bin


def _poisson() -> tuple[Floats, Floats]:
    x = np.arange(300.0)
    return x, np.exp(x * np.log(GRID)[:, None] - GRID[:, None] - gammaln(x + 1))


def _smoothed_moments() -> tuple[Floats, Floats, Floats]:
    """Of X + 1/2: mean, E ln, and covariance with its logarithm."""
    x, chance = _poisson()
    logs = np.log(x + JEFFREYS)
    mean = chance @ logs
    return GRID + JEFFREYS, mean, chance @ (x * logs) - GRID * mean


def _filled_moments() -> tuple[Floats, Floats, Floats]:
    """Of X given that it is not 0: mean, E ln, and covariance with its logarithm."""
    x, chance = _poisson()
    chance = chance[:, 1:] / chance[:, 1:].sum(axis=1, keepdims=True)
    x = x[1:]
    logs = np.log(x)
    mean, mean_log = chance @ x, chance @ logs
    return mean, mean_log, chance @ (x * logs) - mean * mean_log


def _affinity() -> Floats:
    """8 (lambda - sqrt(lambda) E sqrt(X)): what a bin adds to 8 n H**2; 1 for many rows."""
    x, chance = _poisson()
    table: Floats = 8 * (GRID - np.sqrt(GRID) * (chance @ np.sqrt(x)))
    return table


def _entropy() -> Floats:
    """What a bin adds to 8 n times the Jensen-Shannon divergence in nats; 1 for many rows."""
    x, chance = _poisson()
    middle = (x + GRID[:, None]) / 2
    terms = x * (np.log(np.maximum(x, 1)) - np.log(middle)) + GRID[:, None] * (np.log(GRID[:, None]) - np.log(middle))
    table: Floats = 4 * (chance * terms).sum(axis=1)
    return table


def _deviation() -> Floats:
    """E |X - lambda| / sqrt(lambda); sqrt(2 / pi) for many rows."""
    x, chance = _poisson()
    table: Floats = (chance * np.abs(x - GRID[:, None])).sum(axis=1) / np.sqrt(GRID)
    return table


SMOOTHED: Final = _smoothed_moments()
FILLED: Final = _filled_moments()
AFFINITY: Final = _affinity()
ENTROPY: Final = _entropy()
DEVIATION: Final = _deviation()


def _look_up(table: Floats, expected: Floats) -> Floats:
    """A function of the expected rows; it stays as it is beyond the grid."""
    found: Floats = np.interp(np.log(np.maximum(expected, GRID[0])), np.log(GRID), table)
    return found


def _logs(moments: tuple[Floats, Floats, Floats], expected: Floats, add: float) -> tuple[Floats, Floats, Floats]:
    """Mean, E ln and covariance at these expected rows; those of many rows by the delta method."""
    many = expected > GRID[-1]
    big = np.where(many, expected, GRID[-1])
    mean = np.where(many, big + add, _look_up(moments[0], expected))
    mean_log = np.where(many, np.log(big + add) - big / (2 * np.square(big + add)), _look_up(moments[1], expected))
    return mean, mean_log, np.where(many, big / (big + add), _look_up(moments[2], expected))


# -------------------------------------------------------------------- the mean of each statistic


def floor(
    statistic: str,
    current: Sample,
    reference: Sample,
    axes: Axes,
    design_effect: ArrayLike = 1.0,
    reference_design_effect: ArrayLike = 1.0,
) -> Floats:
    """Mean of the statistic (..., F) between samples of these sizes of one distribution, the pooled one.

    To first order PSI has the mean (B - 1) s with s = 1 / n + 1 / m, and the others the mean that they have for a
    normal sample times sqrt(s); bins of few expected rows are counted as what they can add.
    NaN where a side has no rows or the statistic is not for such a feature; KeyError for an unknown name.
    """
    sizes = Sizes.of(current.counts, reference.counts, design_effect, reference_design_effect)
    known = np.isfinite(sizes.variance[..., 0])
    if statistic == "psi":
        mean = _stability_index(sizes, distances.smoothed(*np.broadcast_arrays(current.counts, reference.counts)))
    elif statistic == "chi_squared":
        mean = _pearson(sizes, current, reference)
    elif statistic == "hellinger":
        mean = _root_of(_bins(sizes, AFFINITY), sizes)
    elif statistic == "jensen_shannon":
        mean = _root_of(_bins(sizes, ENTROPY), sizes) / math.sqrt(math.log(2))
    elif statistic == "total_variation":
        deviation = np.sqrt(sizes.pooled * (1 - sizes.pooled)) * _look_up(DEVIATION, sizes.pooled / sizes.variance)
        mean = np.sqrt(sizes.variance[..., 0]) * deviation.sum(axis=-1) / 2
    elif statistic == "l_infinity":
        mean = np.sqrt(sizes.variance[..., 0]) * np.abs(_normal(sizes.pooled)).max(axis=-1).mean(axis=0)
    elif statistic in ("kolmogorov_smirnov", "wasserstein"):
        return _of_values(statistic, current, reference, axes, design_effect, reference_design_effect)
    else:
        raise KeyError(statistic)
    return np.where(known, mean, np.nan)


def _stability_index(sizes: Sizes, smoothed: distances.Flags) -> Floats:
    """Of p and q independent: sum of cov(p, ln p) + cov(q, ln q) + (E p - E q)(E ln p - E ln q)."""
    filled = sizes.pooled > 0
    bins = filled.sum(axis=-1, keepdims=True)
    sides = []
    for size in (sizes.n, sizes.m):
        both = [_logs(FILLED, size * sizes.pooled, 0.0), _logs(SMOOTHED, size * sizes.pooled, JEFFREYS)]
        total = np.where(smoothed[..., None], size + JEFFREYS * bins, size)
        mean, mean_log, covariance = (
            np.where(smoothed[..., None], after, before) for before, after in zip(*both, strict=True)
        )
        sides.append((mean / total, mean_log - np.log(total), covariance * (1 - sizes.pooled) / total))
    (p, log_p, cov_p), (q, log_q, cov_q) = sides
    mean_index: Floats = np.where(filled, cov_p + cov_q + (p - q) * (log_p - log_q), 0.0).sum(axis=-1)
    return mean_index


def _pearson(sizes: Sizes, current: Sample, reference: Sample) -> Floats:
    """B - 1, exactly so but for N / (N - 1), times what the design effects make of the variance."""
    n, m = current.size(), reference.size()
    bins = (sizes.pooled > 0).sum(axis=-1)
    mean: Floats = (bins - 1) * sizes.variance[..., 0] / (ratio(1.0, n) + ratio(1.0, m))
    return mean


def _bins(sizes: Sizes, table: Floats) -> Floats:
    """Mean (..., F, W) of what each bin adds to a divergence that is chi-squared times s / 8."""
    share = np.where(sizes.pooled > 0, _look_up(table, sizes.pooled / sizes.variance), 0.0)
    added: Floats = share * (1 - sizes.pooled) * sizes.variance / 8
    return added


def _root_of(bins: Floats, sizes: Sizes) -> Floats:
    """Mean of the root of a sum that is a multiple of chi-squared with as many degrees of freedom as its bins say."""
    total = bins.sum(axis=-1)
    filled = (sizes.pooled > 0).sum(axis=-1)
    equal = np.nan_to_num(ratio(np.square(total), np.square(bins).sum(axis=-1)), nan=1.0)
    freedom = np.maximum(equal * (1 - ratio(1.0, filled)), 1.0)
    mean: Floats = np.sqrt(2 * total / freedom) * np.exp(gammaln((freedom + 1) / 2) - gammaln(freedom / 2))
    return mean


def _draws(places: int, dimensions: int) -> Floats:
    """Standard normal draws (draws, 1..., places), always the same; their means and covariances are exactly 0 and 1."""
    drawn = np.random.default_rng(SEED).normal(size=(max(DRAWS, 4 * places), places))
    drawn -= drawn.mean(axis=0)
    orthogonal, _ = np.linalg.qr(drawn)
    return floats(orthogonal).reshape(len(drawn), *([1] * (dimensions - 1)), places) * math.sqrt(len(drawn))


def _normal(shares: Floats) -> Floats:
    """Draws (draws, ..., F, W) of what sqrt(n) times the shares of a sample of n rows differ from these by."""
    drawn = np.sqrt(shares) * _draws(2 * shares.shape[-1], shares.ndim)[..., : shares.shape[-1]]
    centred: Floats = drawn - shares * drawn.sum(axis=-1, keepdims=True)
    return centred


def _of_values(
    statistic: str, current: Sample, reference: Sample, axes: Axes, deff: ArrayLike, reference_deff: ArrayLike
) -> Floats:
    """Of rows that have a value, at the edges of the bins."""
    valued = axes.valued()
    now, then = (np.where(valued, one.counts, 0.0) for one in (current, reference))
    sizes = Sizes.of(now, then, deff, reference_deff)
    drawn = _normal(sizes.pooled)
    if statistic == "kolmogorov_smirnov":
        mean = np.abs(np.cumsum(drawn, axis=-1)).max(axis=-1).mean(axis=0)
    else:
        sums = np.where(valued, current.sums + reference.sums, 0.0)
        mean = ratio(_area(drawn, now + then, sums, sizes.pooled, axes), distances.spread(reference, axes))
    found = mean * np.sqrt(sizes.variance[..., 0])
    return np.where(axes.ordered & np.isfinite(sizes.variance[..., 0]), found, np.nan)


def _area(drawn: Floats, counts: Floats, sums: Floats, shares: Floats, axes: Axes) -> Floats:
    """Mean area (..., F) between distribution functions whose shares differ as drawn.

    The variance of values within a bin [a, b] of mean c is not known. (c - a) (b - c) / 3 is right where they are
    even, and where all are at an end; the square of the distance to the nearer end where they are exponential.
    """
    valued = axes.valued()
    lower, upper = distances.edges(axes)
    last = valued & ~np.concatenate([valued[:, 1:], np.zeros_like(valued[:, :1])], axis=-1)
    centre = np.where(counts > 0, ratio(sums, counts), lower)
    low, high = np.maximum(centre - lower, 0.0), np.maximum(upper - centre, 0.0)
    within = np.sqrt(shares * np.minimum(low * high / 3, np.square(np.minimum(low, high))))
    places = counts.shape[-1]
    inside = _draws(2 * places, counts.ndim)[..., places:]
    function = np.cumsum(drawn, axis=-1)
    before = np.concatenate([np.zeros_like(function[..., :1]), function[..., :-1]], axis=-1)
    area = np.where(last, 0.0, upper * function) - lower * before - centre * drawn + within * inside
    mean: Floats = np.abs(area).sum(axis=-1).mean(axis=0)
    return mean


# -------------------------------------------------------------------- how improbable


def p_value(
    current: Floats, reference: Floats, design_effect: ArrayLike = 1.0, reference_design_effect: ArrayLike = 1.0
) -> Floats:
    """Probability (..., F) of a difference as improbable between two samples of one distribution.

    Bins that expect fewer than EXPECTED effective rows in the smaller sample are put together. If that is still too few
    for Pearson's test, their rows are tested by themselves, with RARE of the level: they fall to either sample as by a
    coin. NaN where a side has no rows; 1 where there are too few to tell anything.
    """
    sizes = Sizes.of(current, reference, design_effect, reference_design_effect)
    known = np.isfinite(sizes.variance[..., 0])
    now, then = sizes.now, sizes.then
    n, m = now.sum(axis=-1, keepdims=True), then.sum(axis=-1, keepdims=True)
    # Not by the shares of both where one is much larger: 5 % quantiles of it expect 5 of 100 rows, to the row, and
    # whether that is enough would be decided by the very rows that are tested.
    larger = np.where(m >= n, then, now)
    lopsided = np.maximum(n, m) > LOPSIDED * np.minimum(n, m)
    expected = np.minimum(n, m) * distances.proportions(np.where(lopsided, larger, now + then))
    rare = expected < EXPECTED
    few, total = (np.where(rare, one, 0.0).sum(axis=-1) for one in (now, now + then))
    enough = np.where(rare, expected, 0.0).sum(axis=-1) >= EXPECTED
    apart = [np.where(rare, 0.0, one) for one in (now, then)]
    lump = [np.where(enough, one, 0.0)[..., None] for one in (few, total - few)]
    usual = _pearson_tail(*(np.concatenate(both, axis=-1) for both in zip(apart, lump, strict=True)))
    share = np.nan_to_num(ratio(n, n + m))[..., 0]
    alone = ~enough & (total > 0) & ~rare.all(axis=-1)
    both = np.minimum(usual / (1 - RARE), _coin_tail(few, total, share) / RARE)
    return np.where(known, np.where(alone, np.minimum(both, 1.0), usual), np.nan)


def _pearson_tail(now: Floats, then: Floats) -> Floats:
    """Of Pearson's statistic, taken as gamma distributed with its own mean, variance and third moment.

    The moments are those of Haldane (1937, Biometrika 29:133) for one sample, with the cumulants of two: at 5 rows
    a bin, chi-squared has too short a tail. 1 where fewer than two bins have rows.
    """
    n, m = (np.maximum(one.sum(axis=-1), 1e-9) for one in (now, then))
    pooled = (now + then) / (n + m)[..., None]
    filled = pooled > 0
    bins = np.maximum(filled.sum(axis=-1), 1).astype(np.float64)
    s = 1 / n + 1 / m
    share = np.where(filled, pooled, 1.0)
    statistic = (np.square(now / n[..., None] - then / m[..., None]) / share).sum(axis=-1) / s
    spread = np.where(filled, 1 / share, 0.0).sum(axis=-1)
    small = 1 / (n + m)
    fourth = small * (n / m + m / n - 1)  # cumulants of a bin's difference over its standard deviation, times its share
    third = small * np.square(m - n) / (n * m)  # the square of that
    excess = fourth * (spread - bins**2 - 2 * bins + 2)
    variance = 2 * (bins - 1) + excess
    skewness = 8 * (bins - 1) + 12 * excess + third * (10 * spread - 6 * bins**2 - 12 * bins + 8)
    several = (bins > 1) & (variance > 0) & (skewness > 0)
    variance, skewness = np.where(several, variance, 1.0), np.where(several, skewness, 1.0)
    shape, scale = 4 * variance**3 / skewness**2, skewness / (2 * variance)
    tail = gammaincc(shape, np.maximum((statistic - (bins - 1)) / scale + shape, 0.0))
    return np.where(several, tail, 1.0)


def _coin_tail(heads: Floats, tosses: Floats, chance: Floats) -> Floats:
    """Twice the smaller tail of the binomial distribution, at most 1; of numbers that need not be whole."""
    tails = np.maximum(tosses - heads, 0.0)
    many = np.where(heads > 0, betainc(np.maximum(heads, 1e-9), tails + 1, chance), 1.0)
    few = np.where(tails > 0, betainc(np.maximum(tails, 1e-9), heads + 1, 1 - chance), 1.0)
    both: Floats = np.minimum(2 * np.minimum(many, few), 1.0)
    return both
