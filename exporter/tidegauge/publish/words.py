"""Numbers, durations and times as people read them. Pure functions; nothing here is markup."""

from __future__ import annotations

import math
from datetime import datetime

_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LARGE = ((1e15, "×10¹⁵"), (1e12, "T"), (1e9, "G"), (1e6, "M"))
_MOST_DECIMALS = 6
UNKNOWN = "–"


def duration(seconds: float) -> str:
    """The two largest units: "3 h 20 min", "45 s", "0.25 s"; the smaller one is left out when it is zero.

    Days come in beyond 48 hours, as in window labels.
    """
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 10 and not float(seconds).is_integer():
        return f"{seconds:.2g} s"
    left = round(seconds)
    parts: list[str] = []
    for place, (size, unit) in enumerate(_SPANS):
        if left >= size and (unit != "d" or left > 2 * size):
            # Rounded to the second unit, so that it is never a lower bound in disguise.
            smaller = _SPANS[min(place + 1, len(_SPANS) - 1)][0]
            left = round(left / smaller) * smaller
            parts.append(f"{left // size} {unit}")
            if left % size:
                parts.append(f"{left % size // smaller} {_SPANS[place + 1][1]}")
            break
    return " ".join(parts) or "0 s"


def count(number: float) -> str:
    """A whole number with separators, or in millions and beyond with three digits: "12,345", "1.23 M"."""
    if not math.isfinite(number):
        return UNKNOWN
    for size, unit in _LARGE:
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}" if abs(number) < 1000 * size else f"{number:.3g}"
    return f"{number:,.0f}"


def amount(number: float, singular: str, plural: str = "") -> str:
    """A number with its noun: "1 prediction", "1,234 predictions"."""
    return f"{count(number)} {singular if round(number) == 1 else plural or singular + 's'}"


def size(number: float) -> str:
    """Bytes in decimal units: "512 B", "1.2 MB"."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:.0f} B"


def percent(ratio: float) -> str:
    """A share in percent, with more digits towards both ends: 99.97 % is not 100 %."""
    hundred = 100 * ratio
    near = min(abs(hundred), abs(100 - hundred))
    decimals = 0 if hundred in (0, 100) or near >= 10 else 1 if near >= 1 else 2
    shown = f"{hundred:.{decimals}f}"
    if near and float(shown) in (0, 100):
        return "under 0.01 %" if hundred < 50 else "over 99.99 %"
    return f"{shown} %"


def decimals_for(lower: float | None, upper: float | None, *values: float | None) -> int:
    """Decimals that show an interval's width to a fifth or better; from the values' size where there is no interval."""
    if lower is not None and upper is not None and upper > lower:
        wanted = 1 - math.floor(math.log10(2 * (upper - lower)))
    else:
        largest = max((abs(value) for value in values if value), default=1.0)
        wanted = 3 - math.floor(math.log10(largest))
    return min(_MOST_DECIMALS, max(0, wanted))


def number(value: float | None, decimals: int) -> str:
    """A measured value with so many decimals; very large and very small ones in scientific notation."""
    if value is None:
        return UNKNOWN
    if value and (abs(value) >= 1e9 or abs(value) < 10.0 ** -(decimals + 1)):
        return f"{value:.3g}"
    return f"{value:,.{decimals}f}"


def plain(value: float) -> str:
    """A configured value as it would be written."""
    return f"{value:,.10g}" if abs(value) < 1e9 else f"{value:.4g}"


def span(lower: float | None, upper: float | None, decimals: int) -> str:
    """An interval: "0.941 to 0.954"."""
    if lower is None or upper is None:
        return ""
    return f"{number(lower, decimals)} to {number(upper, decimals)}"


def clock(time: datetime | None) -> str:
    """Date and time in UTC, to the second."""
    return UNKNOWN if time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(time: datetime, now: datetime) -> str:
    """How long ago: "4 s ago", "in 3 min", "just now"."""
    seconds = (now - time).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{duration(round(seconds))} ago" if seconds > 0 else f"in {duration(round(-seconds))}"


def window_words(window: str) -> str:
    """A window label in a sentence: "over the last 24 h"."""
    return "since the state began" if window == "lifetime" else f"over the last {window_span(window)}"


def window_span(window: str) -> str:
    """A window label as a length of time: 30m is "30 min"."""
    if window == "lifetime":
        return "all time"
    digits = window.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = window[len(digits) :]
    return f"{digits} {'min' if unit == 'm' else unit}"
