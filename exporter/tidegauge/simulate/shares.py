"""Curves and shares, as arrays: pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.simulate.scenario import Curve

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def at(curve: Curve, progress: Floats) -> Floats:
    """The curve's value at each progress (n,)."""
    return np.interp(progress, [x for x, _ in curve], [y for _, y in curve])


def choose(place: Floats, weights: Floats) -> Integers:
    """One column index for each row of `weights` (n, k): where `place` (n, 0 to 1) falls in them laid end to end."""
    edges = np.cumsum(weights, axis=1)
    chosen: Integers = ((place * edges[:, -1])[:, None] >= edges[:, :-1]).sum(axis=1)
    return chosen
