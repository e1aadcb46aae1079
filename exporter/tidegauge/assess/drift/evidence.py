"""Evidence over time that features have moved: a test that may be looked at after every sealed block.

Pure functions of arrays (..., F, W): F features, W bins, zero-padded; leading axes are streams too (versions,
references, repetitions of a simulation). Blocks come in order and each once; the same blocks give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import floats, ratio

Flags = NDArray[np.bool_]

CONCENTRATIONS: Final = (10.0, 100.0, 1000.0)
"""How far from the reference the alternatives are: as far as a sample of so many rows of it."""

PRIOR: Final = 1.0  # rows that the bins share evenly before a reference is seen (Perks 1947)
LARGEST_REFERENCE: Final = 1e8  # rows; more say nothing more, and gammaln keeps its digits
LONGEST_RUN: Final = 1e6  # effective rows; older ones fade, so that a long quiet run cannot drown what happens now
GIVEN_UP: Final = -1.0  # log evidence below which a run is over; 0 would end most before a small shift can show
ROOM: Final = 3.0  # evidence above so many times the threshold fades, so that recovery is quick


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block of the streams; shapes broadcast."""

    start_ms: int
    counts: Floats  # (..., F, W): rows in each bin; a feature without rows stays as it is
    proportions: Floats  # (..., F, W): of the reference that these rows are held against
    reference_size: ArrayLike  # (..., F): its rows; 0: there is none, and the block says nothing
    design_effect: ArrayLike = 1.0  # (..., F): of rows of a window, so that units that come back in other blocks count
    reference_design_effect: ArrayLike = 1.0  # (..., F): of the reference's rows
    stratum: ArrayLike = 0  # (..., F) integers: blocks in a row of one stratum share their reference's rows


