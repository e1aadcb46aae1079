"""Cuts a chunk of a file into whole lines, leaving out what is no line: NUL runs and over-long lines.

Pure functions of bytes. Lines end with b"\\n"; CRLF, byte order marks and blank lines stay as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tidegauge.sources.block import LINE_TOO_LONG, NUL_BYTES

REPORTED = ""  # the reason of a cut that was already reported when it began


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch being left out whose end has not been seen yet."""

    reason: str
    start: int  # offset in the file


@dataclass(frozen=True, slots=True)
class Taken:
    """What `take` found: data is chunk[start:end], the next chunk begins with chunk[end]."""

    start: int
    end: int
    dropped: tuple[tuple[str, int, int], ...]
    cut: Cut | None  # still being left out at `end`
    more: bool  # the chunk was not looked through to its end: call again from `end`


def take(chunk: bytes, begin: int, offset: int, max_line_bytes: int, cut: Cut | None) -> Taken:
    """Takes the first contiguous run of whole lines out of chunk[begin:]; chunk[begin] is the file's byte `offset`.

    A line of more than `max_line_bytes` (its newline not counted), or NUL bytes at the beginning of a line, end the
    run: they are left out by the next call, so that data is always contiguous in the file.
    """
    shift, size = offset - begin, len(chunk)
    at = begin
    dropped: list[tuple[str, int, int]] = []
    while True:
        if cut is None and at < size and chunk[at] == 0:
            cut = Cut(NUL_BYTES, shift + at)
        if cut is not None:
            end = _end_of_cut(chunk, at, size, cut)
            if end < 0:
                return Taken(size, size, tuple(dropped), cut, False)
            if cut.reason != REPORTED:
                dropped.append((cut.reason, cut.start, shift + end - cut.start))
            cut, at = None, end
            continue
        end = _end_of_lines(chunk, at, size, max_line_bytes)
        too_long = size - end > max_line_bytes
        if end == at and too_long:
            cut = Cut(LINE_TOO_LONG, shift + at)
            continue
        return Taken(at, end, tuple(dropped), None, too_long or (end < size and chunk[end] == 0))


def _end_of_cut(chunk: bytes, at: int, size: int, cut: Cut) -> int:
    """Index of the first byte after the cut, or -1 if the chunk ends within it."""
    if cut.reason == NUL_BYTES:
        rest = len(chunk[at:size].lstrip(b"\0"))
        return size - rest if rest else -1
    newline = chunk.find(b"\n", at, size)
    return newline + 1 if newline >= 0 else -1


def _end_of_lines(chunk: bytes, at: int, size: int, max_line_bytes: int) -> int:
    """Index just after the last newline before the first over-long line, NUL-led line or unfinished line."""
    end = at
    while True:
        # Everything between two line starts at most max_line_bytes + 1 apart is short enough; few searches cover it.
        newline = chunk.rfind(b"\n", end, min(size, end + max_line_bytes + 1))
        if newline < 0:
            break
        end = newline + 1
    if chunk.find(b"\0", at, end) >= 0:
        nul_line = chunk.find(b"\n\0", at, end)
        if nul_line >= 0:
            return nul_line + 1
    return end


def is_whole_object(line: bytes) -> bool:
    """Whether a line without newline is one complete JSON object, so that nothing of it can be missing."""
    text = line.strip(b"\xef\xbb\xbf \t\r\n")
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
