"""Is the new version worse, and what shall I do? One release: a new version beside the one it is compared with.

What is not a table of releases is about one of them: of the versions chosen, the one that was released last.
"""

from __future__ import annotations

from dashboards.board import Board, Section, cell, firing, releases, scope_of
from dashboards.boards.common import (
    NO_SCORE,
    NO_TRAFFIC,
    RELEASE,
    error_ratio,
    predictions,
    to_model,
    to_release,
    variables,
)
from dashboards.boards.worse import (
    DESIGN,
    MEASURE,
    MOST_SHOWN,
    NO_RELEASE,
    OVERALL,
    deciding_design,
    evidence_panel,
    latest,
    over_threshold,
    verdict_code,
)
from dashboards.panels import (
    CLEAR,
    DASHED,
    GREEN,
    ORANGE,
    PLAIN,
    RED,
    RELEASE_VERDICTS,
    YELLOW,
    Panel,
    Query,
    by_name,
    by_pattern,
    colour,
    stat,
    state_timeline,
    timeseries,
)
from dashboards.promql import LOWER_IS_BETTER, OK, highest, lowest, pooled, total
from dashboards.tables import Column, table

VARIABLES = variables(several=("version",))
SCOPE = scope_of(VARIABLES)
CHOSEN = ("model", "version")
SCORE = ("model", "channel", "metric", "window")
RELEASED = ("version", "baseline_version")
LATEST = latest(SCOPE, *CHOSEN)
DECIDING = f"({deciding_design(SCOPE, *CHOSEN)} and on (version) {LATEST})"
_LABELS, _NEW, _OLD = 'channel!=""', 'arm="candidate"', 'arm="baseline"'
NOT_COMPARED = "Nothing is compared yet: it takes outcomes that are final, and 200 of the baseline from before"
DESIGNS = {"concurrent": ("at once", CLEAR), "before_after": ("before, after", YELLOW)}

NO_RELEASE_NOW = "No release is compared"

_start = SCOPE.select("model_release_start_timestamp_seconds", *CHOSEN)
_end = SCOPE.select("model_release_end_timestamp_seconds", *CHOSEN)
_both = (
    f"(group by (version) ({LATEST}) or group by (version) (label_replace(max by (version, baseline_version) ({_start})"
    f' and on (version) {LATEST}, "version", "$1", "baseline_version", "(.+)")))'
)
"""The new version and its baseline, by version."""


def _last(expr: str) -> str:
    """Of the latest release."""
    return f"{expr} and on (version) {LATEST}"


def _of_both(expr: str) -> str:
    return f"{expr} and on (version) {_both}"


def _release(ending: str, where: str = "") -> str:
    return SCOPE.select(f"model_release_{ending}", *CHOSEN, where=where)


def _deciding(ending: str, *labels: str, where: str = "", lower: bool = False) -> str:
    """By measure, of the latest release, in the design that its verdict is taken from."""
    select = SCOPE.select(f"model_release_{ending}", *CHOSEN, *labels, where=where)
    value = (lowest if lower else highest)(DESIGN, select)
    return f"({value} and on ({', '.join(DESIGN)}) {DECIDING})"


_share = f"{predictions(SCOPE, ('version',), 'model')} / on () group_left () ({predictions(SCOPE, (), 'model')} > 0)"

STATS = (
    stat(
        "Verdict",
        "What to do, by all that decides. Roll back stays until the version has lost its traffic; keep watching is no "
        "fault: there is not enough evidence yet either way.",
        f"max({_last(verdict_code(SCOPE, ('version',), *CHOSEN, where=OVERALL))})",
        unit="none",
        texts=RELEASE_VERDICTS,
        empty=NO_RELEASE_NOW,
        width=6,
    ),
    stat(
        "Share of the traffic",
        "Of the new version, of all predictions that were shown to somebody.",
        f"max({_last(_share)})",
        unit="percentunit",
        decimals=0,
        empty=NO_RELEASE_NOW,
    ),
    stat(
        "Outcomes still needed",
        "Final outcomes of the new version until every measure from labels has a verdict, if the differences stay as "
        "they look now. 0 once there is one.",
        f"max({_deciding('samples_needed', where=_LABELS)})",
        unit="short",
        empty="Nothing is compared yet",
        width=5,
    ),
    stat(
        "Running for",
        "Time since the new version was first seen.",
        f"time() - max({_last(highest(('version',), _start))})",
        unit="s",
        empty=NO_RELEASE_NOW,
    ),
    stat(
        "Compared for another",
        "Time until the comparison ends (release.duration), 0 when it has. The verdict that holds then stays.",
        f"clamp_min(max({_last(highest(('version',), _end))}) - time(), 0)",
        unit="s",
        empty=NO_RELEASE_NOW,
        width=5,
    ),
)

_rows = f"group by ({', '.join(DESIGN)}) ({_release('samples')} and on (version) {LATEST})"


def _on_designs(expr: str) -> str:
    """A value by measure, on the row of each design."""
    return f"{_rows} * on ({', '.join(MEASURE)}) group_left () {expr}"


