"""Statistical weights.

Most rows weigh 1, and their sums of w and w**2 are their number. So only the excess over 1 is kept, in columns that
stay unallocated while no row has any: sum of w = n + sum of (w - 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.family import Contribution, real
from tidegauge.tally.fixed import FixedPoint

WEIGHT = FixedPoint(lowest=-44, limbs=3)
"""Weights, their squares and their products with losses: up to 2**50 a row, to 6e-14."""


def heavy(
    weight: NDArray[np.float64], counts: NDArray[np.int64], among: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Positions in `among` of rows whose weight is not 1, with their count * (w - 1) and count * (w**2 - 1)."""
    some = np.flatnonzero(weight[among] != 1.0)
    w = weight[among[some]]
    count = counts[among[some]].astype(np.float64)
    return some, count * (w - 1.0), count * (w * w - 1.0)


def excess(rows: Rows, channel: int, among: NDArray[np.int64], column: NDArray[np.int64]) -> list[Contribution]:
    """Adds the excess of w, then of w**2, from `column` on (WEIGHT.limbs columns each)."""
    weight = rows.weights(channel)
    if weight is None:
        return []
    some, over, over2 = heavy(weight, rows.counts(), among)
    if not len(some):
        return []
    where = column[some]
    return [*real(among[some], where, over, WEIGHT), *real(among[some], where + WEIGHT.limbs, over2, WEIGHT)]
