"""Counts that are not by pane: what has been read since the state began. One row a version code; they only grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""
DELAY_BOUNDS = (
    *(1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 21600.0, 43200.0),
    *(86400.0, 259200.0, 604800.0, 1209600.0, 2592000.0),
)
"""Seconds, from one second to thirty days."""
VERSIONS = 256
"""Version codes are bytes; the last row counts what belongs to no version."""
PRIMARY, SHADOW = 0, 1
ROLES = ("primary", "shadow")
NEVER = -(1 << 62)


@dataclass(slots=True)
class Totals:
    """Mutable int64 arrays; the engine owns them."""

    predictions: NDArray[np.int64]  # [version, role]
    errors: NDArray[np.int64]  # [version, role]
    latency: NDArray[np.int64]  # [version, role, bucket]
    latency_sum: NDArray[np.int64]  # [version, role] microseconds
    received: NDArray[np.int64]  # [channel]
    feedback: NDArray[np.int64]  # [version, channel, result]
    delay: NDArray[np.int64]  # [version, channel, bucket]
    delay_sum: NDArray[np.int64]  # [version, channel] ms
    first: NDArray[np.int64]  # [version] ms; NEVER
    last: NDArray[np.int64]  # [version] ms; NEVER

    @classmethod
    def empty(cls, channels: int, results: int) -> Totals:
        def zeros(*shape: int) -> NDArray[np.int64]:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            predictions=zeros(VERSIONS, 2),
            errors=zeros(VERSIONS, 2),
            latency=zeros(VERSIONS, 2, len(LATENCY_BOUNDS) + 1),
            latency_sum=zeros(VERSIONS, 2),
            received=zeros(channels),
            feedback=zeros(VERSIONS, channels, results),
            delay=zeros(VERSIONS, channels, len(DELAY_BOUNDS) + 1),
            delay_sum=zeros(VERSIONS, channels),
            first=np.full(VERSIONS, NEVER, dtype=np.int64),
            last=np.full(VERSIONS, NEVER, dtype=np.int64),
        )

    def count_predictions(
        self,
        version: NDArray[np.uint8],
        shadow: NDArray[np.bool_],
        error: NDArray[np.bool_],
        latency_ms: NDArray[np.float64],
        time: NDArray[np.int64],
        count: NDArray[np.int64] | None,
    ) -> None:
        """Adds predictions as they are read; all arrays have one entry a record."""
        place = version.astype(np.int64) * 2 + shadow
        _add(self.predictions.reshape(-1), place, count)
        if error.any():
            _add(self.errors.reshape(-1), place[error], None if count is None else count[error])
        timed = np.flatnonzero(latency_ms >= 0)
        if len(timed):
            times = None if count is None else count[timed]
            bucket = _bucket(latency_ms[timed] / 1000.0, LATENCY_BOUNDS)
            _add(self.latency.reshape(-1), place[timed] * (len(LATENCY_BOUNDS) + 1) + bucket, times)
            micros = np.rint(np.minimum(latency_ms[timed], 1e9) * 1000.0).astype(np.int64)
            _add(self.latency_sum.reshape(-1), place[timed], micros if times is None else micros * times)
        for code in np.flatnonzero(np.bincount(version)):
            seen = time[version == code]
            if self.first[code] == NEVER or seen.min() < self.first[code]:
                self.first[code] = seen.min()
            self.last[code] = max(self.last[code], seen.max())

    def count_feedback(
        self,
        channel: NDArray[np.uint8],
        result: NDArray[np.uint8],
        version: NDArray[np.uint8],
        delay: NDArray[np.int64],
    ) -> None:
        """Adds feedback as it is settled; delay in ms, -1 where it gave no first label."""
        channels, results = self.feedback.shape[1:]
        place = version.astype(np.int64) * channels + channel
        _add(self.feedback.reshape(-1), place * results + result, None)
        first = np.flatnonzero(delay >= 0)
        if len(first):
            bucket = _bucket(delay[first] / 1000.0, DELAY_BOUNDS)
            _add(self.delay.reshape(-1), place[first] * (len(DELAY_BOUNDS) + 1) + bucket, None)
            _add(self.delay_sum.reshape(-1), place[first], delay[first])

    def take_out(self, version: int) -> dict[str, Any]:
        """One version's counts, as JSON values; here they start anew."""
        taken = {}
        for name in self.__slots__:
            if name != "received":
                array = getattr(self, name)
                taken[name] = array[version].tolist()
                array[version] = NEVER if name in ("first", "last") else 0
        return taken

    def put_back(self, version: int, taken: Mapping[str, Any]) -> None:
        """Adds what was taken out of a version that has returned."""
        for name, values in taken.items():
            array = getattr(self, name)
            if np.shape(values) != array[version].shape:
                continue  # its channels are others now
            if name == "last":
                array[version] = max(int(array[version]), values)
            elif name == "first":
                array[version] = values
            else:
                array[version] += np.array(values, dtype=np.int64)

    def save(self, versions: int) -> dict[str, list[object]]:
        """JSON values; rows of unused versions are left out, the row of no version is kept apart."""
        saved: dict[str, list[object]] = {}
        for name in self.__slots__:
            array = getattr(self, name)
            if name == "received":
                saved[name] = array.tolist()
            else:
                saved[name] = [*array[:versions].tolist(), array[VERSIONS - 1].tolist()]
        return saved

    def restore(self, saved: Mapping[str, list[object]], channels: list[int]) -> None:
        """Takes over saved counts; `channels` has the place of each saved channel now, -1 where it is gone."""
        kept = [number for number, place in enumerate(channels) if place >= 0]
        places = [channels[number] for number in kept]
        for name in self.__slots__:
            array = getattr(self, name)
            values = np.array(saved[name], dtype=np.int64)
            if name == "received":
                array[places] = values[kept]
                continue
            versions = len(values) - 1
            for rows, where in ((slice(0, versions), slice(0, versions)), (slice(-1, None), slice(-1, None))):
                if name in ("feedback", "delay", "delay_sum"):
                    array[where, places] = values[rows][:, kept]
                else:
                    array[where] = values[rows]


def _bucket(values: NDArray[np.float64], bounds: Sequence[float]) -> NDArray[np.int64]:
    """How many bounds each value is above: with so few of them, comparing with each is faster than searching."""
    bucket = np.zeros(len(values), dtype=np.uint8)
    for bound in bounds:
        above = values > bound
        if not above.any():
            break
        bucket += above
    return bucket.astype(np.int64)


def _add(target: NDArray[np.int64], place: NDArray[np.int64], amount: NDArray[np.int64] | None) -> None:
    if amount is None:
        counts = np.bincount(place)
        target[: len(counts)] += counts
    else:
        np.add.at(target, place, amount)
