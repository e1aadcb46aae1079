"""Evidence over time that features have moved: a test that may be looked at after every sealed block.

Pure functions of arrays (..., F, W): F features, W bins, zero-padded; leading axes are streams too (versions,
references, repetitions of a simulation). Blocks come in order and each once; the same blocks give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    streams = state.log.shape
    m = np.broadcast_to(floats(block.reference_size) / floats(block.reference_design_effect), streams)
    counts = np.where((m > 0)[..., None], block.counts / floats(block.design_effect)[..., None], 0.0)
    n = counts.sum(axis=-1)
    lively = n > 0
    other = lively & (state.stratum != block.stratum)
    current = state.current + counts
    expected = state.expected + np.where(lively[..., None], n[..., None] * block.proportions, 0.0)
    closed = state.closed + np.where(other, np.square(state.open), 0.0)
    under_way = np.where(other, 0.0, state.open) + np.nan_to_num(ratio(n, np.sqrt(m)))
    start = np.where(lively & (state.rows() == 0), block.start_ms, state.start)
    log = state.log.copy()
    bins = np.broadcast_to(real, current.shape)
    weigh, scale = lively, 1.0
    while weigh.any():  # first all that have got rows, then those that fade by half, until none has to
        current[weigh], expected[weigh] = scale * current[weigh], scale * expected[weigh]
        closed[weigh], under_way[weigh] = scale**2 * closed[weigh], scale * under_way[weigh]
        variance = closed[weigh] + np.square(under_way[weigh])
        log[weigh] = bayes_factor(current[weigh], expected[weigh], variance, bins[weigh])
        weigh = weigh & ((log > ROOM * max(needed_log, 1.0)) | (current.sum(axis=-1) > LONGEST_RUN))
        scale = 0.5
    over = log < GIVEN_UP
    for bin_sums in (current, expected):
        bin_sums[over] = 0.0
    for sums in (closed, under_way, log):
        sums[over] = 0.0
    return Evidence(current, expected, closed, under_way, np.where(lively, block.stratum, state.stratum), start, log)


def bayes_factor(current: Floats, expected: Floats, variance: Floats, real: Flags) -> Floats:
    """Log (S,) of how much better rows (S, W) are explained by a distribution near the reference's than by that one.

    The reference's bins are as uncertain as those of a sample of M = n**2 / variance rows: of the null hypothesis, rows
    are Dirichlet-multinomial with the parameters a = M p + prior. The alternatives add to that uncertainty what a
    sample of CONCENTRATIONS rows has. Half of their weight is on all bins having moved, half on a shift between two,
    each pair alike; of the pairs only the likeliest is computed, so that the mean is a little more than this.
    All expect the same share of each bin, so a bin that the reference has never seen is a surprise to them too, and
    the more often it comes, the more it speaks for a change.
    """
    n = current.sum(axis=-1)
    size = np.minimum(ratio(np.square(n), variance), LARGEST_REFERENCE)
    bins = real.sum(axis=-1)
    null = size[:, None] * expected / n[:, None] + np.where(real, PRIOR / bins[:, None], 0.0)
    total = size + PRIOR
    all_bins = _against(current, null, total, real)
    off = np.where(real, (current / n[:, None] - null / total[:, None]) / np.sqrt(np.where(real, null, 1.0)), 0.0)
    pair = np.stack([off.argmax(axis=-1), off.argmin(axis=-1)], axis=-1)
    rows_of_two, null_of_two = (np.take_along_axis(one, pair, axis=-1) for one in (current, null))
    one_pair = _against(rows_of_two, null_of_two, total, np.ones_like(pair, np.bool_))
    one_pair -= np.log(np.maximum(bins * (bins - 1) / 2, 1))
    log: Floats = np.logaddexp(all_bins, one_pair) - math.log(2)
    return log


def _against(counts: Floats, null: Floats, total: Floats, real: Flags) -> Floats:
    """Log of the mean over CONCENTRATIONS of the ratio of the probabilities of counts (S, W)."""
    wider = [(one / (one + total))[:, None] for one in CONCENTRATIONS]
    logs = np.stack([_log_probability(counts, null * factor, real) for factor in wider])
    highest = logs.max(axis=0)
    mean: Floats = highest + np.log(np.exp(logs - highest).mean(axis=0)) - _log_probability(counts, null, real)
    return mean


def _log_probability(counts: Floats, parameters: Floats, real: Flags) -> Floats:
    """Dirichlet-multinomial, without the coefficient that depends on the counts alone."""
    safe = np.where(real, parameters, 1.0)
    total, n = parameters.sum(axis=-1), counts.sum(axis=-1)
    bins = np.where(real, gammaln(safe + counts) - gammaln(safe), 0.0).sum(axis=-1)
    log: Floats = gammaln(total) - gammaln(total + n) + bins
    return log