@dataclass(frozen=True, slots=True)
class Evidence:
    """The run of each stream: what has been seen since the last one was given up."""

    current: Floats  # (..., F, W): rows, over their design effect
    expected: Floats  # (..., F, W): how many of as many rows the references put in each bin
    closed: Floats  # (..., F): sum of n**2 / m over finished strata: what the references' own chance adds to expected
    open: Floats  # (..., F): sum of n / sqrt(m) over the blocks of the stratum under way
    stratum: Integers  # (..., F): the stratum under way
    start: Integers  # (..., F): start of the run's first block, ms; of no meaning while there is no run
    log: Floats  # (..., F): log evidence, 0 while there is no run

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Evidence:
        """No run yet; shape is (..., F, W)."""
        bins, streams = np.zeros(shape), np.zeros(shape[:-1])
        none = np.zeros(shape[:-1], np.int64)
        return cls(bins, bins, streams, streams, none, none, streams)

    def rows(self) -> Floats:
        """Effective rows of each run (..., F)."""
        n: Floats = self.current.sum(axis=-1)
        return n

    def reference_rows(self) -> Floats:
        """Effective rows of the reference of each run (..., F); 0 while there is no run."""
        size = np.nan_to_num(ratio(np.square(self.rows()), self.closed + np.square(self.open)))
        return np.minimum(size, LARGEST_REFERENCE)

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists."""
        arrays = {field.name: getattr(self, field.name).ravel().tolist() for field in fields(self)}
        return {"shape": list(self.current.shape), **arrays}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Evidence:
        """The inverse of to_json, bit for bit."""
        shape = tuple(saved["shape"])
        current, expected = (np.array(saved[name], np.float64).reshape(shape) for name in ("current", "expected"))
        closed, under_way, log = (
            np.array(saved[name], np.float64).reshape(shape[:-1]) for name in ("closed", "open", "log")
        )
        stratum, start = (np.array(saved[name], np.int64).reshape(shape[:-1]) for name in ("stratum", "start"))
        return cls(current, expected, closed, under_way, stratum, start, log)


_NAMES: Final = tuple(field.name for field in fields(Evidence))


def stack(states: Sequence[Evidence]) -> Evidence:
    """Those of one shape as one, with a new first axis."""
    return Evidence(*(np.stack([getattr(one, name) for one in states]) for name in _NAMES))


def split(stacked: Evidence) -> list[Evidence]:
    """The inverse of `stack`."""
    return [Evidence(*parts) for parts in zip(*(getattr(stacked, name) for name in _NAMES), strict=True)]


def threshold_log(false_alarm_interval_ms: int, block_ms: int, streams: int) -> float:
    """Log of what each of so many streams has to reach alone, for one false alarm an interval in all of them."""
    return math.log(false_alarm_interval_ms / block_ms * max(streams, 1))


def advance(state: Evidence, block: Block, real: Flags, needed_log: float) -> Evidence:
    """The runs after one sealed block; real (F, W) says which places are bins, needed_log what a detection takes.

    A run whose evidence is below GIVEN_UP at the end of a block is over, and the next block begins another. Each run
    reaches a threshold A with probability at most 1 / A, and there is at most one a block: without a change a stream
    reaches A at most once in A blocks on average (nonanticipating CUSUM; Lorden 1971, Ann. Math. Stat. 42:1897; Lorden
    and Pollak 2005, Ann. Stat. 33:1422). Once A is passed for certain, or a run is very long, its rows fade by half.
    """
    shape = state.log.shape
    m = np.broadcast_to(floats(block.reference_size) / floats(block.reference_design_effect), shape)
    known = m > 0
    counts = np.where(known[..., None], block.counts / floats(block.design_effect)[..., None], 0.0)
    n = counts.sum(axis=-1)
    lively = n > 0
    other = lively & (state.stratum != block.stratum)
    current = state.current + counts
    expected = state.expected + np.where(lively[..., None], n[..., None] * block.proportions, 0.0)
    closed = state.closed + np.where(other, np.square(state.open), 0.0)
    under_way = np.where(other, 0.0, state.open) + np.divide(n, np.sqrt(m), out=np.zeros(shape), where=known)
    start = np.where(lively & (state.rows() == 0), block.start_ms, state.start)
    log = state.log.copy()
    sums = _Sums(current, expected, closed, under_way, log, real)
    weigh = np.flatnonzero(lively)
    sums.weigh(weigh)
    enough = ROOM * max(needed_log, 1.0)
    while (weigh := weigh[sums.passed(weigh, enough)]).size:  # those that fade by half, until none has to
        sums.halve(weigh)
        sums.weigh(weigh)
    over = log < GIVEN_UP
    if over.any():
        current[over], expected[over] = 0.0, 0.0
        closed[over], under_way[over], log[over] = 0.0, 0.0, 0.0
    return Evidence(current, expected, closed, under_way, np.where(lively, block.stratum, state.stratum), start, log)


class _Sums:
    """The arrays of an advance, by number of the stream; what is written here is written there."""

    def __init__(
        self, current: Floats, expected: Floats, closed: Floats, under_way: Floats, log: Floats, real: Flags
    ) -> None:
        places = current.shape[-1]
        self.current, self.expected = current.reshape(-1, places), expected.reshape(-1, places)
        self.closed, self.under_way, self.log = closed.reshape(-1), under_way.reshape(-1), log.reshape(-1)
        self.bins = _Bins.of(real)

    def weigh(self, which: Integers) -> None:
        """Brings the evidence of these streams in line with their sums."""
        if which.size:
            variance = self.closed[which] + np.square(self.under_way[which])
            bins = self.bins.take(which % len(self.bins.pairs_log))
            self.log[which] = _bayes_factor(self.current[which], self.expected[which], variance, bins)

    def passed(self, which: Integers, enough: float) -> Flags:
        """Which of these streams say more than enough, or have been running for very long."""
        passed: Flags = (self.log[which] > enough) | (self.current[which].sum(axis=-1) > LONGEST_RUN)
        return passed

    def halve(self, which: Integers) -> None:
        """Lets the rows of these streams fade."""
        for sums, scale in ((self.current, 0.5), (self.expected, 0.5), (self.closed, 0.25), (self.under_way, 0.5)):
            sums[which] *= scale


@dataclass(frozen=True, slots=True)
class _Bins:
    """What the evidence of streams (S,) needs to know of their bins."""

    prior: Floats  # (S, W): PRIOR rows, shared evenly
    padding: Floats  # (S, W): 1 where there is no bin, so that nothing is divided by 0
    pairs_log: Floats  # (S,): log of how many pairs of bins there are

    @classmethod
    def of(cls, real: Flags) -> _Bins:
        """Where real (S, W) says that there are bins."""
        bins = real.sum(axis=-1)
        prior = np.where(real, PRIOR / np.maximum(bins, 1)[:, None], 0.0)
        return cls(prior, (~real).astype(np.float64), np.log(np.maximum(bins * (bins - 1) / 2, 1)))

    def take(self, which: Integers) -> _Bins:
        """Those of some streams."""
        return _Bins(self.prior[which], self.padding[which], self.pairs_log[which])


def bayes_factor(current: Floats, expected: Floats, variance: Floats, real: Flags) -> Floats:
    """Log (S,) of how much better rows (S, W) are explained by a distribution near the reference's than by that one.

    The reference's bins are as uncertain as those of a sample of M = n**2 / variance rows: of the null hypothesis, rows
    are Dirichlet-multinomial with the parameters a = M p + prior. The alternatives add to that uncertainty what a
    sample of CONCENTRATIONS rows has. Half of their weight is on all bins having moved, half on a shift between two,
    each pair alike; of the pairs only the likeliest is computed, so that the mean is a little more than this.
    All expect the same share of each bin, so a bin that the reference has never seen is a surprise to them too, and
    the more often it comes, the more it speaks for a change.
    """
    return _bayes_factor(current, expected, variance, _Bins.of(real))


def _bayes_factor(current: Floats, expected: Floats, variance: Floats, bins: _Bins) -> Floats:
    n = current.sum(axis=-1)
    size = np.minimum(ratio(np.square(n), variance), LARGEST_REFERENCE)
    total = size + PRIOR
    null = size[:, None] * expected
    null /= n[:, None]
    null += bins.prior
    parameters = null * _widths(total)[:, :, None]
    # A bin without rows adds nothing to any of them, and most of the places are such bins, or none.
    filled = np.flatnonzero(current > 0)
    seen = parameters.reshape(len(parameters), -1).take(filled, axis=1)
    added = np.zeros(parameters.shape)
    added.reshape(len(parameters), -1)[:, filled] = gammaln(seen + current.take(filled)) - gammaln(seen)
    off = current / n[:, None]
    off -= null / total[:, None]
    off /= np.sqrt(null + bins.padding)
    row, most, least = np.arange(len(n)), off.argmax(axis=-1), off.argmin(axis=-1)
    # First as all bins have moved, then as these two have.
    rows = np.concatenate([n, current[row, most] + current[row, least]])
    totals, gains = (
        np.concatenate([one.sum(axis=-1), one[:, row, most] + one[:, row, least]], axis=1)
        for one in (parameters, added)
    )
    against = _against(rows, totals, gains)
    log: Floats = np.logaddexp(against[: len(n)], against[len(n) :] - bins.pairs_log) - math.log(2)
    return log


def _widths(total: Floats) -> Floats:
    """What parameters that add up to total (S,) are multiplied by: (alternatives + 1, S), the null last."""
    concentrations = np.array(CONCENTRATIONS)[:, None]
    return np.concatenate([concentrations / (concentrations + total), np.ones((1, len(total)))])


def _against(n: Floats, total: Floats, added: Floats) -> Floats:
    """Log of the mean over the alternatives of the ratio of their probability of n rows (S,) to the null's.

    total (alternatives + 1, S), the null last, are the sums of the Dirichlet-multinomial's parameters, and added what
    the bins add to the log of its probability, without the coefficient that depends on the counts alone.
    """
    logs = gammaln(total) - gammaln(total + n) + added
    alternatives = logs[:-1]
    highest = alternatives.max(axis=0)
    mean: Floats = highest + np.log(np.exp(alternatives - highest).mean(axis=0)) - logs[-1]
    return mean
