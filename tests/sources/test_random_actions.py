"""Whatever is done to log files between polls, every line is handed out exactly once, crashes included.

Seeded random actions on real files, against a plain list of the lines written.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tidegauge.config.settings import Source
from tidegauge.sources.files import FileSource


class World:
    """One directory of logs, the program that writes them, the rotation, and a reader that may crash."""

    def __init__(self, directory: Path, seed: int, pattern: str, streams: int) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.source = Source("predictions", "predictions", str(directory / pattern))
        self.live = [directory / f"log{number}.jsonl" for number in range(streams)]
        self.written: list[bytes] = []
        self.partial: dict[Path, bytes] = dict.fromkeys(self.live, b"")
        self.now = 1_000_000
        self.saved: str | None = None
        self.saved_lines: list[bytes] = []
        self.lines: list[bytes] = []
        for path in self.live:
            self.written.append(self.line())
            path.write_bytes(self.written[-1])
        self.limit = self.random.choice([200, 1000, 1 << 20])
        self.start()

    def start(self) -> None:
        position = None if self.saved is None else json.loads(self.saved)
        self.reader = FileSource(self.source, max_line_bytes=4096, position=position, max_open_files=4)
        self.lines = list(self.saved_lines)

    def line(self) -> bytes:
        filler = "x" * self.random.choice([0, 5, 60, 400])
        return json.dumps({"prediction_id": len(self.written), "filler": filler}).encode() + b"\n"

    def write(self) -> None:
        path = self.random.choice(self.live)
        self.finish(path)
        with path.open("ab") as log:
            for _ in range(self.random.choice([1, 1, 2, 10, 50])):
                line = self.line()
                self.written.append(line)
                log.write(line)

    def finish(self, path: Path) -> None:
        if self.partial[path]:
            with path.open("ab") as log:
                log.write(self.partial[path])
            self.partial[path] = b""

    def write_part_of_a_line(self) -> None:
        path = self.random.choice(self.live)
        self.finish(path)
        line = self.line()
        self.written.append(line)
        cut = self.random.randrange(1, len(line))
        with path.open("ab") as log:
            log.write(line[:cut])
        self.partial[path] = line[cut:]

    def shift(self, path: Path) -> None:
        for number in range(150, 0, -1):
            for ending in ("", ".gz"):
                old = path.with_name(f"{path.name}.{number}{ending}")
                if old.exists():
                    old.rename(path.with_name(f"{path.name}.{number + 1}{ending}"))

    def rotate(self) -> None:
        path = self.random.choice(self.live)
        if path.exists() and path.stat().st_size:
            self.finish(path)
            self.shift(path)
            path.rename(path.with_name(f"{path.name}.1"))
            if self.random.random() < 0.5:
                path.touch()

    def copytruncate(self) -> None:
        path = self.random.choice(self.live)
        if path.exists() and path.stat().st_size:
            self.finish(path)
            self.shift(path)
            shutil.copy(path, path.with_name(f"{path.name}.1"))
            if self.random.random() < 0.3:
                self.poll()
                self.read_some()
            with path.open("r+b") as log:
                log.truncate(0)

    def compress(self) -> None:
        path = self.random.choice(self.live)
        old = path.with_name(f"{path.name}.1")
        if old.exists():
            with old.open("rb") as plain, gzip.open(f"{old}.gz", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            shutil.copystat(old, f"{old}.gz")
            if self.random.random() < 0.3:
                self.poll()
                self.read_some()
            old.unlink()

    def delete(self) -> None:
        """Deletes an old file whose lines were all read and saved."""
        old = sorted(self.directory.glob("*.jsonl.*"))
        if old:
            self.drain()
            self.save()
            self.random.choice(old).unlink()

    def poll(self) -> None:
        self.now += self.random.choice([100, 1000, 3000])
        self.reader.poll(self.now)

    def read_some(self) -> None:
        for _ in range(self.random.choice([1, 2, 100])):
            block = self.reader.read(self.limit)
            if block is None:
                break
            assert block.dropped == ()
            self.lines += bytes(block.data).splitlines(keepends=True)

    def read_all(self) -> None:
        while (block := self.reader.read(self.limit)) is not None:
            assert block.dropped == ()
            self.lines += bytes(block.data).splitlines(keepends=True)

    def drain(self) -> None:
        for _ in range(8):
            self.now += 2000
            self.reader.poll(self.now)
            self.read_all()

    def save(self) -> None:
        self.saved = json.dumps(self.reader.position())
        self.saved_lines = list(self.lines)

    def crash(self) -> None:
        self.reader.close()
        self.start()

    def stop(self) -> None:
        self.save()
        self.crash()

    def run(self, steps: int) -> None:
        actions = [
            (self.write, 8),
            (self.write_part_of_a_line, 3),
            (self.rotate, 2),
            (self.copytruncate, 2),
            (self.compress, 2),
            (self.delete, 1),
            (self.poll, 6),
            (self.read_some, 6),
            (self.save, 2),
            (self.crash, 1),
            (self.stop, 1),
        ]
        self.reader.poll(self.now)
        self.read_all()
        self.save()
        names = self.random.choices([action for action, _ in actions], [weight for _, weight in actions], k=steps)
        for action in names:
            action()
        for path in self.live:
            self.finish(path)
        self.drain()
        self.reader.close()


@pytest.mark.parametrize("pattern", ["log0.jsonl", "log*.jsonl", "log*.jsonl*"])
@pytest.mark.parametrize("seed", range(20))
def test_every_line_is_handed_out_exactly_once(tmp_path: Path, seed: int, pattern: str) -> None:
    world = World(tmp_path, seed, pattern, streams=1 if pattern == "log0.jsonl" else 2)
    world.run(120)
    assert Counter(world.lines) == Counter(world.written)
    assert world.reader.status().events["lost_bytes"] == 0