def _measured(ending: str, where: str = "", how: str = "max") -> str:
    return _last(f"{how} by ({', '.join(DESIGN)}) ({_release(ending, where)})")


def _evidence(hypothesis: str) -> str:
    over = over_threshold(SCOPE, "model_release", DESIGN, *CHOSEN, where=f'hypothesis="{hypothesis}"')
    return _last(f"clamp_max({over}, {MOST_SHOWN:g})")


_to_measure = (to_model(version=cell("Version"), channel=cell("Channel"), metric=cell("Metric")),)

MEASURES = table(
    "What is compared",
    "New version minus baseline, in each metric's own units, with an interval that holds however often it is looked "
    "at; margin: how much worse is acceptable. Worse and not worse are evidence over its threshold: from 1 on it is "
    "enough (beyond 1000 it is shown as 1000). At once: both answered in the same blocks; before, after: the "
    "baseline's past is all there is.",
    [
        Column("Version", "version"),
        Column("Channel", "channel", width=75, absent="early"),
        Column("Metric", "metric", links=_to_measure, width=140),
        Column(
            "Verdict",
            expr=_on_designs(verdict_code(SCOPE, MEASURE, *CHOSEN)),
            texts=RELEASE_VERDICTS,
            width=105,
            absent="not judged",
        ),
        Column("Difference", expr=_measured("difference"), decimals=4, width=80),
        Column("Lower", expr=_measured("difference_lower", how="min"), decimals=4),
        Column("Upper", expr=_measured("difference_upper"), decimals=4),
        Column("Margin", expr=_on_designs(highest(MEASURE, _release("margin"))), decimals=4),
        Column("Worse", expr=_evidence("harm"), decimals=2, steps=((None, CLEAR), (1, RED)), width=70),
        Column(
            "Not worse",
            expr=_evidence("non_inferiority"),
            decimals=2,
            steps=((None, CLEAR), (1, GREEN)),
            width=75,
        ),
        Column("Samples", expr=_measured("samples", 'arm="candidate"'), unit="short", width=70),
        Column("Baseline", expr=_measured("samples", 'arm="baseline"'), unit="short", width=70),
        Column("Needed", expr=_measured("samples_needed"), unit="short"),
        Column("Design", "design", texts=DESIGNS, width=100),
        Column(
            "Clipped", expr=_on_designs(highest(MEASURE, _release("clipped_ratio"))), unit="percentunit", decimals=2
        ),
    ],
    unit="none",
    empty=NOT_COMPARED,
    height=9,
    sort="Metric",
)

RELEASES = table(
    "Releases of this model",
    "Each version that was compared with the one before it and still has traffic. Click one to see it alone.",
    [
        Column("Version", "version", links=(to_release(version=cell("Version")), to_model(version=cell("Version")))),
        Column("Baseline", "baseline_version"),
        Column(
            "Verdict",
            expr=verdict_code(SCOPE, RELEASED, "model", where=OVERALL),
            texts=RELEASE_VERDICTS,
            width=110,
        ),
        Column(
            "Released",
            expr=highest(RELEASED, SCOPE.select("model_release_start_timestamp_seconds", "model")) + " * 1000",
            unit="dateTimeAsIso",
            width=170,
        ),
        Column(
            "Compared until",
            expr=highest(RELEASED, SCOPE.select("model_release_end_timestamp_seconds", "model")) + " * 1000",
            unit="dateTimeAsIso",
            width=170,
        ),
    ],
    unit="none",
    empty=NO_RELEASE,
    width=12,
    height=6,
    sort="Released",
    descending=True,
)

TIMELINE = state_timeline(
    "Verdicts so far",
    "What each measure said, and all together (overall). Labels decide; what comes with the prediction decides only "
    "where release.margins names it.",
    Query(_last(verdict_code(SCOPE, MEASURE, *CHOSEN)), "{{metric}} {{channel}}"),
    texts=RELEASE_VERDICTS,
    empty=NO_RELEASE,
    width=12,
    height=9,
)

SPLIT = timeseries(
    "Traffic by version, stacked",
    "Share of the predictions that were shown to somebody; the comparison only goes by the blocks in which both "
    "versions answered.",
    Query(_share, "{{version}}"),
    unit="percentunit",
    minimum=0,
    maximum=1,
    stacked=True,
    empty=NO_TRAFFIC,
    width=12,
    height=6,
)


def _chosen(ending: str, lower: bool = False) -> str:
    value = _deciding(ending, "channel", "metric", lower=lower)
    return f"{'min' if lower else 'max'}({value})"


def _margin() -> str:
    """Where the difference is as bad as is still acceptable: below 0 where more is better, above where less is."""

    def margin(sign: str) -> str:
        return _release("margin", f'channel="$channel", metric="$metric", metric{sign}"{LOWER_IS_BETTER}"')

    signed = f"(-1 * {margin('!~')} or {margin('=~')})"
    return f"max({_last(signed)})"


