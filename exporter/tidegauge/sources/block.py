"""What a source hands out: whole lines as bytes, and what it says about itself.

Values only; nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LINE_TOO_LONG = "line_too_long"
NUL_BYTES = "nul_bytes"
TORN_LINE = "torn_line"

EVENT_MEANINGS: Mapping[str, str] = {
    "rotations": "A followed file went on under another name, or another file took its name.",
    "truncations": "A followed file was emptied or rewritten in place.",
    "shrunk": "A followed file lost its end but kept its beginning (power failure); it is read on from there.",
    "missed_generations": "A rotated file nobody had seen live was found and read.",
    "deleted_unread": "A file went away with bytes that were known and never read.",
    "lost_unknown": "A file was truncated and no copy of it was found: it may have held unread lines.",
    "lost_bytes": "Bytes known to exist and never read.",
    "permission_denied": "A file could not be opened for want of permission.",
    "read_errors": "Opening or reading failed otherwise.",
    "truncated_gzip": "A compressed file ends in the middle.",
    "corrupt_gzip": "A compressed file cannot be decompressed further.",
    "unsupported_files": "UTF-16, or compressed by something other than gzip.",
}
"""What can happen to the files of a source, in words."""

EVENTS = tuple(EVENT_MEANINGS)


NOTHING = memoryview(b"")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one file: `data[i]` is the file's byte `offset + i`.

    `data` ends with a newline (added after a final line that has none), and may be empty when only `dropped` has
    something to say.
    """

    data: memoryview  # of what was read at once: a copy of every byte would cost as much as the reading
    path: str  # the name the glob knows the file by, also when the file has been rotated away since
    offset: int  # of data[0], in the decompressed file
    dropped: tuple[tuple[str, int, int], ...] = ()  # (reason, offset, length) of what was cut out just before `data`
    place: str = ""  # where the file is now, for messages


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's state of affairs, for metrics and for the page."""

    files: int  # files followed that exist
    unreadable: int  # files that cannot be read now, or not to their end
    open_files: int
    lag_bytes: (
        int  # bytes on disk not handed out yet, unfinished last lines included; compressed bytes where compressed
    )
    read_bytes_total: int  # decompressed bytes handed out or dropped
    events: Mapping[str, int]  # every name in EVENTS, 0 included
    problems: tuple[str, ...]  # sentences for people
    first_pass_done: bool  # everything that existed at start has been read to the size it had then
