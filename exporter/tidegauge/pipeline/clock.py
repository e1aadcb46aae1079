"""What time it is: by the wall, or by the logs.

The log clock is the highest accepted prediction timestamp, for replays and tests. Feedback never moves it, a source
may lead the other prediction sources that still have something to read by a day at most, and nothing beyond the wall
clock is accepted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import DAY, MINUTE

TOLERANCE = 5 * MINUTE
"""Prediction times up to this far beyond the clock are believed; clocks of machines differ."""
LEAD = DAY


def wall_now() -> int:
    """The wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class LogClock:
    """The highest prediction time that can be believed; -1 before any."""

    now: int = -1
    highest: dict[str, int] = field(default_factory=dict)  # by source

    def observe(self, source: str, times: NDArray[np.int64], unread: Iterable[str], wall: int) -> None:
        """Hears the prediction times (ms) of a block; `unread` names the prediction sources that have more to read."""
        times = times[times <= wall + TOLERANCE]
        if not len(times):
            return
        self.highest[source] = max(self.highest.get(source, -1), int(times.max()))
        others = [self.highest.get(name, -1) for name in unread if name != source]
        bound = max(others) + LEAD if others and max(others) >= 0 else self.highest[source]
        self.now = max(self.now, min(self.highest[source], bound))
