"""How often drift is found where there is none, and how soon where there is; by simulation, all repetitions at once.

Nothing here knows a formula of the tests: it draws the bins of blocks and calls the functions that the exporter calls.
Run as: python -m bench.statistics_drift [--only NAME] [--output docs/statistics-rates.md]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.rates_page import write_section
from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import distances, evidence, noise
from tidegauge.assess.drift.contributions import contributions
from tidegauge.assess.drift.design_effect import GROUPS, design_effect
from tidegauge.assess.drift.discovery import discover, strictest_log
from tidegauge.assess.drift.distances import Axes, Sample
from tidegauge.assess.drift.evidence import Block, Evidence
from tidegauge.assess.drift.watch import ENOUGH
from tidegauge.config.settings import Drift

SIZES: Final = (100, 1000, 10_000, 100_000)  # rows of a window
REFERENCES: Final = (10_000, 100_000)  # rows
FEATURES: Final = 30
WINDOW: Final = 12  # blocks
DAY: Final = 288  # blocks
BLOCK_MS: Final = 300_000
DEFAULT: Final = Drift()
KINDS_OF_REFERENCE: Final = len(DEFAULT.references) - 1  # of one version: "training" or "first", not both
SEED: Final = 20261124
QUANTILES: Final = np.array([0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1])
RARE_TAIL: Final = np.array([0.3, 0.25, 0.2, 0.1, 0.08, 0.04, 0.02, 0.005, 0.003, 0.001, 0.0007, 0.0003])

NEEDED: Final = evidence.threshold_log(DEFAULT.false_alarm_interval, BLOCK_MS, KINDS_OF_REFERENCE)
STRICTEST: Final = strictest_log(NEEDED, FEATURES)

OFTEN: Final = 100  # evidence that is seen often enough without a change to be counted
BLOCKS: Final = 100  # in which it is counted

KINDS: Final = ("normal", "lognormal", "0/1", "Poisson", "12 categories")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number beside its bar."""

    group: str
    cell: str
    value: float
    error: float  # Monte-Carlo standard error
    bar: float | None  # at most; None: for the record

    @property
    def good(self) -> bool:
        """Whether the bar is met, but for chance: three Monte-Carlo errors, for there are many cells."""
        return self.bar is None or self.value <= self.bar + 3 * self.error


def frequency(group: str, cell: str, happened: NDArray[np.bool_], bar: float | None) -> Figure:
    """The share of repetitions in which it happened."""
    share = float(happened.mean())
    return Figure(group, cell, share, math.sqrt(share * (1 - share) / happened.size), bar)


def average(group: str, cell: str, values: Floats, bar: float | None) -> Figure:
    """The mean over the repetitions."""
    return Figure(group, cell, float(values.mean()), float(values.std()) / math.sqrt(values.size), bar)


# -------------------------------------------------------------------- the features, by their bins


def shares_of(kind: str) -> Floats:
    """The share of each bin of a value (without the last bin: none is missing)."""
    if kind == "0/1":
        return np.array([0.7, 0.3])
    if kind == "Poisson":
        points: Floats = stats.poisson.pmf(np.arange(12), 3.0)
        return np.append(points, 1 - points.sum())
    return RARE_TAIL if kind == "12 categories" else np.diff(QUANTILES)


def features() -> tuple[Floats, NDArray[np.bool_]]:
    """Shares and real bins (F, W) of 30 features, six of each kind in turn."""
    width = max(len(shares_of(kind)) for kind in KINDS) + 1
    shares, real = np.zeros((FEATURES, width)), np.zeros((FEATURES, width), np.bool_)
    for place in range(FEATURES):
        some = shares_of(KINDS[place % len(KINDS)])
        shares[place, : len(some)], real[place, : len(some) + 1] = some, True
    return shares, real


SHARES, REAL = features()
CONTINUOUS: Final = np.arange(FEATURES) % len(KINDS) < 2


def shifted(shares: Floats, deviations: float) -> Floats:
    """A normal (or, after a logarithm, normal) feature's shares after a shift of its mean, in standard deviations."""
    inner = np.cumsum(shares)[: int((shares > 0).sum()) - 1]
    moved = np.zeros_like(shares)
    moved[: len(inner) + 1] = np.diff(stats.norm.cdf(stats.norm.ppf(inner) - deviations), prepend=0.0, append=1.0)
    return moved


