"""The features of one model out of rows, many at a time.

Reading a value must cost little more than the attribute look-up: one generated expression packs all numbers and codes
of a row into bytes. It stands on what nearly all values are; a piece where one is something else is read again with
care for that feature. Generated text holds numbers and our own names for attributes, never data.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.config.watched import categorical_names, embedding_names, numeric_names
from tidegauge.decode.coercion import coerced, feature_number
from tidegauge.decode.layout import Field, Layout, Path, Place, Row
from tidegauge.decode.text import Coder
from tidegauge.decode.vectors import VectorColumn
from tidegauge.decode.verdicts import Keep
from tidegauge.join.rows import INVALID_CODE, INVALID_NUMBER, MISSING_CODE, Codes, FeatureValues

_FIELD_KINDS: Mapping[str, str] = {
    "numeric": "feature_number",
    "categorical": "feature_text",
    "boolean": "feature_flag",
    "text_length": "feature_length",
    "embedding": "feature_vector",
}
_FLAGS = ["false", "true"]
_TEXT_OR_NONE = frozenset({str, NoneType})


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
        sections: dict[tuple[str, ...], list[_Packed]] = {}
        for column, name in [*enumerate(self._numbers), *enumerate(self._codes)]:
            way = tuple(attribute for attribute, _ in places[name].way)
            sections.setdefault(way, []).append(_Packed(kinds[name], places[name], column))
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
        self._names = [section.names(self._coders) for section in reader.sections]
        self._pieces: list[list[bytes]] = [[] for _ in reader.sections]
        self._vectors = [VectorColumn() for _ in reader.embeddings]

    def add(self, rows: Sequence[Row]) -> None:
        """The next piece."""
        for section, names, pieces in zip(self._reader.sections, self._names, self._pieces, strict=True):
            pieces.append(section.read(rows, names))
        for place, column in zip(self._reader.embeddings, self._vectors, strict=True):
            values = _values(rows, place)
            if place.mixed:
                values = [None if value is None else coerced(value, "feature_vector") for value in values]
            column.add(values)

    def finish(self, keep: Keep, kept: int) -> FeatureValues:
        """The values of the rows that are kept, and how many these are."""
        numbers, codes = self._reader.empty(kept)
        for section, pieces in zip(self._reader.sections, self._pieces, strict=True):
            section.unpack(b"".join(pieces), keep, numbers, codes)
        return FeatureValues(
            numbers,
            tuple(
                Codes(column, list(_FLAGS) if coder is None else coder.values)
                for column, coder in zip(codes, self._coders, strict=True)
            ),
            tuple(column.finish(keep) for column in self._vectors),
        )


@dataclass(frozen=True, slots=True)
class _Packed:
    """A feature that is a number or a code in the bytes of a row."""

    kind: str
    place: Place
    column: int  # among the numbers or among the codes

    @property
    def coded(self) -> bool:
        return self.kind in ("categorical", "boolean")


class _Section:
    """The numbers and codes of a model's features that lie in one object of the record."""

    def __init__(self, features: Sequence[_Packed]) -> None:
        self._features = sorted(features, key=lambda feature: feature.coded)
        self._numbers = [feature.column for feature in self._features if not feature.coded]
        self._codes = [feature.column for feature in self._features if feature.coded]
        # Padded to whole doubles, so that the bytes of many rows are a matrix of doubles and of integers.
        form = struct.Struct(f"={len(self._numbers)}d{len(self._codes)}i{len(self._codes) % 2 * 4}x")
        self._pack, self._width = form.pack, form.size
        self._careful = {n for n, feature in enumerate(self._features) if feature.place.mixed}
        self._code = self._compiled()

    def names(self, coders: Sequence[Coder | None]) -> dict[str, Any]:
        """What the names in the generated text stand for in one batch."""
        names = {"pack": self._pack, "nan": math.nan, "number": feature_number, "length": _length}
        flags = _Flags()
        names |= {"flags": flags, "flag": flags.of}
        names |= {f"absent_{n}": absent for n, (_, absent) in enumerate(self._features[0].place.way)}
        for n, feature in enumerate(self._features):
            coder = coders[feature.column] if feature.coded else None
            if coder is not None:
                names |= {f"codes_{n}": coder.by_text, f"code_{n}": coder.code_of}
        return names

    def read(self, rows: Sequence[Row], names: dict[str, Any]) -> bytes:
        """The bytes of all rows."""
        try:
            return self._run(rows, names)
        except (struct.error, TypeError):
            careful = {n for n, feature in enumerate(self._features) if _needs_care(feature, rows)}
            if careful <= self._careful:
                raise
            self._careful |= careful
            self._code = self._compiled()
        return self._run(rows, names)

    def _run(self, rows: Sequence[Row], names: dict[str, Any]) -> bytes:
        packed: bytes = eval(self._code, names)(rows)
        return packed

    def unpack(
        self, packed: bytes, keep: Keep, numbers: NDArray[np.float64], codes: Sequence[NDArray[np.int32]]
    ) -> None:
        """Writes the columns of the kept rows to their places."""
        matrix = keep.of(np.frombuffer(packed, np.float64).reshape(-1, self._width // 8))
        here = len(self._numbers)
        if self._numbers == list(range(len(numbers))):
            numbers[:] = matrix[:, :here].T
        else:
            numbers[self._numbers] = matrix[:, :here].T
        integers = matrix.view(np.int32)
        for n, column in enumerate(self._codes):
            codes[column][:] = integers[:, 2 * here + n]

    def _compiled(self) -> CodeType:
        values = ", ".join(self._expression(n, feature) for n, feature in enumerate(self._features))
        way = [attribute for attribute, _ in self._features[0].place.way]
        inward = "".join(f" for row in [row.{attribute} or absent_{n}]" for n, attribute in enumerate(way))
        return compile(f"lambda rows: b''.join([pack({values}) for row in rows{inward}])", "<features>", "eval")

    def _expression(self, n: int, feature: _Packed) -> str:
        value = f"row.{feature.place.attribute}"
        careful = n in self._careful
        match feature.kind:
            case "numeric" if feature.place.mixed:
                return f"number({value})"
            case "numeric":
                return f"(nan if {value} is None else {value})" if careful else value
            case "text_length":
                return f"length({value})" if careful else f"len({value})"
            case "boolean":
                return f"flag({value})" if careful else f"flags[{value}]"
            case _:
                return f"code_{n}({value})" if careful else f"codes_{n}[{value}]"


def _needs_care(feature: _Packed, rows: Sequence[Row]) -> bool:
    """Whether a value is not what nearly all values of such a feature are."""
    values = _values(rows, feature.place)
    match feature.kind:
        case "numeric":
            return None in values
        case "text_length":
            return not all(type(value) is str for value in values)
        case "boolean":
            return not {list, dict}.isdisjoint(map(type, values))
        case _:
            return not set(map(type, values)) <= _TEXT_OR_NONE


def _values(rows: Sequence[Row], place: Place) -> list[Any]:
    for attribute, absent in place.way:
        rows = [getattr(row, attribute) or absent for row in rows]
    return [getattr(row, place.attribute) for row in rows]


class _Flags(dict[Any, int]):
    """Codes of booleans, by whatever stands for one: 1 and 1.0 are the same to a dict as true."""

    def __init__(self) -> None:
        super().__init__({None: MISSING_CODE, False: 0, True: 1, "false": 0, "true": 1})

    def __missing__(self, value: Any) -> int:
        return INVALID_CODE

    def of(self, value: Any) -> int:
        """The code of any parsed JSON value."""
        return INVALID_CODE if isinstance(value, list | dict) else self[value]


def _length(value: Any) -> float:
    """Characters of a text."""
    if type(value) is str:
        return len(value)
    return math.nan if value is None else INVALID_NUMBER
