"""The clock of replays: the highest accepted prediction time."""

from __future__ import annotations

import numpy as np

from tidegauge.config.settings import DAY, HOUR
from tidegauge.pipeline.clock import LogClock

WALL = 2_000_000_000_000
START = 1_700_000_000_000


def times(*hours: float) -> np.ndarray:
    return np.array([START + int(hour * HOUR) for hour in hours], dtype=np.int64)


def test_it_follows_a_log_over_gaps_and_never_goes_back() -> None:
    clock = LogClock()
    clock.observe("predictions", times(0, 1, 0.5), [], WALL)
    assert clock.now == START + HOUR
    clock.observe("predictions", times(100), [], WALL)
    assert clock.now == START + 100 * HOUR
    clock.observe("predictions", times(50), [], WALL)
    assert clock.now == START + 100 * HOUR


def test_a_source_with_a_wrong_clock_does_not_carry_the_others_into_the_future() -> None:
    clock = LogClock()
    clock.observe("right", times(0, 1), ["right", "wrong"], WALL)
    clock.observe("wrong", times(1000), ["right", "wrong"], WALL)
    assert clock.now == START + HOUR + DAY
    clock.observe("right", times(26), ["right", "wrong"], WALL)
    assert clock.now < START + 50 * HOUR


def test_nothing_beyond_the_wall_clock_counts() -> None:
    clock = LogClock()
    clock.observe("predictions", times(1), [], START + 2 * HOUR)
    clock.observe("predictions", times(5), [], START + 2 * HOUR)
    assert clock.now == START + HOUR
