"""Columns of vectors: lists of numbers, of any lengths."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegauge.decode.verdicts import Keep
from tidegauge.join.rows import INVALID_VECTOR, MISSING_VECTOR, NON_FINITE_VECTOR, VectorValues

MAX_DIMENSION = 4096


class VectorColumn:
    """The vectors of one feature, piece by piece: lists of finite floats, or None, or see `coercion` for the rest."""

    def __init__(self) -> None:
        self._lengths: list[int] = []
        self._pieces: list[bytes] = []

    def add(self, values: Sequence[Any]) -> None:
        """The next piece."""
        for value in values:
            length = _length(value)
            self._lengths.append(length)
            if length > 0:
                self._pieces.append(struct.pack(f"{length}d", *value))

    def finish(self, keep: Keep) -> VectorValues | None:
        """The kept rows' vectors; None if no row has anything."""
        every = np.array(self._lengths, np.int32)
        vectors = VectorValues(every, np.frombuffer(b"".join(self._pieces), np.float64))
        kept = keep.of(np.arange(len(every)))
        vectors = vectors if len(kept) == len(every) else vectors.take(kept)
        return vectors if (vectors.lengths != MISSING_VECTOR).any() else None


def _length(value: Any) -> int:
    if value is None:
        return MISSING_VECTOR
    if type(value) is list:
        return len(value) if 0 < len(value) <= MAX_DIMENSION else INVALID_VECTOR
    return NON_FINITE_VECTOR if value == np.inf else INVALID_VECTOR
