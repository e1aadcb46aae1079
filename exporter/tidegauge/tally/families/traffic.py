"""Predictions made, whether or not they are ever labelled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.family import Contribution, Family

NAME = "traffic"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """One column: predictions."""
    yield Family(NAME, 1, _contribution)


def _contribution(rows: Rows) -> list[Contribution]:
    return [Contribution(np.arange(len(rows)), 0, rows.counts())]
