"""Pane widths: windows are whole panes, panes nest, and no window costs more panes than it is worth."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.config.durations import parse_duration
from tidegauge.config.panes import LONGEST_WINDOW, MOST_PANES, PANE_WIDTHS, pane_width


@pytest.mark.parametrize(
    ("window", "width"),
    [
        ("1m", "1s"),
        ("5m", "5s"),
        ("1h", "1m"),
        ("90m", "1m"),
        ("24h", "30m"),
        ("7d", "2h"),
        ("30d", "12h"),
        ("90d", "1d"),
        ("25h", "30m"),
        ("24h5m", "5m"),
    ],
)
def test_usual_windows_move_by_about_two_percent(window: str, width: str) -> None:
    assert pane_width(parse_duration(window)) == parse_duration(width)


def test_every_width_divides_the_next_one() -> None:
    assert all(wide % narrow == 0 for narrow, wide in pairwise(PANE_WIDTHS))


@pytest.mark.parametrize("window", ["0s", "59s", "59999ms", "91d", "90d1s"])
def test_windows_beyond_the_bounds_are_refused_with_the_bounds(window: str) -> None:
    with pytest.raises(ValueError, match="from 1m to 90d"):
        pane_width(parse_duration(window))


@pytest.mark.parametrize(("window", "multiple"), [("60500ms", "1s"), ("7d1s", "30m"), ("89d1m", "6h")])
def test_windows_that_only_tiny_panes_divide_are_refused_with_a_multiple_that_works(window: str, multiple: str) -> None:
    with pytest.raises(ValueError, match=f"a whole multiple of {multiple}$"):
        pane_width(parse_duration(window))


@given(st.integers(60, LONGEST_WINDOW // 1_000))
def test_an_accepted_window_is_whole_panes_of_the_widest_fitting_width(seconds: int) -> None:
    window = seconds * 1_000
    try:
        width = pane_width(window)
    except ValueError:
        fitting = [width for width in PANE_WIDTHS if width <= window / 48 and window % width == 0]
        assert all(window / width > MOST_PANES for width in fitting)
        return
    assert window % width == 0
    assert 48 <= window // width <= MOST_PANES
    assert not any(width < other <= window / 48 and window % other == 0 for other in PANE_WIDTHS)
