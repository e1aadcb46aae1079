"""Signals: their values, whether they came as feedback or with the prediction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally import moments
from tidegauge.tally.families.regression import LARGEST
from tidegauge.tally.family import Family
from tidegauge.tally.fixed import UNIT, WIDE
from tidegauge.tally.weights import WEIGHT


def name(signal: str) -> str:
    return f"signal/{signal}"


def weighted_name(signal: str) -> str:
    return f"signal-weights/{signal}"


def bind(model: Model, classes: int) -> Iterable[Family]:
    """Moments of each signal's value; derived ones are counted with the prediction."""
    places = {slot.key: number for number, slot in enumerate(model.slots)}
    for signal in model.signals:
        plain, weighted = (UNIT, WEIGHT) if signal.type == "boolean" else (WIDE, WIDE)
        place = places.get(f"signal/{signal.name}")
        yield from moments.families(
            name(signal.name),
            weighted_name(signal.name),
            _derived(signal.name) if place is None else _given(place, truth=signal.type == "boolean"),
            1,
            plain,
            weighted,
            place,
            schema=" ".join((signal.type, signal.origin, signal.field, *signal.labels)),
        )


def _derived(signal: str) -> moments.Quantities:
    def quantities(rows: Rows) -> tuple[NDArray[np.int64], Sequence[NDArray[np.float64]]]:
        value = rows.signals[signal]
        measured = np.flatnonzero(np.abs(value) <= LARGEST)
        return measured, (value[measured],)

    return quantities


def _given(slot: int, *, truth: bool) -> moments.Quantities:
    def quantities(rows: Rows) -> tuple[NDArray[np.int64], Sequence[NDArray[np.float64]]]:
        label = rows.labels[slot]
        value = label.code.astype(np.float64) if truth else label.value
        measured = np.flatnonzero(label.answered & (np.abs(value) <= LARGEST))
        return measured, (value[measured],)

    return quantities
