"""Seals one model's blocks and moves its detectors on.

Streams are sealed one after the other: the arrivals, then each slot. All of it belongs to the ingest thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.detectors import DETECTORS, lifecycle
from tidegauge.assess.detectors.detector import ARRIVING, Context, Detector, State, View, stream_of
from tidegauge.assess.measures import measures_of
from tidegauge.assess.releases.lifecycle import Lifecycle
from tidegauge.config.settings import Channel, Model
from tidegauge.join.join import NEVER_SEALED, Join
from tidegauge.join.rows import Rows
from tidegauge.pipeline.saved_states import SavedStates
from tidegauge.state.table import Table
from tidegauge.tally.blocks import ARRIVALS, SealedBlock, seal
from tidegauge.tally.tally import Tally

NEVER_CLUSTERED = 1 << 62


def key_of(detector: str, stream: Channel) -> str:
    """What a detector's state of a stream is kept under: a channel's name, a signal's key, nothing for arrivals."""
    return f"{detector}/{stream.key}"


class Sealing:
    """How far arrivals are sealed, since when units are known, and what detectors hold. The join knows of the slots."""

    def __init__(
        self,
        model: Model,
        saved: SavedStates,
        sealed: Callable[[SealedBlock, Context], None],
        follows: Callable[[int], bool],
        arrivals_until: int = NEVER_SEALED,
        clustered_from: int = NEVER_CLUSTERED,
    ) -> None:
        """`sealed` is told of each block of the streams that it `follows`, after the detectors.

        Of the saved states those of streams that the model does not have any more are dropped.
        """
        self.model = model
        self._sealed = sealed
        self._follows = follows
        self.arrivals_until = arrivals_until  # ms
        self.clustered_from = clustered_from  # ms; time of the earliest prediction that carried a unit_id
        self.measures = measures_of(model)
        self._changed = True
        self.states: dict[str, State] = {}
        streams = {stream.key for stream in (ARRIVING, *model.slots)}
        known = {detector.name: detector for detector in DETECTORS}
        self._saved = saved
        self.unusable: list[str] = []  # states of a form that their detector cannot use; they begin anew
        for key, state in saved.read().items():
            name, _, stream = key.partition("/")
            if stream in streams:
                try:
                    self.states[key] = known[name].load(state) if name in known else state
                except (KeyError, TypeError, ValueError):
                    self.unusable.append(key)

    @property
    def clustered(self) -> bool:
        """Whether a record has carried a unit_id."""
        return self.clustered_from != NEVER_CLUSTERED

    @property
    def lifecycle(self) -> Lifecycle:
        """The model's versions as the arrivals tell of them."""
        state: Lifecycle = self.state(lifecycle.DETECTOR, ARRIVING)
        return state

    def view(self, stream: Channel, block: int) -> View:
        """What readings of a stream are made for; `block` is the width of blocks (ms)."""
        return View(self.model, stream, self.measures, self.lifecycle, block)

    def note_units(self, time: NDArray[np.int64]) -> None:
        """Predictions of these times (ms) carry a unit_id."""
        self.clustered_from = min(self.clustered_from, int(time.min(initial=NEVER_CLUSTERED)))

    def state(self, detector: Detector, stream: Channel) -> State:
        """What a detector holds of a stream."""
        found = self.states.get(key_of(detector.name, stream))
        return detector.initial() if found is None else found

    def forget(self, versions: Sequence[str]) -> None:
        """Drops what detectors hold of these versions."""
        for detector in DETECTORS if versions else ():
            self._changed = True
            for key in [key for key in self.states if key.partition("/")[0] == detector.name]:
                for version in versions:
                    self.states[key] = detector.forget(self.states[key], version)

    def table(self) -> Table:
        """The states as they are now, to be saved."""
        if self._changed:
            self._saved.write(self._save())
            self._changed = False
        return self._saved.table

    def _save(self) -> dict[str, Any]:
        known = {detector.name: detector for detector in DETECTORS}
        saved = {}
        for key, state in self.states.items():
            detector = known.get(key.partition("/")[0])
            saved[key] = state if detector is None else detector.save(state)
        return saved

    def advance(self, tally: Tally, join: Join, clock: int, context: Callable[[Channel], Context]) -> None:
        """Seals what is due when everything up to `clock` (ms) has been read."""
        due = [
            (number, stream, start, until)
            for number, stream, start in self._streams(join)
            if (until := (clock - stream.maturity - self.model.grace) // tally.ladder.block * tally.ladder.block)
            > start
        ]
        rows = _PendingRows(join, [(start, until) for number, _, start, until in due if number != ARRIVALS])
        for number, stream, start, until in due:
            readers = [detector for detector in DETECTORS if stream_of(stream) in detector.streams]
            if readers or self._follows(number):
                known = context(stream)
                source = _none_kept if number == ARRIVALS else rows.between
                for block in seal(tally, number, start, until, source):
                    for detector in readers:
                        # Of its first block on, a release is known to those that come after the lifecycle.
                        now = replace(
                            known,
                            clustered=self.clustered_from < block.end,
                            measures=self.measures,
                            releases=self.lifecycle.releases,
                        )
                        state = self.state(detector, stream)
                        self.states[key_of(detector.name, stream)] = detector.advance(state, block, now)
                        self._changed = True
                    if self._follows(number):
                        self._sealed(block, replace(known, releases=self.lifecycle.releases))
            if number == ARRIVALS:
                self.arrivals_until = until
            else:
                join.sealed_until[number] = until
        rows.close()

    def _streams(self, join: Join) -> Iterable[tuple[int, Channel, int]]:
        yield ARRIVALS, ARRIVING, self.arrivals_until
        for number, slot in enumerate(self.model.slots):
            yield number, slot, int(join.sealed_until[number])


def _none_kept(start: int, end: int) -> Rows:
    raise RuntimeError("predictions are not kept for what is counted when they arrive")


class _PendingRows:
    """The pending predictions of the blocks that are sealed together, looked up once and only if somebody asks."""

    def __init__(self, join: Join, spans: Sequence[tuple[int, int]]) -> None:
        self._join: Join | None = join
        self._spans = spans
        self._found: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def between(self, start: int, end: int) -> Rows:
        if self._join is None:
            raise RuntimeError("the rows of a sealed block can be had only while it is being worked on")
        if self._found is None:
            self._found = self._join.within(self._spans)
        time, number = self._found
        first, last = np.searchsorted(time, (start, end))
        return self._join.rows_of(number[first:last])

    def close(self) -> None:
        """From here on labels may change."""
        self._join, self._found = None, None
