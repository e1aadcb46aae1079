"""A release without overlap: the candidate after the switch against what the baseline's profile expects of that hour.

The unit of evidence is the hour, because rows of one hour share what the profile does not know. That the profile's
level was itself measured is taken off both ways, so evidence ends where the baseline's history does. The fields of a
state may be arrays, as in comparison.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats, ratio
from tidegauge.assess.sequential import mixtures
from tidegauge.assess.sequential.comparison import ERRORS, ROWS, Arm, Kind, spread, tuned
from tidegauge.assess.sequential.error_arm import GRID
from tidegauge.assess.sequential.verdict import KEEP_WATCHING, Codes, Result, decide, more_variance, named

LEVEL_SIGMAS: Final = 1.96  # by which the measured level of the baseline may be off, at 97.5 % each way
HOURS_TO_COMPARE: Final = 24  # of the baseline's history: less does not know a day
HOURS_TO_PROMOTE: Final = 168  # less does not know a week
NO_HOUR: Final = -1
EDGE: Final = 1e-9  # keeps expected rates off 0 and 1, where one error would prove everything


@dataclass(frozen=True, slots=True)
class BeforeAfterPlan:
    """How a hard switch is judged; frozen before the candidate's first hour."""

    kind: Kind
    rate: float  # the baseline's mean loss
    tau2: float  # variance of the baseline's hourly means round its profile beyond that of their rows
    variance: float  # of one row's loss
    level_slack: float  # by how much the level of the profile may be off
    margin: float
    alpha_harm: float
    alpha_promote: float
    may_promote: bool
    baseline_n: float  # rows under the profile
    rho: float


def plan_before_after(
    kind: Kind,
    rate: float,
    tau2: float,
    variance: float,
    baseline_level_variance: float,
    margin: float,
    baseline_n: float,
    history_hours: float,
    alpha_harm: float = 0.05,
    alpha_promote: float = 0.05,
) -> BeforeAfterPlan:
    """What the baseline's history supports. Raises ValueError where it supports nothing (under 24 hours)."""
    if history_hours < HOURS_TO_COMPARE:
        raise ValueError(f"{history_hours:g} hours of history; a before/after comparison needs {HOURS_TO_COMPARE}")
    if not margin > 0 or not 0 < alpha_harm < 0.5 or not 0 < alpha_promote < 0.5:
        raise ValueError("the margin must be above 0, each alpha between 0 and 0.5")
    slack = LEVEL_SIGMAS * math.sqrt(baseline_level_variance)
    least = min(margin, 0.5) * (1 - min(margin, 0.5)) if kind == "proportion" else margin**2
    return BeforeAfterPlan(
        kind,
        rate,
        tau2,
        max(variance, least),
        slack,
        margin,
        alpha_harm,
        alpha_promote,
        history_hours >= HOURS_TO_PROMOTE,
        baseline_n,
        tuned(1.0, margin, alpha_promote),
    )


