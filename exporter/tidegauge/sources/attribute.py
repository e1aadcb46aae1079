"""Decides which file on disk is which part: still in place, renamed, copied, truncated, or new.

Works on one poll's view of the disk. Names and inodes suggest, content decides (see fingerprint.compare).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from tidegauge.sources import names
from tidegauge.sources.fingerprint import HEAD_BYTES, MARK_BYTES, Match, compare, digest, mark_at
from tidegauge.sources.ledger import Ignored, Ledger
from tidegauge.sources.open_files import OpenFiles
from tidegauge.sources.part import Part, Quiet
from tidegauge.sources.readers import GzipReader, Reader, open_reader, unsupported

QUIET_POLLS = 3
QUIET_MS = 5_000
START_BYTES = 64
STRONG_BYTES = 256


Signature = tuple[int, int, int]


def signature(stat: os.stat_result) -> Signature:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


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


@dataclass(slots=True)
class Sight:
    """What is remembered from poll to poll about files that are not read. In memory only: a restart looks again."""

    copies: dict[str, tuple[Signature, Part | None]] = field(default_factory=dict)
    waiting: dict[str, tuple[Signature, Quiet]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  # path -> why
    refused: dict[str, str] = field(default_factory=dict)  # path -> why

    def known_copy(self, path: str, stat: os.stat_result, files: OpenFiles) -> bool:
        """Whether this very file was seen to hold nothing new, and what it is a copy of is still to be read elsewhere."""
        seen, original = self.copies.get(path, (None, None))
        return seen == signature(stat) and (original is None or original.present or files.get(original) is not None)

    def complain(self, path: str, error: OSError, ledger: Ledger) -> None:
        if path not in self.unreadable:
            ledger.count("permission_denied" if isinstance(error, PermissionError) else "read_errors")
        self.unreadable[path] = f"cannot read {path}: {error.strerror or error}"


def confirm(
    part: Part, path: str, stat: os.stat_result, ledger: Ledger, files: OpenFiles, sight: Sight, now_ms: int
) -> bool:
    """Whether the file at `path` still is the part; if so takes note of its size, if it was truncated of that."""
    if (stat.st_size, stat.st_mtime_ns) == (part.size, part.mtime_ns) and (not part.doubted or part.compressed):
        part.quiet.watch(now_ms)
        settle_down(part, path, stat)
        return True
    try:
        held = files.get(part)
        reader = held or files.open(part, path)
        # Comparing would inflate a compressed file from its start; one that is held open and grew is the same.
        grown = held is not None and held.compressed and not part.doubted and stat.st_size > part.size
        match = Match.SAME if grown else compare(reader, stat.st_size, part)
    except FileNotFoundError:
        return False
    except OSError as error:
        files.close(part)
        sight.complain(path, error, ledger)
        part.path, part.present = path, True
        return True
    sight.unreadable.pop(path, None)
    if match is Match.OTHER:
        lose_place(part, ledger, files)
        return False
    if match is Match.PREFIX:
        # Either it lost its end, or it was emptied and begins alike: a copy that holds everything decides (find_lost).
        files.close(part)
        return False
    part.compressed = reader.compressed
    if not grown:
        learn_head(part, reader)
    part.quiet.reset()
    part.settled = False
    settle_down(part, path, stat)
    return True


def learn_head(part: Part, reader: Reader) -> None:
    """Takes as much of the file's first bytes into its identity as there is by now."""
    if part.head_length < HEAD_BYTES or not part.head:
        part.head = reader.read(0, HEAD_BYTES)
        part.head_length, part.head_hash = len(part.head), digest(part.head)


def settle_down(part: Part, path: str, stat: os.stat_result) -> None:
    """Notes that a part lies at `path`."""
    real = os.path.realpath(path)
    part.path, part.home = path, real if real != path else ""
    part.inode, part.size, part.mtime_ns = signature(stat)
    part.present, part.doubted, part.truncated = True, False, False


