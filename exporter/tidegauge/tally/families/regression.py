"""Moments of a regression's errors and labels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.families.confusion import SCORED_KINDS
from tidegauge.tally.family import Contribution, Family, real
from tidegauge.tally.fixed import WIDE

LARGEST = 2.0**34
"""Numbers beyond this magnitude (1.7e10) are not measured: their fourth powers would not fit."""

PLAIN = ("e", "|e|", "e2", "e4", "p", "p2", "y", "y2", "y3", "y4", "e2y", "e2y2")
"""Terms of which sums are kept; p is |e / y| where y is not 0."""
SINGLE = ("e", "|e|", "e2", "p", "y", "y2")
"""Terms whose sums weighted by w are needed as well; all of PLAIN are needed weighted by w**2."""
ROWS, ROWS_P = 0, 1
PLAIN_COLUMNS = 2 + len(PLAIN) * WIDE.limbs
WEIGHTED = ("w", "w_p", *(f"w{term}" for term in SINGLE), "w2", "w2_p", *(f"w2{term}" for term in PLAIN))


def name(channel: str) -> str:
    return f"regression/{channel}"


def weighted_name(channel: str) -> str:
    return f"regression-weights/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Two row counts and the sums of PLAIN; for rows whose weight is not 1 the excess sums of WEIGHTED."""
    if model.task != "regression":
        return
    for number, channel in enumerate(model.channels):
        if channel.kind not in SCORED_KINDS:
            continue

        def contribution(rows: Rows, number: int = number) -> list[Contribution]:
            measured, terms, relative = row_terms(rows, number)
            count = rows.counts()[measured]
            contributions = [
                Contribution(measured, ROWS, count),
                Contribution(measured[relative], ROWS_P, count[relative]),
            ]
            for position, term in enumerate(PLAIN):
                contributions += real(measured, 2 + position * WIDE.limbs, terms[term] * count, WIDE)
            return contributions

        def weights(rows: Rows, number: int = number) -> list[Contribution]:
            weight = rows.weights(number)
            if weight is None:
                return []
            measured, terms, relative = row_terms(rows, number)
            some = np.flatnonzero(weight[measured] != 1.0)
            if not len(some):
                return []
            w, count = weight[measured[some]], rows.counts()[measured[some]]
            over, over2 = count * (w - 1.0), count * (w * w - 1.0)
            has = relative[some].astype(np.float64)
            sums = {"w": over, "w_p": over * has, "w2": over2, "w2_p": over2 * has}
            sums.update({f"w{term}": over * terms[term][some] for term in SINGLE})
            sums.update({f"w2{term}": over2 * terms[term][some] for term in PLAIN})
            contributions = []
            for position, term in enumerate(WEIGHTED):
                contributions += real(measured[some], position * WIDE.limbs, sums[term], WIDE)
            return contributions

        yield Family(name(channel.name), PLAIN_COLUMNS, contribution, channels=(number,))
        columns = len(WEIGHTED) * WIDE.limbs
        yield Family(weighted_name(channel.name), columns, weights, channels=(number,))


def row_terms(rows: Rows, channel: int) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    """Rows with an answer and a label, the terms of each, and where the relative error is defined."""
    label = rows.labels[channel]
    able = label.answered & (np.abs(rows.value) <= LARGEST) & (np.abs(label.value) <= LARGEST)
    measured = np.flatnonzero(able)
    y = label.value[measured]
    e = rows.value[measured] - y
    relative = y != 0
    p = np.zeros(len(y))
    np.divide(np.abs(e), np.abs(y), out=p, where=relative)
    p = np.minimum(p, LARGEST)
    e2, y2 = e * e, y * y
    terms = {"e": e, "|e|": np.abs(e), "e2": e2, "e4": e2 * e2, "p": p, "p2": p * p}
    terms |= {"y": y, "y2": y2, "y3": y2 * y, "y4": y2 * y2, "e2y": e2 * y, "e2y2": e2 * y2}
    return measured, terms, relative
