"""Which of my models is in trouble? A row a model, version and objective; each row leads to the model."""

from __future__ import annotations

from dashboards.board import Board, Section, cell, drill, firing, releases, scope_of
from dashboards.boards.common import (
    FLEET,
    NO_EXPORTER,
    NO_TRAFFIC,
    SLICES,
    coverage,
    coverage_panel,
    error_ratio,
    predictions,
    series_to_model,
    to_drift,
    to_model,
    to_release,
    variables,
)
from dashboards.boards.worse import MEASURE, OVERALL, RELEASE_KEY, over_threshold, verdict_code
from dashboards.panels import (
    CLEAR,
    GREEN,
    RED,
    RELEASE_VERDICTS,
    SEVERITIES,
    STATE_CODES,
    STATE_TEXTS,
    VERDICTS,
    YELLOW,
    Query,
    stat,
    state_timeline,
    timeseries,
)
from dashboards.promql import HEADLINES, OK, highest, lowest, pooled, state_code, total
from dashboards.tables import Column, table

VARIABLES = variables(several=("model", "version", "channel", "metric"))
SCOPE = scope_of(VARIABLES)
KEY = ("model", "version", "channel", "metric")
LABELS = ("model", "version", "channel", "metric", "window")
ON = f"on ({', '.join(KEY)})"
ONE_VERSION = ("model", "version")

_objective = SCOPE.select("model_quality_objective", *KEY)
_headline = SCOPE.select("model_quality_state", *LABELS, where=f'metric=~"{HEADLINES}"')
SHOWN = (
    f"(group by ({', '.join(KEY)}) ({_objective}) or group by ({', '.join(KEY)}) ({_headline})"
    f" unless on (model, version, channel) {_objective})"
)
"""The scores a fleet is judged by: those with an objective, and one headline metric where a channel has none."""

_score = pooled(SCOPE, "model_quality", KEY, *LABELS)
_lower = lowest(KEY, SCOPE.select("model_quality_score_lower", *LABELS))
_upper = highest(KEY, SCOPE.select("model_quality_score_upper", *LABELS))


def _target(direction: str) -> str:
    return highest(KEY, SCOPE.select("model_quality_objective", *KEY, where=f'direction="{direction}"'))


_at_least, _at_most = _target("at_least"), _target("at_most")
# 2: the whole interval keeps the objective, 0: the whole interval misses it, 1: it can still be either.
VERDICT = (
    f"({_lower} >= bool {ON} {_at_least}) + {ON} ({_upper} >= bool {ON} {_at_least})"
    f" or ({_upper} <= bool {ON} {_at_most}) + {ON} ({_lower} <= bool {ON} {_at_most})"
)
_known = f"({_score} and {ON} {highest(KEY, SCOPE.select('model_quality_state', *LABELS, where=OK))} == 1)"
HEADROOM = f"{_known} / {ON} ({_at_least} != 0) - 1 or 1 - {_known} / {ON} ({_at_most} != 0)"

_alerts = 'ALERTS{alertstate="firing", severity!="none", model=~"$model"'
_none = f"0 * group by (model, version) ({SHOWN})"
ALERTS_OF_VERSION = (
    f'0 * {SHOWN} + on (model, version) group_left () (count by (model, version) ({_alerts}, version!=""}}) or {_none})'
    f' + on (model) group_left () (count by (model) ({_alerts}, version=""}}) or 0 * group by (model) ({SHOWN}))'
)
_firing = (
    'max by (alertname, severity, model, version, metric) (ALERTS{alertstate="firing", '
    'alertname=~"(Model|Tidegauge).+", severity!="none"})'
)


def _on_rows(query: str, *labels: str) -> str:
    """A value of fewer labels, on every row of the table."""
    return f"{SHOWN} * on ({', '.join(labels)}) group_left () {query}"


_row_links = (
    to_model(**{name: cell(name.title()) for name in KEY}),
    drill("Open its slices", SLICES, **{name: cell(name.title()) for name in KEY}),
    to_drift(**{name: cell(name.title()) for name in KEY}),
)

