"""Hands out what a poll saw, block by block, and keeps each part's place.

Streams take turns; within a stream rotated parts come before their successors.
"""

from __future__ import annotations

import sys
from collections import deque

from tidegauge.sources.block import NOTHING, TORN_LINE, Block
from tidegauge.sources.desk import QUIET_MS, QUIET_POLLS, Desk
from tidegauge.sources.fingerprint import HEAD_BYTES, MARK_BYTES, advance_marks, digest
from tidegauge.sources.lines import REPORTED, Cut, is_whole_object, take
from tidegauge.sources.part import Part
from tidegauge.sources.readers import GzipReader


class HandOut:
    """Whose turn it is to be read."""

    def __init__(self, desk: Desk, max_inflating: int) -> None:
        """At most `max_inflating` compressed files take turns: one closed in between is inflated from its start."""
        self._desk = desk
        self._max_inflating = max_inflating
        self._streams: dict[str, list[Part]] = {}
        self._turns: deque[str] = deque()
        self._settling: deque[Part] = deque()

    def plan(self, now_ms: int) -> None:
        """Lines up streams with something to read, and parts whose last line will not be finished any more."""
        streams: dict[str, list[Part]] = {}
        self._settling.clear()
        for part in sorted(self._desk.ledger.parts, key=lambda part: part.order):
            if not self._desk.is_reachable(part):
                continue
            if part.unread:
                streams.setdefault(part.stream, []).append(part)
            elif not part.settled and part.quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS):
                self._settling.append(part)
        waiting = [stream for stream in self._turns if stream in streams]
        self._turns = deque(dict.fromkeys([*waiting, *streams]))
        self._streams = streams

    def next(self, limit: int) -> Block | None:
        """The next block, or None when all that was planned has been handed out."""
        while self._turns:
            stream = self._turns.popleft()
            parts = self._streams[stream]
            while parts and not (parts[0].unread and self._desk.is_reachable(parts[0])):
                parts.pop(0)
            if not parts:
                continue
            self._turns.append(stream)
            if self._must_wait(parts[0]):
                continue
            block = self._read(parts[0], limit)
            if block is not None:
                return block
        while self._settling:
            block = self._settle(self._settling.popleft())
            if block is not None:
                return block
        return None

    def unread_streams(self) -> set[str]:
        """The streams in turn that have more than was handed out, as `Block.path` names them; half a line is more."""
        return {stream for stream in self._turns if any(map(_has_more, self._streams[stream]))}

    def _must_wait(self, part: Part) -> bool:
        """Whether a compressed file's turn waits until others, already open, have been read to their end."""
        if not part.compressed or self._desk.files.get(part) is not None:
            return False
        heads = (self._streams[stream][0] for stream in self._turns if self._streams[stream])
        inflating = sum(1 for head in heads if head.compressed and self._desk.files.get(head) is not None)
        return inflating >= self._max_inflating

    def _read(self, part: Part, limit: int) -> Block | None:
        """Reads on in one part. None if that gave no whole line."""
        desk = self._desk
        context = min(MARK_BYTES, part.offset)
        begin = part.offset - context
        there = sys.maxsize if part.compressed else part.size - part.offset
        wanted = min(max(limit, part.head_length), there)
        try:
            reader = desk.files.open(part, part.path)
            chunk = reader.read(begin, context + wanted)
            if wanted <= desk.max_line_bytes and wanted < there and chunk.rfind(b"\n", context) < 0:
                wanted = min(desk.max_line_bytes + 1, there)
                chunk = reader.read(begin, context + wanted)
        except OSError as error:
            self._distrust(part, error)
            return None
        desk.unreadable.pop(part.path, None)
        ended = len(chunk) < context + wanted
        if not _continues(part, chunk, context) or (ended and not part.compressed):
            part.doubted = True
            return None
        taken = take(chunk, context, part.offset, desk.max_line_bytes, part.cut)
        self._advance(part, chunk, taken.end, begin + taken.end)
        part.cut = taken.cut
        if (ended or wanted == there) and not taken.more:
            part.exhausted = part.size
            if isinstance(reader, GzipReader) and reader.broken:
                self._complain(part, "corrupt_gzip", "is damaged: gzip cannot read it to its end")
        if part.first_target is not None and (not part.unread or part.offset >= part.first_target):
            part.first_target = None
        if taken.end == taken.start and not taken.dropped:
            return None
        data = memoryview(chunk)[taken.start : taken.end]
        return Block(data, part.stream, begin + taken.start, taken.dropped, part.path)

    def _advance(self, part: Part, chunk: bytes, end: int, offset: int) -> None:
        """Notes that everything before file offset `offset`, which is chunk[end], has been handed out or dropped."""
        if offset == part.offset:
            return
        self._desk.ledger.read_bytes += offset - part.offset
        if part.head_length < HEAD_BYTES and offset == end:
            part.head = chunk[:HEAD_BYTES]
            part.head_length, part.head_hash = len(part.head), digest(part.head)
        part.marks = advance_marks(part.marks, chunk, end, offset)
        part.offset = offset

    def _settle(self, part: Part) -> Block | None:
        """Deals with the unfinished last line of a finished file: a whole object is handed out, else it is dropped."""
        desk = self._desk
        context = min(MARK_BYTES, part.offset)
        try:
            reader = desk.files.open(part, part.path)
            chunk = reader.read(part.offset - context, context + desk.max_line_bytes + 1)
        except OSError as error:
            self._distrust(part, error)
            return None
        desk.unreadable.pop(part.path, None)
        if not _continues(part, chunk, context):
            part.doubted = True
            return None
        complete = isinstance(reader, GzipReader) and reader.complete
        if complete and part.complained:  # its writer came back to it
            part.complained = False
            desk.refused.pop(part.path, None)
        if isinstance(reader, GzipReader) and not complete and not reader.broken:
            self._complain(part, "truncated_gzip", "ends in the middle of its compressed data")
        if part.in_place and not complete:
            return None  # its writer may come back to it
        rest, begin, cut = chunk[context:], part.offset, part.cut
        self._advance(part, chunk, len(chunk), begin + len(rest))
        part.settled = True
        part.exhausted = part.size
        if part.present and not part.in_place:
            desk.files.close(part)
        if cut is not None:
            part.cut = Cut(REPORTED, part.offset)
            dropped = (cut.reason, cut.start, part.offset - cut.start)
            return Block(NOTHING, part.stream, part.offset, (dropped,), part.path) if cut.reason != REPORTED else None
        if not rest:
            return None
        if is_whole_object(rest):
            return Block(memoryview(rest + b"\n"), part.stream, begin, (), part.path)
        part.cut = Cut(REPORTED, part.offset)
        return Block(NOTHING, part.stream, part.offset, ((TORN_LINE, begin, len(rest)),), part.path)

    def _distrust(self, part: Part, error: OSError) -> None:
        """Leaves a file that could not be read (a stale NFS handle, say) to the next poll."""
        self._desk.files.close(part)
        part.doubted = True
        if not isinstance(error, FileNotFoundError):
            self._desk.complain(part.path, error)

    def _complain(self, part: Part, event: str, what: str) -> None:
        if not part.complained:
            part.complained = True
            self._desk.ledger.count(event)
            self._desk.refused[part.path] = f"{part.path} {what}"


def _continues(part: Part, chunk: bytes, context: int) -> bool:
    """Whether a chunk that begins `context` bytes before the part's offset is of the part.

    What was read before comes with the same read as what follows, so that no truncation can slip in between.
    """
    if part.marks:
        return len(chunk) >= context and digest(chunk[:context]) == part.marks[-1][1]
    return len(chunk) >= part.head_length and digest(chunk[: part.head_length]) == part.head_hash


def _has_more(part: Part) -> bool:
    return part.unread or (not part.compressed and part.offset < part.size)
