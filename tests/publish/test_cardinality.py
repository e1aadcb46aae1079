"""A model's series are capped in the order of their worth, and what is dropped is counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.publish.cardinality import limit_series
from tidegauge.publish.samples import AnySamples, Family, HistogramSamples, Samples

COUNTER = Family("tides_total", "counter", "Tides.", ("n",))
HISTOGRAM = Family("tide_height_meters", "histogram", "Heights.", ("n",))
GAUGES = tuple(Family(f"tide_level_{number}", "gauge", "Level.", ("n",)) for number in range(3))


def _rows(size: int) -> list[tuple[str, ...]]:
    return [(str(number),) for number in range(size)]


def _series(samples: list[AnySamples]) -> int:
    return sum(part.series for part in samples)


def test_under_the_limit_everything_stays_as_it_is() -> None:
    samples: list[AnySamples] = [Samples(GAUGES[0], _rows(5), np.arange(5.0)), Samples(COUNTER, _rows(2), [1, 2])]
    assert limit_series(samples, 7) == (samples, 0)


def test_the_worthiest_gauges_stay_and_the_last_that_fits_keeps_its_first_rows() -> None:
    samples = [Samples(family, _rows(4), np.arange(4.0)) for family in GAUGES]
    kept, dropped = limit_series(samples, 6)
    assert [(part.family.name, len(part.rows)) for part in kept] == [("tide_level_0", 4), ("tide_level_1", 2)]
    second = kept[1]
    assert isinstance(second, Samples)
    assert list(second.values) == [0.0, 1.0]
    assert dropped == 6


def test_counters_and_histograms_stay_whatever_the_limit_and_wherever_they_stand() -> None:
    histogram = HistogramSamples(HISTOGRAM, (1.0,), _rows(2), np.zeros((2, 2), dtype=np.int64), np.zeros(2))
    samples: list[AnySamples] = [
        Samples(GAUGES[0], _rows(3), [1, 2, 3]),
        Samples(COUNTER, _rows(5), [1] * 5),
        histogram,
    ]
    kept, dropped = limit_series(samples, 1)
    assert [part.family.name for part in kept] == ["tides_total", "tide_height_meters"]
    assert dropped == 3


def test_a_histogram_counts_as_all_its_series() -> None:
    histogram = HistogramSamples(HISTOGRAM, (1.0, 2.0), _rows(2), np.zeros((2, 3), dtype=np.int64), np.zeros(2))
    assert histogram.series == 10  # two rows of three buckets, _sum and _count


@given(st.lists(st.tuples(st.sampled_from([COUNTER, *GAUGES]), st.integers(0, 9))), st.integers(0, 40))
def test_kept_and_dropped_make_up_the_whole_and_the_limit_holds(parts: list[tuple[Family, int]], limit: int) -> None:
    samples: list[AnySamples] = [Samples(family, _rows(size), np.zeros(size)) for family, size in parts]
    kept, dropped = limit_series(samples, limit)
    totals = sum(size for family, size in parts if family is COUNTER)
    assert _series(kept) + dropped == _series(samples)
    assert _series(kept) <= max(limit, totals)
    assert dropped == 0 or _series(kept) >= limit