MODELS = table(
    "Models and versions",
    "A row for each score that has an objective, and for one headline score of what has none. The verdict goes by the "
    "95 % interval: missed if all of it is on the wrong side, undecided if the objective lies within. Click a model.",
    [
        Column("Model", "model", links=_row_links, width=130),
        Column("Version", "version", links=_row_links),
        Column("Channel", "channel"),
        Column("Metric", "metric", width=170),
        Column("Verdict", expr=VERDICT, texts=VERDICTS, width=100, absent="no objective"),
        Column("Score", expr=f"{_score} and {ON} {SHOWN}", decimals=3),
        Column("Lower", expr=f"{_lower} and {ON} {SHOWN}", decimals=3),
        Column("Upper", expr=f"{_upper} and {ON} {SHOWN}", decimals=3),
        Column("Objective", expr=highest(KEY, _objective), decimals=3, width=80, absent="none"),
        Column(
            "State",
            "state",
            f"{highest((*KEY, 'state'), SCOPE.select('model_quality_state', *LABELS) + ' == 1')} and {ON} {SHOWN}",
            texts=STATE_TEXTS,
            width=140,
        ),
        Column(
            "Coverage",
            expr=_on_rows(
                coverage(SCOPE, KEY[:3], "model", "version", "channel", "window"), "model", "version", "channel"
            ),
            unit="percentunit",
            decimals=0,
        ),
        Column(
            "Samples",
            expr=f"{highest(KEY, SCOPE.select('model_quality_samples', *LABELS))} and {ON} {SHOWN}",
            unit="short",
        ),
        Column(
            "Traffic",
            expr=_on_rows(predictions(SCOPE, ONE_VERSION, *ONE_VERSION), *ONE_VERSION),
            unit="reqps",
            width=90,
        ),
        Column("Alerts", expr=ALERTS_OF_VERSION, unit="none", decimals=0, steps=((None, CLEAR), (1, RED)), width=60),
    ],
    unit="none",
    empty=NO_EXPORTER,
    height=10,
    sort="Verdict",
)

FIRING = table(
    "Firing alerts",
    "Alerts of Tidegauge's rules that fire now, the exporter's own included.",
    [
        Column("Alert", "alertname", width=210),
        Column("Severity", "severity", texts=SEVERITIES, width=90),
        Column("Model", "model", links=(to_model(model=cell("Model"), version=cell("Version")),)),
        Column("Version", "version"),
        Column("Metric", "metric", width=120),
        Column("Firing", expr=_firing, texts={"1": ("now", RED)}, width=70),
    ],
    unit="none",
    empty="No alert is firing",
    width=12,
)

_released = SCOPE.select("model_release_start_timestamp_seconds", *ONE_VERSION)
_to_release = to_release(model=cell("Model"), version=cell("Version"))

RELEASES = table(
    "Releases",
    "Each new version that is compared with the one before it, and what to do. Click one for the evidence.",
    [
        Column("Model", "model", links=(_to_release,), width=130),
        Column("Version", "version", links=(_to_release,)),
        Column("Baseline", "baseline_version", width=80),
        Column(
            "Verdict",
            expr=verdict_code(SCOPE, RELEASE_KEY, *ONE_VERSION, where=OVERALL),
            texts=RELEASE_VERDICTS,
            width=110,
        ),
        Column(
            "Running for",
            expr=f"time() - {highest(RELEASE_KEY, _released)}",
            unit="s",
            width=100,
        ),
    ],
    unit="none",
    empty="No version is compared with the one before it now",
    width=10,
    sort="Verdict",
    descending=True,
)

_change = ("model", *MEASURE)
_getting_worse = (
    f"group by ({', '.join(_change)}) ({SCOPE.select('model_change_detected', *_change)} == 1"
    f" or {SCOPE.select('model_objective_breach_timestamp_seconds', *_change)})"
)


def _of_worse(expr: str) -> str:
    return f"{expr} and on ({', '.join(_change)}) {_getting_worse}"


def _breach() -> str:
    return lowest(_change, SCOPE.select("model_objective_breach_timestamp_seconds", *_change))


_to_change = (to_model(model=cell("Model"), version=cell("Version"), channel=cell("Channel"), metric=cell("Metric")),)

GETTING_WORSE = table(
    "Getting worse by themselves",
    "Versions that are worse than when they were learned, and since when; or whose trend will miss the objective. "
    "Evidence is over its threshold: at 1 or more it is a change. Click one for its course.",
    [
        Column("Model", "model", links=_to_change, width=110),
        Column("Version", "version", links=_to_change, width=65),
        Column("Channel", "channel", width=75),
        Column("Metric", "metric", width=80),
        Column(
            "Change",
            expr=_of_worse(highest(_change, SCOPE.select("model_change_detected", *_change))),
            texts={"0": ("none yet", GREEN), "1": ("worse", RED)},
            width=65,
            absent="learning",
        ),
        Column(
            "Evidence", expr=_of_worse(over_threshold(SCOPE, "model_change", _change, *_change)), decimals=2, width=75
        ),
        Column(
            "Since",
            expr=lowest(_change, SCOPE.select("model_change_start_timestamp_seconds", *_change)) + " * 1000",
            unit="dateTimeAsIso",
            width=145,
        ),
        Column("Will miss in", expr=f"clamp_min({_breach()} - time(), 0)", unit="s", width=95, absent="no forecast"),
    ],
    unit="none",
    empty="No version is worse than it was learned, and no trend leads to missing an objective",
    width=14,
)

