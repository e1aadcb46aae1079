"""Counters of a page, told by their names."""

from __future__ import annotations

from tests.processes import Key, Metrics

SUFFIXES = ("_total", "_bucket", "_count", "_sum")


def counters(metrics: Metrics) -> dict[Key, float]:
    """What must never fall: counters and the parts of histograms. Those of the process begin anew with each process."""
    return {
        key: value for key, value in metrics.items() if key[0].endswith(SUFFIXES) and not key[0].startswith("process_")
    }


def assert_none_fell(before: Metrics, after: Metrics) -> None:
    """Every counter of the first page is on the second one, and no smaller."""
    later = counters(after)
    fallen = {key: (value, later.get(key)) for key, value in counters(before).items() if later.get(key, -1.0) < value}
    assert not fallen, fallen
