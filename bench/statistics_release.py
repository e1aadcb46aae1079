"""How often release comparisons are wrong, and how much they need to be right; by simulation, all repetitions at once.

Nothing here knows a formula of the comparison: it draws blocks and calls the functions that the exporter calls. Run as:
python -m bench.statistics_release [--only NAME] [--output docs/statistics-rates.md]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.rates_page import write_section
from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats
from tidegauge.assess.sequential import before_after, comparison
from tidegauge.assess.sequential.before_after import BeforeAfterState, plan_before_after
from tidegauge.assess.sequential.clusters import BUCKETS, Buckets
from tidegauge.assess.sequential.comparison import Arm, Plan, State, default_margin, plan
from tidegauge.assess.sequential.verdict import PROMOTE, ROLL_BACK

SHARES: Final = (0.01, 0.05, 0.2, 0.5)
RATES: Final = (0.01, 0.05, 0.1, 0.3)
RATIOS: Final = (1.5, 2.0, 3.0)
JUMPS: Final = (0.06, 0.075, 0.1, 0.2)
LOOKS: Final = 1000
ROWS: Final = 1000  # of both arms in a block
DAY: Final = 288  # blocks
SWING: Final = 0.3  # of the daily cycle
ALPHA: Final = 0.05
SKEWED: Final = 1.5  # sigma of the lognormal losses: skew 33
SEED: Final = 20261123

AnyState = TypeVar("AnyState", State, BeforeAfterState)
Share = Callable[[int], float]  # of the candidate in block k
Sample = Callable[[np.random.Generator, bool, int], Floats]  # so many losses, of the candidate or not
Draw = Callable[[np.random.Generator, int, int], tuple[Arm, Arm, Buckets | None]]  # of block k, so many times


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number beside its bar."""

    group: str
    cell: str
    value: float
    error: float  # Monte-Carlo standard error
    bar: float

    @property
    def good(self) -> bool:
        """Whether the bar is met; a rate may be over it by chance, and is not judged by that."""
        return self.value <= self.bar


def frequency(group: str, cell: str, happened: NDArray[np.bool_], bar: float = ALPHA) -> Figure:
    """The share of repetitions in which it happened."""
    share = float(happened.mean())
    return Figure(group, cell, share, math.sqrt(share * (1 - share) / happened.size), bar)


def mean_ratio(group: str, cell: str, needed: Floats, bound: float, bar: float) -> Figure:
    """The mean over a bound."""
    return Figure(group, cell, float(needed.mean()) / bound, float(needed.std()) / math.sqrt(needed.size) / bound, bar)


