"""Assesses one model's signals: rates and means over its windows, for versions and slices.

A signal that comes as feedback is taken from mature predictions, as labels are; one that comes with the prediction from
all up to now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Estimates
from tidegauge.assess.quality.means import mean_value, rate
from tidegauge.assess.sums import WindowSums, signal_moments
from tidegauge.config.settings import Model
from tidegauge.tally.tally import Tally


@dataclass(frozen=True, slots=True)
class Proxy:
    """One signal's window (width in ms), of versions or of slices; estimates have one entry a series."""

    signal: str
    window: int
    sliced: bool
    series: NDArray[np.int64]
    estimates: Estimates


def assess_signals(model: Model, tally: Tally, clock: int, versions: NDArray[np.int64]) -> Iterator[Proxy]:
    """All windows of all signals at this clock (ms); `versions` are there even where a window has nothing of them."""
    nobody = np.zeros(0, dtype=np.int64)
    for signal in model.signals:
        value = rate if signal.type == "boolean" else mean_value
        for window in tally.ladder.windows:
            start, end = window.bounds(clock, signal.maturity)
            for sliced in (False, True) if model.slices else (False,):
                sums = WindowSums(tally, start, end, sliced=sliced, include=nobody if sliced else versions)
                if len(sums.series):
                    estimates = value(signal_moments(sums, signal))
                    yield Proxy(signal.name, window.width, sliced, sums.series, estimates)
