"""The hours of the past are those of a plain dictionary, over gaps, forgotten versions and restarts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tidegauge.config.settings import DAY, HOUR
from tidegauge.tally.history import MOST_SPARE, WEEK_HOURS, HourlyHistory

IS_COUNT = np.array([True, True, False])
DEPTH = 14 * DAY
DEEP = DEPTH // HOUR


@pytest.mark.parametrize("seed", range(4))
def test_hours_are_those_of_a_plain_recount(seed: int) -> None:
    random = np.random.default_rng(seed)
    history = HourlyHistory("m/history", IS_COUNT, DEPTH)
    plain: dict[tuple[int, int], NDArray[np.int64]] = {}
    hour, largest = 480_000, 0
    for _ in range(3000):
        hour += int(random.choice([0, 0, 1, 1, 1, 2, 30, 800], p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.045, 0.005]))
        version = int(random.integers(3))
        sums = random.integers(0, 100, size=3)
        history.add(version, hour * HOUR + int(random.integers(HOUR)), sums)
        place = version, hour
        plain[place] = plain.get(place, np.zeros(3, dtype=np.int64)) + sums
        if random.random() < 0.01:
            history.forget(version)
            plain = {place: held for place, held in plain.items() if place[0] != version}
        if random.random() < 0.02:
            history = HourlyHistory("m/history", IS_COUNT, DEPTH, history.table)
        plain = {place: held for place, held in plain.items() if place[1] >= hour - DEEP}
        largest = max(largest, len(plain))
        asked = int(random.integers(hour - DEEP, hour + 1))
        hours = [asked, asked - WEEK_HOURS, asked + 1]
        for version in range(3):
            found = np.zeros(3, dtype=np.int64)
            for one in hours:
                found += plain.get((version, one), 0)
            assert history.at(version, hours).tolist() == found.tolist()
    assert history.table.high_water <= largest + MOST_SPARE
    assert len(plain) <= history.table.live <= len(plain) + MOST_SPARE


def test_an_hour_of_earlier_weeks_lies_before_what_is_looked_at() -> None:
    history = HourlyHistory("m/history", IS_COUNT, DEPTH)
    assert history.same_hours(1000, 1000) == [1000 - WEEK_HOURS, 1000 - 2 * WEEK_HOURS]
    assert history.same_hours(1000, 1000 - WEEK_HOURS) == [1000 - 2 * WEEK_HOURS]
