"""Samples under construction."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tidegauge.assess.assessment import LIFETIME
from tidegauge.config.durations import format_duration
from tidegauge.publish.samples import AnySamples, Family, Samples


def window_label(width: int) -> str:
    """How a window is spelled in labels."""
    return "lifetime" if width == LIFETIME else format_duration(width)


@dataclass(slots=True)
class Columns:
    """Samples under construction, by family, in the order in which families are first added to."""

    rows: dict[Family, list[tuple[str, ...]]] = field(default_factory=dict)
    values: dict[Family, list[float]] = field(default_factory=dict)
    _there: set[tuple[Family, tuple[str, ...]]] = field(default_factory=set)

    def add(self, family: Family, row: tuple[str, ...], value: float) -> None:
        self.rows.setdefault(family, []).append(row)
        self.values.setdefault(family, []).append(value)

    def once(self, family: Family, row: tuple[str, ...], value: float) -> None:
        """Adds a sample that several windows have in common."""
        if (family, row) not in self._there:
            self._there.add((family, row))
            self.add(family, row, value)

    def samples(self) -> list[AnySamples]:
        """Everything added; unknown values (NaN) are left out, so that they take no room under the cap."""
        built: list[AnySamples] = []
        for family, rows in self.rows.items():
            values = self.values[family]
            known = [number for number, value in enumerate(values) if not math.isnan(value)]
            if len(known) < len(values):
                rows, values = [rows[number] for number in known], [values[number] for number in known]
            built.append(Samples(family, rows, values))
        return built
