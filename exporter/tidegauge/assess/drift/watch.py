"""What is known of a model's features from sealed blocks: the references that grow, and the evidence of each stream.

A stream is a version held against a reference. Blocks come in order, each once; the same blocks give the same bits.
The hours of the past rest in a `HourlyHistory`; all else here is small and saved as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import evidence
from tidegauge.assess.drift.design_effect import design_effect
from tidegauge.assess.drift.discovery import strictest_log
from tidegauge.assess.drift.evidence import Block, Evidence
from tidegauge.assess.drift.units import UnitDays
from tidegauge.config.settings import DAY, HOUR, Drift
from tidegauge.tally.families import features as feature_family
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.features.schema import Schema
from tidegauge.tally.history import HourlyHistory

Integers = NDArray[np.int64]

TRAINING, PREVIOUS_VERSION, TRAILING, FIRST = "training", "previous_version", "trailing", "first"
ENOUGH: Final = 100
"""Rows of a version that are weighed at once; fewer wait for more, for an hour at most."""
FIRST_LASTS: Final = DAY
"""The reference "first" covers at least a day, as days have their hours."""


@dataclass(frozen=True, slots=True)
class Held:
    """A version whose rows are weighed, and what they are held against; both by number of a sample."""

    version: str
    reference: str
    now: int
    then: int
    stratum: int = 0


@dataclass(slots=True)
class Samples:
    """What is weighed together: of each sample its counts (columns,) and design effect (F,)."""

    counts: list[Integers] = field(default_factory=list)
    design_effects: list[Floats] = field(default_factory=list)

    def add(self, counts: Integers, repeated: Floats) -> int:
        """The number of the sample."""
        self.counts.append(counts)
        self.design_effects.append(repeated)
        return len(self.counts) - 1


@dataclass(slots=True)
class First:
    """Sums of the model's first predictions."""

    counts: Integers  # (columns,)
    units: Integers  # (GROUPS,)
    records: int = 0
    start: int = 0  # ms
    end: int = 0  # ms; of the last block in it
    complete: bool = False

    def add(self, start: int, block: int, rows: Iterable[Rows], wanted: int) -> None:
        """A block of this width that begins at `start` (ms), until there are as many as wanted, and a day's."""
        found = list(rows)
        if self.complete or not found:
            return
        if not self.records:
            self.start = start
        for now in found:
            self.counts += now.counts
            self.units += now.units
            self.records += now.predictions
        self.end = start + block
        self.complete = self.records >= wanted and self.end - self.start >= FIRST_LASTS

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> First:
        """The inverse of to_json."""
        sums = {name: np.array(saved[name], dtype=np.int64) for name in ("counts", "units")}
        return cls(**(dict(saved) | sums))


@dataclass(frozen=True, slots=True)
class Fixed:
    """What does not change while a schema holds."""

    schema: Schema
    icc: Floats  # (F,)
    drift: Drift
    training: Integers | None  # (columns,); zeros for features that the file lacks
    block: int  # ms
    family: str = feature_family.NAME  # whose columns the schema describes
    maturity: int = 0  # ms; age at which a prediction is counted in it
    watched: int = 0  # things that are watched of the model, these features among them; 0: no others


