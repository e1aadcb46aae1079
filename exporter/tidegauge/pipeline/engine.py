"""One model at work: its vocabularies, its join, its tally, its totals and its detectors, moved on together.

Records come in as decoded columns; what leaves is read from the parts. Everything here belongs to the ingest thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.detectors.detector import Context, State
from tidegauge.config.settings import CLASSIFICATION, WORDY, Channel, Model
from tidegauge.decode.columns import FeedbackColumns, PredictionColumns
from tidegauge.join.classes import first_classes
from tidegauge.join.contents import Contents
from tidegauge.join.feedback import FEEDBACK, Deferred, Waiting
from tidegauge.join.join import BATCH, NEVER_SEALED, NO_ROW, REPEATED, RESULTS, Arrivals, Join, Outcome
from tidegauge.join.layout import NUMBER, TRUTH, Layout, unit_buckets
from tidegauge.join.rows import NONE, UNNAMED, Labels, Rows, Service
from tidegauge.join.vectors import VectorFile
from tidegauge.join.vocabulary import Vocabulary, word_number
from tidegauge.pipeline.clock import TOLERANCE
from tidegauge.pipeline.features import Features, SavedTables
from tidegauge.pipeline.labels import LabelDrift
from tidegauge.pipeline.recycling import Archive, recycle_slice, recycle_versions
from tidegauge.pipeline.saved_states import SHEETS, SavedStates, name_of
from tidegauge.pipeline.sealing import NEVER_CLUSTERED, Sealing
from tidegauge.reference.value import Reference
from tidegauge.state.spool import Spool
from tidegauge.state.table import Table
from tidegauge.tally.blocks import ARRIVALS, SealedBlock
from tidegauge.tally.families import FAMILIES
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.family import Family
from tidegauge.tally.panes import ladder_of
from tidegauge.tally.tally import Series, Tally
from tidegauge.tally.totals import Totals

ROOMS = (8, 20, 50, 100, 251)
"""Class counts that confusion matrices are laid out for; a model moves up as it meets more classes."""


@dataclass(slots=True)
class Parts:
    """What an engine is made of; new, or restored from saved state."""

    versions: Vocabulary
    classes: Vocabulary
    slices: list[Vocabulary]
    totals: Totals
    detectors: Table | None = None  # saved states
    arrivals_sealed_until: int = NEVER_SEALED
    clustered_from: int = NEVER_CLUSTERED
    archive: Archive = field(default_factory=dict)
    join: Mapping[str, Any] = field(default_factory=dict)  # Join's base, exponent, sequence, sealed_until
    weighted: bool = False
    pending: Table | None = None
    waiting: Table | None = None
    deferred: Table | None = None
    features: Features | None = None
    labels: LabelDrift | None = None
    tally: Tally | None = None


def kind_of(slot: Channel) -> str:
    """What must stay for a slot's saved labels to stay."""
    return slot.kind if slot.carries == "label" else slot.carries


def room_for(model: Model, classes: int) -> int:
    """Classes that the tally must have room for."""
    if model.task == "binary":
        return 2
    return next(room for room in ROOMS if room >= classes)


def families_of(model: Model, room: int) -> list[Family]:
    """Every family that the model keeps."""
    return [family for bind in FAMILIES for family in bind(model, room)]


def fresh_parts(model: Model) -> Parts:
    """The parts of a model that nothing is known of yet."""
    return Parts(
        versions=Vocabulary(model.max_versions + 1),
        classes=first_classes(model),
        slices=[Vocabulary(model.max_slice_values + 1) for _ in model.slices],
        totals=Totals.empty(len(model.slots), len(RESULTS)),
    )


def empty_tally(model: Model, room: int, more: Sequence[Family] = ()) -> Tally:
    """A tally without any counts; `more` are families whose shape has been learned."""
    series = Series(len(model.slices), model.max_slice_values + 1)
    return Tally(model.name, [*families_of(model, room), *more], ladder_of(model), series)


def features_of(model: Model, parts: Parts, training: Reference | None, saved: SavedTables) -> Features:
    """What follows the features of a model with these vocabularies."""
    block = ladder_of(model).block
    return Features(model, block, lambda: parts.versions.texts, lambda: parts.classes.texts, training, saved)


