"""Reads a file's content at an offset, plain or gzip'd, in bounded memory.

Both readers answer `read(offset, length)` with decompressed bytes, fewer at the end of what is there. Files are only
ever read with pread: never mapped (a truncation under a mapping kills the process), never locked.
"""

from __future__ import annotations

import os
import zlib

GZIP_MAGIC = b"\x1f\x8b"
RAW_BYTES = 1 << 18
PIECE_BYTES = 1 << 20


class PlainReader:
    """A plain file. Owns its descriptor."""

    __slots__ = ("_fd",)
    compressed = False
    broken = False

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def stat(self) -> os.stat_result:
        return os.fstat(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class GzipReader:
    """A gzip'd file of one or more members, which may grow. Owns its descriptor.

    Reading forward is incremental; reading before the last offset asked for begins again at the file's start. Memory:
    the bytes asked for last, plus one piece.
    """

    __slots__ = ("_buffer", "_fd", "_full", "_inflate", "_raw", "_start", "broken", "consumed")
    compressed = True

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rewind()

    def _rewind(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._raw = b""  # compressed bytes read and not yet inflated
        self._full = False  # zlib may hold back output because a piece was full
        self._buffer = bytearray()  # decompressed bytes from offset _start on
        self._start = 0
        self.consumed = 0  # compressed bytes read
        self.broken = False

    def read(self, offset: int, length: int) -> bytes:
        if offset < self._start:
            self._rewind()
        while True:
            surplus = min(offset - self._start, len(self._buffer))
            if surplus > 0:
                del self._buffer[:surplus]
                self._start += surplus
            if (self._start == offset and len(self._buffer) >= length) or not self._inflate_piece():
                break
        if self._start < offset:
            return b""
        return bytes(memoryview(self._buffer)[:length])

    def _inflate_piece(self) -> bool:
        """Adds one piece to the buffer; False at the end of what is there."""
        if self.broken:
            return False
        if not self._raw and not self._full:
            self._raw = os.pread(self._fd, RAW_BYTES, self.consumed)
            if not self._raw:
                return False
            self.consumed += len(self._raw)
        if self._inflate.eof:
            self._raw = self._raw.lstrip(b"\0")  # members may be padded with zeros
            self._full = False
            if not self._raw:
                return True
            self._inflate = zlib.decompressobj(wbits=31)
        before = self._inflate.copy()
        try:
            piece = self._inflate.decompress(self._raw, PIECE_BYTES)
        except zlib.error:
            self.broken = True
            self._buffer += _inflate_until_damage(before, self._raw)
            return True
        self._full = len(piece) == PIECE_BYTES
        self._raw = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        self._buffer += piece
        return True

    @property
    def complete(self) -> bool:
        """Whether what has been read ends where a member ends."""
        return self._inflate.eof and not self._raw and not self.broken

    def stat(self) -> os.stat_result:
        return os.fstat(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def _inflate_until_damage(inflate: zlib._Decompress, raw: bytes) -> bytes:
    """What can be had of a piece that fails, byte by byte: zlib gives nothing of a call that ends in an error."""
    found = bytearray()
    try:
        for index in range(len(raw)):
            found += inflate.decompress(raw[index : index + 1], PIECE_BYTES)
    except zlib.error:
        pass
    return bytes(found)


Reader = PlainReader | GzipReader


def open_reader(path: str) -> Reader:
    """Opens a regular file. The caller has seen by stat that it is one; gzip is known by its magic, not by its name."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        magic = os.pread(fd, 2, 0)
    except OSError:
        os.close(fd)
        raise
    return GzipReader(fd) if magic == GZIP_MAGIC else PlainReader(fd)


def unsupported(head: bytes) -> str | None:
    """What is wrong with a file that begins so, in words, or None."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16; write it as UTF-8"
    for magic, name in (
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
    ):
        if head.startswith(magic):
            return f"is compressed with {name}; only gzip is read"
    return None
