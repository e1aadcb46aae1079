"""What one model sees and answers: learns the bins, has rows counted in them, follows the sealed blocks.

The bins come from the model's reference file, and for what that lacks from its first predictions. Everything here
belongs to the ingest thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.detectors.detector import Context
from tidegauge.assess.drift import schema_changes
from tidegauge.assess.drift.schema_changes import Keys
from tidegauge.assess.drift.watch import Fixed, Watch, begin
from tidegauge.assess.drift.watch import Rows as BlockRows
from tidegauge.assess.releases.lifecycle import Release
from tidegauge.config.settings import Model
from tidegauge.config.watched import numeric_names
from tidegauge.join.rows import FeatureValues, Rows
from tidegauge.pipeline.learning import LearningBuffer, joined
from tidegauge.pipeline.saved_states import SHEETS, SavedBytes
from tidegauge.pipeline.sealed_rows import live_baselines, of_block, of_rows
from tidegauge.pipeline.vectors import Vectors
from tidegauge.reference.value import Reference
from tidegauge.state.table import Table
from tidegauge.tally.blocks import ARRIVALS, SealedBlock
from tidegauge.tally.families import features as feature_family
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.families import vectors as vector_family
from tidegauge.tally.family import Family
from tidegauge.tally.features.counts import FeatureCounter
from tidegauge.tally.features.joint import Pca, learn_pca, with_errors
from tidegauge.tally.features.learn import Sample, intraclass, learn
from tidegauge.tally.features.schema import Schema
from tidegauge.tally.features.vectors import promised
from tidegauge.tally.features.watched import PREDICTION, RECONSTRUCTION, SCORE, reconstructs, watched
from tidegauge.tally.history import HourlyHistory, dtype_of

Texts = Callable[[], Sequence[str]]


@dataclass(slots=True)
class SavedTables:
    """Tables that were saved; None: nothing was."""

    learning: Table | None = None
    state: Table | None = None
    history: Table | None = None
    vectors: Table | None = None


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Rows that arrived before it was known how to count them, and the families in which they are to be counted."""

    parts: Sequence[Rows]  # in order of arrival
    families: frozenset[str]

    def before(self, time: int) -> Rows:
        """Those of the time before that (ms)."""
        return joined([rows.take(np.flatnonzero(rows.time < time)) for rows in self.parts])


def learning_table(model: str) -> str:
    """Name of the table of the rows that bins are learned from."""
    return f"{model}/features/learning"


def state_table(model: str) -> str:
    """Name of the table of everything small."""
    return f"{model}/features/state"


def history_table(model: str) -> str:
    """Name of the table of past hours."""
    return f"{model}/features/history"


