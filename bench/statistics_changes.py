"""How soon changes are found, and how seldom where there are none: seeded simulations of the exporter's functions.

All repetitions of a figure run at once, as streams of one watch. Each rate has its Monte-Carlo standard error.
Run as: python -m bench.statistics_changes [--figures delay,...] [--repetitions N] [--output FILE]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from bench.rates_page import write_section
from tidegauge.assess.counts import Floats
from tidegauge.assess.sequential import detector, profile
from tidegauge.assess.sequential.detector import RATIOS
from tidegauge.assess.sequential.history import DAY_MS, History
from tidegauge.assess.sequential.profile import Measure, Shape
from tidegauge.assess.sequential.trend import trend
from tidegauge.assess.sequential.watch import Promise, Watch

BLOCK_MS: Final = 300_000
BLOCKS_A_DAY: Final = DAY_MS // BLOCK_MS
INTERVAL_DAYS: Final = 90
RATE: Final = 0.05
CYCLE: Final = 0.3  # of the error rate, over a day
TRAFFIC_CYCLE: Final = 0.5
PROPORTION: Final = Measure(proportion=True, highest=1.0)
LOSS: Final = Measure(proportion=False)
Draw = Callable[[np.random.Generator, int, int], tuple[Floats, Floats, Floats]]
"""Sums n, s1, s2 of a block, by its number, for so many streams."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a bar met or missed."""

    what: str
    measured: str
    error: str
    bar: str
    met: bool | None  # None where there is no bar


def at_least(what: str, value: float, error: float, bar: float) -> Row:
    """A figure that should not be lower."""
    return Row(what, f"{value:.2f}", f"{error:.2f}", f"at least {bar:g}", bool(value >= bar))


def at_most(what: str, value: float, error: float, bar: float | None) -> Row:
    """A figure that should not be higher; without a bar it is only told."""
    if bar is None:
        return Row(what, f"{value:.3f}", f"{error:.2g}", "", None)
    return Row(what, f"{value:.3f}", f"{error:.2g}", f"at most {bar:.3g}", bool(value <= bar))


# --- detector delay over the oracle CUSUM -----------------------------------------------------------------------------


def cusum_run_length(limit: int, up: int, down: int, rate: float) -> float:
    """Mean run length from 0 of a CUSUM on the lattice 0 .. limit - 1 (Brook and Evans 1972, Biometrika 59:539)."""
    states = np.arange(limit)
    rises, falls = states + up, np.maximum(states - down, 0)
    stays = rises < limit
    rows = np.concatenate([states, states, states[stays]])
    columns = np.concatenate([states, falls, rises[stays]])
    values = np.concatenate([np.ones(limit), np.full(limit, rate - 1), np.full(int(stays.sum()), -rate)])
    return float(splu(csc_matrix((values, (rows, columns)), (limit, limit))).solve(np.ones(limit))[0])


def oracle_cusum(rate: float, risen: float, promised: float) -> float:
    """Mean delay, in labels, of the CUSUM that knows the risen rate and has exactly the promised run length.

    It has the smallest worst mean delay there can be (Moustakides 1986, Ann. Stat. 14:1379). The log likelihood ratios
    are put on a lattice of a fifteenth of the smaller one.
    """
    lattice = -math.log((1 - risen) / (1 - rate)) / 15
    up = round(math.log(risen / rate) / lattice)
    low, high = 1, up
    while cusum_run_length(high, up, 15, rate) < promised:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cusum_run_length(middle, up, 15, rate) < promised else (low, middle)
    # between two neighbouring limits the run length jumps: mix them so that it is exactly the promised one
    shorter, longer = (cusum_run_length(limit, up, 15, rate) for limit in (low, high))
    share = (promised - shorter) / (longer - shorter)
    delays = [cusum_run_length(limit, up, 15, risen) for limit in (low, high)]
    return delays[0] + share * (delays[1] - delays[0])


