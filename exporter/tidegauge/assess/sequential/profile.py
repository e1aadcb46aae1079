"""What is normal: a loss's mean by hour of the week, learned once and frozen, with an upper confidence bound.

Pure functions of the sums in a History. Rows of every array are streams. A stream's expected mean is
lowest + level * shape[hour], where `lowest` is the smallest loss possible (0 unless losses may be negative): the shape
is the model's, the level the stream's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import ratio
from tidegauge.assess.sequential.history import BETWEEN, DAY_MS, HOURS, S1, S2, SEEN, History, N

ROWS: Final = 5000
"""Rows that a level needs: fewer and its bound is so far up that small rises are found late."""
LEVEL_MS: Final = DAY_MS
"""Time that a level needs even where the shape is known: a whole day, so that errors of the shape even out."""
CONFIDENCE: Final = 0.95
"""One-sided, of the bound."""
HIGHEST: Final = 0.999  # of a proportion's bound
ROUNDS: Final = 4  # of fitting levels and shape to each other

HOUR_OF_DAY: Final = np.arange(HOURS) % 24
DAY_OF_WEEK: Final = np.arange(HOURS) // 24
HOUR_OF_WEEK: Final = np.arange(HOURS)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known of a loss beforehand; more is worse."""

    proportion: bool  # losses are 0 or 1
    lowest: float = 0.0  # the smallest loss possible
    highest: float = math.inf  # the largest one possible; inf where there is none


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model's loss goes up and down with the hour of the week, whatever the version: factors of its level."""

    factors: Floats  # (..., HOURS), about 1
    uncertainty: Floats  # (..., HOURS): variance of each factor over its square, from estimating it
    overdispersion: Floats  # (...,): variance of an hour's true mean over its expected mean squared, beyond the shape

    @classmethod
    def flat(cls) -> Shape:
        """No shape at all."""
        return cls(np.ones(HOURS), np.zeros(HOURS), np.zeros(()))


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is normal for streams of one measure; rows are streams (S), in the order they were stacked."""

    mean: Floats  # (S, HOURS): expected mean loss
    bound: Floats  # (S, HOURS): the highest mean that is still normal
    variance: Floats  # (S,): of a row, at the stream's level
    tau2: Floats  # (S,): variance of an hour's true mean around the expected one
    level_variance: Floats  # (S,): of the estimated level
    n: Floats  # (S,): rows learned from
    days: Floats  # (S,): days learned from
    noise: Floats  # (S,): variance of a row over (mean - lowest)**2
    dispersion: Floats  # (S, HOURS): variance of an hour's true mean around the estimate, over that of a row

    @classmethod
    def none(cls) -> Baseline:
        """Of no stream."""
        return cls(*(np.zeros((0, HOURS) if name in BY_HOUR else 0) for name in ARRAYS))

    def stacked(self, other: Baseline) -> Baseline:
        """Both, this one's streams first."""
        return Baseline(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in ARRAYS))

    def keep(self, rows: ArrayLike) -> Baseline:
        """Of these streams alone, by position."""
        chosen = np.asarray(rows, np.int64)
        return Baseline(*(getattr(self, name)[chosen] for name in ARRAYS))

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists."""
        return {name: getattr(self, name).tolist() for name in ARRAYS}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Baseline:
        """The inverse of to_json, bit for bit."""
        arrays = {name: np.array(saved[name], np.float64) for name in ARRAYS}
        for name in BY_HOUR:
            arrays[name] = arrays[name].reshape(-1, HOURS)
        return cls(**arrays)


ARRAYS: Final = tuple(field.name for field in fields(Baseline))
BY_HOUR: Final = ("mean", "bound", "dispersion")


def learned_shape(cells: Floats, measure: Measure) -> Shape:
    """The shape from the cells of a model's versions (..., V, HOURS, 5), each version at a level of its own.

    Levels and shape are fitted to each other as in a table of rates with two factors (indirect standardisation; Breslow
    and Day 1987, section 4.3, Fitting the multiplicative model). The shape is a product of three: hour of the day, day
    of the week, hour of the week. Factors of each are drawn to 1 as far as chance alone could have spread them
    (empirical Bayes; Efron and Morris 1975, JASA 70:311, with the variance between cells by DerSimonian and Laird 1986,
    Control. Clin. Trials 7:177).
    Cells without rows are 1.
    """
    n, total, squares, between = _above(cells, measure.lowest)
    noise = _row_noise(n, total, squares, measure)
    factors = np.ones((*n.shape[:-2], HOURS))
    excess = np.ones(n.shape[:-2])
    for _ in range(ROUNDS):
        level = ratio(total.sum(axis=-1), (n * factors[..., None, :]).sum(axis=-1))
        level = np.nan_to_num(level)[..., None]
        observed, base = total.sum(axis=-2), (n * level).sum(axis=-2)
        chance = (n * level**2).sum(axis=-2) * (noise * excess)[..., None]
        factors, uncertainty = np.ones_like(observed), np.zeros_like(observed)
        free = np.zeros(observed.shape[:-1])
        for group in (HOUR_OF_DAY, DAY_OF_WEEK, HOUR_OF_WEEK):
            drawn, unsure, spent = _drawn(observed, base * factors, chance * factors**2, group)
            factors, uncertainty = factors * drawn, uncertainty + unsure / drawn**2
            free = free + spent
        expected = level * factors[..., None, :]
        around = (between - 2 * expected * total + expected**2 * n).sum(axis=-1)
        hours = cells[..., SEEN].sum(axis=(-1, -2))
        scale = np.where(level[..., 0] > 0, level[..., 0], 1.0) ** 2
        per_hour = np.maximum(np.nan_to_num(ratio(n.sum(axis=(-1, -2)), hours)), 1e-300)
        spread = _beyond_chance((around / scale).sum(axis=-1), np.maximum(hours - free - 1, 1), noise, per_hour)
        excess = 1 + spread * per_hour / noise
    return Shape(factors, uncertainty, spread)


def _above(cells: Floats, lowest: float) -> tuple[Floats, Floats, Floats, Floats]:
    """The columns n, s1, s2, between of the cells, as those of losses less the smallest one possible."""
    n, s1 = cells[..., N], cells[..., S1]
    twice = n * lowest**2 - 2 * lowest * s1
    return n, s1 - n * lowest, cells[..., S2] + twice, cells[..., BETWEEN] + twice


def _row_noise(n: Floats, total: Floats, squares: Floats, measure: Measure) -> Floats:
    """Variance of a row over its squared mean (...), over all versions and hours; sums have the shape (..., V, HOURS).

    Where no loss was ever seen it is that of half a loss of the largest kind.
    """
    rows = n.sum(axis=-1)
    mean = ratio(_least(total.sum(axis=-1), measure), rows)
    spread = 1 / mean - 1 if measure.proportion else ratio(_least(squares.sum(axis=-1), measure), rows) / mean**2 - 1
    known = np.isfinite(spread) & (rows > 0)
    pooled = ratio(np.where(known, rows * spread, 0).sum(axis=-1), np.where(known, rows, 0).sum(axis=-1))
    return np.maximum(np.nan_to_num(pooled), 1e-12)


def _least(total: Floats, measure: Measure) -> Floats:
    """A sum of losses or of their squares, of losses with an upper end half of one such loss at least."""
    return np.maximum(total, 0.5 * (measure.highest - measure.lowest)) if math.isfinite(measure.highest) else total


def _beyond_chance(around: Floats, free: Floats, noise: Floats, per_hour: Floats) -> Floats:
    """Variance of an hour's true mean over its expected mean squared, 0 where chance gives as much 1 time in 20.

    around is the sum over hours of n * (mean / expected - 1)**2, free its degrees of freedom. Pearson's statistic
    around / noise has the variance 2 + 1 / (events an hour) a degree (McCullagh and Nelder 1989, section 4.5).
    """
    chance = 1 + ndtri(0.95) * np.sqrt((2 + noise / per_hour) / free)
    return np.where(around > free * noise * chance, (around / free - noise) / per_hour, 0.0)


def _drawn(observed: Floats, expected: Floats, chance: Floats, group: Integers) -> tuple[Floats, Floats, Floats]:
    """Observed over expected sums of the groups (..., HOURS), drawn to 1, their variance, and parameters spent (...).

    A ratio with variance v among ratios with variance t between them is drawn by the trust t / (t + v), which leaves
    the variance t v / (t + v).
    """
    members = np.equal.outer(group, np.arange(group.max() + 1)).astype(np.float64)
    above, below, noise = observed @ members, expected @ members, chance @ members
    raw = np.where(below > 0, np.nan_to_num(ratio(above, below)), 1.0)
    weight = np.nan_to_num(ratio(below**2, noise))
    total = weight.sum(axis=-1, keepdims=True)
    centre = np.nan_to_num(ratio((weight * raw).sum(axis=-1, keepdims=True), total))
    q = (weight * (raw - centre) ** 2).sum(axis=-1, keepdims=True)
    k = (weight > 0).sum(axis=-1, keepdims=True)
    slope = total - np.nan_to_num(ratio((weight**2).sum(axis=-1, keepdims=True), total))
    between = np.maximum(np.nan_to_num(ratio(q - (k - 1), slope)), 0.0)
    trust = between * weight / (between * weight + 1)
    drawn = 1 + trust * (raw - 1)
    left = between / (between * weight + 1)
    return drawn[..., group], left[..., group], trust.sum(axis=-1)


def baseline(cells: Floats, shape: Shape, measure: Measure, confidence: float = CONFIDENCE) -> Baseline:
    """The baseline of streams from their cells (S, HOURS, 5) on a shape (one for all, or (S, HOURS)).

    The level is the sum of losses over the sum of n * shape. Its bound at the one-sided confidence is Clopper and
    Pearson's for a proportion (1934), at a number of rows that is as much smaller as hours vary more than chance; else
    the normal one on the logarithm. The bound of a cell is its mean times bound over estimate of the level: of how far
    single cells are off the sum over a day matters, and that is the level; the rest is variance between hours, which
    discounts the evidence (detector.discounted).
    """
    n, total, squares, between = _above(cells, measure.lowest)
    rows, summed = n.sum(axis=1), _least(total.sum(axis=1), measure)
    hours = cells[..., SEEN].sum(axis=1)
    factors = np.broadcast_to(shape.factors, n.shape)
    level = summed / (n * factors).sum(axis=1)
    noise = _row_noise(n[:, None], total[:, None], squares[:, None], measure)
    expected = level[:, None] * factors
    around = (between - 2 * expected * total + expected**2 * n).sum(axis=1) / level**2
    per_hour = rows / hours
    own = _beyond_chance(around, np.maximum(hours - 1, 1), noise, per_hour)
    spread = np.maximum(own, shape.overdispersion)
    inflation = 1 + spread * per_hour / noise
    row = np.maximum(1 / expected - 1, 1 / HIGHEST - 1) if measure.proportion else noise[:, None]
    relative = inflation * noise / rows
    if measure.proportion:
        errors, size = total.sum(axis=1) / inflation, rows / inflation
        top = betaincinv(errors + 1, np.maximum(size - errors, 1e-9), confidence)
        bound = np.minimum(expected * (top * rows / summed)[:, None], HIGHEST)
    else:
        bound = expected * np.exp(ndtri(confidence) * np.sqrt(relative))[:, None]
    return Baseline(
        measure.lowest + expected,
        measure.lowest + bound,
        noise * level**2,
        spread * level**2,
        relative * level**2,
        rows,
        hours / 24,
        noise,
        (spread[:, None] + np.broadcast_to(shape.uncertainty, n.shape)) / row,
    )


def ready(history: History, learning_ms: int, shape: Shape | None, measure: Measure) -> NDArray[np.bool_]:
    """Which streams (S,) have seen enough: ROWS rows, over the learning time, or over a day where the shape is known.

    Time goes from the first block to the start of the latest. Of losses without an upper end some must have been seen.
    """
    span = learning_ms if shape is None else min(LEVEL_MS, learning_ms)
    enough = (history.n() >= ROWS) & (history.first_ms >= 0) & (history.span_ms() >= span)
    return enough & (math.isfinite(measure.highest) | (history.total() > history.n() * measure.lowest))


def learned(history: History, rows: ArrayLike, shape: Shape | None, measure: Measure) -> Baseline:
    """The baseline of these streams of a history, on the model's shape, or where there is none yet each on its own."""
    cells = history.closed(rows)
    return baseline(cells, learned_shape(cells[:, None], measure) if shape is None else shape, measure)
