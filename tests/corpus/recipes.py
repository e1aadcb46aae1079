"""Entries of the corpus that are too large to be kept: how they are made, and what is expected of them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable

_START = b'{"prediction_id":"a","timestamp":"2024-05-01T10:00:00Z","prediction":'
Make = Callable[[], bytes]
Recipe = tuple[str, Make, str]

# (name, the lines, what each of them is)
LINES: list[Recipe] = [
    ("text-of-a-megabyte-as-label", lambda: _START + b'"' + b"x" * (1 << 20) + b'"}\n', "row"),
    ("text-of-a-megabyte-as-version", lambda: _START + b'"1","version":"' + b"\\u0000" * 170_000 + b'"}\n', "row"),
    ("text-of-a-megabyte-unused", lambda: _START + b'"1","x":"' + b"x" * (1 << 20) + b'"}\n', "row"),
    ("text-of-a-megabyte-broken-at-its-end", lambda: _START + b'"' + b"x" * (1 << 20) + b'\xff"}\n', "invalid_utf8"),
    ("score-of-a-million-digits", lambda: _START + b'"1","score":"' + b"1" * 1_000_000 + b'"}\n', "row"),
    ("weight-of-a-million-digits", lambda: _START + b'"1","weight":' + b"1" * 1_000_000 + b"}\n", "invalid_weight"),
    ("label-of-a-million-digits", lambda: _START + b"1" * 1_000_000 + b"}\n", "invalid_prediction"),
    (
        "spaces-of-a-megabyte-as-weight",
        lambda: _START + b'"1","weight":"' + b" " * (1 << 20) + b'x"}\n',
        "invalid_weight",
    ),
    ("features-a-hundred-thousand", lambda: _START + b'"1","features":{' + _members(100_000) + b"}}\n", "row"),
    ("keys-a-hundred-thousand", lambda: _START + b'"1",' + _members(100_000) + b"}\n", "row"),
    ("key-a-hundred-thousand-times", lambda: _START + b'"1"' + b',"prediction":"0"' * 100_000 + b"}\n", "row"),
    ("nested-a-million", lambda: _START + b"[" * 1_000_000 + b"\n", "invalid_json"),
    ("nested-a-million-objects", lambda: _START + b'"1","x":' + b'{"a":' * 200_000 + b"\n", "invalid_json"),
    ("fraction-of-a-megabyte", lambda: _START.replace(b"00Z", b"00." + b"7" * (1 << 20) + b"Z") + b'"1"}\n', "row"),
    ("nul-bytes-a-megabyte", lambda: bytes(1 << 20) + b"\n", "invalid_json"),
    ("blank-lines-a-million", lambda: b"\n" * 1_000_000, ""),
    ("carriage-returns-a-million", lambda: b"\r" * 1_000_000 + b"\n", ""),
]

_MODELS = b"models:\n- name: m\n  task: binary\n  feedback: {o: {maturity: 1h}}\n"

# (name, the file, how its first problem begins)
CONFIGURATIONS: list[Recipe] = [
    ("megabytes-of-comment", lambda: b"# x\n" * 1_000_000 + _MODELS, "1: found more than 1048576 bytes"),
    ("list-of-hundred-thousands", lambda: b"sources: [" + b"a," * 210_000 + b"]\n", "1: found more than 200000 values"),
    (
        "unknown-keys-five-thousand",
        lambda: b"".join(b"k%d: 1\n" % n for n in range(5000)),
        "1: k0: found an unknown key",
    ),
    ("zones-a-thousand", lambda: b"sources:\n" + b"- {predictions: x, timezone: Mars}\n" * 1000, "1: models: found"),
    ("nested-half-a-million", lambda: b"[" * 500_000, "1: found values nested too deeply"),
    (
        "indented-a-thousand",
        lambda: b"".join(b" " * n + b"a:\n" for n in range(1000)),
        "1: found values nested too deeply",
    ),
    ("key-of-half-a-megabyte", lambda: b"? " + b"x" * 500_000 + b"\n: 1\n", "1: "),
    ("text-of-half-a-megabyte", lambda: b"state: '" + b"x" * 500_000 + b"'\n", "1: "),
    ("anchors-twenty-thousand", lambda: b"".join(b"- &a%d x\n" % n for n in range(20_000)), "1: found a list"),
]


def _members(number: int) -> bytes:
    return b",".join(b'"f%d":%d' % (n, n) for n in range(number))


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


LINE = b'{"prediction_id":1}\n'


# (name, the file, outcome: lines handed out; reasons of what was dropped; what the source says of it)
FILES: list[Recipe] = [
    ("empty.jsonl", lambda: b"", "0;;"),
    ("only-newlines.jsonl", lambda: b"\n" * 1000, "1000;;"),
    ("newlines-eight-million.jsonl", lambda: b"\n" * (8 << 20), "8388608;;"),
    ("no-newline-at-the-end.jsonl", lambda: LINE * 3 + LINE[:-1], "3;;"),
    ("no-newline-at-all.jsonl", lambda: LINE[:-1], "0;;"),
    ("crlf.jsonl", lambda: LINE.replace(b"\n", b"\r\n") * 3, "3;;"),
    ("nul-bytes-before.jsonl", lambda: bytes(5000) + LINE, "1;nul_bytes;"),
    ("nul-bytes-between.jsonl", lambda: LINE + bytes(100_000) + LINE, "2;nul_bytes;"),
    ("nul-bytes-after.jsonl", lambda: LINE + bytes(5000), "1;;"),
    ("line-too-long.jsonl", lambda: LINE + b"x" * 100_000 + b"\n" + LINE, "2;line_too_long;"),
    ("line-too-long-unfinished.jsonl", lambda: LINE + b"x" * 100_000, "1;;"),
    ("utf-16.jsonl", lambda: (LINE * 3).decode().encode("utf-16"), "0;;is UTF-16; write it as UTF-8"),
    ("utf-16-big-endian.jsonl", lambda: b"\xfe\xff" + (LINE * 3).decode().encode("utf-16-be"), "0;;is UTF-16"),
    ("bzip2.jsonl", lambda: bz2.compress(LINE * 3), "0;;is compressed with bzip2; only gzip is read"),
    ("xz.jsonl", lambda: lzma.compress(LINE * 3), "0;;is compressed with xz; only gzip is read"),
    ("zstd.jsonl", lambda: b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00", "0;;is compressed with zstd; only gzip is read"),
    ("zip.jsonl", lambda: b"PK\x03\x04" + bytes(60), "0;;is compressed with zip; only gzip is read"),
    ("gzip.jsonl", lambda: _packed(LINE * 3), "3;;"),
    ("gzip-of-nothing.jsonl", lambda: _packed(b""), "0;;"),
    ("gzip-of-gzip.jsonl", lambda: _packed(_packed(LINE * 3) + b"\n"), "*;;"),
    ("gzip-no-newline-at-the-end.jsonl", lambda: _packed(LINE * 2 + LINE[:-1]), "3;;"),
    ("gzip-of-half-a-line.jsonl", lambda: _packed(LINE * 2 + LINE[:9]), "2;torn_line;"),
    ("gzip-two-members.jsonl", lambda: _packed(LINE * 2) + _packed(LINE), "3;;"),
    ("gzip-line-over-two-members.jsonl", lambda: _packed(LINE[:9]) + _packed(LINE[9:]), "1;;"),
    ("gzip-members-padded-with-nul.jsonl", lambda: _packed(LINE) + bytes(512) + _packed(LINE), "2;;"),
    ("gzip-garbage-at-the-end.jsonl", lambda: _packed(LINE * 2) + b"garbage", "2;;is damaged"),
    ("gzip-header-alone.jsonl", lambda: b"\x1f\x8b", "0;;"),
    ("gzip-broken-header.jsonl", lambda: b"\x1f\x8b\xff" + bytes(100), "0;;is damaged: gzip cannot read its beginning"),
    ("gzip-wrong-checksum.jsonl", lambda: _packed(LINE * 3)[:-8] + bytes(8), "3;;is damaged"),
    ("gzip-truncated.jsonl", lambda: _packed(_noise(3000))[:-2000], "*;*;ends in the middle of its compressed data"),
    ("gzip-flipped-bit.jsonl", lambda: _flipped(_packed(_noise(3000)), 30_000), "*;*;is damaged"),
    ("gzip-bomb-of-newlines.jsonl", lambda: _packed(b"\n" * (32 << 20)), f"{32 << 20};;"),
    ("gzip-bomb-of-nul.jsonl", lambda: _packed(bytes(64 << 20) + LINE), "1;nul_bytes;"),
    ("gzip-bomb-of-one-line.jsonl", lambda: _packed(b"x" * (64 << 20) + b"\n" + LINE), "1;line_too_long;"),
    ("gzip-members-of-nothing.jsonl", lambda: _packed(b"") * 20_000 + _packed(LINE), "1;;"),
    ("noise.jsonl", lambda: random.Random(2).randbytes(200_000), "*;*;"),
    ("bracket-pairs.jsonl", lambda: b"}{\n" * 1000, "1000;;"),
]


def _noise(lines: int) -> bytes:
    chance = random.Random(3)
    return b"".join(b'{"prediction_id":"%s"}\n' % chance.randbytes(8).hex().encode() for _ in range(lines))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
