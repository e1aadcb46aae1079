"""What people see of the models: their reports from the engines and the views that were published of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from tidegauge.assess import verdicts
from tidegauge.assess.assessment import LIFETIME, Assessment
from tidegauge.assess.counts import STATES, Estimates
from tidegauge.assess.panes import Trend, Trends
from tidegauge.assess.quality import metrics_for
from tidegauge.config.links import fill
from tidegauge.config.metrics import AT_LEAST, find_metric
from tidegauge.config.settings import Links, Model, Objective
from tidegauge.pipeline.change_status import Outlook, outlooks
from tidegauge.pipeline.drift_status import drift_reports
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.feedback_status import coverage_reports, delay_report, silences
from tidegauge.pipeline.proxy_status import proxy_reports
from tidegauge.pipeline.publication import ModelView
from tidegauge.pipeline.release_status import release_reports
from tidegauge.pipeline.runbooks import runbook
from tidegauge.pipeline.samples import window_label
from tidegauge.publish.drift_words import broken_features
from tidegauge.publish.report import (
    ChannelReport,
    CoverageReport,
    DelayReport,
    ModelReport,
    ScoreReport,
    SliceReport,
    TrendReport,
    VersionReport,
    moment,
)
from tidegauge.publish.summaries import model_summary, version_summary
from tidegauge.tally.totals import NEVER, PRIMARY

LEADING = ("accuracy", "rmse", "reported_error_rate")
"""What a version is headed by where no objective says it; else by the task's first metric."""
MOST_TRENDS = 3
MOST_SLICES = 100
"""Slices of a version that are reported, the worst; the metrics have all."""

Pair = tuple[int, str]
"""(channel number, metric)"""


def model_report(engine: Engine, view: ModelView, trends: Trends, links: Links, clock: int) -> ModelReport:
    """One model as people see it."""
    model = engine.model
    objectives = {one.metric: one for one in model.objectives}
    pairs = headline_pairs(model)
    series = {code: engine.tally.series.number(code) for code in view.versions}
    past: dict[Pair, Trend] = {}
    if clock >= 0 and series:
        past = trends.of(
            model, engine.tally, tuple(engine.classes.texts), engine.room, clock, list(series.values()), pairs
        )
    scores = _scores(engine, view, objectives)
    coverage = coverage_reports(engine, view)
    quiet = {number: silences(engine, number, list(series.values()), clock) for number in range(len(model.channels))}
    proxies = proxy_reports(view.samples)
    releases = release_reports(engine, clock)
    drift = drift_reports(engine, view.drift)
    ahead = outlooks(engine, view, scores, clock) if clock >= 0 else {}
    channels = tuple(ChannelReport(one.name, one.kind, one.maturity / 1000, one.no_feedback) for one in model.channels)
    versions = []
    for row, (code, name) in enumerate(view.versions.items()):
        delays = tuple(
            delay_report(engine, code, number, quiet[number].get(series[code])) for number in range(len(channels))
        )
        of_version = tuple(scores.get(code, ()))
        outlook = ahead.get(name) or Outlook()
        verdict, headline = judge_version(model, of_version, tuple(coverage.get(code, ())), delays, pairs)
        report = VersionReport(
            name=name,
            verdict=verdict,
            summary="",
            headline=headline,
            dashboard=fill(links.dashboard, model=model.name, version=name),
            runbook=runbook(links, verdict),
            predictions=int(engine.totals.predictions[code, PRIMARY]),
            errors=int(engine.totals.errors[code, PRIMARY]),
            first_prediction_at=_moment(int(engine.totals.first[code])),
            last_prediction_at=_moment(int(engine.totals.last[code])),
            coverage=tuple(coverage.get(code, ())),
            delays=delays,
            scores=of_version,
            trends=tuple(_trend(model, pair, past[pair], row, objectives) for pair in pairs if pair in past),
            slices=_slices(engine, view, code, headline),
            proxies=proxies.get(name, ()),
            release=releases.get(name),
            changes=tuple(outlook.changes),
            failing_slices=tuple(outlook.slices),
            slopes=tuple(outlook.slopes),
            drift=drift.get(name, ()),
        )
        told = version_summary(report, channels, model.minimum_samples)
        versions.append(replace(report, summary=told, broken_features=broken_features(report)))
    versions.sort(key=lambda one: one.first_prediction_at.timestamp() if one.first_prediction_at else 0, reverse=True)
    report_of_model = ModelReport(
        name=model.name,
        task=model.task,
        owner=model.owner,
        verdict=verdicts.together(one.verdict for one in versions),
        summary="",
        dashboard=fill(links.dashboard, model=model.name),
        channels=channels,
        minimum_samples=model.minimum_samples,
        pending_predictions=engine.join.table.live,
        waiting_feedback=len(engine.join.waiting),
        versions=tuple(versions),
        vanished_features=view.drift.vanished,
        new_features=view.drift.appeared,
        broken_features=tuple(dict.fromkeys(name for one in versions for name in one.broken_features)),
    )
    return replace(report_of_model, summary=model_summary(report_of_model))


