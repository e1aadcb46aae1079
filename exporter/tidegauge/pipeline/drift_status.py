"""What people see of drift and of data quality: from what was published of it, without computing anything anew."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tidegauge.assess.drift.assessment import Comparison, Standing
from tidegauge.assess.drift.quality import BROKEN, LEAST_ROWS
from tidegauge.assess.drift.vector_assessment import VectorComparison, VectorStanding
from tidegauge.assess.drift.watch import FIRST
from tidegauge.pipeline.drift import Drift, live_releases
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.labels import LABEL
from tidegauge.pipeline.releases import LARGEST, e_value
from tidegauge.pipeline.samples import window_label
from tidegauge.publish.drift_words import IMPAIRED, drift_summary, feature_summary, is_answer
from tidegauge.publish.report import DistributionReport, DriftReport, FeatureComparisonReport, FeatureReport, moment
from tidegauge.tally.features.schema import Schema
from tidegauge.tally.features.watched import watched

MOST_DRAWN: Final = 3
"""Features of a window whose distributions are reported."""


def drift_reports(engine: Engine, found: Drift) -> dict[str, tuple[DriftReport, ...]]:
    """By version, of those that are watched; the longest window first."""
    places: dict[tuple[str, int], list[tuple[Schema, Standing]]] = {}
    for schema, standings in ((engine.features.schema, found.features), (engine.labels.schema, found.labels)):
        for standing in standings if schema is not None else ():
            assert schema is not None
            places.setdefault((standing.version, standing.window), []).append((schema, standing))
    vectors: dict[tuple[str, int], list[VectorStanding]] = {}
    for vector in found.vectors:
        vectors.setdefault((vector.version, vector.window), []).append(vector)
    names = [one.name for one in watched(engine.model)] + list(engine.features.vectors.names)
    names += [LABEL] if engine.labels.slot is not None else []
    if not names:
        return {}
    baselines = live_releases(engine)
    return {
        version: tuple(
            _report(
                engine,
                names,
                window,
                places.get((version, window), ()),
                vectors.get((version, window), ()),
                baselines.get(version),
            )
            for window in sorted(engine.model.drift.windows, reverse=True)
        )
        for version in found.versions.values()
    }


def _report(
    engine: Engine,
    names: Sequence[str],
    window: int,
    standings: Sequence[tuple[Schema, Standing]],
    vectors: Sequence[VectorStanding],
    baseline: str | None,
) -> DriftReport:
    features: list[FeatureReport] = []
    drawn: dict[str, _Drawn] = {}
    for schema, standing in standings:
        features += _features(schema, standing)
        drawn |= {name: _Drawn(schema, standing, number) for number, name in enumerate(schema.names)}
    features += [_vector(one) for one in vectors]
    known = {one.feature for one in features}
    features += [_unknown(name) for name in names if name not in known]
    places = {name: number for number, name in enumerate(names)}
    features.sort(key=lambda one: _rank(one, places.get(one.feature, len(names))))
    chosen = _most_moved([one for one in features if one.feature in drawn])  # vectors have no bins
    learned, needed = _learning(engine)
    report = DriftReport(
        window=window_label(window),
        window_seconds=window / 1000,
        state="",
        summary="",
        records=max([standing.records for _, standing in standings] + [one.records for one in vectors], default=0),
        learned=learned,
        learning_needed=needed,
        baseline=baseline,
        features=tuple(
            replace(one, distribution=drawn[one.feature].distribution(one)) if one.feature in chosen else one
            for one in features
        ),
    )
    report = replace(report, state=_state(report, learning=not known - {LABEL}))
    return replace(report, summary=drift_summary(report))


def _features(schema: Schema, standing: Standing) -> list[FeatureReport]:
    comparisons = [_comparisons(one) for one in standing.comparisons]
    rows = standing.compared.sum(axis=-1).tolist()
    return [
        _feature(
            name,
            standing.states[number],
            int(rows[number]),
            standing.conditions[number].tolist(),
            tuple(one[number] for one in comparisons),
            standing.broken_since[number],
        )
        for number, name in enumerate(schema.names)
    ]


def _vector(standing: VectorStanding) -> FeatureReport:
    held = tuple(_of_vectors(one) for one in standing.comparisons)
    return _feature(standing.name, standing.state, standing.records, standing.conditions.tolist(), held)


def _feature(
    name: str,
    state: str,
    records: int,
    conditions: Sequence[int],
    held: tuple[FeatureComparisonReport, ...],
    broken_since: int = 0,
) -> FeatureReport:
    valid, missing, unseen, out_of_range, invalid, non_finite = conditions
    report = FeatureReport(
        feature=name,
        state=state,
        broken=name != LABEL and state in BROKEN,
        detected=any(one.detected for one in held),
        summary="",
        records=records,
        valid=valid,
        missing=missing,
        unseen=unseen,
        out_of_range=out_of_range,
        invalid=invalid,
        non_finite=non_finite,
        comparisons=held,
        broken_since=moment(broken_since) if broken_since else None,
    )
    return replace(report, summary=feature_summary(report))


def _comparisons(found: Comparison) -> list[FeatureComparisonReport]:
    """Of every feature against one reference."""
    rows = zip(
        found.effect.tolist(),
        found.p_value.tolist(),
        found.log_evidence.tolist(),
        found.detected.tolist(),
        found.start.tolist(),
        found.contribution.tolist(),
        strict=True,
    )
    return [
        FeatureComparisonReport(
            reference=found.reference,
            records=found.records,
            effect=_known(effect),
            p_value=_known(p_value),
            evidence=_evidence(log),
            threshold=e_value(found.threshold_log),
            detected=detected,
            start_at=moment(start) if detected else None,
            contribution=_known(contribution),
        )
        for effect, p_value, log, detected, start, contribution in rows
    ]


def _of_vectors(found: VectorComparison) -> FeatureComparisonReport:
    return FeatureComparisonReport(
        reference=found.reference,
        records=found.records,
        effect=_known(found.effect),
        p_value=_known(found.p_value),
        evidence=_evidence(found.log_evidence),
        threshold=e_value(found.threshold_log),
        detected=found.detected,
        start_at=moment(found.start) if found.detected else None,
        contribution=None,
    )


def _evidence(log: float) -> float | None:
    return None if math.isnan(log) else e_value(max(log, math.log(1 / LARGEST)))


def _unknown(name: str) -> FeatureReport:
    """A feature whose bins are not known yet."""
    return FeatureReport(name, "learning", False, False, "", 0, 0, 0, 0, 0, 0, 0)


def _rank(one: FeatureReport, place: int) -> tuple[bool, bool, bool, bool, float, int]:
    """Answers first; then what is broken, what has moved, by its share of the shift, and what is impaired."""
    parts = [held.contribution or 0.0 for held in one.comparisons if held.detected or not one.detected]
    if is_answer(one):
        return False, False, False, False, 0.0, place
    return True, not one.broken, not one.detected, one.state not in IMPAIRED, -max(parts, default=0.0), place


def _most_moved(features: Sequence[FeatureReport]) -> set[str]:
    """Those whose distributions are worth a look: the first answer that moved, the inputs that moved most, the rest."""
    moved = [one for one in features if one.detected and one.state != "vanished"]
    answers = [one for one in moved if is_answer(one)]
    inputs = [one for one in moved if not is_answer(one)]
    return {one.feature for one in (*answers[:1], *inputs, *answers[1:])[:MOST_DRAWN]}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Where a feature's bins are found."""

    schema: Schema
    standing: Standing
    number: int

    def distribution(self, one: FeatureReport) -> DistributionReport | None:
        """Now and in the first reference that it has moved against."""
        reference = next(held.reference for held in one.comparisons if held.detected)
        found = next(held for held in self.standing.comparisons if held.reference == reference)
        names = self.schema.bin_names[self.number]
        now = self.standing.compared[self.number, : len(names)]
        then = found.proportions[self.number, : len(names)]
        if not now.any() or not np.isfinite(then).all():
            return None
        return DistributionReport(reference, names, tuple((now / now.sum()).tolist()), tuple(then.tolist()))


def _learning(engine: Engine) -> tuple[int, int]:
    """Predictions that are learned from so far, and how many are needed; (0, 0) where nothing is learned."""
    features, drift = engine.features, engine.model.drift
    if features.learning:
        return features.learned, drift.learning
    watch = features.watch
    if watch is None or watch.fixed.training is not None or FIRST not in drift.references or watch.first.complete:
        return 0, 0
    return watch.first.records, drift.first


def _state(one: DriftReport, *, learning: bool) -> str:
    """The worst that is to be said."""
    held: Mapping[str, bool] = {
        "broken": any(feature.broken for feature in one.features),
        "moved": any(feature.detected for feature in one.features),
        "impaired": any(feature.state in IMPAIRED for feature in one.features),
        "learning": learning,
        "insufficient_samples": one.records < LEAST_ROWS,
        "no_reference": not any(held.records for feature in one.features for held in feature.comparisons),
    }
    return next((state for state, holds in held.items() if holds), "steady")


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
