"""What polling and reading share: the ledger, the open files, and what was seen and left alone.

One Desk belongs to one FileSource. Only the ledger outlives the process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from tidegauge.config.settings import Source
from tidegauge.sources.ledger import Ledger
from tidegauge.sources.open_files import OpenFiles
from tidegauge.sources.part import Part, Quiet

QUIET_POLLS = 3  # a file that has not changed for so many polls and so long is taken to be finished
QUIET_MS = 5_000

Signature = tuple[int, int, int]


def signature(stat: os.stat_result) -> Signature:
    """What tells that a file has not been written to since: inode, size, time of modification."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


@dataclass(slots=True)
class Desk:
    source: Source
    max_line_bytes: int
    ledger: Ledger
    files: OpenFiles
    copies: dict[str, tuple[Signature, Part | None]] = field(default_factory=dict)  # files that hold nothing new
    waiting: dict[str, tuple[Signature, Quiet]] = field(default_factory=dict)  # files that may still be written
    unreadable: dict[str, str] = field(default_factory=dict)  # path -> what is wrong, tried again at every poll
    refused: dict[str, str] = field(default_factory=dict)  # path -> what is wrong, for good

    def is_known_copy(self, path: str, stat: os.stat_result) -> bool:
        """Whether this very file was seen to hold nothing new, and what it is a copy of is still followed."""
        seen, original = self.copies.get(path, (None, None))
        return seen == signature(stat) and (
            original is None or original.present or self.files.get(original) is not None
        )

    def complain(self, path: str, error: OSError) -> None:
        """Counts a file that cannot be read, once as long as it lasts."""
        if path not in self.unreadable:
            self.ledger.count("permission_denied" if isinstance(error, PermissionError) else "read_errors")
        self.unreadable[path] = f"cannot read {path}: {error.strerror or error}"

    def has_rested(
        self, path: str, stat: os.stat_result, waiting: dict[str, tuple[Signature, Quiet]], now_ms: int
    ) -> bool:
        """Whether a file has been left unchanged for a while; notes it in `waiting` if not."""
        seen, quiet = self.waiting.get(path, (None, Quiet()))
        if seen != signature(stat):
            quiet = Quiet()
        quiet.watch(now_ms)
        if quiet.lasted(now_ms, QUIET_POLLS, QUIET_MS):
            return True
        waiting[path] = (signature(stat), quiet)
        return False

    def is_reachable(self, part: Part) -> bool:
        """Whether a part can be read now."""
        return not part.doubted and (part.present or self.files.get(part) is not None)
