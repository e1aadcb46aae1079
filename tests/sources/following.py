"""Helpers of the source tests: a source on a temporary directory, and what it hands out."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

from tidegauge.config.settings import Source
from tidegauge.sources.block import Block
from tidegauge.sources.files import FileSource

MAX_LINE_BYTES = 4096


def line(number: int, filler: int = 0) -> bytes:
    """One record; numbers make records distinct."""
    return json.dumps({"prediction_id": number, "filler": "x" * filler}).encode() + b"\n"


def lines(*numbers: int, filler: int = 0) -> bytes:
    return b"".join(line(number, filler) for number in numbers)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as log:
        log.write(data)


def compress(path: Path) -> Path:
    """What gzip(1) does: x becomes x.gz, with the same time of modification."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    stat = path.stat()
    os.utime(packed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    path.unlink()
    return packed


class Follower:
    """A FileSource with a clock, collecting what it hands out."""

    def __init__(self, pattern: Path | str, position: dict[str, Any] | None = None, **options: Any) -> None:
        options.setdefault("max_line_bytes", MAX_LINE_BYTES)
        open_files = {"max_open_files": options.pop("max_open_files")} if "max_open_files" in options else {}
        max_line_bytes = options.pop("max_line_bytes")
        self.definition = Source("predictions", "predictions", str(pattern), **options)
        self.source = FileSource(self.definition, max_line_bytes=max_line_bytes, position=position, **open_files)
        self.options = {**options, **open_files, "max_line_bytes": max_line_bytes}
        self.now = 1_900_000_000_000
        self.blocks: list[Block] = []

    def poll(self, milliseconds: int = 1000) -> None:
        self.now += milliseconds
        self.source.poll(self.now)

    def read(self, limit: int = 4 << 20) -> list[bytes]:
        """Everything that can be read now, as lines."""
        fresh: list[Block] = []
        while (block := self.source.read(limit)) is not None:
            assert not block.data or bytes(block.data).endswith(b"\n")
            fresh.append(block)
        self.blocks += fresh
        return [row for block in fresh for row in bytes(block.data).splitlines(keepends=True)]

    def step(self, limit: int = 4 << 20) -> list[bytes]:
        self.poll()
        return self.read(limit)

    def rest(self) -> list[bytes]:
        """Polls until nothing moves any more."""
        return [row for _ in range(10) for row in self.step()]

    def restart(self) -> Follower:
        """What a crash and a new start with the position saved last do."""
        position = json.loads(json.dumps(self.source.position()))
        self.source.close()
        return Follower(self.definition.pattern, position, **self.options)

    @property
    def dropped(self) -> list[tuple[str, int, int]]:
        return [cut for block in self.blocks for cut in block.dropped]

    def events(self, name: str) -> int:
        return self.source.status().events[name]

    @property
    def unreadable(self) -> int:
        return self.source.status().unreadable

    @property
    def problems(self) -> str:
        return "\n".join(self.source.status().problems)


def numbers(rows: list[bytes]) -> list[int]:
    return [json.loads(row)["prediction_id"] for row in rows if row.strip()]
