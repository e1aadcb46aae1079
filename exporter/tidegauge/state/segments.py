"""The files of a saved state: immutable segments and the small manifest that names them.

A segment holds what one save wrote, each entry with its checksum; its index is at its end, and the manifest holds the
index's checksum, so the manifest vouches for every byte. Nothing here knows what is alive or which generation is which.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import xxhash

FORMAT = 1
MANIFEST_NAME = "manifest.json"
PREVIOUS_NAME = "manifest.previous.json"
_HEADER = b"TIDESEG\x01"
_FOOTER = struct.Struct("<QQ16s8s")  # index offset, index length, index checksum, header again
_CHUNK = 4 << 20
_MOST_MANIFEST_BYTES = 16 << 20

# A checksum proves that nothing was altered by accident; what is stored is still checked before it sizes anything.
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
SegmentNumber = Annotated[int, msgspec.Meta(ge=0, lt=10**12)]
Buffer = Any  # bytes, memoryview or contiguous numpy array: the buffer protocol has no type before Python 3.12


class Damaged(Exception):
    """A file of the state is missing, torn or altered; the message says which and how."""


class NewerFormat(Exception):
    """A file of the state was written by a later version of the program."""


class Entry(msgspec.Struct, frozen=True):
    """One run of bytes in a segment. `kind`: blob, or a table's pages, live, images, numbers, rows or freed."""

    kind: str
    name: str
    offset: Count
    length: Count
    checksum: str


class TableMeta(msgspec.Struct, frozen=True):
    """A table as it was when the segment was written. Segments before `since` hold an earlier table of that name."""

    name: str
    dtype: str
    rows_per_page: Count
    high_water: Count
    live: Count
    since: SegmentNumber


class Index(msgspec.Struct, frozen=True):
    """What a segment contains."""

    entries: tuple[Entry, ...]
    tables: tuple[TableMeta, ...]

    def find(self, kind: str, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.kind == kind and entry.name == name), None)


class SegmentRef(msgspec.Struct, frozen=True):
    """How a manifest names a segment: number, size in bytes, checksum of its index."""

    number: SegmentNumber
    size: Count
    checksum: str


class Manifest(msgspec.Struct, frozen=True):
    """One generation: the segments to apply, in order; the last is the generation's own."""

    format: int
    schema: int
    generation: SegmentNumber
    segments: tuple[SegmentRef, ...]
    checksum: str = ""


class _Version(msgspec.Struct, frozen=True):
    format: int


def segment_name(number: int) -> str:
    return f"segment-{number:012d}.seg"


def segment_number(name: str) -> int | None:
    """The number in a segment's file name; None if it is no such name."""
    digits = name.removeprefix("segment-").removesuffix(".seg")
    well_formed = len(digits) == 12 and digits.isascii() and digits.isdigit()
    return int(digits) if well_formed and name == segment_name(int(digits)) else None


def write_segment(
    path: Path, number: int, parts: Iterable[tuple[str, str, Sequence[Buffer]]], tables: tuple[TableMeta, ...]
) -> SegmentRef:
    """Writes and fsyncs a new segment of (kind, name, buffers) parts. Raises OSError; what was written then stays."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        offset = _write(descriptor, _HEADER)
        entries = []
        for kind, name, buffers in parts:
            start, digest = offset, xxhash.xxh3_128()
            for buffer in buffers:
                digest.update(buffer)
                offset += _write(descriptor, buffer)
            entries.append(Entry(kind, name, start, offset - start, digest.hexdigest()))
        index = msgspec.json.encode(Index(tuple(entries), tables))
        checksum = xxhash.xxh3_128(index)
        _write(descriptor, index + _FOOTER.pack(offset, len(index), checksum.digest(), _HEADER))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return SegmentRef(number, offset + len(index) + _FOOTER.size, checksum.hexdigest())


def read_index(directory: Path, ref: SegmentRef) -> Index:
    """The index of a segment, checked against the manifest's word. Raises Damaged, OSError."""
    name = segment_name(ref.number)
    with Segment(directory, ref.number) as segment:
        if segment.size != ref.size:
            raise Damaged(f"{name} has {segment.size} bytes instead of {ref.size}")
        footer = bytearray(_FOOTER.size)
        segment.read_into(ref.size - _FOOTER.size, footer)
        offset, length, _, closing = _FOOTER.unpack(footer)
        if closing != _HEADER or offset + length + _FOOTER.size != ref.size:
            raise Damaged(f"{name} does not end as a segment does")
        data = bytearray(length)
        segment.read_into(offset, data)
    if xxhash.xxh3_128(data).hexdigest() != ref.checksum:
        raise Damaged(f"{name} is not the segment that the manifest names (index checksum differs)")
    try:
        found = msgspec.json.decode(data, type=Index)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"{name} has an index that is none") from error
    if any(entry.offset + entry.length > offset for entry in found.entries):
        raise Damaged(f"{name} has an index of more than it holds")
    return found


