"""The families of counts that are kept. A new one is a file here and a line in FAMILIES."""

from __future__ import annotations

from tidegauge.tally.families import (
    classes,
    confusion,
    feedback,
    losses,
    ranking,
    regression,
    scores,
    service,
    signals,
    text,
    traffic,
)
from tidegauge.tally.family import Binder

FAMILIES: tuple[Binder, ...] = (
    traffic.bind,
    service.bind,
    feedback.bind,
    confusion.bind,
    losses.bind,
    scores.bind,
    classes.bind,
    regression.bind,
    ranking.bind,
    text.bind,
    signals.bind,
)