# -------------------------------------------------------------------- running many comparisons at once


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened at any look, one value a repetition."""

    rolled_back: NDArray[np.bool_]
    promoted: NDArray[np.bool_]
    harm: NDArray[np.bool_]  # without a difference: the evidence of harm has crossed, whatever the verdict was
    missed: NDArray[np.bool_]  # the interval has not held the true difference


def watch(plan: Plan, draw: Draw, repetitions: int, looks: int, seed: int, difference: float = 0.0) -> Outcome:
    """Looks after every block, and notes what was ever said."""
    random = np.random.default_rng(seed)
    state = State.empty(plan, (repetitions,))
    rolled_back, promoted, harm, missed = (np.zeros(repetitions, dtype=bool) for _ in range(4))
    for k in range(looks):
        candidate, baseline, buckets = draw(random, k, repetitions)
        state = comparison.advance(state, plan, candidate, baseline, buckets)
        rolled_back |= state.verdict == ROLL_BACK
        promoted |= state.verdict == PROMOTE
        if difference == 0:
            harm |= (comparison.evidence(state, plan)[0] >= math.log(1 / ALPHA)) & comparison.ready(state, plan)
        _, lower, upper = comparison.interval(state, plan)
        missed |= (lower > difference) | (upper < difference)
    return Outcome(rolled_back, promoted, harm, missed)


def selected(state: AnyState, keep: NDArray[np.bool_]) -> AnyState:
    """The states of some repetitions."""
    return replace(state, **{field.name: getattr(state, field.name)[keep] for field in fields(state)})


# -------------------------------------------------------------------- drawing blocks


def ramp(k: int) -> float:
    """The share of a rollout in three steps over the looks."""
    return (0.01, 0.05, 0.5)[min(3 * k // LOOKS, 2)]


def cycle(k: int) -> float:
    """The daily cycle of the error rate."""
    return 1 + SWING * math.sin(2 * math.pi * k / DAY)


def errors(rate: float, difference: float, share: Share, season: Callable[[int], float], rows: int = ROWS) -> Draw:
    """Blocks of 0/1 losses; the candidate's rate is the baseline's plus a difference."""

    def draw(random: np.random.Generator, k: int, repetitions: int) -> tuple[Arm, Arm, None]:
        n = random.binomial(rows, share(k), repetitions)
        base = rate * season(k)
        x_c = random.binomial(n, base + difference).astype(float)
        x_b = random.binomial(rows - n, base).astype(float)
        return Arm(n.astype(float), x_c, x_c), Arm((rows - n).astype(float), x_b, x_b), None

    return draw


def losses(sample: Sample, share: float, rows: int) -> Draw:
    """Blocks of real losses; sample gives so many of the candidate's (True) or the baseline's."""

    def draw(random: np.random.Generator, k: int, repetitions: int) -> tuple[Arm, Arm, None]:
        n = random.binomial(rows, share, repetitions)
        arms = []
        for of_candidate, size in ((True, n), (False, rows - n)):
            values = sample(random, of_candidate, int(size.sum()))
            owner = np.repeat(np.arange(repetitions), size)
            s1, s2 = (floats(np.bincount(owner, some, repetitions)) for some in (values, values**2))
            arms.append(Arm(size.astype(float), s1, s2))
        return arms[0], arms[1], None

    return draw


def users(
    repetitions: int,
    seed: int,
    rate: float,
    correlation: float,
    share: float,
    sticky: bool,
    each: int,
    looks: int,
    difference: float = 0.0,
) -> Draw:
    """Blocks of the 0/1 losses of users who come back; every user has about `each` rows in all looks.

    A user's rate is beta distributed with the intra-class correlation. A sticky user sees one arm only.
    """
    pool, rows = 2000, 2000 * each // looks
    random = np.random.default_rng(seed + 1)
    a = rate * (1 / correlation - 1)
    own = random.beta(a, (1 - rate) * (1 / correlation - 1), (repetitions, pool)).astype(np.float32)
    arm = random.random((repetitions, pool), dtype=np.float32) < share
    bucket = random.integers(0, BUCKETS, (repetitions, pool), dtype=np.int32)
    owner = np.repeat(np.arange(repetitions, dtype=np.int64), rows)

    def draw(random: np.random.Generator, k: int, repetitions: int) -> tuple[Arm, Arm, Buckets]:
        who = owner * pool + random.integers(0, pool, owner.size)
        of_candidate = arm.ravel()[who] if sticky else random.random(owner.size, dtype=np.float32) < share
        chance = own.ravel()[who] + np.float32(difference) * of_candidate * (1 - own.ravel()[who]) / (1 - rate)
        wrong = random.random(owner.size, dtype=np.float32) < chance
        cell = (owner * 2 + of_candidate) * BUCKETS + bucket.ravel()[who]
        shape = (repetitions, 2, BUCKETS)
        n = np.bincount(cell, minlength=math.prod(shape)).reshape(shape).astype(float)
        x = np.bincount(cell[wrong], minlength=math.prod(shape)).reshape(shape).astype(float)
        arms = [Arm(n[:, i].sum(axis=-1), x[:, i].sum(axis=-1), x[:, i].sum(axis=-1)) for i in (1, 0)]
        return arms[0], arms[1], Buckets(n[:, 1], x[:, 1], n[:, 0], x[:, 0])

    return draw


# -------------------------------------------------------------------- the bars


def proportions(repetitions: int, looks: int = LOOKS) -> Iterator[Figure]:
    """Type I, false verdicts at no difference and at the margin, and the interval, in every cell."""
    cells: list[tuple[str, float, Share, Callable[[int], float]]] = [
        (f"p = {rate:.0%}, share {share:.0%}", rate, lambda k, share=share: share, lambda k: 1.0)  # type: ignore[misc]
        for rate in RATES
        for share in SHARES
    ]
    cells += [(f"p = {rate:.0%}, ramp 1-5-50 %, daily cycle 30 %", rate, ramp, cycle) for rate in RATES]
    for number, (name, rate, share, season) in enumerate(cells):
        margin = default_margin(rate)
        chosen = plan("proportion", rate, rate * (1 - rate), margin)
        none = watch(chosen, errors(rate, 0.0, share, season), repetitions, looks, SEED + number)
        yield frequency("type I error", name, none.harm)
        yield frequency("false roll back at no difference", name, none.rolled_back)
        yield frequency("interval misses at any look, no difference", name, none.missed)
        same = watch(chosen, errors(rate, margin, share, season), repetitions, looks, SEED + 100 + number, margin)
        yield frequency("false promote at exactly the margin", name, same.promoted)
        yield frequency("interval misses at any look, at the margin", name, same.missed)


def wrong_plans(repetitions: int, looks: int = LOOKS // 2) -> Iterator[Figure]:
    """False promotions where the baseline's rate was another before the release, or the margin is as large as it."""
    for share in SHARES:
        for before, margin, what in (
            (0.025, 0.01, "rate before half of what it is"),
            (0.1, 0.01, "rate before twice what it is"),
            (0.05, 0.05, "margin as large as the rate"),
        ):
            chosen = plan("proportion", before, before * (1 - before), margin)
            draw = errors(0.05, margin, lambda k, share=share: share, cycle)  # type: ignore[misc]
            seen = watch(chosen, draw, repetitions, looks, SEED + 200)
            name = f"p = 5%, share {share:.0%}, daily cycle, {what}"
            yield frequency("false promote at exactly the margin", name, seen.promoted)


