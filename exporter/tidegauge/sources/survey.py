"""One look at the disk: where every part is now, and which files are new.

Afterwards each part's size and place are as the disk has them; nothing has been handed out.
"""

from __future__ import annotations

import os

from tidegauge.sources import candidates as unknown
from tidegauge.sources import folders
from tidegauge.sources.candidates import Candidate
from tidegauge.sources.desk import QUIET_MS, QUIET_POLLS, Desk, Signature, signature
from tidegauge.sources.fingerprint import Match, compare, digest
from tidegauge.sources.identify import Found, HeadIndex, confirm, find_lost, is_copy, lose_place, settle_down
from tidegauge.sources.part import Part, Quiet

Places = dict[str, tuple[os.stat_result, str | None]]  # path -> status, live name if known


def check_places(desk: Desk, live: dict[str, os.stat_result], now_ms: int) -> tuple[dict[str, Part], list[Part]]:
    """Confirms the parts that lie where they lay. Returns them by path, and the others."""
    claimed: dict[str, Part] = {}
    absent: list[Part] = []
    for part in desk.ledger.parts:
        was_present = part.present
        part.present = False
        found = Found.ELSEWHERE
        if not part.truncated and part.path not in claimed:
            stat = live.get(part.path) or folders.stat_regular(part.path)
            if stat is not None and stat.st_ino == part.inode:
                part.present = was_present
                found = confirm(part, part.path, stat, desk, now_ms)
        if found is Found.HERE:
            claimed[part.path] = part
            continue
        if found is Found.EMPTIED:
            lose_place(part, desk)
        part.present = False
        if was_present:
            part.quiet.reset()
        absent.append(part)
    return claimed, absent


def attribute(
    desk: Desk,
    live: dict[str, os.stat_result],
    streams: set[str],
    known: set[str],
    claimed: dict[str, Part],
    absent: list[Part],
    now_ms: int,
) -> None:
    """Finds absent parts in other places, then makes parts of the files that are left.

    `streams` are live names that rotated files may come from, besides those of known parts; those in `known` were
    there at an earlier poll.
    """
    places = _list_places(desk, live, streams, absent)
    absent = _find_by_inode(desk, absent, places, claimed, now_ms)
    owners: dict[tuple[int, int], Part] = {}
    for path, part in claimed.items():
        owner = places[path][0] if path in places else folders.stat_regular(path)
        if owner is not None:
            owners[owner.st_dev, owner.st_ino] = part
    candidates: list[Candidate] = []
    for path, (stat, stream) in places.items():
        if path in claimed or stat.st_size == 0:
            continue
        if (stat.st_dev, stat.st_ino) in owners:  # a hard link
            desk.copies[path] = (signature(stat), owners[stat.st_dev, stat.st_ino])
        elif absent or not desk.is_known_copy(path, stat):
            candidate = Candidate(path, stat, stream, live=path in live)
            if _inspect(desk, candidate):
                candidates.append(candidate)
    try:
        taken = find_lost(absent, candidates, desk)
    except OSError:
        return  # a file went away between two looks; the next poll sees what is there then
    _welcome(desk, [candidate for candidate in candidates if candidate.path not in taken], known, now_ms)
    desk.copies = {path: seen for path, seen in desk.copies.items() if path in places}


def _list_places(desk: Desk, live: dict[str, os.stat_result], streams: set[str], absent: list[Part]) -> Places:
    """Every file that a part may be in or may be made of."""
    known = streams | {part.stream for part in (*desk.ledger.parts, *desk.ledger.gone)}
    sought = {place for part in absent for place in (part.path, part.home, part.stream) if place}
    beside = folders.rotated(known, sought, desk.source.rotated)
    places: Places = {found.path: (found.stat, found.stream) for found in beside if found.path not in live}
    for part in absent:
        home = folders.stat_regular(part.home) if part.home and part.home not in places else None
        if home is not None:
            places[part.home] = (home, None)
    bases = {found.path: found.stream for found in beside}
    for path, stat in live.items():
        places[path] = (stat, bases.get(path) or path)
    return places


def _find_by_inode(desk: Desk, absent: list[Part], places: Places, claimed: dict[str, Part], now_ms: int) -> list[Part]:
    """Confirms renamed files. Returns the parts that are still absent."""
    by_inode: dict[int, list[str]] = {}
    for path, (stat, _) in places.items():
        if path not in claimed:
            by_inode.setdefault(stat.st_ino, []).append(path)
    left: list[Part] = []
    for part in absent:
        for path in () if part.truncated else by_inode.get(part.inode, ()):
            was_live = part.path == part.stream
            if path == part.path or path in claimed:
                continue
            if confirm(part, path, places[path][0], desk, now_ms) is Found.HERE:
                claimed[path] = part
                if was_live:
                    desk.ledger.count("rotations")
                break
        else:
            left.append(part)
    return left