@dataclass(frozen=True, slots=True)
class BeforeAfterState:
    """The open hour, sums over the closed ones, and the verdict."""

    hour: Floats  # NO_HOUR before the first block
    hour_n: Floats
    hour_s1: Floats
    hour_s2: Floats
    hour_expected: Floats  # sum of rows times the expected mean
    candidate_n: Floats
    candidate_s1: Floats
    candidate_s2: Floats
    expected: Floats
    weight: Floats  # W: sum of w = 1 / (tau2 + variance / n) of the hours
    difference: Floats  # S: sum of w times (mean - expected)
    hour_spread: Floats  # sum of w**2
    row_spread: Floats  # sum of w**2 / n
    harm: Floats  # [..., J] log e-values, of proportions
    non_inferiority: Floats
    peak: Floats  # the largest log evidence of harm that could have decided
    verdict: Codes

    @classmethod
    def empty(cls, plan: BeforeAfterPlan, shape: tuple[int, ...] = ()) -> BeforeAfterState:
        """Before the first block; shape is that of the comparisons run at once."""
        grid = (*shape, len(GRID) if plan.kind == "proportion" else 0)
        sums = {field.name: np.zeros(shape) for field in fields(cls)}
        sums |= {"hour": np.full(shape, float(NO_HOUR)), "harm": np.zeros(grid), "non_inferiority": np.zeros(grid)}
        del sums["verdict"]
        return cls(**sums, verdict=np.full(shape, KEEP_WATCHING, dtype=np.int8))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, from which from_json makes the very same state."""
        return {field.name: np.asarray(getattr(self, field.name)).tolist() for field in fields(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> BeforeAfterState:
        """The state that to_json wrote."""
        values = {field.name: floats(content[field.name]) for field in fields(cls) if field.name != "verdict"}
        return cls(**values, verdict=np.asarray(content["verdict"], dtype=np.int8))


def advance(
    state: BeforeAfterState, plan: BeforeAfterPlan, arm: Arm, expected: ArrayLike, hour: ArrayLike
) -> BeforeAfterState:
    """The state after one more block of the candidate, in an hour no earlier than the last block's.

    expected is the profile's mean loss for that hour, hour a number that names it (hours since the epoch). A block of a
    new hour closes the hour before it.
    """
    closes = np.asarray((state.hour != floats(hour)) & (state.hour_n > 0))
    closed = _close(state, plan, closes)
    n = np.where(closes, 0.0, closed.hour_n) + arm.n
    return replace(
        closed,
        hour=np.broadcast_to(floats(hour), np.shape(n)),
        hour_n=n,
        hour_s1=np.where(closes, 0.0, closed.hour_s1) + arm.s1,
        hour_s2=np.where(closes, 0.0, closed.hour_s2) + arm.s2,
        hour_expected=np.where(closes, 0.0, closed.hour_expected) + floats(arm.n) * floats(expected),
    )


def _close(state: BeforeAfterState, plan: BeforeAfterPlan, used: NDArray[np.bool_]) -> BeforeAfterState:
    """The open hour added to the sums where used is true, and the verdict after it."""
    n = np.where(used, state.hour_n, 1.0)
    s1, s2, expected_sum = (np.where(used, sums, 0.0) for sums in (state.hour_s1, state.hour_s2, state.hour_expected))
    weight = used / (plan.tau2 + plan.variance / n)
    closed = replace(
        state,
        candidate_n=state.candidate_n + used * n,
        candidate_s1=state.candidate_s1 + s1,
        candidate_s2=state.candidate_s2 + s2,
        expected=state.expected + expected_sum,
        weight=state.weight + weight,
        difference=state.difference + weight * (s1 - expected_sum) / n,
        hour_spread=state.hour_spread + weight**2,
        row_spread=state.row_spread + weight**2 / n,
    )
    if plan.kind == "proportion":
        expected = expected_sum / n
        harm = _steps(plan, np.where(used, n, 0.0), s1, expected + plan.level_slack, GRID)
        within = _steps(plan, np.where(used, n, 0.0), s1, expected - plan.level_slack + plan.margin, 1 / GRID)
        closed = replace(closed, harm=state.harm + harm, non_inferiority=state.non_inferiority + within)
    harm, within = evidence(closed, plan)
    if not plan.may_promote:
        within = np.full_like(within, -np.inf)
    may = ready(closed, plan)
    verdict = decide(state.verdict, harm, within, may, plan.alpha_harm, plan.alpha_promote)
    return replace(
        closed,
        verdict=np.where(used, verdict, state.verdict).astype(np.int8),
        peak=np.where(used & may, np.maximum(state.peak, harm), state.peak),
    )


def _steps(plan: BeforeAfterPlan, n: Floats, errors: Floats, null_rate: Floats, odds_ratios: Floats) -> Floats:
    """What an hour adds to the log e-values of rates with these odds ratios against null_rate: [..., J].

    Hours vary by tau2 beyond their rows, so an hour of n rows counts for as many as would vary so much on their own. A
    ratio of likelihoods to a power below 1 still has a mean of at most 1 (Jensen).
    """
    rate = np.clip(null_rate, EDGE, 1 - EDGE)[..., None]
    row = rate * (1 - rate)
    size, wrong = n[..., None], errors[..., None]
    part = row / (row + size * floats(plan.tau2)[..., None])
    scale = 1 - rate + rate * odds_ratios
    added: Floats = part * (wrong * np.log(odds_ratios) - size * np.log(scale))
    return added


def variance(state: BeforeAfterState, plan: BeforeAfterPlan) -> Floats:
    """V, the variance of S: of the hours, and of rows that vary as planned or, if more, as the candidate's do."""
    if plan.kind == "proportion":
        rate = (state.candidate_s1 + 0.5) / (state.candidate_n + 1)
        row = rate * (1 - rate)
    else:
        row = spread(state.candidate_n, state.candidate_s1, state.candidate_s2)
    total: Floats = plan.tau2 * state.hour_spread + np.maximum(row, plan.variance) * state.row_spread
    return total


