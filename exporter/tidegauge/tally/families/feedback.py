"""Labels that hold, and labels that say "wrong", of each channel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tidegauge.config.settings import Model
from tidegauge.join.measures import is_wrong
from tidegauge.join.rows import NONE, Rows
from tidegauge.tally.family import Contribution, Family

LABELED, BAD = range(2)


def name(channel: str) -> str:
    return f"feedback/{channel}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Two columns: predictions with a label, and those among them whose answer it contradicts.

    Predictions outside the hash sample are made up for by the sampling rate, a power of two, so the counts stay whole.
    """
    for number, channel in enumerate(model.channels):

        def contribution(rows: Rows, number: int = number, task: str = model.task) -> list[Contribution]:
            label = rows.labels[number]
            given = np.flatnonzero(label.present)
            amount = rows.counts()[given]
            if rows.rate is not None:
                amount = amount * rows.rate[given]
            contributions = [Contribution(given, LABELED, amount)]
            measures = label.measures
            if measures is not None:
                bad = is_wrong(task, measures[given])
            elif task == "regression":
                bad = (rows.value[given] != label.value[given]) & ~np.isnan(rows.value[given])
            else:
                bad = (rows.predicted[given] != label.code[given]) & (rows.predicted[given] != NONE)
            contributions.append(Contribution(given[bad], BAD, amount[bad]))
            return contributions

        yield Family(name(channel.name), 2, contribution, channels=(number,))
