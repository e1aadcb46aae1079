"""What a family of counts is: a fixed number of int64 columns in a cell, and a pure function from rows to what they
add.

A cell is one series (a version, or one value of one slice of a version) in one pane of prediction time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.fixed import FixedPoint


class Contribution(NamedTuple):
    """What rows add: `amount[i]` is added to `column[i]` (or to the one `column`) of the cell of row `row[i]`."""

    row: NDArray[np.int64]
    column: NDArray[np.int64] | int
    amount: NDArray[np.int64]


Contributions = Callable[[Rows], list[Contribution]]
Dense = Callable[[Rows, NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]
"""(rows, cell of each row, version of each cell) -> what the rows add to each cell, shape (cells, columns)."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family bound to a model, and to the channels whose labels it reads.

    `channels` empty: counted once, when a prediction arrives. Otherwise its counts follow every change of those
    labels. `slice_columns` is 0 where slices do not have it; where it differs from `columns`, `slice_contribution`
    says what they add. `schema` names what the columns mean (bins); counts of different schemas never add. The first
    `class_axes` axes of the columns are classes, so the columns can be laid out anew when there is room for more of
    them. A family of very many columns that each row adds to gives whole cells at once: `dense`, instead of
    contributions; it has no slices.
    """

    name: str
    columns: int
    contribution: Contributions
    channels: tuple[int, ...] = ()
    slice_columns: int = -1  # -1: as columns
    slice_contribution: Contributions | None = None
    schema: str = ""
    class_axes: int = 0
    dense: Dense | None = None

    @property
    def sliced(self) -> int:
        return self.columns if self.slice_columns < 0 else self.slice_columns


def no_contribution(rows: Rows) -> list[Contribution]:
    """Of families that are dense, or only read."""
    return []


Binder = Callable[[Model, int], Iterable[Family]]
"""(model, room for classes) -> the families that this model keeps."""


def real(
    row: NDArray[np.int64], column: int | NDArray[np.int64], number: NDArray[np.float64], form: FixedPoint
) -> list[Contribution]:
    """Contributions of one real number a row, into `form.limbs` columns from `column` on; zero digits add nothing."""
    contributions = []
    for limb, digit in enumerate(form.encode(number)):
        filled = np.count_nonzero(digit)
        if 2 * filled > len(digit):
            contributions.append(Contribution(row, column + limb, digit))
        elif filled:
            some = np.flatnonzero(digit)
            where = column + limb if isinstance(column, int) else column[some] + limb
            contributions.append(Contribution(row[some], where, digit[some]))
    return contributions
