"""Canonical text of labels, versions, slices and ids, and columns of such text as codes.

`1`, `1.0` and `"1"` are the same text; `true` is "true". Nothing here knows records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.columns import Categorical

MAX_TEXT = 256
EXACT_INTEGERS = 2.0**53  # floats up to here hold every integer, so 1e15 and 1000000000000000 are one label

Scalar = str | int | float | bool


def canonical_text(value: Scalar) -> str:
    """The text by which a JSON scalar is compared, uncut. Raises ValueError if it is no number (NaN, infinite)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return str(int(value)) if value.is_integer() and abs(value) <= EXACT_INTEGERS else repr(value)


def shorten(text: str) -> str:
    """At most MAX_TEXT characters; a longer text ends in an ellipsis."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


class _CodeByValue(dict[Any, int]):
    """Codes by raw value, of one type only, because 1, 1.0 and True are one key to a dict."""

    def __init__(self, kind: type[Scalar], code_by_text: dict[str, int]) -> None:
        super().__init__({None: -1, "": -1})
        self._kind = kind
        self._code_by_text = code_by_text

    def __missing__(self, value: Any) -> int:
        if type(value) is not self._kind:
            raise TypeError(f"expected {self._kind.__name__}")
        try:
            text = shorten(canonical_text(value))
        except ValueError:
            code = INVALID
        else:
            code = self._code_by_text.setdefault(text, len(self._code_by_text))
        self[value] = code
        return code


INVALID = -2  # in a Coder's codes: a value without canonical text


class Coder:
    """Turns columns of JSON scalars into codes, piece by piece; codes are in order of first sight.

    A code is -1 for None and for the empty text, INVALID for NaN; `categorical` wants the latter gone.
    """

    def __init__(self) -> None:
        self._code_by_text: dict[str, int] = {}
        kinds: tuple[type[Scalar], ...] = (str, int, float, bool)
        self._by_type: dict[type, _CodeByValue] = {kind: _CodeByValue(kind, self._code_by_text) for kind in kinds}
        self._texts = self._by_type[str]

    def codes(self, values: Sequence[Scalar | None]) -> NDArray[np.int32]:
        """Codes of the next piece (at least one value) of the column."""
        n = len(values)
        if values[0] is None and values.count(None) == n:
            return np.full(n, -1, np.int32)
        try:
            return np.fromiter(map(self._texts.__getitem__, values), np.int32, n)
        except TypeError:
            kinds = set(map(type, values)) - {NoneType}
            if len(kinds) == 1:
                return np.fromiter(map(self._by_type[kinds.pop()].__getitem__, values), np.int32, n)
            by_type = self._by_type
            return np.fromiter((-1 if v is None else by_type[type(v)][v] for v in values), np.int32, n)

    def code(self, text: str) -> int:
        """The code of one text, new or known."""
        return self._texts[text]

    @property
    def by_text(self) -> Mapping[Any, int]:
        """The codes of texts and None by look-up; whatever else is looked up raises TypeError."""
        return self._texts

    def code_of(self, value: Any) -> int:
        """The code of any parsed JSON value; INVALID for what is neither a scalar nor None."""
        if value is None:
            return -1
        by_value = self._by_type.get(type(value))
        return INVALID if by_value is None else by_value[value]

    @property
    def values(self) -> list[str]:
        """The texts so far, by code."""
        return list(self._code_by_text)

    def categorical(self, codes: NDArray[np.int32]) -> Categorical:
        """The column of these codes."""
        return Categorical(codes, self.values)
