"""How well rankings were: NDCG, reciprocal rank and whether there was a hit, of each labelled one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally import moments
from tidegauge.tally.families.confusion import SCORED_KINDS
from tidegauge.tally.family import Family
from tidegauge.tally.fixed import UNIT
from tidegauge.tally.weights import WEIGHT

QUANTITIES = ("ndcg", "mrr", "hit_rate")


def name(channel: str) -> str:
    return f"ranking/{channel}"


def weighted_name(channel: str) -> str:
    return f"ranking-weights/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Moments of QUANTITIES for each scored channel."""
    if model.task != "ranking":
        return
    for number, channel in enumerate(model.channels):
        if channel.kind in SCORED_KINDS:
            yield from moments.families(
                name(channel.name),
                weighted_name(channel.name),
                partial(quantities, channel=number),
                len(QUANTITIES),
                UNIT,
                WEIGHT,
                number,
            )


def quantities(rows: Rows, channel: int) -> tuple[NDArray[np.int64], Sequence[NDArray[np.float64]]]:
    label = rows.labels[channel]
    assert label.measures is not None
    measured = np.flatnonzero(label.answered & ~np.isnan(label.measures[:, 0]))
    ndcg, reciprocal = label.measures[measured].T
    return measured, (ndcg, reciprocal, (reciprocal > 0).astype(np.float64))
