"""Features that hold few different texts: the parser then gives each text's code by itself.

A text becomes a member of an enumeration that is a number too. It costs no object a record and no look-up later, and
bytes of numbers can be made of it at once. What is not a member is refused by the parser, and then becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from tidegauge.join.rows import MISSING_CODE

SAMPLED = 256
"""Rows that show whether a feature's texts are few."""
FEW, MOST = 32, 64
"""Different texts in the first rows, and ever, up to which they are enumerated."""
LONGEST = 64
"""Characters of such a text."""


class CodedText(float, Enum):
    """A text (its value) that is its code as a number; the base of enumerations made by `enumeration`."""

    def __new__(cls, text: str, code: int) -> CodedText:
        member = float.__new__(cls, code)
        member._value_ = text
        return member


def enumeration(texts: Sequence[str]) -> type[CodedText]:
    """Different texts, none empty, with codes from 0 on; the first member is no text, and MISSING_CODE."""
    coded = [("", MISSING_CODE), *((text, code) for code, text in enumerate(texts))]
    members = [(f"text_{number}", pair) for number, pair in enumerate(coded)]
    made: type[CodedText] = CodedText("Texts", members)  # type: ignore[assignment,arg-type]
    return made


def is_enumeration(kind: Any) -> bool:
    """Whether it was made by `enumeration`."""
    return isinstance(kind, type) and issubclass(kind, CodedText)


def absent_text(texts: type[CodedText]) -> CodedText:
    """The member that is no text."""
    return next(iter(texts))


class FewTexts:
    """The texts that fields have had; it makes reading faster and never changes a result."""

    def __init__(self) -> None:
        self._sampled: dict[str, int] = {}  # rows, by field
        self._known: dict[str, dict[str, None]] = {}  # by field; none of those that have too many, or not only texts
        self._enumerations: dict[str, type[CodedText]] = {}

    @property
    def enumerations(self) -> Mapping[str, type[CodedText]]:
        """By field; only of those that have few texts."""
        return self._enumerations

    def unsampled(self, names: Iterable[str]) -> list[str]:
        """The fields of which more values must be seen."""
        return [name for name in names if self._sampled.get(name, 0) < SAMPLED]

    def sample(self, name: str, values: Sequence[Any]) -> bool:
        """Takes in the next of the first values of a field; whether enumerations have changed."""
        known = self._known.setdefault(name, {}) if name not in self._sampled else self._known.get(name)
        self._sampled[name] = self._sampled.get(name, 0) + len(values)
        if known is None:
            return False
        self._add(name, values, FEW)
        return self._sampled[name] >= SAMPLED and self._enumerate(name)

    def note(self, name: str, values: Sequence[Any]) -> bool:
        """Takes in more values of a field that has an enumeration; whether that has changed."""
        before = len(self._known[name])
        self._add(name, values, MOST)
        if name not in self._known:
            del self._enumerations[name]
            return True
        return len(self._known[name]) > before and self._enumerate(name)

    def _add(self, name: str, values: Sequence[Any], most: int) -> None:
        known = self._known[name]
        for value in values:
            if value is None or value == "" or value in known:
                continue
            if type(value) is not str or len(value) > LONGEST or len(known) == most:
                del self._known[name]
                return
            known[value] = None

    def _enumerate(self, name: str) -> bool:
        known = self._known.get(name)
        if known:
            self._enumerations[name] = enumeration(tuple(known))
        return bool(known)
