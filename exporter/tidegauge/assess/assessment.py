"""Assesses one model: every window of every channel, for versions, slices and classes.

Reads sums and gives plain values by their codes; it knows nothing of files, HTTP or metric families.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import (
    ClassificationCounts,
    Estimates,
    FeedbackCounts,
    RankingCounts,
    RegressionCounts,
    TextCounts,
)
from tidegauge.assess.estimates import settle
from tidegauge.assess.quality import Counts, constant_baseline, metrics_for, per_class
from tidegauge.assess.sums import (
    WindowSums,
    classification_counts,
    feedback_counts,
    ranking_counts,
    regression_counts,
    text_counts,
)
from tidegauge.config.settings import Channel, Model
from tidegauge.tally.panes import FOREVER
from tidegauge.tally.tally import Tally

LIFETIME = 0
"""Width of the window that holds everything since the state began."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """One channel's window (width in ms, LIFETIME for all time), of versions or of slices; arrays over `series`."""

    channel: int
    window: int
    sliced: bool
    series: NDArray[np.int64]
    mature: NDArray[np.int64]  # predictions in the window
    labeled: NDArray[np.float64]
    estimates: dict[str, Estimates]  # by metric, shape (S,)
    constant: dict[str, NDArray[np.float64]]  # by metric, (S,): what the best constant answer would have had
    by_class: dict[str, Estimates]  # by metric, shape (S, K)
    counts: Counts


@dataclass(frozen=True, slots=True)
class Traffic:
    """Predictions in the window that ends now, mature or not."""

    window: int
    series: NDArray[np.int64]
    predictions: NDArray[np.int64]


def assess(
    model: Model, tally: Tally, texts: tuple[str, ...], room: int, clock: int, versions: NDArray[np.int64]
) -> Iterator[Assessment]:
    """All windows of all channels at this clock (ms).

    `texts` are the classes by code, `room` what the tally is laid out for; `versions` are series that are assessed
    even where a window holds nothing of them, so that "nothing" can be told from "unknown".
    """
    nobody = np.zeros(0, dtype=np.int64)
    widths = [(window.width, window) for window in tally.ladder.windows]
    for number, channel in enumerate(model.channels):
        for width, window in [*widths, (LIFETIME, tally.ladder.windows[0])]:
            start, end = window.bounds(clock, channel.maturity)
            if width == LIFETIME:
                start = FOREVER
            for sliced in (False, True) if model.slices else (False,):
                sums = WindowSums(tally, start, end, sliced=sliced, include=nobody if sliced else versions)
                if len(sums.series):
                    yield _window(model, channel, number, width, sliced, sums, texts, room)


def traffic(tally: Tally, clock: int, versions: NDArray[np.int64]) -> Iterator[Traffic]:
    """What was predicted in each window up to now."""
    for window in tally.ladder.windows:
        start, end = window.bounds(clock, 0)
        sums = WindowSums(tally, start, end, sliced=False, include=versions)
        yield Traffic(window.width, sums.series, sums.predictions)


def _window(
    model: Model,
    channel: Channel,
    number: int,
    width: int,
    sliced: bool,
    sums: WindowSums,
    texts: tuple[str, ...],
    room: int,
) -> Assessment:
    feedback = feedback_counts(sums, channel)
    counts = count(model, channel, sums, texts, room)
    answered = answered_rows(counts, feedback)
    estimates, constant = {}, {}
    for metric in metrics_for(model.task, channel.kind):
        estimates[metric.name] = settle(
            metric.value(counts), minimum=model.minimum_samples, mature=sums.predictions, labeled=answered
        )
        if not sliced:
            baseline = constant_baseline(metric, counts)
            shown = np.isfinite(estimates[metric.name].score)
            constant[metric.name] = np.where(shown, baseline, np.nan)
    by_class = {}
    if isinstance(counts, ClassificationCounts) and not sliced:
        by_class = {
            name: settle(
                value,
                minimum=model.minimum_samples,
                mature=sums.predictions[:, None],
                labeled=answered[:, None],
            )
            for name, value in per_class(counts).items()
        }
    return Assessment(
        channel=number,
        window=width,
        sliced=sliced,
        series=sums.series,
        mature=sums.predictions,
        labeled=feedback.labeled,
        estimates=estimates,
        constant=constant,
        by_class=by_class,
        counts=counts,
    )


def count(model: Model, channel: Channel, sums: WindowSums, texts: tuple[str, ...], room: int) -> Counts:
    """The counts that this channel's metrics read."""
    if channel.kind in ("mistakes", "voluntary"):
        return feedback_counts(sums, channel)
    match model.task:
        case "regression":
            return regression_counts(sums, channel)
        case "ranking":
            return ranking_counts(sums, channel)
        case "text":
            return text_counts(sums, channel)
        case _:
            return classification_counts(sums, model, channel, texts, room)


def answered_rows(counts: Counts, feedback: FeedbackCounts) -> NDArray[np.float64]:
    """How much was labelled, labels that silence means included; on a channel of reports, silence says something."""
    match counts:
        case ClassificationCounts():
            judged: NDArray[np.float64] = counts.w.sum(axis=(1, 2))
            return np.maximum(judged, feedback.labeled)
        case RegressionCounts():
            return np.maximum(counts.error.w, feedback.labeled)
        case RankingCounts():
            return np.maximum(counts.ndcg.w, feedback.labeled)
        case TextCounts():
            return np.maximum(counts.words.w, feedback.labeled)
        case FeedbackCounts():
            return counts.predictions
