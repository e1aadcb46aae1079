"""Files for what single predictions must keep until their feedback comes and no table row can hold.

Bounded in size, deleted whole when old, and cut back at a restart to what the restored state knows, so that a reference
in a restored table always means the same bytes. One thread uses it; only `sync` and `committed` may run in another.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.state.lock import StateUnusable
from tidegauge.state.segments import sync_directory

References = NDArray[np.uint64]

_HEADER = struct.Struct("<II")  # length of the item, checksum seeded with its reference
_OFFSET_BITS = 40
_WINDOW = 4096
_GAP = 1 << 14  # reading over so much costs less than another call
_LONGEST = 1 << 20
_hash = xxhash.xxh3_64_intdigest  # of an item, seeded with its reference
_HASH_BITS = 0xFFFFFFFF
_MAX_OPEN = 16


@dataclass(slots=True)
class _File:
    size: int
    begun: int | None = None  # ms; when it was first rolled
    end: int | None = None  # ms; nothing in it is younger; None while it is appended to


class Spool:
    """Items of bytes under 64-bit references (file number and offset; never 0).

    A save takes `positions` with the tables, calls `sync` before the manifest is written and `committed` after it.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        positions: dict[str, Any] | None = None,
        *,
        max_bytes: int = 1 << 30,
        file_ms: int = 3_600_000,
    ) -> None:
        """Opens the spool as `positions` (None: empty) describes it; whatever its files hold beyond that is removed.

        `max_bytes` caps all its files together; a file takes what comes in `file_ms`. Raises
        StateUnusable if the directory cannot be used.
        """
        self.directory = directory
        self.name = name
        self.max_bytes = max_bytes
        self.file_ms = file_ms
        self._pattern = re.compile(re.escape(name) + r"-(\d{7})\.spool")
        self._mutex = threading.Lock()
        self._files: dict[int, _File] = {}
        self._appending: int | None = None  # the file that is not ended yet
        self._bytes = 0
        self._expired: dict[int, int] = {}  # number -> size, until no saved state needs it; under the mutex
        self._unsynced: set[int] = set()
        self._needed: set[int] = set()
        self._writer: tuple[int, int] | None = None  # file number, descriptor
        self._readers: OrderedDict[int, int] = OrderedDict()
        saved = positions or {"files": [], "next": 1}
        self._next = int(saved["next"])
        for number, size, begun, end in saved["files"]:
            self._files[number] = _File(size, begun, end)
            self._bytes += size
            if end is None:
                self._appending = number
        self._needed.update(self._files)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._cut_back()
        except OSError as error:
            raise StateUnusable(f"{directory} cannot be used for the {name} spool: {error.strerror}") from error

    @property
    def nbytes(self) -> int:
        """Bytes of all files, those included that only an older saved state still needs."""
        with self._mutex:
            return self._bytes + sum(self._expired.values())

    def append(self, items: Sequence[bytes]) -> References:
        """Stores items and returns a reference for each; 0 for those beyond the cap or that the disk did not take."""
        references = np.zeros(len(items), np.uint64)
        if not items:
            return references
        number = self._current()
        file = self._files[number]
        ends = np.cumsum(np.fromiter(map(len, items), np.int64, len(items)) + _HEADER.size)
        fitting = int(np.searchsorted(ends, self.max_bytes - self.nbytes, side="right"))
        if fitting == 0:
            return references
        starts = np.concatenate((np.zeros(1, np.int64), ends[: fitting - 1])) + file.size
        taken = np.uint64(number << _OFFSET_BITS) + starts.astype(np.uint64)
        packed = _HEADER.pack
        parts = [
            part
            for reference, item in zip(taken.tolist(), items, strict=False)
            for part in (packed(len(item), _hash(item, reference) & _HASH_BITS), item)
        ]
        try:
            self._write(number, b"".join(parts), file.size)
        except OSError:
            # The file's size stays what it was, so the next attempt overwrites whatever part was written.
            return references
        file.size += int(ends[fitting - 1])
        self._bytes += int(ends[fitting - 1])
        references[:fitting] = taken
        return references

    def read(self, references: References) -> list[bytes | None]:
        """The items; None for reference 0, for what has expired and for what is damaged."""
        items: list[bytes | None] = [None] * len(references)
        order = np.argsort(references, kind="stable")
        ordered = references[order]
        numbers = ordered >> np.uint64(_OFFSET_BITS)
        offsets = (ordered & np.uint64((1 << _OFFSET_BITS) - 1)).astype(np.int64)
        # Items of one file that lie near each other are read together.
        apart = (numbers[1:] != numbers[:-1]) | (offsets[1:] - offsets[:-1] > _GAP)
        starts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(ordered)]
        for start, end in pairwise(starts):
            if start < end:
                self._read_run(int(numbers[start]), offsets[start:end], ordered[start:end], order[start:end], items)
        return items

    def _read_run(
        self,
        number: int,
        offsets: NDArray[np.int64],
        references: References,
        places: NDArray[np.int64],
        items: list[bytes | None],
    ) -> None:
        """Reads items of one file, in ascending order and close to each other, into their places."""
        file = self._files.get(number)
        if file is None:
            return
        window, begin, first, unpack = b"", 0, _HEADER.size, _HEADER.unpack_from
        for offset, reference, place in zip(offsets.tolist(), references.tolist(), places.tolist(), strict=True):
            at = offset - begin
            if at + first > len(window):
                last = int(offsets[-1])
                window, begin, at = self._read(number, min(last - offset + _WINDOW, _LONGEST), offset), offset, 0
                if len(window) < first:
                    continue
            length, checksum = unpack(window, at)
            if offset + first + length > file.size:
                continue
            item = window[at + first : at + first + length]
            if len(item) < length:
                item = self._read(number, length, offset + first)
            if len(item) == length and _hash(item, reference) & _HASH_BITS == checksum:
                items[place] = item

    def roll(self, now_ms: int) -> None:
        """Says that nothing appended so far is younger than `now_ms`; begins a new file once `file_ms` are past.

        As cheap to call often as seldom.
        """
        if self._appending is None:
            return
        file = self._files[self._appending]
        if file.begun is None:
            file.begun = now_ms
        if now_ms - file.begun >= self.file_ms:
            file.end = now_ms
            self._appending = None
            self._close_writer()

    def expire(self, before_ms: int) -> None:
        """Forgets whole files that hold nothing as young as `before_ms`. The disk is freed by `committed`."""
        for number in [number for number, file in self._files.items() if file.end is not None and file.end < before_ms]:
            size = self._files.pop(number).size
            with self._mutex:
                self._bytes -= size
                self._expired[number] = size
            self._close_reader(number)

    def positions(self) -> dict[str, Any]:
        """What must be saved with the tables that hold the references; JSON-able."""
        return {
            "files": [[number, file.size, file.begun, file.end] for number, file in sorted(self._files.items())],
            "next": self._next,
        }

    def sync(self) -> None:
        """Makes everything appended so far durable. From any thread. Raises OSError; the next call tries again."""
        with self._mutex:
            pending = set(self._unsynced)
            self._unsynced.clear()
        try:
            for number in pending:
                _sync_file(self._path(number))
            if pending:
                sync_directory(self.directory)
        except BaseException:
            with self._mutex:
                self._unsynced |= pending
            raise

    def committed(self, positions: dict[str, Any]) -> None:
        """Tells that a state with these `positions` is durable: expired files go that neither it nor the one before
        it names. From any thread."""
        named = {number for number, *_ in positions["files"]}
        with self._mutex:
            gone = set(self._expired) - named - self._needed
            self._needed = named
        for number in gone:
            try:
                self._path(number).unlink(missing_ok=True)
            except OSError:
                continue  # tried again after the next save; until then it counts towards the cap
            with self._mutex:
                del self._expired[number]

    def close(self) -> None:
        self._close_writer()
        for number in list(self._readers):
            self._close_reader(number)

    def _path(self, number: int) -> Path:
        return self.directory / f"{self.name}-{number:07d}.spool"

    def _cut_back(self) -> None:
        for path in self.directory.iterdir():
            match = self._pattern.fullmatch(path.name)
            if match is None:
                continue
            file = self._files.get(int(match[1]))
            if file is None:
                path.unlink()
            elif path.stat().st_size > file.size:
                os.truncate(path, file.size)

    def _current(self) -> int:
        if self._appending is None:
            self._appending = self._next
            self._files[self._next] = _File(0)
            self._next += 1
        return self._appending

    def _write(self, number: int, data: bytes, offset: int) -> None:
        if self._writer is None or self._writer[0] != number:
            self._close_writer()
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            self._writer = number, os.open(self._path(number), flags, 0o600)
        with self._mutex:
            self._unsynced.add(number)
        view = memoryview(data)
        while view:
            done = os.pwrite(self._writer[1], view, offset)
            view, offset = view[done:], offset + done
        # Marked before the write so that a concurrent sync tries, and after it so that none has missed its end.
        with self._mutex:
            self._unsynced.add(number)

    def _read(self, number: int, length: int, offset: int) -> bytes:
        try:
            if number not in self._readers:
                self._readers[number] = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
                if len(self._readers) > _MAX_OPEN:
                    self._close_reader(next(iter(self._readers)))
            self._readers.move_to_end(number)
            return os.pread(self._readers[number], length, offset)
        except OSError:
            return b""

    def _close_writer(self) -> None:
        if self._writer is not None:
            os.close(self._writer[1])
            self._writer = None

    def _close_reader(self, number: int) -> None:
        descriptor = self._readers.pop(number, None)
        if descriptor is not None:
            os.close(descriptor)


def _sync_file(path: Path) -> None:
    # An expired file that is gone needs no sync. A descriptor of its own keeps this apart from the appending thread.
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
