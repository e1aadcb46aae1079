"""Lengths of time as rules spell them, and how they are compressed for a trial."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.config.durations import format_duration

SHORTEST = 1_000
"""ms; compression stops here, since nothing is scraped more often."""


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time, in ms; its text is Prometheus' spelling of it."""

    milliseconds: int

    def __str__(self) -> str:
        return format_duration(self.milliseconds)

    def faster(self, factor: float) -> Duration:
        """So many times shorter, but at least a second. Raises ValueError for a factor that is not positive."""
        if factor <= 0:
            raise ValueError(f"factor: found {factor}; it must be positive")
        return Duration(max(SHORTEST, round(self.milliseconds / factor / SHORTEST) * SHORTEST))


def minutes(count: float) -> Duration:
    return Duration(round(count * 60_000))


def hours(count: float) -> Duration:
    return minutes(60 * count)


def days(count: float) -> Duration:
    return hours(24 * count)
