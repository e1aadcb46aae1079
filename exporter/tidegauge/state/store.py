"""The state directory: one atomic save of everything that must survive a crash, written as small differences.

Capture runs in the thread that owns the tables; commit may run in another. A save writes one immutable segment, then
renames the manifest; the previous generation stays readable until the next save is durable. One store per directory.
"""

from __future__ import annotations

import ast
import errno
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.state import segments
from tidegauge.state.difference import Difference, apply_difference, take_differences
from tidegauge.state.lock import LOCK_NAME, DirectoryLock, StateError, StateLocked, StateUnreadable, StateUnusable
from tidegauge.state.segments import Damaged, Index, Manifest, NewerFormat, TableMeta
from tidegauge.state.table import Table

__all__ = [
    "Capture",
    "Restored",
    "SaveReport",
    "StateError",
    "StateLocked",
    "StateUnreadable",
    "StateUnusable",
    "Store",
    "TableChanged",
]


class TableChanged(StateError):
    """A stored table has other columns than were asked for; `restore_raw` gives it as it is."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a loaded generation holds besides its tables. `notes` say in plain words what was damaged, if anything."""

    generation: int
    schema: int
    blobs: Mapping[str, bytes]
    tables: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What a commit did: bytes written (0 if nothing had changed since the last) and seconds taken."""

    generation: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Capture:
    """A consistent copy of everything unsaved, ready to be committed."""

    number: int
    blobs: Mapping[str, bytes]
    differences: tuple[Difference, ...]
    unchanged_since: int | None  # the generation that already holds all of this


@dataclass(frozen=True, slots=True)
class _Saved:
    """What the newest generation holds of one table: for each page the oldest segment it still needs."""

    since: int
    bases: NDArray[np.int64]
    table: Table | None  # None until restored


@dataclass(frozen=True, slots=True)
class _Generation:
    manifest: Manifest
    encoded: bytes
    tables: Mapping[str, _Saved]
    blobs: bytes  # digest

    @property
    def number(self) -> int:
        return self.manifest.generation

    def holds(self, table: Table) -> bool:
        saved = self.tables.get(table.name)
        return saved is not None and saved.table is table


class Store:
    """Owns a state directory from `open` to `close`. Call `load` before anything else."""

    def __init__(self, directory: Path, schema: int, lock: DirectoryLock) -> None:
        self.directory = directory
        self._schema = schema
        self._lock = lock
        self._committing = threading.Lock()
        self._handover = threading.Lock()
        self._generation: _Generation | None = None
        self._indices: Mapping[int, Index] = {}
        self._next = 1
        self._unsaved: Capture | None = None

    @classmethod
    def open(cls, directory: Path, *, schema: int) -> Self:
        """Creates (mode 0700) and locks the directory. `schema` is the version of what the caller stores.

        Raises StateLocked, or StateUnusable if the directory cannot be had or seems to be somebody else's, which is
        then left as it is.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = sorted(path.name for path in directory.iterdir())
        except OSError as error:
            raise StateUnusable(f"{directory} cannot be used for the state: {error.strerror}") from error
        foreign = [name for name in names if not name.startswith(".") and name != "lost+found"]
        if foreign and not any(_is_ours(name) for name in names):
            raise StateUnusable(
                f"{directory} holds files that are not tidegauge's ({', '.join(foreign[:3])}"
                f"{', ...' if len(foreign) > 3 else ''}); name an empty or a new directory for the state"
            )
        return cls(directory, schema, DirectoryLock(directory))

    def load(self) -> Restored | None:
        """Reads and checks the newest whole generation; None if nothing was ever saved here.

        A damaged newest generation gives way to the previous one, and `notes` say so. Raises StateUnreadable if there
        is a state but none that can be read, or if a newer version wrote it.
        """
        present = self._segment_numbers()
        self._next = max(present, default=0) + 1
        problems: list[str] = []
        for name in (segments.MANIFEST_NAME, segments.PREVIOUS_NAME):
            try:
                manifest, encoded = self._read_manifest(name)
                if manifest.generation == 0 and not manifest.segments:
                    self._generation = _Generation(manifest, encoded, {}, b"")
                    return None
                return self._accept(manifest, encoded, tuple(problems))
            except FileNotFoundError:
                problems.append(f"{name} is missing")
            except Damaged as error:
                problems.append(f"{name}: {error}" if name not in str(error) else str(error))
            except NewerFormat as error:
                raise StateUnreadable(
                    f"{self.directory}: {error}; run that version or later, or name another state directory"
                ) from error
            except OSError as error:
                raise StateUnreadable(f"{self.directory} cannot be read: {error}") from error
        if not present and not self._exists(segments.MANIFEST_NAME) and not self._exists(segments.PREVIOUS_NAME):
            self._generation = _Generation(Manifest(segments.FORMAT, self._schema, 0, ()), b"", {}, b"")
            return None
        raise StateUnreadable(
            f"{self.directory} holds a state that cannot be read: {'; '.join(problems)}. Restore the directory from a "
            "copy; or move it away, and tidegauge starts anew and counts again what the log files still hold"
        )

    def capture(self, blobs: Mapping[str, bytes], tables: Iterable[Table]) -> Capture:
        """Copies all blobs and what changed in the tables since the last committed save. Call from the tables' thread.

        A capture that is not committed, or fails to be, is contained in the next one.
        """
        generation = self._loaded()
        with self._handover:
            unsaved = self._unsaved
        for difference in unsaved.differences if unsaved else ():
            difference.table.put_back(difference.changes)
        owned = list(tables)
        if len({table.name for table in owned}) < len(owned):
            raise ValueError("two tables have the same name")
        bases = {table.name: generation.tables[table.name].bases for table in owned if generation.holds(table)}
        same = generation.number > 0 and bases.keys() == generation.tables.keys() and len(bases) == len(owned)
        same = same and _digest(blobs) == generation.blobs
        differences = take_differences(owned, bases, sum(map(len, blobs.values())), idle=same)
        unchanged = same and not any(difference.changes.pages.size for difference in differences)
        capture = Capture(self._next, dict(blobs), differences, generation.number if unchanged else None)
        self._next += 1
        with self._handover:
            self._unsaved = capture
        return capture

    def commit(self, capture: Capture) -> SaveReport:
        """Makes a capture durable. Captures are committed in the order they were taken, or left out.

        Raises OSError if it could not be written; the generation before it is then still the newest that is relied on.
        """
        started = time.perf_counter()
        with self._committing:
            generation = self._loaded()
            if capture.number <= generation.number:
                raise ValueError("a newer capture has been committed already")
            written = 0
            if capture.unchanged_since != generation.number:
                if not generation.encoded:
                    generation = self._begin(generation)
                generation, written = self._write(generation, capture)
                self._indices = {}
            with self._handover:
                if self._unsaved is capture:
                    self._unsaved = None
            return SaveReport(generation.number, written, time.perf_counter() - started)

    def restore_table(self, name: str, dtype: np.dtype[Any], capacity: int | None = None) -> Table | None:
        """The stored table of that name, None if there is none; a capacity below what is stored is raised to fit.

        Raises TableChanged if its columns differ, StateUnreadable if it was damaged since `load`.
        """
        meta = self._table_meta(name)
        if meta is None:
            return None
        stored = self._dtype_of(meta)
        if stored != dtype:
            raise TableChanged(f"stored table {name} has columns {stored}, not {dtype}")
        return self._restore(meta, dtype, capacity)

    def restore_raw(self, name: str) -> Table | None:
        """The stored table of that name with the columns it was stored with, None if there is none."""
        meta = self._table_meta(name)
        return None if meta is None else self._restore(meta, self._dtype_of(meta), None)

    def close(self) -> None:
        """Gives the directory free for others; nothing is saved."""
        with self._committing:
            self._lock.close()

    def _loaded(self) -> _Generation:
        if self._generation is None:
            raise RuntimeError("load the store before saving to it")
        return self._generation

    def _segment_numbers(self) -> list[int]:
        try:
            numbers = [segments.segment_number(path.name) for path in self.directory.iterdir()]
        except OSError as error:
            raise StateUnreadable(f"{self.directory} cannot be read: {error.strerror}") from error
        return [number for number in numbers if number is not None]

    def _read_manifest(self, name: str) -> tuple[Manifest, bytes]:
        encoded = segments.read_manifest(self.directory / name)
        manifest = segments.decode_manifest(encoded, name)
        if manifest.schema > self._schema:
            raise NewerFormat(f"{name} holds the state of a newer version of tidegauge")
        return manifest, encoded

    def _accept(self, manifest: Manifest, encoded: bytes, notes: tuple[str, ...]) -> Restored:
        indices = {ref.number: segments.read_index(self.directory, ref) for ref in manifest.segments}
        if manifest.generation not in indices:
            raise Damaged(f"generation {manifest.generation} does not name its own segment")
        for ref in manifest.segments:
            segments.verify_segment(self.directory, ref, indices[ref.number])
        newest = indices[manifest.generation]
        with segments.Segment(self.directory, manifest.generation) as segment:
            blobs = {entry.name: bytes(segment.read(entry)) for entry in newest.entries if entry.kind == "blob"}
        nothing = np.zeros(0, np.int64)
        tables = {meta.name: _Saved(meta.since, nothing, None) for meta in newest.tables}
        self._generation = _Generation(manifest, encoded, tables, _digest(blobs))
        self._indices = indices
        if notes:
            notes = (*notes, f"went back to the previous save, generation {manifest.generation}")
        return Restored(manifest.generation, manifest.schema, blobs, tuple(tables), notes)

    def _table_meta(self, name: str) -> TableMeta | None:
        generation = self._loaded()
        if generation.number == 0:
            return None
        if not self._indices:
            raise RuntimeError("restore tables before the first save")
        return next((meta for meta in self._indices[generation.number].tables if meta.name == name), None)

    def _dtype_of(self, meta: TableMeta) -> np.dtype[Any]:
        try:
            return np.lib.format.descr_to_dtype(ast.literal_eval(meta.dtype))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise StateUnreadable(f"{self.directory}: table {meta.name} has columns that are none") from error

    def _restore(self, meta: TableMeta, dtype: np.dtype[Any], capacity: int | None) -> Table:
        generation = self._loaded()
        try:
            stored = sum(e.length for index in self._indices.values() for e in index.entries if e.name == meta.name)
            if meta.high_water > 8 * stored:  # each row's place takes a bit at least
                raise Damaged(f"table {meta.name} cannot have {meta.high_water} rows in {stored} bytes")
            table = Table(meta.name, dtype, None if capacity is None else max(capacity, meta.high_water))
            table.prepare(meta.high_water)
            bases = np.zeros(table.pages, np.int64)
            if table.rows_per_page != meta.rows_per_page:
                raise Damaged(f"table {meta.name} is stored in pages of {meta.rows_per_page} rows")
            for ref in generation.manifest.segments:
                index = self._indices[ref.number]
                part = next((part for part in index.tables if part.name == meta.name), None)
                if part is not None and ref.number >= meta.since:
                    apply_difference(self.directory, ref.number, index, part, table, bases)
            table.recount()
            if table.live != meta.live:
                raise Damaged(f"table {meta.name} has {table.live} rows in use instead of {meta.live}")
        except (Damaged, OSError, ValueError, IndexError, MemoryError) as error:
            raise StateUnreadable(f"{self.directory}: table {meta.name}: {error}") from error
        tables = {**generation.tables, meta.name: _Saved(meta.since, bases, table)}
        self._generation = replace(generation, tables=tables)
        return table

    def _begin(self, generation: _Generation) -> _Generation:
        # From here on a manifest always exists, so that segments without one mean loss, not a first save cut short.
        encoded = segments.encode_manifest(generation.manifest)
        segments.replace_durably(self.directory / segments.MANIFEST_NAME, encoded)
        segments.sync_directory(self.directory)
        self._generation = replace(generation, encoded=encoded)
        return self._generation

    def _write(self, generation: _Generation, capture: Capture) -> tuple[_Generation, int]:
        number, path = capture.number, self.directory / segments.segment_name(capture.number)
        tables = {difference.table.name: _saved(generation, difference, number) for difference in capture.differences}
        needed = min((int(saved.bases.min(initial=number)) for saved in tables.values()), default=number)
        try:
            ref = segments.write_segment(path, number, _parts(capture), _metas(capture, tables))
            kept = tuple(old for old in generation.manifest.segments if old.number >= needed)
            manifest = Manifest(segments.FORMAT, self._schema, number, (*kept, ref))
            encoded = segments.encode_manifest(manifest)
            if generation.number > 0:
                segments.replace_durably(self.directory / segments.PREVIOUS_NAME, generation.encoded)
            segments.sync_directory(self.directory)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        # Once the rename was tried it may have happened even if it failed, so the segment then has to stay.
        segments.replace_durably(self.directory / segments.MANIFEST_NAME, encoded)
        segments.sync_directory(self.directory)
        self._remove_all_but({ref.number for ref in (*manifest.segments, *generation.manifest.segments)})
        saved = _Generation(manifest, encoded, tables, _digest(capture.blobs))
        self._generation = saved
        return saved, ref.size + len(encoded)

    def _remove_all_but(self, needed: set[int]) -> None:
        # What cannot be removed now is tried again at the next save.
        with suppress(OSError, StateUnreadable):
            for number in set(self._segment_numbers()) - needed:
                (self.directory / segments.segment_name(number)).unlink()

    def _exists(self, name: str) -> bool:
        try:
            (self.directory / name).lstat()
        except OSError as error:
            return error.errno != errno.ENOENT
        return True


