"""Families of moments: sums of a few quantities a row and of their squares, from which means and intervals are made.

The plain family holds the number of rows, then for each quantity q the sums of q and of q**2. For rows whose weight is
not 1 a second family holds the excess of w and w**2, then for each quantity that of w*q, w**2*q and w**2*q**2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.family import Contribution, Family, real
from tidegauge.tally.fixed import FixedPoint
from tidegauge.tally.weights import heavy

Quantities = Callable[[Rows], tuple[NDArray[np.int64], Sequence[NDArray[np.float64]]]]
"""rows -> (positions of those measured, their quantities)."""


def families(
    name: str,
    weighted_name: str,
    quantities: Quantities,
    number: int,
    plain: FixedPoint,
    weighted: FixedPoint,
    slot: int | None,
    schema: str = "",
) -> Iterable[Family]:
    """Both families of `number` quantities, as integers of these formats; they read the labels of one slot, or none.

    `schema` names what the quantities are, where the same name may come to mean something else.
    """
    channels = () if slot is None else (slot,)

    def contribution(rows: Rows) -> list[Contribution]:
        measured, values = quantities(rows)
        count = rows.counts()[measured]
        contributions = [Contribution(measured, 0, count)]
        column = 1
        for value in values:
            for power in (value, value * value):
                contributions += real(measured, column, power * count, plain)
                column += plain.limbs
        return contributions

    def excess(rows: Rows) -> list[Contribution]:
        weight = rows.weight if slot is None else rows.weights(slot)
        if weight is None:
            return []
        measured, values = quantities(rows)
        some, over, over2 = heavy(weight, rows.counts(), measured)
        if not len(some):
            return []
        terms = [over, over2]
        for value in values:
            q = value[some]
            terms += [over * q, over2 * q, over2 * q * q]
        contributions = []
        for position, term in enumerate(terms):
            contributions += real(measured[some], position * weighted.limbs, term, weighted)
        return contributions

    yield Family(name, plain_columns(number, plain), contribution, channels=channels, schema=schema)
    columns = weighted_terms(number) * weighted.limbs
    yield Family(weighted_name, columns, excess, channels=channels, schema=schema)


def plain_columns(number: int, form: FixedPoint) -> int:
    """Columns of the plain family."""
    return 1 + 2 * number * form.limbs


def weighted_terms(number: int) -> int:
    """Sums that the second family holds."""
    return 2 + 3 * number
