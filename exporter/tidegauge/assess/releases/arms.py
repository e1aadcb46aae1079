"""One measure of one version in a sealed block, as comparisons take it: from the sums, or from the rows.

Rows are needed where losses are held at a cap that the sums do not know, and where rows of one unit are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegauge.assess.counts import Floats
from tidegauge.assess.measures.measure import BlockSums, LossSums, Measure, pseudo_losses
from tidegauge.assess.numeric import floats
from tidegauge.assess.sequential.clusters import BUCKETS
from tidegauge.assess.sequential.comparison import Arm
from tidegauge.join.rows import Rows

NO_ROWS = Arm(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Side:
    """A version's rows in a block: sums, how many losses were held at the cap, and by unit bucket rows and losses."""

    arm: Arm
    clipped: float = 0.0
    bucket_n: Floats | None = None  # (BUCKETS,)
    bucket_s1: Floats | None = None


def of_sums(measure: Measure, sums: LossSums | None, block: BlockSums, series: int, cap: float) -> Side:
    """The version whose series this is, from the block's sums; `sums` are the measure's own."""
    clipped = None
    if measure.capped is not None and np.isfinite(cap):
        capped = measure.capped(block, cap)
        sums, clipped = (None, None) if capped is None else (capped.sums, capped.clipped)
    if sums is None:
        return Side(NO_ROWS)
    place = int(np.searchsorted(sums.series, series))
    if place >= len(sums.series) or sums.series[place] != series:
        return Side(NO_ROWS)
    arm = Arm(float(sums.n[place]), float(sums.total[place]), float(sums.squares[place]))
    return Side(arm, 0.0 if clipped is None else float(clipped[place]))


def of_rows(measure: Measure, rows: Rows, slot: int, version: int, cap: float) -> Side:
    """The version of this code, from the rows of the block in their order; the slot's weights count.

    Sums are those of as many equal rows as would tell as much (see `measures.measure`).
    """
    assert measure.rows is not None
    found = measure.rows(rows)
    own = rows.version[found.index] == version
    index, loss = found.index[own], found.loss[own]
    if not len(index):
        nobody = np.zeros(BUCKETS)
        return Side(NO_ROWS, 0.0, nobody, nobody)
    count = rows.counts()[index].astype(np.float64)
    # What the sample of the join leaves out is made up for even where weights do not count.
    weights = rows.rate if found.logged else rows.weights(slot)
    w = np.ones(len(index)) if weights is None else weights[index].astype(np.float64)
    if found.length is not None:
        loss = pseudo_losses(loss, found.length[own], count * w)
    held = loss > cap
    loss = np.where(held, cap, loss) if held.any() else loss
    total, squares = float((count * w).sum()), float((count * w * w).sum())
    scale = total / squares if squares > 0 else 0.0
    unit = np.zeros(len(index), dtype=np.uint8) if rows.unit is None else rows.unit[index]
    arm = Arm(
        scale * total,
        scale * float((count * w * loss).sum()),
        scale * total * float((count * w * w * loss * loss).sum()) / squares if squares > 0 else 0.0,
    )
    return Side(
        arm,
        scale * float((count * w)[held].sum()),
        floats(scale * np.bincount(unit, weights=count * w, minlength=BUCKETS)),
        floats(scale * np.bincount(unit, weights=count * w * loss, minlength=BUCKETS)),
    )
