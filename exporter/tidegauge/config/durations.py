"""Durations as people write them ("1h30m") and as the rest of the program keeps them (whole milliseconds).

A duration has one spelling, because it becomes the `window` label: two spellings would be two series.
"""

from __future__ import annotations

import re

from tidegauge.config.settings import DAY, HOUR, MINUTE, SECOND

_PARTS = re.compile(
    r"(?:(?P<d>[0-9]{1,12})d)?(?:(?P<h>[0-9]{1,12})h)?(?:(?P<m>[0-9]{1,12})m(?!s))?"
    r"(?:(?P<s>[0-9]{1,12})s)?(?:(?P<ms>[0-9]{1,12})ms)?"
)
_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}


def parse_duration(text: str) -> int:
    """Milliseconds of "1h", "90s", "1h30m", "500ms", "7d"; a bare whole number means seconds.

    Units come from large to small, each at most once. Raises ValueError for anything else.
    """
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text) * SECOND
    parts = _PARTS.fullmatch(text)
    if not text or parts is None:
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(number) * _UNITS[unit] for unit, number in parts.groupdict().items() if number)


def format_duration(milliseconds: int) -> str:
    """The one spelling: a whole number of the largest unit that fits; days only beyond 48 hours ("48h", "3d")."""
    if milliseconds > 2 * DAY and milliseconds % DAY == 0:
        return f"{milliseconds // DAY}d"
    for unit, size in (("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def describe_duration(milliseconds: int) -> str:
    """For people: the parts that are not zero, large to small ("14d5m"); reads back as the same duration."""
    parts = []
    for unit, size in _UNITS.items():
        if milliseconds >= size:
            parts.append(f"{milliseconds // size}{unit}")
            milliseconds %= size
    return "".join(parts) or "0s"
