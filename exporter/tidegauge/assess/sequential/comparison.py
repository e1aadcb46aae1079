"""Candidate against baseline while both get traffic: one measure, block by block, looked at as often as one likes.

A block in which either arm has no row says nothing. The difference is taken within blocks and summed with
Mantel-Haenszel weights, so that a traffic ramp over a daily cycle cannot fool it. The fields of a state may be arrays:
as many comparisons at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats, ratio
from tidegauge.assess.sequential import clusters, error_arm, mixtures
from tidegauge.assess.sequential.clusters import BUCKETS, Buckets
from tidegauge.assess.sequential.verdict import KEEP_WATCHING, Codes, Result, decide, more_variance, named

Kind = Literal["proportion", "bounded", "unbounded", "ratio"]
Test = Literal["error_arm", "normal_mixture"]

ERROR_ARM_RATE: Final = 0.2  # above it, looking at errors only throws too much away
ROWS: Final = 100.0  # of the candidate, before the normal approximation of a mean of losses is trusted
ERRORS: Final = 20.0  # of both arms, before that of a proportion is
LEAST_MARGIN: Final = 1e-9  # where nothing has varied yet
PRIOR_ERRORS: Final = 5.0  # what the rate known beforehand counts for beside the baseline's errors now


@dataclass(frozen=True, slots=True)
class Arm:
    """One version in one block: rows (Kish-effective where weighted), and sums of loss and of its square over them."""

    n: float | Floats
    s1: float | Floats
    s2: float | Floats


@dataclass(frozen=True, slots=True)
class Plan:
    """How a comparison is judged; frozen before its first block."""

    kind: Kind
    rate: float  # the baseline's mean loss before the release
    variance: float  # of one row's loss, before the release
    margin: float  # how much worse is still acceptable, in units of the loss; above 0
    alpha_harm: float
    alpha_promote: float
    clustered: bool
    test: Test
    rho: float  # where the mixture is at its best: the variance at which `margin` is told from 0, over k


def default_margin(rate: float, kind: Kind = "proportion", variance: float = 0.0) -> float:
    """What is taken for tolerable where nobody says: a fifth of a rate of errors, or a tenth of a mean loss."""
    if kind == "proportion":
        return max(abs(rate) / 5, 0.005)
    return abs(rate) / 10 or math.sqrt(variance) / 10 or LEAST_MARGIN


def plan(
    kind: Kind,
    rate: float,
    variance: float,
    margin: float,
    alpha_harm: float = 0.05,
    alpha_promote: float = 0.05,
    clustered: bool = False,
) -> Plan:
    """Chooses the test, and tunes it to the margin. Raises ValueError if the margin or an alpha makes no sense."""
    if not margin > 0 or not 0 < alpha_harm < 0.5 or not 0 < alpha_promote < 0.5:
        raise ValueError("the margin must be above 0, each alpha between 0 and 0.5")
    # A baseline without errors, or one whose rows are all equal, would put the best point at no data at all.
    least = min(margin, 0.5) * (1 - min(margin, 0.5)) if kind == "proportion" else margin**2
    spread = max(variance, least)
    errors_only = kind == "proportion" and not clustered and rate <= ERROR_ARM_RATE
    return Plan(
        kind,
        rate,
        spread,
        margin,
        alpha_harm,
        alpha_promote,
        clustered,
        "error_arm" if errors_only else "normal_mixture",
        tuned(spread, margin, alpha_promote),
    )


def tuned(variance: float, margin: float, alpha: float) -> float:
    """rho for a one-sided test of a margin at alpha: V / k where the bound is `margin` wide and narrowest.

    The sum of W rows' worth of weight has variance W * variance; the bound is margin * W there, so
    V = (standard errors * variance / margin)**2. The two-sided bound at the same alpha is best within 2 % of it.
    """
    wide = 2 * alpha
    return (mixtures.standard_errors(wide) * variance / margin) ** 2 / mixtures.best_ratio(wide)


@dataclass(frozen=True, slots=True)
class State:
    """Sums over the blocks so far, and the verdict; [...] is the shape of the comparisons, () for one."""

    candidate_n: Floats
    candidate_s1: Floats
    candidate_s2: Floats
    baseline_n: Floats
    baseline_s1: Floats
    baseline_s2: Floats
    weight: Floats  # W: sum of w = n_c n_b / (n_c + n_b)
    difference: Floats  # S: sum of w times the difference of the block's means
    candidate_spread: Floats  # A_c: sum of w**2 / n_c
    baseline_spread: Floats
    shuffled: Floats  # variance of S if the block's errors were dealt out at random
    harm: Floats  # [..., J] log e-values
    non_inferiority: Floats
    candidate_buckets: Floats  # [..., 256], [..., 0] where rows are not clustered
    baseline_buckets: Floats
    peak: Floats  # the largest log evidence of harm that could have decided
    verdict: Codes

    @classmethod
    def empty(cls, plan: Plan, shape: tuple[int, ...] = ()) -> State:
        """Before the first block; shape is that of the comparisons run at once."""
        grid, powers = (len(error_arm.GRID), len(error_arm.POWERS)) if plan.test == "error_arm" else (0, 0)
        buckets = BUCKETS if plan.clustered else 0
        lengths = {"harm": grid, "non_inferiority": powers, "candidate_buckets": buckets, "baseline_buckets": buckets}
        shapes = {name: (*shape, length) for name, length in lengths.items()}
        sums = {field.name: np.zeros(shapes.get(field.name, shape)) for field in fields(cls) if field.name != "verdict"}
        return cls(**sums, verdict=np.full(shape, KEEP_WATCHING, dtype=np.int8))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, from which from_json makes the very same state."""
        return {field.name: np.asarray(getattr(self, field.name)).tolist() for field in fields(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> State:
        """The state that to_json wrote."""
        values = {field.name: floats(content[field.name]) for field in fields(cls) if field.name != "verdict"}
        return cls(**values, verdict=np.asarray(content["verdict"], dtype=np.int8))


def advance(state: State, plan: Plan, candidate: Arm, baseline: Arm, buckets: Buckets | None = None) -> State:
    """The state after one more block. buckets are needed where the plan is clustered: ValueError without them."""
    if plan.clustered and buckets is None:
        raise ValueError("a clustered comparison needs the buckets of the block")
    n_c, n_b = np.broadcast_arrays(floats(candidate.n), floats(baseline.n))
    both = (n_c > 0) & (n_b > 0)
    n_c, n_b = np.where(both, n_c, 1.0), np.where(both, n_b, 1.0)
    c1, c2, b1, b2 = (np.where(both, sums, 0.0) for sums in (candidate.s1, candidate.s2, baseline.s1, baseline.s2))
    used = both.astype(np.float64)
    rows = n_c + n_b
    weight = used * n_c * n_b / rows
    total = c1 + b1
    shuffled = weight * np.clip(total, 0, rows) * np.clip(rows - total, 0, rows) / (rows * np.maximum(rows - 1, 1))
    following = State(
        state.candidate_n + used * n_c,
        state.candidate_s1 + c1,
        state.candidate_s2 + c2,
        state.baseline_n + used * n_b,
        state.baseline_s1 + b1,
        state.baseline_s2 + b2,
        state.weight + weight,
        state.difference + weight * (c1 / n_c - b1 / n_b),
        state.candidate_spread + weight**2 / n_c,
        state.baseline_spread + weight**2 / n_b,
        state.shuffled + shuffled,
        state.harm,
        state.non_inferiority,
        state.candidate_buckets,
        state.baseline_buckets,
        state.peak,
        state.verdict,
    )
    if plan.test == "error_arm":
        share = n_c / rows
        within = null_ratio(state, plan)
        better = within[..., None] ** -error_arm.POWERS
        following = replace(
            following,
            harm=state.harm + error_arm.steps(c1, b1, share, 1.0, error_arm.GRID),
            non_inferiority=state.non_inferiority + error_arm.steps(c1, b1, share, within, better),
        )
    if plan.clustered and buckets is not None:
        mean = total / rows
        c = clusters.residuals(buckets.candidate_n, buckets.candidate_s1, mean, weight / n_c)
        b = clusters.residuals(buckets.baseline_n, buckets.baseline_s1, mean, weight / n_b)
        following = replace(
            following, candidate_buckets=state.candidate_buckets + c, baseline_buckets=state.baseline_buckets + b
        )
    harm, non_inferiority = evidence(following, plan)
    may = ready(following, plan)
    verdict = decide(state.verdict, harm, non_inferiority, may, plan.alpha_harm, plan.alpha_promote)
    return replace(following, verdict=verdict, peak=np.where(may, np.maximum(state.peak, harm), state.peak))


def null_ratio(state: State, plan: Plan) -> Floats:
    """The ratio of error rates at which the candidate is worse by exactly the margin, as far as is known by now.

    Known before the block that it judges, as an e-value asks. The baseline's rate is the one seen so far, with the rate
    before the release as if from 5 errors, and one standard error up: a rate too low would make the ratio too large,
    and a promotion too easy.
    """
    before = max(plan.rate, plan.margin / 2)
    errors = PRIOR_ERRORS + state.baseline_s1
    rate = (errors + np.sqrt(errors)) / (PRIOR_ERRORS / before + state.baseline_n)
    worse: Floats = 1 + plan.margin / rate
    return worse


def variance(state: State, plan: Plan) -> Floats:
    """V, the variance of S: the larger of what the arms show apart and what they show together.

    Apart it would be too small while the candidate has few errors, together it would be where the arms' variances
    differ.
    """
    if plan.kind == "proportion":
        rate_c = (state.candidate_s1 + 0.5) / (state.candidate_n + 1)
        rate_b = (state.baseline_s1 + 0.5) / (state.baseline_n + 1)
        spread_c, spread_b, together = rate_c * (1 - rate_c), rate_b * (1 - rate_b), state.shuffled
    else:
        spread_c = spread(state.candidate_n, state.candidate_s1, state.candidate_s2)
        spread_b = spread(state.baseline_n, state.baseline_s1, state.baseline_s2)
        pooled = spread(
            state.candidate_n + state.baseline_n,
            state.candidate_s1 + state.baseline_s1,
            state.candidate_s2 + state.baseline_s2,
        )
        together = state.weight * pooled
    baseline = state.baseline_spread * np.maximum(spread_b, 0)
    rows: Floats = np.maximum(state.candidate_spread * np.maximum(spread_c, 0) + baseline, together)
    if not plan.clustered:
        return rows
    return clusters.variance(state.candidate_buckets, state.baseline_buckets, rows, baseline)


def spread(n: Floats, s1: Floats, s2: Floats) -> Floats:
    """Unbiased variance of a row; 0 of a single one, or where rounding made it negative."""
    size = np.maximum(n, 1.0)
    square: Floats = np.maximum(s2 - s1**2 / size, 0.0) / np.maximum(size - 1, 1.0)
    return square


def evidence(state: State, plan: Plan) -> tuple[Floats, Floats]:
    """Log e-values now: of harm, against "no worse"; of non-inferiority, against "worse by the margin or more"."""
    if plan.test == "error_arm":
        return mixtures.mean_of(state.harm), mixtures.mean_of(state.non_inferiority)
    V = variance(state, plan)
    harm = mixtures.one_sided(state.difference, V, plan.rho)
    return harm, mixtures.one_sided(plan.margin * state.weight - state.difference, V, plan.rho)


def enough(state: State, plan: Plan) -> NDArray[np.bool_]:
    """Whether the normal approximation can be trusted: the interval is shown, and the normal mixture may decide."""
    if plan.kind == "proportion":
        return np.asarray(state.candidate_s1 + state.baseline_s1 >= ERRORS)
    return np.asarray(state.candidate_n >= ROWS)


def ready(state: State, plan: Plan) -> NDArray[np.bool_]:
    """Whether a verdict may be given. The error-arm test needs no approximation, and so may always."""
    return np.asarray(True) if plan.test == "error_arm" else enough(state, plan)


def interval(state: State, plan: Plan) -> tuple[Floats, Floats, Floats]:
    """The difference with its lower and upper end; NaN until there is enough to give them."""
    known = enough(state, plan) & (state.weight > 0)
    difference = np.where(known, ratio(state.difference, state.weight), np.nan)
    half = ratio(mixtures.radius(variance(state, plan), plan.rho, plan.alpha_harm), state.weight)
    return difference, difference - half, difference + half


def read(state: State, plan: Plan) -> Result:
    """What the blocks so far say."""
    harm, non_inferiority = evidence(state, plan)
    difference, lower, upper = interval(state, plan)
    return Result(
        difference,
        lower,
        upper,
        harm,
        np.maximum(state.peak, harm),
        non_inferiority,
        state.candidate_n,
        state.baseline_n,
        samples_needed(state, plan),
        named(state.verdict),
    )


def samples_needed(state: State, plan: Plan) -> Floats:
    """More rows of the candidate until the nearer verdict, if the difference and the traffic stay as they are.

    As long as nothing is known: for a difference of 0 and a small share of the traffic.
    """
    V = variance(state, plan)
    some = enough(state, plan) & (V > 0)
    row_variance = np.where(some, ratio(V, state.weight), plan.variance)
    difference = np.where(some, ratio(state.difference, state.weight), 0.0)
    effect = np.maximum(difference, plan.margin - difference)
    more = more_variance(effect, row_variance, np.where(some, V, 0.0), plan.rho, plan.alpha_promote)
    rows_per_weight = np.where(some, ratio(state.candidate_n, state.weight), 1.0)
    rows = more / row_variance * rows_per_weight
    if plan.test == "error_arm":
        times = np.fmin(
            error_arm.times_until(state.harm, math.log(1 / plan.alpha_harm)),
            error_arm.times_until(state.non_inferiority, math.log(1 / plan.alpha_promote)),
        )
        rows = np.where(some & np.isfinite(times), state.candidate_n * (times - 1), rows)
    undecided = state.verdict == KEEP_WATCHING
    needed: Floats = np.where(undecided, np.maximum(np.ceil(rows), 1.0), 0.0)
    return needed
