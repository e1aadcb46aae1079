"""Prediction and unit ids as 64-bit keys: XXH3-64 (seed 0) of the canonical text in UTF-8.

A key depends on nothing but the id, so it is the same in every process, block and file. The empty text is no id: its
key is 0, and no other id's is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.decode.text import Scalar, canonical_text
from tidegauge.decode.words import grid_of
from tidegauge.decode.xxh3 import LONGEST, SHORTEST, hash_grid

_ENOUGH = 256  # ids for which hashing them as arrays pays
_OF_NOTHING: Final = np.uint64(xxhash.xxh3_64_intdigest(b""))


def identifier_text(identifier: Scalar) -> str:
    """The id's canonical text. Raises ValueError if it cannot be an id (a boolean, a number that is no integer)."""
    if isinstance(identifier, bool) or (isinstance(identifier, float) and not identifier.is_integer()):
        raise ValueError("an id is a string or an integer")
    return canonical_text(identifier)


def hash_ids(identifiers: Sequence[Scalar]) -> NDArray[np.uint64]:
    """The keys of ids. Raises ValueError if one of them cannot be an id."""
    return settle_keys(hash_texts([identifier_text(identifier) for identifier in identifiers]))


def hash_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The bare hashes of canonical texts, for `settle_keys`. Raises TypeError if one is no text."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, map(str.encode, texts)), np.uint64, len(texts))


def hash_joined(joined: bytes, n: int) -> NDArray[np.uint64]:
    """The same of `n` >= 1 texts in UTF-8, joined by newlines, none of which holds one."""
    grid = grid_of(joined, n) if n >= _ENOUGH else None
    if grid is not None and SHORTEST <= grid.shape[1] <= LONGEST:
        return hash_grid(grid)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, joined.split(b"\n")), np.uint64, n)


def settle_keys(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The keys of these hashes, in place: 0 is kept for no id."""
    hashes[hashes == 0] = 1
    hashes[hashes == _OF_NOTHING] = 0
    return hashes