def labels_of(model: Model, parts: Parts, training: Reference | None, saved: SavedTables) -> LabelDrift:
    """What follows the labels of a model with these vocabularies."""
    block = ladder_of(model).block
    given = None if training is None else training.label
    return LabelDrift(model, block, lambda: parts.versions.texts, lambda: parts.classes.texts, given, saved)


class Engine:
    """One model. `records` counts what became of its prediction records since start, for the caller to collect."""

    def __init__(self, model: Model, parts: Parts, spool: Spool | None, training: Reference | None = None) -> None:
        """`training` is the model's reference data, if parts do not hold what follows its features."""
        self.model = model
        self.versions = parts.versions
        self.classes = parts.classes
        self.slices = parts.slices
        self.totals = parts.totals
        self.archive: Archive = dict(parts.archive)
        detectors = parts.detectors or Table(name_of(model.name), SHEETS)
        self.features = parts.features or features_of(model, parts, training, SavedTables())
        self.labels = parts.labels or labels_of(model, parts, training, SavedTables())
        self.sealing = Sealing(
            model,
            SavedStates(detectors),
            self._sealed,
            lambda stream: stream in (ARRIVALS, self.labels.slot),
            parts.arrivals_sealed_until,
            parts.clustered_from,
        )
        self.room = room_for(model, len(parts.classes))
        self.tally = parts.tally or empty_tally(model, self.room, self._learned_families())
        self.records: Counter[tuple[str, str]] = Counter()
        layout = Layout.of(model, weighted=parts.weighted)
        name = model.name
        self.join = Join(
            model,
            self.classes,
            self.tally.ladder.block,
            parts.pending or Table(f"{name}/pending", layout.dtype, capacity=model.max_pending + BATCH),
            layout,
            Waiting(parts.waiting or Table(f"{name}/waiting", FEEDBACK)),
            Deferred(parts.deferred or Table(f"{name}/deferred", FEEDBACK)),
            VectorFile(spool) if spool is not None and model.task == "multiclass" else None,
            Contents(spool),
            **parts.join,
        )
        self._slots = model.slots
        self._places = {slot.key: number for number, slot in enumerate(self._slots)}
        self._forms = np.array(layout.forms)
        # A mistake may be reported in any word; a vote on a two-way question is for one of the two answers.
        self._relative = [
            channel.kind == "mistakes" or (channel.kind == "voluntary" and model.task != "binary")
            for channel in self._slots
        ]

    @property
    def detectors(self) -> Mapping[str, State]:
        """What detectors hold, by detector and stream; see `sealing.key_of`."""
        return self.sealing.states

    # ---------------------------------------------------------------- records

    def accept_predictions(self, columns: PredictionColumns, clock: int, latest: int) -> int:
        """Takes in a batch; returns how many records were accepted.

        `clock` is the time before the batch was read; predictions beyond `latest` (ms) are from the future.
        """
        keep = columns.time <= latest + TOLERANCE
        self.records["predictions", "future"] += len(keep) - int(keep.sum())
        late = columns.time < max(self.tally.oldest_pane(), self.tally.ladder.edges(clock, clock)[-1])
        self.records["predictions", "late"] += int((keep & late).sum())
        keep &= ~late
        while len(self.join.table.rows) - self.join.table.live < len(keep):
            self._thin(clock)
        numbers = np.full(len(keep), NO_ROW, dtype=np.int64)
        numbers[keep] = self.join.claim(columns.key[keep])
        repeated = numbers == REPEATED
        self.records["predictions", "duplicate"] += int(repeated.sum())
        keep &= ~repeated
        index = np.flatnonzero(keep)
        self.records["predictions", "accepted"] += len(index)
        if not len(index):
            return 0
        version = self.versions.encode(columns.version.codes, columns.version.values, absent=NONE)
        for text in self.archive.keys() & set(columns.version.values):
            code = self.versions.known(text)
            if code is not None:
                self.totals.put_back(code, self.archive.pop(text))
        arrivals = Arrivals(
            key=columns.key,
            rows=Rows(
                time=columns.time,
                version=version,
                slices=tuple(self._slice(number, columns) for number in range(len(self.slices))),
                predicted=self._answers(columns),
                score=columns.score,
                value=columns.value,
                labels=self._no_labels(len(version)),
                weight=columns.weight,
                count=columns.count,
                signals=columns.signals,
                unit=unit_buckets(columns.unit, columns.key),
                service=Service(columns.shadow, columns.error, columns.latency_ms / 1000.0),
                features=self.features.complete(columns.features),
            ),
            shadow=columns.shadow,
            scores=columns.scores,
            content=columns.content,
        )
        error, latency, units = columns.error, columns.latency_ms, columns.unit
        if len(index) < len(keep):
            arrivals, error, latency = arrivals.take(index), error[index], latency[index]
            numbers = numbers[index]
            units = None if units is None else units[index]
        if arrivals.content is not None:
            self._miss(list(arrivals.content), ~error)
        self._make_room()
        if columns.unit is not None:
            self.sealing.note_units(columns.time[keep & (columns.unit != 0)])
        rows = arrivals.rows
        self.totals.count_predictions(rows.version, arrivals.shadow, error, latency, rows.time, rows.count)
        self.tally.add(rows, 1, None)
        self.features.arrive(rows, units)
        self.features.note_keys(columns.feature_keys, int(rows.time[0]))
        self._follow(self.join.insert(arrivals, numbers))
        self._keep_bounds(clock)
        return len(index)

    def accept_feedback(self, columns: FeedbackColumns, clock: int) -> None:
        """Takes in a batch of this model's feedback; the channels are this model's."""
        feedback = self.pack(columns, clock)
        received = np.bincount(feedback["channel"], minlength=len(self._slots))
        self.totals.received += received
        self._make_room()
        self._follow(self.join.offer(feedback))
        self._keep_bounds(clock)

    def pack(self, columns: FeedbackColumns, clock: int) -> NDArray[np.void]:
        """Feedback as the join takes it."""
        feedback = np.zeros(len(columns.key), dtype=FEEDBACK)
        feedback["key"] = columns.key
        feedback["time"] = columns.time
        # Before the first prediction a log clock tells nothing.
        feedback["since"] = np.minimum(columns.time, clock) if clock >= 0 else columns.time
        feedback["number"] = columns.value
        feedback["propensity"] = columns.propensity
        feedback["retract"] = columns.retract
        # The batch may name channels of other models; none of these rows is of theirs.
        places = np.array([self._places.get(name, 0) for name in columns.channel.values], dtype=np.uint8)
        feedback["channel"] = places[columns.channel.codes]
        if columns.content is not None and self.model.task in WORDY:
            feedback["content"] = self.join.contents.hold(columns.content)
            labels = feedback["channel"] < len(self.model.channels)
            self._miss(columns.content, labels & ~columns.retract)
            feedback["number"] = [word_number(content) for content in columns.content]
        elif self.model.task in CLASSIFICATION and len(columns.label.values):
            relative = np.array(self._relative, dtype=np.bool_)[feedback["channel"]]
            codes = columns.label.codes
            if relative.any():
                known = np.append([self._known_class(text) for text in columns.label.values], UNNAMED)
                feedback["label"] = known[codes]
                # The class may be seen later than its label is read: the join looks again when it meets the prediction.
                words = np.append([word_number(text) for text in columns.label.values], 0.0)
                feedback["number"] = np.where(relative, words[codes], feedback["number"])
            if not relative.all():
                scored = self._classes_of(np.where(relative, -1, codes), columns.label.values, len(codes))
                feedback["label"] = np.where(relative, feedback["label"], scored)
        if len(self._slots) > len(self.model.channels):
            self._pack_signals(feedback, columns.value)
        return feedback

    def _miss(self, content: list[bytes | None], expected: NDArray[np.bool_]) -> None:
        """Counts the answers or labels that were too long to be kept."""
        if None in content:
            self.join.contents.dropped += sum(content[row] is None for row in np.flatnonzero(expected).tolist())

    def _pack_signals(self, feedback: NDArray[np.void], value: NDArray[np.float64]) -> None:
        form = self._forms[feedback["channel"]]
        signal = feedback["channel"] >= len(self.model.channels)
        feedback["number"] = np.where(signal, value, feedback["number"])
        truth = np.flatnonzero(form == TRUTH)
        feedback["label"][truth] = np.nan_to_num(value[truth]).astype(np.uint16)
        feedback["label"][signal & (form == NUMBER)] = 0

    def _answers(self, columns: PredictionColumns) -> NDArray[np.uint8]:
        """Class codes of the answers; where answers are no classes, 0 for an answer and NONE for none."""
        if self.model.task in WORDY:
            return np.where(columns.error, NONE, 0).astype(np.uint8)
        return self._classes_of(columns.label.codes, columns.label.values, len(columns.time))

    def _known_class(self, text: str) -> int:
        """On channels of reports a label may be any word; one that names no class contradicts them all."""
        code = self.classes.known(text)
        return UNNAMED if code is None else code

    def _classes_of(self, codes: NDArray[np.int32], values: list[str], rows: int) -> NDArray[np.uint8]:
        if self.model.task == "regression":
            return np.full(rows, NONE, dtype=np.uint8)
        if self.model.task == "binary":
            table = np.array([*(text == self.model.positive_label for text in values), NONE], dtype=np.uint8)
            return table[codes]
        used = np.unique(codes[codes >= 0])
        table = np.full(len(values) + 1, NONE, dtype=np.uint8)
        for position in used.tolist():
            table[position] = self.classes.code(values[position])
        return table[codes]

    def _slice(self, number: int, columns: PredictionColumns) -> NDArray[np.uint8]:
        column = columns.slices[self.model.slices[number]]
        return self.slices[number].encode(column.codes, column.values, absent=NONE)

    def _no_labels(self, rows: int) -> tuple[Labels, ...]:
        nobody = np.zeros(rows, dtype=np.bool_)
        code = np.zeros(rows, dtype=np.uint8)
        value = np.zeros(rows)
        return tuple(Labels(nobody, nobody, code, value) for _ in self._slots)

    def _make_room(self) -> None:
        """More classes than the tally has room for: lays it out anew."""
        room = room_for(self.model, len(self.classes))
        if room == self.room:
            return
        self._lay_out(room)

    def _learned_families(self) -> list[Family]:
        return [*self.features.families(), *self.labels.families()]

    def _lay_out(self, room: int) -> None:
        """The same sums in a tally with this room for classes and the features' families of now."""
        wider = empty_tally(self.model, room, self._learned_families())
        wider.take_over(self.tally, self.room, room)
        self.tally, self.room = wider, room

    # ---------------------------------------------------------------- consequences

    def _follow(self, outcome: Outcome) -> None:
        """Brings the sums in line with what the join changed."""
        self._make_room()
        for change in outcome.changes:
            if change.before is not None:
                self.tally.add(self._counted(change.before, change.channels), -1, change.channels)
            if change.after is not None:
                self.tally.add(self._counted(change.after, change.channels), 1, change.channels)
        for settled in outcome.settled:
            self.totals.count_feedback(settled.channel, settled.result, settled.version, settled.delay)

    def _counted(self, rows: Rows, channels: tuple[int, ...]) -> Rows:
        """The rows that can contribute: those with a label on a channel that shares a family with a changed one."""
        related = {
            number
            for family in self.tally.families
            if set(family.channels) & set(channels)
            for number in family.channels
        }
        answered = np.zeros(len(rows), dtype=np.bool_)
        for number in related:
            answered |= rows.labels[number].answered
        return rows if answered.all() else rows.take(np.flatnonzero(answered))

    def _keep_bounds(self, clock: int) -> None:
        while self.join.crowded:
            self._thin(clock)

    def _thin(self, clock: int) -> None:
        for outcome in self.join.thin(clock):
            self._follow(outcome)

    def advance(self, clock: int, read_until: int) -> None:
        """Moves time on: seals blocks, applies what waited for that, ages panes, lets go of what is beyond the horizon.

        `read_until` is the time up to which every source has been read.
        """
        self.sealing.advance(self.tally, self.join, min(clock, read_until), self._context)
        self._learn_features()
        self._learn_labels()
        self._follow(self.join.release())
        sealed_until = min(int(self.join.sealed_until.min()), self.sealing.arrivals_until)
        if sealed_until != NEVER_SEALED:
            self.tally.age(clock, sealed_until)
        # A horizon is time to answer in; what is still to be read has not had it yet.
        self._follow(self.join.expire(min(clock, read_until)))
        self.join.widen_sample(clock)
        self._recycle(clock)

    def could_learn(self, read_until: int) -> bool:
        """Whether `advance` would learn the bins of features now; until then rows pile up that are not counted."""
        needed = self.features.enough_until()
        return needed is not None and read_until - self.model.grace >= needed

    def _learn_features(self) -> None:
        """Once there is enough to learn bins from, counts in them what has arrived so far."""
        until = self.features.due(self.sealing.arrivals_until)
        if until is None:
            return
        uncounted = self.features.learn(until)
        if uncounted is None:
            return
        units = frozenset(() if unit_family.NAME in self.tally.names else (unit_family.NAME,))
        self._lay_out(self.room)
        for rows in uncounted.parts:
            self.tally.add(rows, 1, None, uncounted.families | units)
        self.features.catch_up(uncounted, self.sealing.arrivals_until, self.sealing.lifecycle.releases)

    def _learn_labels(self) -> None:
        """Once there is enough to learn the labels' bins from, counts in them what is still pending."""
        if not self.labels.due():
            return
        self.labels.learn()
        self._lay_out(self.room)
        self.recount(frozenset((self.labels.family,)))

    def _sealed(self, block: SealedBlock, now: Context) -> None:
        self.features.seal(block, now)
        self.labels.seal(block, now)

    def _context(self, stream: Channel) -> Context:
        return Context(
            self.model,
            stream,
            tuple(self.versions.texts),
            tuple(self.classes.texts),
            self.room,
            self.tally.series.split,
            tuple(tuple(values.texts) for values in self.slices),
        )

    def _recycle(self, clock: int) -> None:
        before = clock - self.expiry
        forgotten = recycle_versions(self.versions, self.join, self.tally, self.totals, self.archive, before)
        self.sealing.forget(forgotten)
        free = [code for code, text in enumerate(self.versions.texts) if not text]
        self.features.forget(forgotten, free)
        self.labels.forget(forgotten, free)
        for key, values in enumerate(self.slices):
            recycle_slice(key, values, len(self.versions), self.join, self.tally)

    @property
    def expiry(self) -> int:
        """ms without a prediction after which a version is gone."""
        return max(self.model.version_expiry, self.model.horizon)

    def recount(self, only: frozenset[str] | None = None) -> None:
        """Counts the labels of all pending predictions into families (None: all) that have none of them yet."""
        channels = tuple(range(len(self._slots)))
        for rows in self.join.every_row():
            self.tally.add(self._counted(rows, channels), 1, channels, only)

    # ---------------------------------------------------------------- state

    def tables(self) -> list[Table]:
        """Every table to save."""
        return [
            self.join.table,
            self.join.waiting.table,
            self.join.deferred.table,
            self.sealing.table(),
            *self.features.tables(),
            *self.labels.tables(),
            *self.tally.tables(),
        ]

    def save(self) -> dict[str, Any]:
        """Everything else to save, as JSON values."""
        return {
            "task": self.model.task,
            "slices": list(self.model.slices),
            "channels": [slot.key for slot in self._slots],
            "kinds": [[slot.key, kind_of(slot)] for slot in self._slots],
            "silence": [slot.no_feedback for slot in self._slots],
            "k": self.model.k,
            "normalize": list(self.model.normalize),
            "versions": self.versions.texts,
            "classes": self.classes.texts,
            "slice_values": [vocabulary.texts for vocabulary in self.slices],
            "folded": [vocabulary.folded for vocabulary in (self.versions, self.classes, *self.slices)],
            "positive_label": self.model.positive_label,
            "weighted": self.join.layout.weighted,
            "join": {
                "base": self.join.base,
                "exponent": self.join.exponent,
                "thinned_at": self.join.thinned_at,
                "sequence": self.join.sequence,
                "sealed_until": self.join.sealed_until.tolist(),
            },
            "tally": {
                "widths": list(self.tally.ladder.widths),
                "block": self.tally.ladder.block,
                "edges": list(self.tally.edges),
                "room": self.room,
                "slice_room": self.tally.series.room,
                "families": [[f.name, f.columns, f.sliced, f.schema] for f in self.tally.families],
            },
            "totals": self.totals.save(len(self.versions)),
            "archive": self.archive,
            "arrivals_sealed_until": self.sealing.arrivals_until,
            "clustered_from": self.sealing.clustered_from,
        }
