"""e-BH: which of many streams have changed, when all their evidence is looked at together.

Pure functions of arrays. Nothing is assumed about how the streams depend on each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats


def e_bh(evidence: ArrayLike, level: float) -> NDArray[np.bool_]:
    """The e-values (shape (K,)) that are rejected: the k largest, k the most for which the k-th is >= K / (level * k).

    The false discovery rate is at most level under any dependence (Wang and Ramdas 2022, JRSS B 84:822).
    """
    values = floats(evidence)
    return values >= floor(values, level)


def floor(evidence: ArrayLike, level: float) -> float:
    """What an e-value among these has to reach: K / (level * max(k, 1)), with K values, k of them rejected."""
    values: Floats = np.sort(floats(evidence))[::-1]
    ranks = np.arange(1, values.size + 1)
    passed = np.flatnonzero(values * ranks * level >= values.size)
    return float(max(values.size, 1) / (level * (passed[-1] + 1 if passed.size else 1)))
