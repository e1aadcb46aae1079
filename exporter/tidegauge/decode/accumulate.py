"""Columns put together from pieces, while the parsed objects of each piece are still in the cache.

A piece is a list with one value a row, or None if no row of it has a value. Texts are only joined piece by piece and
worked on at the end, when there are enough of them for arrays to pay.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode import timestamps
from tidegauge.decode.categories import joined_codes
from tidegauge.decode.identifiers import hash_joined, hash_texts, identifier_text, settle_keys
from tidegauge.decode.text import Coder


class _Joined:
    """Pieces that are texts without a newline (joined by newlines) or finished arrays, in order."""

    def __init__(self, dtype: type, work: Callable[[bytes, int], NDArray[Any]]) -> None:
        self._dtype = dtype
        self._work = work
        self._texts: list[str] = []
        self._rows = 0  # in _texts
        self._done: list[NDArray[Any]] = []

    def add_texts(self, values: Sequence[Any]) -> bool:
        """Takes the values if all are texts without a newline."""
        try:
            joined = "\n".join(values)
        except TypeError:
            return False
        if joined.count("\n") != len(values) - 1:
            return False
        self._texts.append(joined)
        self._rows += len(values)
        return True

    def add_array(self, array: NDArray[Any]) -> None:
        self._settle()
        self._done.append(array)

    def finish(self) -> NDArray[Any]:
        self._settle()
        return np.concatenate(self._done) if self._done else np.empty(0, self._dtype)

    def _settle(self) -> None:
        if self._rows:
            self._done.append(self._work("\n".join(self._texts).encode(), self._rows))
            self._texts, self._rows = [], 0


class IdColumn:
    """Keys of ids: 0 where there is none. Rows whose id can be none are told apart by `finish`."""

    def __init__(self) -> None:
        self._joined = _Joined(np.uint64, hash_joined)
        self._size = 0
        self.given = False  # whether a piece had values
        self._invalid: list[int] = []

    def add(self, values: Sequence[Any] | None, rows: int) -> None:
        """The next piece."""
        if values is None:
            self._joined.add_array(hash_texts([""]).repeat(rows))
        else:
            self.given = True
            if not self._joined.add_texts(values):
                self._joined.add_array(hash_texts(self._texts(values)))
        self._size += rows

    def _texts(self, values: Sequence[Any]) -> list[str]:
        """The values with the few that are no texts made so."""
        texts, kinds = list(values), list(map(type, values))
        for kind in set(kinds) - {str}:
            row = -1
            for _ in range(kinds.count(kind)):
                row = kinds.index(kind, row + 1)
                texts[row] = self._text(values[row], self._size + row)
        return texts

    def _text(self, value: Any, row: int) -> str:
        if value is None:
            return ""
        try:
            return identifier_text(value)
        except ValueError:
            self._invalid.append(row)
            return ""

    def finish(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The keys, and the numbers of the rows whose id was invalid."""
        return settle_keys(self._joined.finish()), np.array(sorted(self._invalid), np.int64)


class TimeColumn:
    """Milliseconds, timestamps.INVALID or timestamps.MISSING."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._joined = _Joined(np.int64, lambda texts, rows: timestamps.parse_joined(texts, rows, zone))

    def add(self, values: Sequence[Any] | None, rows: int) -> None:
        """The next piece."""
        if values is None:
            self._joined.add_array(np.full(rows, timestamps.MISSING, np.int64))
        elif not self._joined.add_texts(values):
            self._joined.add_array(timestamps.parse(values, self._zone))

    def finish(self) -> NDArray[np.int64]:
        """The whole column."""
        return self._joined.finish()


class TextColumn:
    """Codes of canonical text."""

    def __init__(self) -> None:
        self.coder = Coder()
        self._joined = _Joined(np.int32, self._work)
        self._even = True  # until texts of one block turn out to have several lengths

    def add(self, values: Sequence[Any] | None, rows: int) -> None:
        """The next piece."""
        if values is None:
            self._joined.add_array(np.full(rows, -1, np.int32))
        elif not (self._even and self._joined.add_texts(values)):
            self._joined.add_array(self.coder.codes(values))

    def _work(self, joined: bytes, rows: int) -> NDArray[np.int32]:
        codes = joined_codes(joined, rows, self.coder)
        if codes is None:
            self._even = False
            codes = self.coder.codes(joined.decode().split("\n"))
        return codes

    def finish(self) -> NDArray[np.int32]:
        """Codes of the whole column, -1 and text.INVALID among them."""
        return self._joined.finish()


class NumberColumn:
    """Floats. None is `absent`; without `convert` every other value is a float already."""

    def __init__(
        self, convert: Callable[[Sequence[Any]], NDArray[np.float64]] | None = None, *, absent: float = np.nan
    ) -> None:
        self._convert = convert
        self._absent = absent
        self._pieces: list[tuple[int, bytes | None]] = []

    def add(self, values: Sequence[Any] | None, rows: int) -> None:
        """The next piece."""
        if values is None or (values[0] is None and values.count(None) == rows):
            self._pieces.append((rows, None))
        elif self._convert is None:
            try:
                packed = struct.pack(f"{rows}d", *values)
            except struct.error:
                packed = np.array(values, np.float64).tobytes()
            self._pieces.append((rows, packed))
        else:
            self._pieces.append((rows, self._convert(values).tobytes()))

    def finish(self) -> NDArray[np.float64] | None:
        """The whole column, None if no row has a value."""
        if all(packed is None for _, packed in self._pieces):
            return None
        absent = struct.pack("d", self._absent)
        whole = bytearray().join(absent * rows if packed is None else packed for rows, packed in self._pieces)
        return np.frombuffer(whole, np.float64)

    def filled(self, rows: int) -> NDArray[np.float64]:
        """The whole column."""
        column = self.finish()
        return np.full(rows, self._absent) if column is None else column


class FlagColumn:
    """Booleans. None is false."""

    def __init__(self, convert: Callable[[Sequence[Any]], list[bool]]) -> None:
        self._convert = convert
        self._pieces: list[tuple[int, list[bool] | None]] = []

    def add(self, values: Sequence[Any] | None, rows: int) -> None:
        """The next piece."""
        self._pieces.append((rows, None if values is None else self._convert(values)))

    def filled(self, rows: int) -> NDArray[np.bool_]:
        """The whole column."""
        column = np.zeros(rows, np.bool_)
        at = 0
        for size, values in self._pieces:
            if values is not None:
                column[at : at + size] = values
            at += size
        return column


def is_set(value: Any) -> bool:
    """Whether a flag that may come as any type is meant as given: not false, 0, "", "0" or "false"."""
    return value.strip().lower() not in ("", "0", "false") if isinstance(value, str) else bool(value)


def flags(values: Sequence[Any]) -> list[bool]:
    """`is_set` of each."""
    return [value is not None and is_set(value) for value in values]
