"""Whether a model is still asked: silence, and traffic that has collapsed against a day and a week before."""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import COUNT, MODEL, VERSION, Alert, Group, Record, fill, held, labels, look

WINDOW = (*MODEL, "window")
LOST = "(last_over_time(model_version:traffic_lost:bool[<bridge>]) == 1)"
"""Versions that have lost their traffic to others of the model."""


def group(parameters: Parameters) -> Group:
    """Records, then ModelSilent and ModelTrafficCollapsed."""
    p = parameters

    def filled(text: str, **more: object) -> str:
        return fill(text, p, by=labels(WINDOW), **more)

    rules: list[Record | Alert] = []
    for window in sorted({*p.silence_windows, p.traffic_window}):
        text = 'sum by (job, model) (increase(model_predictions_total{role="primary"}[<window>]))'
        rules.append(Record("model:predictions:increase", filled(text, window=window), {"window": str(window)}))
    rules += [
        # By the times of predictions and not by what a counter has done: that is known at once after an outage, and a
        # canary may be asked rarely. Longer than a canary waits for its next prediction.
        Record(
            "model_version:traffic_lost:bool",
            filled(
                """
                  max by (<version>) (last_over_time(model_version_last_prediction_timestamp_seconds[<bridge>]))
                < bool on (job, model) group_left ()
                  (
                      max by (job, model) (last_over_time(model_version_last_prediction_timestamp_seconds[<bridge>]))
                    - <lost_seconds>
                  )
                """,
                version=labels(VERSION),
                lost_seconds=p.lost_after.milliseconds // 1000,
            ),
        ),
        Record(
            "model:predictions_silent:bool",
            filled('model:predictions:increase{window!="<traffic_window>"} == bool 0'),
        ),
        Alert(
            "ModelSilent",
            "critical",
            filled(
                held(
                    "ModelSilent",
                    "model:predictions_silent:bool",
                    WINDOW,
                    condition="and on (<by>) last_over_time(model:predictions:low[<bridge>]) >= <silence_least>",
                )
            ),
            p.silent_for,
            "A model makes no predictions any more, though it usually does.",
            filled(
                "Model {{ $labels.model }}: no prediction in the last {{ $labels.window }}; usually it is at least "
                f"{look('model:predictions:low', WINDOW, COUNT, over='max_over_time')}. Either nobody asks, or its "
                "log does not reach Tidegauge."
            ),
            "model",
            MODEL,
        ),
        # Both a day and a week before, where there is one: a quiet weekend is no collapse.
        Record(
            "model:traffic_collapsed:bool",
            filled(
                """
                  (
                      model:predictions:increase{window="<traffic_window>"}
                    < bool
                      <collapse_ratio> * (
                        model:predictions:increase{window="<traffic_window>"} offset <day> >= <collapse_least>
                      )
                  )
                *
                  (
                      model:predictions:increase{window="<traffic_window>"}
                    < bool
                      <collapse_ratio> * (
                          model:predictions:increase{window="<traffic_window>"} offset <week>
                        or
                          model:predictions:increase{window="<traffic_window>"} offset <day>
                      )
                  )
                """
            ),
            {"window": str(p.traffic_window)},
        ),
        Alert(
            "ModelTrafficCollapsed",
            "warning",
            filled(held("ModelTrafficCollapsed", "model:traffic_collapsed:bool", WINDOW)),
            p.collapse_for,
            "A model is asked far less than at the same time before.",
            filled(
                f"Model {{{{ $labels.model }}}}: {look('model:predictions:increase', WINDOW, COUNT)} predictions in "
                "the last "
                "{{ $labels.window }}, less than a fifth of what it was at this time <before> ago (" + _before() + ").",
                before=p.day,
            ),
            "model",
            MODEL,
        ),
    ]
    return Group("tidegauge-traffic", p.interval, tuple(rules))


def usual(parameters: Parameters) -> Group:
    """What nine of ten windows exceed."""
    text = "quantile_over_time(0.1, model:predictions:increase[<usual>])"
    record = Record("model:predictions:low", fill(text, parameters))
    return Group("tidegauge-traffic-usual", parameters.slow_interval, (record,))


def _before() -> str:
    matchers, values = ",".join(f"{name}=%q" for name in WINDOW), " ".join(f"$labels.{name}" for name in WINDOW)
    query = f"printf `model:predictions:increase{{{matchers}}} offset <day>` {values} | query"
    return f"{{{{ with {query} }}}}{{{{ . | first | value | {COUNT} }}}}{{{{ else }}}}unknown{{{{ end }}}}"
