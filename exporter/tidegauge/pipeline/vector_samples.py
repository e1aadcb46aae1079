"""What is published of a model's features of vectors, in the families of the other features."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from tidegauge.assess.drift.assessment import OWN
from tidegauge.assess.drift.quality import STATES
from tidegauge.assess.drift.vector_assessment import VectorComparison, VectorStanding
from tidegauge.pipeline.releases import LARGEST, e_value
from tidegauge.pipeline.samples import Columns, window_label
from tidegauge.publish import catalogue
from tidegauge.tally.features.schema import CONDITIONS

MMD: Final = "mmd"
"""Maximum mean discrepancy, squared: the statistic of vectors."""

Detected = Counter[tuple[str, int, str]]
"""Features detected, by version, window (ms) and reference."""


def detected_inputs(standings: Iterable[VectorStanding]) -> Detected:
    """How many of the configured features have moved."""
    found: Detected = Counter()
    for standing in standings:
        if not standing.name.startswith(OWN):
            for comparison in standing.comparisons:
                place = (standing.version, standing.window, comparison.reference)
                found[place] += comparison.detected
    return found


def vector_samples(model: str, standings: Iterable[VectorStanding], columns: Columns) -> None:
    """Adds what is known of vectors, after what is known of other features."""
    found = list(standings)
    moved = detected_inputs(found)
    for standing in found:
        window = window_label(standing.window)
        row = (model, standing.version, standing.name, window)
        for comparison in standing.comparisons:
            _comparison(model, standing, comparison, moved, columns)
        for state in STATES:
            columns.add(catalogue.MODEL_FEATURE_STATE, (*row, state), float(state == standing.state))
        for condition, count in zip(CONDITIONS, standing.conditions.tolist(), strict=True):
            columns.add(catalogue.MODEL_FEATURE_RECORDS, (*row, condition), count)
        columns.add(catalogue.MODEL_DRIFT_DESIGN_EFFECT, row, standing.design_effect)


def _comparison(
    model: str, standing: VectorStanding, found: VectorComparison, moved: Detected, columns: Columns
) -> None:
    place, window, reference = (model, standing.version), window_label(standing.window), found.reference
    columns.once(catalogue.MODEL_DRIFT_REFERENCE_RECORDS, (*place, reference, window), found.records)
    if not found.records:
        return
    count = moved[standing.version, standing.window, reference]
    columns.once(catalogue.MODEL_DRIFT_FEATURES_DETECTED, (*place, reference, window), count)
    columns.once(catalogue.MODEL_DRIFT_EVIDENCE_THRESHOLD, (*place, reference), e_value(found.threshold_log))
    row = (*place, standing.name, reference, window)
    columns.add(catalogue.MODEL_DRIFT_DETECTED, row, float(found.detected))
    columns.add(catalogue.MODEL_DRIFT_P_VALUE, row, found.p_value)
    there = (*place, standing.name, MMD, reference, window)
    columns.add(catalogue.MODEL_DRIFT_DISTANCE, there, found.distance)
    columns.add(catalogue.MODEL_DRIFT_EXCESS, there, found.excess)
    stream = (*place, standing.name, reference)
    evidence = min(e_value(max(found.log_evidence, math.log(1 / LARGEST))), LARGEST)
    columns.once(catalogue.MODEL_DRIFT_EVIDENCE, stream, evidence)
    if found.detected:
        columns.once(catalogue.MODEL_DRIFT_START_TIMESTAMP_SECONDS, stream, found.start / 1000)
