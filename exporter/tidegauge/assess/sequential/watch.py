"""The streams of one model and measure: what each has shown, what is normal for it, and whether that has changed.

One state for all of them, fed by sealed blocks in order, each once; a stream learns first and is watched from the block
after. Nothing here knows what the streams are: a version, or a slice's value in a version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.sequential import detector, profile
from tidegauge.assess.sequential.detector import Bank
from tidegauge.assess.sequential.history import History, hour_of_week
from tidegauge.assess.sequential.profile import Baseline, Measure, Shape


@dataclass(frozen=True, slots=True)
class Promise:
    """At most one false alarm an interval over so many streams, at blocks of this width; and how long to learn."""

    false_alarm_interval_ms: int
    block_ms: int
    streams: int
    learning_ms: int

    def threshold(self) -> float:
        """The evidence that a stream needs alone."""
        return detector.threshold(self.false_alarm_interval_ms, self.block_ms, self.streams)

    def single(self) -> float:
        """The threshold of a promise for one stream: what evidence is divided by to be an e-value."""
        return detector.threshold(self.false_alarm_interval_ms, self.block_ms, 1)


@dataclass(slots=True)
class Watch:
    """Streams by key, all of one measure. The order of `keys` is that of the rows of history."""

    measure: Measure
    keys: list[str]
    history: History
    baseline: Baseline  # of the watched streams, in the order of bank.keys
    bank: Bank

    @classmethod
    def empty(cls, measure: Measure) -> Watch:
        """A watch over no stream."""
        return cls(measure, [], History.empty(0), Baseline.none(), Bank.empty())

    def add(self, *keys: str) -> None:
        """Begin with more streams; ValueError where one is there already."""
        if len({*self.keys, *keys}) < len(self.keys) + len(keys):
            raise ValueError(f"a stream is there already: {keys}")
        self.keys.extend(keys)
        self.history = self.history.extended(len(keys))

    def remove(self, *keys: str) -> None:
        """Forget streams."""
        self.history = self.history.keep([row for row, key in enumerate(self.keys) if key not in keys])
        self.baseline = self.baseline.keep([row for row, key in enumerate(self.bank.keys) if key not in keys])
        self.bank = self.bank.remove(*keys)
        self.keys = [key for key in self.keys if key not in keys]

    def shape(self, keys: Iterable[str], learning_ms: int) -> Shape | None:
        """The shape that these streams (a model's versions) share; None until together they span the learning time."""
        rows = self._shaping(keys, learning_ms)
        return profile.learned_shape(self.history.closed(rows), self.measure) if rows else None

    def has_shape(self, keys: Iterable[str], learning_ms: int) -> bool:
        """Whether `shape` would be one."""
        return bool(self._shaping(keys, learning_ms))

    def _shaping(self, keys: Iterable[str], learning_ms: int) -> list[int]:
        """The rows that a shape can be learned from; none as long as they are too few together."""
        chosen = set(keys)
        rows = [row for row, key in enumerate(self.keys) if key in chosen and self.history.first_ms[row] >= 0]
        if not rows:
            return []
        first, last = self.history.first_ms[rows].min(), self.history.last_ms[rows].max()
        return [] if last - first < learning_ms or self.history.n()[rows].sum() < profile.ROWS else rows

    def advance(
        self,
        block_start_ms: int,
        n: ArrayLike,
        s1: ArrayLike,
        s2: ArrayLike,
        promise: Promise,
        shape: Shape | None = None,
        together: float | None = None,
    ) -> None:
        """One sealed block: (S,) each in the order of keys, zeros for streams without rows.

        shape is the model's, where it is known; together the level of e-BH, for streams that are judged together.
        """
        sums = np.stack([np.asarray(value, np.float64) for value in (n, s1, s2)])
        if self.bank.keys:
            watched = sums if list(self.bank.keys) == self.keys else sums[:, self._watched()]
            steps = self._steps(hour_of_week(block_start_ms), promise.block_ms, *watched)
            needed = promise.threshold() if together is None else promise.single()
            self.bank = self.bank.advance(block_start_ms, watched[0], steps, needed, together)
        self.history.add(block_start_ms, *sums)
        if len(self.bank.keys) < len(self.keys):
            self._learn(promise.learning_ms, shape)

    def _watched(self) -> list[int]:
        place = {key: row for row, key in enumerate(self.keys)}
        return [place[key] for key in self.bank.keys]

    def _steps(self, hour: int, block_ms: int, n: Floats, s1: Floats, s2: Floats) -> Floats:
        """The detectors' steps of a block, for the watched streams."""
        return block_steps(self.measure, self.baseline, hour, block_ms, n, s1, s2)

    def _learn(self, learning_ms: int, shape: Shape | None) -> None:
        """Begin to watch the streams that have just seen enough."""
        waiting = np.array([key not in self.bank.keys for key in self.keys], np.bool_)
        rows = np.flatnonzero(waiting & profile.ready(self.history, learning_ms, shape, self.measure))
        if rows.size:
            self.baseline = self.baseline.stacked(profile.learned(self.history, rows, shape, self.measure))
            self.bank = self.bank.add(*(self.keys[row] for row in rows))

    def watching(self) -> NDArray[np.bool_]:
        """Which streams, in the order of keys, have learned what is normal."""
        return np.array([key in self.bank.keys for key in self.keys], np.bool_)

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists; the measure is configuration and not saved."""
        return {
            "keys": list(self.keys),
            "history": self.history.to_json(),
            "baseline": self.baseline.to_json(),
            "bank": self.bank.to_json(),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any], measure: Measure) -> Watch:
        """The inverse of to_json, bit for bit."""
        return cls(
            measure,
            list(saved["keys"]),
            History.from_json(saved["history"]),
            Baseline.from_json(saved["baseline"]),
            Bank.from_json(saved["bank"]),
        )


def block_steps(
    measure: Measure, baseline: Baseline, hour: int, block_ms: int, n: ArrayLike, s1: ArrayLike, s2: ArrayLike
) -> Floats:
    """The steps (S, J) of a block in an hour of the week, against the baselines of its streams."""
    bound = baseline.bound[:, hour]
    if measure.proportion:
        steps = detector.proportion_steps(n, s1, bound)
    else:
        rates = detector.loss_rates(baseline.noise)
        steps = detector.loss_steps(n, s1, s2, bound, baseline.mean[:, hour], measure.lowest, rates)
    an_hour = np.asarray(n, np.float64) * (3_600_000 / block_ms)
    return detector.discounted(steps, an_hour, baseline.dispersion[:, hour])
