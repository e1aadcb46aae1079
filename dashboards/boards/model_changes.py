"""The Model board's part about change: does a version get worse by itself, and when will its objective be missed?"""

from __future__ import annotations

from dashboards.board import scope_of
from dashboards.boards.common import NO_SCORE, variables
from dashboards.boards.worse import NOT_LEARNED, change_code, evidence_panel, over_threshold
from dashboards.panels import (
    CHANGE_STATES,
    DASHED,
    GREEN,
    ORANGE,
    PLAIN,
    RED,
    Query,
    by_name,
    by_pattern,
    colour,
    state_timeline,
    timeseries,
)
from dashboards.promql import OK, highest, lowest, pooled
from dashboards.tables import Column, table

VARIABLES = variables(several=("version",))
SCOPE = scope_of(VARIABLES)
WATCHED = ("model", "version", "channel")
CHOSEN = (*WATCHED, "metric")
ROW = ("version", "metric")
BY_VERSION = ("version",)
NO_TREND = "No trend yet: that takes 14 days with 30 labels or more"
NO_FORECAST = "No forecast: no objective, no sure trend towards missing it, or it is further ahead than is known back"


def _watched(ending: str) -> str:
    return SCOPE.select(f"model_change_{ending}", *WATCHED)


def _trend(ending: str) -> str:
    return SCOPE.select(f"model_quality_trend_per_day{ending}", *CHOSEN)


def _until(which: str, how: str) -> str:
    """Seconds until the objective is missed, 0 when it should be by now."""
    family = SCOPE.select(f"model_objective_breach_{which}timestamp_seconds", *CHOSEN)
    return f"clamp_min({how}({family}) - time(), 0)"


_trend_of_row = highest(ROW, SCOPE.select("model_quality_trend_per_day", *WATCHED))
_missed = SCOPE.select("model_objective_breach_timestamp_seconds", *WATCHED)

NOW = table(
    "What is watched",
    "Each metric of the channel that is a mean over predictions: whether it is worse than when it was learned. "
    "Evidence is over its threshold: at 1 or more it is a change. Trend: by how much the score changes a day, over the "
    "last weeks.",
    [
        Column("Metric", "metric", width=150),
        Column("Version", "version"),
        Column("State", expr=change_code(SCOPE, ROW, *WATCHED), texts=CHANGE_STATES, width=90),
        Column("Evidence", expr=over_threshold(SCOPE, "model_change", ROW, *WATCHED), decimals=2, width=80),
        Column("Expected", expr=highest(ROW, _watched("baseline_score")), decimals=3, width=80),
        Column(
            "Worse since",
            expr=lowest(ROW, _watched("start_timestamp_seconds")) + " * 1000",
            unit="dateTimeAsIso",
            width=150,
        ),
        Column("Trend a day", expr=_trend_of_row, decimals=4, width=100, absent="too short"),
        Column(
            "Will miss its objective",
            expr=f"{lowest(ROW, _missed)} * 1000",
            unit="dateTimeAsIso",
            width=170,
            absent="no forecast",
        ),
    ],
    unit="none",
    empty=NOT_LEARNED,
    height=6,
    sort="Metric",
)

STATES = state_timeline(
    "Learned, watched, worse",
    "What each metric of the channel is in: it is learned first, then watched until it is worse.",
    Query(change_code(SCOPE, ROW, *WATCHED), "{{metric}} {{version}}"),
    texts=CHANGE_STATES,
    empty=NOT_LEARNED,
    width=8,
    height=8,
)

EVIDENCE = evidence_panel(
    "Evidence of a change for the worse",
    "For each metric of the channel, as a multiple of its threshold, which keeps false alarms to one in "
    "change.false_alarm_interval.",
    over_threshold(SCOPE, "model_change", ROW, *WATCHED),
    "{{metric}} {{version}}",
    empty=NOT_LEARNED,
)

_score = pooled(SCOPE, "model_quality", BY_VERSION, *CHOSEN, "window")
_sure = highest(BY_VERSION, SCOPE.select("model_quality_state", *CHOSEN, "window", where=OK)) + " == 1"

EXPECTED = timeseries(
    "Score beside what is expected",
    "The chosen metric of each version, and (dashed) what it was at this hour of the week when it was learned. The "
    "objective is dashed red.",
    Query(f"{_score} and on (version) ({_sure})", "{{version}}"),
    Query(highest(BY_VERSION, SCOPE.select("model_change_baseline_score", *CHOSEN)), "expected {{version}}"),
    Query(highest((), SCOPE.select("model_quality_objective", *CHOSEN)), "objective"),
    unit="none",
    decimals=3,
    empty=NO_SCORE,
    width=12,
    overrides=(
        by_pattern("^expected", custom_lineStyle=DASHED, custom_showPoints="never"),
        by_name("objective", color=colour(RED), custom_lineStyle=DASHED),
    ),
)

TREND = timeseries(
    "Trend of the chosen metric",
    "By how much the score changes a day, by the means of whole days, with its 95 % interval; of the versions chosen "
    "the steepest. It is sure of a direction where no change (0) is outside.",
    Query(f"max({_trend('')})", "trend"),
    Query(f"min({_trend('_lower')})", "lower"),
    Query(f"max({_trend('_upper')})", "upper"),
    Query(f"0 * max({_trend('')})", "no change"),
    unit="none",
    decimals=4,
    empty=NO_TREND,
    overrides=(
        by_pattern(".*", custom_showPoints="never"),
        by_name("trend", color=colour(ORANGE)),
        by_name("lower", color=colour(ORANGE), custom_lineWidth=0),
        by_name("upper", color=colour(ORANGE), custom_lineWidth=0, custom_fillBelowTo="lower", custom_fillOpacity=20),
        by_name("no change", color=colour(PLAIN), custom_lineStyle=DASHED, custom_lineWidth=1),
    ),
)

FORECAST = timeseries(
    "Time until the objective is missed",
    "If the trend of the chosen metric goes on; earliest and latest by the ends of its interval. Without a latest, it "
    "may also be further ahead than is known back.",
    Query(_until("", "min"), "likely"),
    Query(_until("earliest_", "min"), "earliest"),
    Query(_until("latest_", "max"), "latest"),
    unit="s",
    minimum=0,
    empty=NO_FORECAST,
    overrides=(
        by_name("likely", color=colour(ORANGE)),
        by_name("earliest", color=colour(RED), custom_lineStyle=DASHED),
        by_name("latest", color=colour(GREEN), custom_lineStyle=DASHED),
    ),
)

CHANGES = (NOW, EVIDENCE, EXPECTED, STATES, TREND, FORECAST)
