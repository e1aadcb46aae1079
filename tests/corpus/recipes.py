"""Entries of the corpus that are too large to be kept: how they are made, and what is expected of them."""

from __future__ import annotations

from collections.abc import Callable

_START = b'{"prediction_id":"a","timestamp":"2024-05-01T10:00:00Z","prediction":'
Recipe = tuple[str, Callable[[], bytes], str]

# (name, the lines, what each of them is)
LINES: list[Recipe] = [
    ("text-of-a-megabyte-as-label", lambda: _START + b'"' + b"x" * (1 << 20) + b'"}\n', "row"),
    ("text-of-a-megabyte-as-version", lambda: _START + b'"1","version":"' + b"\\u0000" * 170_000 + b'"}\n', "row"),
    ("text-of-a-megabyte-unused", lambda: _START + b'"1","x":"' + b"x" * (1 << 20) + b'"}\n', "row"),
    ("text-of-a-megabyte-broken-at-its-end", lambda: _START + b'"' + b"x" * (1 << 20) + b'\xff"}\n', "invalid_utf8"),
    ("score-of-a-million-digits", lambda: _START + b'"1","score":"' + b"1" * 1_000_000 + b'"}\n', "row"),
    ("weight-of-a-million-digits", lambda: _START + b'"1","weight":' + b"1" * 1_000_000 + b"}\n", "invalid_weight"),
    ("label-of-a-million-digits", lambda: _START + b"1" * 1_000_000 + b"}\n", "invalid_prediction"),
    ("spaces-of-a-megabyte-as-weight", lambda: _START + b'"1","weight":"' + b" " * (1 << 20) + b'x"}\n', "invalid_weight"),
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


def _members(number: int) -> bytes:
    return b",".join(b'"f%d":%d' % (n, n) for n in range(number))
