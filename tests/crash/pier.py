"""One exporter process in the thick of it: a program writes logs, rotation moves them about, and the process is killed.

`Pier` owns a directory, the process and the book of everything that the exporter had a chance to read. It writes
nothing between the copy and the truncation of a copytruncate, and deletes unread lines only where nobody can have seen
them: what is left is exactly what must be counted.
"""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.crash.recount import CONFIGURATION, FAMILIES, Counts, Record, Rejected, Sample, recount
from tests.crash.traffic import Line, Program
from tests.processes import Exporter

PATIENCE = 40.0
KEPT_FILES = 5
_SAMPLE = re.compile(rf"^({'|'.join(FAMILIES)})\{{([^}}]*)\}} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_SHOWN = (None, "accuracy", "brier", "mae")


@dataclass(slots=True)
class LogFile:
    """One file of a log, whatever it is called at the moment."""

    path: Path
    unseen: list[Line] = field(default_factory=list)  # written while the exporter was down, and it has not run since
    settled: bool = True  # everything in it was counted at the last comparison
    seen_unsettled: bool = False  # holds lines written since then that the exporter may have read


@dataclass(slots=True)
class Log:
    """A live file, its unfinished last line and its rotated files, the newest first."""

    live: LogFile
    dated: bool  # how rotated files are named
    partial: Line | None = None
    cut: int = 0  # bytes of `partial` that are written
    rotated: list[LogFile] = field(default_factory=list)
    rotations: int = 0


class Pier:
    """`round` does some random things and then compares; the same seed does the same ones, at other moments."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.program = Program(self.random, weighted=seed % 2 == 0)
        self.book: list[Record] = []
        self.history: list[str] = []
        (directory / "logs").mkdir()
        (directory / "tidegauge.yml").write_text(CONFIGURATION)
        self.exporter = Exporter(directory / "tidegauge.yml")
        self.running = False
        self.logs = {
            kind: Log(LogFile(directory / "logs" / f"{kind}.jsonl"), dated=seed % 3 == 0)
            for kind in ("predictions", "feedback")
        }

    def close(self) -> None:
        self.exporter.kill()

    # ---------------------------------------------------------------- rounds

    def begin(self) -> None:
        """The exporter sees both logs for the first time: from now on every file that turns up is to be read."""
        self.start()
        for kind, log in self.logs.items():
            self.append(log, self._lines(kind))
        self.compare()

    def round(self) -> None:
        """A few actions, then the comparison with the recount."""
        self.program.next_round()
        actions: list[tuple[Callable[[], None], int]] = [
            (self.write, 8),
            (self.write_part_of_a_line, 2),
            (self.rotate, 3),
            (self.rotate_twice, 1),
            (self.die_and_rotate, 1),
            (self.copy_and_truncate, 2),
            (self.compress, 3),
            (self.delete_read, 1),
            (self.delete_unseen, 1),
            (self.kill, 2),
            (self.kill_while_saving, 2),
            (self.terminate, 1),
            (self.start, 2),
            (self.pause, 1),
        ]
        for action in self.random.choices(*zip(*actions, strict=True), k=self.random.randint(3, 6)):
            action()
            if self.random.random() < 0.5:
                time.sleep(self.random.random() * 0.08)
        if self.random.random() < 0.7:
            self.finish(self.logs["predictions"])
        self.finish(self.logs["feedback"])
        self.start()
        self.compare()

    def note(self, action: str) -> None:
        self.history.append(f"{self.program.round}: {action}")

    # ---------------------------------------------------------------- writing

    def _lines(self, kind: str) -> list[Line]:
        number = self.random.choice((1, 3, 10, 40, 150))
        return self.program.predictions(number) if kind == "predictions" else self.program.feedback(number)

    def write(self) -> None:
        kind = self.random.choice(tuple(self.logs))
        lines = self._lines(kind)
        self.note(f"write {len(lines)} {kind}")
        self.append(self.logs[kind], lines)

    def append(self, log: Log, lines: list[Line]) -> None:
        self.finish(log)
        with log.live.path.open("ab") as file:
            for line in lines:
                file.write(line.text)
        self._enter(log.live, lines)

    def _enter(self, file: LogFile, lines: list[Line]) -> None:
        file.settled = False
        self.book += [line.record for line in lines if line.record is not None]
        if self.running:
            file.seen_unsettled = True
        else:
            file.unseen += lines

    def write_part_of_a_line(self) -> None:
        kind = self.random.choice(tuple(self.logs))
        log = self.logs[kind]
        lines = self._lines(kind)
        if not lines or len(lines[-1].text) < 2:
            return
        self.note(f"write {len(lines) - 1} {kind} and a part of one")
        self.append(log, lines[:-1])
        log.partial = lines[-1]
        log.cut = self.random.randrange(1, len(lines[-1].text))
        with log.live.path.open("ab") as file:
            file.write(log.partial.text[: log.cut])

    def finish(self, log: Log) -> None:
        """Writes the rest of an unfinished line, wherever its file is now."""
        if log.partial is None:
            return
        line, log.partial = log.partial, None
        self.note(f"finish a line in {log.live.path.name}")
        with log.live.path.open("ab") as file:
            file.write(line.text[log.cut :])
        self._enter(log.live, [line])

    # ---------------------------------------------------------------- moving files

    def rotate(self) -> None:
        log = self.random.choice(tuple(self.logs.values()))
        if log.live.path.exists():
            self.move_away(log)

    def move_away(self, log: Log) -> None:
        place = self._make_room(log)
        self.note(f"rotate {log.live.path.name} to {place.name}")
        live = log.live.path
        live.rename(place)
        log.live.path = place
        if log.partial is not None and self.random.random() < 0.5:
            time.sleep(0.1)
        self.finish(log)  # a program keeps writing where it was until it is told
        log.rotated.insert(0, log.live)
        log.live = LogFile(live)
        if self.random.random() < 0.5:
            live.touch()

    def rotate_twice(self) -> None:
        kind = self.random.choice(tuple(self.logs))
        for _ in range(2):
            self.append(self.logs[kind], self._lines(kind))
            self.rotate()

    def die_and_rotate(self) -> None:
        """The program dies within a line, and its file is rotated away: a whole object counts, the rest is torn."""
        log = self.logs["predictions"]
        if self.random.random() < 0.5 or not log.live.path.exists():
            return  # seldom, because such a file must rest for some seconds before its end is taken for the end
        (line,) = self.program.predictions(1)
        # Alone in a file, a few bytes that all lines begin with could be a copy of anything; they are nothing new.
        self.append(log, self.program.predictions(2))
        whole = self.random.random() < 0.5
        text = line.text.rstrip(b"\n")
        if isinstance(line.record, Rejected) or len(text) < 2:
            return
        self.note(f"die within a line, {'but for its newline' if whole else 'torn'}")
        with log.live.path.open("ab") as file:
            file.write(text if whole else text[: self.random.randrange(1, len(text))])
        if not whole:
            self.program.forget([line.record] if line.record else [])
            line = Line(b"", Rejected("predictions", "torn_line"))
        self._enter(log.live, [line])
        self.move_away(log)

    def copy_and_truncate(self) -> None:
        log = self.random.choice(tuple(self.logs.values()))
        if not log.live.path.exists() or not log.live.path.stat().st_size:
            return
        self.finish(log)
        place = self._make_room(log)
        self.note(f"copy {log.live.path.name} to {place.name} and truncate")
        (shutil.copy if self.random.random() < 0.5 else shutil.copy2)(log.live.path, place)
        if self.random.random() < 0.3:
            time.sleep(0.1)
        os.truncate(log.live.path, 0)
        log.rotated.insert(0, LogFile(place, log.live.unseen, log.live.settled, log.live.seen_unsettled))
        log.live = LogFile(log.live.path)

    def _make_room(self, log: Log) -> Path:
        """The name for a newly rotated file; numbered ones all move up."""
        log.rotations += 1
        live = log.live.path
        if log.dated:
            return live.with_name(f"{live.name}-{20250101 + log.rotations}")
        for number, file in reversed(list(enumerate(log.rotated, start=1))):
            ending = ".gz" if file.path.suffix == ".gz" else ""
            moved = live.with_name(f"{live.name}.{number + 1}{ending}")
            file.path.rename(moved)
            file.path = moved
        return live.with_name(f"{live.name}.1")

    def compress(self) -> None:
        log = self.random.choice(tuple(self.logs.values()))
        plain = [file for file in log.rotated if file.path.suffix != ".gz"]
        if not plain:
            return
        file = self.random.choice(plain)
        self.note(f"compress {file.path.name}")
        packed = file.path.with_name(f"{file.path.name}.gz")
        content = file.path.read_bytes()
        with packed.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as stream:
            half = self.random.randrange(len(content) + 1)
            stream.write(content[:half])
            if self.random.random() < 0.3:
                stream.flush()
                time.sleep(0.15)
            stream.write(content[half:])
        shutil.copystat(file.path, packed)
        if self.random.random() < 0.3:
            time.sleep(0.1)
        file.path.unlink()
        file.path = packed

    def delete_read(self) -> None:
        """Deletes the oldest rotated files, all of whose lines were counted."""
        for log in self.logs.values():
            while log.rotated and log.rotated[-1].settled and len(log.rotated) > self.random.choice((0, KEPT_FILES)):
                file = log.rotated.pop()
                self.note(f"delete {file.path.name}, which was read")
                file.path.unlink()

    def delete_unseen(self) -> None:
        """Deletes a live file with lines that the exporter never had a chance to read: nobody can count those."""
        kind = self.random.choice(tuple(self.logs))
        log = self.logs[kind]
        self.finish(log)
        if not log.live.settled and self.running:
            return  # may hold lines that were read and not saved
        self.kill()
        self.append(log, self._lines(kind))
        if log.live.seen_unsettled:
            return
        lost = [line.record for line in log.live.unseen if line.record is not None]
        self.note(f"delete {log.live.path.name} with {len(lost)} unread lines")
        gone = {id(record) for record in lost}
        self.book = [record for record in self.book if id(record) not in gone]
        self.program.forget(lost)
        log.live.path.unlink()
        log.live = LogFile(log.live.path)

    # ---------------------------------------------------------------- the process

    def start(self) -> None:
        if self.running:
            return
        self.note("start")
        self.exporter.start()
        self.running = True
        for log in self.logs.values():
            for file in (log.live, *log.rotated):
                file.seen_unsettled |= bool(file.unseen)
                file.unseen = []

    def kill(self) -> None:
        if self.running:
            time.sleep(self.random.random() * 0.4)
            self.note("kill -9")
            self.exporter.kill()
            self.running = False

    def kill_while_saving(self) -> None:
        """Waits until a save has begun, and kills in the middle of it (or just after it)."""
        if not self.running:
            return
        state = self.directory / "state"
        known = set(state.iterdir())
        self.append(self.logs["predictions"], self._lines("predictions"))
        deadline = time.monotonic() + 1.0
        while set(state.iterdir()) <= known and time.monotonic() < deadline:
            pass
        time.sleep(self.random.choice((0, 0, 0.0005, 0.002)))
        self.note("kill -9 while saving")
        self.exporter.kill()
        self.running = False

    def terminate(self) -> None:
        if self.running:
            self.note("SIGTERM")
            assert self.exporter.stop() == 0, self.exporter.said()
            self.running = False

    def pause(self) -> None:
        time.sleep(self.random.random() * 0.5)

    # ---------------------------------------------------------------- comparing

    def compare(self) -> None:
        """Waits until every published number equals the recount. Raises AssertionError as soon as one is beyond it."""
        expected = recount(self.book)
        deadline = time.monotonic() + PATIENCE
        while True:
            differing = _differences(expected, self.published())
            if not differing:
                break
            assert self.exporter.running, self._explain(differing)
            beyond = [name for name, wanted, found in differing if name[0].endswith("_total") and found > wanted]
            if beyond or time.monotonic() > deadline:
                raise AssertionError(self._explain(differing))
            time.sleep(0.1)
        for log in self.logs.values():
            for file in (log.live, *log.rotated):
                file.settled, file.seen_unsettled = True, False

    def published(self) -> Counts:
        page = ""
        with suppress(requests.ConnectionError):
            page = self.exporter.page()
        found: Counts = {}
        for family, labels, value in _SAMPLE.findall(page):
            named = dict(_LABEL.findall(labels))
            wanted = family.startswith(("model_quality", "model_window"))
            if wanted and (named["window"] not in ("1h", "lifetime") or named.get("metric") not in _SHOWN):
                continue
            if float(value):
                found[family, tuple(sorted(named.items()))] = float(value)
        return found

    def _explain(self, differing: list[tuple[Sample, float, float]]) -> str:
        lines = [f"{name}: expected {wanted}, found {found}" for name, wanted, found in differing[:20]]
        listing = sorted(str(path.relative_to(self.directory)) for path in (self.directory / "logs").iterdir())
        return "\n".join(
            [
                f"{len(differing)} samples differ in {self.directory}",
                *lines,
                f"files: {', '.join(listing)}",
                "history:",
                *self.history[-40:],
                self.exporter.said()[-3000:],
            ]
        )


def _differences(expected: Counts, found: Counts) -> list[tuple[Sample, float, float]]:
    differing: list[tuple[Sample, float, float]] = []
    for name in sorted({*expected, *found}):
        wanted, value = expected.get(name, 0.0), found.get(name, 0.0)
        if abs(wanted - value) > 1e-9 * abs(wanted) * (name[0].startswith("model_quality")):
            differing.append((name, wanted, value))
    return differing
