"""How good is it, since when? One model, its versions side by side, everything on one time axis."""

from __future__ import annotations

from dashboards.board import Board, Section, cell, drill, firing, releases, scope_of
from dashboards.boards import model_changes, model_details
from dashboards.boards.common import (
    MODEL,
    NO_EXPORTER,
    NO_SCORE,
    NO_TRAFFIC,
    SLICES,
    coverage,
    coverage_panel,
    error_ratio,
    predictions,
    to_drift,
    to_release,
    variables,
)
from dashboards.boards.worse import OVERALL, verdict_code
from dashboards.panels import (
    DASHED,
    GREEN,
    PLAIN,
    RED,
    RELEASE_VERDICTS,
    SEVERITIES,
    STATE_CODES,
    STATE_TEXTS,
    Panel,
    Query,
    by_name,
    by_pattern,
    colour,
    state_timeline,
    timeseries,
)
from dashboards.promql import OK, highest, lowest, pooled, state_code, total
from dashboards.tables import Column, table

VARIABLES = variables(several=("version",))
SCOPE = scope_of(VARIABLES)
SERIES = ("model", "version", "channel", "window")
CHOSEN = (*SERIES, "metric")
BY_VERSION = ("version",)
TRAFFIC = ("model", "version")

_objective = SCOPE.select("model_quality_objective", "model", "version", "channel", "metric")
_baseline = SCOPE.select("model_quality_baseline_score", *CHOSEN)
_lower = SCOPE.select("model_quality_score_lower", *CHOSEN)
_upper = SCOPE.select("model_quality_score_upper", *CHOSEN)
_samples = SCOPE.select("model_quality_samples", *CHOSEN)
_row_link = (
    drill("Open the slices of this version", SLICES, version=cell("Version")),
    to_release(version=cell("Version")),
    to_drift(version=cell("Version")),
)

VERSIONS = table(
    "Versions now",
    "The chosen metric of each version with its 95 % interval, what it rests on, and how much of the traffic the "
    "version has. Baseline is the best constant answer on the same labels: a model should beat it.",
    [
        Column("Version", "version", links=_row_link),
        Column("Score", expr=pooled(SCOPE, "model_quality", BY_VERSION, *CHOSEN), decimals=3),
        Column("Lower", expr=lowest(BY_VERSION, _lower), decimals=3),
        Column("Upper", expr=highest(BY_VERSION, _upper), decimals=3),
        Column("Objective", expr=highest(BY_VERSION, _objective), decimals=3, absent="none"),
        Column(
            "Baseline",
            expr=highest(
                BY_VERSION, SCOPE.select("model_quality_baseline_score", *CHOSEN, where='baseline="constant"')
            ),
            decimals=3,
        ),
        Column(
            "State",
            "state",
            f"max by (version, state) ({SCOPE.select('model_quality_state', *CHOSEN)} == 1)",
            texts=STATE_TEXTS,
            width=140,
        ),
        Column(
            "Release",
            expr=verdict_code(SCOPE, BY_VERSION, *TRAFFIC, where=OVERALL),
            texts=RELEASE_VERDICTS,
            links=(to_release(version=cell("Version")),),
            width=110,
            absent="no release",
        ),
        Column("Samples", expr=highest(BY_VERSION, _samples), unit="short"),
        Column("Coverage", expr=coverage(SCOPE, BY_VERSION, *SERIES), unit="percentunit", decimals=0),
        Column(
            "Share of traffic",
            expr=f"{predictions(SCOPE, BY_VERSION, *TRAFFIC)} / scalar({predictions(SCOPE, (), 'model')} > 0)",
            unit="percentunit",
            decimals=0,
            width=120,
        ),
        Column(
            "First seen",
            expr=lowest(BY_VERSION, SCOPE.select("model_version_first_prediction_timestamp_seconds", *TRAFFIC))
            + " * 1000",
            unit="dateTimeAsIso",
            width=170,
        ),
    ],
    unit="none",
    empty=NO_EXPORTER,
    width=24,
    height=5,
    sort="First seen",
    descending=True,
)


def _trusted(expr: str, by: tuple[str, ...], *labels: str, where: str = "") -> str:
    """The values where some exporter has enough samples: the first few would stretch the axis, and say nothing."""
    states = SCOPE.select("model_quality_state", *labels, where=", ".join(filter(None, (where, OK))))
    return f"{expr} and on ({', '.join(by)}) ({highest(by, states)} == 1)"


def _others() -> str:
    """Scores of the versions that the panel is not about; while it repeats, $version is one of them."""
    labels, others = (*(label for label in CHOSEN if label != "version"),), 'version!~"$version"'
    scores = pooled(SCOPE, "model_quality", BY_VERSION, *labels, where=others)
    return _trusted(scores, BY_VERSION, *labels, where=others)


