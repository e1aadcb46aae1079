"""What can be said about logs that do not fit their configuration: a fact, and what to change.

Values and wording only; nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegauge.config.durations import describe_duration
from tidegauge.config.problems import quote
from tidegauge.config.settings import DAY, HOUR, MINUTE, SECOND

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is probably a mistake. `about` is the source or the model, `advice` what to change."""

    about: str
    fact: str
    advice: str


def some(counts: Mapping[str, int], most: int = _SHOWN) -> str:
    """Texts by how often they were seen, most frequent first: `"fraud" 12 times, "ok" once and 3 more`."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{quote(text)} {'once' if count == 1 else f'{count:,} times'}" for text, count in ranked[:most])
    return shown + (f" and {len(ranked) - most:,} more" if len(ranked) > most else "")


def names(texts: Iterable[str], most: int = _SHOWN) -> str:
    """Texts in quotes: `"a", "b" and 3 more`."""
    listed = list(texts)
    shown = ", ".join(quote(text) for text in listed[:most])
    return shown + (f" and {len(listed) - most:,} more" if len(listed) > most else "")


def instant(milliseconds: int) -> str:
    """A time to the second, in UTC."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rough(milliseconds: float) -> str:
    """A duration for people, of at most two units: 3d4h, 12m5s, 850ms."""
    whole = int(abs(milliseconds))
    for unit, finer in ((DAY, HOUR), (HOUR, MINUTE), (MINUTE, SECOND), (SECOND, SECOND)):
        if whole >= unit:
            return describe_duration(whole // finer * finer)
    return f"{whole}ms"
