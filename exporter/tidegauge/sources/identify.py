"""Finds out which part a file is: still in place, renamed, copied, truncated, or none.

Names and inodes suggest, content decides (see fingerprint.compare).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum

from tidegauge.sources import folders
from tidegauge.sources.candidates import Candidate
from tidegauge.sources.desk import Desk, signature
from tidegauge.sources.fingerprint import HEAD_BYTES, MARK_BYTES, Match, compare, digest, mark_at
from tidegauge.sources.lines import REPORTED, Cut
from tidegauge.sources.part import Part
from tidegauge.sources.readers import Reader, open_reader

START_BYTES = 64
STRONG_BYTES = 256  # fewer bytes read than this are no proof of identity by themselves


class Found(Enum):
    HERE = "here"
    ELSEWHERE = "elsewhere"  # this is another file
    EMPTIED = "emptied"  # this was its file, its content is gone from it
    SHORTENED = "shortened"  # this holds a beginning of it


def confirm(part: Part, path: str, stat: os.stat_result, desk: Desk, now_ms: int) -> Found:
    """Whether the file at `path`, which has the part's inode, is the part; if so takes note of its size."""
    unchanged = (stat.st_size, stat.st_mtime_ns) == (part.size, part.mtime_ns)
    if unchanged and (not part.doubted or part.compressed):
        part.quiet.watch(now_ms)
        settle_down(part, path, stat)
        return Found.HERE
    held = desk.files.get(part)
    try:
        reader = held or desk.files.open(part, path)
        # Comparing would inflate a compressed file from its start; one that is held open and grew is the same.
        grown = held is not None and held.compressed and not part.doubted and stat.st_size > part.size
        match = Match.SAME if grown else compare(reader, stat.st_size, part)
    except FileNotFoundError:
        return Found.ELSEWHERE
    except OSError as error:
        desk.files.close(part)
        desk.complain(path, error)
        part.path, part.present = path, True
        return Found.HERE
    desk.unreadable.pop(path, None)
    if match is not Match.SAME:
        desk.files.close(part)
        # It lost its end, or it was emptied and begins alike: find_lost decides by the copies there are.
        return Found.EMPTIED if match is Match.OTHER else Found.SHORTENED
    part.compressed = reader.compressed
    if not grown and (part.head_length < HEAD_BYTES or not part.head or stat.st_size < part.head_length):
        part.head = reader.read(0, HEAD_BYTES)
        part.head_length, part.head_hash = len(part.head), digest(part.head)
    part.quiet.reset()
    part.settled = False
    settle_down(part, path, stat)
    return Found.HERE


def settle_down(part: Part, path: str, stat: os.stat_result) -> None:
    """Notes that a part lies at `path`."""
    if path != part.path or stat.st_ino != part.inode or not part.present:
        real = os.path.realpath(path)
        part.path, part.home = path, real if real != path and folders.is_utf8(real) else ""
    part.inode, part.size, part.mtime_ns = signature(stat)
    part.present, part.doubted, part.truncated = True, False, False


def lose_place(part: Part, desk: Desk) -> None:
    """The part's content is gone from its file: truncated or overwritten. A copy may still hold it."""
    desk.ledger.count("truncations")
    desk.files.close(part)
    part.truncated, part.inode, part.present = True, 0, False
    part.quiet.reset()


def shrink(part: Part, reader: Reader, size: int, desk: Desk) -> None:
    """The file lost its end but kept its beginning: goes on from the last place whose content is proven.

    What follows that place may have been read already or be new; reading it twice can be put right (ids), not reading
    it cannot.
    """
    desk.ledger.count("shrunk")
    part.marks = tuple(mark for mark in part.marks if mark[0] <= size)
    if part.marks:
        part.offset = part.marks[-1][0]
    else:  # all of it was compared
        part.offset = size
        part.marks = (mark_at(reader.read(0, size), size, size),)
    before = reader.read(part.offset - 1, 1)
    part.cut = None if before == b"\n" else Cut(REPORTED, part.offset)
    part.exhausted = -1
    part.settled = False
    part.head = reader.read(0, HEAD_BYTES)
    part.head_length, part.head_hash = len(part.head), digest(part.head)


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


def find_lost(absent: list[Part], candidates: list[Candidate], desk: Desk) -> set[str]:
    """Gives absent and bygone parts the files that hold their content. Returns the paths that are accounted for."""
    index = HeadIndex([*desk.ledger.gone, *absent])
    by_path = {part.path: part for part in [*desk.ledger.gone, *absent]}
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
        if (own_prefix or match is Match.SAME) and not _still_needed(part, candidate, desk):
            found.add(part)
            _move(part, candidate, own_prefix, desk)
        else:
            # What holds only a beginning of a bygone file holds nothing new, whatever becomes of that file.
            bygone = match is Match.PREFIX and part.buried
            desk.copies[candidate.path] = (signature(candidate.stat), None if bygone else part)
    return taken


def _likely(part: Part, candidate: Candidate) -> bool:
    """Whether the names allow a match: few bytes are no proof of identity, for many files begin alike."""
    if part.offset >= STRONG_BYTES or candidate.stat.st_ino == part.inode:
        return True
    return part.stream in candidate.streams and not (part.buried and candidate.path == part.stream)


def _still_needed(part: Part, candidate: Candidate, desk: Desk) -> bool:
    """Whether a file that is gone from its place but still open holds more to read than the candidate does."""
    reader = desk.files.get(part)
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


def _move(part: Part, candidate: Candidate, own_prefix: bool, desk: Desk) -> None:
    """Goes on with a part in another file that holds its content, or in its own that lost its end."""
    desk.files.close(part)
    part.compressed = candidate.compressed
    part.inode = candidate.stat.st_ino
    desk.ledger.revive(part)
    settle_down(part, candidate.path, candidate.stat)
    part.head = candidate.head[: part.head_length]
    part.quiet.reset()
    if own_prefix:
        shrink(part, desk.files.open(part, candidate.path), candidate.stat.st_size, desk)
    # A copy of a file that was read to its end is not looked through once more to learn that.
    part.exhausted = part.size if part.settled else -1


def is_copy(candidate: Candidate, index: HeadIndex, desk: Desk) -> bool:
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
            reader = desk.files.open(part, part.path)
            copied = reader.stat().st_size >= size and _same_end(reader, candidate.path, size)
        if copied:
            desk.copies[candidate.path] = (signature(candidate.stat), part)
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
