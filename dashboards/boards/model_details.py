"""The Model board's lower half: every metric, classes, confusion, calibration, proxies."""

from __future__ import annotations

from dashboards.board import scope_of
from dashboards.boards.common import NO_SCORE, variables
from dashboards.panels import STATE_TEXTS, Query, timeseries
from dashboards.promql import highest, lowest, pooled, ratio, total
from dashboards.tables import Column, bars, matrix, table

VARIABLES = variables(several=("version",))
SCOPE = scope_of(VARIABLES)
SERIES = ("model", "version", "channel", "window")
METRIC = ("version", "metric")
CLASS = ("version", "class")
SIGNAL = ("version", "signal")
PROXY = ("model", "version", "window")

NOT_CLASSES = "Only classification has classes: this model has another task, or no label yet"
NOT_SCORES = "Only classification with scores (probabilities) in its log can be checked for calibration"
NOT_SIGNALS = "No signals are configured for this model: see signals in the configuration"

_confusion = SCOPE.select("model_window_confusion", *SERIES)


def _as_class(label: str) -> str:
    """Confusion counts by class: of the predictions that were (actual) or were said to be (predicted) of it."""
    return f'sum by (version, class) (label_replace({_confusion}, "class", "$1", "{label}", "(.+)"))'


def _right() -> str:
    """Predictions that said the class and were right: the confusion's diagonal.

    PromQL cannot compare two labels, so the diagonal is what matches a series made to have its class in both.
    """
    made = f'label_replace(group by (version, actual) ({_confusion}), "predicted", "$1", "actual", "(.+)")'
    diagonal = f"sum by (version, actual, predicted) ({_confusion}) and on (version, actual, predicted) {made}"
    return f'sum by (version, class) (label_replace({diagonal}, "class", "$1", "actual", "(.+)"))'


ALL_METRICS = table(
    "Every metric now",
    "Every metric of the channel with its 95 % interval. Without a score, the state says why.",
    [
        Column("Metric", "metric", width=150),
        Column("Version", "version"),
        Column("Score", expr=pooled(SCOPE, "model_quality", METRIC, *SERIES), decimals=3),
        Column("Lower", expr=lowest(METRIC, SCOPE.select("model_quality_score_lower", *SERIES)), decimals=3),
        Column("Upper", expr=highest(METRIC, SCOPE.select("model_quality_score_upper", *SERIES)), decimals=3),
        Column(
            "Baseline",
            expr=highest(METRIC, SCOPE.select("model_quality_baseline_score", *SERIES, where='baseline="constant"')),
            decimals=3,
            width=80,
        ),
        Column(
            "State",
            "state",
            f"max by (version, metric, state) ({SCOPE.select('model_quality_state', *SERIES)} == 1)",
            texts=STATE_TEXTS,
            width=140,
        ),
    ],
    unit="none",
    empty=NO_SCORE,
    width=12,
    height=9,
    sort="Metric",
)

CLASSES = table(
    "Classes",
    "How many mature, labelled predictions were of the class, how many of these were found (recall), and how many of "
    "those called so were (precision). Beyond ten classes, the rest is called other.",
    [
        Column("Class", "class"),
        Column("Version", "version"),
        Column("Labelled", expr=_as_class("actual"), unit="short"),
        Column("Recall", expr=ratio(_right(), _as_class("actual")), unit="percentunit", decimals=1, gauge=True),
        Column("Precision", expr=ratio(_right(), _as_class("predicted")), unit="percentunit", decimals=1, gauge=True),
    ],
    unit="none",
    empty=NOT_CLASSES,
    width=12,
    height=9,
    sort="Recall",
)

CONFUSION = matrix(
    "Confusion",
    "Of the predictions whose truth is the row, the share that was answered with the column; right answers are on the "
    "diagonal. Over the versions chosen: choose one to see it alone.",
    f"sum by (actual, predicted) ({_confusion}) / on (actual) group_left () (sum by (actual) ({_confusion}) > 0)",
    rows="actual",
    columns="predicted",
    unit="percentunit",
    empty=NOT_CLASSES,
    width=8,
)


def _bins(part: str) -> str:
    return total(("bin",), SCOPE.select(f"model_calibration_bin_{part}", *SERIES))


CALIBRATION = bars(
    "Are its probabilities honest?",
    "Of the predictions in each bin of the score, the share of positives (several classes: of right answers) that the "
    "scores promise, and the share that came true. Honest scores have bars of equal height. Bins are named by their "
    "upper edge.",
    [
        Column("bin", "bin"),
        Column("Promised", expr=ratio(_bins("expected"), _bins("predictions"))),
        Column("Came true", expr=ratio(_bins("observed"), _bins("predictions"))),
    ],
    x="bin",
    unit="percentunit",
    empty=NOT_SCORES,
    width=8,
    maximum=1,
)


def _by_version(part: str) -> str:
    return total(("version",), SCOPE.select(f"model_calibration_bin_{part}", *SERIES))


OVERCONFIDENCE = timeseries(
    "Promised minus came true",
    "Share of positives (several classes: of right answers) that the scores promise less the share that came true. "
    "Above 0 the model is too sure, below 0 not sure enough.",
    Query(
        f"({_by_version('expected')} - {_by_version('observed')}) / ({_by_version('predictions')} > 0)", "{{version}}"
    ),
    unit="percentunit",
    decimals=1,
    empty=NOT_SCORES,
    width=8,
)

QUALITY = (ALL_METRICS, CLASSES, CONFUSION, CALIBRATION, OVERCONFIDENCE)

PROXIES = (
    timeseries(
        "Signals",
        "Rates and means of signals that tell of quality without being labels, each in its own unit. They show that "
        "something changed, not how good the model is.",
        Query(pooled(SCOPE, "model_proxy", SIGNAL, *PROXY), "{{signal}} {{version}}"),
        unit="none",
        empty=NOT_SIGNALS,
        width=12,
    ),
    table(
        "Signals now",
        "Each signal with its 95 % interval and the predictions that have it.",
        [
            Column("Signal", "signal"),
            Column("Version", "version"),
            Column("Score", expr=pooled(SCOPE, "model_proxy", SIGNAL, *PROXY), decimals=3),
            Column("Lower", expr=lowest(SIGNAL, SCOPE.select("model_proxy_score_lower", *PROXY)), decimals=3),
            Column("Upper", expr=highest(SIGNAL, SCOPE.select("model_proxy_score_upper", *PROXY)), decimals=3),
            Column("Samples", expr=highest(SIGNAL, SCOPE.select("model_proxy_samples", *PROXY)), unit="short"),
        ],
        unit="none",
        empty=NOT_SIGNALS,
        width=12,
        sort="Signal",
    ),
)
