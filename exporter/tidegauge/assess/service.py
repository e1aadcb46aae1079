"""Errors and latency of predictions, from the sums of the service family.

Each function takes sums of shape (..., COLUMNS) and gives float64 arrays of shape (...). Equal sums give equal floats.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegauge.tally.families.service import BINS, BITS, COUNT, EDGES, ERRORS, ROWS, SCALES, SQUARES, SUM

Floats = NDArray[np.float64]


class Moments(NamedTuple):
    """How many, the sum, the sum of squares."""

    n: Floats
    s1: Floats
    s2: Floats


class Winsorised(NamedTuple):
    """The same of values held at an edge, and how many were."""

    n: Floats
    s1: Floats  # seconds
    s2: Floats
    clipped: Floats


def errors(sums: NDArray[np.int64]) -> Moments:
    """Of predictions: 1 where no answer was given, 0 where one was."""
    failed = sums[..., ERRORS].astype(np.float64)
    return Moments(sums[..., ROWS].astype(np.float64), failed, failed)


def latency(sums: NDArray[np.int64], edge: int = len(EDGES) - 1) -> Winsorised:
    """Of the latencies given, in seconds, those from EDGES[edge] on held there (Dixon 1960, winsorisation)."""
    below = edge + 1
    n = sums[..., COUNT : COUNT + BINS].sum(axis=-1)
    clipped = sums[..., COUNT + below : COUNT + BINS].sum(axis=-1)
    limit = EDGES[edge]
    scale = np.array(SCALES[:below]) * 2.0**-BITS
    # Cumulated, which adds one by one: the order of the additions never differs.
    s1 = np.cumsum(sums[..., SUM : SUM + below] * scale, axis=-1)[..., -1]
    s2 = np.cumsum(sums[..., SQUARES : SQUARES + below] * (scale * SCALES[:below]), axis=-1)[..., -1]
    held = clipped.astype(np.float64)
    return Winsorised(n.astype(np.float64), s1 + held * limit, s2 + held * (limit * limit), held)
