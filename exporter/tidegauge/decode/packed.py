"""Numbers and codes of features as bytes: reading a value must cost less than looking it up.

What lies in the rows as floats, codes of enumerated texts included, is packed as it is. For the rest one generated
expression packs all values of a row. It stands on what nearly all values are; a piece where one is something else is
read again with care for that feature. Generated text holds numbers and our own names for attributes, never data.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from operator import itemgetter
from types import CodeType, NoneType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.coercion import feature_number
from tidegauge.decode.enumerated import CodedText
from tidegauge.decode.layout import Place, Row
from tidegauge.decode.text import Coder
from tidegauge.join.rows import INVALID_CODE, INVALID_NUMBER, MISSING_CODE

_TEXT_OR_NONE = frozenset({str, NoneType})


@dataclass(frozen=True, slots=True)
class Packed:
    """A feature that is a number or a code in the bytes of a row."""

    number: int  # by which generated text names it
    kind: str
    place: Place
    column: int  # among the numbers or among the codes

    @property
    def coded(self) -> bool:
        return self.kind in ("categorical", "boolean")


class Names:
    """What the names in generated text stand for in one batch."""

    def __init__(self, features: Sequence[Packed], coders: Sequence[Coder | None]) -> None:
        flags = _Flags()
        self._fixed = {"nan": math.nan, "missing": float(MISSING_CODE), "number": feature_number, "length": _length}
        self._fixed |= {"flags": flags, "flag": flags.of}
        self._coders: dict[str, Coder] = {}  # by attribute
        for feature in features:
            coder = coders[feature.column] if feature.coded else None
            if coder is not None:
                self._fixed |= {f"codes_{feature.number}": coder.by_text, f"code_{feature.number}": coder.code_of}
                self._coders[feature.place.attribute] = coder
        self._adopted: dict[type, bool] = {}

    def adopt(self, kind: type) -> bool:
        """Whether the codes of this type's texts are those of the batch, which takes them over if it has none yet."""
        agrees = self._adopted.get(kind)
        if agrees is None:
            agrees = self._adopted[kind] = all(
                self._coders[attribute].code(member.value) == int(member)
                for attribute, texts in coded_in(kind).items()
                if texts is not None and attribute in self._coders
                for member in texts
            )
        return agrees

    def of(self, pack: Callable[..., bytes]) -> dict[str, Any]:
        """All names, with `pack` for one."""
        return {**self._fixed, "pack": pack}


class Plan:
    """How features are read out of the objects of one type that hold them.

    The head are attributes that hold nothing but floats, the tail the others: doubles, then codes as integers.
    """

    def __init__(self, kind: type, features: Sequence[Packed], careful: Collection[int]) -> None:
        coded = coded_in(kind)
        fields = {name: number for number, name in enumerate(getattr(kind, "__struct_fields__", ()))}
        plain = [one for one in features if one.place.attribute in coded]
        self._head = sorted(
            (one for one in plain if one.number not in careful), key=lambda one: fields[one.place.attribute]
        )
        self._doubles = [one for one in features if one not in self._head and (one in plain or not one.coded)]
        self._integers = [one for one in features if one not in plain and one.coded]
        self._pick = _picker([fields[one.place.attribute] for one in self._head], len(fields))
        self._pack_head = struct.Struct(f"{len(self._head)}d").pack
        # Padded to whole doubles, so that the bytes of many rows are a matrix of doubles and of integers.
        codes = len(self._integers)
        form = struct.Struct(f"{len(self._doubles)}d{codes}i{codes % 2 * 4}x")
        self._pack_tail, self._width = form.pack, form.size // 8
        values = [_expression(one, enumerated=one in plain, careful=one.number in careful) for one in self._tail]
        self._code: CodeType | None = None
        if values:
            text = f"lambda rows: b''.join([pack({', '.join(values)}) for row in rows])"
            self._code = compile(text, "<features>", "eval")

    @property
    def _tail(self) -> list[Packed]:
        return self._doubles + self._integers

    def read(self, holders: Sequence[Row], names: Names) -> tuple[bytes, bytes]:
        """The bytes of the objects' heads and tails. Raises struct.error or TypeError if one needs more care."""
        head = tail = b""
        if self._head:
            values = map(msgspec.structs.astuple, holders)
            head = b"".join(starmap(self._pack_head, values if self._pick is None else map(self._pick, values)))
        if self._code is not None:
            tail = eval(self._code, names.of(self._pack_tail))(holders)
        return head, tail

    def unpack(
        self,
        head: bytes,
        tail: bytes,
        rows: slice | NDArray[np.int64],
        numbers: NDArray[np.float64],
        codes: Sequence[NDArray[np.int32]],
    ) -> None:
        """Writes the columns of these rows."""
        if head:
            _write(self._head, np.frombuffer(head, np.float64).reshape(-1, len(self._head)), rows, numbers, codes)
        if tail:
            matrix = np.frombuffer(tail, np.float64).reshape(-1, self._width)
            _write(self._doubles, matrix, rows, numbers, codes)
            integers = matrix.view(np.int32)
            for place, feature in enumerate(self._integers, 2 * len(self._doubles)):
                codes[feature.column][rows] = integers[:, place]


