"""A model's features of vectors: their projections, what the tally keeps of them, and what follows sealed blocks.

`Features` owns it and tells it when there is enough to learn from. Everything here belongs to the ingest thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.detectors.detector import Context
from tidegauge.assess.drift.vector_watch import Fixed, VectorWatch, begin
from tidegauge.assess.releases.lifecycle import Release
from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.pipeline.saved_states import SHEETS, SavedBytes, pack_array, unpack_array
from tidegauge.pipeline.sealed_rows import live_baselines, of_block, of_rows
from tidegauge.state.table import Table
from tidegauge.tally.blocks import SealedBlock
from tidegauge.tally.families import vectors as vector_family
from tidegauge.tally.family import Family
from tidegauge.tally.features.embedding import VectorCounter, likeness
from tidegauge.tally.features.vectors import Vector, given_vectors, learn_vector, promised, vector_places

Texts = Callable[[], Sequence[str]]


def table_name(model: str) -> str:
    """Name of the table of all state."""
    return f"{model}/vectors/state"


@dataclass(frozen=True, slots=True)
class Known:
    """One feature whose projection is known."""

    vector: Vector
    counter: VectorCounter
    watch: VectorWatch


class Vectors:
    """One model's; empty where it has no embedding, and is not watched for all inputs together."""

    def __init__(self, model: Model, block: int, versions: Texts, projections: Mapping[str, Any]) -> None:
        """`projections` are those of the reference data; block in ms."""
        self.model = model
        self.names = tuple(vector_places(model))
        self.known: dict[str, Known] = {}
        self._block = block
        self._versions = versions
        self._given = given_vectors(model, projections)
        self._changed = True
        self._saved: SavedBytes | None = None

    def signature(self) -> list[list[str | None]]:
        """What must be the same for saved state to go on."""
        return [[name, self._given[name].id if name in self._given else None] for name in self.names]

    def start_anew(self, saved: Table | None) -> None:
        """With what the reference data give; `saved` is the table to write to."""
        self._keep_in(saved)
        for vector in self._given.values():
            self._use(vector)

    def go_on(self, saved: Table | None) -> None:
        """With what was saved."""
        content = self._keep_in(saved)
        for state in msgspec.msgpack.decode(zlib.decompress(content)) if content else ():
            vector = Vector.from_json(state["vector"])
            for stream in state["watch"]["streams"]:
                stream[2] = {name: unpack_array(packed) for name, packed in stream[2].items()}
            self._use(vector, state["watch"])

    def families(self) -> list[Family]:
        """What the tally keeps of vectors now."""
        return [vector_family.family(one.vector, one.counter) for one in self.known.values()]

    def learn(self, early: Rows, units: NDArray[np.uint64]) -> list[str]:
        """Learns what is not known, and how alike units are, from the first predictions; returns what is new."""
        new: list[str] = []
        if early.features is None:
            return new
        for name in self.names:
            if name not in self.known:
                try:
                    self._use(learn_vector(self.model, name, early.features))
                except ValueError:  # too few vectors, or none: it stays as it is, "learning"
                    continue
                new.append(name)
            known = self.known[name]
            known.watch.icc = likeness(known.counter, known.vector.of(early.features, len(early)), units)
        self._changed |= bool(self.names)
        return new

    def catch_up(self, families: Collection[str], rows: Rows, sealed_until: int, releases: Sequence[Release]) -> None:
        """Follows, for these families, the blocks that were sealed before their rows could be counted."""
        for name, known in self.known.items():
            if vector_family.name_of(name) not in families:
                continue
            sums = vector_family.sums_of(known.vector, known.counter)
            for start, found in of_rows(rows, sealed_until, self._block, self._versions(), sums):
                known.watch.advance(start, found, live_baselines(releases, start))

    def seal(self, block: SealedBlock, now: Context) -> None:
        """A block of arrivals is final."""
        for name, known in self.known.items():
            rows = of_block(block, vector_family.name_of(name), now, self._versions())
            if rows is not None:
                known.watch.advance(block.start, rows, live_baselines(now.releases, block.start))
                self._changed = True

    def forget(self, versions: Sequence[str]) -> None:
        """Versions that are gone for good."""
        for known in self.known.values():
            for version in versions:
                known.watch.forget(version)
        self._changed |= bool(versions)

    def tables(self) -> list[Table]:
        """Every table to save."""
        if self._saved is None:
            return []
        if self._changed:
            self._saved.write(zlib.compress(msgspec.msgpack.encode([_state(one) for one in self.known.values()]), 1))
            self._changed = False
        return [self._saved.table]

    def _keep_in(self, saved: Table | None) -> bytes:
        if not self.names:
            return b""
        self._saved = SavedBytes(saved or Table(table_name(self.model.name), SHEETS))
        return self._saved.read()

    def _use(self, vector: Vector, saved: Mapping[str, Any] | None = None) -> None:
        training = vector.name in self._given
        fixed = Fixed(vector.projection, self.model.drift, training, promised(self.model), self._block)
        watch = begin(fixed) if saved is None else VectorWatch.load(saved, fixed)
        self.known[vector.name] = Known(vector, VectorCounter(vector.projection), watch)


def _state(known: Known) -> dict[str, Any]:
    saved = known.watch.save()
    for stream in saved["streams"]:
        stream[2] = {name: pack_array(array) for name, array in stream[2].items()}
    return {"vector": known.vector.to_json(), "watch": saved}