def _is_ours(name: str) -> bool:
    # A power cut during the very first save may leave nothing but a file that was still to be renamed.
    known = (LOCK_NAME, segments.MANIFEST_NAME, segments.PREVIOUS_NAME)
    return name.removesuffix(".tmp") in known or segments.segment_number(name) is not None


def _parts(capture: Capture) -> Iterable[tuple[str, str, Sequence[segments.Buffer]]]:
    for name, blob in capture.blobs.items():
        yield "blob", name, (blob,)
    for difference in capture.differences:
        yield from difference.parts()


def _metas(capture: Capture, tables: Mapping[str, _Saved]) -> tuple[TableMeta, ...]:
    return tuple(
        TableMeta(
            name=(table := difference.table).name,
            dtype=repr(np.lib.format.dtype_to_descr(table.dtype)),
            rows_per_page=table.rows_per_page,
            high_water=difference.high_water,
            live=difference.live,
            since=tables[table.name].since,
        )
        for difference in capture.differences
    )


def _saved(generation: _Generation, difference: Difference, number: int) -> _Saved:
    if difference.whole:
        return _Saved(number, difference.bases(None, number), difference.table)
    if not generation.holds(difference.table):
        raise ValueError(f"table {difference.table.name} left the state after this capture was taken")
    before = generation.tables[difference.table.name]
    return _Saved(before.since, difference.bases(before.bases, number), difference.table)


def _digest(blobs: Mapping[str, bytes]) -> bytes:
    digest = xxhash.xxh3_128()
    for name, blob in sorted(blobs.items()):
        digest.update(f"{len(name)} {len(blob)} {name}".encode())
        digest.update(blob)
    return digest.digest()
