"""The generated parts of docs/metrics.md: every family, every value of `metric`, and the words of other labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docs.generator.configuration import shown_range
from docs.generator.pages import table
from tidegauge.assess.counts import STATE_MEANINGS
from tidegauge.assess.detectors import DETECTORS
from tidegauge.config.definitions import DEFINITIONS
from tidegauge.config.drift_definitions import (
    CONDITION_MEANINGS,
    DRIFT_DEFINITIONS,
    FEATURE_STATE_MEANINGS,
    REFERENCE_MEANINGS,
    SCHEMA_CHANGE_MEANINGS,
    VECTOR_DEFINITIONS,
    WATCHED_MEANINGS,
)
from tidegauge.config.metrics import METRICS
from tidegauge.decode.columns import REASON_MEANINGS
from tidegauge.join.join import RESULT_MEANINGS
from tidegauge.publish.catalogue import FAMILIES
from tidegauge.publish.explanations import LABELS, QUESTIONS, RECORD_RESULTS, explain
from tidegauge.publish.samples import Family
from tidegauge.sources.block import EVENT_MEANINGS

_UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "ratio": "ratio, 0 to 1",
    "total": "a count",
    "info": "always 1",
    "state": "0 or 1",
    "score": "the metric's own",
    "lower": "the metric's own",
    "upper": "the metric's own",
    "objective": "the metric's own",
    "distance": "the statistic's own",
    "excess": "the statistic's own",
    "p_value": "probability, 0 to 1",
    "features_detected": "a count",
    "detected": "0 or 1",
    "changed": "0 or 1",
    "evidence": "none",
    "threshold": "as the evidence",
    "effect": "a factor, at least 1",
}


def parts() -> Mapping[str, str]:
    """Each part by its name in the page."""
    return {
        "families": _families(families()),
        "labels": _words("label", {name: LABELS[name] for name in sorted(_labels())}),
        "metrics": "\n\n".join(_metric(name) for name in DEFINITIONS),
        "statistics": "\n\n".join(_statistic(name) for name in (*DRIFT_DEFINITIONS, *VECTOR_DEFINITIONS)),
        "watched": _words("feature", WATCHED_MEANINGS),
        "references": _words("reference", REFERENCE_MEANINGS),
        "conditions": _words("condition", CONDITION_MEANINGS),
        "feature-states": _words("state", FEATURE_STATE_MEANINGS),
        "schema-changes": _words("change", SCHEMA_CHANGE_MEANINGS),
        "states": _words("state", STATE_MEANINGS),
        "results": _words("result", RESULT_MEANINGS),
        "records": _words("result", {**RECORD_RESULTS, **REASON_MEANINGS}),
        "events": _words("event", EVENT_MEANINGS),
    }


def families() -> list[Family]:
    """Those of the catalogue, then those that only detectors publish."""
    known = {family.name for family in FAMILIES}
    further = [one for detector in DETECTORS for one in detector.families if one.name not in known]
    return [*FAMILIES, *(Family(one.name, one.kind, one.help, one.labels) for one in further)]


def _labels() -> set[str]:
    return {label for family in families() for label in family.labels}


def _words(what: str, meanings: Mapping[str, str]) -> str:
    return table((what, "meaning"), [(f"`{name}`", text) for name, text in meanings.items()])


def _families(listed: Sequence[Family]) -> str:
    return "\n\n".join(_family(family) for family in listed)


def _family(family: Family) -> str:
    explanation = explain(family.name)
    facts = [f"type: {family.kind}", f"unit: {unit(family.name)}", f"several exporters: {explanation.merge}"]
    lines = [f"### `{family.name}`", "", family.help, ""]
    lines.append("- labels: " + (", ".join(f"`{label}`" for label in family.labels) or "none"))
    lines.append("- " + "; ".join(facts))
    if explanation.absent:
        lines.append(f"- absent when: {explanation.absent}")
    for one in QUESTIONS.get(family.name, ()):
        lines += ["", f"{one.question}", "", "```promql", one.query, "```"]
    return "\n".join(lines)


def unit(name: str) -> str:
    """The unit of a family's values, which its name says."""
    plain = name.removesuffix("_total")
    for ending, words in _UNITS.items():
        if plain.endswith(f"_{ending}"):
            return words
    return "a count"


def _metric(name: str) -> str:
    definition = DEFINITIONS[name]
    rows = [metric for metric in METRICS if metric.name == name]
    ranges = "; ".join(
        shown_range(metric.low, metric.high) + (f" ({', '.join(metric.tasks)})" if len(rows) > 1 else "")
        for metric in rows
    )
    tasks = ", ".join(task for metric in rows for task in metric.tasks)
    better = "more is better" if rows[0].direction == "at_least" else "less is better"
    lines = [
        f"### `{name}`",
        "",
        definition.sentence,
        "",
        f"- formula: {definition.formula}",
        f"- range: {ranges}; {better} (`{rows[0].direction}`)",
        f"- tasks: {tasks}; channels: {', '.join(rows[0].kinds)}",
        f"- interval: {definition.interval}",
        f"- several exporters: {definition.merge}",
    ]
    return "\n".join(lines + ([f"- after: {definition.source}"] if definition.source else []))


def _statistic(name: str) -> str:
    definition = (dict(DRIFT_DEFINITIONS) | dict(VECTOR_DEFINITIONS))[name]
    lines = [
        f"### `{name}`",
        "",
        definition.sentence,
        "",
        f"- formula: {definition.formula}",
        f"- range: {definition.range}",
        f"- by chance alone: {definition.noise}",
        f"- thresholds that people know: {definition.folklore}",
        f"- the same elsewhere: {definition.same_as}",
        f"- use it: {definition.use}",
        f"- after: {definition.source}",
    ]
    return "\n".join(lines)