def _inspect(desk: Desk, candidate: Candidate) -> bool:
    """Reads a candidate's first bytes; False if it cannot or shall not be read."""
    try:
        wrong = unknown.inspect(candidate)
    except FileNotFoundError:
        return False
    except OSError as error:
        if candidate.live or candidate.stream:
            desk.complain(candidate.path, error)
        return False
    desk.unreadable.pop(candidate.path, None)
    if wrong is None:
        desk.refused.pop(candidate.path, None)
        return bool(candidate.head)
    if candidate.live:
        if candidate.path not in desk.refused:
            desk.ledger.count("unsupported_files")
        desk.refused[candidate.path] = f"{candidate.path} {wrong}"
    desk.copies[candidate.path] = (signature(candidate.stat), None)
    return False


def _welcome(desk: Desk, candidates: list[Candidate], known: set[str], now_ms: int) -> None:
    """Makes parts of files that hold something new, older ones first."""
    known_streams = known | {part.stream for part in (*desk.ledger.parts, *desk.ledger.gone)}
    index = HeadIndex(part for part in desk.ledger.parts if part.present)
    waiting: dict[str, tuple[Signature, Quiet]] = {}
    for candidate in sorted(candidates, key=unknown.oldest_first):
        if candidate.stream is None:
            continue
        try:
            if is_copy(candidate, index, desk):
                continue
            if not candidate.live and _is_ignored(desk, candidate, candidate.stream in known_streams):
                desk.copies[candidate.path] = (signature(candidate.stat), None)
                continue
            # A compressed file may still be written; until it rests it cannot be told what it is a copy of.
            unsure = candidate.compressed and (candidate.matched or not candidate.whole or not candidate.live)
            if unsure and not desk.has_rested(candidate.path, candidate.stat, waiting, now_ms):
                continue
            index.add(_make_part(desk, candidate))
        except FileNotFoundError:
            continue
        except OSError as error:
            desk.complain(candidate.path, error)
            continue
        if not candidate.live:
            desk.ledger.count("missed_generations")
    desk.waiting = waiting


def _is_ignored(desk: Desk, candidate: Candidate, known_stream: bool) -> bool:
    """Whether a rotated file that the glob does not name lay there before its stream was first followed."""
    ledger = desk.ledger
    if unknown.is_ignored(candidate, ledger.ignored):
        return True
    if ledger.since_ms is None or (not known_stream and candidate.stat.st_mtime_ns < ledger.since_ms * 1_000_000):
        ledger.ignored.append(unknown.to_ignore(candidate))
        return True
    return False


def _make_part(desk: Desk, candidate: Candidate) -> Part:
    part = Part(
        stream=candidate.stream or candidate.path,
        path=candidate.path,
        order=0,
        compressed=candidate.compressed,
        head_length=len(candidate.head),
        head_hash=digest(candidate.head),
        head=candidate.head,
        inode=candidate.stat.st_ino,
    )
    desk.files.open(part, candidate.path)
    settle_down(part, candidate.path, candidate.stat)
    desk.ledger.add(part)
    return part


def tend_absent(desk: Desk, part: Part, now_ms: int) -> None:
    """Looks after a part whose file is nowhere to be seen: drains it if it is open, else gives it up in time."""
    reader = desk.files.get(part)
    if reader is None:
        part.quiet.watch(now_ms)
        if part.quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS) and (part.settled or _is_surely_gone(desk, part)):
            _give_up(desk, part)
        return
    size = reader.stat().st_size
    if part.doubted and compare(reader, size, part) is not Match.SAME:
        lose_place(part, desk)
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


def _is_surely_gone(desk: Desk, part: Part) -> bool:
    """Whether its folder can be seen: a file system that is not mounted takes its files away only for a while."""
    folder = os.path.dirname(part.path)  # noqa: PTH120
    hidden = any(os.path.dirname(path) == folder for path in desk.unreadable)  # noqa: PTH120
    return os.path.isdir(folder) and not hidden  # noqa: PTH112


def _give_up(desk: Desk, part: Part) -> None:
    """Counts what a file that is gone is known to have held unread."""
    if not part.settled:
        unread = 0 if part.compressed else max(0, part.size - part.offset)
        if unread or (part.compressed and part.unread):
            desk.ledger.count("deleted_unread")
            desk.ledger.count("lost_bytes", unread)
        elif part.truncated:
            desk.ledger.count("lost_unknown")
    desk.ledger.bury(part)
