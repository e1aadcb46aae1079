"""A block of bytes to rows, line by line in meaning and many lines at a time in fact.

Invariant: what becomes of a line depends on the line alone. The fast path parses about 256 KB at once (parsed objects
must still be in the cache when they are read) and counts only if it provably did the same as parsing each line: every
line starts with `{` and ends with `}`, and there are as many rows as lines. Strings cannot hold a raw newline (the
parser refuses control characters), and `}` newline `{` cannot stand inside an object; so no object spans two lines, so
each line has at least one object, so, the counts being equal, exactly one. (Nesting within a few levels of the
interpreter's recursion limit is the exception: where exactly it is refused depends on the stack.)
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.columns import Rejection
from tidegauge.decode.enumerated import FewTexts
from tidegauge.decode.layout import Layout, Row

Data = bytes | memoryview  # of whole lines
Offsets = NDArray[np.int64]

FAST_BYTES = 1 << 18
FAST_LINES = 1024
CAREFUL_BYTES = 14_000
_CAREFUL_FOR = 1024  # lines
_OFTEN = 16  # lines between drifted ones, below which reading all of them loosely pays
_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_PLACE = re.compile(r"`\$\[(\d+)\]|\(byte (\d+)\)")  # in the messages of msgspec, of a row or a byte
_LONGEST_INTEGER = 4300  # digits that int() and str() take
_SCAN_BYTES = 1 << 20


class LineTable:
    """Where the lines of a block are; blank ones are left out."""

    __slots__ = ("_odd", "ends", "starts")

    def __init__(self, data: Data) -> None:
        array = np.frombuffer(data, np.uint8)
        ends = _newlines(array)
        if len(data) and data[-1] != _NEWLINE:
            ends = np.append(ends, len(data))
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        if (ends - starts <= 1).any():
            blank = (ends == starts) | ((ends - starts == 1) & (array[np.minimum(starts, len(data) - 1)] == _RETURN))
            starts, ends = starts[~blank], ends[~blank]
        last = array[ends - 1]
        if (last == _RETURN).any():
            last = np.where(last == _RETURN, array[ends - 2], last)
        self.starts: Offsets = starts
        self.ends: Offsets = ends  # of the newline
        self._odd: list[int] = np.flatnonzero((array[starts] != _OPEN) | (last != _CLOSE)).tolist()

    def next_odd(self, line: int) -> int:
        """The first line from there on that does not start with `{` and end with `}`; the number of lines if none."""
        place = bisect_left(self._odd, line) if self._odd else 0
        return self._odd[place] if place < len(self._odd) else len(self.ends)

    def line(self, data: Data, start: int) -> bytes:
        """The line that starts there."""
        return bytes(data[start : int(self.ends[np.searchsorted(self.starts, start)])])

    def rejection(self, reason: str, start: int) -> Rejection:
        """The rejection of the line that starts there."""
        line = int(np.searchsorted(self.starts, start))
        return Rejection(reason, start, int(self.ends[line]) - start)


def _newlines(array: NDArray[np.uint8]) -> Offsets:
    """Where the newlines are. Found word by word: a line has dozens of bytes, so most words of eight have none."""
    is_newline = np.zeros(min(_SCAN_BYTES, -(-len(array) // 8) * 8), np.bool_)
    words = is_newline.view("<u8")
    places, held = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for start in range(0, len(array), _SCAN_BYTES):
        piece = array[start : start + _SCAN_BYTES]
        is_newline[len(piece) :] = False
        np.equal(piece, _NEWLINE, out=is_newline[: len(piece)])
        some = np.flatnonzero(words != 0)
        held.append(words[some])
        places.append(some * 8 + start)
    place, word = np.concatenate(places), np.concatenate(held)
    found = []
    while len(place):  # once, unless two are in one word
        below = word - np.uint64(1)
        found.append(place + (np.bitwise_count(below) >> 3))
        word &= below
        more = np.flatnonzero(word)
        place, word = place[more], word[more]
    return found[0] if len(found) == 1 else np.sort(np.concatenate([place, *found]))


class LineReader:
    """Reads the rows of one layout out of blocks.

    What it remembers makes it faster and never changes a result: how careful to be, which fields this log has, which
    features have few texts, and whether the field called `steady` has had but one value. What is not so is refused by
    the parser instead of being looked for in every row; when it turns up, it is remembered.
    """

    def __init__(self, layout: Layout, steady: str) -> None:
        self.layout = layout
        self.names: frozenset[str] = frozenset()  # of the fields seen with a value
        self.common: str | None = None  # what all rows of the last piece have in the steady field, if that is known
        self._steady = steady
        self._value: str | None = None  # what every row must have in the steady field
        self._varies = not layout.can_be_steady(steady)
        self._texts = FewTexts()
        self._unsampled: list[str] = []
        self._decode = msgspec.json.Decoder(layout.struct()).decode
        self._be_lean()
        self._careful = 0  # lines for which small runs pay
        self._drifted = 0  # lines whose types had drifted, of those read alone
        self._calm = _OFTEN  # lines since the last of them
        self._decode_loose: Any = None  # made when first needed

    def read(self, data: Data, table: LineTable, rejections: list[Rejection]) -> Iterator[tuple[list[Row], Offsets]]:
        """Rows with their lines' offsets, a piece at a time, in order; lines that give no row go to `rejections`.

        Of the rows given so far, only fields in `names` have values. See `common` for the piece just given.
        """
        view = memoryview(data)
        starts, ends = table.starts, table.ends
        n, at = len(ends), 0
        while at < n:
            stop = int(ends.searchsorted(starts[at] + FAST_BYTES, "right"))
            stop = max(at + 1, min(stop, at + FAST_LINES))
            rows: list[Row] | int = 0
            value = self._value
            offsets = starts[at:stop]
            if not self._careful and table.next_odd(at) >= stop:
                rows = self._together(view[starts[at] : ends[stop - 1]], stop - at)
            if isinstance(rows, int):
                rows, offsets = self._in_runs(view, table, at, stop, rejections)
            # Rows read before the value was required may lack it.
            self.common = value if value == self._value else None
            if self._unsampled and rows:
                self._sample(rows)
            if rows:
                yield rows, offsets
            at = stop

    def _in_runs(
        self, view: memoryview, table: LineTable, at: int, stop: int, rejections: list[Rejection]
    ) -> tuple[list[Row], Offsets]:
        """Rows and their lines' offsets: odd lines alone, the others in runs, small ones where one has failed."""
        starts, ends = table.starts[at:stop].tolist(), table.ends[at:stop].tolist()
        n = stop - at
        small = max(1, n * CAREFUL_BYTES // (ends[-1] - starts[0]))
        rows: list[Row] = []
        kept: list[Offsets] = []
        line, odd = 0, table.next_odd(at) - at
        while line < n:
            alone, end, read = line, 0, self._read_fully
            if line == odd:
                read = self.read_line
                odd = table.next_odd(at + line + 1) - at
            else:
                end = min(odd, n, line + small if self._careful else n)
                run = self._together(view[starts[line] : ends[end - 1]], end - line)
                if isinstance(run, int):
                    alone += run
                    run = self._together(view[starts[line] : ends[alone - 1]], run) if run else []
                if isinstance(run, int):  # the culprit is not where it seemed to be
                    alone, run = line, []
                if run:
                    rows += run
                    kept.append(table.starts[at + line : at + line + len(run)])
                    self._careful = max(0, self._careful - len(run))
                    self._calm += len(run)
                    line += len(run)
                    if line != alone:
                        continue
            before = self._drifted
            row = read(bytes(view[starts[alone] : ends[alone]]))
            if isinstance(row, str):
                rejections.append(Rejection(row, starts[alone], ends[alone] - starts[alone]))
            elif row is not None:
                rows.append(row)
                kept.append(table.starts[at + alone : at + alone + 1])
            line = alone + 1
            often = self._drifted > before and self._calm < _OFTEN and line < end
            self._calm = 0 if self._drifted > before else self._calm + 1
            run = self._loosely(view[starts[line] : ends[end - 1]], end - line) if often else []
            if run:
                rows += run
                kept.append(table.starts[at + line : at + end])
                self._careful = max(0, self._careful - len(run))
                line = end
            elif end:
                self._careful = _CAREFUL_FOR
        return rows, np.concatenate(kept) if kept else table.starts[:0]

    def _together(self, text: memoryview, lines: int) -> list[Row] | int:
        """The rows of so many lines, none odd; or, if parsing them at once fails, how many good ones seem to precede.

        The parser's message is only a hint: what precedes is parsed again, and the culprit alone.
        """
        try:
            rows = self._decode_lines(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            place = _PLACE.search(str(fault))
            if place is None:
                return 0
            before = int(place[1]) if place[1] else bytes(text[: int(place[2])]).count(b"\n")
            return min(before, lines - 1)
        return rows if len(rows) == lines else 0

    def _loosely(self, text: memoryview, lines: int) -> list[Row]:
        """The rows of so many lines, none odd, of drifted types; empty if one of them needs more leniency than that."""
        if self._decode_loose is None:
            self._decode_loose = msgspec.json.Decoder(self.layout.loose_struct()).decode_lines
        try:
            rows: list[Row] = self._decode_loose(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []
        if len(rows) != lines:
            return []
        self.layout.settle(rows)
        self._notice(rows)
        return rows

    def _notice(self, rows: list[Row]) -> None:
        new = self.layout.given(rows, self.layout.names - self.names)
        values = [None] if self._varies else self.layout.columns(rows, [self._steady])[self._steady]
        value = values[0] if type(values[0]) is str and values.count(values[0]) == len(values) else None
        if self._value not in (None, value):
            self._varies, value = True, None
        texts = self.layout.columns(rows, list(self._texts.enumerations))
        other = [name for name, column in texts.items() if self._texts.note(name, column)]
        if new or other or value != self._value:
            self.names |= new
            self._value = value if type(value) is str and value else None
            self._be_lean()

    def _sample(self, rows: list[Row]) -> None:
        texts = self.layout.columns(rows, self._unsampled)
        changed = [name for name, column in texts.items() if self._texts.sample(name, column)]
        self._unsampled = self._texts.unsampled(self._unsampled)
        if changed:
            self._be_lean()

    def _be_lean(self) -> None:
        steady = None if self._value is None else (self._steady, self._value)
        struct = self.layout.struct(self.names, steady, self._texts.enumerations)
        lean: msgspec.json.Decoder[Row] = msgspec.json.Decoder(struct)
        self._decode_lean, self._decode_lines = lean.decode, lean.decode_lines
        self._unsampled = self._texts.unsampled(self.layout.enumerable & self.names)

    def read_line(self, line: bytes) -> Row | str | None:
        """The row of one line, why there is none (one of REASONS), or None if it is blank."""
        try:
            return self._decode_lean(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._read_fully(line)

    def _read_fully(self, line: bytes) -> Row | str | None:
        row = self._read_any(line.removeprefix(_BOM))
        if row is not None and not isinstance(row, str):
            self._notice([row])
        return row

    def _read_any(self, line: bytes) -> Row | str | None:
        try:
            return self._decode(line)
        except msgspec.ValidationError:
            return self._leniently(line)
        except UnicodeDecodeError:
            return "invalid_utf8"
        except RecursionError:
            return "invalid_json"
        except msgspec.DecodeError:
            if not line.strip(_BLANK):
                return None
            # Python's parser takes these, which Python's own json module writes.
            return self._leniently(line) if b"NaN" in line or b"Infinity" in line else "invalid_json"

    def _leniently(self, line: bytes) -> Row | str:
        try:
            record = json.loads(line.decode("utf-8", "surrogateescape"), parse_int=_integer)
        except (ValueError, RecursionError):
            return "invalid_json"
        if not isinstance(record, dict):
            return "not_an_object"
        try:
            row = self.layout.coerce(record)
        except UnicodeEncodeError:
            return "invalid_utf8"
        self._drifted += 1
        return row


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("-inf" if digits.startswith("-") else "inf")
