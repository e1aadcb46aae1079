"""Follows log files by polling and hands out their lines, each exactly once.

One FileSource serves one glob; one thread uses it. `poll` looks at the disk, `read` hands out blocks of what poll
saw, `position` says what has been handed out, to be saved together with what was made of it. docs/following-files.md
lists what can happen to files and what comes of it.
"""

from __future__ import annotations

import glob
import os
import sys
from collections import deque
from typing import Any

from tidegauge.config.settings import Source
from tidegauge.sources import attribute, folders
from tidegauge.sources.attribute import QUIET_MS, QUIET_POLLS, Candidate, HeadIndex, Sight
from tidegauge.sources.block import TORN_LINE, Block, SourceStatus
from tidegauge.sources.fingerprint import HEAD_BYTES, MARK_BYTES, Match, advance_marks, compare, digest
from tidegauge.sources.ledger import Ledger
from tidegauge.sources.lines import REPORTED, Cut, is_whole_object, take
from tidegauge.sources.open_files import MAX_OPEN_FILES, OpenFiles
from tidegauge.sources.part import Part, Quiet
from tidegauge.sources.readers import GzipReader, Reader

MAX_COMPRESSED_TURNS = (
    64  # compressed files read in turn: one that is closed in between must be inflated from its start
)


class FileSource:
    """The files of one configured source."""

    def __init__(
        self,
        source: Source,
        *,
        max_line_bytes: int,
        position: dict[str, Any] | None = None,
        max_open_files: int = MAX_OPEN_FILES,
    ) -> None:
        """Begins where `position` (from an earlier `position()`) says; None begins with everything the glob names.

        Raises ValueError if the position is not of this version's form.
        """
        self._source = source
        self._max_line_bytes = max_line_bytes
        self._ledger = Ledger() if position is None else Ledger.from_json(position)
        self._files = OpenFiles(max_open_files)
        self._sight = Sight()
        self._max_inflating = min(MAX_COMPRESSED_TURNS, max(1, max_open_files // 2))
        self._turns: deque[str] = deque()
        self._streams: dict[str, list[Part]] = {}
        self._settling: deque[Part] = deque()
        self._seen: dict[str, tuple[int, int]] = {}
        self._first_poll = True
        self._problems: tuple[str, ...] = ()
        self._mounted = folders.mounted_files()

    # ---- looking at the disk

    def poll(self, now_ms: int) -> None:
        """Looks at the disk once: finds new files, rotations and truncations, and how far each file goes.

        `now_ms` is wall-clock time; only differences of it count, besides the time of the very first poll.
        """
        ledger = self._ledger
        glance = folders.glance(self._source.pattern)
        self._sight.unreadable = {path: why for path, why in self._sight.unreadable.items() if os.path.lexists(path)}
        self._sight.refused = {path: why for path, why in self._sight.refused.items() if os.path.lexists(path)}
        claimed, absent = self._check_places(glance.live, now_ms)
        fresh = [
            path
            for path, stat in glance.live.items()
            if stat.st_size > 0 and path not in claimed and not self._sight.known_copy(path, stat, self._files)
        ]
        # An empty live file may have been filled and rotated away since the last look.
        seen = {path: (stat.st_ino, 0 if stat.st_size else stat.st_mtime_ns) for path, stat in glance.live.items()}
        if fresh or absent or self._sight.waiting or seen != self._seen or not seen:
            streams = {self._source.pattern} if not glob.has_magic(self._source.pattern) else set()
            streams |= seen.keys() | self._seen.keys()
            self._seen = seen
            self._attribute(glance.live, streams, claimed, absent, now_ms)
        for part in [part for part in ledger.parts if not part.present]:
            self._tend_absent(part, now_ms)
        if ledger.since_ms is None:
            ledger.since_ms = now_ms
        self._plan_reading(now_ms)
        if self._first_poll:
            for part in ledger.parts:
                part.first_target = part.size if part.unread and self._reachable(part) else None
            self._first_poll = False
        single = tuple(
            f"{path} is mounted as a single file, so its rotation cannot be seen: mount its directory"
            for path in glance.live
            if path in self._mounted
        )
        trouble = (*self._sight.unreadable.values(), *self._sight.refused.values())
        self._problems = glance.problems + single + tuple(trouble)

    def _check_places(self, live: dict[str, os.stat_result], now_ms: int) -> tuple[dict[str, Part], list[Part]]:
        """Confirms the parts that lie where they lay. Returns them by path, and the others."""
        claimed: dict[str, Part] = {}
        absent: list[Part] = []
        for part in self._ledger.parts:
            stat: os.stat_result | None = None
            if not part.truncated and part.path not in claimed:
                stat = live.get(part.path) or folders.stat_regular(part.path)
            here = (
                stat is not None
                and stat.st_ino == part.inode
                and attribute.confirm(part, part.path, stat, self._ledger, self._files, self._sight, now_ms)
            )
            if here:
                claimed[part.path] = part
            else:
                if part.present:
                    part.quiet.reset()
                part.present = False
                absent.append(part)
        return claimed, absent

    def _attribute(
        self,
        live: dict[str, os.stat_result],
        streams: set[str],
        claimed: dict[str, Part],
        absent: list[Part],
        now_ms: int,
    ) -> None:
        """Finds absent parts elsewhere, then makes parts of the files that are left."""
        ledger, files, sight = self._ledger, self._files, self._sight
        streams = streams | {part.stream for part in [*ledger.parts, *ledger.gone]}
        sought = {place for part in absent for place in (part.path, part.home, part.stream) if place}
        beside = folders.rotated(streams, sought, self._source.rotated)
        places: dict[str, tuple[os.stat_result, str | None]] = {
            found.path: (found.stat, found.stream) for found in beside if found.path not in live
        }
        for part in absent:
            if part.home and part.home not in places and (home := folders.stat_regular(part.home)):
                places[part.home] = (home, None)
        streams_of_beside = {found.path: found.stream for found in beside}
        for path, stat in live.items():
            base = streams_of_beside.get(path)
            places[path] = (stat, base or path)
        absent = self._find_by_inode(absent, places, claimed, now_ms)
        owners = {
            (stat.st_dev, stat.st_ino): part for path, part in claimed.items() if (stat := folders.stat_regular(path))
        }
        candidates: list[Candidate] = []
        for path, (stat, stream) in places.items():
            if path in claimed or stat.st_size == 0:
                continue
            if (stat.st_dev, stat.st_ino) in owners:  # a hard link
                sight.copies[path] = (attribute.signature(stat), owners[stat.st_dev, stat.st_ino])
                continue
            if not absent and sight.known_copy(path, stat, files):
                continue
            candidate = Candidate(path, stat, stream, live=path in live)
            if self._inspect(candidate):
                candidates.append(candidate)
        try:
            taken = attribute.find_lost(absent, candidates, ledger, files, sight)
        except OSError:
            return  # a file went away between two looks; the next poll sees what is there then
        self._welcome([c for c in candidates if c.path not in taken], now_ms)
        sight.copies = {path: seen for path, seen in sight.copies.items() if path in places}

    def _find_by_inode(
        self,
        absent: list[Part],
        places: dict[str, tuple[os.stat_result, str | None]],
        claimed: dict[str, Part],
        now_ms: int,
    ) -> list[Part]:
        """Confirms renamed files. Returns the parts that are still absent."""
        by_inode: dict[int, list[str]] = {}
        for path, (stat, _) in places.items():
            if path not in claimed:
                by_inode.setdefault(stat.st_ino, []).append(path)
        left: list[Part] = []
        for part in absent:
            for path in () if part.truncated else by_inode.get(part.inode, ()):
                if path == part.path or path in claimed:
                    continue
                was_live = part.path == part.stream
                if attribute.confirm(part, path, places[path][0], self._ledger, self._files, self._sight, now_ms):
                    claimed[path] = part
                    if was_live:
                        self._ledger.count("rotations")
                    break
            else:
                left.append(part)
        return left

    def _inspect(self, candidate: Candidate) -> bool:
        """Reads a candidate's first bytes; False if it cannot or shall not be read."""
        try:
            wrong = attribute.inspect(candidate)
        except FileNotFoundError:
            return False
        except OSError as error:
            if candidate.live or candidate.stream:
                self._sight.complain(candidate.path, error, self._ledger)
            return False
        self._sight.unreadable.pop(candidate.path, None)
        if wrong is None:
            return bool(candidate.head)
        if candidate.live:
            if candidate.path not in self._sight.refused:
                self._ledger.count("unsupported_files")
            self._sight.refused[candidate.path] = f"{candidate.path} {wrong}"
        self._sight.copies[candidate.path] = (attribute.signature(candidate.stat), None)
        return False

    def _welcome(self, candidates: list[Candidate], now_ms: int) -> None:
        """Makes parts of files that hold something new, older ones first."""
        ledger, sight = self._ledger, self._sight
        known_streams = {part.stream for part in [*ledger.parts, *ledger.gone]}
        index = HeadIndex(part for part in ledger.parts if part.present)
        waiting: dict[str, tuple[attribute.Signature, Quiet]] = {}
        for candidate in sorted(candidates, key=attribute.oldest_first):
            if candidate.stream is None:
                continue
            try:
                if attribute.is_copy(candidate, index, self._files, sight):
                    continue
                if not candidate.live and self._to_be_ignored(candidate, candidate.stream in known_streams):
                    sight.copies[candidate.path] = (attribute.signature(candidate.stat), None)
                    continue
                # A compressed file may still be written; until it rests it cannot be told what it is a copy of.
                unsure = candidate.compressed and (candidate.matched or not candidate.whole or not candidate.live)
                if unsure and not self._has_rested(candidate, waiting, now_ms):
                    continue
                index.add(self._make_part(candidate))
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    sight.complain(candidate.path, error, ledger)
        sight.waiting = waiting

    def _to_be_ignored(self, candidate: Candidate, known_stream: bool) -> bool:
        """Whether a rotated file that the glob does not name lay there before its stream was first followed."""
        ledger = self._ledger
        if attribute.is_ignored(candidate, ledger.ignored):
            return True
        old = ledger.since_ms is None or (not known_stream and candidate.stat.st_mtime_ns < ledger.since_ms * 1_000_000)
        if old:
            ledger.ignored.append(attribute.to_ignore(candidate))
        else:
            ledger.count("missed_generations")
        return old

    def _has_rested(
        self, candidate: Candidate, waiting: dict[str, tuple[attribute.Signature, Quiet]], now_ms: int
    ) -> bool:
        seen, quiet = self._sight.waiting.get(candidate.path, (None, Quiet()))
        mark = attribute.signature(candidate.stat)
        if seen != mark:
            quiet = Quiet()
        quiet.watch(now_ms)
        if quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS):
            return True
        waiting[candidate.path] = (mark, quiet)
        return False

    def _make_part(self, candidate: Candidate) -> Part:
        part = Part(
            stream=candidate.stream or candidate.path,
            path=candidate.path,
            order=0,
            compressed=candidate.compressed,
            head_length=len(candidate.head),
            head_hash=digest(candidate.head),
            head=candidate.head,
        )
        part.inode = candidate.stat.st_ino
        self._files.open(part, candidate.path)
        attribute.settle_down(part, candidate.path, candidate.stat)
        self._ledger.add(part)
        return part

    def _tend_absent(self, part: Part, now_ms: int) -> None:
        """Looks after a part whose file is nowhere to be seen: drains it if it is open, else gives it up in time."""
        reader = self._files.get(part)
        if reader is None:
            part.quiet.watch(now_ms)
            if part.quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS) and self._surely_gone(part):
                self._give_up(part)
            return
        size = reader.stat().st_size
        if part.doubted and compare(reader, size, part) is not Match.SAME:
            attribute.lose_place(part, self._ledger, self._files)
            return
        part.doubted = False
        if size != part.size:
            part.size = size
            part.settled = False
            part.quiet.reset()
        part.quiet.watch(now_ms)
        if part.settled:
            self._files.close(part)
            self._ledger.bury(part)

    def _surely_gone(self, part: Part) -> bool:
        """Whether its folder can be seen: a file system that is not mounted takes its files away only for a while."""
        folder = os.path.dirname(part.path)  # noqa: PTH120
        return os.path.isdir(folder) and not self._sight.unreadable  # noqa: PTH112

    def _give_up(self, part: Part) -> None:
        if not part.settled:
            unread = 0 if part.compressed else max(0, part.size - part.offset)
            if unread or (part.compressed and part.unread):
                self._ledger.count("deleted_unread")
                self._ledger.count("lost_bytes", unread)
            elif part.truncated:
                self._ledger.count("lost_unknown")
        self._ledger.bury(part)

    # ---- handing out

    def _reachable(self, part: Part) -> bool:
        return not part.doubted and (part.present or self._files.get(part) is not None)

    def _plan_reading(self, now_ms: int) -> None:
        """Lines up streams with something to read, and parts whose last line will not be finished any more."""
        streams: dict[str, list[Part]] = {}
        self._settling.clear()
        for part in sorted(self._ledger.parts, key=lambda part: part.order):
            if not self._reachable(part):
                continue
            if part.unread:
                streams.setdefault(part.stream, []).append(part)
            elif not part.settled and part.quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS):
                self._settling.append(part)
        self._streams = streams
        kept = [stream for stream in self._turns if stream in streams]
        self._turns = deque(kept)
        self._turns.extend(stream for stream in streams if stream not in set(kept))

    def read(self, limit: int = 4 << 20) -> Block | None:
        """The next block, of about `limit` bytes at most (more only if one line is longer); None when all that poll saw
        has been handed out. Streams take turns; within one, rotated parts come before their successors."""
        while self._turns:
            stream = self._turns.popleft()
            parts = self._streams[stream]
            while parts and not (parts[0].unread and self._reachable(parts[0])):
                parts.pop(0)
            if not parts:
                continue
            if self._must_wait(parts[0]):
                self._turns.append(stream)
                continue
            block = self._read_part(parts[0], limit)
            self._turns.append(stream)
            if block is not None:
                return block
        while self._settling:
            block = self._settle(self._settling.popleft())
            if block is not None:
                return block
        return None

    def _must_wait(self, part: Part) -> bool:
        """Whether a compressed file's turn waits until others, already open, have been read to their end."""
        if not part.compressed or self._files.get(part) is not None:
            return False
        heads = (self._streams[stream][0] for stream in self._turns if self._streams[stream])
        return sum(1 for head in heads if head.compressed and self._files.get(head) is not None) >= self._max_inflating

    def _read_part(self, part: Part, limit: int) -> Block | None:
        """Reads on in one part. None if that gave no whole line."""
        context = min(MARK_BYTES, part.offset)
        begin = part.offset - context
        there = sys.maxsize if part.compressed else part.size - part.offset
        wanted = min(max(limit, part.head_length), there)
        try:
            reader = self._files.open(part, part.path)
            chunk = reader.read(begin, context + wanted)
            if wanted <= self._max_line_bytes and wanted < there and chunk.rfind(b"\n", context) < 0:
                wanted = min(self._max_line_bytes + 1, there)
                chunk = reader.read(begin, context + wanted)
        except OSError as error:
            self._files.close(part)
            part.doubted = True
            if not isinstance(error, FileNotFoundError):
                self._sight.complain(part.path, error, self._ledger)
            return None
        ended = len(chunk) < context + wanted
        if not _continues(part, chunk, context) or (ended and not part.compressed):
            part.doubted = True
            return None
        taken = take(chunk, context, part.offset, self._max_line_bytes, part.cut)
        ended = ended or wanted == there
        offset = begin + taken.start
        self._advance(part, chunk, taken.end, begin + taken.end)
        part.cut = taken.cut
        if ended and not taken.more:
            part.exhausted = part.size
            self._look_at_end(part, reader)
        if part.first_target is not None and (not part.unread or part.offset >= part.first_target):
            part.first_target = None
        if taken.end == taken.start and not taken.dropped:
            return None
        return Block(chunk[taken.start : taken.end], part.stream, offset, taken.dropped, part.path)

    def _advance(self, part: Part, chunk: bytes, end: int, offset: int) -> None:
        if offset == part.offset:
            return
        self._ledger.read_bytes += offset - part.offset
        if part.head_length < HEAD_BYTES and offset == end:
            part.head = chunk[:HEAD_BYTES]
            part.head_length, part.head_hash = len(part.head), digest(part.head)
        part.marks = advance_marks(part.marks, chunk, end, offset)
        part.offset = offset

    def _look_at_end(self, part: Part, reader: Reader) -> None:
        """Counts a compressed file that is broken; one that merely stops in the middle is counted when it has rested."""
        if isinstance(reader, GzipReader) and reader.broken and not part.complained:
            part.complained = True
            self._ledger.count("corrupt_gzip")
            self._sight.refused[part.path] = (
                f"{part.path} is damaged: gzip cannot read on after byte {part.offset} of its content"
            )

    def _settle(self, part: Part) -> Block | None:
        """Deals with the unfinished last line of a file that is finished: a whole object is handed out, else it is dropped."""
        try:
            reader = self._files.open(part, part.path)
            context = min(MARK_BYTES, part.offset)
            chunk = reader.read(part.offset - context, context + self._max_line_bytes + 1)
        except OSError:
            self._files.close(part)
            part.doubted = True
            return None
        if not _continues(part, chunk, context):
            part.doubted = True
            return None
        if isinstance(reader, GzipReader) and not reader.complete and not reader.broken and not part.complained:
            part.complained = True
            self._ledger.count("truncated_gzip")
            self._sight.refused[part.path] = f"{part.path} ends in the middle of its compressed data"
        if part.in_place and not (isinstance(reader, GzipReader) and reader.complete):
            return None
        part.settled = True
        rest, begin, cut = chunk[context:], part.offset, part.cut
        self._advance(part, chunk, len(chunk), part.offset + len(rest))
        part.exhausted = part.size
        if not part.present:
            part.quiet.reset()
        elif not part.in_place:
            self._files.close(part)
        if cut is not None:
            dropped = () if cut.reason == REPORTED else ((cut.reason, cut.start, part.offset - cut.start),)
            part.cut = Cut(REPORTED, part.offset)
            return Block(b"", part.stream, part.offset, dropped, part.path) if dropped else None
        if not rest:
            return None
        if is_whole_object(rest):
            return Block(rest + b"\n", part.stream, begin, (), part.path)
        part.cut = Cut(REPORTED, part.offset)
        return Block(b"", part.stream, part.offset, ((TORN_LINE, begin, len(rest)),), part.path)

    # ---- what others ask

    def position(self) -> dict[str, Any]:
        """What has been handed out, JSON-able. Unfinished last lines are not part of it."""
        return self._ledger.to_json()

    def status(self) -> SourceStatus:
        parts = self._ledger.parts
        return SourceStatus(
            files=sum(1 for part in parts if part.present),
            open_files=len(self._files),
            lag_bytes=sum(self._lag(part) for part in parts),
            read_bytes_total=self._ledger.read_bytes,
            events=dict(self._ledger.events),
            problems=self._problems,
            first_pass_done=not self._first_poll and all(part.first_target is None for part in parts),
        )

    def _lag(self, part: Part) -> int:
        if not part.compressed:
            return max(0, part.size - part.offset)
        if not part.unread:
            return 0
        reader = self._files.get(part)
        return part.size - min(part.size, reader.consumed) if isinstance(reader, GzipReader) else part.size

    def close(self) -> None:
        """Closes every file. The position stays valid."""
        self._files.close_all()


def _continues(part: Part, chunk: bytes, context: int) -> bool:
    """Whether a chunk that begins `context` bytes before the part's offset is of the part.

    What was read before comes with the same read as what follows, so that no truncation can slip in between.
    """
    if part.marks:
        return len(chunk) >= context and digest(chunk[:context]) == part.marks[-1][1]
    return len(chunk) >= part.head_length and digest(chunk[: part.head_length]) == part.head_hash
