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

OF_TWO: Final = (1, 3)  # of those and the null: where but two shares move, 100 does for nearly any size of the change
WEIGHTS: Final = (0.4, 0.4, 0.2)  # of all bins having moved; two of them; one, and the rest by their shares

PRIOR: Final = 1.0  # rows that the bins share evenly before a reference is seen (Perks 1947)
LARGEST_REFERENCE: Final = 1e8  # rows; more say nothing more, and gammaln keeps its digits
LONGEST_RUN: Final = 1e6  # effective rows; older ones fade, so that a long quiet run cannot drown what happens now
GIVEN_UP: Final = -0.75  # log evidence below which a run is over; 0 would end most before a small shift can show
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
            bins = self.bins.take(which % len(self.bins.prior))
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

    @classmethod
    def of(cls, real: Flags) -> _Bins:
        """Where real (S, W) says that there are bins."""
        bins = real.sum(axis=-1)
        prior = np.where(real, PRIOR / np.maximum(bins, 1)[:, None], 0.0)
        return cls(prior, (~real).astype(np.float64))

    def take(self, which: Integers) -> _Bins:
        """Those of some streams."""
        return _Bins(self.prior[which], self.padding[which])


def bayes_factor(current: Floats, expected: Floats, variance: Floats, real: Flags) -> Floats:
    """Log (S,) of how much better rows (S, W) are explained by a distribution near the reference's than by that one.

    The reference's bins are as uncertain as those of a sample of M = n**2 / variance rows: of the null hypothesis, rows
    are Dirichlet-multinomial with the parameters a = M p + prior. The alternatives add to that uncertainty what a
    sample of CONCENTRATIONS rows has: all bins have moved, or rows have gone from one bin to another, or one bin has
    grown or shrunk at the cost of all others. A pair weighs as often as two rows of different bins are in it; a single
    bin as the root of its share, which leaves more to rare ones, such as missing values. Of the pairs and of the bins
    only a likely one is computed, so that the mean over all is a little more than this.
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
    totals = parameters.sum(axis=-1)
    whole = gammaln(totals) - gammaln(totals + n)
    logs = whole + added.sum(axis=-1)
    highest = logs[:-1].max(axis=0)
    all_bins = highest + np.log(np.exp(logs[:-1] - highest).mean(axis=0)) - logs[-1]

    share = null / total[:, None]
    off = (current / n[:, None] - share) / np.sqrt(share + bins.padding)
    row, of_two = np.arange(len(n)), np.array(OF_TWO)
    high, low = off.argmax(axis=-1), off.argmin(axis=-1)
    place = np.stack([high, low, np.where(off[row, high] + off[row, low] > 0, high, low)])  # the pair, and the one bin
    bins_of_two = (of_two[:, None, None], row, place)
    rows, of_bin, added_by = current[row, place], parameters[bins_of_two], added[bins_of_two]
    together = np.stack([rows[0] + rows[1], n - rows[2]])  # in the pair, and beside the one bin
    of_together = np.stack([of_bin[:, 0] + of_bin[:, 1], totals[of_two] - of_bin[:, 2]], axis=1)
    added_together = gammaln(of_together + together) - gammaln(of_together)
    pair = added_by[:, 0] + added_by[:, 1] - added_together[:, 0]
    single = added_by[:, 2] + added_together[:, 1] + whole[of_two]

    chosen = share[row, place]
    of_pairs = 2 * chosen[0] * chosen[1] / (1 - np.square(share).sum(axis=-1))
    of_bins = np.sqrt(chosen[2]) / np.sqrt(share).sum(axis=-1)
    terms = np.stack([all_bins, pair[0] - pair[1] + np.log(of_pairs), single[0] - single[1] + np.log(of_bins)])
    log: Floats = np.logaddexp.reduce(np.log(WEIGHTS)[:, None] + terms, axis=0)
    return log


def _widths(total: Floats) -> Floats:
    """What the null's parameters, of sum total (S,), are multiplied by: (alternatives + 1, S), the null last."""
    concentrations = np.array(CONCENTRATIONS)[:, None]
    return np.concatenate([concentrations / (concentrations + total), np.ones((1, len(total)))])