@dataclass(frozen=True, slots=True)
class World:
    """References of several repetitions, and what is true in each."""

    reference: Floats  # (repetitions, F, W) counts
    truth: Floats  # (repetitions, F, W) shares

    @classmethod
    def draw(cls, random: np.random.Generator, size: int, repetitions: int) -> World:
        """Bins of a continuous feature are quantiles of the reference: its counts are as they are, and what is random
        is how much truly lies between them, which is Dirichlet. Other features have their bins by value."""
        shape = (repetitions, *SHARES.shape)
        reference = random.multinomial(size, SHARES, size=shape[:2]).astype(np.float64)
        truth = np.broadcast_to(SHARES, shape).copy()
        gamma = random.standard_gamma(
            np.broadcast_to(size * SHARES[CONTINUOUS], (repetitions, CONTINUOUS.sum(), shape[2]))
        )
        truth[:, CONTINUOUS] = gamma / gamma.sum(axis=-1, keepdims=True)
        reference[:, CONTINUOUS] = size * SHARES[CONTINUOUS]
        return cls(reference, truth)


def block_of(number: int, counts: Floats, world: World, deff: Floats | float = 1.0) -> Block:
    """A block held against the fixed reference of each repetition."""
    return Block((number + 1) * BLOCK_MS, counts, distances.proportions(world.reference), world.reference.sum(-1), deff)


def excess_of(counts: Floats, reference: Floats, deff: Floats | float = 1.0) -> Floats:
    """Excess PSI (..., F)."""
    none = Axes(REAL, np.zeros(FEATURES, np.bool_), np.zeros((FEATURES, SHARES.shape[1] + 1)))
    now, then = Sample(counts, 0 * counts), Sample(reference, 0 * reference)
    return distances.distance("psi", now, then, none) - noise.floor("psi", now, then, none, deff)


def detections(log: Floats, window: Floats, reference: Floats, deff: Floats | float = 1.0) -> NDArray[np.bool_]:
    """What is detected (repetitions, F); the excess is computed only where some evidence is enough."""
    found = np.zeros(log.shape, np.bool_)
    rows = np.flatnonzero((log >= NEEDED).any(axis=-1))
    if rows.size:
        effects = excess_of(window[rows], reference[rows], np.broadcast_to(deff, log.shape)[rows])
        for row, effect in zip(rows, effects, strict=True):
            found[row] = discover(log[row], effect, DEFAULT.minimum_effect, NEEDED).detected
    return found


def watch(
    random: np.random.Generator, world: World, rows: int, blocks: int, truth: Callable[[int], Floats]
) -> Iterator[tuple[Evidence, NDArray[np.bool_], Floats]]:
    """After each block of rows / WINDOW rows: evidence, what is detected, and the counts of the last WINDOW blocks."""
    repetitions = len(world.reference)
    state = Evidence.empty(world.reference.shape)
    last: list[Floats] = []
    for number in range(blocks):
        size = random.poisson(rows / WINDOW, (repetitions, 1))
        counts = random.multinomial(size, truth(number)).astype(np.float64)
        last = [*last[-WINDOW + 1 :], counts]
        state = evidence.advance(state, block_of(number, counts, world), REAL, STRICTEST)
        window: Floats = np.sum(last, axis=0)
        yield state, detections(state.log, window, world.reference), window


# -------------------------------------------------------------------- the bars


def quiet(repetitions: int) -> Iterator[Figure]:
    """Any feature of 30 detected in a window where nothing moves, looked at after every block."""
    for number, (size, rows) in enumerate((size, rows) for size in REFERENCES for rows in SIZES):
        random = np.random.default_rng(SEED + number)
        world = World.draw(random, size, repetitions)
        ever = np.zeros(repetitions, np.bool_)
        for at, (_, found, _) in enumerate(watch(random, world, rows, 2 * WINDOW, lambda _: world.truth)):  # noqa: B023
            ever |= found.any(axis=-1) & (at >= WINDOW)
        yield frequency("false detection in a window", f"{rows:,} rows, reference {size:,}", ever, 0.01)