def lose_place(part: Part, ledger: Ledger, files: OpenFiles) -> None:
    """The part's content is gone from its file: truncated or overwritten. A copy may still hold it."""
    ledger.count("truncations")
    files.close(part)
    part.truncated, part.inode, part.present = True, 0, False
    part.quiet.reset()


def shrink(part: Part, reader: Reader, size: int, ledger: Ledger) -> None:
    """The file lost its end but kept its beginning: what it still holds was read, what it will hold beyond that is new."""
    ledger.count("shrunk")
    part.marks = tuple(mark for mark in part.marks if mark[0] < size)
    covered = reader.read(size - min(MARK_BYTES, size), min(MARK_BYTES, size))
    part.marks += (mark_at(covered, len(covered), size),)
    part.offset = size
    part.exhausted = -1
    part.cut = None
    if part.head_length > size:
        head = reader.read(0, size)
        part.head_length, part.head_hash = len(head), digest(head)


def inspect(candidate: Candidate) -> str | None:
    """Reads a candidate's first bytes. Returns what makes it unreadable for good, in words, or None."""
    reader = open_reader(candidate.path)
    try:
        candidate.compressed = reader.compressed
        candidate.head = reader.read(0, HEAD_BYTES)
        if isinstance(reader, GzipReader):
            candidate.whole = len(candidate.head) == HEAD_BYTES or reader.complete
            return None
        return unsupported(candidate.head)
    finally:
        reader.close()


