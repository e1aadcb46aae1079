"""XXH3-64 (seed 0) of many inputs of one length at once, bit for bit what xxhash gives.

After the xxHash specification (doc/xxhash_spec.md, version 0.2.0: "XXH3 Algorithm Overview"), for 9 to 64 bytes:
identifiers are hardly ever shorter or longer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.words import word_at

Grid = NDArray[np.uint8]
Words = NDArray[np.uint64]

SHORTEST, LONGEST = 9, 64  # bytes
_ROWS = 4096  # at a time: what is worked on stays in the cache
_HALF: Final = np.uint64(32)
_LOWER: Final = np.uint64(0xFFFFFFFF)
_PRIME_1: Final = 0x9E3779B185EBCA87
_PRIME_MX: Final = np.uint64(0x165667919E3779F9)
# The default secret, as far as inputs of up to 64 bytes need it.
_SECRET: Final = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    ),
    "<u8",
)


def hash_grid(grid: Grid) -> Words:
    """The hash of each row, all of them from SHORTEST to LONGEST bytes long."""
    hashes = np.empty(len(grid), np.uint64)
    work = _short if grid.shape[1] <= 16 else _long
    for start in range(0, len(grid), _ROWS):
        hashes[start : start + _ROWS] = _avalanche(work(grid[start : start + _ROWS]))
    return hashes


def _short(grid: Grid) -> Words:
    """9 to 16 bytes, before the avalanche."""
    width = grid.shape[1]
    first = word_at(grid, 0) ^ (_SECRET[3] ^ _SECRET[4])
    last = word_at(grid, width - 8) ^ (_SECRET[5] ^ _SECRET[6])
    mixed: Words = np.uint64(width) + first.byteswap() + last + _folded(first, last)
    return mixed


def _long(grid: Grid) -> Words:
    """17 to 64 bytes, before the avalanche: 16 from each end, and 16 more from each end beyond 32."""
    width = grid.shape[1]
    total = np.full(len(grid), width * _PRIME_1 % 2**64, np.uint64)
    places = (0, width - 16) if width <= 32 else (0, width - 16, 16, width - 32)
    for number, place in enumerate(places):
        total += _folded(word_at(grid, place) ^ _SECRET[2 * number], word_at(grid, place + 8) ^ _SECRET[2 * number + 1])
    return total


def _folded(a: Words, b: Words) -> Words:
    """Both halves of the 128-bit products, the one XOR the other."""
    a_low, a_high, b_low, b_high = a & _LOWER, a >> _HALF, b & _LOWER, b >> _HALF
    crossed = a_high * b_low
    middle = (a_low * b_low >> _HALF) + (crossed & _LOWER) + a_low * b_high
    upper: Words = a_high * b_high + (crossed >> _HALF) + (middle >> _HALF)
    return upper ^ (a * b)


def _avalanche(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(37))) * _PRIME_MX
    return words ^ (words >> _HALF)
