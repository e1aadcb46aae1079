"""What is published of streams that are watched: changes, slices, trends and forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegauge.assess.counts import Floats
from tidegauge.assess.detectors.detector import Reading, View
from tidegauge.assess.measures.measure import Measure
from tidegauge.assess.sequential import detector, e_bh
from tidegauge.assess.sequential.history import DAY_MS, hour_of_week
from tidegauge.assess.sequential.trend import Breach, Trend, breach
from tidegauge.config.metrics import AT_LEAST
from tidegauge.config.settings import Model

if TYPE_CHECKING:
    from tidegauge.assess.detectors.quality import Stream

SEPARATOR: Final = "\x1f"
"""Between version, slice key and slice value in the key of a slice's stream."""
CHANGE_STATES: Final = ("learning", "watching", "detected")
_DAY: Final = DAY_MS // 1000


def change_readings(stream: Stream, measure: Measure, view: View, now: int) -> list[Reading]:
    """Of each version; `now` is the start of the last block (ms)."""
    readings = []
    bank, baseline = stream.versions.bank, stream.versions.baseline
    places = {key: row for row, key in enumerate(bank.keys)}
    evidence, started = bank.evidence(), bank.started_at()
    for version in stream.versions.keys:
        labels = (("version", version), ("metric", measure.metric))
        row = places.get(version)
        state = "learning" if row is None else "detected" if bank.detected[row] else "watching"
        for name in CHANGE_STATES:
            readings.append(Reading("model_change_state", (*labels, ("state", name)), name == state))
        readings.append(
            Reading("model_change_detections_total", labels, 0 if row is None else int(bank.detections[row]))
        )
        if row is not None:
            expected = measure.value(float(baseline.mean[row, hour_of_week(now)]))
            readings.append(Reading("model_change_baseline_score", labels, expected))
            readings.append(Reading("model_change_evidence", labels, float(evidence[row])))
            readings.append(Reading("model_change_threshold", labels, stream.threshold))
            readings.append(Reading("model_change_detected", labels, float(bank.detected[row])))
            if bank.detected[row]:
                readings.append(Reading("model_change_start_timestamp_seconds", labels, started[row] / 1000))
        if version in stream.trends:
            readings += _trend_readings(stream.trends[version], measure, view, labels)
    return readings


def _trend_readings(found: Trend, measure: Measure, view: View, labels: tuple[tuple[str, str], ...]) -> list[Reading]:
    ends = sorted((measure.sign * found.lower, measure.sign * found.upper))
    readings = [
        Reading("model_quality_trend_per_day", labels, measure.sign * found.slope),
        Reading("model_quality_trend_per_day_lower", labels, ends[0]),
        Reading("model_quality_trend_per_day_upper", labels, ends[1]),
    ]
    missed = forecast(found, measure, view.model)
    if missed is not None:
        readings.append(Reading("model_objective_breach_timestamp_seconds", labels, missed.day * _DAY))
        readings.append(Reading("model_objective_breach_earliest_timestamp_seconds", labels, missed.earliest * _DAY))
        if missed.latest is not None:
            readings.append(Reading("model_objective_breach_latest_timestamp_seconds", labels, missed.latest * _DAY))
    return readings


def forecast(found: Trend, measure: Measure, model: Model) -> Breach | None:
    """When the measure's objective will be missed, where it has one and a forecast is honest."""
    for objective in model.objectives:
        # An objective that wants a loss to be large, or a score to be small, is missed by getting better.
        if objective.metric == measure.metric and (objective.direction == AT_LEAST) == (measure.sign < 0):
            return breach(found, (objective.target - measure.offset) / measure.sign)
    return None


def slice_threshold(evidence: Floats, view: View, level: float) -> float:
    """The evidence that any slice would need now, given that of all (S,); `level` is that of e-BH over them."""
    single = detector.threshold(view.model.change.false_alarm_interval, view.block, 1)
    return single * float(e_bh.floor(evidence / single, level))


def slice_readings(stream: Stream, measure: Measure, view: View, level: float) -> list[Reading]:
    """Of each slice that has been learned; `level` is that of e-BH over them."""
    bank = stream.slices.bank
    if not bank.keys:
        return []
    readings = []
    evidence, started = bank.evidence(), bank.started_at()
    needed = slice_threshold(evidence, view, level)
    for row, key in enumerate(bank.keys):
        version, slice_key, value = key.split(SEPARATOR)
        labels = (("version", version), ("slice_key", slice_key), ("slice_value", value), ("metric", measure.metric))
        readings.append(Reading("model_slice_change_evidence", labels, float(evidence[row])))
        readings.append(Reading("model_slice_change_threshold", labels, needed))
        readings.append(Reading("model_slice_change_detected", labels, float(bank.detected[row])))
        if bank.detected[row]:
            readings.append(Reading("model_slice_change_start_timestamp_seconds", labels, started[row] / 1000))
    return readings
