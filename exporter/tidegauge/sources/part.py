"""The record of one file being read: what it is, how far it was read, where it was seen last.

A stream is what a live name carries over time; each file that held that name is a part of it. FileSource owns and
changes parts; `to_json` and `from_json` are what is saved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tidegauge.sources.lines import Cut


@dataclass(slots=True)
class Quiet:
    """How long nothing has changed, in polls and by the clock: neither quick polls nor a jumping clock decide alone."""

    polls: int = 0
    since_ms: int = 0

    def reset(self) -> None:
        self.polls = 0

    def watch(self, now_ms: int) -> None:
        if self.polls == 0 or now_ms < self.since_ms:
            self.since_ms = now_ms
        self.polls += 1

    def lasted(self, now_ms: int, polls: int, milliseconds: int) -> bool:
        return self.polls >= polls and now_ms - self.since_ms >= milliseconds


@dataclass(slots=True, eq=False)
class Part:
    stream: str  # the live name it belongs to
    path: str  # where it was seen last
    order: int  # within the stream: older parts have lower numbers
    compressed: bool
    head_length: int
    head_hash: int
    offset: int = 0  # everything before it was handed out or dropped
    marks: tuple[tuple[int, int], ...] = ()  # ascending (offset, hash of the bytes before it); the last is at `offset`
    cut: Cut | None = None
    inode: int = 0  # a hint, never proof
    size: int = 0  # on disk
    mtime_ns: int = 0
    exhausted: int = -1  # the size on disk at which all that could be handed out was handed out
    settled: bool = False  # its unfinished last line was dealt with
    home: str = ""  # where `path` led if it was a symbolic link

    head: bytes = b""  # the bytes that head_hash is of, when they have been seen since start
    present: bool = False  # seen at `path` by the last poll
    doubted: bool = True  # its content must be compared again before it is read
    buried: bool = False  # it went away and was given up or done with
    truncated: bool = False  # its content is gone from where it was
    complained: bool = False  # its broken or unfinished compression was counted
    first_target: int | None = None  # size it had at start, until it has been read that far
    quiet: Quiet = field(default_factory=Quiet)

    @property
    def unread(self) -> bool:
        return self.size != self.exhausted

    @property
    def in_place(self) -> bool:
        """Still under the live name, so that its last line may yet be finished."""
        return self.present and self.path == self.stream

    def to_json(self) -> dict[str, Any]:
        saved: dict[str, Any] = {
            "stream": self.stream,
            "path": self.path,
            "order": self.order,
            "head": [self.head_length, self.head_hash],
            "offset": self.offset,
            "marks": [list(mark) for mark in (self.marks[-1:] if self.settled else self.marks)],
            "stat": [self.inode, self.size, self.mtime_ns],
            "exhausted": self.exhausted,
        }
        for name in ("compressed", "settled", "truncated", "complained"):
            if getattr(self, name):
                saved[name] = True
        if self.home:
            saved["home"] = self.home
        if self.cut is not None:
            saved["cut"] = [self.cut.reason, self.cut.start]
        return saved

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Part:
        cut = saved.get("cut")
        return cls(
            stream=saved["stream"],
            path=saved["path"],
            order=saved["order"],
            compressed=saved.get("compressed", False),
            head_length=saved["head"][0],
            head_hash=saved["head"][1],
            offset=saved["offset"],
            marks=tuple((offset, value) for offset, value in saved["marks"]),
            cut=None if cut is None else Cut(cut[0], cut[1]),
            inode=saved["stat"][0],
            size=saved["stat"][1],
            mtime_ns=saved["stat"][2],
            exhausted=saved["exhausted"],
            settled=saved.get("settled", False),
            home=saved.get("home", ""),
            truncated=saved.get("truncated", False),
            complained=saved.get("complained", False),
        )
