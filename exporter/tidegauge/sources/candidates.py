"""Files on disk that are not known to be part of anything yet: what they are and whether they are wanted."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from tidegauge.sources import names
from tidegauge.sources.fingerprint import HEAD_BYTES, digest
from tidegauge.sources.ledger import Ignored
from tidegauge.sources.readers import GzipReader, open_reader, unsupported


@dataclass(slots=True)
class Candidate:
    """A file on disk that no part has claimed."""

    path: str
    stat: os.stat_result
    stream: str | None  # the live name it belongs to; None if only its content can tell
    live: bool  # named by the glob
    head: bytes = b""
    compressed: bool = False
    whole: bool = True  # not a compressed file that stops in the middle of its first bytes
    matched: bool = False  # begins like a known part

    @property
    def streams(self) -> tuple[str | None, ...]:
        """Live names it may have had, judged by its own."""
        folder, name = os.path.split(self.path)
        return self.stream, self.path, *(os.path.join(folder, old) for old in names.live_names(name))  # noqa: PTH118


def inspect(candidate: Candidate) -> str | None:
    """Reads a candidate's first bytes. Returns what makes it unreadable for good, in words, or None."""
    reader = open_reader(candidate.path)
    try:
        candidate.compressed = reader.compressed
        candidate.head = reader.read(0, HEAD_BYTES)
        if isinstance(reader, GzipReader):
            candidate.whole = len(candidate.head) == HEAD_BYTES or reader.complete
            return "is damaged: gzip cannot read its beginning" if reader.broken and not candidate.head else None
        return unsupported(candidate.head)
    finally:
        reader.close()


def to_ignore(candidate: Candidate) -> Ignored:
    return Ignored(len(candidate.head), digest(candidate.head), _content_size(candidate), candidate.stat.st_mtime_ns)


def is_ignored(candidate: Candidate, ignored: Iterable[Ignored]) -> bool:
    """Whether a candidate is one of the files to be ignored: begins like it, and has its size or its time.

    Renaming keeps both; compressing keeps the time and the content's size; touching keeps the size.
    """
    size = _content_size(candidate)
    return any(
        len(candidate.head) >= known.head_length
        and digest(candidate.head[: known.head_length]) == known.head_hash
        and (known.content_size == size or known.mtime_ns // 10**9 == candidate.stat.st_mtime_ns // 10**9)
        for known in ignored
    )


def _content_size(candidate: Candidate) -> int:
    if not candidate.compressed:
        return candidate.stat.st_size % 2**32
    fd = os.open(candidate.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # RFC 1952 section 2.3.1: ISIZE, the last four bytes of a member.
        trailer = os.pread(fd, 4, max(0, candidate.stat.st_size - 4))
    finally:
        os.close(fd)
    return int(struct.unpack("<I", trailer)[0]) if len(trailer) == 4 else 0


def oldest_first(candidate: Candidate) -> tuple[bool, int, int, str]:
    """Sort key within a stream: rotated files by age, the live one last."""
    live_last = candidate.live and candidate.path == candidate.stream
    number = names.rotation_number(os.path.basename(candidate.path))  # noqa: PTH119
    return live_last, candidate.stat.st_mtime_ns, -number, candidate.path
