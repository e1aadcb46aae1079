"""A bounded look at a source's files: the first and the last megabyte of the newest ones, cut into whole lines.

Opens files for reading only, through the source's own readers. What it leaves out it says (`whole`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tidegauge.config.settings import Source
from tidegauge.sources import folders
from tidegauge.sources.files import FileSource
from tidegauge.sources.lines import is_whole_object, take
from tidegauge.sources.readers import open_reader, unsupported

MOST_FILES = 10
SHARE = 1 << 20
"""Bytes of each end of a file that are looked at."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of one file: `data[0]` is the file's byte `offset`. `changed` is the file's time in ms."""

    path: str
    offset: int
    data: bytes
    changed: int
    last: bool  # it reaches the end of the file

    def where(self, offset: int) -> str:
        """The place of a byte of `data` for people: by line where the lines before it are known."""
        if self.offset == 0:
            line = self.data.count(b"\n", 0, offset) + 1
            return f"{self.path}, line {line}"
        return f"{self.path}, byte {self.offset + offset}"


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of one source."""

    source: Source
    files: int  # that the glob names
    pieces: tuple[Piece, ...]
    too_long: int  # lines beyond max_line_bytes
    problems: tuple[str, ...]  # sentences of the source itself about files it cannot read or follow
    whole: bool  # every byte of every file was seen


def take_sample(source: Source, max_line_bytes: int) -> Sample:
    """Looks at the newest files of the source."""
    following = FileSource(source, max_line_bytes=max_line_bytes)
    try:
        following.poll(int(time.time() * 1000))
        problems = following.status().problems
    finally:
        following.close()
    live = folders.glance(source.pattern).live
    newest = sorted(live, key=lambda path: (-live[path].st_mtime_ns, path))
    pieces: list[Piece] = []
    too_long, whole = 0, len(newest) <= MOST_FILES
    for path in newest[:MOST_FILES]:
        try:
            found, dropped, complete = _both_ends(path, live[path].st_mtime_ns // 10**6, max_line_bytes)
        except OSError:
            whole = False  # among the source's problems if it lasts
            continue
        pieces += found
        too_long += dropped
        whole &= complete
    told = tuple(problem for problem in problems if not problem.startswith("no file matches"))
    return Sample(source, len(live), tuple(pieces), too_long, told, whole)


def _both_ends(path: str, changed: int, max_line_bytes: int) -> tuple[list[Piece], int, bool]:
    reader = open_reader(path)
    try:
        head = reader.read(0, 2 * SHARE)
        if unsupported(head):
            return [], 0, False
        size = len(head) if reader.compressed else reader.stat().st_size
        if size <= 2 * SHARE:
            pieces, dropped = _lines(path, 0, head, changed, max_line_bytes, last=True)
            return pieces, dropped, not (reader.compressed and len(head) == 2 * SHARE)
        pieces, dropped = _lines(path, 0, head[:SHARE], changed, max_line_bytes, last=False)
        # The byte before the tail tells whether the tail begins with a line.
        tail = reader.read(size - SHARE - 1, SHARE + 1)
        begin = tail.find(b"\n") + 1
        more, dropped_too = _lines(path, size - SHARE - 1 + begin, tail[begin:], changed, max_line_bytes, last=True)
        return pieces + more, dropped + dropped_too, False
    finally:
        reader.close()


def _lines(
    path: str, offset: int, data: bytes, changed: int, max_line_bytes: int, *, last: bool
) -> tuple[list[Piece], int]:
    """The whole lines among the data, and how many were too long."""
    if last and not data.endswith(b"\n") and is_whole_object(data[data.rfind(b"\n") + 1 :]):
        data += b"\n"
    pieces: list[Piece] = []
    too_long = at = 0
    cut = None
    while at < len(data):
        taken = take(data, at, offset + at, max_line_bytes, cut)
        too_long += sum(reason == "line_too_long" for reason, _, _ in taken.dropped)
        if taken.end > taken.start:
            pieces.append(Piece(path, offset + taken.start, data[taken.start : taken.end], changed, last))
        if taken.end == at or not taken.more:
            break
        at, cut = taken.end, taken.cut
    return pieces, too_long