def clustered(repetitions: int, looks: int = 50) -> Iterator[Figure]:
    """Type I and false promotions with 20 predictions a user and intra-class correlation 0.3."""
    rate, part = 0.1, 250
    for sticky in (True, False):
        for number, share in enumerate(SHARES):
            margin = default_margin(rate)
            chosen = plan("proportion", rate, rate * (1 - rate), margin, clustered=True)
            seen: dict[float, list[Outcome]] = {0.0: [], margin: []}
            for difference, outcomes in seen.items():
                for first in range(0, repetitions, part):
                    seed = SEED + 300 + 1000 * number + first
                    draw = users(part, seed, rate, 0.3, share, sticky, 20, looks, difference)
                    outcomes.append(watch(chosen, draw, part, looks, seed, difference))
            name = f"20 a user, correlation 0.3, share {share:.0%}, users {'stay' if sticky else 'hop'}"
            none, same = seen.values()
            yield frequency("type I error", name, np.concatenate([one.harm for one in none]))
            missed = np.concatenate([one.missed for one in none])
            yield frequency("interval misses at any look, no difference", name, missed)
            promoted = np.concatenate([one.promoted for one in same])
            yield frequency("false promote at exactly the margin", name, promoted)


def skewed(random: np.random.Generator, of_candidate: bool, size: int) -> Floats:
    """Lognormal losses of skew 33, winsorised at the 99.9th percentile."""
    values: Floats = np.minimum(random.lognormal(0.0, SKEWED, size), math.exp(SKEWED * 3.090232306))
    return values


def spread_times(factor: float) -> Sample:
    """Normal losses, the candidate's standard deviation times a factor."""
    return lambda random, of_candidate, size: random.normal(3.0, factor if of_candidate else 1.0, size)


def shifted(source: Sample, difference: float) -> Sample:
    """The same losses, the candidate's worse by a difference."""

    def sample(random: np.random.Generator, of_candidate: bool, size: int) -> Floats:
        values: Floats = source(random, of_candidate, size) + (difference if of_candidate else 0.0)
        return values

    return sample


def means(repetitions: int, looks: int = 100, rows: int = 500) -> Iterator[Figure]:
    """Type I, false promotions and intervals of means of losses."""
    sample = skewed(np.random.default_rng(SEED), False, 2_000_000)
    mean, variance = float(sample.mean()), float(sample.var())
    kinds: list[tuple[str, Sample, float, float, float]] = [
        ("lognormal losses of skew 33", skewed, mean, variance, 0.2 * mean)
    ]
    kinds += [(f"candidate's sd times {factor:g}", spread_times(factor), 3.0, 1.0, 0.1) for factor in (0.5, 2.0)]
    for what, source, rate, row_variance, margin in kinds:
        for number, share in enumerate((0.01, 0.05, 0.5)):
            chosen = plan("unbounded", rate, row_variance, margin)
            name = f"{what}, share {share:.0%}"
            none = watch(chosen, losses(source, share, rows), repetitions, looks, SEED + 400 + number)
            yield frequency("type I error", name, none.harm)
            yield frequency("false roll back at no difference", name, none.rolled_back)
            yield frequency("interval misses at any look, no difference", name, none.missed)

            same = watch(
                chosen, losses(shifted(source, margin), share, rows), repetitions, looks, SEED + 450 + number, margin
            )
            yield frequency("false promote at exactly the margin", name, same.promoted)


