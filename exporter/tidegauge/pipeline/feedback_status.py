"""How much truth there is, for people: coverage by window, how long labels take, and where they have stopped coming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.assessment import LIFETIME
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.publication import ModelView
from tidegauge.pipeline.samples import window_label
from tidegauge.publish import catalogue
from tidegauge.publish.report import CoverageReport, DelayReport
from tidegauge.publish.samples import Samples
from tidegauge.tally.families import feedback, traffic
from tidegauge.tally.totals import DELAY_BOUNDS


@dataclass(frozen=True, slots=True)
class Silence:
    """Mature predictions newer than the newest labelled one."""

    milliseconds: int  # from the first of them to the end of what is mature
    predictions: int


def coverage_reports(engine: Engine, view: ModelView) -> dict[int, list[CoverageReport]]:
    """Every window of every channel, by version code."""
    traffic_now = _traffic_now(view)
    found: dict[int, list[CoverageReport]] = {}
    for assessment in view.assessments:
        if assessment.sliced:
            continue
        channel, window = engine.model.channels[assessment.channel].name, window_label(assessment.window)
        codes = engine.tally.series.split(assessment.series)[0].tolist()
        for code, mature, labeled in zip(codes, assessment.mature.tolist(), assessment.labeled.tolist(), strict=True):
            if code not in view.versions:
                continue
            made = traffic_now.get((view.versions[code], channel, window))
            found.setdefault(code, []).append(
                CoverageReport(
                    channel=channel,
                    window=window,
                    window_seconds=None if assessment.window == LIFETIME else assessment.window / 1000,
                    predictions=made,
                    mature_predictions=mature,
                    labeled_predictions=labeled,
                    ratio=labeled / mature if mature else None,
                )
            )
    return found


def _traffic_now(view: ModelView) -> dict[tuple[str, str, str], int]:
    """Predictions in each window that ends now, by version, channel and window."""
    found: dict[tuple[str, str, str], int] = {}
    for part in view.samples:
        if isinstance(part, Samples) and part.family is catalogue.MODEL_WINDOW_PREDICTIONS:
            for (_, version, channel, window), value in zip(part.rows, part.values, strict=True):
                found[version, channel, window] = int(value)
    return found


def delay_report(engine: Engine, code: int, channel: int, silence: Silence | None) -> DelayReport:
    """How long this version's labels took."""
    buckets = engine.totals.delay[code, channel]
    return DelayReport(
        channel=engine.model.channels[channel].name,
        labels=int(buckets.sum()),
        median_seconds=quantile(DELAY_BOUNDS, buckets, 0.5),
        p95_seconds=quantile(DELAY_BOUNDS, buckets, 0.95),
        silent_seconds=None if silence is None else silence.milliseconds / 1000,
        silent_predictions=0 if silence is None else silence.predictions,
    )


def quantile(bounds: Sequence[float], buckets: NDArray[np.int64], share: float) -> float | None:
    """Interpolated linearly within its bucket, as Prometheus' histogram_quantile does; in the last, its lower bound.

    `buckets` has one count more than there are upper bounds, and they are not cumulative. None of nothing.
    """
    total = int(buckets.sum())
    if not total:
        return None
    wanted = share * total
    cumulative = np.cumsum(buckets)
    place = int(np.searchsorted(cumulative, wanted))
    if place >= len(bounds):
        return bounds[-1]
    below = int(cumulative[place - 1]) if place else 0
    low = bounds[place - 1] if place else 0.0
    return low + (bounds[place] - low) * (wanted - below) / int(buckets[place])


def silences(engine: Engine, channel: int, series: Sequence[int], clock: int) -> dict[int, Silence]:
    """By series, where the newest mature predictions have no label of the channel at all.

    Looks back as far as the longest window does.
    """
    tally, about = engine.tally, engine.model.channels[channel]
    if clock < 0 or not series:
        return {}
    width = tally.ladder.widths[0]
    end = (clock - about.maturity) // width * width
    start = end - tally.ladder.windows[-1].width
    made, made_at, counts = tally.stretches(traffic.NAME, start, end, width)
    labeled, labeled_at, labels = tally.stretches(feedback.name(about.name), start, end, width)
    given = labels[:, feedback.LABELED] > 0 if len(labeled) else np.zeros(0, dtype=np.bool_)
    found: dict[int, Silence] = {}
    for one in series:
        answered = labeled_at[given & (labeled == one)]
        later = made == one
        if len(answered):
            later &= made_at > answered.max()
        if later.any():
            found[one] = Silence(end - int(made_at[later].min()), int(counts[later, 0].sum()))
    return found
