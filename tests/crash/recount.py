"""A plain recount of what the exporter must publish, from the lines that were written.

Slow and obvious on purpose: it keeps every record and counts from the start each time. It knows nothing of files and
processes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
GRACE = 2 * MINUTE
BLOCK = MINUTE
PANE = MINUTE
"""Width of the panes of a window of one hour; its edges, and those of the lifetime, are floored to it."""
WINDOWS = {"1h": HOUR, "lifetime": None}
CLASSES = ("bus", "car", "tram")

CONFIGURATION = """
state: state
clock: log
refresh_interval: 200ms
poll_interval: 50ms
sources:
  - predictions: logs/predictions.jsonl
  - feedback: logs/feedback.jsonl
models:
  - name: fraud
    task: binary
    feedback:
      outcome: {kind: complete, maturity: 5m}
      audit: {kind: sample, maturity: 3m}
    windows: [1h]
    block: 1m
    grace: 2m
    max_pending: 50000
  - name: ride
    task: multiclass
    classes: [bus, car, tram]
    feedback:
      outcome: {kind: complete, maturity: 5m}
    windows: [1h]
    block: 1m
    grace: 2m
    max_pending: 50000
  - name: delay
    task: regression
    feedback:
      outcome: {kind: complete, maturity: 5m}
    windows: [1h]
    block: 1m
    grace: 2m
    max_pending: 50000
