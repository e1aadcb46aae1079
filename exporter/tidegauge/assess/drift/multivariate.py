"""Whether vectors have moved: maximum mean discrepancy (MMD) of random Fourier features, now and over time.

Pure functions of mean features phi (..., 2 D) and of the spectrum of their covariance C in the reference. Leading axes
are streams; blocks come in order and each once. Means of many rows are taken to be normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import floats, ratio

SAMPLES: Final = (100.0, 1000.0, 10_000.0)
"""How far the alternatives are from the reference: as far as the mean of so many of its rows is by chance."""

SHORTEST: Final = (1, 4, 16, 64, 256)
"""Blocks that a run lasts at least. Large changes are found by the short runs, small ones need the patience of long."""

LARGEST_REFERENCE: Final = 1e8  # rows; more say nothing more
LONGEST_RUN: Final = 1e6  # effective rows; older ones fade, so that a long quiet run cannot drown what happens now
ROOM: Final = 4.0  # evidence above so many times the threshold fades by half, so that recovery is quick

_RUNS_A_BLOCK: Final = sum(1 / blocks for blocks in SHORTEST)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """How far the vectors of a window are from the reference's; each (...,), NaN where a side has none."""

    distance: Floats  # |mean phi - mean phi of the reference|**2: the biased estimate of MMD**2
    floor: Floats  # its mean where nothing has moved
    excess: Floats  # distance - floor: the unbiased MMD**2 (Gretton et al. 2012, JMLR 13:723); may be negative
    effect: Floats  # excess over the largest eigenvalue of C, see `discrepancy`
    p_value: Floats  # of a distance at least as large where nothing has moved


def discrepancy(
    mean: Floats,
    rows: ArrayLike,
    reference_mean: Floats,
    reference_rows: ArrayLike,
    spectrum: ArrayLike,
    design_effect: ArrayLike = 1.0,
    reference_design_effect: ArrayLike = 1.0,
) -> Discrepancy:
    """Compares mean phi (..., 2 D) of so many rows (...,) with that of a reference.

    The effect is on the scale of the population stability index: for any function f of the vectors the divergence
    of chi-squared is at least (mean f now - mean f before)**2 / variance of f; f = <phi, the difference of the means>
    makes that at least MMD**2 over the largest eigenvalue, and for small changes the two divergences are equal.
    """
    eigenvalues = floats(spectrum)
    one, other = (floats(size) for size in (rows, reference_rows))
    size = ratio(design_effect, one) + ratio(reference_design_effect, other)
    distance = np.square(mean - reference_mean).sum(axis=-1)
    floor = size * eigenvalues.sum()
    excess = distance - floor
    largest = eigenvalues.max(initial=0.0)
    return Discrepancy(distance, floor, excess, ratio(excess, largest), p_value(distance, size, eigenvalues))


