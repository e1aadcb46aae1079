"""The recent past of a metric: its estimates for each version and stretch of prediction time, from the tally's panes.

What was computed is kept and computed again only where the sums have changed, since all but the newest panes mostly
stay as they are. One `Trends` belongs to one model's tally.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.assess.assessment import answered_rows, count
from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.estimates import settle
from tidegauge.assess.quality import metrics_for
from tidegauge.assess.sums import WindowSums, feedback_counts
from tidegauge.config.settings import DAY, Model
from tidegauge.tally.families import traffic
from tidegauge.tally.panes import Window
from tidegauge.tally.tally import Tally

MOST_POINTS = 100
LONGEST = 7 * DAY
CHUNK = 1 << 22
"""Cells of confusion matrices that are laid out at a time."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Estimates of one metric; the arrays have shape (series, stretches) and hold NaN where nothing is known."""

    start: int  # ms
    step: int  # ms
    score: Floats
    lower: Floats
    upper: Floats


class StretchSums(WindowSums):
    """Sums as metrics read them, with a row for a series in a stretch of time instead of one for a series."""

    def __init__(self, series: Integers, predictions: Integers, families: dict[str, Integers]) -> None:
        self.series = series
        self.predictions = predictions
        self._families = families

    def family(self, name: str) -> Integers | None:
        return self._families.get(name)

    def take(self, rows: Integers) -> StretchSums:
        """Some of the rows."""
        families = {name: sums[rows] for name, sums in self._families.items()}
        return StretchSums(self.series[rows], self.predictions[rows], families)

    def digests(self) -> list[int]:
        """A number for each row that changes with its sums."""
        parts = [np.ascontiguousarray(sums) for sums in (self.predictions[:, None], *self._families.values())]
        digests = []
        for row in range(len(self.series)):
            digest = xxhash.xxh3_64()
            for part in parts:
                digest.update(part[row])
            digests.append(digest.intdigest())
        return digests


class Trends:
    """Computes trends of one model and remembers the estimates of stretches that have not changed since."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], tuple[int, dict[str, tuple[float, float, float]]]] = {}

    def of(
        self,
        model: Model,
        tally: Tally,
        texts: tuple[str, ...],
        room: int,
        clock: int,
        series: Sequence[int],
        wanted: Sequence[tuple[int, str]],
    ) -> dict[tuple[int, str], Trend]:
        """Trends of the wanted (channel, metric) pairs over `recent_window`; rows are in the order of `series`."""
        window = recent_window(tally.ladder.windows)
        step = _step(window)
        found: dict[tuple[int, str], Trend] = {}
        known: dict[tuple[int, int, int], tuple[int, dict[str, tuple[float, float, float]]]] = {}
        nothing = (np.nan, np.nan, np.nan)
        for channel in sorted({number for number, _ in wanted}):
            metrics = [metric for number, metric in wanted if number == channel]
            end = (clock - model.channels[channel].maturity) // step * step
            start = end - window.width // step * step
            stretches = (end - start) // step
            keys, sums = _sums(tally, channel, start, end, step, np.array(series, dtype=np.int64))
            digests = sums.digests()
            places = [(channel, *key) for key in keys]
            stale = []
            for row, (place, digest) in enumerate(zip(places, digests, strict=True)):
                before = self._known.get(place)
                if before is not None and before[0] == digest and before[1].keys() >= set(metrics):
                    known[place] = before
                else:
                    stale.append(row)
            for row, values in _estimates(model, channel, metrics, sums, stale, texts, room):
                known[places[row]] = (digests[row], values)
            order = {number: row for row, number in enumerate(series)}
            for metric in metrics:
                table = np.full((3, len(series), stretches), np.nan)
                for place, (number, pane) in zip(places, keys, strict=True):
                    table[:, order[number], (pane - start) // step] = known[place][1].get(metric, nothing)
                found[channel, metric] = Trend(start, step, *table)
        self._known = known
        return found


def recent_window(windows: Sequence[Window]) -> Window:
    """The window whose length a trend has: the longest of at most a week, else the shortest."""
    return max((window for window in windows if window.width <= LONGEST), key=_width, default=windows[0])


def _width(window: Window) -> int:
    return window.width


def _step(window: Window) -> int:
    """Pane width, or the smallest multiple of it that gives at most MOST_POINTS stretches."""
    return window.pane * -(-window.width // (window.pane * MOST_POINTS))


def _sums(
    tally: Tally, channel: int, start: int, end: int, step: int, series: NDArray[np.int64]
) -> tuple[list[tuple[int, int]], StretchSums]:
    """((series, start of the stretch) of each row, the sums) where there were any predictions."""
    found, pane, counts = tally.stretches(traffic.NAME, start, end, step)
    chosen = np.isin(found, series)
    found, pane, counts = found[chosen], pane[chosen], counts[chosen]
    row_of = {key: row for row, key in enumerate(zip(found.tolist(), pane.tolist(), strict=True))}
    families: dict[str, Integers] = {}
    for family in tally.families:
        if channel not in family.channels or not row_of:
            continue
        theirs, panes, sums = tally.stretches(family.name, start, end, step)
        pairs = zip(theirs.tolist(), panes.tolist(), strict=True)
        rows = np.array([row_of.get(key, -1) for key in pairs], dtype=np.int64)
        if len(rows):
            aligned = np.zeros((len(row_of), sums.shape[1]), dtype=np.int64)
            aligned[rows[rows >= 0]] = sums[rows >= 0]
            families[family.name] = aligned
    return list(row_of), StretchSums(found, counts[:, 0] if len(found) else np.zeros(0, dtype=np.int64), families)


def _estimates(
    model: Model,
    channel: int,
    metrics: Sequence[str],
    sums: StretchSums,
    rows: Sequence[int],
    texts: tuple[str, ...],
    room: int,
) -> list[tuple[int, dict[str, tuple[float, float, float]]]]:
    """(row, (score, lower, upper) by metric) for these rows, so many at a time that large matrices fit."""
    about = model.channels[channel]
    functions = {metric.name: metric.value for metric in metrics_for(model.task, about.kind) if metric.name in metrics}
    done = []
    at_once = max(1, CHUNK // room**2)
    for first in range(0, len(rows), at_once):
        some = np.array(rows[first : first + at_once], dtype=np.int64)
        part = sums.take(some)
        counts = count(model, about, part, texts, room)
        answered = answered_rows(counts, feedback_counts(part, about))
        columns = {}
        for name, value in functions.items():
            settled = settle(value(counts), minimum=1, mature=part.predictions, labeled=answered)
            columns[name] = (settled.score.tolist(), settled.lower.tolist(), settled.upper.tolist())
        for position, row in enumerate(some.tolist()):
            done.append(
                (row, {name: (s[position], lo[position], up[position]) for name, (s, lo, up) in columns.items()})
            )
    return done