class HeadIndex:
    """Finds the parts that a file with given first bytes may be: those it begins like, and those that begin like it."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._by_digest: dict[int, dict[int, list[Part]]] = {}
        self._by_start: dict[bytes, list[Part]] = {}
        for part in parts:
            self.add(part)

    def add(self, part: Part) -> None:
        self._by_digest.setdefault(part.head_length, {}).setdefault(part.head_hash, []).append(part)
        self._by_start.setdefault(part.head[:START_BYTES], []).append(part)

    def like(self, head: bytes) -> list[Part]:
        """Parts all of whose head the file begins with."""
        found: list[Part] = []
        for length, parts in self._by_digest.items():
            if len(head) >= length:
                found += parts.get(digest(head[:length]), ())
        return found

    def longer(self, head: bytes) -> list[Part]:
        """Parts that begin with all of `head` and go on."""
        if len(head) >= START_BYTES:
            near: Iterable[Part] = self._by_start.get(head[:START_BYTES], ())
        else:
            near = (part for parts in self._by_start.values() for part in parts)
        return [part for part in near if len(part.head) > len(head) and part.head.startswith(head)]


def find_lost(
    absent: list[Part], candidates: list[Candidate], ledger: Ledger, files: OpenFiles, sight: Sight
) -> set[str]:
    """Gives absent and bygone parts the files that hold their content. Returns the paths that are accounted for."""
    index = HeadIndex([*ledger.gone, *absent])
    by_path = {part.path: part for part in [*ledger.gone, *absent]}
    pairs: list[tuple[tuple[int, ...], Part, Candidate, Match]] = []
    for candidate in candidates:
        alike = index.like(candidate.head)
        own = by_path.get(candidate.path)
        if own is not None and len(candidate.head) < own.head_length:
            alike.append(own)
        if not alike:
            continue
        candidate.matched = True
        reader = open_reader(candidate.path)
        try:
            for part in alike:
                if not _likely(part, candidate):
                    continue
                match = compare(reader, candidate.stat.st_size, part)
                if match is not Match.OTHER:
                    likeness = (candidate.stat.st_ino == part.inode) * 2 + (candidate.path == part.path)
                    rank = (
                        match is Match.SAME,
                        part.offset,
                        likeness,
                        not candidate.compressed,
                        candidate.stat.st_size,
                    )
                    pairs.append((rank, part, candidate, match))
        finally:
            reader.close()
    taken: set[str] = set()
    found: set[Part] = set()
    for _, part, candidate, match in sorted(pairs, key=lambda pair: pair[0], reverse=True):
        if candidate.path in taken or part in found:
            continue
        taken.add(candidate.path)
        own_prefix = match is Match.PREFIX and candidate.path == part.path and not candidate.compressed
        if (own_prefix or match is Match.SAME) and not _still_needed(part, candidate, files):
            found.add(part)
            _move(part, candidate, own_prefix, ledger, files)
        else:
            # What holds only a beginning of a bygone file holds nothing new, whatever becomes of that file.
            bygone = match is Match.PREFIX and part in ledger.gone
            sight.copies[candidate.path] = (signature(candidate.stat), None if bygone else part)
    return taken


def _likely(part: Part, candidate: Candidate) -> bool:
    """Whether the names allow a match: few bytes are no proof of identity, for many files begin alike."""
    if part.offset >= STRONG_BYTES or candidate.stat.st_ino == part.inode:
        return True
    return part.stream in candidate.streams and not (part.buried and candidate.path == part.stream)


def _still_needed(part: Part, candidate: Candidate, files: OpenFiles) -> bool:
    """Whether a file that is gone from its place but still open holds more to read than the candidate does."""
    reader = files.get(part)
    if reader is None:
        return False
    size = reader.stat().st_size
    if part.settled or (size == part.offset and not reader.compressed):
        return False
    if candidate.compressed or reader.compressed or candidate.stat.st_size < size:
        return True
    return not _same_end(reader, candidate.path, size)


def _same_end(reader: Reader, path: str, size: int) -> bool:
    """Whether both plain files hold the same bytes before offset `size`."""
    begin = max(0, size - MARK_BYTES)
    other = open_reader(path)
    try:
        return other.read(begin, size - begin) == reader.read(begin, size - begin)
    finally:
        other.close()


def _move(part: Part, candidate: Candidate, own_prefix: bool, ledger: Ledger, files: OpenFiles) -> None:
    """Goes on with a part in another file that holds its content, or in its own that lost its end."""
    files.close(part)
    part.compressed = candidate.compressed
    part.inode = candidate.stat.st_ino
    ledger.revive(part)
    settle_down(part, candidate.path, candidate.stat)
    part.head = candidate.head[: part.head_length]
    part.quiet.reset()
    if own_prefix:
        shrink(part, files.open(part, candidate.path), candidate.stat.st_size, ledger)
        part.settled = False
    # A copy of a file that was read to its end is not looked through once more to learn that.
    part.exhausted = part.size if part.settled else -1


def is_copy(candidate: Candidate, index: HeadIndex, files: OpenFiles, sight: Sight) -> bool:
    """Whether a candidate holds nothing but what a file that is being followed (and is in the index) holds too."""
    alike = index.like(candidate.head)
    candidate.matched = candidate.matched or bool(alike)
    if not candidate.compressed:
        alike += [part for part in index.longer(candidate.head) if not part.compressed]
    for part in alike:
        if candidate.compressed or part.compressed:
            copied = _same_content(candidate, part)
        else:
            size = candidate.stat.st_size
            reader = files.open(part, part.path)
            copied = reader.stat().st_size >= size and _same_end(reader, candidate.path, size)
        if copied:
            sight.copies[candidate.path] = (signature(candidate.stat), part)
            return True
    return False


def _same_content(candidate: Candidate, part: Part) -> bool:
    """Whether a file holds what a part holds, when at least one of them is compressed."""
    ours, theirs = open_reader(part.path), open_reader(candidate.path)
    try:
        if ours.read(0, len(candidate.head)) != candidate.head:
            return False
        wholly_seen = len(candidate.head) < HEAD_BYTES and candidate.whole
        return wholly_seen or compare(theirs, candidate.stat.st_size, part) is not Match.OTHER
    finally:
        ours.close()
        theirs.close()


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
    return (
        live_last,
        candidate.stat.st_mtime_ns,
        -names.rotation_number(os.path.basename(candidate.path)),
        candidate.path,
    )
