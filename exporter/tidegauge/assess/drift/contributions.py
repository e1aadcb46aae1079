"""Which feature moved most: shares of the whole shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats, ratio


def contributions(excess: Floats, importance: ArrayLike = 1.0) -> Floats:
    """Share (..., F) of each feature in the sum of the excess PSI (Jeffreys' divergence), times its importance.

    Jeffreys' divergence of independent features is the sum of theirs, so the shares are parts of a whole. Negative
    or unknown (NaN) excess counts as 0. Importances are at least 0. All shares are 0 where nothing exceeds.
    """
    weight = np.maximum(np.nan_to_num(excess), 0.0) * floats(importance)
    share: Floats = np.nan_to_num(ratio(weight, weight.sum(axis=-1, keepdims=True)))
    return share
