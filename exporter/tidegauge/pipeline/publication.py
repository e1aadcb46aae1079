"""Builds what is published: metric families from the models' sums, in the order of their worth, and the page.

Reads only; the same sums give the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.assessment import LIFETIME, Assessment, assess, traffic
from tidegauge.assess.counts import STATES, ClassificationCounts, Estimates
from tidegauge.assess.detectors import DETECTORS
from tidegauge.assess.detectors.detector import ARRIVING, stream_of
from tidegauge.assess.proxies import Proxy, assess_signals
from tidegauge.assess.quality import metrics_for
from tidegauge.join.join import RESULTS
from tidegauge.join.vocabulary import OTHER
from tidegauge.pipeline.drift import Drift, drift_of, drift_samples
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.proxies import proxy_samples
from tidegauge.pipeline.releases import baselines, release_samples
from tidegauge.pipeline.samples import Columns, window_label
from tidegauge.publish import catalogue
from tidegauge.publish.samples import AnySamples, Family, HistogramSamples
from tidegauge.tally.totals import DELAY_BOUNDS, LATENCY_BOUNDS, NEVER, ROLES, VERSIONS

SHOWN_CLASSES = 10
"""Confusion tables show so many classes by name and fold the rest into "other": at most 121 cells."""
CALIBRATION_BINS = 15

QUALITY = (
    catalogue.MODEL_QUALITY_SCORE,
    catalogue.MODEL_QUALITY_SCORE_LOWER,
    catalogue.MODEL_QUALITY_SCORE_UPPER,
    catalogue.MODEL_QUALITY_NUMERATOR,
    catalogue.MODEL_QUALITY_DENOMINATOR,
    catalogue.MODEL_QUALITY_SAMPLES,
)
CLASS_QUALITY = (
    catalogue.MODEL_CLASS_QUALITY_SCORE,
    catalogue.MODEL_CLASS_QUALITY_SCORE_LOWER,
    catalogue.MODEL_CLASS_QUALITY_SCORE_UPPER,
    catalogue.MODEL_CLASS_QUALITY_NUMERATOR,
    catalogue.MODEL_CLASS_QUALITY_DENOMINATOR,
    catalogue.MODEL_CLASS_QUALITY_SAMPLES,
)
SLICE_QUALITY = (
    catalogue.MODEL_SLICE_QUALITY_SCORE,
    catalogue.MODEL_SLICE_QUALITY_SCORE_LOWER,
    catalogue.MODEL_SLICE_QUALITY_SCORE_UPPER,
    catalogue.MODEL_SLICE_QUALITY_NUMERATOR,
    catalogue.MODEL_SLICE_QUALITY_DENOMINATOR,
    catalogue.MODEL_SLICE_QUALITY_SAMPLES,
)


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model's samples in the order of their worth, and its assessments for the page."""

    samples: list[AnySamples]
    assessments: list[Assessment]
    proxies: list[Proxy]
    drift: Drift
    versions: dict[int, str]  # those shown, by code


def shown_versions(engine: Engine, clock: int) -> dict[int, str]:
    """Versions that have had traffic lately, or still wait for feedback."""
    last = engine.totals.last
    return {
        code: text
        for code, text in enumerate(engine.versions.texts)
        if last[code] != NEVER and last[code] >= clock - engine.expiry
    }