def _band(title: str) -> Panel:
    """One version's score within its interval; names are fixed, so that the area between the ends can be filled.

    The other versions are thin lines: Grafana cannot fill a band for each of several series of one query.
    """
    return timeseries(
        title,
        "The score with its pointwise 95 % interval: where it likely is, for looking at. Thin lines are the other "
        "versions, the dashed ones the objective and the best constant answer.",
        Query(_trusted(pooled(SCOPE, "model_quality", (), *CHOSEN), (), *CHOSEN), "score"),
        Query(_trusted(lowest((), _lower), (), *CHOSEN), "lower"),
        Query(_trusted(highest((), _upper), (), *CHOSEN), "upper"),
        Query(_others(), "{{version}}"),
        Query(highest((), _objective), "objective"),
        Query(_trusted(highest(("baseline",), _baseline), (), *CHOSEN), "baseline: {{baseline}}"),
        unit="none",
        decimals=3,
        empty=NO_SCORE,
        width=12,
        repeat="version",
        overrides=(
            by_pattern(".*", custom_lineWidth=1, custom_showPoints="never"),
            by_name("score", color=colour(GREEN), custom_lineWidth=2),
            by_name("lower", color=colour(GREEN), custom_lineWidth=0),
            by_name(
                "upper",
                color=colour(GREEN),
                custom_lineWidth=0,
                custom_fillBelowTo="lower",
                custom_fillOpacity=20,
            ),
            by_name("objective", color=colour(RED), custom_lineStyle=DASHED, custom_lineWidth=2),
            by_pattern("^baseline", color=colour(PLAIN), custom_lineStyle=DASHED),
        ),
    )


QUALITY = timeseries(
    "Quality by version",
    "The chosen metric of each version with enough samples, over the chosen window as of each moment, and the "
    "objective (dashed). Blue marks show when a version was first seen, red ones when alerts fired.",
    Query(_trusted(pooled(SCOPE, "model_quality", BY_VERSION, *CHOSEN), BY_VERSION, *CHOSEN), "{{version}}"),
    Query(highest((), _objective), "objective"),
    unit="none",
    decimals=3,
    empty=NO_SCORE,
    width=12,
    overrides=(by_name("objective", color=colour(RED), custom_lineStyle=DASHED),),
)

SAMPLES = timeseries(
    "Samples behind the score",
    "Effective number of labelled predictions that the score rests on; of several exporters, the largest.",
    Query(highest(BY_VERSION, _samples), "{{version}}"),
    unit="short",
    minimum=0,
    empty=NO_SCORE,
    width=6,
)

STATES = state_timeline(
    "Why is there a score, or none",
    "The state of the chosen metric of each version.",
    Query(state_code(SCOPE, "model_quality_state", BY_VERSION, *CHOSEN), "{{version}}"),
    texts=STATE_CODES,
    empty=NO_EXPORTER,
    width=12,
    height=6,
)

FIRING = table(
    "Firing alerts",
    "Alerts about this model that fire now.",
    [
        Column("Alert", "alertname", width=210),
        Column("Severity", "severity", texts=SEVERITIES, width=90),
        Column("Version", "version"),
        Column("Metric", "metric", width=120),
        Column(
            "Firing",
            expr="max by (alertname, severity, version, metric) "
            '(ALERTS{alertstate="firing", severity!="none", model="$model"})',
            texts={"1": ("now", RED)},
            width=70,
        ),
    ],
    unit="none",
    empty="No alert about this model is firing",
    width=12,
    height=6,
)


def _latency(quantile: float) -> Query:
    buckets = total(("le", "version"), SCOPE.rate("model_prediction_latency_seconds_bucket", *TRAFFIC))
    return Query(f"histogram_quantile({quantile}, {buckets}) > 0", f"{{{{version}}}} p{round(quantile * 100)}")


SERVICE = (
    timeseries(
        "Traffic by version",
        "Predictions a second that were shown to somebody, stacked.",
        Query(predictions(SCOPE, BY_VERSION, *TRAFFIC), "{{version}}"),
        unit="reqps",
        minimum=0,
        stacked=True,
        empty=NO_TRAFFIC,
    ),
    timeseries(
        "Predictions without an answer",
        "Share of the predictions that gave an error instead of an answer.",
        Query(error_ratio(SCOPE, BY_VERSION, *TRAFFIC), "{{version}}"),
        unit="percentunit",
        minimum=0,
        empty=NO_TRAFFIC,
    ),
    timeseries(
        "Latency",
        "What half, and 95 of 100 predictions stay below, of those whose record says how long they took.",
        _latency(0.5),
        _latency(0.95),
        unit="s",
        minimum=0,
        empty="No record of this model says how long it took (latency_ms)",
    ),
)

BOARD = Board(
    uid=MODEL,
    title="Tidegauge / Model",
    question="How good is it, since when?",
    variables=VARIABLES,
    annotations=(
        releases(SCOPE),
        firing('alertname=~"Model.+", model="$model"'),
    ),
    sections=(
        Section(
            "How good is it, since when?",
            (
                VERSIONS,
                QUALITY,
                coverage_panel(coverage(SCOPE, BY_VERSION, *SERIES), "{{version}}", width=6),
                SAMPLES,
                STATES,
                FIRING,
            ),
        ),
        Section("Does it get worse by itself, and when will it be too bad?", model_changes.CHANGES),
        Section("How sure is that? Each version with its interval", (_band("Version $version"),)),
        Section("What exactly is wrong?", model_details.QUALITY),
        Section("What says so before the labels come?", model_details.PROXIES),
        Section("Is it the service?", SERVICE),
    ),
)
