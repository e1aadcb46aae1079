"""What sealed blocks tell of one feature of vectors: the reference that grows, and the evidence of each stream.

As `watch` does it for features that have bins, but without the trailing reference, which would need hours of many
sums. Blocks come in order, each once; the same blocks give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import evidence, multivariate
from tidegauge.assess.drift.design_effect import multiplicity
from tidegauge.assess.drift.discovery import strictest_log
from tidegauge.assess.drift.multivariate import Block, Runs
from tidegauge.assess.drift.units import UnitDays
from tidegauge.assess.drift.watch import FIRST, PREVIOUS_VERSION, TRAINING, First, Rows
from tidegauge.config.settings import Drift
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.features.embedding import VALID, Projection

Integers = NDArray[np.int64]

REFERENCES: Final = (TRAINING, PREVIOUS_VERSION, FIRST)
"""What vectors can be held against."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What does not change while a projection holds."""

    projection: Projection
    drift: Drift
    training: bool  # whether the projection tells of reference data; else it was learned from first predictions
    watched: int  # things that are watched of the model, this one among them
    block: int  # ms


@dataclass(frozen=True, slots=True)
class Held:
    """What some rows are held against."""

    mean: Floats  # (2 D,)
    rows: float  # 0: there is none
    design_effect: float
    stratum: int = 0


@dataclass(slots=True)
class VectorWatch:
    """The state; it belongs to the ingest thread."""

    fixed: Fixed
    first: First
    icc: float = 1.0  # of phi within units; 1, on the safe side, until it is learned
    streams: dict[tuple[str, str], Runs] = field(default_factory=dict)
    units: UnitDays = field(default_factory=UnitDays)

    def advance(self, start: int, rows: Mapping[str, Rows], baselines: Mapping[str, str]) -> None:
        """After the block that begins at `start` (ms); `baselines` names what each live release is compared with."""
        fixed = self.fixed
        for version, now in rows.items():
            self.units.note(version, start, now.units)
        for version, now in rows.items():
            valid = int(now.counts[VALID])
            if not valid:
                continue
            mean, repeated = fixed.projection.means(now.counts), self.design_effect(version)
            for name, held in self._held(version, start, rows, baselines):
                state = self.streams.get((version, name)) or Runs.empty(mean.shape)
                block = Block(start, mean, valid, held.mean, held.rows, repeated, held.design_effect, held.stratum)
                self.streams[version, name] = multivariate.advance(
                    state, block, fixed.projection.spectrum, self.needed_log()
                )
        self.first.add(start, fixed.block, rows.values(), fixed.drift.first)

    def needed_log(self) -> float:
        """What the log evidence has to reach: as much as if nothing else that is watched had moved."""
        streams = len(self.references()) * max(1, len(self.units))
        alone = evidence.threshold_log(self.fixed.drift.false_alarm_interval, self.fixed.block, streams)
        return strictest_log(alone, self.fixed.watched)

    def references(self) -> list[str]:
        """Those in use, in the configuration's order."""
        absent = FIRST if self.fixed.training else TRAINING
        return [name for name in self.fixed.drift.references if name in REFERENCES and name != absent]

    def design_effect(self, version: str) -> float:
        """From how often units came back in the last days."""
        return self.design_effect_of(self.units.total(version))

    def design_effect_of(self, units: Integers) -> float:
        """From rows by group of units (GROUPS,)."""
        return 1.0 + (float(multiplicity(units)) - 1.0) * self.icc

    def forget(self, version: str) -> None:
        """Drops what is known of a version."""
        self.units.forget(version)
        for stream in [stream for stream in self.streams if stream[0] == version]:
            del self.streams[stream]

    def lasting(self) -> tuple[str, Held] | None:
        """Name and value of the reference that does not change: that of the file, or the complete first predictions."""
        projection = self.fixed.projection
        if self.fixed.training:
            name, held = TRAINING, Held(np.array(projection.mean), float(projection.rows), 1.0)
        elif self.first.complete and self.first.counts[VALID]:
            sums = self.first.counts
            repeated = self.design_effect_of(self.first.units)
            name, held = FIRST, Held(projection.means(sums), float(sums[VALID]), repeated)
        else:
            return None
        return (name, held) if name in self.fixed.drift.references else None

    def _held(
        self, version: str, start: int, rows: Mapping[str, Rows], baselines: Mapping[str, str]
    ) -> Iterator[tuple[str, Held]]:
        lasting = self.lasting()
        if lasting is not None:
            yield lasting
        baseline = rows.get(baselines.get(version, ""))
        if PREVIOUS_VERSION in self.fixed.drift.references and baseline is not None and baseline.counts[VALID]:
            then = self.fixed.projection.means(baseline.counts)
            repeated = self.design_effect(baselines[version])
            yield PREVIOUS_VERSION, Held(then, float(baseline.counts[VALID]), repeated, start)

    # ---------------------------------------------------------------- state

    def save(self) -> dict[str, Any]:
        """All but what is fixed: plain values, and arrays in `streams`."""
        return {
            "first": self.first.to_json(),
            "icc": self.icc,
            "streams": [[version, name, multivariate.arrays(state)] for (version, name), state in self.streams.items()],
            "units": self.units.to_json(),
        }

    @classmethod
    def load(cls, saved: Mapping[str, Any], fixed: Fixed) -> VectorWatch:
        """What `save` gave; `fixed` must be that of then."""
        return cls(
            fixed,
            First.from_json(saved["first"]),
            float(saved["icc"]),
            {(version, name): Runs(**state) for version, name, state in saved["streams"]},
            UnitDays.from_json(saved["units"]),
        )


def begin(fixed: Fixed) -> VectorWatch:
    """Nothing seen yet."""
    sums = np.zeros(fixed.projection.columns, dtype=np.int64)
    return VectorWatch(fixed, First(sums, np.zeros(unit_family.GROUPS, dtype=np.int64)))
