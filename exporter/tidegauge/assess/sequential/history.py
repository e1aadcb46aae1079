"""What is remembered of several streams of losses: sums by hour of the week and by day, and sizes of single losses.

Rows of every array are streams, all fed by the same sealed blocks, in order and each once. This is the one state here
that changes in place: its owner alone adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import floats, ratio

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
HOURS: Final = 168  # of a week; hour 0 is Monday, 00:00 UTC
EPOCH_HOUR: Final = 72  # 1970-01-01 was a Thursday
DAYS_KEPT: Final = 180
LARGEST: Final = 40  # bins of half octaves go from 2**-20 to 2**20, one more at either end
BINS: Final = 2 * LARGEST + 2

N, S1, S2, BETWEEN, SEEN = range(5)
"""Columns of a cell: rows, sum of losses, of their squares, over its hours sum of s1**2 / n and how many had rows."""


def hour_of_week(time_ms: int) -> int:
    """0 to 167 for the hour of the week in UTC that begins on Monday."""
    return (time_ms // HOUR_MS + EPOCH_HOUR) % HOURS


def half_octave(losses: ArrayLike) -> Integers:
    """The bin (0 to BINS - 1) of each loss: k + 40 for (2**((k - 1) / 2), 2**(k / 2)], the ends all beyond."""
    values = np.maximum(floats(losses), 2.0 ** (-LARGEST / 2))
    bins: Integers = np.clip(np.ceil(2 * np.log2(values) - 1e-9).astype(np.int64) + LARGEST, 0, BINS - 1)
    return bins


def quantile(bins: ArrayLike, share: float) -> float | None:
    """Upper edge of the bin in which that share of the counted losses ends; None without any, or above all edges."""
    counts = floats(bins)
    total = counts.sum()
    if total <= 0:
        return None
    found = int(np.searchsorted(np.cumsum(counts), share * total))
    return None if found >= BINS - 1 else float(2.0 ** ((found - LARGEST) / 2))


@dataclass(slots=True)
class History:
    """Sums of so many streams since each began."""

    cells: Floats  # (S, HOURS, 5), closed hours only
    hour: int  # the open hour, counted since 1970; -1 before the first block
    open: Floats  # (S, 3): n, s1, s2 of the open hour
    first_ms: Integers  # (S,): start of the first block with rows, -1 before
    last_ms: Integers  # (S,): start of the last one
    days: Integers  # (D,): the last DAYS_KEPT days with blocks at most, counted since 1970, oldest first
    daily: Floats  # (S, D, 3): n, s1, s2 of each
    bins: Floats  # (S, BINS)

    @classmethod
    def empty(cls, streams: int = 1) -> History:
        """A history of so many streams without any rows."""
        never = np.full(streams, -1, np.int64)
        return cls(
            np.zeros((streams, HOURS, 5)),
            -1,
            np.zeros((streams, 3)),
            never,
            never.copy(),
            np.zeros(0, np.int64),
            np.zeros((streams, 0, 3)),
            np.zeros((streams, BINS)),
        )

    @property
    def streams(self) -> int:
        """The number of streams."""
        return len(self.first_ms)

    def add(
        self, block_start_ms: int, n: ArrayLike, s1: ArrayLike, s2: ArrayLike, bins: ArrayLike | None = None
    ) -> None:
        """One sealed block: rows n (effective), s1 / n their mean, s2 / n the mean square (S,); bins are (S, BINS)."""
        hour = block_start_ms // HOUR_MS
        if hour != self.hour:
            self._close()
            self.hour = hour
        sums = np.stack(np.broadcast_arrays(*(np.atleast_1d(floats(value)) for value in (n, s1, s2))), axis=-1)
        self.open += sums
        day = block_start_ms // DAY_MS
        if not self.days.size or self.days[-1] != day:
            today = np.zeros((self.streams, 1, 3))
            self.days = np.append(self.days[-(DAYS_KEPT - 1) :], day)
            self.daily = np.concatenate([self.daily[:, -(DAYS_KEPT - 1) :], today], axis=1)
        self.daily[:, -1] += sums
        seen = sums[:, N] > 0
        self.first_ms[seen & (self.first_ms < 0)] = block_start_ms
        self.last_ms[seen] = block_start_ms
        if bins is not None:
            self.bins += floats(bins)

    def _close(self) -> None:
        """Put the open hour into its cell."""
        if self.hour >= 0:
            _put(self.cells[:, (self.hour + EPOCH_HOUR) % HOURS], self.open)
        self.open[:] = 0.0

    def closed(self, rows: ArrayLike) -> Floats:
        """The cells of these streams (R, HOURS, 5) by position, as if the open hour ended now."""
        chosen = np.asarray(rows, np.int64)
        cells = self.cells[chosen]
        if self.hour >= 0:
            _put(cells[:, (self.hour + EPOCH_HOUR) % HOURS], self.open[chosen])
        return cells

    def n(self) -> Floats:
        """Rows of each stream (S,), the open hour included."""
        total: Floats = self.cells[:, :, N].sum(axis=1) + self.open[:, N]
        return total

    def total(self) -> Floats:
        """Sum of the losses of each stream (S,), the open hour included."""
        summed: Floats = self.cells[:, :, S1].sum(axis=1) + self.open[:, S1]
        return summed

    def span_ms(self) -> Integers:
        """Time from the first to the last block with rows (S,); 0 before the second."""
        return self.last_ms - self.first_ms

    def keep(self, rows: ArrayLike) -> History:
        """A history of these streams alone, by position; one position more than once is a copy of that stream."""
        chosen = np.asarray(rows, np.int64)
        return History(
            self.cells[chosen],
            self.hour,
            self.open[chosen],
            self.first_ms[chosen],
            self.last_ms[chosen],
            self.days.copy(),
            self.daily[chosen],
            self.bins[chosen],
        )

    def extended(self, streams: int) -> History:
        """This history with so many more streams, which begin at nothing."""
        more = History.empty(streams)
        return History(
            np.concatenate([self.cells, more.cells]),
            self.hour,
            np.concatenate([self.open, more.open]),
            np.concatenate([self.first_ms, more.first_ms]),
            np.concatenate([self.last_ms, more.last_ms]),
            self.days.copy(),
            np.concatenate([self.daily, np.zeros((streams, self.days.size, 3))]),
            np.concatenate([self.bins, more.bins]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers and lists."""
        return {
            "cells": self.cells.tolist(),
            "hour": self.hour,
            "open": self.open.tolist(),
            "first_ms": self.first_ms.tolist(),
            "last_ms": self.last_ms.tolist(),
            "days": self.days.tolist(),
            "daily": self.daily.tolist(),
            "bins": self.bins.tolist(),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> History:
        """The inverse of to_json, bit for bit."""
        streams = len(saved["first_ms"])
        return cls(
            np.array(saved["cells"], np.float64).reshape(streams, HOURS, 5),
            int(saved["hour"]),
            np.array(saved["open"], np.float64).reshape(streams, 3),
            np.array(saved["first_ms"], np.int64),
            np.array(saved["last_ms"], np.int64),
            np.array(saved["days"], np.int64),
            np.array(saved["daily"], np.float64).reshape(streams, len(saved["days"]), 3),
            np.array(saved["bins"], np.float64).reshape(streams, BINS),
        )


def _put(cell: Floats, hour: Floats) -> None:
    """Add an hour (S, 3) to its cell (S, 5), in place."""
    seen = hour[:, N] > 0
    cell[:, :3] += hour
    cell[:, BETWEEN] += np.nan_to_num(ratio(hour[:, S1] ** 2, hour[:, N]))
    cell[:, SEEN] += seen
