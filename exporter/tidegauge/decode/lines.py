"""A block of bytes to rows, line by line in meaning and many lines at a time in fact.

Invariant: what becomes of a line depends on the line alone. The fast path parses about 128 KB at once (parsed objects
must still be in the cache when they are read) and counts only if it provably did the same as parsing each line: every
line starts with `{` and ends with `}`, and there are as many rows as lines. Strings cannot hold a raw newline (the
parser refuses control characters), and `}` newline `{` cannot stand inside an object; so no object spans two lines, so
each line has at least one object, so, the counts being equal, exactly one. (Nesting within a few levels of the
interpreter's recursion limit is the exception: where exactly it is refused depends on the stack.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.columns import Rejection
from tidegauge.decode.layout import Layout, Row

Offsets = NDArray[np.int64]

FAST_BYTES = 1 << 17
FAST_LINES = 1024
CAREFUL_LINES = 8
_CAREFUL_FOR = 4096  # lines
_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_LONGEST_INTEGER = 4000  # digits; int() and str() refuse more than 4300


class LineTable:
    """Where the lines of a block are; blank ones are left out."""

    __slots__ = ("_odd", "ends", "starts")

    def __init__(self, data: bytes) -> None:
        array = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(array == _NEWLINE)
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
        self._odd = np.flatnonzero((array[starts] != _OPEN) | (last != _CLOSE))

    def plain(self, at: int, stop: int) -> bool:
        """Whether each of these lines starts with `{` and ends with `}`."""
        return not len(self._odd) or bool(self._odd.searchsorted(at) == self._odd.searchsorted(stop))

    def rejection(self, reason: str, start: int) -> Rejection:
        """The rejection of the line that starts there."""
        line = int(np.searchsorted(self.starts, start))
        return Rejection(reason, start, int(self.ends[line]) - start)


class LineReader:
    """Reads the rows of one layout out of blocks.

    What it remembers makes it faster and never changes a result: how careful to be, and which fields this log has. The
    others are refused by the parser instead of being looked at in every row; when one turns up, it is remembered too.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.names: frozenset[str] = frozenset()  # of the fields seen with a value
        self._decode = msgspec.json.Decoder(layout.struct()).decode
        self._decode_lines = msgspec.json.Decoder(layout.struct()).decode_lines
        self._decode_lean = msgspec.json.Decoder(layout.struct(self.names)).decode_lines
        self._careful = 0  # lines for which small pieces pay

    def read(self, data: bytes, table: LineTable, rejections: list[Rejection]) -> Iterator[tuple[list[Row], Offsets]]:
        """Rows with their lines' offsets, a piece at a time, in order; lines that give no row go to `rejections`.

        Of the rows given so far, only fields in `names` have values.
        """
        view = memoryview(data)
        starts, ends = table.starts, table.ends
        n, at = len(ends), 0
        while at < n:
            stop = int(ends.searchsorted(starts[at] + FAST_BYTES, "right"))
            stop = max(at + 1, min(stop, at + FAST_LINES))
            rows = None
            if not self._careful and table.plain(at, stop):
                lines = view[starts[at] : ends[stop - 1]]
                rows = _together(self._decode_lean, lines, stop - at)
                if rows is None:
                    rows = _together(self._decode_lines, lines, stop - at)
                    if rows is None:
                        self._careful = _CAREFUL_FOR
                    else:
                        self._notice(rows)
            if rows is None:
                rows, kept = self._carefully(view, table, at, stop, rejections)
                if rows:
                    yield rows, starts[np.array(kept)]
            else:
                yield rows, starts[at:stop]
            at = stop

    def _carefully(
        self, view: memoryview, table: LineTable, at: int, stop: int, rejections: list[Rejection]
    ) -> tuple[list[Row], list[int]]:
        """Rows and the numbers of their lines, in small pieces, and line by line where those fail."""
        starts, ends = table.starts[at:stop].tolist(), table.ends[at:stop].tolist()
        rows: list[Row] = []
        kept: list[int] = []
        for begin in range(0, stop - at, CAREFUL_LINES):
            end = min(stop - at, begin + CAREFUL_LINES)
            if table.plain(at + begin, at + end):
                some = _together(self._decode_lean, view[starts[begin] : ends[end - 1]], end - begin)
                if some is not None:
                    rows += some
                    kept += range(at + begin, at + end)
                    self._careful = max(0, self._careful - CAREFUL_LINES)
                    continue
            self._careful = _CAREFUL_FOR
            new = len(rows)
            for line in range(begin, end):
                row = self.read_line(bytes(view[starts[line] : ends[line]]))
                if isinstance(row, str):
                    rejections.append(Rejection(row, starts[line], ends[line] - starts[line]))
                elif row is not None:
                    rows.append(row)
                    kept.append(at + line)
            self._notice(rows[new:])
        return rows, kept

    def _notice(self, rows: list[Row]) -> None:
        new = self.layout.given(rows, self.layout.names - self.names)
        if new:
            self.names |= new
            self._decode_lean = msgspec.json.Decoder(self.layout.struct(self.names)).decode_lines

    def read_line(self, line: bytes) -> Row | str | None:
        """The row of one line, why there is none (one of REASONS), or None if it is blank."""
        line = line.removeprefix(_BOM)
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
            return self.layout.coerce(record)
        except UnicodeEncodeError:
            return "invalid_utf8"


def _together(decode_lines: Callable[[memoryview], list[Row]], lines: memoryview, count: int) -> list[Row] | None:
    """The rows of so many lines known to be plain; None if that cannot be told from parsing them at once."""
    try:
        rows = decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return rows if len(rows) == count else None


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("inf")
