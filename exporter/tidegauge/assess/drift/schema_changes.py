"""Which names the `features` object of the records has: what appears there, and what goes, is a change of the schema.

One record of a block is looked at, not all, so a name in one record of thousands may be seen late. Times are those of
the records, in ms; blocks may come in any order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tidegauge.config.settings import DAY

MOST: Final = 500  # names that are remembered
FORGOTTEN: Final = 30 * DAY  # a name that was not seen for so long makes room
LEARNED: Final = DAY  # what is seen so long after the first record belongs to the schema
SHOWN: Final = DAY  # a new name is called new for so long


@dataclass(frozen=True, slots=True)
class Sight:
    """When a name was there; ms."""

    first: int
    last: int
    given: bool  # part of the schema whenever it was first seen: configured, or seen while bins were learned


@dataclass(frozen=True, slots=True)
class Keys:
    """The names seen of one model."""

    seen: Mapping[str, Sight]
    start: int | None = None  # of the first record looked at
    last: int | None = None  # of the latest
    dropped: int = 0  # sights of names for which there was no room


NOTHING: Final = Keys({})


def advance(state: Keys, keys: Collection[str], time: int, configured: Collection[str], learning: bool = False) -> Keys:
    """After a record of this time with these keys.

    configured: the names that the configuration lists; they are never new. learning: whether the model's bins are
    still learned from its first predictions; what is seen then is known, however long that takes.
    """
    start = time if state.start is None else min(state.start, time)
    last = time if state.last is None else max(state.last, time)
    seen = {
        name: replace(sight, given=sight.given or name in configured)
        for name, sight in state.seen.items()
        if sight.last >= last - FORGOTTEN
    }
    dropped = state.dropped
    # Configured names first: they must find room whatever else a record brings.
    for name in sorted(keys, key=lambda name: (name not in configured, name)):
        before = seen.get(name)
        if before is not None:
            seen[name] = replace(before, first=min(before.first, time), last=max(before.last, time))
        elif len(seen) < MOST or (name in configured and _make_room(seen, configured)):
            seen[name] = Sight(time, time, learning or name in configured)
        else:
            dropped += 1
    return Keys(seen, start, last, dropped)


def _make_room(seen: dict[str, Sight], configured: Collection[str]) -> bool:
    others = [(sight.last, name) for name, sight in seen.items() if name not in configured]
    if others:
        del seen[min(others)[1]]
    return bool(others)


def appeared(state: Keys, now: int) -> tuple[str, ...]:
    """Names that are new: not part of the schema, and first seen less than a day before `now`. Sorted."""
    learned = 0 if state.start is None else state.start + LEARNED
    new = {name: sight.first for name, sight in state.seen.items() if not sight.given and sight.first >= learned}
    return tuple(sorted(name for name, first in new.items() if now < first + SHOWN))


def vanished(state: Keys, configured: Collection[str], all_missing: Collection[str], since: int) -> tuple[str, ...]:
    """Configured names that no record looked at has had since then, while every row's value is missing. Sorted.

    all_missing: features without a value in the window that began at `since`. Nothing is said before a record of the
    window was looked at. A name that is there with null is a matter of data, not of the schema.
    """
    if state.last is None or state.last < since:
        return ()
    gone = set(configured) & set(all_missing)
    return tuple(sorted(name for name in gone if name not in state.seen or state.seen[name].last < since))


def save(state: Keys) -> dict[str, Any]:
    """JSON values."""
    return {
        "seen": {name: [sight.first, sight.last, sight.given] for name, sight in state.seen.items()},
        "start": state.start,
        "last": state.last,
        "dropped": state.dropped,
    }


def load(saved: Mapping[str, Any]) -> Keys:
    """What `save` gave."""
    seen = {name: Sight(*values) for name, values in saved["seen"].items()}
    return Keys(seen, saved["start"], saved["last"], saved["dropped"])