def promised(repetitions: int) -> Iterator[Figure]:
    """How often evidence of OFTEN is reached where nothing moves, over once in OFTEN blocks of one feature."""
    some = slice(len(KINDS))
    for number, (size, rows) in enumerate((size, rows) for size in REFERENCES for rows in SIZES):
        random = np.random.default_rng(SEED + 50 + number)
        world = World.draw(random, size, repetitions)
        world = World(world.reference[:, some], world.truth[:, some])
        state = Evidence.empty(world.reference.shape)
        before, reached = np.zeros(state.log.shape, np.bool_), np.zeros(state.log.shape)
        for block in range(BLOCKS):
            counts = random.multinomial(random.poisson(rows / WINDOW, (repetitions, 1)), world.truth).astype(np.float64)
            state = evidence.advance(state, block_of(block, counts, world), REAL[some], STRICTEST)
            high = state.log >= math.log(OFTEN)
            reached, before = reached + (high & ~before), high
        for kind, times in zip(KINDS, reached.T * OFTEN / BLOCKS, strict=True):
            cell = f"{kind}, {rows:,} rows a window, reference {size:,}"
            yield average(f"evidence of {OFTEN} over once in {OFTEN} blocks, nothing moves", cell, times, 1.0)


FIVE_POINTS: Final[dict[str, tuple[int, int | None]]] = {
    "5 points from 30 % to 20 %": (0, 2),
    "5 points from 30 % to 25 %": (0, 1),
    "5 points from 20 % to 30 %": (2, 0),
    "5 points from 30 % to 10 %": (0, 3),
    "5 points from 10 % to 30 %": (3, 0),
    "5 points from 10 % to all others": (3, None),
    "5 points from 20 % to all others": (2, None),
    "5 points from 30 % to all others": (0, None),
}
"""Which categories of RARE_TAIL lose and win."""

TOO_LITTLE: Final = {
    "5 points from 30 % to 25 %": REFERENCES[:1],
    "5 points from 20 % to all others": REFERENCES[:1],
    "5 points from 30 % to all others": REFERENCES,
}
"""Against references of so many rows, 5,000 rows do not hold the evidence: for the record."""


def moved(world: World, what: str, place: int) -> Floats:
    """The truth (repetitions, F, W) after one feature has moved."""
    after = world.truth.copy()
    some = after[:, place]
    bins = int((SHARES[place] > 0).sum())
    if what == "gone missing":
        some *= 0.97
        some[:, bins] = 0.03
    elif what in FIVE_POINTS:
        less, more = FIVE_POINTS[what]
        if more is None:
            some *= ((1 - some[:, less] + 0.05) / (1 - some[:, less]))[:, None]
            some[:, less] = world.truth[:, place, less] - 0.05
        else:
            some[:, less] -= 0.05
            some[:, more] += 0.05
    else:
        for row in some:
            row[:] = shifted(row, 0.5)
    return after


def known_in_advance(window: Floats, world: World, place: int, after: Floats) -> Floats:
    """The log likelihood ratio (repetitions,) of a test that is told which shift it is, and when it began.

    Of a linear statistic of the shares that is normal with the variance of both samples: no test could know more.
    """
    now, then = window[:, place], world.reference[:, place]
    shift, share = (after - world.truth)[:, place], np.maximum(world.truth[:, place], 1e-4)
    variance = 1 / now.sum(axis=-1) + 1 / then.sum(axis=-1)
    off = distances.proportions(now) - distances.proportions(then)
    log: Floats = ((off - shift / 2) * shift / share).sum(axis=-1) / variance
    return log


def shifts(repetitions: int, before: int = 3 * WINDOW) -> Iterator[Figure]:
    """One feature of 30 moves after so many blocks: not detected after a whole window, or another is ranked first."""
    cells = [("moved by 0.5 sd", place, 1000) for place in (0, 1)]
    cells += [(what, 4, 5000) for what in FIVE_POINTS]
    cells += [("gone missing", place, 1000) for place in range(5)]
    for number, (what, place, rows) in enumerate(cells):
        for size in REFERENCES:
            random = np.random.default_rng(SEED + 100 + number)
            world = World.draw(random, size, repetitions)
            after = moved(world, what, place)
            hard = size in TOO_LITTLE.get(what, ())
            cell = f"{KINDS[place]} {what}, {rows:,} rows, reference {size:,}"
            windows = 2 if hard else 1
            for at, (_, found, window) in enumerate(
                watch(
                    random,
                    world,
                    rows,
                    before + windows * WINDOW,
                    lambda at: after if at >= before else world.truth,  # noqa: B023
                )
            ):
                moved_for = at + 1 - before
                if moved_for not in (WINDOW, 2 * WINDOW):
                    continue
                ranked: NDArray[np.int64] = contributions(excess_of(window, world.reference)).argmax(axis=-1)
                missed = ~(found[:, place] & np.equal(ranked, place))
                if moved_for == WINDOW:
                    yield frequency("a shift missed, or not ranked first", cell, missed, None if hard else 0.05)
                    others: NDArray[np.bool_] = np.delete(found, place, axis=1)
                    yield frequency("another feature detected beside it", cell, np.logical_or.reduce(others, 1), 0.01)
                    if what in FIVE_POINTS:
                        told = known_in_advance(window, world, place, after) < STRICTEST
                        yield frequency("missed by a test that knows the shift and its start", cell, told, None)
                else:
                    yield frequency("the same after a second window", cell, missed, None)


