"""What people see of versions that are watched: what is learned, what gets worse, and where a score is heading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tidegauge.assess.assessment import LIFETIME
from tidegauge.assess.detectors import quality
from tidegauge.assess.detectors.detector import View
from tidegauge.assess.detectors.quality import SLICE_LEVEL, Quality, Stream
from tidegauge.assess.detectors.readings import SEPARATOR, forecast, slice_threshold
from tidegauge.assess.measures.measure import Measure
from tidegauge.assess.sequential import profile
from tidegauge.assess.sequential.history import DAY_MS, HOUR_MS, HOURS, hour_of_week
from tidegauge.assess.sequential.profile import Baseline
from tidegauge.assess.sequential.trend import Trend
from tidegauge.assess.sequential.watch import Watch
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.publication import ModelView
from tidegauge.pipeline.samples import window_label
from tidegauge.publish.outlook_words import change_summary, slope_summary
from tidegauge.publish.report import ChangeReport, ScoreReport, SlopeReport, moment

MOST_SLICES = 100
"""Failing slices of a version that are reported."""


@dataclass(slots=True)
class Outlook:
    """What is said of one version."""

    changes: list[ChangeReport] = field(default_factory=list)
    slices: list[ChangeReport] = field(default_factory=list)
    slopes: list[SlopeReport] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Score:
    score: float
    window: int  # ms


@dataclass(frozen=True, slots=True)
class _Watched:
    """One measure of one channel, and how it stands now."""

    measure: Measure
    stream: Stream
    view: View
    mature: int  # ms; predictions up to here have had time to get their labels
    several: bool


def outlooks(engine: Engine, view: ModelView, scores: dict[int, list[ScoreReport]], clock: int) -> dict[str, Outlook]:
    """By version, of those that get traffic; `scores` are those of whole versions by their code."""
    sealing, model = engine.sealing, engine.model
    block = engine.tally.ladder.block
    codes = {name: code for code, name in view.versions.items() if not sealing.lifecycle.lost(name, block)}
    found = {name: Outlook() for name in codes}
    for slot in model.channels:
        state: Quality = sealing.state(quality.DETECTOR, slot)
        for measure in sealing.measures:
            if measure.stream != slot.key or not measure.watched:
                continue
            stream = state.measures.get(measure.metric) or Stream.empty(measure)
            one = _Watched(measure, stream, sealing.view(slot, block), clock - slot.maturity, len(model.channels) > 1)
            for name, code in codes.items():
                of_measure = [
                    _Score(score.score, round(score.window_seconds * 1000))
                    for score in scores.get(code, ())
                    if (score.channel, score.metric) == (slot.name, measure.metric)
                    and score.score is not None
                    and score.window_seconds is not None
                ]
                found[name].changes.append(_change(one, name, of_measure))
                if name in stream.trends:
                    found[name].slopes.append(_slope(one, stream.trends[name]))
            _slices(one, engine, view, found)
    return found


def _change(one: _Watched, version: str, scores: Sequence[_Score]) -> ChangeReport:
    watch = one.stream.versions
    learning = one.view.model.change.learning
    known = watch.has_shape(watch.keys, learning)
    learned, learned_ms = 0.0, 0 if known else _spanned(watch)
    if version in watch.keys:
        place = watch.keys.index(version)
        learned = float(watch.history.n()[place])
        learned_ms = max(learned_ms, int(watch.history.span_ms()[place]))
    report = ChangeReport(
        channel=one.measure.channel,
        metric=one.measure.metric,
        key="",
        value="",
        state="learning",
        summary="",
        learned=learned,
        learning_needed=float(profile.ROWS),
        learned_seconds=learned_ms / 1000,
        learning_needed_seconds=(min(profile.LEVEL_MS, learning) if known else learning) / 1000,
        expected=None,
        score=None,
        window=None,
        evidence=None,
        threshold=None,
        start_at=None,
    )
    bank = watch.bank
    if version in bank.keys:
        row = bank.keys.index(version)
        detected = bool(bank.detected[row])
        started = int(bank.started_at()[row]) if detected else None
        chosen = _now(scores, one.mature, started)
        report = replace(
            report,
            state="detected" if detected else "watching",
            learned=float(watch.baseline.n[row]),
            learned_seconds=float(watch.baseline.days[row]) * DAY_MS / 1000,
            expected=_expected(one, watch.baseline, row, chosen),
            score=chosen.score if chosen else None,
            window=window_label(chosen.window) if chosen else None,
            evidence=float(bank.evidence()[row]),
            threshold=one.stream.threshold,
            start_at=moment(started),
        )
    return replace(report, summary=change_summary(report, several=one.several))


def _spanned(watch: Watch) -> int:
    """Time that all versions span together (ms): as long as their daily and weekly cycle is not known, that counts."""
    began = watch.history.first_ms >= 0
    return int(watch.history.last_ms[began].max() - watch.history.first_ms[began].min()) if began.any() else 0


def _now(scores: Sequence[_Score], mature: int, started: int | None) -> _Score | None:
    """The score that shows how it is now: over the longest window, of a change the longest that lies within it."""
    ordered = sorted(scores, key=lambda score: score.window)
    within = [score for score in ordered if started is None or mature - score.window >= started]
    return within[-1] if within else ordered[0] if ordered else None


def _expected(one: _Watched, baseline: Baseline, row: int, shown: _Score | None) -> float | None:
    """The mean of what is normal for the hours of that score's window, in the metric's units."""
    hours = 1 if shown is None else max(1, min(HOURS, round(shown.window / HOUR_MS)))
    last = one.mature - HOUR_MS // 2
    places = [hour_of_week(last - back * HOUR_MS) for back in range(hours)]
    value = one.measure.value(float(baseline.mean[row, places].mean()))
    return value if math.isfinite(value) else None


def _slope(one: _Watched, trend: Trend) -> SlopeReport:
    measure, model = one.measure, one.view.model
    lower, upper = sorted((measure.sign * trend.lower, measure.sign * trend.upper))
    missed = forecast(trend, measure, model)
    target = next((one.target for one in model.objectives if one.metric == measure.metric), None)
    report = SlopeReport(
        channel=measure.channel,
        metric=measure.metric,
        summary="",
        per_day=measure.sign * trend.slope,
        lower=lower,
        upper=upper,
        significant=trend.significant,
        target=target,
        breach_at=None if missed is None else moment(round(missed.day * DAY_MS)),
        breach_earliest_at=None if missed is None else moment(round(missed.earliest * DAY_MS)),
        breach_latest_at=None if missed is None or missed.latest is None else moment(round(missed.latest * DAY_MS)),
    )
    return replace(report, summary=slope_summary(report, several=one.several))


def _slices(one: _Watched, engine: Engine, view: ModelView, found: dict[str, Outlook]) -> None:
    """Adds the slices that get worse, the surest first."""
    watch = one.stream.slices
    bank = watch.bank
    rows = np.flatnonzero(bank.detected)
    if not rows.size:
        return
    evidence, started = bank.evidence(), bank.started_at()
    needed = slice_threshold(evidence, one.view, SLICE_LEVEL)
    now = _slice_scores(one.measure, engine, view)
    for row in sorted(rows.tolist(), key=lambda row: -float(evidence[row])):
        version, key, value = bank.keys[row].split(SEPARATOR)
        if version not in found or len(found[version].slices) >= MOST_SLICES:
            continue
        chosen = _now(now.get((version, key, value), ()), one.mature, int(started[row]))
        report = ChangeReport(
            channel=one.measure.channel,
            metric=one.measure.metric,
            key=key,
            value=value,
            state="detected",
            summary="",
            learned=float(watch.baseline.n[row]),
            learning_needed=float(profile.ROWS),
            learned_seconds=float(watch.baseline.days[row]) * DAY_MS / 1000,
            learning_needed_seconds=min(profile.LEVEL_MS, one.view.model.change.learning) / 1000,
            expected=_expected(one, watch.baseline, row, chosen),
            score=chosen.score if chosen else None,
            window=window_label(chosen.window) if chosen else None,
            evidence=float(evidence[row]),
            threshold=needed,
            start_at=moment(int(started[row])),
        )
        found[version].slices.append(replace(report, summary=change_summary(report, several=one.several)))


def _slice_scores(measure: Measure, engine: Engine, view: ModelView) -> dict[tuple[str, str, str], list[_Score]]:
    """By version, slice key and value: the scores over the windows that have one."""
    found: dict[tuple[str, str, str], list[_Score]] = {}
    for assessment in view.assessments:
        channel = engine.model.channels[assessment.channel].name
        if not assessment.sliced or assessment.window == LIFETIME or channel != measure.channel:
            continue
        if measure.metric not in assessment.estimates:
            continue
        versions, keys, values = (part.tolist() for part in engine.tally.series.split(assessment.series))
        scores = assessment.estimates[measure.metric].score.tolist()
        for version, key, value, score in zip(versions, keys, values, scores, strict=True):
            if version in view.versions and math.isfinite(score):
                place = (view.versions[version], engine.model.slices[key], engine.slices[key].texts[value])
                found.setdefault(place, []).append(_Score(score, assessment.window))
    return found