def view(engine: Engine, reference: Mapping[str, float], clock: int) -> ModelView:
    """Everything about one model. `reference` has its scores on the reference data, by metric."""
    model = engine.model
    versions = shown_versions(engine, clock)
    texts = tuple(engine.classes.texts)
    series = np.array([engine.tally.series.number(code) for code in versions], dtype=np.int64)
    assessments = list(assess(model, engine.tally, texts, engine.room, clock, series))
    proxies = list(assess_signals(model, engine.tally, clock, series))
    top, quality, detail, slices, states = Columns(), Columns(), Columns(), Columns(), Columns()
    histograms = _totals(engine, versions, top)
    _traffic(engine, versions, series, clock, top)
    for assessment in assessments:
        channel = model.channels[assessment.channel].name
        window = window_label(assessment.window)
        if assessment.sliced:
            if assessment.window != LIFETIME:
                _slices(engine, assessment, versions, channel, window, slices, states)
            continue
        names = [versions.get(code) for code in engine.tally.series.split(assessment.series)[0].tolist()]
        for position, version in enumerate(names):
            if version is None:
                continue
            place = (model.name, version, channel, window)
            _coverage(place, assessment, position, top)
            for metric, estimates in assessment.estimates.items():
                row = (model.name, version, channel, metric, window)
                _estimate(QUALITY, row, estimates, position, quality)
                _states(catalogue.MODEL_QUALITY_STATE, row, int(estimates.state[position]), quality)
                family = catalogue.MODEL_QUALITY_BASELINE_SCORE
                quality.add(family, (*row, "constant"), float(assessment.constant[metric][position]))
                if metric in reference:
                    quality.add(family, (*row, "reference"), reference[metric])
            _details(place, assessment, position, texts, detail, states)
    _objectives(engine, versions, top)
    drift = drift_of(engine, versions, clock)
    moved, bins = drift_samples(engine, drift)
    parts: list[AnySamples] = [
        *top.samples(),
        *histograms,
        *release_samples(engine, set(versions.values())),
        *quality.samples(),
        *proxy_samples(engine, proxies, versions),
        *moved,
        *detail.samples(),
        *slices.samples(),
        *states.samples(),
        *bins,
    ]
    return ModelView(parts, assessments, proxies, drift, versions)


def _totals(engine: Engine, versions: Mapping[int, str], columns: Columns) -> list[AnySamples]:
    model, totals = engine.model, engine.totals
    columns.add(catalogue.MODEL_INFO, (model.name, model.task, model.owner), 1)
    latency_rows, latency_counts, latency_sums = [], [], []
    delay_rows, delay_counts, delay_sums = [], [], []
    known = baselines(engine)
    for code, version in versions.items():
        columns.add(catalogue.MODEL_VERSION_INFO, (model.name, version, known.get(version, "")), 1)
        place = (model.name, version)
        columns.add(catalogue.MODEL_VERSION_FIRST_PREDICTION_TIMESTAMP_SECONDS, place, totals.first[code] / 1000)
        columns.add(catalogue.MODEL_VERSION_LAST_PREDICTION_TIMESTAMP_SECONDS, place, totals.last[code] / 1000)
        for number, role in enumerate(ROLES):
            if role != "primary" and not totals.predictions[code, number]:
                continue
            row = (model.name, version, role)
            columns.add(catalogue.MODEL_PREDICTIONS_TOTAL, row, int(totals.predictions[code, number]))
            columns.add(catalogue.MODEL_PREDICTION_ERRORS_TOTAL, row, int(totals.errors[code, number]))
            latency_rows.append(row)
            latency_counts.append(totals.latency[code, number])
            latency_sums.append(totals.latency_sum[code, number] / 1e6)
        for number, channel in enumerate(model.slots):
            for result, count in zip(RESULTS, totals.feedback[code, number].tolist(), strict=True):
                columns.add(catalogue.MODEL_FEEDBACK_TOTAL, (model.name, version, channel.name, result), count)
            delay_rows.append((model.name, version, channel.name))
            delay_counts.append(totals.delay[code, number])
            delay_sums.append(totals.delay_sum[code, number] / 1000)
    for number, channel in enumerate(model.slots):
        received = int(totals.received[number])
        columns.add(catalogue.MODEL_FEEDBACK_RECEIVED_TOTAL, (model.name, channel.name), received)
        for result in ("orphaned", "sampled_out"):
            # Feedback without a prediction has no version; Prometheus reads an empty label as an absent one.
            count = int(totals.feedback[VERSIONS - 1, number, RESULTS.index(result)])
            columns.add(catalogue.MODEL_FEEDBACK_TOTAL, (model.name, "", channel.name, result), count)
    shown = set(versions.values())
    for detector in DETECTORS:
        own = {one.name: Family(one.name, one.kind, one.help, one.labels) for one in detector.families}
        for channel in (ARRIVING, *model.slots):
            if stream_of(channel) not in detector.streams:
                continue
            state = engine.sealing.state(detector, channel)
            view = engine.sealing.view(channel, engine.tally.ladder.block)
            for reading in detector.readings(state, view):
                labels = dict(reading.labels)
                if labels.get("version", "") not in shown and "version" in labels:
                    continue
                family = own.get(reading.family) or catalogue.NAMED[reading.family]
                found = {"model": model.name, "channel": channel.name, **labels}
                values = tuple(_shown_class(engine, name, found[name]) for name in family.labels)
                columns.add(family, values, reading.value)
    _fold(columns, catalogue.MODEL_CONFUSION_TOTAL)
    built: list[AnySamples] = []
    if latency_rows:
        counts, sums = np.array(latency_counts), np.array(latency_sums)
        built.append(
            HistogramSamples(catalogue.MODEL_PREDICTION_LATENCY_SECONDS, LATENCY_BOUNDS, latency_rows, counts, sums)
        )
    if delay_rows:
        counts, sums = np.array(delay_counts), np.array(delay_sums)
        built.append(HistogramSamples(catalogue.MODEL_FEEDBACK_DELAY_SECONDS, DELAY_BOUNDS, delay_rows, counts, sums))
    return built


