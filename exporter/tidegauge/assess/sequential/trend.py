"""Slow change: the slope of daily means, whether it is more than chance, and when an objective will be missed.

Pure functions of days in order. A trend is a label for people; what wakes them is the detector. More is worse: a rising
loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats

DAYS: Final = 14  # fewer give no trend
ROWS: Final = 30  # fewer make no day
PAIRS: Final = 10  # of days in a row; fewer do not tell how days depend on each other
HIGHEST: Final = 0.95  # of a correlation
LEVEL: Final = 0.01  # of the test
CONFIDENCE: Final = 0.95  # of the slope's interval


@dataclass(frozen=True, slots=True)
class Trend:
    """A loss's slope a day with its interval, and the fitted loss at the end of the last day."""

    slope: float
    lower: float
    upper: float
    p_value: float  # of Mann and Kendall's test, two-sided
    now: float
    end_day: int  # the last day, counted since 1970
    days: int  # from the first day to the last, both included

    @property
    def significant(self) -> bool:
        """Whether the test rejects at LEVEL and the slope's interval leaves out 0."""
        return self.p_value < LEVEL and (self.lower > 0 or self.upper < 0)


@dataclass(frozen=True, slots=True)
class Breach:
    """When a loss will have reached its objective, in days since 1970; latest is None past the horizon."""

    day: float
    earliest: float
    latest: float | None


def mann_kendall(values: ArrayLike) -> tuple[float, float, float]:
    """S, its variance with ties, and the two-sided p-value with continuity correction (Mann 1945; Kendall 1975)."""
    y = floats(values)
    n = y.size
    s = float(np.sign(y[None, :] - y[:, None])[np.triu_indices(n, 1)].sum())
    ties = np.unique(y, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    z = (s - np.sign(s)) / np.sqrt(variance) if variance > 0 else 0.0
    return s, variance, float(2 * ndtr(-abs(z)))


def theil_sen(days: ArrayLike, values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Median of all slopes between two days, and its interval by Kendall's variance (Sen 1968, JASA 63:1379)."""
    x, y = floats(days), floats(values)
    first, second = np.triu_indices(x.size, 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    half = ndtri(0.5 + confidence / 2) * np.sqrt(mann_kendall(y)[1])
    below = max(int(np.round((slopes.size - half) / 2)) - 1, 0)
    above = min(int(np.round((slopes.size + half) / 2)), slopes.size - 1)
    return float(np.median(slopes)), float(slopes[below]), float(slopes[above])


def lag_one(days: Floats, values: Floats) -> tuple[float, int]:
    """Correlation of a day's residual from the Theil-Sen line with the next day's, and how many pairs there are.

    Corrected for the bias that fitting a line brings, about -(2 + 4 r) / n (Kendall 1954, Biometrika 41:403;
    Hamed 2009, J. Hydrol. 368:143).
    """
    slope = theil_sen(days, values)[0]
    left = values - slope * days
    left = left - left.mean()
    pairs = np.flatnonzero(np.diff(days) == 1)
    square = float((left**2).mean())
    if not pairs.size or square <= 0:
        return 0.0, pairs.size
    raw = float((left[pairs] * left[pairs + 1]).mean()) / square
    n = values.size
    return float(np.clip((n * raw + 2) / (n - 4), -HIGHEST, HIGHEST)), pairs.size


def trend(days: ArrayLike, n: ArrayLike, s1: ArrayLike) -> Trend | None:
    """The trend of the daily means s1 / n of whole days, numbers ascending.

    None below DAYS days of ROWS rows or PAIRS pairs of days in a row. Slope, interval and test are those of the
    pre-whitened series y(t) - r y(t - 1), whose slope is 1 - r times that of y (von Storch 1995). r is the residuals'
    correlation from day to day plus one standard error, not below 0: a test of whether there is any misses much of it
    in a few weeks, and noise that remembers then passes for a trend.
    """
    size = floats(n)
    enough = size >= ROWS
    x, y = floats(days)[enough], floats(s1)[enough] / size[enough]
    if x.size < DAYS:
        return None
    estimate, pairs = lag_one(x, y)
    if pairs < PAIRS:
        return None
    r = min(max(estimate + 1 / float(np.sqrt(x.size)), 0.0), HIGHEST)  # no numpy's: a Trend is saved as JSON
    follows = np.flatnonzero(np.diff(x) == 1) + 1
    times, series, shrink = x[follows], y[follows] - r * y[follows - 1], 1 - r
    slope, lower, upper = (value / shrink for value in theil_sen(times, series))
    now = float(np.median(y - slope * x)) + slope * (float(x[-1]) + 1)
    return Trend(slope, lower, upper, mann_kendall(series)[2], now, int(x[-1]), int(x[-1] - x[0]) + 1)


def breach(found: Trend, objective: float) -> Breach | None:
    """When a rising loss will exceed its objective; None without a significant rise, once it has, or too far off.

    The line is followed no further ahead than the history is long. Earliest and latest are those of the slope's ends.
    """
    if not found.significant or found.slope <= 0 or found.now >= objective:
        return None
    today = found.end_day + 1
    gap = objective - found.now
    day, earliest, latest = (gap / slope for slope in (found.slope, found.upper, found.lower))
    if day > found.days:
        return None
    return Breach(today + day, today + earliest, today + latest if latest <= found.days else None)