def errors_needed(repetitions: int) -> Iterator[Figure]:
    """Errors of both arms until the candidate is known to be worse, over Wald's bound ln(1 / alpha) / kl."""
    rate, rows = 0.0005, 1000  # half an error a block, or waiting for the end of a block would count
    for number, share in enumerate(SHARES):
        for ratio in RATIOS:
            theirs = share * ratio / (share * ratio + 1 - share)
            kl = theirs * math.log(theirs / share) + (1 - theirs) * math.log((1 - theirs) / (1 - share))
            chosen = plan("proportion", rate, rate, default_margin(rate))
            draw = errors(rate, rate * (ratio - 1), lambda k, share=share: share, lambda k: 1.0, rows)  # type: ignore[misc]
            random = np.random.default_rng(SEED + 500 + number)
            state = State.empty(chosen, (repetitions,))
            so_far, needed, k = np.zeros(repetitions), [], 0
            while so_far.size:
                candidate, baseline, _ = draw(random, k, so_far.size)
                state = comparison.advance(state, chosen, candidate, baseline)
                so_far = so_far + candidate.s1 + baseline.s1
                done = comparison.evidence(state, chosen)[0] >= math.log(1 / ALPHA)
                needed.append(so_far[done])
                state, so_far, k = selected(state, ~done), so_far[~done], k + 1
            found = np.concatenate(needed)
            yield mean_ratio(
                "errors needed over Wald's bound", f"ratio {ratio:g}, share {share:.0%}", found, math.log(20) / kl, 1.45
            )


def jumps(repetitions: int) -> Iterator[Figure]:
    """Labels of the candidate until a jump from a well-known 5 % is seen after a switch, over ln(1 / alpha) / kl."""
    rate = 0.05
    for number, after in enumerate(JUMPS):
        kl = after * math.log(after / rate) + (1 - after) * math.log((1 - after) / (1 - rate))
        bound = math.log(1 / ALPHA) / kl
        size = max(1, round(bound / 100))  # rows an hour: so few that waiting for its end costs nothing
        chosen = plan_before_after("proportion", rate, 0.0, rate * (1 - rate), 0.0, 0.01, 1e9, 1000)
        random = np.random.default_rng(SEED + 600 + number)
        state = BeforeAfterState.empty(chosen, (repetitions,))
        needed, hour = [], 0
        while state.hour.size:
            wrong = random.binomial(size, after, state.hour.size).astype(float)
            state = before_after.advance(state, chosen, Arm(np.full_like(wrong, size), wrong, wrong), rate, hour)
            done = before_after.evidence(state, chosen)[0] >= math.log(1 / ALPHA)
            needed.append(state.candidate_n[done])
            state, hour = selected(state, ~done), hour + 1
        cell = f"before/after, {rate:.0%} becomes {after:.1%}"
        yield mean_ratio("release jump over Wald's bound", cell, np.concatenate(needed), bound, 1.5)


