"""Mixture Shiryaev-Roberts detector: has the mean of a loss risen above what is expected, at an unknown time?

Rows of every array are streams, all advanced by the same sealed block; columns are the alternatives. Blocks come in
order and each once. A rise is the only change looked for: more is worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import floats
from tidegauge.assess.sequential import e_bh

Flags = NDArray[np.bool_]

RATIOS: Final[Floats] = np.array([1.2, 1.35, 1.6, 2.0, 2.7, 4.0, 10.0])
"""The rises looked for: odds ratios of a proportion, ratios of a mean loss to the expected one."""

ROOM: Final = 1000.0  # a statistic stops at so many times the threshold
LARGEST_STEP: Final = 300.0  # of a logarithm; exp of it is finite, and no threshold is as high
RECOVERED: Final = float(np.log(1000.0))  # of the likelihood ratio of "back to normal" against "as it was"


def proportion_steps(n: ArrayLike, errors: ArrayLike, bound: ArrayLike) -> Floats:
    """Log likelihood ratios (S, J) of a block: odds RATIOS times those of the bound, against the bound itself.

    n rows, of which errors count; bound in (0, 1) is the highest rate that is still normal, known before the block.
    With p1 = g p0 / (1 - p0 + g p0) the ratio is g**x / (1 + p0 (g - 1))**n, whose mean is at most 1 at any rate up to
    the bound, and so it is for any loss in [0, 1] by convexity.
    """
    size, count, rate = (floats(value)[..., None] for value in (n, errors, bound))
    return count * np.log(RATIOS) - size * np.log1p(rate * (RATIOS - 1))


def loss_rates(relative_variance: ArrayLike) -> Floats:
    """The rate l in (0, 1) of each alternative (S, J) that makes loss_steps grow fastest if it is true.

    relative_variance v is that of a row over (mean - lowest)**2. With d = RATIOS - 1 the maximum of
    l d - psi(l) (v + d**2) is at l / (1 - l) = d / (v + d**2). Frozen with the baseline.
    """
    rise = RATIOS - 1
    variance = floats(relative_variance)[..., None]
    return rise / (rise + variance + rise**2)


def loss_steps(
    n: ArrayLike, s1: ArrayLike, s2: ArrayLike, bound: ArrayLike, mean: ArrayLike, lowest: ArrayLike, rates: Floats
) -> Floats:
    """Log steps (S, J) of a block with the sums n, s1, s2 of losses that are never below `lowest`.

    With z = (y - mean) / (mean - lowest) >= -1 and any l in (0, 1), exp(l z - psi(l) z**2) <= 1 + l z, where
    psi(l) = -log(1 - l) - l (Fan, Grama, Liu 2015, EJP 20:1); so
    exp(l (sum y - n bound) / (mean - lowest) - psi(l) sum z**2) has mean at most 1 while the mean is at most the bound.
    mean is the expected one; it and the bound are known before the block.
    """
    size, total, squares, top, centre, least = (floats(value)[..., None] for value in (n, s1, s2, bound, mean, lowest))
    scale = centre - least
    spread = np.maximum(squares - 2 * centre * total + size * centre**2, 0.0)
    return rates * (total - size * top) / scale + (np.log1p(-rates) + rates) * spread / scale**2


def discounted(steps: Floats, rows: ArrayLike, dispersion: ArrayLike) -> Floats:
    """The steps of streams whose hours vary by more than chance: divided by 1 + rows * dispersion.

    rows is how many an hour has at this traffic, dispersion the variance of an hour's true mean over that of a row: the
    quotient is the variance of an hour's mean over what chance alone gives (quasi-likelihood; Wedderburn 1974,
    Biometrika 61:439). A root of something with mean at most 1 has mean at most 1 too, so the promise is never weaker.
    """
    return steps / (1 + floats(rows) * floats(dispersion))[..., None]


def climb(statistic: Floats, steps: Floats, cap: float) -> Floats:
    """M -> (1 + M) * exp(step), at most cap (which only lowers it); all of one shape.

    Without a change the mean of M after t blocks is at most t (Roberts 1966, Technometrics 8:411; Shin, Ramdas, Rinaldo
    2023, NEJSDS 2:229: e-detectors).
    """
    raised: Floats = np.minimum((1 + statistic) * np.exp(np.minimum(steps, LARGEST_STEP)), cap)
    return raised


def evidence(statistic: Floats) -> Floats:
    """The mean over the alternatives (S,): it reaches a threshold A once in A blocks at most on average."""
    reached: Floats = statistic.mean(axis=-1)
    return reached


def threshold(false_alarm_interval_ms: int, block_ms: int, streams: int) -> float:
    """What the evidence of each of so many streams has to reach, for one false alarm an interval in all of them."""
    return false_alarm_interval_ms / block_ms * max(streams, 1)


@dataclass(frozen=True, slots=True)
class Bank:
    """Detectors of several streams; advance gives the next state and leaves this one."""

    keys: tuple[str, ...]
    statistic: Floats  # (S, J): M of each alternative
    ratio: Floats  # (S, J): CUSUM of the steps, the log likelihood ratio of a change at the best time against none
    start: Integers  # (S, J): start of the block, in ms, after which that CUSUM last left 0
    fall: Floats  # (S,): while detected, the CUSUM of "back to normal"
    detected: Flags  # (S,)
    detections: Integers  # (S,): how often detected has become true
    found: Integers  # (S,): where the change seemed to begin when it was detected, ms; 0 before

    @classmethod
    def empty(cls) -> Bank:
        """A bank without streams."""
        grid = (0, RATIOS.size)
        return cls(
            (),
            np.zeros(grid),
            np.zeros(grid),
            np.zeros(grid, np.int64),
            np.zeros(0),
            np.zeros(0, np.bool_),
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
        )

    def add(self, *keys: str) -> Bank:
        """With more streams, which begin at nothing; ValueError where a key is there already."""
        known = (*self.keys, *keys)
        if len(set(known)) < len(known):
            raise ValueError(f"a stream is there already: {keys}")
        more = len(keys)
        grid = (more, RATIOS.size)
        return Bank(
            known,
            np.concatenate([self.statistic, np.zeros(grid)]),
            np.concatenate([self.ratio, np.zeros(grid)]),
            np.concatenate([self.start, np.zeros(grid, np.int64)]),
            np.concatenate([self.fall, np.zeros(more)]),
            np.concatenate([self.detected, np.zeros(more, np.bool_)]),
            np.concatenate([self.detections, np.zeros(more, np.int64)]),
            np.concatenate([self.found, np.zeros(more, np.int64)]),
        )

    def remove(self, *keys: str) -> Bank:
        """Without these streams."""
        stays = np.array([key not in keys for key in self.keys], np.bool_)
        return Bank(
            tuple(key for key in self.keys if key not in keys),
            self.statistic[stays],
            self.ratio[stays],
            self.start[stays],
            self.fall[stays],
            self.detected[stays],
            self.detections[stays],
            self.found[stays],
        )

    def advance(
        self, block_start_ms: int, n: ArrayLike, steps: Floats, needed: float, together: float | None = None
    ) -> Bank:
        """One sealed block: rows n (S,), their steps (S, J), and the evidence needed for a detection.

        A stream without rows stays as it is. Where `together` is given, the streams are judged together by e-BH:
        evidence over `needed` is an e-value (needed is then one stream's threshold), together is the level.
        A detection ends when the likelihood ratio of "as expected" against the leading alternative has risen a
        thousandfold from its lowest; the stream then begins anew.
        """
        lively = floats(n) > 0
        moved = lively[:, None]
        room = needed * ROOM * (1 if together is None else max(len(self.keys), 1) / together)
        statistic = np.where(moved, climb(self.statistic, steps, room), self.statistic)
        start = np.where(moved & (self.ratio <= 0), block_start_ms, self.start)
        ratio = np.where(moved, np.maximum(self.ratio + steps, 0.0), self.ratio)
        lead = ratio.argmax(axis=1)[:, None] if self.keys else np.zeros((0, 1), np.int64)
        back = np.where(lively, -np.take_along_axis(steps, lead, axis=1)[:, 0], 0.0)
        fall = np.where(self.detected, np.maximum(self.fall + back, 0.0), 0.0)
        reached = evidence(statistic)
        crossed = reached >= needed if together is None else e_bh.e_bh(reached / needed, together)
        over = self.detected & (fall >= RECOVERED)
        begun = np.take_along_axis(start, ratio.argmax(axis=1)[:, None], axis=1)[:, 0] if self.keys else self.found
        over_all = over[:, None]
        return Bank(
            self.keys,
            np.where(over_all, 0.0, statistic),
            np.where(over_all, 0.0, ratio),
            start,
            np.where(over, 0.0, fall),
            (self.detected | crossed) & ~over,
            self.detections + (crossed & ~self.detected),
            np.where(crossed & ~self.detected, begun, self.found),
        )

    def evidence(self) -> Floats:
        """Evidence of each stream (S,), in blocks: to be held against the threshold."""
        return evidence(self.statistic)

    def started_at(self) -> Integers:
        """Estimated start of each stream's change (S,), ms: where the leading alternative's CUSUM last left 0.

        The maximum-likelihood estimate for that alternative (Hinkley 1971, Biometrika 58:509), as it was when it
        was detected: as a rot goes on, larger alternatives take the lead, which began later. Says something only while
        detected.
        """
        return self.found

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists."""
        return {
            "keys": list(self.keys),
            "statistic": self.statistic.tolist(),
            "ratio": self.ratio.tolist(),
            "start": self.start.tolist(),
            "fall": self.fall.tolist(),
            "detected": self.detected.tolist(),
            "detections": self.detections.tolist(),
            "found": self.found.tolist(),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Bank:
        """The inverse of to_json, bit for bit; ValueError where it was saved with another number of alternatives."""
        keys: Sequence[str] = saved["keys"]
        grid = (len(keys), RATIOS.size)
        return cls(
            tuple(keys),
            np.array(saved["statistic"], np.float64).reshape(grid),
            np.array(saved["ratio"], np.float64).reshape(grid),
            np.array(saved["start"], np.int64).reshape(grid),
            np.array(saved["fall"], np.float64),
            np.array(saved["detected"], np.bool_),
            np.array(saved["detections"], np.int64),
            np.array(saved["found"], np.int64),
        )