def _shown_class(engine: Engine, label: str, text: str) -> str:
    if label in ("actual", "predicted") and text not in engine.classes.texts[:SHOWN_CLASSES]:
        return OTHER
    return text


def _fold(columns: Columns, family: Family) -> None:
    """Adds up rows that have become equal because classes were folded."""
    if family not in columns.rows:
        return
    sums: dict[tuple[str, ...], float] = {}
    for row, value in zip(columns.rows[family], columns.values[family], strict=True):
        sums[row] = sums.get(row, 0) + value
    columns.rows[family], columns.values[family] = list(sums), list(sums.values())


def _traffic(
    engine: Engine, versions: Mapping[int, str], series: NDArray[np.int64], clock: int, columns: Columns
) -> None:
    for part in traffic(engine.tally, clock, series):
        codes = engine.tally.series.split(part.series)[0].tolist()
        for code, count in zip(codes, part.predictions.tolist(), strict=True):
            for channel in engine.model.channels:
                if code in versions:
                    row = (engine.model.name, versions[code], channel.name, window_label(part.window))
                    columns.add(catalogue.MODEL_WINDOW_PREDICTIONS, row, count)


def _coverage(place: tuple[str, ...], assessment: Assessment, position: int, columns: Columns) -> None:
    mature, labeled = int(assessment.mature[position]), float(assessment.labeled[position])
    columns.add(catalogue.MODEL_WINDOW_MATURE_PREDICTIONS, place, mature)
    columns.add(catalogue.MODEL_WINDOW_LABELED_PREDICTIONS, place, labeled)
    if mature:
        columns.add(catalogue.MODEL_FEEDBACK_COVERAGE_RATIO, place, labeled / mature)


def _estimate(
    families: Sequence[Family],
    row: tuple[str, ...],
    estimates: Estimates,
    position: int | tuple[int, int],
    columns: Columns,
) -> None:
    values = (
        estimates.score,
        estimates.lower,
        estimates.upper,
        estimates.numerator,
        estimates.denominator,
        estimates.samples,
    )
    for family, array in zip(families, values, strict=True):
        columns.add(family, row, float(array[position]))


def _states(family: Family, row: tuple[str, ...], state: int, columns: Columns) -> None:
    for number, name in enumerate(STATES):
        columns.add(family, (*row, name), int(number == state))


