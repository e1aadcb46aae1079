"""Errors and latency of predictions, by version: against a fixed share, and against what is usual for the model."""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import (
    COUNT,
    MODEL,
    PERCENT,
    SECONDS,
    VERSION,
    Alert,
    Group,
    Record,
    fill,
    held,
    labels,
    look,
)

WINDOW = (*VERSION, "window")
IDLE = "(last_over_time(model_version:idle:bool[<bridge>]) == 1)"
"""Versions that are not asked any more while others of the model are."""
_BUCKETS = 'increase(model_prediction_latency_seconds_bucket{role="primary"}[<service_window>])'


def group(parameters: Parameters) -> Group:
    """Records, then ModelErrorRateHigh, ModelErrorRateRegression and ModelLatencyRegression."""
    return Group("tidegauge-service", parameters.interval, (*_records(parameters), *_alerts(parameters)))


def _records(p: Parameters) -> tuple[Record, ...]:
    def record(name: str, expression: str) -> Record:
        filled = fill(expression, p, version=labels(VERSION), model=labels(MODEL))
        return Record(name, filled, {"window": str(p.service_window)})

    return (
        record(
            "model_version:predictions:increase",
            'sum by (<version>) (increase(model_predictions_total{role="primary"}[<service_window>]))',
        ),
        record(
            "model_version:prediction_errors:increase",
            'sum by (<version>) (increase(model_prediction_errors_total{role="primary"}[<service_window>]))',
        ),
        record(
            "model_version:prediction_errors:ratio",
            """
              model_version:prediction_errors:increase
            / (model_version:predictions:increase >= <service_least>)
            """,
        ),
        record(
            "model:prediction_errors:ratio",
            """
              sum by (<model>) (model_version:prediction_errors:increase)
            / (sum by (<model>) (model_version:predictions:increase) >= <service_least>)
            """,
        ),
        record(
            "model_version:idle:bool",
            """
              (model_version:predictions:increase == bool 0)
            * on (<model>) group_left ()
              (sum by (<model>) (model_version:predictions:increase) > bool 0)
            """,
        ),
        record(
            "model_version:prediction_errors_high:bool",
            """
              (model_version:prediction_errors:ratio > bool <error_ratio>)
            * (model_version:prediction_errors:increase >= bool <errors_least>)
            """,
        ),
        record(
            "model_version:prediction_errors_regressed:bool",
            """
              (
                  model_version:prediction_errors:ratio
                > bool on (<model>) group_left ()
                  (
                      <regression_factor> * model:prediction_errors:usual
                    > model:prediction_errors:usual + <regression_error_ratio>
                    or
                      model:prediction_errors:usual + <regression_error_ratio>
                  )
              )
            * (model_version:prediction_errors:increase >= bool <errors_least>)
            """,
        ),
        record(
            "model_version:prediction_latency_seconds:p95",
            f"""
            histogram_quantile(0.95, sum by (<version>, le) ({_BUCKETS}))
            and on (<version>)
              sum by (<version>) (increase(model_prediction_latency_seconds_count{{role="primary"}}[<service_window>]))
                >= <service_least>
            """,
        ),
        record(
            "model:prediction_latency_seconds:p95",
            f"""
            histogram_quantile(0.95, sum by (<model>, le) ({_BUCKETS}))
            and on (<model>)
              sum by (<model>) (increase(model_prediction_latency_seconds_count{{role="primary"}}[<service_window>]))
                >= <service_least>
            """,
        ),
        record(
            "model_version:prediction_latency_regressed:bool",
            """
              model_version:prediction_latency_seconds:p95
            > bool on (<model>) group_left ()
              (
                  <regression_factor> * model:prediction_latency_seconds:usual
                > model:prediction_latency_seconds:usual + <regression_latency>
                or
                  model:prediction_latency_seconds:usual + <regression_latency>
              )
            """,
        ),
    )


def _alerts(p: Parameters) -> tuple[Alert, ...]:
    def expression(alert: str, verdict: str) -> str:
        return fill(held(alert, verdict, WINDOW, ended=IDLE, ended_by=VERSION), p)

    errors = (
        "Model {{ $labels.model }}, version {{ $labels.version }}: "
        f"{look('model_version:prediction_errors:ratio', WINDOW, PERCENT)} of predictions gave no answer in the last "
        f"{{{{ $labels.window }}}}, {look('model_version:prediction_errors:increase', WINDOW, COUNT)} of "
        f"{look('model_version:predictions:increase', WINDOW, COUNT)}; usually it is "
        f"{look('model:prediction_errors:usual', MODEL, PERCENT)}."
    )
    return (
        Alert(
            "ModelErrorRateHigh",
            "critical",
            expression("ModelErrorRateHigh", "model_version:prediction_errors_high:bool"),
            p.errors_for,
            "Many predictions of a model give no answer but an error.",
            fill(errors, p),
            "model",
            VERSION,
        ),
        Alert(
            "ModelErrorRateRegression",
            "warning",
            expression("ModelErrorRateRegression", "model_version:prediction_errors_regressed:bool"),
            p.regression_for,
            "A model fails to answer far more often than usual.",
            fill(errors, p),
            "model",
            VERSION,
        ),
        Alert(
            "ModelLatencyRegression",
            "warning",
            expression("ModelLatencyRegression", "model_version:prediction_latency_regressed:bool"),
            p.regression_for,
            "A model answers far more slowly than usual.",
            fill(
                "Model {{ $labels.model }}, version {{ $labels.version }}: one prediction in twenty took longer than "
                f"{look('model_version:prediction_latency_seconds:p95', WINDOW, SECONDS)} in the last "
                "{{ $labels.window }}; usually that is "
                f"{look('model:prediction_latency_seconds:usual', MODEL, SECONDS)}.",
                p,
            ),
            "model",
            VERSION,
        ),
    )


def usual(parameters: Parameters) -> Group:
    """Medians over the model, whatever its versions: a new version is held against what its users are used to."""
    records = tuple(
        Record(f"model:{name}:usual", fill(f"quantile_over_time(0.5, model:{name}:{what}[<usual>])", parameters))
        for name, what in (("prediction_errors", "ratio"), ("prediction_latency_seconds", "p95"))
    )
    return Group("tidegauge-service-usual", parameters.slow_interval, records)
