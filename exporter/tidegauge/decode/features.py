"""The features of one model out of rows, many at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.config.watched import categorical_names, embedding_names, numeric_names
from tidegauge.decode.coercion import coerced
from tidegauge.decode.layout import Field, Layout, Path, Place, Row, getter
from tidegauge.decode.packed import Names, Packed, Plan, as_texts, needs_care
from tidegauge.decode.text import Coder
from tidegauge.decode.vectors import VectorColumn
from tidegauge.decode.verdicts import Keep
from tidegauge.join.rows import Codes, FeatureValues

_FIELD_KINDS: Mapping[str, str] = {
    "numeric": "feature_number",
    "categorical": "feature_text",
    "boolean": "feature_flag",
    "text_length": "feature_length",
    "embedding": "feature_vector",
}
_FLAGS = ["false", "true"]


def feature_field(name: str, kind: str, path: Path) -> Field:
    """The field of a feature of that kind (a key of the configuration)."""
    return Field(_field_name(name, kind), path, _FIELD_KINDS[kind], feature=True)


def _field_name(name: str, kind: str) -> str:
    return f"{kind}:{name}"


class FeatureReader:
    """Reads a model's features out of instances of a layout.

    What it remembers (which features need care) makes it faster and never changes a result.
    """

    def __init__(self, layout: Layout, model: Model) -> None:
        kinds = {feature.name: feature.kind for feature in model.features}
        self._numbers, self._codes = numeric_names(model), categorical_names(model)
        self._kinds = kinds
        places = {name: layout.place(_field_name(name, kind)) for name, kind in kinds.items()}
        sections: dict[tuple[str, ...], list[Packed]] = {}
        for number, (column, name) in enumerate([*enumerate(self._numbers), *enumerate(self._codes)]):
            way = tuple(attribute for attribute, _ in places[name].way)
            sections.setdefault(way, []).append(Packed(number, kinds[name], places[name], column))
        self.sections = [_Section(some) for some in sections.values()]
        self.embeddings = [places[name] for name in embedding_names(model)]

    def coders(self) -> list[Coder | None]:
        """What codes the texts of one batch, one a categorical column; None: a boolean."""
        return [None if self._kinds[name] == "boolean" else Coder() for name in self._codes]

    def empty(self, rows: int) -> tuple[NDArray[np.float64], list[NDArray[np.int32]]]:
        """Room for the columns of so many rows."""
        return np.empty((len(self._numbers), rows)), [np.empty(rows, np.int32) for _ in self._codes]


class FeatureColumns:
    """The features of a batch, while they are put together."""

    def __init__(self, reader: FeatureReader) -> None:
        self._reader = reader
        self._coders = reader.coders()
        self._names = [Names(section.features, self._coders) for section in reader.sections]
        self._pieces: list[_Piece] = []
        self._rows = 0
        self._vectors = [VectorColumn() for _ in reader.embeddings]

    def add(self, rows: Sequence[Row]) -> None:
        """The next piece."""
        for section, names in zip(self._reader.sections, self._names, strict=True):
            self._pieces += section.read(rows, names, self._rows)
        self._rows += len(rows)
        for place, column in zip(self._reader.embeddings, self._vectors, strict=True):
            values = _values(rows, place)
            if place.mixed:
                values = [None if value is None else coerced(value, "feature_vector") for value in values]
            column.add(values)

    def finish(self, keep: Keep) -> FeatureValues:
        """The values of the rows that are kept."""
        numbers, codes = self._reader.empty(self._rows)
        for piece in self._pieces:
            piece.plan.unpack(piece.head, piece.tail, piece.rows, numbers, codes)
        return FeatureValues(
            keep.of_columns(numbers),
            tuple(
                Codes(keep.of(column), list(_FLAGS) if coder is None else coder.values)
                for column, coder in zip(codes, self._coders, strict=True)
            ),
            tuple(column.finish(keep) for column in self._vectors),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one section's plan has read, and of which rows of the batch."""

    plan: Plan
    head: bytes
    tail: bytes
    rows: slice | NDArray[np.int64]


class _Section:
    """The numbers and codes of a model's features that lie in one object of the record.

    Those objects are of several types: a row that was read by itself has another one than most.
    """

    def __init__(self, features: Sequence[Packed]) -> None:
        self.features = features
        self._way = [(getter(attribute), absent) for attribute, absent in features[0].place.way]
        self._careful = {feature.number for feature in features if feature.place.mixed}
        self._plans: dict[type, Plan] = {}

    def read(self, rows: Sequence[Row], names: Names, first: int) -> Iterator[_Piece]:
        """The pieces of all rows, which are the batch's from `first` on."""
        holders, kinds = self._holders(rows)
        for kind in kinds:
            some: Sequence[Row] = holders
            place: slice | NDArray[np.int64] = slice(first, first + len(rows))
            if len(kinds) > 1:
                some = [holder for holder in holders if type(holder) is kind]
                place = np.array([n for n, holder in enumerate(holders, first) if type(holder) is kind], np.int64)
            yield _Piece(*self._read(kind, some, names), place)

    def _holders(self, rows: Sequence[Row]) -> tuple[Sequence[Row], set[type]]:
        """The objects that hold the features, and their types."""
        kinds = set() if self._way else set(map(type, rows))
        for take, absent in self._way:
            rows = take(rows)
            kinds = set(map(type, rows))
            if NoneType in kinds:
                kinds.remove(NoneType)
                if len(kinds) == 1:
                    absent = next(iter(kinds))()  # as the others are, so that all are read at once
                kinds.add(type(absent))
                rows = [absent if row is None else row for row in rows]
        return rows, kinds

    def _read(self, kind: type, holders: Sequence[Row], names: Names) -> tuple[Plan, bytes, bytes]:
        if not names.adopt(kind):
            as_texts(holders)  # other texts have their codes in this batch
            kind = NoneType
        plan = self._plans.get(kind)
        if plan is None:
            plan = self._plans[kind] = Plan(kind, self.features, self._careful)
        try:
            return plan, *plan.read(holders, names)
        except (struct.error, TypeError):
            careful = {feature.number for feature in self.features if needs_care(feature, holders)}
            if careful <= self._careful:
                raise
            self._careful |= careful
            self._plans.clear()
        return self._read(kind, holders, names)


def _values(rows: Sequence[Row], place: Place) -> list[Any]:
    for attribute, absent in place.way:
        rows = [getattr(row, attribute) or absent for row in rows]
    return [getattr(row, place.attribute) for row in rows]
