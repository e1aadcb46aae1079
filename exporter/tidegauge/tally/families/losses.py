"""Losses of probabilities: Brier and logarithmic, with what their intervals need."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import CLASSIFICATION, Model
from tidegauge.join.rows import Rows
from tidegauge.tally import moments
from tidegauge.tally.families.confusion import SCORED_KINDS
from tidegauge.tally.family import Family
from tidegauge.tally.fixed import UNIT
from tidegauge.tally.weights import WEIGHT

LOSSES = ("brier", "log_loss")
CLIP = 1e-15
"""A probability of exactly 0 or 1 that is wrong would cost infinitely much; scikit-learn clips in the same spirit."""
SQUARES = 2.0**48


def name(channel: str) -> str:
    return f"losses/{channel}"


def weighted_name(channel: str) -> str:
    return f"losses-weights/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """For each scored channel of a classifier."""
    if model.task not in CLASSIFICATION:
        return
    for number, channel in enumerate(model.channels):
        if channel.kind not in SCORED_KINDS:
            continue

        yield from moments.families(
            name(channel.name),
            weighted_name(channel.name),
            partial(row_losses, channel=number),
            len(LOSSES),
            UNIT,
            WEIGHT,
            number,
        )


def row_losses(rows: Rows, channel: int) -> tuple[NDArray[np.int64], tuple[NDArray[np.float64], ...]]:
    """Rows with a label and a usable probability, and their losses.

    Binary: (p - y)**2 and -log of the probability of what happened. Multiclass: the sum over classes of (p_k -
    y_k)**2 and -log of the probability of the class that happened; probabilities are taken as logged.
    """
    label = rows.labels[channel]
    if rows.vectors is None:
        scored = np.flatnonzero(label.answered & (rows.score >= 0) & (rows.score <= 1))
        score = rows.score[scored]
        happened = np.where(label.code[scored] == 1, score, 1.0 - score)
        return scored, ((1.0 - happened) ** 2, -np.log(np.maximum(happened, CLIP)))
    probability = rows.vectors.probability
    scored = np.flatnonzero(label.answered & rows.vectors.given)
    code = label.code[scored].astype(np.int64)
    known = code < probability.shape[1]
    happened = np.where(known, probability[scored, np.minimum(code, probability.shape[1] - 1)], 0.0)
    # In whole steps, whose sum depends neither on the order of the classes nor on how many are known.
    squares = np.rint(probability[scored] ** 2 * SQUARES).sum(axis=1) / SQUARES
    brier = squares - 2.0 * happened + 1.0
    return scored, (brier, -np.log(np.maximum(happened, CLIP)))
