"""The widths that time is cut into. Each width divides the next one, so that coarse panes are sums of fine ones.

Assumes nothing but whole milliseconds; the ladder that holds the panes is built elsewhere from these widths.
"""

from __future__ import annotations

from tidegauge.config.durations import format_duration
from tidegauge.config.settings import DAY, HOUR, MINUTE, SECOND

PANE_WIDTHS = (
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
)
SHORTEST_WINDOW = MINUTE
LONGEST_WINDOW = 90 * DAY
MOST_PANES = 500
"""A window such as 7d1s would need 604,801 panes of one second; such windows are refused rather than paid for."""


def pane_width(window: int) -> int:
    """Width in ms of the panes that make up a window of so many ms.

    The largest width of the chain that is at most window / 48 and divides the window: an edge moves by about two
    percent of the window at a time. Raises ValueError, saying what is allowed, if the window is too short, too long or
    divided by no width.
    """
    if not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
        raise ValueError(f"a window from {format_duration(SHORTEST_WINDOW)} to {format_duration(LONGEST_WINDOW)}")
    candidates = [width for width in PANE_WIDTHS if width * 48 <= window]
    width = max((width for width in candidates if window % width == 0), default=0)
    if not width or window // width > MOST_PANES:
        coarse = next(width for width in candidates if window // width <= MOST_PANES)
        raise ValueError(f"a window that is a whole multiple of {format_duration(coarse)}")
    return width