"""
MATURITY = {
    ("fraud", "outcome"): 5 * MINUTE,
    ("fraud", "audit"): 3 * MINUTE,
    ("ride", "outcome"): 5 * MINUTE,
    ("delay", "outcome"): 5 * MINUTE,
}
FAMILIES = (
    "tidegauge_records_total",
    "tidegauge_pending_predictions",
    "tidegauge_waiting_feedback",
    "model_predictions_total",
    "model_prediction_errors_total",
    "model_prediction_latency_seconds_count",
    "model_feedback_received_total",
    "model_feedback_total",
    "model_outcomes_total",
    "model_confusion_total",
    "model_window_mature_predictions",
    "model_window_labeled_predictions",
    "model_quality_numerator",
    "model_quality_denominator",
)
"""What is compared, sample by sample; a sample that is 0 may be absent."""
METRICS = ("accuracy", "brier", "mae")

Sample = tuple[str, tuple[tuple[str, str], ...]]
Counts = dict[Sample, float]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One good line of the prediction log."""

    identifier: str | None
    time: int  # ms
    model: str
    version: str
    answer: str | float | None  # None: an error
    scores: Mapping[str, float] = field(default_factory=dict)
    latency: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class Feedback:
    """One good line of the feedback log."""

    identifier: str
    time: int  # ms
    model: str
    names_model: bool
    channel: str
    label: str | float | None  # None: a retraction
    propensity: float | None = None

    @property
    def rank(self) -> tuple[int, bool, str | float, float]:
        """What decides which label holds: the time, then the content."""
        return self.time, self.label is None, self.label if self.label is not None else "", self.propensity or 0.0


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line that is counted as unusable."""

    kind: str
    reason: str


Record = Prediction | Feedback | Rejected


def recount(records: Iterable[Record]) -> Counts:
    """Every sample of FAMILIES that is not 0, as it must be when everything has been read, saved and published."""
    counts: defaultdict[Sample, float] = defaultdict(float)
    for sample, amount in _amounts(list(records)):
        counts[sample] += amount
    return {sample: value for sample, value in counts.items() if value}


def _amounts(records: list[Record]) -> Iterator[tuple[Sample, float]]:
    for one in records:
        if isinstance(one, Rejected):
            yield _sample("tidegauge_records_total", kind=one.kind, result=one.reason), 1
    written = [one for one in records if isinstance(one, Prediction)]
    clock = max((one.time for one in written), default=0)
    first: dict[tuple[str, str], Prediction] = {}
    anonymous: list[Prediction] = []
    for one in written:
        repeated = (one.model, one.identifier) in first
        result = "duplicate" if repeated else "accepted"
        yield _sample("tidegauge_records_total", kind="predictions", result=result), 1
        if repeated:
            continue
        if one.identifier is None:
            anonymous.append(one)
        else:
            first[one.model, one.identifier] = one
            yield _sample("tidegauge_pending_predictions", model=one.model), 1
        yield from _traffic(one, clock)
    told: defaultdict[tuple[str, str, str], list[Feedback]] = defaultdict(list)
    for report in records:
        if not isinstance(report, Feedback):
            continue
        yield _sample("tidegauge_records_total", kind="feedback", result="accepted"), 1
        known = (report.model, report.identifier) in first
        if known or report.names_model:
            yield _sample("model_feedback_received_total", model=report.model, channel=report.channel), 1
        if known:
            told[report.model, report.identifier, report.channel].append(report)
        elif report.names_model:
            yield _sample("tidegauge_waiting_feedback", model=report.model), 1
    for (model, identifier, channel), reports in told.items():
        yield from _labels(first[model, identifier], channel, reports, clock)


def _sample(family: str, **labels: str) -> Sample:
    return family, tuple(sorted(labels.items()))


def _traffic(one: Prediction, clock: int) -> Iterator[tuple[Sample, float]]:
    place = {"model": one.model, "version": one.version}
    yield _sample("model_predictions_total", **place, role="primary"), one.count
    if one.answer is None:
        yield _sample("model_prediction_errors_total", **place, role="primary"), one.count
    if one.latency:
        yield _sample("model_prediction_latency_seconds_count", **place, role="primary"), one.count
    for (model, channel), maturity in MATURITY.items():
        for window in _windows(one, maturity, clock) if model == one.model else ():
            yield _sample("model_window_mature_predictions", **place, channel=channel, window=window), one.count


def _windows(one: Prediction, maturity: int, clock: int) -> list[str]:
    end = (clock - maturity) // PANE * PANE
    return [name for name, width in WINDOWS.items() if one.time < end and (width is None or one.time >= end - width)]


def _labels(
    prediction: Prediction, channel: str, reports: list[Feedback], clock: int
) -> Iterator[tuple[Sample, float]]:
    maturity = MATURITY[prediction.model, channel]
    end = prediction.time // BLOCK * BLOCK + BLOCK
    due = end + maturity
    place = {"model": prediction.model, "version": prediction.version, "channel": channel}
    holder: Feedback | None = None
    for report in (one for one in reports if one.time <= due):
        yield _sample("model_feedback_total", **place, result=_result(holder, report, late=False)), 1
        holder = report if holder is None or report.rank > holder.rank else holder
    if end <= (clock - maturity - GRACE) // BLOCK * BLOCK:
        if holder is not None:
            yield from _sealed(prediction, place, holder)
        for report in (one for one in reports if one.time > due):
            yield _sample("model_feedback_total", **place, result=_result(holder, report, late=True)), 1
            holder = report if holder is None or report.rank > holder.rank else holder
    if holder is None or holder.label is None:
        return
    for window in _windows(prediction, maturity, clock):
        yield _sample("model_window_labeled_predictions", **place, window=window), prediction.count
        if prediction.answer is None:
            continue
        weight = prediction.count / (holder.propensity or 1.0)
        for metric, loss in _losses(prediction, holder.label):
            row = {**place, "metric": metric, "window": window}
            yield _sample("model_quality_numerator", **row), loss * weight
            yield _sample("model_quality_denominator", **row), weight


def _result(holder: Feedback | None, report: Feedback, *, late: bool) -> str:
    if holder is not None and report.rank <= holder.rank:
        return "duplicate" if report.rank == holder.rank else "superseded"
    if report.label is None:
        return "retracted"
    if late:
        return "late"
    return "joined" if holder is None else "replaced"


def _sealed(prediction: Prediction, place: dict[str, str], holder: Feedback) -> Iterator[tuple[Sample, float]]:
    if isinstance(holder.label, str) and isinstance(prediction.answer, str):
        result = "correct" if holder.label == prediction.answer else "incorrect"
        yield _sample("model_outcomes_total", **place, result=result), prediction.count
        cell = {"actual": holder.label, "predicted": prediction.answer}
        yield _sample("model_confusion_total", **place, **cell), prediction.count


def _losses(prediction: Prediction, label: str | float) -> Iterator[tuple[str, float]]:
    if isinstance(label, float):
        assert isinstance(prediction.answer, float)
        yield "mae", abs(prediction.answer - label)
        return
    yield "accuracy", float(prediction.answer == label)
    if prediction.model == "fraud":
        yield "brier", (prediction.scores["1"] - (label == "1")) ** 2
    else:
        yield "brier", sum((share - (name == label)) ** 2 for name, share in prediction.scores.items())
