"""Prediction and unit ids as 64-bit keys: XXH64 (seed 0) of the canonical text in UTF-8, with 0 moved to 1.

A key depends on nothing but the id, so it is the same in every process, block and file. The empty text is no id, and its
key is 0. Columns of ids of one length are hashed as arrays; the rest one at a time by the xxhash library, to the same
keys.
Source: xxHash specification, "XXH64 algorithm description" (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.decode.text import Scalar, canonical_text

Words = NDArray[np.uint64]

_P1, _P2, _P3, _P4, _P5 = (
    np.uint64(p)
    for p in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)
_LANES: Final = np.array([[_wrapped] for _wrapped in (0x60EA27EEADC0B5D6, int(_P2), 0, 0x61C8864E7A143579)], np.uint64)
_LANE_BITS: Final = np.array([[1], [7], [12], [18]], np.uint64)
_FEW = 32  # below this many ids the array form costs more than it saves


def hash_id(identifier: Scalar) -> int:
    """The key of one id. Raises ValueError if it cannot be one (a boolean, a number that is no integer)."""
    return _key(identifier_text(identifier).encode())


def identifier_text(identifier: Scalar) -> str:
    """The id's canonical text. Raises ValueError if it cannot be an id."""
    if isinstance(identifier, bool) or (isinstance(identifier, float) and not identifier.is_integer()):
        raise ValueError("an id is a string or an integer")
    return canonical_text(identifier)


def hash_ids(identifiers: Sequence[str | int | float]) -> NDArray[np.uint64]:
    """The keys of many ids. Raises ValueError if one of them cannot be an id."""
    return hash_texts([identifier_text(identifier) for identifier in identifiers])


def hash_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The keys of many canonical texts."""
    return np.array([_key(text.encode()) for text in texts], np.uint64)


def hash_joined(joined: bytes, n: int) -> NDArray[np.uint64]:
    """The keys of `n` >= 1 texts joined by newlines, none of which holds one."""
    width = joined.find(b"\n")
    if n >= _FEW and width > 0 and len(joined) == n * (width + 1) - 1:
        grid = np.frombuffer(joined + b"\n", np.uint8).reshape(n, width + 1)
        # n - 1 newlines are known to exist: with one at the end of each row there is none elsewhere
        if bool((grid[:, width] == 10).all()):
            return _hash_grid(grid[:, :width])
    return np.array([_key(text) for text in joined.split(b"\n")], np.uint64)


def _key(text: bytes) -> int:
    return (xxhash.xxh64_intdigest(text) or 1) if text else 0


def _hash_grid(grid: NDArray[np.uint8]) -> Words:
    """XXH64 of each row."""
    n, length = grid.shape
    eighths = length // 8
    words = np.empty((eighths, n), np.uint64)
    for number in range(eighths):
        words[number] = grid[:, number * 8 : number * 8 + 8].copy().view("<u8")[:, 0]
    stripes = length // 32
    if stripes:
        lanes = np.repeat(_LANES, n, axis=1)
        for stripe in range(stripes):
            lanes += words[stripe * 4 : stripe * 4 + 4] * _P2
            _rotate(lanes, np.uint64(31))
            lanes *= _P1
        merged = _rounded(lanes)
        _rotate(lanes, _LANE_BITS)
        state: Words = lanes.sum(axis=0, dtype=np.uint64)
        for lane in merged:
            state ^= lane
            state *= _P1
            state += _P4
    else:
        state = np.full(n, _P5, np.uint64)
    state += np.uint64(length)
    for word in words[stripes * 4 :]:
        state ^= _rounded(word)
        _rotate(state, np.uint64(27))
        state *= _P1
        state += _P4
    at = eighths * 8
    if length - at >= 4:
        state ^= grid[:, at : at + 4].copy().view("<u4")[:, 0] * _P1
        _rotate(state, np.uint64(23))
        state *= _P2
        state += _P3
        at += 4
    for column in range(at, length):
        state ^= grid[:, column] * _P5
        _rotate(state, np.uint64(11))
        state *= _P1
    state ^= state >> np.uint64(33)
    state *= _P2
    state ^= state >> np.uint64(29)
    state *= _P3
    state ^= state >> np.uint64(32)
    state[state == 0] = 1
    return state


def _rotate(words: Words, bits: np.uint64 | Words) -> None:
    low = words >> (np.uint64(64) - bits)
    words <<= bits
    words |= low


def _rounded(word: Words) -> Words:
    mixed = word * _P2
    _rotate(mixed, np.uint64(31))
    mixed *= _P1
    return mixed
