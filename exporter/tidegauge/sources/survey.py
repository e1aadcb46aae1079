"""One look at the disk: where every part is now, and which files are new.

`survey` is the whole poll but for planning what to read.
"""

from __future__ import annotations

import glob
import os

from tidegauge.sources import candidates as unknown
from tidegauge.sources import folders
from tidegauge.sources.candidates import Candidate
from tidegauge.sources.desk import QUIET_MS, QUIET_POLLS, Desk, Signature, signature
from tidegauge.sources.fingerprint import Match, compare, digest
from tidegauge.sources.identify import Found, HeadIndex, confirm, find_lost, is_copy, lose_place, settle_down
from tidegauge.sources.part import Part, Quiet

def _check_places(self, live: dict[str, os.stat_result], now_ms: int) -> tuple[dict[str, Part], list[Part]]:
    """Confirms the parts that lie where they lay. Returns them by path, and the others."""
    claimed: dict[str, Part] = {}
    absent: list[Part] = []
    for part in desk.ledger.parts:
        stat: os.stat_result | None = None
        if not part.truncated and part.path not in claimed:
            stat = live.get(part.path) or folders.stat_regular(part.path)
        here = (
            stat is not None
            and stat.st_ino == part.inode
            and attribute.confirm(part, part.path, stat, desk.ledger, desk.files, desk, now_ms)
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
    ledger, files, sight = desk.ledger, desk.files, desk
    streams = streams | {part.stream for part in [*ledger.parts, *ledger.gone]}
    sought = {place for part in absent for place in (part.path, part.home, part.stream) if place}
    beside = folders.rotated(streams, sought, desk.source.rotated)
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
            if attribute.confirm(part, path, places[path][0], desk.ledger, desk.files, desk, now_ms):
                claimed[path] = part
                if was_live:
                    desk.ledger.count("rotations")
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
            desk.complain(candidate.path, error, desk.ledger)
        return False
    desk.unreadable.pop(candidate.path, None)
    if wrong is None:
        return bool(candidate.head)
    if candidate.live:
        if candidate.path not in desk.refused:
            desk.ledger.count("unsupported_files")
        desk.refused[candidate.path] = f"{candidate.path} {wrong}"
    desk.copies[candidate.path] = (attribute.signature(candidate.stat), None)
    return False

def _welcome(self, candidates: list[Candidate], now_ms: int) -> None:
    """Makes parts of files that hold something new, older ones first."""
    ledger, sight = desk.ledger, desk
    known_streams = {part.stream for part in [*ledger.parts, *ledger.gone]}
    index = HeadIndex(part for part in ledger.parts if part.present)
    waiting: dict[str, tuple[attribute.Signature, Quiet]] = {}
    for candidate in sorted(candidates, key=attribute.oldest_first):
        if candidate.stream is None:
            continue
        try:
            if attribute.is_copy(candidate, index, desk.files, sight):
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
    ledger = desk.ledger
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
    seen, quiet = desk.waiting.get(candidate.path, (None, Quiet()))
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
    desk.files.open(part, candidate.path)
    attribute.settle_down(part, candidate.path, candidate.stat)
    desk.ledger.add(part)
    return part

def _tend_absent(self, part: Part, now_ms: int) -> None:
    """Looks after a part whose file is nowhere to be seen: drains it if it is open, else gives it up in time."""
    reader = desk.files.get(part)
    if reader is None:
        part.quiet.watch(now_ms)
        if part.quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS) and self._surely_gone(part):
            self._give_up(part)
        return
    size = reader.stat().st_size
    if part.doubted and compare(reader, size, part) is not Match.SAME:
        attribute.lose_place(part, desk.ledger, desk.files)
        return
    part.doubted = False
    if size != part.size:
        part.size = size
        part.settled = False
        part.quiet.reset()
    part.quiet.watch(now_ms)
    if part.settled:
        desk.files.close(part)
        desk.ledger.bury(part)

def _surely_gone(self, part: Part) -> bool:
    """Whether its folder can be seen: a file system that is not mounted takes its files away only for a while."""
    folder = os.path.dirname(part.path)  # noqa: PTH120
    return os.path.isdir(folder) and not desk.unreadable  # noqa: PTH112

def _give_up(self, part: Part) -> None:
    if not part.settled:
        unread = 0 if part.compressed else max(0, part.size - part.offset)
        if unread or (part.compressed and part.unread):
            desk.ledger.count("deleted_unread")
            desk.ledger.count("lost_bytes", unread)
        elif part.truncated:
            desk.ledger.count("lost_unknown")
    desk.ledger.bury(part)

