"""Follows log files by polling and hands out their lines, each exactly once.

One FileSource serves one glob; one thread uses it. `poll` looks at the disk, `read` hands out blocks of what poll saw,
`position` says what has been handed out, to be saved together with what was made of it. docs/following-files.md lists
what can happen to files and what comes of it.
"""

from __future__ import annotations

import glob
import os
from typing import Any

from tidegauge.config.settings import Source
from tidegauge.sources import folders, survey
from tidegauge.sources.block import Block, SourceStatus
from tidegauge.sources.desk import Desk
from tidegauge.sources.hand_out import HandOut
from tidegauge.sources.ledger import Ledger
from tidegauge.sources.open_files import MAX_OPEN_FILES, OpenFiles
from tidegauge.sources.part import Part
from tidegauge.sources.readers import GzipReader

MAX_INFLATING = 64


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
        ledger = Ledger() if position is None else Ledger.from_json(position)
        self._desk = Desk(source, max_line_bytes, ledger, OpenFiles(max_open_files))
        for part in ledger.parts:
            if part.complained:  # what was said of it before the restart still holds
                self._desk.refused[part.path] = f"{part.path} is damaged or ends in the middle: it was not read whole"
        self._hand_out = HandOut(self._desk, min(MAX_INFLATING, max(1, max_open_files // 2)))
        self._seen: dict[str, tuple[int, int]] = {}  # the live files of the last poll
        self._first_poll = True
        self._problems: tuple[str, ...] = ()
        self._mounted = folders.mounted_files()

    def poll(self, now_ms: int) -> None:
        """Looks at the disk once: finds new files, rotations and truncations, and how far each file goes.

        `now_ms` is wall-clock time; only differences of it count, besides the time of the very first poll.
        """
        desk = self._desk
        glance = folders.glance(desk.source.pattern)
        desk.unreadable = {path: why for path, why in desk.unreadable.items() if os.path.lexists(path)}
        desk.refused = {path: why for path, why in desk.refused.items() if os.path.lexists(path)}
        claimed, absent = survey.check_places(desk, glance.live, now_ms)
        fresh = any(
            stat.st_size > 0 and path not in claimed and not desk.is_known_copy(path, stat)
            for path, stat in glance.live.items()
        )
        # An empty live file may have been filled and rotated away since the last look.
        seen = {path: (stat.st_ino, 0 if stat.st_size else stat.st_mtime_ns) for path, stat in glance.live.items()}
        if fresh or absent or desk.waiting or desk.unreadable or not seen or seen != self._seen:
            named = set() if glob.has_magic(desk.source.pattern) else {desk.source.pattern}
            known = named | self._seen.keys()
            survey.attribute(desk, glance.live, known | seen.keys(), known, claimed, absent, now_ms)
            self._seen = seen
        for part in [part for part in desk.ledger.parts if not part.present]:
            survey.tend_absent(desk, part, now_ms)
        if desk.ledger.since_ms is None:
            desk.ledger.since_ms = now_ms
        self._hand_out.plan(now_ms)
        if self._first_poll:
            for part in desk.ledger.parts:
                part.first_target = part.size if part.unread and desk.is_reachable(part) else None
            self._first_poll = False
        mounted = tuple(
            f"{path} is mounted as a single file, so its rotation cannot be seen: mount its directory"
            for path in glance.live
            if path in self._mounted
        )
        self._problems = (*glance.problems, *mounted, *desk.unreadable.values(), *desk.refused.values())

    def read(self, limit: int = 4 << 20) -> Block | None:
        """The next block, of about `limit` bytes at most (more only if one line is longer); None when all that poll
        saw has been handed out. Streams take turns; within one, rotated parts come before their successors."""
        return self._hand_out.next(limit)

    def position(self) -> dict[str, Any]:
        """What has been handed out, JSON-able. Unfinished last lines are not part of it."""
        return self._desk.ledger.to_json()

    @property
    def resting(self) -> bool:
        """Whether a file was found that may hold unread lines, and that is not read before it is left unchanged."""
        return bool(self._desk.waiting)

    def unread_streams(self) -> set[str]:
        """The files that poll saw more of than has been handed out, as `Block.path` names them."""
        return self._hand_out.unread_streams()

    def status(self) -> SourceStatus:
        """How things stand after the last poll and read."""
        ledger = self._desk.ledger
        return SourceStatus(
            files=sum(1 for part in ledger.parts if part.present),
            unreadable=len(self._desk.unreadable.keys() | self._desk.refused.keys()),
            open_files=len(self._desk.files),
            lag_bytes=sum(self._lag(part) for part in ledger.parts),
            read_bytes_total=ledger.read_bytes,
            events=dict(ledger.events),
            problems=self._problems,
            first_pass_done=not self._first_poll and all(part.first_target is None for part in ledger.parts),
        )

    def _lag(self, part: Part) -> int:
        if not part.compressed:
            return max(0, part.size - part.offset)
        if not part.unread:
            return 0
        reader = self._desk.files.get(part)
        return part.size - min(part.size, reader.consumed) if isinstance(reader, GzipReader) else part.size

    def close(self) -> None:
        """Closes every file. The position stays valid."""
        self._desk.files.close_all()
