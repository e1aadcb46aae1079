"""Evidence over time that features have moved: a test that may be looked at after every sealed block.

Pure functions of arrays (..., F, W): F features, W bins, zero-padded; leading axes are streams too (versions,
references, repetitions of a simulation). Blocks come in order and each once; the same blocks give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import floats, ratio

Flags = NDArray[np.bool_]

CONCENTRATIONS: Final[Floats] = np.array([10.0, 100.0, 1000.0])
"""How far from the reference the alternatives are: as far as samples of so many rows of it."""

PRIOR: Final = 1.0  # rows that the bins share evenly before a reference is seen (Perks 1947)
LARGEST_REFERENCE: Final = 1e8  # rows; more say nothing more, and gammaln keeps its digits
LONGEST_RUN: Final = 1e6  # rows; older ones fade, so that a long quiet run cannot drown what happens now
ROOM: Final = 3.0  # evidence above so many times the threshold fades, so that recovery is quick


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block. Shapes broadcast to (..., F, W), (..., F) or (...,)."""

    start_ms: int
    counts: Floats  # (..., F, W): rows in each bin; a feature without rows stays as it is
    proportions: Floats  # (..., F, W): of the reference that these rows are held against
    reference_size: ArrayLike  # (..., F): its rows; 0: there is none, and the block says nothing
    design_effect: ArrayLike = 1.0  # (..., F): of the rows
    reference_design_effect: ArrayLike = 1.0  # (..., F): of the reference's rows
    stratum: int = 0  # blocks in a row of one stratum share their reference; each stratum's own is independent


@dataclass(frozen=True, slots=True)
class Evidence:
    """The run of each stream: what has been seen since its evidence was last nothing."""

    current: Floats  # (..., F, W): rows, over their design effect
    expected: Floats  # (..., F, W): what the references say of as many rows
    closed: Floats  # (..., F): variance that finished strata bring into `expected`: sum of n**2 / m
    open: Floats  # (..., F): root of that of the stratum under way: sum of n / sqrt(m)
    stratum: Integers  # (..., F): the one under way
    start: Integers  # (..., F): start of the run's first block, ms; 0: there is no run

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Evidence:
        """No run yet; shape is (..., F, W)."""
        streams = shape[:-1]
        return cls(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(streams),
            np.zeros(streams),
            np.zeros(streams, np.int64),
            np.zeros(streams, np.int64),
        )

    def rows(self) -> Floats:
        """Effective rows of each run (..., F)."""
        n: Floats = self.current.sum(axis=-1)
        return n

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists."""
        return {name: getattr(self, name).tolist() for name in cls_fields}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Evidence:
        """The inverse of to_json, bit for bit."""
        raise NotImplementedError


def advance(state: Evidence, block: Block, real: Flags, threshold_log: float) -> Evidence:
    """The runs after one sealed block; real (F, W) says which places are bins, threshold_log what a detection needs."""
    raise NotImplementedError


def log_evidence(state: Evidence, real: Flags) -> Floats:
    """Log Bayes factor (..., F) of each run: moved against as the reference; 0 where there is no run."""
    raise NotImplementedError


def effect(state: Evidence) -> Floats:
    """Excess PSI (..., F) of each run over its reference; NaN where there is no run."""
    raise NotImplementedError


def threshold_log(false_alarm_interval_ms: int, block_ms: int, streams: int) -> float:
    """Log of what each of so many streams has to reach alone, for one false alarm an interval in all of them."""
    raise NotImplementedError