def _details(
    place: tuple[str, ...],
    assessment: Assessment,
    position: int,
    texts: tuple[str, ...],
    columns: Columns,
    states: Columns,
) -> None:
    """Classes, confusion and calibration of one version's window."""
    counts = assessment.counts
    if not isinstance(counts, ClassificationCounts) or assessment.window == LIFETIME:
        return
    model, version, channel, window = place
    for metric, estimates in assessment.by_class.items():
        for code, text in enumerate(texts):
            row = (model, version, channel, text, metric, window)
            _estimate(CLASS_QUALITY, row, estimates, (position, code), columns)
            _states(catalogue.MODEL_CLASS_QUALITY_STATE, row, int(estimates.state[position, code]), states)
    matrix = counts.w[position]
    names = list(texts[:SHOWN_CLASSES])
    if len(texts) > SHOWN_CLASSES:
        matrix = _folded(matrix, SHOWN_CLASSES)
        names.append(OTHER)
    for actual, name in enumerate(names):
        for predicted, answer in enumerate(names):
            columns.add(catalogue.MODEL_WINDOW_CONFUSION, (*place, name, answer), float(matrix[actual, predicted]))
    if counts.score_bins is None or counts.score_sum is None:
        return
    total = counts.score_bins[position].reshape(2, CALIBRATION_BINS, -1).sum(axis=2)
    expected = counts.score_sum[position].reshape(CALIBRATION_BINS, -1).sum(axis=1)
    for number in range(CALIBRATION_BINS):
        bin_ = (*place, f"{(number + 1) / CALIBRATION_BINS:.3f}")
        columns.add(catalogue.MODEL_CALIBRATION_BIN_PREDICTIONS, bin_, float(total[:, number].sum()))
        columns.add(catalogue.MODEL_CALIBRATION_BIN_EXPECTED, bin_, float(expected[number]))
        columns.add(catalogue.MODEL_CALIBRATION_BIN_OBSERVED, bin_, float(total[1, number]))


def _folded(matrix: NDArray[np.float64], keep: int) -> NDArray[np.float64]:
    folded = np.zeros((keep + 1, keep + 1))
    folded[:keep, :keep] = matrix[:keep, :keep]
    folded[:keep, keep] = matrix[:keep, keep:].sum(axis=1)
    folded[keep, :keep] = matrix[keep:, :keep].sum(axis=0)
    folded[keep, keep] = matrix[keep:, keep:].sum()
    return folded


def _slices(
    engine: Engine,
    assessment: Assessment,
    versions: Mapping[int, str],
    channel: str,
    window: str,
    columns: Columns,
    states: Columns,
) -> None:
    codes, keys, values = (part.tolist() for part in engine.tally.series.split(assessment.series))
    for position, (code, key, value) in enumerate(zip(codes, keys, values, strict=True)):
        if code not in versions:
            continue
        text = engine.slices[key].texts[value]
        for metric, estimates in assessment.estimates.items():
            row = (engine.model.name, versions[code], channel, engine.model.slices[key], text, metric, window)
            _estimate(SLICE_QUALITY, row, estimates, position, columns)
            _states(catalogue.MODEL_SLICE_QUALITY_STATE, row, int(estimates.state[position]), states)


def _objectives(engine: Engine, versions: Mapping[int, str], columns: Columns) -> None:
    for objective in engine.model.objectives:
        for channel in engine.model.channels:
            if objective.metric not in {metric.name for metric in metrics_for(engine.model.task, channel.kind)}:
                continue
            for version in versions.values():
                row = (engine.model.name, version, channel.name, objective.metric, objective.direction)
                columns.add(catalogue.MODEL_QUALITY_OBJECTIVE, row, objective.target)


def lost_samples(lost: Mapping[tuple[str, str], int]) -> list[AnySamples]:
    """Feedback that no model ever claimed, by (channel, result)."""
    columns = Columns()
    for (channel, result), count in lost.items():
        columns.add(catalogue.MODEL_FEEDBACK_TOTAL, ("", "", channel, result), count)
    return columns.samples()
