"""What people see of releases: every measure of a new version against the one before it, and a verdict in words."""

from __future__ import annotations

import math
from dataclasses import replace

from tidegauge.assess.measures.measure import PROPORTION, Measure
from tidegauge.assess.releases.compared import Compared, speaking
from tidegauge.assess.sequential.verdict import Result
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.releases import Standing, e_value, in_units, releases_of, verdict_of
from tidegauge.publish.outlook_words import release_summary
from tidegauge.publish.report import ComparisonReport, ReleaseReport, moment


def release_reports(engine: Engine, clock: int) -> dict[str, ReleaseReport]:
    """By version, the releases that still get traffic. Of a version that was released twice the latest counts."""
    found = {}
    several = len(engine.model.channels) > 1
    for release, standings in releases_of(engine):
        comparisons = [report for standing in standings for report in comparisons_of(standing)]
        comparisons.sort(key=lambda one: not one.decides)
        report = ReleaseReport(
            version=release.candidate,
            baseline=release.baseline,
            verdict=verdict_of(standings),
            summary="",
            start_at=moment(release.start),
            end_at=moment(release.end),
            ended=clock >= release.end,
            comparisons=tuple(comparisons),
        )
        found[release.candidate] = replace(report, summary=release_summary(report, several=several))
    return found


def comparisons_of(standing: Standing) -> list[ComparisonReport]:
    """Of one measure; first the design that speaks, or the one that rolled back: its verdict stays."""
    results = {} if standing.compared is None else standing.compared.results()
    if not results or standing.compared is None:
        return [_nothing(standing.measure)]
    first = speaking(results)
    if standing.verdict == "roll_back" and results[first].verdict != "roll_back":
        first = next((design for design in results if results[design].verdict == "roll_back"), first)
    designs = [first, *(design for design in results if design != first)]
    return [_comparison(standing.measure, standing.compared, design, results[design]) for design in designs]


def _nothing(measure: Measure) -> ComparisonReport:
    return ComparisonReport(
        channel=measure.channel,
        metric=measure.metric,
        design=None,
        decides=measure.deciding,
        more_is_better=measure.sign < 0 if measure.judged else None,
        proportion=measure.kind == PROPORTION,
        verdict="keep_watching" if measure.judged else None,
        difference=None,
        lower=None,
        upper=None,
        margin=None,
        harm_evidence=None,
        harm_threshold=None,
        non_inferiority_evidence=None,
        non_inferiority_threshold=None,
        samples=0.0,
        baseline_samples=0.0,
        samples_needed=None,
        clipped_ratio=None,
    )


def _comparison(measure: Measure, compared: Compared, design: str, result: Result) -> ComparisonReport:
    difference, lower, upper = map(_known, in_units(measure, result))
    shown = replace(
        _nothing(measure),
        design=design,
        difference=difference,
        lower=lower,
        upper=upper,
        samples=float(result.samples_candidate),
        baseline_samples=float(result.samples_baseline),
        clipped_ratio=compared.clipped / compared.rows if compared.frozen.cap is not None and compared.rows else None,
    )
    if not measure.judged:
        return shown
    return replace(
        shown,
        verdict=str(result.verdict),
        margin=compared.frozen.margin,
        harm_evidence=e_value(float(result.log_evidence_harm_peak)),
        harm_threshold=1 / compared.frozen.plan.alpha_harm,
        non_inferiority_evidence=e_value(float(result.log_evidence_non_inferiority)),
        non_inferiority_threshold=1 / compared.frozen.plan.alpha_promote,
        samples_needed=_known(float(result.samples_needed)),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