def _write(
    features: Sequence[Packed],
    matrix: NDArray[np.float64],
    rows: slice | NDArray[np.int64],
    numbers: NDArray[np.float64],
    codes: Sequence[NDArray[np.int32]],
) -> None:
    """Writes the leading columns of a matrix, one a feature, to these rows."""
    columns = [feature.column for feature in features if not feature.coded]
    if columns and _consecutive(columns) and not any(feature.coded for feature in features[: len(columns)]):
        numbers[columns[0] : columns[-1] + 1, rows] = matrix[:, : len(columns)].T
        first = len(columns)
    else:
        first = 0
    for place, feature in enumerate(features[first:], first):
        (codes if feature.coded else numbers)[feature.column][rows] = matrix[:, place]


def coded_in(kind: type) -> Mapping[str, type[CodedText] | None]:
    """The attributes of a type of rows that hold nothing but floats, see `Layout.struct`."""
    coded: Mapping[str, type[CodedText] | None] = getattr(kind, "coded", {})
    return coded


def as_texts(holders: Sequence[Row]) -> None:
    """Puts the texts in place of enumerated ones."""
    for holder in holders:
        for attribute, texts in coded_in(type(holder)).items():
            value = getattr(holder, attribute)
            if texts is not None and isinstance(value, CodedText):
                setattr(holder, attribute, value.value)


def needs_care(feature: Packed, holders: Sequence[Row]) -> bool:
    """Whether a value is not what nearly all values of such a feature are."""
    values = [getattr(holder, feature.place.attribute) for holder in holders]
    if any(feature.place.attribute in coded_in(kind) for kind in set(map(type, holders))) and None in values:
        return True
    match feature.kind:
        case "numeric":
            return None in values
        case "text_length":
            return not all(type(value) is str for value in values)
        case "boolean":
            return not {list, dict}.isdisjoint(map(type, values))
        case _:
            kinds = set(map(type, values)) - _TEXT_OR_NONE
            return not all(issubclass(kind, CodedText) for kind in kinds)


def _expression(feature: Packed, *, enumerated: bool, careful: bool) -> str:
    value, n = f"row.{feature.place.attribute}", feature.number
    match feature.kind:
        case "numeric" if feature.place.mixed:
            return f"number({value})"
        case "numeric":
            return f"(nan if {value} is None else {value})" if careful else value
        case "text_length":
            return f"length({value})" if careful else f"len({value})"
        case "boolean":
            return f"flag({value})" if careful else f"flags[{value}]"
        case _ if enumerated:
            return f"(missing if {value} is None else {value})"
        case _:
            return f"code_{n}({value})" if careful else f"codes_{n}[{value}]"


def _picker(places: list[int], fields: int) -> Callable[[tuple[Any, ...]], Any] | None:
    """What takes the elements at ascending places out of a tuple; None: it is all of them."""
    if len(places) == fields:
        return None
    if places and _consecutive(places):
        return itemgetter(slice(places[0], places[-1] + 1))
    return itemgetter(*places) if places else None


def _consecutive(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))


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