def lengths(repetitions: int) -> Iterator[Figure]:
    """The same shift in windows of 1 h to 7 d at 5,000 rows an hour: verdicts unlike the shortest one's."""
    random = np.random.default_rng(SEED + 200)
    world = World.draw(random, 10_000, max(repetitions // 5, 10))
    for what, place in (("moved by 0.5 sd", 0), ("gone missing", 2), ("5 points from 30 % to 10 %", 4)):
        after = moved(world, what, place)[:, place : place + 1]
        reference, real = world.reference[:, place : place + 1], REAL[place : place + 1]
        state = Evidence.empty(reference.shape)
        window, verdicts = np.zeros_like(reference), {}
        for number in range(7 * DAY):
            counts = random.multinomial(random.poisson(5000 / WINDOW, (len(after), 1)), after).astype(np.float64)
            window += counts
            block = Block(number + 1, counts, distances.proportions(reference), reference.sum(axis=-1))
            state = evidence.advance(state, block, real, STRICTEST)
            if number + 1 in (WINDOW, 6 * WINDOW, DAY, 7 * DAY):
                full, then = np.zeros_like(world.reference), world.reference
                full[:, place : place + 1] = window
                excess = excess_of(full, then)[:, place]
                verdicts[number + 1] = (state.log[:, 0] >= STRICTEST) & (excess >= DEFAULT.minimum_effect)
        for blocks in (6 * WINDOW, DAY, 7 * DAY):
            cell = f"{KINDS[place]} {what}, {blocks // WINDOW} h against 1 h"
            yield frequency("another verdict in a longer window", cell, verdicts[blocks] != verdicts[WINDOW], 0.05)


def together(rows: int) -> int:
    """How many blocks the exporter weighs at once at so many rows an hour; whole hours are made of them."""
    return next((step for step in (1, 2, 3, 4, 6) if step * rows >= ENOUGH * WINDOW), WINDOW)


def trailing(repetitions: int) -> Iterator[Figure]:
    """90 days under a weekly and a daily cycle of 30 %, of the traffic and of what it is made of; alarms in 90 days.

    Against the whole of the last four weeks, for the record, only a week of it. Where a block has few rows, several
    are weighed at once, as the exporter does.
    """
    repetitions = max(repetitions // 100, 4)
    week = np.arange(7 * DAY)
    season = 0.3 * np.sin(2 * np.pi * week / DAY) + 0.3 * np.sin(2 * np.pi * week / (7 * DAY))
    tilt = np.linspace(-0.5, 0.5, SHARES.shape[1])
    truth = SHARES * np.exp(season[:, None, None] * tilt)
    truth /= truth.sum(axis=-1, keepdims=True)
    shape = (repetitions, *SHARES.shape)
    for number, rows in enumerate((100, 10_000)):
        random = np.random.default_rng(SEED + 300 + number)
        step = together(rows)
        hours = np.zeros((7 * 24, 4, *shape), np.float32)  # the last four weeks, hour by hour
        states = {name: Evidence.empty(shape) for name in ("same hour of the week", "all hours")}
        alarms = {name: np.zeros(repetitions) for name in states}
        before = {name: np.zeros(shape[:2], np.bool_) for name in states}
        this_hour, pooled = np.zeros(shape), np.zeros(shape)
        last: list[Floats] = []
        for block in range(0, 118 * DAY, step):
            at, weeks = block % len(week), block // len(week)
            hour = at // WINDOW
            size = random.poisson(step * rows / WINDOW * (1 + season[at]), (repetitions, 1))
            counts = random.multinomial(size, truth[at]).astype(np.float64)
            this_hour = this_hour + counts
            if block >= 28 * DAY:
                last = [*last[-WINDOW + 1 :], counts] if step == 1 else [counts]
                if block % DAY == 0:
                    pooled = hours.sum(axis=(0, 1), dtype=np.float64)
                same = hours[hour].sum(axis=0, dtype=np.float64)
                held = list(zip(states, (same, pooled), (block // WINDOW, 0), strict=True))
                for name, reference, stratum in held[: 2 if block < 35 * DAY else 1]:
                    size_of = reference.sum(axis=-1)
                    one = Block(block, counts, distances.proportions(reference), size_of, stratum=stratum)
                    states[name] = evidence.advance(states[name], one, REAL, STRICTEST)
                    found = detections(states[name].log, np.sum(last, axis=0), reference)
                    alarms[name] += (found & ~before[name]).any(axis=-1)
                    before[name] = found
            if (block + step) % WINDOW == 0:
                hours[hour, weeks % 4] = this_hour
                this_hour = np.zeros(shape)
        for name, count in alarms.items():
            bar = 1.0 if name == "same hour of the week" else None
            cell = f"{rows:,} rows an hour, held against {name}"
            days = 7 if bar is None else 90
            yield average(f"false alarms in {days} days under a weekly cycle", cell, count, bar)


def repeated(repetitions: int) -> Iterator[Figure]:
    """Units with 20 rows a window, whose rows are alike: false detections with the design effect and without."""
    each = 20
    for number, (rows, icc) in enumerate((rows, icc) for rows in (1000, 10_000) for icc in (0.3, 1.0)):
        random = np.random.default_rng(SEED + 400 + number)
        world = World.draw(random, 10_000, repetitions)
        units = rows // each
        own = random.multinomial(units, world.truth)  # units by the bin that is theirs
        bucket = random.multinomial(units, np.full(GROUPS, 1 / GROUPS), size=repetitions)
        visits = random.poisson(bucket * each)
        known = design_effect(visits, np.full(FEATURES, icc))
        stays = math.sqrt(icc)  # two rows of a unit are both in its own bin with probability icc
        for name, deff in (("with", known), ("without", np.ones_like(known))):
            again = np.random.default_rng(SEED + 450 + number)
            state, window = Evidence.empty(world.reference.shape), np.zeros_like(world.reference)
            ever = np.zeros(repetitions, np.bool_)
            for block in range(WINDOW):
                alike = again.poisson(own * each / WINDOW * stays)
                fresh = again.poisson(rows / WINDOW * (1 - stays) * world.truth)
                counts = (alike + fresh).astype(np.float64)
                window = window + counts
                state = evidence.advance(state, block_of(block, counts, world, deff), REAL, STRICTEST)
                ever |= detections(state.log, window, world.reference, deff).any(axis=-1)
            cell = f"{rows:,} rows of {units:,} units, correlation {icc:g}, {name} the design effect"
            yield frequency("false detection, repeated units", cell, ever, 0.01 if name == "with" else None)


def delays(repetitions: int) -> Iterator[Figure]:
    """Hours until a small shift of one of 30 features that stays is detected, and until it is over when it ends."""
    repetitions = max(repetitions // 5, 20)
    for number, (deviations, rows) in enumerate((d, rows) for d in (0.2, 0.5) for rows in (100, 1000, 10_000)):
        random = np.random.default_rng(SEED + 500 + number)
        world = World.draw(random, 10_000, repetitions)
        proportions, size = distances.proportions(world.reference[:, :1]), world.reference[:, :1].sum(axis=-1)
        after = np.stack([shifted(row, deviations) for row in world.truth[:, 0]])[:, None]
        state = Evidence.empty(after.shape)
        seen, over = np.full(repetitions, np.nan), np.full(repetitions, np.nan)
        step = together(rows)
        for block in range(0, DAY + 14 * DAY, step):
            true = after if DAY <= block < 8 * DAY else world.truth[:, :1]
            number_of_rows = random.poisson(step * rows / WINDOW, (repetitions, 1))
            counts = random.multinomial(number_of_rows, true).astype(np.float64)
            state = evidence.advance(state, Block(block + 1, counts, proportions, size), REAL[:1], STRICTEST)
            high = state.log[:, 0] >= STRICTEST
            if block >= DAY:
                seen[high & np.isnan(seen)] = (block - DAY + step) / WINDOW
            if block >= 8 * DAY:
                over[~high & np.isnan(over)] = (block - 8 * DAY + step) / WINDOW
            if block >= 8 * DAY and not np.isnan(over).any():
                break
        cell = f"{deviations:g} sd, {rows:,} rows an hour"
        yield average("hours until the evidence is enough", cell, np.nan_to_num(seen, nan=14 * 24.0), None)
        yield average(
            "hours until it no longer is, after a week's shift", cell, np.nan_to_num(over, nan=7 * 24.0), None
        )


def levels(repetitions: int) -> Iterator[Figure]:
    """P-values below a level where nothing moved, over that level; and what is left of PSI, over its floor."""
    for number, (size, rows) in enumerate((size, rows) for size in (1000, *REFERENCES) for rows in SIZES):
        random = np.random.default_rng(SEED + 600 + number)
        values, over = [], []
        for _ in range(0, 20 * repetitions, 500):
            world = World.draw(random, size, 500)
            counts = random.multinomial(rows, world.truth).astype(np.float64)
            values.append(noise.p_value(counts, world.reference).reshape(500, -1, len(KINDS)))
            over.append(excess_of(counts, world.reference).reshape(500, -1, len(KINDS)))
        p, excess = (np.concatenate(some).reshape(-1, len(KINDS)) for some in (values, over))
        for kind, some, more in zip(KINDS, p.T, excess.T, strict=True):
            for level, bar in ((0.05, 1.1), (0.01, 1.15), (0.001, 1.5)):
                one = frequency("", "", some < level, None)
                name = f"p-values below {level:g}, over {level:g}"
                yield Figure(
                    name, f"{kind}, {rows:,} rows, reference {size:,}", one.value / level, one.error / level, bar
                )
            mean = average("excess PSI where nothing moved", f"{kind}, {rows:,} rows, reference {size:,}", more, 0.005)
            yield mean


PARTS: Final[dict[str, Callable[[int], Iterator[Figure]]]] = {
    "quiet": quiet,
    "promised": promised,
    "shifts": shifts,
    "lengths": lengths,
    "trailing": trailing,
    "repeated": repeated,
    "delays": delays,
    "levels": levels,
}


# -------------------------------------------------------------------- printing them


def table(figures: Sequence[Figure]) -> str:
    """The worst cell of each group first, then all."""
    lines = ["| what | worst cell | measured | Monte-Carlo error | at most | |", "|---|---|---|---|---|---|"]
    groups = list(dict.fromkeys(one.group for one in figures))
    for group in groups:
        some = [one for one in figures if one.group == group]
        barred = [one for one in some if one.bar is not None] or some
        worst = max(barred, key=lambda one: one.value)
        lines.append(f"| {group} | {worst.cell} (of {len(some)}) {_numbers(worst)}")
    lines += [
        "",
        "All cells:",
        "",
        "| what | cell | measured | Monte-Carlo error | at most | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.group} | {one.cell} {_numbers(one)}" for group in groups for one in figures if one.group == group
    ]
    return "\n".join(lines)


def _numbers(one: Figure) -> str:
    verdict = "" if one.bar is None else "ok" if one.good else "MISSED"
    return f"| {one.value:.4f} | {one.error:.4f} | {'' if one.bar is None else f'{one.bar:g}'} | {verdict} |"


def body(figures: Sequence[Figure], repetitions: int) -> str:
    """The section of the page of rates."""
    return (
        f"{repetitions:,} windows a cell, {FEATURES} features of {len(KINDS)} kinds, blocks of 5 minutes, the default "
        f"configuration: a minimum effect of {DEFAULT.minimum_effect:g}, and at most one false alarm in 90 days over "
        f"{KINDS_OF_REFERENCE} references. Cells without a bar are for the record: what 5,000 rows hold too little "
        "evidence of, what a test at the same threshold could know at most, and what happens without what the exporter "
        "does.\n\n"
        f"{table(figures)}"
    )


def measure(name: str, repetitions: int) -> list[Figure]:
    """The figures of one part; says on stderr how long it took."""
    started = time.perf_counter()
    figures = list(PARTS[name](repetitions))
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures the error rates of drift detection.")
    parser.add_argument("--repetitions", type=int, default=1000, help="windows a cell")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--output", type=Path, help="the page whose section on drift is rewritten")
    options = parser.parse_args()
    figures = [figure for name in options.only or PARTS for figure in measure(name, options.repetitions)]
    text = body(figures, options.repetitions)
    print(text)
    if options.output:
        write_section(options.output, "Drift", text)
    return int(not all(one.good for one in figures))


if __name__ == "__main__":
    sys.exit(main())