class Features:
    """One model's."""

    def __init__(
        self, model: Model, block: int, versions: Texts, classes: Texts, training: Reference | None, saved: SavedTables
    ) -> None:
        """`block` in ms; versions and classes by code. Saved state of another configuration is left, and said so."""
        self.model = model
        self.notes: list[str] = []  # what was left, in words
        self._block = block
        self._versions = versions
        self._classes = classes
        self._training = training
        self._learning = SavedBytes(saved.learning or Table(learning_table(model.name), SHEETS))
        self._state = SavedBytes(saved.state or Table(state_table(model.name), SHEETS))
        self._changed = True
        self._buffer: LearningBuffer | None = None
        self._buffered = -1  # rows of the buffer that are saved
        self.changes: Keys = schema_changes.NOTHING
        self.schema: Schema | None = None
        self.counter: FeatureCounter | None = None
        self.watch: Watch | None = None
        projections: Mapping[str, Any] = {} if training is None else training.projections
        self._reconstructs = reconstructs(model)
        section = projections.get("reconstruction") if self._reconstructs else None
        self._given_pca = None if section is None else Pca.from_json(section)
        self._pca = self._given_pca
        self.vectors = Vectors(model, block, versions, projections)
        known = self._known()
        if known is None:
            self._start_anew()
            self.vectors.start_anew(saved.vectors)
        else:
            self.vectors.go_on(saved.vectors)
            self._go_on(known, saved)

    # ---------------------------------------------------------------- rows

    @property
    def learning(self) -> bool:
        """Whether bins are still to be learned, of some feature at least."""
        return self._buffer is not None

    @property
    def learned(self) -> int:
        """Predictions that are held to learn bins from."""
        return 0 if self._buffer is None else len(self._buffer)

    def families(self) -> list[Family]:
        """What the tally keeps of features now."""
        found = self.vectors.families()
        if self.counter is not None and self.counter.schema.columns:
            found.insert(0, feature_family.family(self.counter, self._classes))
        return [*found, unit_family.family()] if found else []

    def complete(self, values: FeatureValues | None) -> FeatureValues | None:
        """What a record's features are as they are counted: with what is made of them."""
        if values is None or self._pca is None:
            return values
        return with_errors(values, len(numeric_names(self.model)), self._pca)

    def arrive(self, rows: Rows, units: NDArray[np.uint64] | None) -> None:
        """Rows that have just arrived, with the hashes of their unit ids (0: none)."""
        if self._buffer is not None:
            self._buffer.add(rows, units)

    def enough_until(self) -> int | None:
        """The end (ms) of the block that must be sealed for bins to be learned; None: it is not known, or they are."""
        return None if self._buffer is None else self._buffer.enough_until(self._block)

    def due(self, sealed_until: int) -> int | None:
        """The end (ms) of the predictions from which bins can now be learned; None: not yet, or known already."""
        return None if self._buffer is None else self._buffer.ripe(sealed_until, self._block)

    def learn(self, until: int) -> Uncounted | None:
        """Learns from what arrived with a time before that; returns the rows that are to be counted now.

        None: all was known, and all rows are counted already.
        """
        assert self._buffer is not None
        parts = self._buffer.parts()
        early, units = self._buffer.before(until)  # whatever the order of arrival, learn the same
        self._buffer, self._buffered, self._changed = None, -1, True
        self._learning.write(b"")
        vectors = self.vectors.learn(early, units)
        if self._reconstructs and early.features is not None:
            self._pca = self._pca or _learned_pca(early.features, len(numeric_names(self.model)))
            early, *parts = [self._with_errors(rows) for rows in (early, *parts)]
        new = {vector_family.name_of(name) for name in vectors}
        if self._learn_bins(Sample.of(early, self._classes(), units)):
            new.add(feature_family.NAME)
        return Uncounted(parts, frozenset(new)) if new else None

    def _with_errors(self, rows: Rows) -> Rows:
        if rows.features is None:
            return rows
        return replace(rows, features=with_errors(rows.features, len(numeric_names(self.model)), self._pca))

    def _learn_bins(self, sample: Sample) -> bool:
        """Whether they are others than before."""
        schema = self._learned(sample)
        icc = np.maximum(intraclass(schema, self.model, [sample]), self._given_icc(schema))
        if self.schema is not None and self.watch is not None and schema.id == self.schema.id:
            self.watch.fixed = replace(self.watch.fixed, icc=icc)
            return False
        self._use(schema, FeatureCounter(schema, self.model), icc)
        return True

    def _learned(self, sample: Sample) -> Schema:
        given = {} if self._training is None else {bins.name: bins for bins in self._training.schema.features}
        learned = {bins.name: bins for bins in learn(self.model, [sample]).features}
        known = learned | given
        # A model that gives no scores has not lost them.
        if SCORE not in given and not np.isfinite(sample.score).any():
            known.pop(SCORE, None)
        if PREDICTION not in given and not (np.isfinite(sample.value).any() or (sample.predicted.codes >= 0).any()):
            known.pop(PREDICTION, None)
        if self._pca is None:
            known.pop(RECONSTRUCTION, None)
        return Schema(tuple(known[one.name] for one in watched(self.model) if one.name in known))

    def catch_up(self, uncounted: Uncounted, sealed_until: int, releases: Sequence[Release]) -> None:
        """Follows the blocks that were sealed before their rows could be counted; `releases` are all that are known."""
        assert self.counter is not None
        rows = uncounted.before(sealed_until)
        if feature_family.NAME in uncounted.families:
            sums = feature_family.sums_of(self.counter, self._classes)
            for start, found in of_rows(rows, sealed_until, self._block, self._versions(), sums):
                self._advance(start, found, live_baselines(releases, start))
        self.vectors.catch_up(uncounted.families, rows, sealed_until, releases)

    def note_keys(self, keys: frozenset[str], time: int) -> None:
        """The features that a record of about this time (ms) has."""
        if keys:
            configured = {feature.name for feature in self.model.features}
            changed = schema_changes.advance(self.changes, keys, time, configured, self.schema is None)
            self._changed |= changed != self.changes
            self.changes = changed

    # ---------------------------------------------------------------- blocks

    def seal(self, block: SealedBlock, now: Context) -> None:
        """A block of some stream is final."""
        if block.channel != ARRIVALS:
            return
        rows = of_block(block, feature_family.NAME, now, self._versions())
        if rows is not None and self.watch is not None:
            self._advance(block.start, rows, live_baselines(now.releases, block.start))
        self.vectors.seal(block, now)

    def _advance(self, start: int, rows: Mapping[str, BlockRows], baselines: Mapping[str, str]) -> None:
        assert self.watch is not None
        self.watch.advance(start, rows, baselines)
        self._changed = True

    def forget(self, versions: Sequence[str], codes: Sequence[int]) -> None:
        """Versions that are gone for good, and codes that are free for others."""
        if self.watch is not None:
            for version in versions:
                self.watch.forget(version)
            for code in codes:
                self.watch.history.forget(code)
        if self.counter is not None:
            self.counter.forget(codes)
        self.vectors.forget(versions)
        self._changed |= bool(versions)

    # ---------------------------------------------------------------- state

    def tables(self) -> list[Table]:
        """Every table to save."""
        if self._buffer is not None and self._buffered != len(self._buffer):
            self._learning.write(self._buffer.save())
            self._buffered = len(self._buffer)
        if self._changed:
            self._state.write(zlib.compress(msgspec.json.encode(self._to_json()), level=1))
            self._changed = False
        history = [] if self.watch is None else [self.watch.history.table]
        return [self._learning.table, self._state.table, *history, *self.vectors.tables()]

    def _to_json(self) -> dict[str, Any]:
        saved: dict[str, Any] = self._signature() | {
            "learning": self._buffer is not None,
            "changes": schema_changes.save(self.changes),
            "pca": None if self._pca is None else self._pca.to_json(),
        }
        if self.schema is not None and self.counter is not None and self.watch is not None:
            last = [[version, name, value] for (version, name), value in self.counter.last.items()]
            saved |= {
                "schema": self.schema.to_json(),
                "icc": self.watch.fixed.icc.tolist(),
                "last": last,
                "watch": self.watch.to_json(),
            }
        return saved

    def _signature(self) -> dict[str, Any]:
        """What must be the same for saved state to go on."""
        return {
            "watched": [[one.name, one.kind, one.boolean] for one in watched(self.model)],
            "reference": None if self._training is None else self._training.schema.id,
            "vectors": self.vectors.signature(),
            "given_pca": None if self._given_pca is None else self._given_pca.to_json(),
        }

    def _known(self) -> Mapping[str, Any] | None:
        """The saved state, if it is of this configuration."""
        content = self._state.read()
        if not content:
            return None
        try:
            known: dict[str, Any] = msgspec.json.decode(zlib.decompress(content))
            if any(known.get(name) != value for name, value in self._signature().items()):
                self.notes.append("the bins of features: what is watched, or the reference, has changed")
                return None
            return known
        except (ValueError, zlib.error):
            self.notes.append("the bins of features: they were saved in another form")
            return None

    def _start_anew(self) -> None:
        if self.model.drift.learning:
            self._buffer = LearningBuffer(self.model.drift.learning)
        self._learning.write(b"")
        if self._training is not None and self._training.schema.features:
            schema = self._training.schema
            self._use(schema, FeatureCounter(schema, self.model), self._given_icc(schema))

    def _go_on(self, known: Mapping[str, Any], saved: SavedTables) -> None:
        self.changes = schema_changes.load(known["changes"])
        self._pca = None if known["pca"] is None else Pca.from_json(known["pca"])
        if known["learning"]:
            self._buffer = LearningBuffer(self.model.drift.learning, self._learning.read())
        if "schema" not in known:
            return
        schema = Schema.from_json(known["schema"])
        last = {(version, name): value for version, name, value in known["last"]}
        counter = FeatureCounter(schema, self.model, last)
        self._use(schema, counter, np.array(known["icc"], dtype=np.float64), saved.history)
        assert self.watch is not None
        self.watch = Watch.from_json(known["watch"], self.watch.fixed, self.watch.history)

    def _use(
        self, schema: Schema, counter: FeatureCounter, icc: NDArray[np.float64], history: Table | None = None
    ) -> None:
        """From now on these are the bins; what was known with others is gone."""
        is_count = count_columns(schema)
        if history is not None and history.dtype != dtype_of(is_count):
            history = None
        past = HourlyHistory(history_table(self.model.name), is_count, self.model.drift.trailing, history)
        training = None if self._training is None else _fitted(self._training, schema)
        self.schema, self.counter = schema, counter
        drift, together = self.model.drift, promised(self.model)
        self.watch = begin(Fixed(schema, icc, drift, training, self._block, watched=together), past)
        self._changed = True

    def _given_icc(self, schema: Schema) -> NDArray[np.float64]:
        """What the reference file tells of repeated units; 0 of features that it lacks."""
        given = (
            {} if self._training is None else dict(zip(self._training.schema.names, self._training.icc, strict=True))
        )
        return np.array([given.get(name, 0.0) for name in schema.names])


def count_columns(schema: Schema) -> NDArray[np.bool_]:
    """(columns,): which are counts; the others are sums of numbers."""
    counts = np.ones(schema.columns, dtype=np.bool_)
    for spot in schema.layout.spots:
        counts[spot.bins_end : spot.end] = False
    return counts


def _fitted(reference: Reference, schema: Schema) -> NDArray[np.int64]:
    """The reference's counts in the columns of a schema with the same bins and some more."""
    counts = np.zeros(schema.columns, dtype=np.int64)
    places = dict(zip(schema.names, schema.layout.spots, strict=True))
    for name, spot in zip(reference.schema.names, reference.schema.layout.spots, strict=True):
        counts[places[name].start : places[name].end] = reference.counts[spot.start : spot.end]
    return schema.expecting_new(counts)


def _learned_pca(values: FeatureValues, numbers: int) -> Pca | None:
    """None: nothing varies."""
    try:
        return learn_pca(values.numbers[:numbers])
    except ValueError:
        return None