def headline_pairs(model: Model) -> list[Pair]:
    """What a version is judged by: its objectives on each channel that supports them, else one leading metric."""
    supported = {
        number: [metric.name for metric in metrics_for(model.task, channel.kind)]
        for number, channel in enumerate(model.channels)
    }
    pairs = [
        (number, objective.metric)
        for objective in model.objectives
        for number, names in supported.items()
        if objective.metric in names
    ]
    for number, names in supported.items():
        if not pairs and names:
            pairs.append((number, next((name for name in LEADING if name in names), names[0])))
    return pairs[:MOST_TRENDS]


def judge_version(
    model: Model,
    scores: Sequence[ScoreReport],
    coverage: Sequence[CoverageReport],
    delays: Sequence[DelayReport],
    pairs: Sequence[Pair],
) -> tuple[str, ScoreReport | None]:
    """The worst verdict over what the version is judged by, and the score that shows it.

    The longest window speaks first, since it knows most; a shorter one is heard where it has surely missed.
    """
    if not any(part.predictions or part.mature_predictions for part in coverage if part.window_seconds is not None):
        return verdicts.IDLE, None
    found: dict[str, ScoreReport] = {}
    judged = {(one.metric, model.channels[number].name) for number, one in _objective_pairs(model)}
    judged |= {(metric, model.channels[number].name) for number, metric in pairs}
    silent = {delay.channel for delay in delays if _is_silent(model, delay, coverage)}
    for metric, channel in sorted(judged):
        rolling = [
            one for one in scores if (one.metric, one.channel) == (metric, channel) and one.window_seconds is not None
        ]
        rolling.sort(key=lambda one: one.window_seconds or 0, reverse=True)
        if not rolling:
            continue
        chosen = next((one for one in rolling if one.verdict == verdicts.MISSED), rolling[0])
        verdict = chosen.verdict
        if channel in silent and verdict != verdicts.MISSED:
            verdict = verdicts.SILENT
        found.setdefault(verdict, chosen)
    verdict = verdicts.together(found)
    return verdict, found.get(verdict)


def _objective_pairs(model: Model) -> list[tuple[int, Objective]]:
    return [
        (number, objective)
        for objective in model.objectives
        for number, channel in enumerate(model.channels)
        if objective.metric in {metric.name for metric in metrics_for(model.task, channel.kind)}
    ]


def _is_silent(model: Model, delay: DelayReport, coverage: Sequence[CoverageReport]) -> bool:
    channel = next(one for one in model.channels if one.name == delay.channel)
    if channel.kind not in ("complete", "sample") or channel.no_feedback is not None:
        return False  # there silence is nothing unusual, or says something itself
    usual = next(
        (part.ratio for part in coverage if part.channel == delay.channel and part.window_seconds is None), None
    )
    return verdicts.is_silent(delay.silent_predictions, usual, model.minimum_samples)


