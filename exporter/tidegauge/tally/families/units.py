"""How many predictions each of a number of groups of units made: their spread tells how often units come back.

A unit (a user, an entity) falls into one group for good; a prediction without a unit is one of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.family import Family, no_contribution

NAME = "units"
GROUPS = 128


def family() -> Family:
    """One column a group, of predictions as they are logged."""
    return Family(NAME, GROUPS, no_contribution, slice_columns=0, dense=sums)


def sums(rows: Rows, local: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows by cell and group, shape (cells, GROUPS), with the cell of each row; `versions` has one entry a cell."""
    if rows.unit is None:
        return np.zeros((len(versions), GROUPS), dtype=np.int64)
    place = local * GROUPS + (rows.unit & (GROUPS - 1))
    size = len(versions) * GROUPS
    if rows.count is None:
        made = np.bincount(place, minlength=size)
    else:
        made = np.zeros(size, dtype=np.int64)
        np.add.at(made, place, rows.count)
    return made.reshape(len(versions), GROUPS)