DIFFERENCE = timeseries(
    "Difference of the chosen metric, with its interval",
    "New version minus baseline. The interval holds at every moment together, so it is safe to stop looking when it "
    "is clear of a line: all beyond no difference on the bad side is worse, all on the good side of the margin is "
    "acceptable.",
    Query(_chosen("difference"), "difference"),
    Query(_chosen("difference_lower", lower=True), "lower"),
    Query(_chosen("difference_upper"), "upper"),
    Query(_margin(), "margin"),
    Query(f"0 * {_chosen('difference')}", "no difference"),
    unit="none",
    decimals=3,
    empty=NOT_COMPARED,
    width=12,
    height=9,
    overrides=(
        by_pattern(".*", custom_showPoints="never"),
        by_name("difference", color=colour(ORANGE)),
        by_name("lower", color=colour(ORANGE), custom_lineWidth=0),
        by_name("upper", color=colour(ORANGE), custom_lineWidth=0, custom_fillBelowTo="lower", custom_fillOpacity=20),
        by_name("margin", color=colour(RED), custom_lineStyle=DASHED),
        by_name("no difference", color=colour(PLAIN), custom_lineStyle=DASHED, custom_lineWidth=1),
    ),
)


def _against(hypothesis: str, *labels: str) -> str:
    where = f'hypothesis="{hypothesis}"'
    value = over_threshold(SCOPE, "model_release", DESIGN, *CHOSEN, where=where)
    return f"({value} and on ({', '.join(DESIGN)}) {DECIDING})"


HARM = evidence_panel(
    "Evidence that it is worse",
    "For each measure, the evidence against no difference, as a multiple of what is needed to roll back.",
    _against("harm"),
    "{{metric}} {{channel}}",
    empty=NOT_COMPARED,
)
NOT_WORSE = evidence_panel(
    "Evidence that it is not worse",
    "For each measure, the evidence against being worse by the margin, as a multiple of what is needed to promote.",
    _against("non_inferiority"),
    "{{metric}} {{channel}}",
    empty=NOT_COMPARED,
    threshold=GREEN,
)

NEEDED = timeseries(
    "Outcomes still needed, by measure",
    "Final outcomes of the new version until the measure has a verdict, if its difference stays as it looks now. The "
    "highest line is what the release waits for.",
    Query(_deciding("samples_needed"), "{{metric}} {{channel}}"),
    unit="short",
    minimum=0,
    empty=NOT_COMPARED,
    width=12,
)

COMPARED = timeseries(
    "Outcomes compared, of the chosen metric",
    "Final outcomes of each side that the difference rests on.",
    Query(f"max({_deciding('samples', 'channel', 'metric', where=_NEW)})", "new version"),
    Query(f"max({_deciding('samples', 'channel', 'metric', where=_OLD)})", "baseline"),
    unit="short",
    minimum=0,
    empty=NOT_COMPARED,
    width=12,
)

_scores = pooled(SCOPE, "model_quality", ("version",), *SCORE)
_sure = highest(("version",), SCOPE.select("model_quality_state", *SCORE, where=OK)) + " == 1"
_latency = total(("le", "version"), SCOPE.rate("model_prediction_latency_seconds_bucket", "model"))


def _side_by_side() -> tuple[Panel, ...]:
    return (
        timeseries(
            "From labels: the chosen metric",
            "Of both versions, over the chosen window: it comes only when outcomes are mature.",
            Query(_of_both(f"({_scores} and on (version) ({_sure}))"), "{{version}}"),
            unit="none",
            decimals=3,
            empty=NO_SCORE,
            width=6,
        ),
        timeseries(
            "Predictions without an answer",
            "Share of the predictions of both versions that gave an error: known at once.",
            Query(_of_both(error_ratio(SCOPE, ("version",), "model")), "{{version}}"),
            unit="percentunit",
            minimum=0,
            empty=NO_RELEASE,
            width=6,
        ),
        timeseries(
            "Latency, 95th percentile",
            "What 95 of 100 predictions of both versions stay below: known at once.",
            Query(_of_both(f"(histogram_quantile(0.95, {_latency}) > 0)"), "{{version}}"),
            unit="s",
            minimum=0,
            empty="No release, or no record says how long it took (latency_ms)",
            width=6,
        ),
        timeseries(
            "Signals",
            "Rates and means of the signals of both versions, each in its own unit.",
            Query(
                _of_both(pooled(SCOPE, "model_proxy", ("version", "signal"), "model", "window")),
                "{{signal}} {{version}}",
            ),
            unit="none",
            empty="No release, or no signals are configured for this model",
            width=6,
        ),
    )


BOARD = Board(
    uid=RELEASE,
    title="Tidegauge / Release",
    question="Is the new version worse, and what shall I do?",
    variables=VARIABLES,
    annotations=(releases(SCOPE), firing('alertname=~"Model.+", model="$model"')),
    sections=(
        Section("Is the new version worse, and what shall I do?", (*STATS, MEASURES)),
        Section("How sure is that, and since when?", (DIFFERENCE, TIMELINE, HARM, NOT_WORSE)),
        Section("What is it waiting for?", (SPLIT, RELEASES, NEEDED, COMPARED)),
        Section("What comes early, beside the labels?", _side_by_side()),
    ),
)
