"""How a model's labels are distributed: learns their bins, follows the sealed blocks of the channel that gives them.

The channel is the first that is complete: labels that are sampled or volunteered tell of who labels, too. Bins come
from the reference file, from the model's two classes, or from the first labels. Everything here belongs to the ingest
thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.detectors.detector import Context
from tidegauge.assess.drift.watch import Fixed, Rows, Watch, begin
from tidegauge.config.settings import CLASSIFICATION, Model
from tidegauge.join.rows import NONE
from tidegauge.join.rows import Rows as Labelled
from tidegauge.join.vocabulary import OTHER
from tidegauge.pipeline.features import SavedTables, count_columns
from tidegauge.pipeline.saved_states import SHEETS, SavedBytes
from tidegauge.pipeline.sealed_rows import live_baselines
from tidegauge.reference.value import Distribution
from tidegauge.state.table import Table
from tidegauge.tally.blocks import SealedBlock
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.family import Family, no_contribution
from tidegauge.tally.features.counts import FeatureCounter
from tidegauge.tally.features.learn import learn_categorical, learn_numeric
from tidegauge.tally.features.schema import CategoricalBins, Schema
from tidegauge.tally.features.vectors import promised
from tidegauge.tally.features.watched import PREDICTION
from tidegauge.tally.history import HourlyHistory, dtype_of

LABEL: Final = "@label"

Texts = Callable[[], Sequence[str]]

_CHANGES: Final = {
    "channel": "the channel that they come from has",
    "positive": "the positive label has",
    "reference": "those of the reference data have",
}


def table_names(model: str) -> tuple[str, str]:
    """Names of the tables of everything small, and of past hours."""
    return f"{model}/labels/state", f"{model}/labels/history"


class LabelDrift:
    """One model's; nothing where it has no complete channel, or labels that are neither classes nor numbers."""

    def __init__(
        self, model: Model, block: int, versions: Texts, classes: Texts, given: Distribution | None, saved: SavedTables
    ) -> None:
        """`given` is how the labels of the reference file are distributed; block in ms.

        Saved state of another configuration is left, and said so.
        """
        self.model = model
        self.notes: list[str] = []  # what was left of saved state, in words
        self._block = block
        self._versions = versions
        self._classes = classes
        self._given = given
        tasks = (*CLASSIFICATION, "regression")
        channels = [number for number, one in enumerate(model.channels) if one.kind == "complete"]
        self.slot: int | None = channels[0] if channels and model.task in tasks else None
        state, _ = table_names(model.name)
        self._state = SavedBytes(saved.state or Table(state, SHEETS))
        self._changed = True
        self._seen: dict[str, int] = {}  # classes, while bins are learned
        self._numbers: list[float] = []  # the same of numbers
        self.schema: Schema | None = None
        self.watch: Watch | None = None
        self._counter: FeatureCounter | None = None
        self._restore(saved)

    @property
    def family(self) -> str:
        """Name of the family in which labels are counted; "": none is."""
        return "" if self.slot is None else f"labels/{self.model.channels[self.slot].name}"

    @property
    def maturity(self) -> int:
        """ms after which a prediction's label is looked at."""
        return 0 if self.slot is None else self.model.channels[self.slot].maturity

    def families(self) -> list[Family]:
        """What the tally keeps of labels now."""
        if self.schema is None or self.slot is None:
            return []
        schema = self.schema
        return [
            Family(
                self.family,
                schema.columns,
                no_contribution,
                channels=(self.slot,),
                slice_columns=0,
                schema=schema.id,
                dense=self._sums,
            )
        ]

    def _sums(self, rows: Labelled, local: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.int64]:
        assert self._counter is not None and self.schema is not None and self.slot is not None
        answers = _as_answers(rows, self.slot)
        held = np.flatnonzero(rows.labels[self.slot].answered)
        if len(held) < len(rows):
            answers, local = answers.take(held), local[held]
        counts = self._counter.accumulate(answers, local, len(versions), versions, self._classes())
        # Whether labels vary is to be seen from the bins: a flag could not be taken back with a label.
        counts[:, self.schema.layout.spots[0].varied] = 0
        return counts

    def seal(self, block: SealedBlock, now: Context) -> None:
        """A block of some stream is final."""
        if block.channel != self.slot or self.slot is None:
            return
        if self.watch is None or self.schema is None:
            self._learn(block)
            return
        found = block.counts.get(self.family)
        if found is None:
            return
        series, sums = found
        texts = self._versions()
        nobody = np.zeros(unit_family.GROUPS, dtype=np.int64)
        labelled = self.schema.compared(sums).sum(axis=(1, 2)).astype(np.int64)
        rows = {
            texts[code]: Rows(code, sums[row], nobody, labels)
            for row, (code, labels) in enumerate(zip(now.split(series)[0].tolist(), labelled.tolist(), strict=True))
            if texts[code] != OTHER and labels
        }
        self.watch.advance(block.start, rows, live_baselines(now.releases, block.start))
        self._changed = True

    def due(self) -> bool:
        """Whether there is enough to learn bins from, which nobody has done yet."""
        return self.schema is None and len(self._numbers) + sum(self._seen.values()) >= self.model.drift.learning > 0

    def learn(self) -> None:
        """Makes bins of the labels seen."""
        if self.model.task == "regression":
            bins = replace(learn_numeric(PREDICTION, np.array(self._numbers)), name=LABEL)
            self._use(Schema((bins,)))
        else:
            self._use(Schema((learn_categorical(LABEL, self._seen),)))
        self._seen, self._numbers = {}, []

    def forget(self, versions: Sequence[str], codes: Sequence[int]) -> None:
        """Versions that are gone for good, and codes that are free for others."""
        if self.watch is not None:
            for version in versions:
                self.watch.forget(version)
            for code in codes:
                self.watch.history.forget(code)
            self._changed |= bool(versions)

    def _learn(self, block: SealedBlock) -> None:
        assert self.slot is not None
        labels = block.rows().labels[self.slot]
        held = labels.answered
        if self.model.task == "regression":
            values = labels.value[held]
            self._numbers += values[np.isfinite(values)].tolist()
        else:
            texts = self._classes()
            codes, counts = np.unique(labels.code[held], return_counts=True)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                if code < len(texts):
                    self._seen[texts[code]] = self._seen.get(texts[code], 0) + count
        self._changed = True

    # ---------------------------------------------------------------- state

    def tables(self) -> list[Table]:
        """Every table to save."""
        if self.slot is None:
            return []
        if self._changed:
            self._state.write(zlib.compress(msgspec.json.encode(self._to_json()), level=1))
            self._changed = False
        return [self._state.table] + ([] if self.watch is None else [self.watch.history.table])

    def _to_json(self) -> dict[str, Any]:
        saved: dict[str, Any] = self._signature() | {"seen": self._seen, "numbers": self._numbers}
        if self.schema is not None and self.watch is not None:
            saved |= {"schema": self.schema.to_json(), "watch": self.watch.to_json()}
        return saved

    def _signature(self) -> dict[str, Any]:
        return {
            "channel": None if self.slot is None else self.model.channels[self.slot].name,
            "positive": self.model.positive_label,
            "reference": None if self._given is None else self._given.schema.id,
        }

    def _restore(self, saved: SavedTables) -> None:
        known = self._known()
        if self.slot is None:
            return
        self._seen, self._numbers = dict(known.get("seen", {})), list(known.get("numbers", []))
        if "schema" in known:
            self._use(Schema.from_json(known["schema"]), saved.history)
            assert self.watch is not None
            self.watch = Watch.from_json(known["watch"], self.watch.fixed, self.watch.history)
        elif self._given is not None:
            self._use(self._given.schema)
        elif self.model.task == "binary":
            self._use(Schema((CategoricalBins(LABEL, tuple(self._classes()[:2])),)))

    def _known(self) -> Mapping[str, Any]:
        """The saved state, if it is of this configuration; else nothing."""
        content = self._state.read()
        if not content:
            return {}
        known: dict[str, Any] = msgspec.json.decode(zlib.decompress(content))
        changed = [_CHANGES[name] for name, value in self._signature().items() if known.get(name) != value]
        if changed:
            self.notes.append(f"the bins of labels: {' and '.join(changed)} changed")
        return {} if changed else known

    def _use(self, schema: Schema, history: Table | None = None) -> None:
        is_count = count_columns(schema)
        if history is not None and history.dtype != dtype_of(is_count):
            history = None
        past = HourlyHistory(table_names(self.model.name)[1], is_count, self.model.drift.trailing, history)
        given = None if self._given is None or self._given.schema.id != schema.id else self._given.counts
        drift, together = self.model.drift, promised(self.model)
        fixed = Fixed(schema, np.zeros(1), drift, given, self._block, self.family, self.maturity, together)
        # The counter takes labels for answers, and counts them alike.
        alike = Schema((replace(schema.features[0], name=PREDICTION),))
        self._counter = FeatureCounter(alike, replace(self.model, features=()))
        self.schema, self.watch = schema, begin(fixed, past)
        self._changed = True


def _as_answers(rows: Labelled, slot: int) -> Labelled:
    """The rows with their labels in the place of their answers."""
    labels = rows.labels[slot]
    return Labelled(
        time=rows.time,
        version=rows.version,
        slices=(),
        predicted=np.where(labels.answered, labels.code, NONE).astype(np.uint8),
        score=rows.score,
        value=np.where(labels.answered, labels.value, np.nan),
        labels=(),
        count=rows.count,
    )
