"""Knows a file again by its content, whatever it is called now.

A file's identity is a hash of its first bytes (growing to 1024) together with marks: hashes of the up to 1024 bytes
that end at the offset reached and at some offsets before it. Names, inodes and devices are only hints: inodes are
reused, and device numbers change when NFS is mounted again.
"""

from __future__ import annotations

from enum import Enum

from xxhash import xxh3_64_intdigest

from tidegauge.sources.part import Part
from tidegauge.sources.readers import Reader

HEAD_BYTES = 1024
MARK_BYTES = 1024
PROOF_BYTES = 256  # lines of one program begin alike: fewer equal bytes do not show that two files are one
# A mark stays near each of these distances from the offset reached, so that a file that lost its end, or a copy made a
# little earlier, is still known as part of what was read.
DISTANCES = tuple(256 * 4**power for power in range(12))


class Match(Enum):
    SAME = "same"  # holds everything read so far: go on at the offset
    PREFIX = "prefix"  # holds only bytes that were read already
    OTHER = "other"


digest = xxh3_64_intdigest


def mark_at(chunk: bytes, index: int, offset: int) -> tuple[int, int]:
    """The mark at file offset `offset`, which is chunk[index]; the chunk holds the bytes before it that it covers."""
    return offset, digest(chunk[index - min(MARK_BYTES, offset) : index])


def advance_marks(
    marks: tuple[tuple[int, int], ...], chunk: bytes, end: int, offset: int
) -> tuple[tuple[int, int], ...]:
    """Marks after reading up to file offset `offset`, which is chunk[end]: one there, and thinned ones before it.

    The chunk begins at least min(MARK_BYTES, first new offset) bytes before the first new byte.
    """
    if offset == 0:
        return ()
    known = list(marks)
    reached = known[-1][0] if known else 0
    for distance in reversed(DISTANCES):
        if offset - distance > reached:
            known.append(mark_at(chunk, end - distance, offset - distance))
    if offset > reached:
        known.append(mark_at(chunk, end, offset))
    kept = [known[-1]]
    limit = 0
    for mark in reversed(known[:-1]):
        if offset - mark[0] >= limit:
            kept.append(mark)
            limit = 4 * max(offset - mark[0], DISTANCES[0] // 2)
    return tuple(reversed(kept[: len(DISTANCES) + 1]))


def compare(reader: Reader, size: int, part: Part) -> Match:
    """Whether the open file (of `size` bytes if plain) is what `part` was read from, judged by content alone."""
    known_size = None if reader.compressed else size
    begins_alike = False
    if known_size is None or known_size >= part.head_length:
        head = reader.read(0, part.head_length)
        if len(head) < part.head_length:
            known_size = len(head)
        elif digest(head) != part.head_hash:
            return Match.OTHER
        elif part.offset == 0:
            return Match.SAME
        else:
            begins_alike = True
    if not begins_alike and known_size is not None and len(part.head) == part.head_length:
        start = reader.read(0, known_size)
        if len(start) < PROOF_BYTES or not part.head.startswith(start):
            return Match.OTHER
        return Match.SAME if part.offset <= len(start) else Match.PREFIX
    for offset, expected in reversed(part.marks):
        if known_size is not None and known_size < offset:
            continue
        length = min(MARK_BYTES, offset)
        if length < PROOF_BYTES and not begins_alike:
            return Match.OTHER
        covered = reader.read(offset - length, length)
        if len(covered) < length:
            known_size = offset - length + len(covered) if covered else offset - length
            continue
        if digest(covered) != expected:
            return Match.OTHER
        return Match.SAME if offset == part.offset else Match.PREFIX
    return Match.OTHER
