"""Columns of vectors: lists of numbers, all of one length."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.verdicts import Keep
from tidegauge.join.rows import INVALID_NUMBER

MAX_DIMENSION = 4096
_MISSING, _INVALID, _NOT_FINITE = -1, -2, -3  # in place of a length


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

    def finish(self, keep: Keep) -> NDArray[np.float64] | None:
        """The kept rows' vectors, as long as the first of them; None if no row has anything.

        A row of NaN: no vector. INVALID_NUMBER in front: none of this length, or no list of numbers. Infinity in
        front: one of its numbers is not finite.
        """
        every = np.array(self._lengths, np.int64)
        stops = np.cumsum(np.maximum(every, 0))
        length, stop = keep.of(every), keep.of(stops)
        given = length[length > 0]
        if not (length != _MISSING).any():
            return None
        dimension = int(given[0]) if len(given) else 1
        vectors = np.full((len(length), dimension), np.nan)
        right = length == dimension
        flat = np.frombuffer(b"".join(self._pieces), np.float64)
        if len(flat) == vectors.size and right.all():
            vectors[:] = flat.reshape(vectors.shape)
        elif len(flat):
            vectors[right] = flat[stop[right, None] + np.arange(-dimension, 0)]
        vectors[(length == _INVALID) | ((length > 0) & ~right), 0] = INVALID_NUMBER
        vectors[length == _NOT_FINITE, 0] = np.inf
        return vectors


def _length(value: Any) -> int:
    if value is None:
        return _MISSING
    if type(value) is list:
        return len(value) if 0 < len(value) <= MAX_DIMENSION else _INVALID
    return _NOT_FINITE if value == np.inf else _INVALID
