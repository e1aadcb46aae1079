"""When a version is a release, and what it is compared with: a recursion over blocks of arriving predictions.

A version that is seen for the first time is compared with the one that had the most primary predictions in the 24 hours
before. One that was seen before is no release, however long ago that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tidegauge.config.settings import DAY, HOUR

LEAST_TRAFFIC: Final = 1000  # primary predictions of a baseline in the 24 hours before
SEEN: Final = 1000  # versions whose names are remembered, the latest
KEPT: Final = 50  # releases that are remembered, the latest
LOST: Final = 12  # blocks without a primary prediction after which a version has lost its traffic, at the earliest
GAPS: Final = 5  # times the mean time between its predictions of the last day, too: a rare canary pauses often


@dataclass(frozen=True, slots=True)
class Release:
    """A new version, what it is compared with, and the prediction times between which it is; in ms."""

    candidate: str
    baseline: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What is known of a model's versions."""

    last: Mapping[str, int]  # by version seen: end of the last block with primary predictions of it, ms
    hours: Mapping[str, Mapping[int, int]]  # by version: primary predictions by hour since 1970, of the last 25
    releases: tuple[Release, ...] = ()
    now: int = 0  # end of the last block, ms

    def lost(self, version: str, block: int) -> bool:
        """Whether a version has had no primary prediction for LOST blocks of this width, and GAPS of its own gaps."""
        made = sum(self.hours.get(version, {}).values())
        patience = max(LOST * block, GAPS * DAY // made) if made else LOST * block
        return self.last.get(version, 0) < self.now - patience


NOTHING: Final = Lifecycle({}, {})


def advance(state: Lifecycle, start: int, end: int, primary: Mapping[str, int], duration: int) -> Lifecycle:
    """After a block [start, end) with so many primary predictions by version; a comparison goes on for `duration`."""
    made = {version: count for version, count in primary.items() if count > 0}
    since = (start - DAY) // HOUR
    hours = {
        version: recent
        for version, counts in state.hours.items()
        if (recent := {hour: count for hour, count in counts.items() if hour >= since})
    }
    releases = state.releases
    for version in sorted(made.keys() - state.last.keys()):
        baseline = _busiest(hours)
        if baseline is not None:
            releases = (*releases, Release(version, baseline, start, start + duration))
    hour = start // HOUR
    for version, count in made.items():
        counts = dict(hours.get(version, {}))
        counts[hour] = counts.get(hour, 0) + count
        hours[version] = counts
    last = {**state.last, **dict.fromkeys(made, end)}
    if len(last) > SEEN:
        last = dict(sorted(last.items(), key=lambda one: (one[1], one[0]))[-SEEN:])
    return Lifecycle(last, hours, releases[-KEPT:], end)


def _busiest(hours: Mapping[str, Mapping[int, int]]) -> str | None:
    totals = {version: sum(counts.values()) for version, counts in hours.items()}
    best = max(sorted(totals), key=totals.__getitem__, default=None)
    return best if best is not None and totals[best] >= LEAST_TRAFFIC else None


def forget(state: Lifecycle, version: str) -> Lifecycle:
    """Without the comparison of a version that is gone; its name stays, so that it is no release if it returns."""
    return replace(state, releases=tuple(one for one in state.releases if one.candidate != version))


def save(state: Lifecycle) -> dict[str, Any]:
    """JSON values."""
    return {
        "last": dict(state.last),
        "hours": {version: [[hour, n] for hour, n in counts.items()] for version, counts in state.hours.items()},
        "releases": [[one.candidate, one.baseline, one.start, one.end] for one in state.releases],
        "now": state.now,
    }


def load(saved: Mapping[str, Any]) -> Lifecycle:
    """What `save` gave."""
    return Lifecycle(
        dict(saved["last"]),
        {version: dict(counts) for version, counts in saved["hours"].items()},
        tuple(Release(*values) for values in saved["releases"]),
        saved["now"],
    )
