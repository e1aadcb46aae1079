"""Which feature moved most: shares of the whole shift."""

from __future__ import annotations

from numpy.typing import ArrayLike

from tidegauge.assess.counts import Floats


def contributions(excess: Floats, importance: ArrayLike = 1.0) -> Floats:
    """Share (..., F) of each feature in the sum of the excess PSI (Jeffreys' divergence), times its importance.

    Negative or unknown (NaN) excess counts as 0. Importances are at least 0. All shares are 0 where nothing exceeds.
    """
    raise NotImplementedError
