"""What a field holds after its type has drifted: one rule a kind, the same wherever the value came from.

Values are parsed JSON. What comes out is what the structs of `layout` hold for the kind, or what fails its later check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType
from typing import Any

from tidegauge.decode.numeric import as_number
from tidegauge.join.rows import INVALID_NUMBER

Scalars = str | int | float | bool | None

# What the struct accepts for each kind of field. Whatever else a line holds there goes through `coerced`.
KINDS: Mapping[str, Any] = {
    "identifier": str | int | float | None,
    "timestamp": str | int | float | None,
    "label": Scalars,
    "items": str | int | float | bool | list[str | int | float | bool] | None,
    "text": Scalars,
    "flag": Scalars,
    "number": float | None,
    "strict_number": float | None,
    "probabilities": dict[str, float] | None,
    "feature_number": float | None,
    "feature_text": Scalars,
    "feature_flag": Scalars,
    "feature_length": str | None,
    "feature_vector": list[float] | None,
    "mixed": Any,  # several kinds read here, each by its own rule out of the value as it is
}
TEXTUAL = frozenset({"identifier", "timestamp", "label", "text", "flag", "items", "feature_text", "feature_flag"})
"""Kinds that can be read from one place as scalars, without `mixed`."""
ABSENT: Mapping[str, Any] = {"feature_number": math.nan}
"""What a field holds that is not there, if it is not None. NaN is what a number's bytes need; no JSON gives it."""

_SCALAR_TYPES: frozenset[type] = frozenset([str, int, float, bool, NoneType])
_HELD: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(("identifier", "timestamp"), frozenset([str, int, float, NoneType])),
    **dict.fromkeys(("label", "items", "text", "flag", "feature_text", "feature_flag"), _SCALAR_TYPES),
    **dict.fromkeys(("number", "strict_number", "feature_number"), frozenset([float, NoneType])),
    "feature_length": frozenset([str, NoneType]),
    **dict.fromkeys(("probabilities", "feature_vector"), frozenset([NoneType])),
    "mixed": _SCALAR_TYPES | {list, dict},
}


def holds(kind: str, values: list[Any]) -> bool:
    """Whether a field of the kind holds all of these as they are, so far as their types tell."""
    return set(map(type, values)) <= _HELD[kind]


def coerced_column(values: list[Any], kind: str) -> list[Any]:
    """Values of a mixed field as a field of the kind would hold them."""
    # What passes by type alone: parsed JSON, unlike a struct, gives floats that are not finite.
    if kind not in ("number", "strict_number", "feature_number") and holds(kind, values):
        return values
    return [None if value is None else coerced(value, kind) for value in values]


def coerced(value: Any, kind: str) -> Any:
    """A value (not None) as a field of the kind holds it.

    A value of a wrong type becomes absent, or, where absence would mean something else, a value that no JSON can
    hold and that fails the field's later check. Raises UnicodeEncodeError if a used text is no UTF-8.
    """
    if isinstance(value, str):
        value.encode()  # raises on what was no UTF-8
    if kind in ("number", "strict_number"):
        number = as_number(value)
        return math.nan if number is None and kind == "strict_number" else number
    if kind == "feature_number":
        return feature_number(value)
    if kind == "feature_length":
        return value if isinstance(value, str) else math.nan
    if kind == "feature_vector":
        return _vector(value)
    if kind == "mixed":
        _check_texts(value)
        return value
    if kind == "probabilities":
        return _probabilities(value) if isinstance(value, dict) else None
    if kind == "items" and isinstance(value, list):
        return _items(value)
    if isinstance(value, str | bool | int | float):
        return math.nan if kind in ("identifier", "timestamp") and isinstance(value, bool) else value
    if kind == "flag":
        return True
    return None if kind == "text" else math.nan


def feature_number(value: Any) -> float:
    """A float; infinite for what is not finite (NaN too), INVALID_NUMBER for what is no number. None is NaN."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return INVALID_NUMBER
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return math.inf if math.isnan(number) else number


def _vector(value: Any) -> Any:
    """A list of floats; NaN for what is no list of numbers, infinity if one of its numbers is not finite."""
    if not isinstance(value, list) or not set(map(type, value)) <= {int, float}:
        return math.nan
    numbers = list(map(feature_number, value))
    return numbers if all(map(math.isfinite, numbers)) else math.inf


def _items(values: list[Any]) -> Any:
    """The list, or what fails the later check if it holds anything but scalars."""
    for value in values:
        if isinstance(value, str):
            value.encode()
        elif not isinstance(value, bool | int | float):
            return math.nan
    return values


def _probabilities(value: dict[str, Any]) -> dict[str, float]:
    numbers = {}
    for label, probability in value.items():
        label.encode()
        number = as_number(probability)
        if number is not None:
            numbers[label] = number
    return numbers


def _check_texts(value: Any) -> None:
    """Raises UnicodeEncodeError if some text in the value is no UTF-8."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            inner.encode()
        elif isinstance(inner, list):
            waiting += inner
        elif isinstance(inner, dict):
            waiting += [*inner, *inner.values()]
