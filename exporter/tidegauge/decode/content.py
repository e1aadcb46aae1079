"""Answers and labels that are more than a code or a number: the items of a ranking, the words of a text.

They leave decoding as JSON: of a text the text itself, of a ranking the list of its items' canonical texts. Feedback
whose model is not known yet may be either; `of_ranking` and `is_text` say what it is to the model that takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.columns import Content
from tidegauge.decode.text import canonical_text

MAX_BYTES = 1 << 16
"""Longer ones are not kept: comparing two of them would take longer than all else of a block."""

encode = msgspec.json.Encoder().encode


class ContentColumn:
    """The values of one field, piece by piece, as lists of items, as texts, or, where they may be either, as given.

    A text may be empty and a list too; both are given, unlike None.
    """

    def __init__(self, *, lists: bool, texts: bool) -> None:
        self._convert = _worded if not lists else _either if texts else _ranked
        self._texts = texts
        self._values: list[Any] = []

    def add(self, values: Sequence[Any] | None, rows: int) -> None:
        """The next piece."""
        if values is None:
            self._values.extend([None] * rows)
        elif self._texts and set(map(type, values)) <= _AS_GIVEN:
            self._values.extend(values)
        else:
            self._values.extend(map(self._convert, values))

    def finish(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[Any]]:
        """Which rows have no value, which an invalid one, and the values: texts or lists, None for neither."""
        values = self._values
        missing, invalid = np.zeros(len(values), np.bool_), np.zeros(len(values), np.bool_)
        if None in values:
            missing[:] = [value is None for value in values]
        if _INVALID in values:
            invalid[:] = [value is _INVALID for value in values]
            values = [None if value is _INVALID else value for value in values]
        return missing, invalid, values


def contents(values: Sequence[Any]) -> list[Content]:
    """The JSON of texts and lists; None for None and for what is too long to be kept."""
    encoded = list(map(encode, values))
    if None in values or max(map(len, encoded), default=0) > MAX_BYTES:
        return [
            None if value is None or len(content) > MAX_BYTES else content
            for value, content in zip(values, encoded, strict=True)
        ]
    return list(encoded)


def of_ranking(content: Content) -> Content:
    """The same for a ranking: one item alone is a list of one."""
    return b"[%b]" % content if content is not None and content.startswith(b'"') else content


def is_text(content: Content) -> bool:
    """Whether a text model can use it; what has not been kept may have been anything."""
    return content is None or content.startswith(b'"')


def without_lists(values: list[Any] | None) -> list[Any] | None:
    """Values of a field that may hold lists, for a model that has no use for them: there a list is no value."""
    if values is None:
        return None
    return [float("nan") if type(value) is list else value for value in values]


_INVALID = object()
_TEXTS = {str}
_AS_GIVEN = {str, NoneType}


def _worded(value: Any) -> Any:
    if value is None or type(value) is str:
        return value
    return _INVALID if type(value) is list else _text(value)


def _ranked(value: Any) -> Any:
    if value is None:
        return None
    if type(value) is list and set(map(type, value)) <= _TEXTS:
        return value
    items = [item if type(item) is str else _text(item) for item in (value if type(value) is list else [value])]
    return _INVALID if _INVALID in items else items


def _either(value: Any) -> Any:
    return _ranked(value) if type(value) is list else _worded(value)


def _text(value: Any) -> Any:
    try:
        return canonical_text(value)
    except ValueError:
        return _INVALID