def switch(
    repetitions: int, days: int, rows: int, overdispersion: float, difference: float, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """A hard switch after some days of history: whether 14 days rolled back, promoted, missed the difference.

    Hours have a daily cycle of 30 %, which the profile knows, and vary by overdispersion (relative sd) beyond it. The
    profile's level and tau2 are measured on the history, as the exporter does; each repetition has its own.
    """
    random = np.random.default_rng(seed)
    rate = 0.05
    hours = np.arange(24 * (days + 14))
    shape = 1 + SWING * np.sin(2 * math.pi * hours / 24)
    wobble = rate * overdispersion * random.normal(size=(repetitions, hours.size))
    true = rate * shape + wobble + np.where(hours >= 24 * days, difference, 0.0)
    x = random.binomial(rows, np.clip(true, 0, 1)).astype(float)
    before = x[:, : 24 * days] / rows
    level = (before / shape[: 24 * days]).mean(axis=-1)
    residual = before - level[:, None] * shape[: 24 * days]
    level_variance = residual.var(axis=-1) / (24 * days)
    tau2 = np.maximum(residual.var(axis=-1) - level * (1 - level) / rows, 0.0)
    rolled_back, promoted, missed = (np.zeros(repetitions, dtype=bool) for _ in range(3))
    chosen = plan_before_after("proportion", rate, 0.0, rate * (1 - rate), 0.0, 0.01, 24.0 * days * rows, 24.0 * days)
    # One plan a repetition would be a loop: the fields of a plan broadcast too.
    many = replace(chosen, tau2=tau2, level_slack=before_after.LEVEL_SIGMAS * np.sqrt(level_variance))
    state = BeforeAfterState.empty(many, (repetitions,))
    for hour in range(24 * days, hours.size):
        wrong = x[:, hour]
        block = Arm(np.full(repetitions, float(rows)), wrong, wrong)
        state = before_after.advance(state, many, block, level * shape[hour], hour)
        rolled_back |= state.verdict == ROLL_BACK
        promoted |= state.verdict == PROMOTE
        _, lower, upper = before_after.interval(state, many)
        missed |= (lower > difference) | (upper < difference)
    return rolled_back, promoted, missed


def switches(repetitions: int) -> Iterator[Figure]:
    """False verdicts of before/after comparisons against a measured profile."""
    number = 0
    for days in (1, 7, 28):
        for rows, overdispersion in ((50, 0.0), (50, 0.1), (2000, 0.1)):
            number += 1
            name = f"before/after, {days} d of history, {rows} rows an hour"
            name += ", hours vary by 10 %" if overdispersion else ""
            rolled, _, missed = switch(repetitions, days, rows, overdispersion, 0.0, SEED + 700 + number)
            yield frequency("false roll back at no difference", name, rolled)
            yield frequency("interval misses at any look, no difference", name, missed)
            _, promoted, _ = switch(repetitions, days, rows, overdispersion, 0.01, SEED + 800 + number)
            yield frequency("false promote at exactly the margin", name, promoted)


PARTS: Final[dict[str, Callable[[int], Iterator[Figure]]]] = {
    "proportions": proportions,
    "wrong_plans": wrong_plans,
    "clustered": clustered,
    "means": means,
    "errors_needed": errors_needed,
    "jumps": jumps,
    "switches": switches,
}


# -------------------------------------------------------------------- printing them


def table(figures: Sequence[Figure]) -> str:
    """The worst cell of each group first, then all."""
    lines = ["| what | worst cell | measured | Monte-Carlo error | bar | |", "|---|---|---|---|---|---|"]
    for group in dict.fromkeys(one.group for one in figures):
        some = [one for one in figures if one.group == group]
        worst = max(some, key=lambda one: one.value)
        cells = f"{worst.cell} (of {len(some)})"
        lines.append(f"| {group} | {cells} {_numbers(worst)}")
    lines += [
        "",
        "All cells:",
        "",
        "| what | cell | measured | Monte-Carlo error | bar | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {one.group} | {one.cell} {_numbers(one)}" for one in sorted(figures, key=lambda one: one.group)]
    return "\n".join(lines)


def _numbers(one: Figure) -> str:
    return f"| {one.value:.4f} | {one.error:.4f} | {one.bar:g} | {'ok' if one.good else 'MISSED'} |"


def measure(name: str, repetitions: int) -> list[Figure]:
    """The figures of one part; says on stderr how long it took."""
    started = time.perf_counter()
    figures = list(PARTS[name](repetitions))
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures the error rates of release comparisons.")
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1, help="parts that run at the same time")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--output", type=Path, help="the page whose section on releases is rewritten")
    options = parser.parse_args()
    names = list(options.only or PARTS)
    with ProcessPoolExecutor(options.workers) as pool:
        parts = [pool.submit(measure, name, options.repetitions) for name in names]
        figures = [figure for part in parts for figure in part.result()]
    heading = f"{options.repetitions:,} repetitions a cell, looked at after every block, nominal level {ALPHA:g}."
    body = f"{heading}\n\n{table(figures)}"
    print(body)
    if options.output:
        write_section(options.output, "Releases", body)
    return int(not all(one.good for one in figures))


if __name__ == "__main__":
    sys.exit(main())