def verify_segment(directory: Path, ref: SegmentRef, index: Index) -> None:
    """Reads every entry of a segment once, in bounded memory. Raises Damaged, OSError."""
    buffer = memoryview(bytearray(_CHUNK))
    with Segment(directory, ref.number) as segment:
        for entry in index.entries:
            digest = xxhash.xxh3_128()
            for start in range(0, entry.length, _CHUNK):
                part = buffer[: min(_CHUNK, entry.length - start)]
                segment.read_into(entry.offset + start, part)
                digest.update(part)
            check(ref.number, entry, digest)


def check(number: int, entry: Entry, digest: xxhash.xxh3_128) -> None:
    """Raises Damaged unless `digest` is that of the entry."""
    if digest.hexdigest() != entry.checksum:
        raise Damaged(f"{segment_name(number)} is damaged at byte {entry.offset} ({entry.kind} of {entry.name})")


class Segment:
    """An open segment; a context manager. Raises Damaged if it is not there, OSError if it cannot be opened."""

    def __init__(self, directory: Path, number: int) -> None:
        self.number = number
        try:
            self._descriptor, self.size = _open_regular(directory / segment_name(number))
        except FileNotFoundError:
            raise Damaged(f"{segment_name(number)} is missing") from None

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        """Fills `buffer` from the file. Raises Damaged if the file ends or the disk fails within it."""
        view = memoryview(buffer)
        done = 0
        while done < view.nbytes:
            try:
                got = os.preadv(self._descriptor, [view[done:]], offset + done)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                raise Damaged(f"{segment_name(self.number)} cannot be read at byte {offset + done}") from error
            if got == 0:
                raise Damaged(f"{segment_name(self.number)} ends at byte {offset + done}")
            done += got

    def read(self, entry: Entry) -> bytearray:
        """The bytes of an entry, checked. Raises Damaged, OSError."""
        data = bytearray(entry.length)
        self.read_into(entry.offset, data)
        check(self.number, entry, xxhash.xxh3_128(data))
        return data


def read_manifest(path: Path) -> bytes:
    """The bytes of a manifest's file. Raises Damaged if it can be none, OSError."""
    descriptor, size = _open_regular(path)
    try:
        if size > _MOST_MANIFEST_BYTES:
            raise Damaged(f"{path.name} is no manifest ({size} bytes)")
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest's file content, with its own checksum filled in."""
    return msgspec.json.encode(msgspec.structs.replace(manifest, checksum=_manifest_checksum(manifest))) + b"\n"


def decode_manifest(data: bytes, name: str) -> Manifest:
    """Raises Damaged, or NewerFormat if a later version of the program wrote it."""
    try:
        if msgspec.json.decode(data, type=_Version).format > FORMAT:
            raise NewerFormat(f"{name} was written by a newer version of tidegauge")
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"{name} is torn or not a manifest ({len(data)} bytes)") from error
    if manifest.checksum != _manifest_checksum(manifest):
        raise Damaged(f"{name} was altered (its checksum differs)")
    return manifest


def replace_durably(path: Path, data: bytes) -> None:
    """Writes `data` beside `path` and renames it there; the caller fsyncs the directory. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot; there a rename is as durable as it gets.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _open_regular(path: Path) -> tuple[int, int]:
    """Descriptor and size of a regular file. Raises Damaged if it is something else, OSError."""
    # Without O_NONBLOCK a FIFO of that name would hold the exporter for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise Damaged(f"{path.name} is no regular file")
    return descriptor, found.st_size


def _manifest_checksum(manifest: Manifest) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(msgspec.structs.replace(manifest, checksum="")))


def _write(descriptor: int, buffer: Buffer) -> int:
    view = memoryview(buffer)
    if view.nbytes == 0:
        return 0
    view = view.cast("B")
    done = 0
    while done < view.nbytes:
        done += os.write(descriptor, view[done:])
    return done
