"""What is published of releases: every measure of every stream, and the verdict about all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tidegauge.assess.detectors import quality
from tidegauge.assess.detectors.detector import ARRIVING
from tidegauge.assess.detectors.quality import Quality
from tidegauge.assess.measures.measure import Measure
from tidegauge.assess.releases.compared import Compared
from tidegauge.assess.releases.lifecycle import Release
from tidegauge.assess.releases.overall import overall
from tidegauge.assess.sequential.verdict import VERDICTS, Result
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.samples import Columns
from tidegauge.publish import catalogue
from tidegauge.publish.samples import AnySamples

OVERALL: Final = "overall"
LARGEST: Final = 1e15
"""Evidence beyond this is published as this."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a measure of a release stands; `compared` is None before anything could be compared."""

    measure: Measure
    compared: Compared | None

    @property
    def verdict(self) -> str:
        """In one word; of a measure without a good side it says nothing."""
        return "keep_watching" if self.compared is None else self.compared.verdict()


def releases_of(engine: Engine) -> Iterator[tuple[Release, list[Standing]]]:
    """The releases that still get traffic, with all their measures."""
    sealing = engine.sealing
    known = sealing.lifecycle
    streams = {stream.key: stream for stream in (ARRIVING, *engine.model.slots)}
    states: dict[str, Quality] = {key: sealing.state(quality.DETECTOR, stream) for key, stream in streams.items()}
    for release in known.releases:
        if known.lost(release.candidate, engine.tally.ladder.block):
            continue
        standings = []
        for measure in sealing.measures:
            stream = states[measure.stream].measures.get(measure.metric)
            standings.append(Standing(measure, None if stream is None else stream.compared.get(release.candidate)))
        yield release, standings


def baselines(engine: Engine) -> Mapping[str, str]:
    """The baseline of each version that is a release."""
    return {release.candidate: release.baseline for release in engine.sealing.lifecycle.releases}


def verdict_of(standings: list[Standing]) -> str:
    """About the whole release."""
    return overall(one.verdict for one in standings if one.measure.deciding)


def release_samples(engine: Engine, shown: set[str]) -> list[AnySamples]:
    """Everything about the releases of the versions that are shown."""
    columns = Columns()
    for release, standings in releases_of(engine):
        if release.candidate not in shown:
            continue
        place = (engine.model.name, release.candidate, release.baseline)
        _verdict(columns, (*place, "", OVERALL), verdict_of(standings))
        for standing in standings:
            row = (*place, standing.measure.channel, standing.measure.metric)
            if standing.measure.judged:
                _verdict(columns, row, standing.verdict)
            if standing.compared is not None:
                _comparison(columns, row, standing.measure, standing.compared)
    return columns.samples()


def _verdict(columns: Columns, row: tuple[str, ...], verdict: str) -> None:
    for one in VERDICTS:
        columns.add(catalogue.MODEL_RELEASE_VERDICT, (*row, one), float(one == verdict))


def _comparison(columns: Columns, row: tuple[str, ...], measure: Measure, compared: Compared) -> None:
    if measure.judged:
        columns.add(catalogue.MODEL_RELEASE_MARGIN, row, compared.frozen.margin)
    if compared.frozen.cap is not None and compared.rows > 0:
        columns.add(catalogue.MODEL_RELEASE_CLIPPED_RATIO, row, compared.clipped / compared.rows)
    plan = compared.frozen.plan
    thresholds = {"harm": 1 / plan.alpha_harm, "non_inferiority": 1 / plan.alpha_promote}
    for design, result in compared.results().items():
        here = (*row, design)
        difference, lower, upper = in_units(measure, result)
        columns.add(catalogue.MODEL_RELEASE_DIFFERENCE, here, difference)
        columns.add(catalogue.MODEL_RELEASE_DIFFERENCE_LOWER, here, lower)
        columns.add(catalogue.MODEL_RELEASE_DIFFERENCE_UPPER, here, upper)
        columns.add(catalogue.MODEL_RELEASE_SAMPLES, (*here, "candidate"), float(result.samples_candidate))
        columns.add(catalogue.MODEL_RELEASE_SAMPLES, (*here, "baseline"), float(result.samples_baseline))
        if not measure.judged:
            continue
        columns.add(catalogue.MODEL_RELEASE_SAMPLES_NEEDED, here, float(result.samples_needed))
        evidence = {"harm": result.log_evidence_harm_peak, "non_inferiority": result.log_evidence_non_inferiority}
        for hypothesis, log in evidence.items():
            columns.add(catalogue.MODEL_RELEASE_EVIDENCE, (*here, hypothesis), e_value(float(log)))
            columns.add(catalogue.MODEL_RELEASE_EVIDENCE_THRESHOLD, (*here, hypothesis), thresholds[hypothesis])


def e_value(log: float) -> float:
    """An e-value from its logarithm, at most LARGEST."""
    return math.exp(min(log, math.log(LARGEST)))


def in_units(measure: Measure, result: Result) -> tuple[float, float, float]:
    """Difference, lower and upper in the metric's own units; NaN where unknown."""
    ends = (measure.sign * float(result.lower), measure.sign * float(result.upper))
    return measure.sign * float(result.difference), min(ends), max(ends)
