"""How often units (users, entities) have come back to each version in the last days.

What sealed blocks told, by version and day; the same blocks give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.drift.design_effect import GROUPS
from tidegauge.config.settings import DAY

Integers = NDArray[np.int64]

UNIT_DAYS: Final = 2
"""Days over which units are seen to come back: this one and the one before."""


@dataclass(slots=True)
class UnitDays:
    """Rows by group of units (GROUPS,), of each version and day since 1970."""

    versions: dict[str, dict[int, Integers]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Versions that anything is known of."""
        return len(self.versions)

    def note(self, version: str, start: int, counts: Integers) -> None:
        """Adds a block that begins at `start` (ms)."""
        day = start // DAY
        days = self.versions.setdefault(version, {})
        days[day] = days[day] + counts if day in days else counts.copy()
        for old in [one for one in days if one <= day - UNIT_DAYS]:
            del days[old]

    def total(self, version: str) -> Integers:
        """Of the last days together; zeros where nothing is known."""
        return sum(self.versions.get(version, {}).values(), np.zeros(GROUPS, dtype=np.int64))

    def forget(self, version: str) -> None:
        """Drops what is known of a version."""
        self.versions.pop(version, None)

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {
            version: [[day, counts.tolist()] for day, counts in days.items()] for version, days in self.versions.items()
        }

    @classmethod
    def from_json(cls, saved: dict[str, Iterable[tuple[int, Sequence[int]]]]) -> UnitDays:
        """The inverse of to_json."""
        return cls(
            {
                version: {day: np.array(counts, dtype=np.int64) for day, counts in days}
                for version, days in saved.items()
            }
        )
