"""Sums of random Fourier features of what is watched as vectors: see `tally.features.embedding`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.family import Dense, Family, no_contribution
from tidegauge.tally.features.embedding import VectorCounter
from tidegauge.tally.features.vectors import Vector

BLOCK = 8192
"""Rows whose vectors are laid out at once."""


def name_of(feature: str) -> str:
    """The family's name."""
    return f"vectors/{feature}"


def family(vector: Vector, counter: VectorCounter) -> Family:
    """The columns of the projection, not of slices."""
    columns, sums = vector.projection.columns, sums_of(vector, counter)
    return Family(name_of(vector.name), columns, no_contribution, slice_columns=0, schema=vector.id, dense=sums)


def sums_of(vector: Vector, counter: VectorCounter) -> Dense:
    """What gives the sums of rows by cell, each row as often as its `count` says."""

    def sums(rows: Rows, local: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.int64]:
        total = np.zeros((len(versions), vector.projection.columns), dtype=np.int64)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, min(start + BLOCK, len(rows)))
            values = None if rows.features is None else rows.features.part(block)
            vectors = vector.of(values, block.stop - start)
            counts = None if rows.count is None else rows.count[block]
            total += counter.accumulate(vectors, local[block], len(versions), counts)
        return total

    return sums