@dataclass(slots=True)
class Watch:
    """The state; it belongs to the ingest thread."""

    fixed: Fixed
    history: HourlyHistory
    first: First
    streams: dict[tuple[str, str], Evidence] = field(default_factory=dict)
    units: UnitDays = field(default_factory=UnitDays)
    waiting: dict[str, Rows] = field(default_factory=dict)  # sealed, and not weighed yet
    waiting_since: int = 0  # ms; start of the first block that waits
    waiting_baselines: dict[str, str] = field(default_factory=dict)

    def advance(self, start: int, rows: Mapping[str, Rows], baselines: Mapping[str, str]) -> None:
        """After the block that begins at `start` (ms); `baselines` names what each live release is compared with.

        Blocks of few rows are weighed together, within an hour: a year of sparse traffic is read in seconds then.
        """
        if self.waiting and start // HOUR != self.waiting_since // HOUR:
            self._weigh()
        if not self.waiting:
            self.waiting_since = start
        for version, now in rows.items():
            self.units.note(version, start, now.units)
            self.waiting[version] = now.plus(self.waiting.get(version))
        self.waiting_baselines = dict(baselines)
        if max((now.predictions for now in self.waiting.values()), default=0) >= ENOUGH:
            self._weigh()
        for now in rows.values():
            self.history.add(now.code, start, now.counts)
        self.first.add(start, self.fixed.block, rows.values(), self.fixed.drift.first)

    def _weigh(self) -> None:
        """Brings what waits into the evidence, of all streams at once."""
        fixed, start, rows = self.fixed, self.waiting_since, self.waiting
        self.waiting = {}
        samples = Samples()
        streams = list(self._held(start, rows, samples))
        if not streams:
            return
        compared = fixed.schema.compared(np.array(samples.counts))
        size = compared.sum(axis=-1)
        shares = compared / np.maximum(size, 1.0)[..., None]
        repeated = np.array(samples.design_effects)
        now, then = [one.now for one in streams], [one.then for one in streams]
        strata = np.array([[one.stratum] for one in streams])
        block = Block(start, compared[now], shares[then], size[then], repeated[now], repeated[then], strata)
        names = [(one.version, one.reference) for one in streams]
        nothing = Evidence.empty(fixed.schema.real.shape)
        states = evidence.stack([self.streams.get(name, nothing) for name in names])
        needed = strictest_log(self.threshold_log(), len(fixed.schema.features))
        states = evidence.advance(states, block, fixed.schema.real, needed)
        self.streams.update(zip(names, evidence.split(states), strict=True))

    def threshold_log(self) -> float:
        """What the log evidence of a feature alone has to reach; the other features come in when all are judged.

        What is watched beside them has its part of the promise: these have as much of it as they are many.
        """
        streams = self.references() * max(1, len(self.units))
        alone = evidence.threshold_log(self.fixed.drift.false_alarm_interval, self.fixed.block, streams)
        features = len(self.fixed.schema.features)
        return alone + math.log(max(self.fixed.watched, features) / features)

    def references(self) -> int:
        """References in use, which are looked at side by side."""
        wanted = set(self.fixed.drift.references)
        return len(wanted - ({FIRST} if self.fixed.training is not None else {TRAINING}))

    def design_effect(self, version: str) -> Floats:
        """Of each feature (F,), from how often units came back in the last days."""
        return design_effect(self.units.total(version), self.fixed.icc)

    def forget(self, version: str) -> None:
        """Drops the evidence of a version. Its hours are kept under its code: see `HourlyHistory.forget`."""
        self.units.forget(version)
        self.waiting.pop(version, None)
        for stream in [stream for stream in self.streams if stream[0] == version]:
            del self.streams[stream]

    # ---------------------------------------------------------------- what rows are held against

    def lasting_reference(self, *, complete: bool = True) -> tuple[str, Integers, Floats] | None:
        """Name, counts (columns,) and design effect (F,) of the reference that does not change.

        The file's, or the first predictions once they are complete; if that is not asked for, as far as they go.
        """
        fixed = self.fixed
        if fixed.training is not None:
            found = TRAINING, fixed.training, np.ones(len(fixed.icc))
        elif self.first.complete or not complete:
            found = FIRST, self.first.counts, design_effect(self.first.units, fixed.icc)
        else:
            return None
        return found if not complete or found[0] in fixed.drift.references else None

    def _held(self, start: int, rows: Mapping[str, Rows], samples: Samples) -> Iterator[Held]:
        """Each version with rows against each of its references."""
        wanted, lasting, hour = self.fixed.drift.references, self.lasting_reference(), start // HOUR
        same_hours = self.history.same_hours(hour, hour)
        numbers = {version: samples.add(now.counts, self.design_effect(version)) for version, now in rows.items()}
        if lasting is not None:
            name, counts, repeated = lasting
            last = samples.add(counts, repeated)
        for version, number in numbers.items():
            if lasting is not None:
                yield Held(version, name, number, last)
            baseline = numbers.get(self.waiting_baselines.get(version, ""))
            if PREVIOUS_VERSION in wanted and baseline is not None:
                yield Held(version, PREVIOUS_VERSION, number, baseline, start)
            if TRAILING in wanted:
                past = self.history.at(rows[version].code, same_hours)
                if past.any():
                    yield Held(version, TRAILING, number, samples.add(past, samples.design_effects[number]), hour)

    # ---------------------------------------------------------------- state

    def to_json(self) -> dict[str, Any]:
        """All but the history and what is fixed."""
        return {
            "first": self.first.to_json(),
            "streams": [[version, name, state.to_json()] for (version, name), state in self.streams.items()],
            "units": self.units.to_json(),
            "waiting": [[version, _plain_rows(now)] for version, now in self.waiting.items()],
            "waiting_since": self.waiting_since,
            "waiting_baselines": self.waiting_baselines,
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], fixed: Fixed, history: HourlyHistory) -> Watch:
        """What `to_json` gave; fixed and history must be those of then."""
        return cls(
            fixed,
            history,
            First.from_json(saved["first"]),
            {(version, name): Evidence.from_json(state) for version, name, state in saved["streams"]},
            UnitDays.from_json(saved["units"]),
            {version: Rows(**(now | _arrays(now))) for version, now in saved["waiting"]},
            saved["waiting_since"],
            dict(saved["waiting_baselines"]),
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """What a version adds in one block."""

    code: int  # the version's number in this exporter
    counts: Integers  # (columns,)
    units: Integers  # (GROUPS,)
    predictions: int

    def plus(self, before: Rows | None) -> Rows:
        """With what the version had added in the blocks before."""
        if before is None:
            return self
        return Rows(
            self.code, self.counts + before.counts, self.units + before.units, self.predictions + before.predictions
        )


def _plain_rows(rows: Rows) -> dict[str, Any]:
    return {one.name: _plain(getattr(rows, one.name)) for one in fields(rows)}


def _arrays(saved: Mapping[str, Any]) -> dict[str, Integers]:
    return {name: np.array(saved[name], dtype=np.int64) for name in ("counts", "units")}


def begin(fixed: Fixed, history: HourlyHistory) -> Watch:
    """Nothing seen yet."""
    nothing = np.zeros(fixed.schema.columns, dtype=np.int64)
    return Watch(fixed, history, First(nothing, np.zeros(unit_family.GROUPS, dtype=np.int64)))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