def evidence(state: BeforeAfterState, plan: BeforeAfterPlan) -> tuple[Floats, Floats]:
    """Log e-values now, over closed hours: of harm, and of non-inferiority."""
    if plan.kind == "proportion":
        return mixtures.mean_of(state.harm), mixtures.mean_of(state.non_inferiority)
    V = variance(state, plan)
    slack = plan.level_slack * state.weight
    harm = mixtures.one_sided(state.difference - slack, V, plan.rho)
    return harm, mixtures.one_sided(plan.margin * state.weight - state.difference - slack, V, plan.rho)


def enough(state: BeforeAfterState, plan: BeforeAfterPlan) -> NDArray[np.bool_]:
    """Whether the normal approximation can be trusted: the interval is shown, and may decide about losses."""
    if plan.kind == "proportion":
        return np.asarray(state.candidate_s1 + state.expected >= ERRORS)
    return np.asarray(state.candidate_n >= ROWS)


def ready(state: BeforeAfterState, plan: BeforeAfterPlan) -> NDArray[np.bool_]:
    """Whether a verdict may be given: the test of proportions needs no approximation."""
    return np.asarray(True) if plan.kind == "proportion" else enough(state, plan)


def interval(state: BeforeAfterState, plan: BeforeAfterPlan) -> tuple[Floats, Floats, Floats]:
    """The difference with its lower and upper end; NaN until there is enough to give them."""
    known = enough(state, plan) & (state.weight > 0)
    difference = np.where(known, ratio(state.difference, state.weight), np.nan)
    bound = mixtures.radius(variance(state, plan), plan.rho, plan.alpha_harm)
    half = ratio(bound, state.weight) + plan.level_slack
    return difference, difference - half, difference + half


def read(state: BeforeAfterState, plan: BeforeAfterPlan) -> Result:
    """What the closed hours so far say. samples_needed is NaN where more rows alone will not decide."""
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
        np.full_like(state.candidate_n, plan.baseline_n),
        samples_needed(state, plan),
        named(state.verdict),
    )


def samples_needed(state: BeforeAfterState, plan: BeforeAfterPlan) -> Floats:
    """More rows of the candidate until the nearer verdict, if the difference and the traffic stay as they are."""
    V = variance(state, plan)
    some = enough(state, plan) & (V > 0)
    row_variance = np.where(some, ratio(V, state.weight), 1.0)
    difference = np.where(some, ratio(state.difference, state.weight), 0.0)
    towards_harm = difference - plan.level_slack
    towards_promotion = (
        plan.margin - difference - plan.level_slack if plan.may_promote else np.full_like(difference, -1)
    )
    effect = np.maximum(towards_harm, towards_promotion)
    more = more_variance(effect, row_variance, np.where(some, V, 0.0), plan.rho, plan.alpha_promote)
    rows_per_weight = np.where(some, ratio(state.candidate_n, state.weight), plan.variance)
    undecided = state.verdict == KEEP_WATCHING
    needed: Floats = np.where(undecided, np.maximum(np.ceil(more / row_variance * rows_per_weight), 1.0), 0.0)
    return needed
