"""Short versions of the bars that bench/statistics_drift.py measures in full."""

from __future__ import annotations

import pytest

from bench import statistics_drift as bench
from bench.statistics_drift import Figure


def missed(figures: list[Figure]) -> list[str]:
    """Those that miss their bar by more than chance."""
    return [f"{one.group}, {one.cell}: {one.value}" for one in figures if not one.good]


def test_no_window_has_a_detection_where_nothing_moves() -> None:
    assert not missed(list(bench.quiet(40)))


def test_shifts_are_detected_in_the_first_whole_window_and_ranked_first() -> None:
    assert not missed(list(bench.shifts(15, bench.WINDOW)))


def test_a_design_effect_keeps_repeated_units_from_false_detections_that_are_certain_without() -> None:
    figures = list(bench.repeated(30))
    assert not missed(figures)
    assert min(one.value for one in figures if one.bar is None) > 0.1


@pytest.mark.parametrize("level", [0.05])
def test_p_values_and_floors_are_at_their_level_in_every_cell(level: float) -> None:
    figures = [one for one in bench.levels(25) if one.group.startswith(("excess", f"p-values below {level:g}"))]
    assert not missed(figures)
