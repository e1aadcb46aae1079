"""Score histograms by outcome: what ROC AUC, average precision and calibration are computed from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import CLASSIFICATION, Model
from tidegauge.join.rows import NONE, Rows
from tidegauge.tally.families.confusion import SCORED_KINDS
from tidegauge.tally.family import Contribution, Family, real
from tidegauge.tally.fixed import PROBABILITY_BITS
from tidegauge.tally.weights import WEIGHT, heavy

BINS = 300
"""Equal-width bins for a whole version: ROC AUC is then known to about 0.002."""
SLICE_BINS = 30
"""Slices are many; their AUC is known to about 0.02."""
PER_BIN = 3
"""Negatives, positives, sum of scores."""


def name(channel: str) -> str:
    return f"scores/{channel}"


def weighted_name(channel: str) -> str:
    return f"scores-weights/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Three columns a bin, and three weighted terms a bin for rows whose weight is not 1."""
    if model.task not in CLASSIFICATION:
        return
    for number, channel in enumerate(model.channels):
        if channel.kind not in SCORED_KINDS:
            continue

        def contribution(rows: Rows, bins: int = BINS, number: int = number) -> list[Contribution]:
            scored, score, positive, bin_ = binned(rows, number, bins)
            count = rows.counts()[scored]
            total = np.rint(score * 2.0**PROBABILITY_BITS).astype(np.int64) * count
            return [
                Contribution(scored, bin_ * PER_BIN + positive, count),
                Contribution(scored, bin_ * PER_BIN + 2, total),
            ]

        def weights(rows: Rows, bins: int = BINS, number: int = number) -> list[Contribution]:
            weight = rows.weights(number)
            if weight is None:
                return []
            scored, score, positive, bin_ = binned(rows, number, bins)
            some, over, _ = heavy(weight, rows.counts(), scored)
            if not len(some):
                return []
            first = bin_[some] * PER_BIN * WEIGHT.limbs
            # The plain sum holds rounded scores; weights below 1 would take away more than it has.
            rounded = np.rint(score[some] * 2.0**PROBABILITY_BITS) * 2.0**-PROBABILITY_BITS
            return [
                *real(scored[some], first + positive[some] * WEIGHT.limbs, over, WEIGHT),
                *real(scored[some], first + 2 * WEIGHT.limbs, over * rounded, WEIGHT),
            ]

        yield Family(
            name(channel.name),
            BINS * PER_BIN,
            contribution,
            channels=(number,),
            slice_columns=SLICE_BINS * PER_BIN,
            slice_contribution=partial(contribution, bins=SLICE_BINS),
            schema=f"{BINS} and {SLICE_BINS} equal bins",
        )
        yield Family(
            weighted_name(channel.name),
            BINS * PER_BIN * WEIGHT.limbs,
            weights,
            channels=(number,),
            slice_columns=SLICE_BINS * PER_BIN * WEIGHT.limbs,
            slice_contribution=partial(weights, bins=SLICE_BINS),
            schema=f"{BINS} and {SLICE_BINS} equal bins",
        )


def bin_of(score: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bin of each score in [0, 1]; the last bin is closed."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)


def binned(
    rows: Rows, channel: int, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows with a label and a score: their positions, scores, outcomes (1 positive) and bins.

    Multiclass rows are scored by the probability of the class they answered, and positive where that was right.
    """
    label = rows.labels[channel]
    if rows.vectors is None:
        scored = np.flatnonzero(label.answered & (rows.score >= 0) & (rows.score <= 1))
        score = rows.score[scored]
        positive = (label.code[scored] == 1).astype(np.int64)
    else:
        probability = rows.vectors.probability
        able = label.answered & rows.vectors.given & (rows.predicted != NONE)
        scored = np.flatnonzero(able & (rows.predicted < probability.shape[1]))
        answer = rows.predicted[scored].astype(np.int64)
        score = np.clip(probability[scored, answer], 0.0, 1.0)
        positive = (label.code[scored] == answer).astype(np.int64)
    return scored, score, positive, bin_of(score, bins)
