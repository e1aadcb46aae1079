"""What is published of a model's features: states, distances, what has moved, and the bins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidegauge.assess.drift import schema_changes
from tidegauge.assess.drift.assessment import OWN, Comparison, Standing, assess_drift
from tidegauge.assess.drift.quality import LEAST_ROWS, STATES
from tidegauge.assess.drift.vector_assessment import VectorStanding, assess_vectors
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.releases import LARGEST, e_value
from tidegauge.pipeline.samples import Columns, window_label
from tidegauge.pipeline.vector_samples import Detected, detected_inputs, vector_samples
from tidegauge.publish import catalogue
from tidegauge.publish.samples import AnySamples
from tidegauge.tally.families import traffic
from tidegauge.tally.features.schema import CONDITIONS, Schema
from tidegauge.tally.features.watched import PREDICTION, SCORE, watched

BUSIEST: Final = 2
"""Versions that are watched for drift where no release is under way."""


def drift_versions(engine: Engine, shown: Mapping[int, str], clock: int) -> dict[int, str]:
    """Versions whose features are published, by code: candidates and baselines, else the busiest."""
    live = live_releases(engine)
    codes = {text: code for code, text in shown.items()}
    wanted = {codes[text] for pair in live.items() for text in pair if text in codes}
    window = next((one for one in engine.tally.ladder.windows if one.width in engine.model.drift.windows), None)
    if window is None:
        return {}
    series, sums = engine.tally.window(traffic.NAME, *window.bounds(clock, 0))
    versions = engine.tally.series.split(series)[0].tolist()
    made = dict(zip(versions, sums[:, 0].tolist(), strict=True))
    busiest = sorted((code for code in shown if code in made), key=lambda code: (-made[code], code))
    wanted.update(busiest[: 1 if wanted else BUSIEST])
    if not wanted:  # nothing lately: that there is nothing is to be seen of the last one
        last = engine.totals.last
        wanted.update(sorted(shown, key=lambda code: -int(last[code]))[:1])
    return {code: shown[code] for code in sorted(wanted)}


def live_releases(engine: Engine) -> dict[str, str]:
    """What each version is compared with that is a release and still gets traffic."""
    known, block = engine.sealing.lifecycle, engine.tally.ladder.block
    return {
        release.candidate: release.baseline
        for release in known.releases
        if not known.lost(release.candidate, block) and known.now < release.end
    }


@dataclass(frozen=True, slots=True)
class Drift:
    """What is known of the versions that are published; no standings while bins are learned."""

    versions: dict[int, str]
    features: list[Standing]
    labels: list[Standing]
    vectors: list[VectorStanding]
    vanished: tuple[str, ...] = ()  # configured features that records lack now
    appeared: tuple[str, ...] = ()  # names that are new in them


def drift_of(engine: Engine, shown: Mapping[int, str], clock: int) -> Drift:
    """Features, labels and features of vectors of one model."""
    versions = drift_versions(engine, shown, clock)
    codes = {text: code for code, text in enumerate(engine.versions.texts) if text}
    baselines = {
        codes[candidate]: codes[baseline]
        for candidate, baseline in live_releases(engine).items()
        if candidate in codes and baseline in codes
    }
    watches = (engine.features.watch, engine.labels.watch)
    features, labels = (
        []
        if watch is None or not watch.fixed.schema.features
        else list(assess_drift(engine.model, engine.tally, watch, versions, baselines, clock))
        for watch in watches
    )
    known = {name: one.watch for name, one in engine.features.vectors.known.items()}
    vectors = list(assess_vectors(engine.model, engine.tally, known, versions, baselines, clock))
    return Drift(versions, features, labels, vectors, *_schema_changed(engine, features, vectors, clock))


def drift_samples(engine: Engine, found: Drift) -> tuple[list[AnySamples], list[AnySamples]]:
    """(samples worth the most, the bins)."""
    columns, bins, moved = Columns(), Columns(), detected_inputs(found.vectors)
    schema, labels = engine.features.schema, engine.labels.schema
    for known, standings in ((schema, found.features), (labels, found.labels)):
        for standing in standings if known is not None else ():
            assert known is not None
            _standing(engine.model.name, known, standing, moved, columns, bins)
    vector_samples(engine.model.name, found.vectors, columns)
    names = [*(() if schema is None else schema.names), *engine.features.vectors.known]
    _learning(engine, names, found.versions.values(), columns)
    _importances(engine, columns)
    _schema_changes(engine, found, columns)
    return columns.samples(), bins.samples()


def _standing(model: str, schema: Schema, standing: Standing, also: Detected, columns: Columns, bins: Columns) -> None:
    place, window = (model, standing.version), window_label(standing.window)
    for comparison in standing.comparisons:
        vectors = also[standing.version, standing.window, comparison.reference]
        _comparison(place, window, schema, comparison, vectors, columns, bins)
    for number, name in enumerate(schema.names):
        row = (*place, name, window)
        _state(row, standing.states[number], columns)
        for condition, count in zip(CONDITIONS, standing.conditions[number].tolist(), strict=True):
            columns.add(catalogue.MODEL_FEATURE_RECORDS, (*row, condition), count)
        columns.add(catalogue.MODEL_DRIFT_DESIGN_EFFECT, row, float(standing.design_effect[number]))
        for bin_, count in zip(schema.bin_names[number], standing.compared[number].tolist(), strict=False):
            bins.add(catalogue.MODEL_FEATURE_BIN_RECORDS, (*place, name, bin_, window), count)


def _comparison(
    place: tuple[str, str],
    window: str,
    schema: Schema,
    found: Comparison,
    vectors: int,
    columns: Columns,
    bins: Columns,
) -> None:
    """`vectors` of the features that are not in the schema have moved."""
    reference = found.reference
    # The features come before the label, whose reference may be another size.
    columns.once(catalogue.MODEL_DRIFT_REFERENCE_RECORDS, (*place, reference, window), found.records)
    if not found.records:
        return
    inputs = [number for number, name in enumerate(schema.names) if not name.startswith(OWN)]
    moved = int(found.detected[inputs].sum()) + vectors
    columns.once(catalogue.MODEL_DRIFT_FEATURES_DETECTED, (*place, reference, window), moved)
    threshold = e_value(found.threshold_log)
    columns.once(catalogue.MODEL_DRIFT_EVIDENCE_THRESHOLD, (*place, reference), threshold)
    for number, name in enumerate(schema.names):
        row = (*place, name, reference, window)
        columns.add(catalogue.MODEL_DRIFT_DETECTED, row, float(found.detected[number]))
        columns.add(catalogue.MODEL_DRIFT_P_VALUE, row, float(found.p_value[number]))
        columns.add(catalogue.MODEL_DRIFT_CONTRIBUTION_RATIO, row, float(found.contribution[number]))
        for statistic, values in found.distance.items():
            there = (*place, name, statistic, reference, window)
            columns.add(catalogue.MODEL_DRIFT_DISTANCE, there, float(values[number]))
            columns.add(catalogue.MODEL_DRIFT_EXCESS, there, float(found.excess[statistic][number]))
        stream = (*place, name, reference)
        evidence = min(e_value(max(float(found.log_evidence[number]), math.log(1 / LARGEST))), LARGEST)
        columns.once(catalogue.MODEL_DRIFT_EVIDENCE, stream, evidence)
        if found.detected[number]:
            columns.once(catalogue.MODEL_DRIFT_START_TIMESTAMP_SECONDS, stream, int(found.start[number]) / 1000)
        for bin_, share in zip(schema.bin_names[number], found.proportions[number].tolist(), strict=False):
            bins.add(catalogue.MODEL_FEATURE_REFERENCE_BIN_RATIO, (*place, name, bin_, reference, window), share)


def _state(row: tuple[str, ...], state: str, columns: Columns) -> None:
    for one in STATES:
        columns.add(catalogue.MODEL_FEATURE_STATE, (*row, one), float(one == state))


def _learning(engine: Engine, known: Iterable[str], versions: Iterable[str], columns: Columns) -> None:
    """Features whose bins are not known yet."""
    everything = [*(one.name for one in watched(engine.model)), *engine.features.vectors.names]
    known = set(known)
    learned = engine.features.schema is not None  # what Tidegauge watches by itself and has no bins is not given
    names = [name for name in everything if name not in known and not (learned and name in (SCORE, PREDICTION))]
    for version in versions:
        for name in names:
            for window in engine.model.drift.windows:
                _state((engine.model.name, version, name, window_label(window)), "learning", columns)


def _importances(engine: Engine, columns: Columns) -> None:
    model = engine.model
    if any(feature.importance is not None for feature in model.features):
        for feature, share in zip(model.features, model.importances, strict=True):
            columns.add(catalogue.MODEL_FEATURE_IMPORTANCE_RATIO, (model.name, feature.name), share)


def _schema_changes(engine: Engine, found: Drift, columns: Columns) -> None:
    if engine.features.changes.start is None:  # nothing is known before the first record
        return
    for name in [feature.name for feature in engine.model.features]:
        row = (engine.model.name, name, "vanished")
        columns.add(catalogue.MODEL_SCHEMA_CHANGED, row, float(name in found.vanished))
    for name in found.appeared:
        columns.add(catalogue.MODEL_SCHEMA_CHANGED, (engine.model.name, name, "appeared"), 1.0)


def _schema_changed(
    engine: Engine, found: Sequence[Standing], vectors: Sequence[VectorStanding], clock: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(vanished, appeared)"""
    names = [feature.name for feature in engine.model.features]
    known, schema = engine.features.changes, engine.features.schema
    states: dict[str, set[str]] = {}  # by feature, where there are enough predictions to tell
    for standing in found if schema is not None else ():
        if schema is not None and standing.records >= LEAST_ROWS:
            for name, state in zip(schema.names, standing.states, strict=True):
                states.setdefault(name, set()).add(state)
    for vector in vectors:
        if vector.records >= LEAST_ROWS:
            states.setdefault(vector.name, set()).add(vector.state)
    gone = [name for name in names if states.get(name) == {"vanished"}]
    since = clock - min(engine.model.drift.windows, default=0)
    return schema_changes.vanished(known, names, gone, since), schema_changes.appeared(known, clock)
