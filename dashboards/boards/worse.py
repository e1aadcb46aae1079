"""What says that something has become worse: verdicts about releases, and evidence of change against its threshold."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.panels import DASHED, RED, Json, Panel, Query, by_name, colour, timeseries
from dashboards.promql import Scope, highest, lowest, ratio
from tidegauge.assess.releases.compared import FEW

RELEASE_KEY = ("model", "version", "baseline_version")
MEASURE = ("version", "channel", "metric")
DESIGN = (*MEASURE, "design")
OVERALL = 'metric="overall"'
LEAST_SHOWN, MOST_SHOWN = 1e-3, 1e3
"""Evidence over its threshold is shown between these: beyond them it is only more of the same."""

NO_RELEASE = (
    "No release is compared: the version was the first, has returned or lost its traffic, or no other had 1,000"
    " predictions in the day before"
)
NOT_LEARNED = "Nothing is learned yet: that takes 5,000 labels and change.learning (7 days)"


def verdict_code(scope: Scope, by: Sequence[str], *labels: str, where: str = "") -> str:
    """0 promote, 1 keep watching, 2 roll back; of several exporters, of which one may say roll back, the highest."""

    def coded(code: int, verdict: str) -> str:
        matchers = ", ".join(filter(None, (where, f'verdict="{verdict}"')))
        return f"{code} * {scope.select('model_release_verdict', *labels, where=matchers)}"

    return highest(by, " or ".join((coded(0, "promote"), coded(1, "keep_watching"), coded(2, "roll_back"))))


def change_code(scope: Scope, by: Sequence[str], *labels: str) -> str:
    """0 learning, 1 watching, 2 detected; of several exporters the highest."""

    def coded(code: int, state: str) -> str:
        where = f'state="{state}"'
        return f"{code} * {scope.select('model_change_state', *labels, where=where)}"

    return highest(by, " or ".join((coded(0, "learning"), coded(1, "watching"), coded(2, "detected"))))


def latest(scope: Scope, *labels: str) -> str:
    """The release that began last of those chosen, by version."""
    return f"topk(1, {highest(('version',), scope.select('model_release_start_timestamp_seconds', *labels))})"


def deciding_design(scope: Scope, *labels: str) -> str:
    """By measure, the design that its verdict is taken from: most rows speak for it (see the exporter's `FEW`)."""

    def rows(design: str) -> str:
        where = f'arm="candidate", design="{design}"'
        return highest(DESIGN, scope.select("model_release_samples", *labels, where=where))

    weight = round((1 - FEW) / FEW, 6)
    return f"topk by ({', '.join(MEASURE)}) (1, {weight:g} * {rows('concurrent')} or {rows('before_after')})"


def over_threshold(scope: Scope, family: str, by: Sequence[str], *labels: str, where: str = "") -> str:
    """Evidence over the threshold from which on it counts; `family` without its ending."""
    ending = "_evidence_threshold" if "release" in family else "_threshold"
    evidence = highest(by, scope.select(f"{family}_evidence", *labels, where=where))
    return ratio(evidence, lowest(by, scope.select(f"{family}{ending}", *labels, where=where)))


def evidence_panel(
    title: str,
    description: str,
    expr: str,
    legend: str,
    *,
    empty: str,
    width: int = 12,
    threshold: str = RED,
    links: Sequence[Json] = (),
) -> Panel:
    """Evidence as a multiple of its threshold, on a logarithmic axis; dashed at 1, where it is enough."""
    shown = f"clamp({expr}, {LEAST_SHOWN:g}, {MOST_SHOWN:g})"
    return timeseries(
        title,
        f"{description} Dashed at 1: from there on it is enough. Shown from {LEAST_SHOWN:g} to {MOST_SHOWN:g}.",
        Query(shown, legend),
        Query(f"0 * count({expr}) + 1", "enough"),
        unit="none",
        minimum=LEAST_SHOWN,
        maximum=MOST_SHOWN,
        logarithmic=True,
        empty=empty,
        width=width,
        overrides=(by_name("enough", color=colour(threshold), custom_lineStyle=DASHED),),
        links=links,
    )
