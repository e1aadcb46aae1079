"""What several boards have: variables, the place where a reader goes next, and words for empty panels."""

from __future__ import annotations

from dashboards.board import INSTANCE, JOB, Variable, drill, series
from dashboards.panels import Json, Panel, Query, timeseries
from dashboards.promql import Scope, ratio, total

FLEET, MODEL, RELEASE = "tidegauge-fleet", "tidegauge-model", "tidegauge-release"
SLICES, DRIFT, PIPELINE = "tidegauge-slices", "tidegauge-drift", "tidegauge-pipeline"

NO_SCORE = "No score in this window yet: the states of scores say why"
NO_TRAFFIC = "No prediction in this time range"
NO_FEEDBACK = "No feedback in this time range"
NO_EXPORTER = "Prometheus has nothing from this exporter: see the scrapes on the Pipeline board"


def variables(*, several: tuple[str, ...], hidden: tuple[str, ...] = ()) -> tuple[Variable, ...]:
    """The variables of every board; those of `several` have All, those of `hidden` are only handed on."""

    def one(name: str, label: str, family: str, *follows: str, first: str = "") -> Variable:
        return Variable(name, label, family, follows, name in several, name in hidden, first)

    return (
        JOB,
        INSTANCE,
        one("model", "Model", "model_info"),
        one("version", "Version", "model_version_info", "model"),
        one("channel", "Channel", "model_quality_state", "model"),
        one("metric", "Metric", "model_quality_state", "model", "channel", first="accuracy"),
        one("window", "Window", "model_quality_state", "model", "channel", first="1h"),
    )


def to_model(**chosen: str) -> Json:
    return drill("Open the model", MODEL, **chosen)


def to_release(**chosen: str) -> Json:
    return drill("Open the release", RELEASE, **chosen)


def to_drift(**chosen: str) -> Json:
    return drill("See what has moved", DRIFT, **chosen)


def series_to_model(*labels: str) -> tuple[Json, ...]:
    """The link of a line that has these labels."""
    return (to_model(**{label: series(label) for label in labels}),)


def predictions(scope: Scope, by: tuple[str, ...], *labels: str) -> str:
    """Primary predictions a second."""
    return total(by, scope.rate("model_predictions_total", *labels, where='role="primary"'))


def error_ratio(scope: Scope, by: tuple[str, ...], *labels: str) -> str:
    """Share of the primary predictions that gave no answer."""
    errors = total(by, scope.rate("model_prediction_errors_total", *labels, where='role="primary"'))
    return ratio(errors, predictions(scope, by, *labels))


def coverage(scope: Scope, by: tuple[str, ...], *labels: str) -> str:
    """Labelled predictions of the window over mature ones."""
    labelled, mature = (
        total(by, scope.select(f"model_window_{which}_predictions", *labels)) for which in ("labeled", "mature")
    )
    return ratio(labelled, mature)


def coverage_panel(query: str, legend: str, *, width: int, links: tuple[Json, ...] = ()) -> Panel:
    return timeseries(
        "Feedback coverage",
        "Share of the mature predictions in the window that have a label. A score speaks only for these; a fall means "
        "that the truth has stopped coming, not that the model is fine.",
        Query(query, legend),
        unit="percentunit",
        minimum=0,
        maximum=1,
        empty="No mature prediction in this window yet",
        width=width,
        links=links,
    )
