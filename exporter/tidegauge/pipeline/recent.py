"""How much counters have grown lately, so that what went wrong months ago is not shown as if it went wrong now."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from tidegauge.config.settings import MINUTE

KEPT = 15 * MINUTE
Key = TypeVar("Key", bound=Hashable)


class Recent(Generic[Key]):
    """Remembers a copy of the counters a minute, for a quarter of an hour. Owned by the runner's main thread."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, dict[Key, int]]] = deque()

    def growth(self, now: int, counters: Mapping[Key, int]) -> dict[Key, int]:
        """What each counter has grown by in the last fifteen minutes or so; since the first call, if that is later.

        `now` is any clock in ms. A counter that is lower than it was has begun anew, and counts whole.
        """
        if not self._past or now - self._past[-1][0] >= MINUTE:
            self._past.append((now, dict(counters)))
        while len(self._past) > 1 and now - self._past[1][0] >= KEPT:
            self._past.popleft()
        then = self._past[0][1]
        return {
            key: value - then.get(key, 0) if value >= then.get(key, 0) else value for key, value in counters.items()
        }