def delays(
    rng: np.random.Generator, bound: Floats, rate: float, promised: float, rows: int, longest: int
) -> tuple[Floats, int]:
    """Blocks until the evidence reaches what was promised, of streams with these bounds, from nothing at this rate.

    Also how many did within `longest` blocks; the others are given as longest.
    """
    left, taken = np.arange(bound.size), np.full(bound.size, float(longest))
    statistic = np.zeros((bound.size, RATIOS.size))
    for block in range(longest):
        errors = rng.binomial(rows, rate, left.size)
        steps = detector.proportion_steps(np.full(left.size, rows), errors, bound[left])
        statistic = detector.climb(statistic, steps, promised * detector.ROOM)
        over = detector.evidence(statistic) >= promised
        if over.any():
            taken[left[over]] = block + 1
            left, statistic = left[~over], statistic[~over]
            if not left.size:
                break
    return taken, bound.size - left.size


def delay_figures(repetitions: int) -> Iterator[Row]:
    """Detector delay over the oracle CUSUM, one label at a time, baseline known."""
    for promised in (1e4, 1e5):
        for risen in (0.06, 0.075, 0.10, 0.20):
            rng = np.random.default_rng([1, int(promised), int(risen * 1000)])
            oracle = oracle_cusum(RATE, risen, promised)
            taken, _ = delays(rng, np.full(repetitions, RATE), risen, promised, 1, 400_000)
            error = taken.std() / math.sqrt(repetitions)
            what = f"delay 5 % -> {risen:.1%}, run length {promised:,.0f}"
            what += f": {taken.mean():,.0f} labels over the oracle's {oracle:,.0f}"
            yield at_most(what, taken.mean() / oracle, error / oracle, 1.4)


def known_figures(repetitions: int) -> Iterator[Row]:
    """Realised run length over the promised one with a known rate, one label a block."""
    for promised in (1e4, 1e5):
        rng = np.random.default_rng([2, int(promised)])
        taken, alarms = delays(rng, np.full(repetitions, RATE), RATE, promised, 1, int(promised))
        length = taken.sum() / alarms / promised
        yield at_least(
            f"run length, 5 % known, one label a block, promised {promised:,.0f}", length, length / math.sqrt(alarms), 1
        )


# --- learned baselines ------------------------------------------------------------------------------------------------


def cycle(block: int, size: float, shift: float = 0.0) -> float:
    """The daily cycle at the middle of a block, with mean 1."""
    return 1 + size * math.sin(2 * math.pi * ((block + 0.5) / BLOCKS_A_DAY + shift))


def bernoulli(labels_an_hour: float, rate: float = RATE, size: float = CYCLE) -> Draw:
    """Blocks of zeros and ones: Poisson traffic and an error rate that both go through the day."""

    def draw(rng: np.random.Generator, block: int, streams: int) -> tuple[Floats, Floats, Floats]:
        rows = rng.poisson(labels_an_hour / 12 * cycle(block, TRAFFIC_CYCLE, 0.3), streams)
        errors = rng.binomial(rows, rate * cycle(block, size)).astype(float)
        return rows.astype(float), errors, errors

    return draw