BOARD = Board(
    uid=FLEET,
    title="Tidegauge / Fleet",
    question="Which of my models is in trouble?",
    variables=VARIABLES,
    annotations=(releases(SCOPE), firing('alertname=~"(Model|Tidegauge).+"')),
    sections=(
        Section(
            "Which of my models is in trouble?",
            (
                stat(
                    "Models",
                    "Models that Prometheus has something of.",
                    f"count(group by (model) ({SCOPE.select('model_info', 'model')}))",
                    unit="none",
                    empty=NO_EXPORTER,
                ),
                stat(
                    "Versions",
                    "Versions with traffic lately.",
                    f"count(group by (model, version) ({SCOPE.select('model_version_info', *ONE_VERSION)}))",
                    unit="none",
                    empty=NO_EXPORTER,
                ),
                stat(
                    "Objectives missed",
                    "Objectives that the whole 95 % interval of the score is on the wrong side of.",
                    f"sum(({VERDICT}) == bool 0) or 0 * count({SHOWN})",
                    unit="none",
                    empty=NO_EXPORTER,
                    steps=((None, GREEN), (1, RED)),
                ),
                stat(
                    "Objectives undecided",
                    "Objectives that lie within the interval of their score: more samples will tell.",
                    f"sum(({VERDICT}) == bool 1) or 0 * count({SHOWN})",
                    unit="none",
                    empty=NO_EXPORTER,
                    steps=((None, GREEN), (1, YELLOW)),
                ),
                stat(
                    "Scores not known",
                    "Rows below that have no score now; their state says why.",
                    f"sum({state_code(SCOPE, 'model_quality_state', KEY, *LABELS)} > bool 0 and {ON} {SHOWN})",
                    unit="none",
                    empty=NO_EXPORTER,
                    steps=((None, GREEN), (1, YELLOW)),
                ),
                stat(
                    "Predictions",
                    "Predictions a second that were shown to somebody, over all models.",
                    predictions(SCOPE, (), *ONE_VERSION),
                    unit="reqps",
                    empty=NO_TRAFFIC,
                ),
                MODELS,
            ),
        ),
        Section("Which version makes it worse, and which gets worse by itself?", (RELEASES, GETTING_WORSE)),
        Section(
            "Since when?",
            (
                timeseries(
                    "Headroom to the objective",
                    "How much better (above 0) or worse (below 0) a score is than its objective, as a share of the "
                    "objective, so that metrics of different units fit on one axis. Only scores with enough samples; "
                    "objectives of 0 are not shown.",
                    Query(HEADROOM, "{{model}} {{version}} {{metric}}"),
                    unit="percentunit",
                    empty="No model has an objective and a score: see the table",
                    width=12,
                    links=series_to_model(*KEY),
                ),
                state_timeline(
                    "States of scores",
                    "Whether there is a score, and if not, why.",
                    Query(
                        f"{state_code(SCOPE, 'model_quality_state', KEY, *LABELS)} and {ON} {SHOWN}",
                        "{{model}} {{version}} {{metric}}",
                    ),
                    texts=STATE_CODES,
                    empty=NO_EXPORTER,
                    height=8,
                ),
                coverage_panel(
                    coverage(SCOPE, KEY[:3], "model", "version", "channel", "window"),
                    "{{model}} {{version}} {{channel}}",
                    width=12,
                    links=series_to_model("model", "version", "channel"),
                ),
                FIRING,
            ),
        ),
        Section(
            "Is it the service?",
            (
                timeseries(
                    "Traffic",
                    "Predictions a second that were shown to somebody.",
                    Query(predictions(SCOPE, ONE_VERSION, *ONE_VERSION), "{{model}} {{version}}"),
                    unit="reqps",
                    minimum=0,
                    empty=NO_TRAFFIC,
                    links=series_to_model(*ONE_VERSION),
                ),
                timeseries(
                    "Predictions without an answer",
                    "Share of the predictions that gave an error instead of an answer.",
                    Query(error_ratio(SCOPE, ONE_VERSION, *ONE_VERSION), "{{model}} {{version}}"),
                    unit="percentunit",
                    minimum=0,
                    empty=NO_TRAFFIC,
                    links=series_to_model(*ONE_VERSION),
                ),
                timeseries(
                    "Latency, 95th percentile",
                    "What 95 of 100 predictions stay below, of those whose record says how long they took.",
                    Query(
                        "histogram_quantile(0.95, "
                        + total(
                            ("le", *ONE_VERSION), SCOPE.rate("model_prediction_latency_seconds_bucket", *ONE_VERSION)
                        )
                        + ") > 0",
                        "{{model}} {{version}}",
                    ),
                    unit="s",
                    minimum=0,
                    empty="No record says how long it took (latency_ms)",
                    links=series_to_model(*ONE_VERSION),
                ),
            ),
        ),
    ),
)
