"""Versions that become worse by themselves, as the exporter's detectors notice it: the whole model, and its slices.

A detector's alarm is rare by design (`change.false_alarm_interval`), and is kept by the exporter until the model has
recovered; the rules only carry it.
"""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.quality import METRIC
from alerts.generator.rule import (
    MEASURE,
    NUMBER,
    SECONDS,
    TIME,
    VERSION,
    Alert,
    Group,
    Record,
    ask,
    by_window,
    fill,
    held,
    labels,
    look,
    shown,
)
from alerts.generator.traffic import LOST

SLICE = (*METRIC, "slice_key", "slice_value")
_PRIMARY = '{role="primary"}'
_EARLY = ("job", "model", "version", "metric", "window")


def group(parameters: Parameters) -> Group:
    """Records, then ModelDegrading and ModelSliceDegrading."""
    return Group("tidegauge-changes", parameters.interval, (*_records(parameters), *_alerts(parameters)))


def _records(p: Parameters) -> tuple[Record, ...]:
    def record(name: str, expression: str, **more: str) -> Record:
        names = {"version": labels(VERSION), "by": labels(METRIC), "slice": labels(SLICE), "early": labels(_EARLY)}
        return Record(name, fill(expression, p, **names), more)

    def watched(metric: str) -> str:
        return f'and on (<version>) last_over_time(model_change_detected{{metric="{metric}"}}[<bridge>])'

    return (
        record("model_version:degrading:bool", "max by (<by>) (last_over_time(model_change_detected[<bridge>]))"),
        record(
            "model_version:slice_degrading:bool",
            "max by (<slice>) (last_over_time(model_slice_change_detected[<bridge>]))",
        ),
        # What comes with the prediction, under the names that it is watched by.
        record(
            "model_version:early_score:merged",
            f"model_version:prediction_errors:ratio {watched('error_ratio')}",
            metric="error_ratio",
        ),
        record(
            "model_version:early_score:merged",
            f"""
              sum by (<version>) (increase(model_prediction_latency_seconds_sum{_PRIMARY}[<service_window>]))
            / (sum by (<version>) (increase(model_prediction_latency_seconds_count{_PRIMARY}[<service_window>])) > 0)
            {watched("latency_seconds")}
            """,
            metric="latency_seconds",
            window=str(p.service_window),
        ),
        record(
            "model_version:early_score:merged",
            """
            sum by (<early>) (
              label_replace(
                  sum by (<version>, signal, window) (
                    last_over_time(model_proxy_numerator{window!="lifetime"}[<bridge>])
                  )
                / (
                    sum by (<version>, signal, window) (
                      last_over_time(model_proxy_denominator{window!="lifetime"}[<bridge>])
                    )
                  > 0
                  ),
                "metric", "signal:$1", "signal", "(.+)"
              )
            )
            and on (<version>, metric)
              last_over_time(model_change_detected[<bridge>])
            """,
        ),
    )


def _alerts(p: Parameters) -> tuple[Alert, ...]:
    def expression(alert: str, verdict: str, by: tuple[str, ...]) -> str:
        return fill(held(alert, verdict, by, ended=LOST, ended_by=VERSION), p)

    now = by_window(
        "last_over_time(model_version:quality_score:merged{<labels>}[<hold>]) "
        "or last_over_time(model_version:early_score:merged{<labels>}[<hold>])",
        METRIC,
    )
    return (
        Alert(
            "ModelDegrading",
            "warning",
            expression("ModelDegrading", "model_version:degrading:bool", METRIC),
            p.changed_for,
            "A model has become worse than it was, by itself.",
            fill(
                f"Model {{{{ $labels.model }}}}, version {{{{ $labels.version }}}}: {MEASURE} has been worse since "
                f"about {_since('model_change', METRIC)}. It is {now}; at this hour of the week "
                f"{look('model_change_baseline_score', METRIC, NUMBER)} is expected. "
                + _evidence("model_change", METRIC)
                + _slices(),
                p,
            ),
            "model",
            VERSION,
            linked_with_channel=("channel", "metric"),
        ),
        Alert(
            "ModelSliceDegrading",
            "warning",
            expression("ModelSliceDegrading", "model_version:slice_degrading:bool", SLICE),
            p.slice_changed_for,
            "A part of those whom a model answers gets worse answers than it did.",
            fill(
                "Model {{ $labels.model }}, version {{ $labels.version }}, {{ $labels.slice_key }} "
                f"{{{{ $labels.slice_value }}}}: {MEASURE} has been worse since about "
                f"{_since('model_slice_change', SLICE)}. It is {_slice_now()}; of everybody together it is {now}. "
                f"{_evidence('model_slice_change', SLICE)}",
                p,
            ),
            "slices",
            (*VERSION, "slice_key"),
            linked_with_channel=("channel", "metric"),
        ),
    )


def _since(family: str, by: tuple[str, ...]) -> str:
    start = f"min(last_over_time({family}_start_timestamp_seconds{{<labels>}}[<hold>]))"
    return f"{shown(start, by, TIME)} ({shown(f'time() - {start}', by, SECONDS)} ago)"


def _evidence(family: str, by: tuple[str, ...]) -> str:
    """Of the exporter that is surest."""
    evidence = f"max(last_over_time({family}_evidence{{<labels>}}[<hold>]))"
    threshold = f"max(last_over_time({family}_threshold{{<labels>}}[<hold>]))"
    return f"The evidence is {shown(evidence, by, NUMBER)}, enough from {shown(threshold, by, NUMBER)}."


def _slices() -> str:
    """Template text: the slices that are worse too, the surest few."""
    worse = ask(
        "topk(<slices_named>, last_over_time(model_slice_change_evidence{<labels>}[<hold>]) "
        "and on (instance, slice_key, slice_value) last_over_time(model_slice_change_detected{<labels>}[<hold>]) == 1)",
        METRIC,
    )
    each = '{{ $slice | label "slice_key" }} {{ $slice | label "slice_value" }}'
    return (
        f"{{{{ range $number, $slice := {worse} }}}}{{{{ if $number }}}}, {{{{ else }}}} Worst off: {{{{ end }}}}"
        f"{each}{{{{ end }}}}{{{{ if {worse} }}}}.{{{{ end }}}}"
    )


def _slice_now() -> str:
    sums = [
        f'sum by (window) (last_over_time(model_slice_quality_{part}{{<labels>,window!="lifetime"}}[<hold>]))'
        for part in ("numerator", "denominator")
    ]
    return by_window(f"{sums[0]} / {sums[1]}", SLICE)
