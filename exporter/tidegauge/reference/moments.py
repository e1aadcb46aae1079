"""Least, greatest, mean and standard deviation of numbers that come batch by batch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tidegauge.reference.value import Summary


class Moments:
    """Of one feature (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm", 1979)."""

    __slots__ = ("_greatest", "_least", "_mean", "_n", "_squares")

    def __init__(self) -> None:
        self._n = self._mean = self._squares = 0.0
        self._least, self._greatest = math.inf, -math.inf

    def add(self, values: NDArray[np.float64], counts: NDArray[np.int64] | None) -> None:
        """The next finite numbers; each stands for so many."""
        if not len(values):
            return
        weights = np.ones(len(values)) if counts is None else counts.astype(np.float64)
        n = float(weights.sum())
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.average(values, weights=weights))
            squares = float(np.dot((values - mean) ** 2, weights))
            shift, total = mean - self._mean, self._n + n
            self._squares += squares + shift * shift * self._n * n / total
            self._mean += shift * n / total
        self._n = total
        self._least = min(self._least, float(values.min()))
        self._greatest = max(self._greatest, float(values.max()))

    def summary(self) -> Summary | None:
        """None if there was no number, or numbers too large to be summed."""
        deviation = math.sqrt(self._squares / self._n) if self._n and self._squares >= 0 else math.nan
        if not math.isfinite(self._mean + deviation):
            return None
        return Summary(self._least + 0.0, self._greatest + 0.0, self._mean, deviation)
