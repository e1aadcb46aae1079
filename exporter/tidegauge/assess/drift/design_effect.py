"""How much less rows say because units (users, entities) come back."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats, ratio

GROUPS: Final = 128
"""Hash buckets of units whose rows are counted; the multiplicity then has a relative error of sqrt(2 / 127), 13 %."""


def multiplicity(unit_counts: ArrayLike) -> Floats:
    """Rows of the unit of a row, on average (...,), at least 1; from rows by bucket of units (..., G).

    Units fall into buckets as by chance, so that with k rows a unit the rows of a bucket have the variance E k**2 and
    the mean E k, each times the units of a bucket: their ratio (the index of dispersion) is the mean of k over rows.
    """
    rows = floats(unit_counts)
    index: Floats = np.maximum(np.nan_to_num(ratio(rows.var(axis=-1, ddof=1), rows.mean(axis=-1)), nan=1.0), 1.0)
    return index


def design_effect(unit_counts: ArrayLike, icc: ArrayLike) -> Floats:
    """Variance of a share over that of as many independent rows (..., F), at least 1: 1 + (k - 1) icc (Kish 1965).

    unit_counts (..., G) rows by bucket of units; icc (F,) intraclass correlation of bin membership, in [0, 1].
    """
    within = floats(icc)
    if not within.any():  # units that do not repeat, or are alike: what their number is does not matter
        return np.ones((*np.shape(unit_counts)[:-1], *within.shape))
    effect: Floats = 1 + (multiplicity(unit_counts)[..., None] - 1) * within
    return effect