def p_value(distance: ArrayLike, size: ArrayLike, spectrum: ArrayLike) -> Floats:
    """Probability that |N(0, size * C)|**2 is at least the distance; NaN where the reference's vectors never varied.

    A sum of chi-squared variables with the weights size * spectrum, by a shifted gamma with its first three cumulants
    (Pearson's; Imhof 1961, Biometrika 48:419). Satterthwaite's gamma has two, and too short a tail.
    """
    weights = floats(spectrum)
    first, second, third = (float((weights**power).sum()) for power in (1, 2, 3))
    if third <= 0:
        return np.full(np.broadcast(floats(distance), floats(size)).shape, np.nan)
    freedom = second**3 / third**2
    standard = (ratio(distance, size) - first) / np.sqrt(2 * second)
    probability: Floats = special.chdtrc(freedom, freedom + standard * np.sqrt(2 * freedom))
    return probability


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block of the streams; shapes broadcast."""

    start_ms: int
    mean: Floats  # (..., 2 D): of phi; of no meaning without rows
    rows: ArrayLike  # (...,)
    reference_mean: Floats  # (..., 2 D): of the reference that these rows are held against
    reference_rows: ArrayLike  # (...,); 0: there is none, and the block says nothing
    design_effect: ArrayLike = 1.0  # (...,): of the rows
    reference_design_effect: ArrayLike = 1.0  # (...,): of the reference's rows
    stratum: int = 0  # blocks in a row of one stratum share their reference; other strata have other rows


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of each stream, R = len(SHORTEST) side by side: what was seen since their evidence was last nothing."""

    moved: Floats  # (..., R, 2 D): sum of n (mean phi - mean phi of the reference), n = effective rows of a block
    rows: Floats  # (..., R): sum of n
    closed: Floats  # (..., R): sum of n**2 / m over finished strata: what the references' own chance adds
    open: Floats  # (..., R): sum of n / sqrt(m) over the blocks of the stratum under way
    stratum: Integers  # (..., R): the stratum under way
    blocks: Integers  # (..., R): blocks with rows
    start: Integers  # (..., R): start of the run's first block, ms; of no meaning while there is no run
    log: Floats  # (..., R): log evidence, 0 while there is no run

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Runs:
        """No run yet; shape is that of a block's mean, (..., 2 D)."""
        runs = (*shape[:-1], len(SHORTEST))
        zeros, none = np.zeros(runs), np.zeros(runs, np.int64)
        return cls(np.zeros((*runs, shape[-1])), zeros, zeros, zeros, none, none, none, zeros)

    def evidence(self) -> Floats:
        """Log evidence (...,) of the run that has most; it reaches log A once in A blocks at most without a change."""
        highest: Floats = self.log.max(axis=-1) - np.log(_RUNS_A_BLOCK)
        return highest

    def started(self, needed_log: float = np.inf) -> Integers:
        """Start (...,), ms, of the latest run whose evidence is enough, else of the one that has most.

        Evidence is capped, so of several that are enough none has more to say; a long run may have begun too early.
        """
        best = self.log.argmax(axis=-1)[..., None]
        start: Integers = np.take_along_axis(self.start, best, axis=-1)[..., 0]
        enough = self.log - np.log(_RUNS_A_BLOCK) >= needed_log
        return np.where(enough.any(axis=-1), np.where(enough, self.start, 0).max(axis=-1), start)

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists."""
        return {one.name: getattr(self, one.name).tolist() for one in fields(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Runs:
        """The inverse of to_json, bit for bit."""
        whole: dict[str, Any] = {"stratum": np.int64, "blocks": np.int64, "start": np.int64}
        return cls(**{one.name: np.array(saved[one.name], whole.get(one.name, np.float64)) for one in fields(cls)})


def arrays(state: Runs) -> dict[str, Floats | Integers]:
    """The arrays of the runs, by the names that the constructor takes."""
    return {one.name: getattr(state, one.name) for one in fields(state)}


def advance(state: Runs, block: Block, spectrum: ArrayLike, needed_log: float) -> Runs:
    """The runs after one sealed block; needed_log: the log evidence that a detection takes.

    A run whose evidence is below 0 when it has lasted its shortest is over, and the next block begins another. Each
    run reaches A with probability at most 1 / A, and the runs of one place in SHORTEST are at most one in so many
    blocks (nonanticipating CUSUM; Lorden 1971, Ann. Math. Stat. 42:1897).
    """
    streams = state.log.shape

    def runs(values: ArrayLike) -> Floats:
        return np.broadcast_to(floats(values)[..., None], streams)

    m = runs(np.minimum(floats(block.reference_rows) / floats(block.reference_design_effect), LARGEST_REFERENCE))
    n = np.where(m > 0, runs(floats(block.rows) / floats(block.design_effect)), 0.0)
    lively = n > 0
    other = lively & (state.stratum != block.stratum)
    change = floats(block.mean - block.reference_mean)[..., None, :]
    moved = state.moved + np.where(lively[..., None], n[..., None] * change, 0.0)
    closed = state.closed + np.where(other, np.square(state.open), 0.0)
    under_way = np.where(other, 0.0, state.open) + np.nan_to_num(ratio(n, np.sqrt(m)))
    start = np.where(lively & (state.rows == 0), block.start_ms, state.start)
    blocks = state.blocks + lively
    rows = state.rows + n
    log = state.log.copy()
    weigh, scale = lively, 1.0
    while weigh.any():  # first all that have got rows, then those that fade by half, until none has to
        moved[weigh] *= scale
        rows[weigh] *= scale
        closed[weigh] *= scale**2
        under_way[weigh] *= scale
        variance = rows[weigh] + closed[weigh] + np.square(under_way[weigh])
        log[weigh] = log_evidence(np.square(moved[weigh]).sum(axis=-1), rows[weigh], variance, spectrum)
        weigh = weigh & ((log > ROOM * needed_log) | (rows > LONGEST_RUN))
        scale = 0.5
    over = (log < 0) & (blocks >= np.array(SHORTEST))
    for sums in (moved, rows, closed, under_way, blocks, log):
        sums[over] = 0
    return Runs(moved, rows, closed, under_way, np.where(lively, block.stratum, state.stratum), blocks, start, log)


def log_evidence(squared: Floats, rows: Floats, variance: Floats, spectrum: ArrayLike) -> Floats:
    """Log Bayes factor (S,) of a change against none, at most, of runs with |moved|**2 and so many effective rows.

    Without a change moved is N(0, variance * C); with one, its mean is rows * d. For d ~ N(0, eta * C**2) the factor in
    the direction of an eigenvalue l is exp(x**2 h / (1 + h l) / (2 variance)) / sqrt(1 + h l), with h = eta * rows**2 /
    variance. With the largest eigenvalue in the exponent only |moved|**2 is needed, and the factor is never more
    than the true one, whose mean without a change stays 1 at any time. Averaged over the eta of SAMPLES.
    """
    eigenvalues = floats(spectrum)
    total = float(eigenvalues.sum())
    if total <= 0:  # vectors of the reference that never varied: no scale to hold a change against
        return np.zeros(rows.shape)
    unit = total / float(np.square(eigenvalues).sum())
    size = np.square(rows) / variance  # rows of a sample as good as the comparison
    logs = np.empty((len(SAMPLES), *rows.shape))
    for number, sample in enumerate(SAMPLES):
        h = unit / sample * size
        shape = -0.5 * np.log1p(h[:, None] * eigenvalues).sum(axis=-1)
        logs[number] = shape + 0.5 * squared / variance * h / (1 + h * eigenvalues.max())
    highest = logs.max(axis=0)
    mean: Floats = highest + np.log(np.exp(logs - highest).mean(axis=0))
    return mean