def lognormal(labels_an_hour: int, sigma: float, size: float = CYCLE) -> Draw:
    """Blocks of lognormal losses with median 1, as many rows in each, the mean going through the day."""

    def draw(rng: np.random.Generator, block: int, streams: int) -> tuple[Floats, Floats, Floats]:
        rows = max(labels_an_hour // 12, 1)
        losses = rng.lognormal(0, sigma, (rows, streams)) * cycle(block, size)
        return np.full(streams, float(rows)), losses.sum(axis=0), (losses**2).sum(axis=0)

    return draw


def watched(
    seed: list[int], draw: Draw, measure: Measure, streams: int, together: int = 1, days: int = INTERVAL_DAYS
) -> tuple[Watch, int]:
    """A watch of streams that learned what is normal and then went on the same for days, and its stream-blocks watched.

    Blocks in which a stream is held to have changed do not count as watched.
    """
    rng, watch = np.random.default_rng(seed), Watch.empty(measure)
    watch.add(*map(str, range(streams)))
    promise = Promise(INTERVAL_DAYS * DAY_MS, BLOCK_MS, together, 7 * DAY_MS)
    block = exposure = ended = 0
    while not ended or block < ended:
        watch.advance(block * BLOCK_MS, *draw(rng, block, streams), promise)
        if ended:
            exposure += streams - int(watch.bank.detected.sum())
        elif len(watch.bank.keys) == streams:
            ended = block + 1 + days * BLOCKS_A_DAY
        block += 1
    return watch, exposure


def alarms_figure(what: str, watch: Watch, exposure: int, streams: int = 1) -> list[Row]:
    """Realised run length over the promised one, and how many streams had an alarm at all."""
    each = watch.bank.detections.astype(float)
    alarms, share = max(each.sum(), 1.0), float((each > 0).mean())
    promised = INTERVAL_DAYS * BLOCKS_A_DAY * streams
    length = exposure / alarms / promised
    spread = each.std() * math.sqrt(each.size) / alarms
    some = math.sqrt(max(share * (1 - share), 1e-4) / each.size)
    kept = at_least(f"run length, {what}", length, length * spread, 1)
    if not each.any():
        kept = Row(kept.what, f"more than {length:.0f}", "no alarm", kept.bar, bool(length >= 1))
    return [
        kept,
        at_most(f"streams with an alarm in {INTERVAL_DAYS} days, {what}", share, some, 1 - math.exp(-1 / streams)),
    ]


def learned_figures(repetitions: int) -> Iterator[Row]:
    """Realised run length where everything is learned, on a daily cycle, at low and high traffic."""
    for traffic in (20, 200, 5000):
        watch, exposure = watched([3, traffic], bernoulli(traffic), PROPORTION, repetitions)
        yield from alarms_figure(f"5 % learned, cycle 30 %, {traffic:,} labels an hour", watch, exposure)


def loss_figures(repetitions: int) -> Iterator[Row]:
    """The same for losses without an upper end."""
    for sigma, name in ((0.3, "skew 0.9"), (1.0, "skew 6"), (1.5, "skew 33")):
        watch, exposure = watched([4, int(sigma * 10)], lognormal(120, sigma), LOSS, repetitions)
        yield from alarms_figure(f"lognormal losses of {name} learned, cycle 30 %, 120 an hour", watch, exposure)


def slice_figures(repetitions: int) -> Iterator[Row]:
    """Fifty streams that share one promise: each needs fifty times the evidence, so a baseline's errors weigh more."""
    for traffic in (20, 200):
        watch, exposure = watched([5, traffic], bernoulli(traffic), PROPORTION, repetitions, together=50)
        what = f"50 streams with one promise, 5 % learned, cycle 30 %, {traffic:,} labels an hour each"
        yield from alarms_figure(what, watch, exposure, 50)


# --- against ADWIN ----------------------------------------------------------------------------------------------------


def adwin_delays(repetitions: int, before: int) -> Floats:
    """Labels that river's ADWIN at its defaults needs after 5 % has become 10 %, having seen so many labels at 5 %."""
    try:
        drift = import_module("river.drift")
    except ImportError as error:  # no dependency: needed for this figure alone
        raise SystemExit("the comparison with ADWIN needs river: pip install -e '.[bench]'") from error
    rng, taken = np.random.default_rng([6, before]), np.zeros(repetitions)
    for repetition in range(repetitions):
        adwin = drift.ADWIN()
        for label in (rng.random(before) < RATE).astype(int).tolist():
            adwin.update(label)
        for label in (rng.random(20_000) < 2 * RATE).astype(int).tolist():
            adwin.update(label)
            taken[repetition] += 1
            if adwin.drift_detected:
                break
    return taken


def adwin_figures(repetitions: int) -> Iterator[Row]:
    """Labels to notice 5 % becoming 10 %, over ADWIN's, at the promise of 90 days and one label a block."""
    promised = float(INTERVAL_DAYS * BLOCKS_A_DAY)
    oracle = oracle_cusum(RATE, 2 * RATE, promised)
    for before in (3000, 5000, 20_000):
        theirs = adwin_delays(repetitions, before)
        rng = np.random.default_rng([7, before])
        errors = rng.binomial(before, RATE, repetitions).astype(float)
        history = History.empty(repetitions)
        history.add(0, np.full(repetitions, float(before)), errors, errors)
        learned = profile.baseline(history.closed(np.arange(repetitions)), Shape.flat(), PROPORTION).bound[:, 0]
        for name, bound in (("known", np.full(repetitions, RATE)), ("learned from the same labels", learned)):
            ours, _ = delays(rng, bound, 2 * RATE, promised, 1, 100_000)
            share = ours.mean() / theirs.mean()
            error = share * math.hypot(ours.std() / ours.mean(), theirs.std() / theirs.mean()) / math.sqrt(repetitions)
            what = f"labels to notice 5 % -> 10 % over ADWIN's after {before:,} labels, 5 % {name}"
            what += f": {ours.mean():,.0f} over {theirs.mean():,.0f} (oracle CUSUM: {oracle:,.0f})"
            yield at_most(what, share, error, 0.4)


# --- slow change ------------------------------------------------------------------------------------------------------


def rot_figures(repetitions: int) -> Iterator[Row]:
    """How far a rate that rises from 5 to 10 % over 30 days has come when it is found, everything learned."""
    for traffic in (20, 200, 5000):
        rng = np.random.default_rng([8, traffic])
        steady, _ = watched([8, traffic], bernoulli(traffic), PROPORTION, repetitions, days=0)
        found = np.full(repetitions, np.nan)
        promise = Promise(INTERVAL_DAYS * DAY_MS, BLOCK_MS, 1, 7 * DAY_MS)
        begin = int(steady.history.last_ms.max()) // BLOCK_MS + 1
        for block in range(30 * BLOCKS_A_DAY):
            risen = RATE * (1 + block / (30 * BLOCKS_A_DAY))
            sums = bernoulli(traffic, risen)(rng, begin + block, repetitions)
            steady.advance((begin + block) * BLOCK_MS, *sums, promise)
            found[np.isnan(found) & steady.bank.detected] = risen
            if not np.isnan(found).any():
                break
        found = np.nan_to_num(found, nan=2 * RATE)
        error = found.std() / math.sqrt(repetitions)
        yield at_most(
            f"rate at which 5 % -> 10 % in 30 days is found, {traffic:,} labels an hour", found.mean(), error, None
        )


def trend_figures(repetitions: int) -> Iterator[Row]:
    """Trends found in daily means that have none, at the level 0.01, with memory from day to day."""
    for days in (14, 30, 90):
        for memory in (0.0, 0.3, 0.6):
            rng = np.random.default_rng([9, days, int(memory * 10)])
            noise = rng.normal(size=(repetitions, days + 40))
            for day in range(1, days + 40):
                noise[:, day] = memory * noise[:, day - 1] + math.sqrt(1 - memory**2) * noise[:, day]
            rows = np.full(days, 100.0)
            found = [trend(np.arange(days), rows, 100 * (50 + series)) for series in noise[:, 40:]]
            share = float(np.mean([each is not None and each.significant for each in found]))
            error = math.sqrt(max(share * (1 - share), 1e-4) / repetitions)
            yield at_most(
                f"trends where there is none, {days} days, correlation {memory:g} from day to day", share, error, None
            )


FIGURES: Final[dict[str, Callable[[int], Iterator[Row]]]] = {
    "delay": delay_figures,
    "known": known_figures,
    "learned": learned_figures,
    "losses": loss_figures,
    "slices": slice_figures,
    "adwin": adwin_figures,
    "rot": rot_figures,
    "trend": trend_figures,
}


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| what | measured | Monte-Carlo error | bar |", "|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.measured} | {row.error} | {row.bar}{'' if row.met is not False else ': missed'} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def run(names: list[str], repetitions: int) -> list[Row]:
    """The figures of these names, each told on standard error as soon as it is there."""
    rows = []
    for name in names:
        begin = time.monotonic()
        for row in FIGURES[name](repetitions):
            rows.append(row)
            print(f"{time.monotonic() - begin:6.0f} s  {row}", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", default=",".join(FIGURES))
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--output", type=Path, help="the page whose section on changes is rewritten")
    asked = parser.parse_args()
    rows = run(asked.figures.split(","), asked.repetitions)
    text = table(rows)
    if asked.output:
        write_section(asked.output, "Changes and trends", text)
    else:
        print(text)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
