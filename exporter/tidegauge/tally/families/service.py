"""How predictions were served: errors, and latency in bins with their moments, so that it can be winsorised later.

A mean that holds its largest values at the edge of a bin is a function of the bins below and the number above.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.family import Contribution, Family

NAME = "service"
LOWEST, HIGHEST = -14, 7
EDGES = (
    *(math.ldexp(root, octave) for octave in range(LOWEST, HIGHEST) for root in (1.0, 2.0 * math.sqrt(0.5))),
    2.0**HIGHEST,
)
"""Seconds, in half octaves from 61 microseconds to 128 seconds. Bin b holds [EDGES[b - 1], EDGES[b])."""
BINS = len(EDGES) + 1
"""The first bin begins at 0; in the last one everything is held at the last edge."""
SCALES = (EDGES[0], *EDGES)
"""Sums of x and x**2 in a bin are those of x / scale and its square, which are of the order of 1."""
BITS = 30
"""They are single integers in units of 2**-30: four thousand million predictions fit into a bin."""
ROWS, ERRORS, COUNT = range(3)
SUM, SQUARES = COUNT + BINS, COUNT + 2 * BINS
COLUMNS = COUNT + 3 * BINS
_HALF = math.sqrt(0.5)


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Primary predictions, those without an answer, then for each bin of latency its count, sum and sum of squares.

    Predictions are counted as they are logged: statistical weights are left out.
    """
    yield Family(NAME, COLUMNS, _contribution, slice_columns=0, schema=f"half octaves {LOWEST} {HIGHEST} {BITS}")


def _contribution(rows: Rows) -> list[Contribution]:
    service = rows.service
    if service is None:
        return []
    counts = rows.counts()
    primary = ~service.shadow
    served, failed = np.flatnonzero(primary), np.flatnonzero(primary & service.failed)
    contributions = [Contribution(served, ROWS, counts[served]), Contribution(failed, ERRORS, counts[failed])]
    timed = np.flatnonzero(primary & (service.latency >= 0))
    if len(timed):
        count, held = counts[timed], np.minimum(service.latency[timed], EDGES[-1])
        # In [1/2, 1) by powers of two, which is exact, so a value and the edge that it equals fall together.
        mantissa, exponent = np.frexp(held)
        place = np.clip(2 * (exponent.astype(np.int64) - 1 - LOWEST) + (mantissa >= _HALF) + 1, 0, BINS - 1)
        place[held < EDGES[0]] = 0
        scaled = held / np.array(SCALES)[place]
        contributions.append(Contribution(timed, COUNT + place, count))
        for first, power in ((SUM, scaled), (SQUARES, scaled * scaled)):
            amount = np.rint(np.ldexp(power, BITS)).astype(np.int64) * count
            contributions.append(Contribution(timed, first + place, amount))
    return contributions