def _scores(engine: Engine, view: ModelView, objectives: Mapping[str, Objective]) -> dict[int, list[ScoreReport]]:
    """Every score of whole versions, by version code."""
    found: dict[int, list[ScoreReport]] = {}
    for assessment in view.assessments:
        if assessment.sliced:
            continue
        channel = engine.model.channels[assessment.channel].name
        codes = engine.tally.series.split(assessment.series)[0].tolist()
        for metric, estimates in assessment.estimates.items():
            objective = objectives.get(metric)
            target = None if objective is None else objective.target
            direction = None if objective is None else objective.direction
            rows = _rows(estimates)
            for position, code in enumerate(codes):
                if code not in view.versions:
                    continue
                state, score, lower, upper, samples = rows[position]
                found.setdefault(code, []).append(
                    ScoreReport(
                        channel=channel,
                        metric=metric,
                        window=window_label(assessment.window),
                        window_seconds=_seconds(assessment.window),
                        state=STATES[state],
                        score=_known(score),
                        lower=_known(lower),
                        upper=_known(upper),
                        samples=_known(samples) or 0.0,
                        target=target,
                        direction=direction,
                        verdict=verdicts.judge(STATES[state], _known(lower), _known(upper), target, direction),
                    )
                )
    return found


def _slices(engine: Engine, view: ModelView, code: int, headline: ScoreReport | None) -> tuple[SliceReport, ...]:
    """The version's slices in the headline's terms, surely worst first, those with few samples last."""
    assessment = _sliced(engine, view, headline)
    if headline is None or assessment is None:
        return ()
    versions, keys, values = engine.tally.series.split(assessment.series)
    found: list[SliceReport] = []
    rows = _rows(assessment.estimates[headline.metric])
    for position in np.flatnonzero(versions == code).tolist():
        state, score, lower, upper, samples = rows[position]
        key = int(keys[position])
        found.append(
            SliceReport(
                key=engine.model.slices[key],
                value=engine.slices[key].texts[int(values[position])],
                channel=headline.channel,
                metric=headline.metric,
                window=headline.window,
                state=STATES[state],
                score=_known(score),
                lower=_known(lower),
                upper=_known(upper),
                samples=_known(samples) or 0.0,
                verdict=verdicts.judge(
                    STATES[state], _known(lower), _known(upper), headline.target, headline.direction
                ),
            )
        )
    better_is_more = is_more_better(engine.model, headline)

    def rank(one: SliceReport) -> tuple[int, float]:
        if one.score is None or one.lower is None or one.upper is None:
            return 2, -one.samples
        # By the bound that speaks for the slice: a few bad rows of a small slice do not make it the worst.
        return int(one.state != "ok"), one.upper if better_is_more else -one.lower

    return tuple(sorted(found, key=rank)[:MOST_SLICES])


def is_more_better(model: Model, score: ScoreReport) -> bool:
    """Whether a larger value of this score is the better one."""
    metric = find_metric(score.metric, model.task)
    return (score.direction or (metric.direction if metric else AT_LEAST)) == AT_LEAST


def _sliced(engine: Engine, view: ModelView, headline: ScoreReport | None) -> Assessment | None:
    for one in view.assessments:
        if (
            headline is not None
            and one.sliced
            and engine.model.channels[one.channel].name == headline.channel
            and window_label(one.window) == headline.window
            and headline.metric in one.estimates
        ):
            return one
    return None


def _trend(model: Model, pair: Pair, trend: Trend, row: int, objectives: Mapping[str, Objective]) -> TrendReport:
    objective = objectives.get(pair[1])
    start = moment(trend.start)
    assert start is not None, "a trend starts within the calendar"
    return TrendReport(
        channel=model.channels[pair[0]].name,
        metric=pair[1],
        start_at=start,
        step_seconds=trend.step / 1000,
        target=None if objective is None else objective.target,
        scores=tuple(map(_known, trend.score[row].tolist())),
        lower=tuple(map(_known, trend.lower[row].tolist())),
        upper=tuple(map(_known, trend.upper[row].tolist())),
    )


def _rows(estimates: Estimates) -> list[tuple[int, float, float, float, float]]:
    """(state, score, lower, upper, samples) of each series."""
    columns = (estimates.score, estimates.lower, estimates.upper, estimates.samples)
    return list(zip(estimates.state.tolist(), *(column.tolist() for column in columns), strict=True))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _seconds(window: int) -> float | None:
    return None if window == LIFETIME else window / 1000


def _moment(milliseconds: int) -> datetime | None:
    return None if milliseconds == NEVER else moment(milliseconds)
