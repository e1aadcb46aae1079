"""Cells of CSV, which has no types, as the JSON values that they stand for; a column at a time.

A cell that is not of its column's kind stays text, and the decoder counts it as what it is: a value of a wrong type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

Convert = Callable[[Sequence[str]], list[Any]]

MISSING_NUMBERS = frozenset(("", "nan", "NaN", "NAN", "na", "NA", "N/A", "n/a", "null", "NULL", "Null", "none", "None"))
"""Cells of numbers, booleans and lists that stand for nothing; of other columns, only the empty cell does."""
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_WHOLE = re.compile(r"-?\d+\.0", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|inf|infinity)\s*", re.ASCII | re.IGNORECASE)
_NOT_A_NUMBER = msgspec.Raw(b"NaN")
_INFINITE = {float("inf"): msgspec.Raw(b"Infinity"), float("-inf"): msgspec.Raw(b"-Infinity")}


def converter(kind: str) -> Convert:
    """What turns a column of cells of this kind into values; None: missing."""
    return _CONVERTERS[kind]


def _numbers(cells: Sequence[str]) -> list[Any]:
    try:
        values = list(map(float, cells))
    except ValueError:
        return [_number(cell) for cell in cells]
    # float() also takes 1_000 and the digits of other scripts, which are no numbers in any log.
    together = "".join(cells)
    if "_" in together or not together.isascii():
        return [_number(cell) for cell in cells]
    return [None if value != value else _INFINITE.get(value, value) for value in values]


def _number(cell: str) -> Any:
    if cell.strip() in MISSING_NUMBERS:
        return None
    if not _NUMBER.fullmatch(cell):
        return cell
    value = float(cell)
    return _INFINITE.get(value, value)


def _booleans(cells: Sequence[str]) -> list[Any]:
    known = {cell: _boolean(cell) for cell in set(cells)}
    return [known[cell] for cell in cells]


def _boolean(cell: str) -> Any:
    plain = cell.strip()
    return None if plain in MISSING_NUMBERS else _TRUTH.get(plain.lower(), cell)


def _labels(cells: Sequence[str]) -> list[Any]:
    """Text; a whole number that a data frame wrote as 1.0 is 1, as it is in a log."""
    known = {cell: (cell[:-2] if _WHOLE.fullmatch(cell) else cell) or None for cell in set(cells)}
    return [known[cell] for cell in cells]


def _texts(cells: Sequence[str]) -> list[Any]:
    return [cell or None for cell in cells]


def _lists(cells: Sequence[str]) -> list[Any]:
    return [_json(cell, list) for cell in cells]


def _objects(cells: Sequence[str]) -> list[Any]:
    return [_json(cell, dict) for cell in cells]


def _json(cell: str, kind: type) -> Any:
    """The list or object that the cell's text is, or the text."""
    if cell.strip() in MISSING_NUMBERS:
        return None
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return marked(value) if isinstance(value, kind) else cell


def marked(value: Any) -> Any:
    """The value with NaN and infinities as the words that Python's json module writes and the decoders know."""
    if type(value) is float:
        return _NOT_A_NUMBER if value != value else _INFINITE.get(value, value)
    if isinstance(value, dict):
        return {key: marked(held) for key, held in value.items()}
    return [marked(held) for held in value] if isinstance(value, list) else value


_CONVERTERS: dict[str, Convert] = {
    # kinds of features
    "numeric": _numbers,
    "categorical": _labels,
    "boolean": _booleans,
    "text_length": _texts,
    "embedding": _lists,
    # kinds of fields
    "number": _numbers,
    "label": _labels,
    "words": _texts,
    "text": _texts,
    "list": _lists,
    "object": _objects,
}
