"""Target: a directory of log files that anything is done to between looks.

The input is a program: two bytes an action. Every line written is another one, so that handing one out twice shows.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.fuzz.target import Target
from tidegauge.config.settings import Source
from tidegauge.sources.files import FileSource

MAX_LINE_BYTES = 1024
_NAMES = ("a.jsonl", "b.jsonl", "a.jsonl.1", "a.jsonl.2", "b.jsonl.1.gz")
_MOST_BLOCKS = 20_000


@cache
def _parent() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tidegauge-fuzz-")


class World:
    """The files, what was written to them and what was handed out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1_900_000_000_000
        self.written: set[bytes] = set()
        self.handed: Counter[bytes] = Counter()
        self.spoilt = False  # what was written was altered since, so that what is read may be anything
        self.source = self.start(None)

    def start(self, position: str | None) -> FileSource:
        source = Source("predictions", "predictions", str(self.directory / "*.jsonl"))
        saved = None if position is None else json.loads(position)
        return FileSource(source, max_line_bytes=MAX_LINE_BYTES, position=saved, max_open_files=2)

    def line(self, argument: int) -> bytes:
        filler = ("", "x" * 80, "x" * 2 * MAX_LINE_BYTES, "é")[argument >> 6]
        line = json.dumps({"prediction_id": len(self.written), "filler": filler}).encode() + b"\n"
        self.written.add(line)
        return line

    def act(self, action: int, argument: int) -> None:
        path = self.directory / _NAMES[argument % len(_NAMES)]
        step = ACTIONS[action % len(ACTIONS)]
        if step in _OF_THE_PRODUCT:
            step(self, path, argument)
        elif path.is_file() or not os.path.lexists(path) or step in (World.obstruct, World.clear):
            with suppress(OSError):  # that a file is not there, or is the other one, is the program's own business
                step(self, path, argument)

    def append(self, path: Path, argument: int) -> None:
        self.spoilt |= _is_packed(path)
        with path.open("ab") as log:
            log.write(b"".join(self.line(argument) for _ in range(1 + argument % 7)))

    def append_unfinished(self, path: Path, argument: int) -> None:
        with path.open("ab") as log:
            log.write(self.line(argument)[: 1 + argument % 30])
        self.spoilt = True

    def append_anything(self, path: Path, argument: int) -> None:
        with path.open("ab") as log:
            log.write(
                (b"\0" * 5000, b"\r", b"\n\n", b"\xff\xfe\n", b"}{\n", b"\x1f\x8b", b"{", b"\xef\xbb\xbf")[
                    argument >> 5
                ]
            )
        self.spoilt = True

    def empty(self, path: Path, argument: int) -> None:
        os.truncate(path, 0)

    def cut(self, path: Path, argument: int) -> None:
        os.truncate(path, path.stat().st_size * argument // 256)
        self.spoilt = True

    def grow_by_nothing(self, path: Path, argument: int) -> None:
        os.truncate(path, path.stat().st_size + 16 * argument)  # within gzip a bit of it may stand for 100 bytes
        self.spoilt = True

    def overwrite(self, path: Path, argument: int) -> None:
        with path.open("r+b") as log:
            log.seek(path.stat().st_size * argument // 256)
            log.write(b"zz\nzz")
        self.spoilt = True

    def rotate(self, path: Path, argument: int) -> None:
        path.rename(path.with_name(f"{path.name}.{1 + argument % 3}"))

    def swap(self, path: Path, argument: int) -> None:
        other, between = self.directory / _NAMES[(argument >> 3) % len(_NAMES)], self.directory / "between"
        # Of two logs that change names, one compressed at once, the copy is found under the other's name, and read.
        self.spoilt |= path.name[0] != other.name[0]
        path.rename(between)
        if other.exists():
            other.rename(path)
        between.rename(other)

    def copy(self, path: Path, argument: int) -> None:
        shutil.copy2(path, self.directory / _NAMES[(argument >> 3) % len(_NAMES)])
        self.spoilt = True  # which of two equal files goes on is not to be known

    def link(self, path: Path, argument: int) -> None:
        (self.directory / f"linked{argument % 3}.jsonl").hardlink_to(path)

    def point(self, path: Path, argument: int) -> None:
        (self.directory / f"pointer{argument % 3}.jsonl").symlink_to(
            path.name if argument & 8 else f"pointer{argument % 3}.jsonl"
        )

    def compress(self, path: Path, argument: int) -> None:
        self.spoilt |= _is_packed(path) or not argument >> 6 & 1
        packed = gzip.compress(path.read_bytes(), mtime=0)
        if argument & 128:
            packed = packed[: len(packed) * argument // 256] + b"garbage" * (argument & 1)
            self.spoilt = True
        path.with_name(path.name + ".gz" * (argument >> 6 & 1)).write_bytes(packed)
        if argument >> 6 & 1:
            path.unlink()

    def remove(self, path: Path, argument: int) -> None:
        path.unlink()

    def obstruct(self, path: Path, argument: int) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path) if argument & 8 else path.mkdir()

    def clear(self, path: Path, argument: int) -> None:
        path.rmdir() if path.is_dir() else path.unlink()

    def touch(self, path: Path, argument: int) -> None:
        os.utime(path, ns=(0, argument * 10**9))

    def poll(self, path: Path | None = None, argument: int = 10) -> None:
        self.now += argument * 100
        self.source.poll(self.now)

    def read(self, path: Path | None = None, argument: int = 65_000) -> None:
        for _ in range(_MOST_BLOCKS):
            block = self.source.read(1 + argument * 64)
            if block is None:
                return
            data = bytes(block.data)
            assert not data or data.endswith(b"\n")
            assert data or block.dropped
            assert all(length > 0 and offset >= 0 for _, offset, length in block.dropped)
            for line in data.splitlines(keepends=True):
                assert len(line) <= MAX_LINE_BYTES + 1
                self.handed[line] += 1
        raise AssertionError("reading does not end")

    def restart(self, path: Path, argument: int) -> None:
        position = json.dumps(self.source.position())
        self.source.close()
        self.source = self.start(position)

    def verify(self) -> None:
        """Nothing came twice that was written once, and nothing came that was not written."""
        if not self.spoilt:
            assert self.handed.keys() <= self.written, "a line that nobody wrote"
            twice = [line for line, times in self.handed.items() if times > 1]
            assert not twice, f"{len(twice)} lines were handed out twice"
        status = self.source.status()
        assert status.lag_bytes >= 0
        "\n".join(status.problems).encode()


def _is_packed(path: Path) -> bool:
    return path.exists() and path.read_bytes()[:2] == b"\x1f\x8b"


_OF_THE_PRODUCT = (World.poll, World.read, World.restart)
ACTIONS = (
    *(World.append,) * 4,
    *(World.poll,) * 4,
    *(World.read,) * 4,
    *(World.restart, World.rotate, World.rotate, World.empty, World.swap, World.link, World.remove, World.touch),
    *(World.append_unfinished, World.append_anything, World.cut, World.grow_by_nothing, World.overwrite, World.copy),
    *(World.compress, World.compress, World.obstruct, World.clear, World.point),
)
_CODES = {action.__name__: ACTIONS.index(action) for action in ACTIONS}


def check(data: bytes) -> None:
    """Runs the program; then reads to the end."""
    directory = Path(tempfile.mkdtemp(dir=_parent().name))
    world = World(directory)
    try:
        for action, argument in zip(data[:400:2], data[1:400:2], strict=False):
            world.act(action, argument)
        for _ in range(6):
            world.poll(argument=20)
            world.read()
        world.verify()
    finally:
        world.source.close()
        shutil.rmtree(directory)


def program(*steps: str | tuple[str, int]) -> bytes:
    """The bytes of a program of named actions, with argument 0 unless told."""
    pairs = [(step, 0) if isinstance(step, str) else step for step in steps]
    return bytes(byte for name, argument in pairs for byte in (_CODES[name], argument))


TARGETS = (
    Target(
        "following_files",
        "whatever is done to files between looks, no line written once is handed out twice",
        check,
        [
            program("append", "poll", "read", "rotate", "append", "poll", "read"),
            program("append", "poll", ("read", 2), "restart", ("append", 64), "poll", "read", "empty", "append"),
            program(("append", 2), ("compress", 66), "poll", "poll", "read", ("append", 130), "poll", "read"),
            program("append", ("copy", 8), "poll", "read", "empty", ("append", 5), "link", "poll", "read"),
            program("append_unfinished", "poll", "read", "append_anything", ("grow_by_nothing", 255), "poll", "read"),
            program("append", "obstruct", "poll", "clear", "append", "poll", ("read", 1), ("cut", 100), "poll", "read"),
        ],
        [*(bytes([code, argument]) for code in _CODES.values() for argument in (0, 1, 5, 65, 130, 255))],
        quick=150,
    ),
)
