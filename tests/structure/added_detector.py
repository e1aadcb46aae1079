"""A new detector: how many sealed blocks there were, and the most wrong answers in one of them."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.detectors.detector import Context, Detector, Published, Reading, State, View
from tidegauge.tally.blocks import SealedBlock
from tidegauge.tally.families import confusion


def advance(state: State, block: SealedBlock, context: Context) -> State:
    worst, blocks = state["worst"], state["blocks"]
    if confusion.name(context.channel.name) in block.counts:
        series, sums = block.counts[confusion.name(context.channel.name)]
        _, key, _ = context.split(series)
        cells = sums[key < 0].sum(axis=0).reshape(context.room, context.room)
        worst = max(worst, int(cells.sum() - np.trace(cells)))
        blocks += 1
    return {"worst": worst, "blocks": blocks}


def readings(state: State, view: View) -> list[Reading]:
    return [Reading("model_worst_block", (), state["worst"]), Reading("model_labelled_blocks", (), state["blocks"])]


DETECTOR = Detector(
    "worst-block",
    lambda: {"worst": 0, "blocks": 0},
    advance,
    readings,
    families=(
        Published("model_worst_block", "gauge", "Most wrong answers in one sealed block.", ("model", "channel")),
        Published("model_labelled_blocks", "gauge", "Sealed blocks with labels.", ("model", "channel")),
    ),
)
