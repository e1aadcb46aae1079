"""Scores against their objectives, for every model, channel, metric and window, whichever direction is the good one.

A margin is how far a score lies on the good side of its objective, so that one rule serves at_least and at_most.
"""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import COUNT, NUMBER, VERSION, Alert, Group, Record, fill, held, labels, look, objective

METRIC = (*VERSION, "channel", "metric")
SCORE = (*METRIC, "window")
WINDOW = (*VERSION, "channel", "window")
_INSTANCE = ("job", "instance", *SCORE[1:])
_LINKED = ("job", "model", "version", "channel", "metric", "window")

RETIRED = "(last_over_time(model_version:retired:bool[<bridge>]) == 1)"
"""Versions that have no traffic left while others of the model have."""

_SCORES = f"""\
{{{{ $labels.metric }}}} is {look("model_version:quality_score:merged", SCORE, NUMBER)} \
over the last {{{{ $labels.window }}}}; its objective is \
{objective("model_version:quality_objective:target", METRIC)}. The favourable end of the 95 % interval is \
{look("model_version:quality_bound:best", SCORE, NUMBER)}, of \
{look("model_version:quality_samples:sum", SCORE, COUNT)} labelled predictions on channel {{{{ $labels.channel }}}}."""


def group(parameters: Parameters) -> Group:
    """Records, then ModelObjectiveMissed, ModelObjectiveAtRisk and ModelScoreVanished."""
    return Group("tidegauge-quality", parameters.interval, (*_records(parameters), *_alerts(parameters)))


def _records(p: Parameters) -> tuple[Record, ...]:
    def record(name: str, expression: str) -> Record:
        return Record(
            name,
            fill(expression, p, metric=labels(METRIC), score=labels(SCORE), instance=labels(_INSTANCE)),
        )

    return (
        record(
            "model_version:quality_objective:target",
            "max by (<metric>, direction) (last_over_time(model_quality_objective[<bridge>]))",
        ),
        # Sums over exporters, then one division; rmse is the root of one. What is no ratio of sums (areas, say)
        # cannot be merged: with several exporters the largest stands for it.
        record(
            "model_version:quality_score:merged",
            """
              sum by (<score>) (last_over_time(model_quality_numerator{metric!="rmse", window!="lifetime"}[<bridge>]))
            /
              sum by (<score>) (last_over_time(model_quality_denominator{metric!="rmse", window!="lifetime"}[<bridge>]))
            or
            sqrt(
              sum by (<score>) (last_over_time(model_quality_numerator{metric="rmse", window!="lifetime"}[<bridge>]))
              /
              sum by (<score>) (last_over_time(model_quality_denominator{metric="rmse", window!="lifetime"}[<bridge>]))
            )
            or
              max by (<score>) (last_over_time(model_quality_score{window!="lifetime"}[<bridge>]))
            """,
        ),
        record(
            "model_version:quality_samples:sum",
            """
            sum by (<score>) (last_over_time(model_quality_samples{window!="lifetime"}[<bridge>]))
            """,
        ),
        record(
            "model_version:quality_margin:merged",
            """
              model_version:quality_score:merged
            - on (<metric>) group_left () model_version:quality_objective:target{direction="at_least"}
            or
              model_version:quality_objective:target{direction="at_most"}
            - on (<metric>) group_right () model_version:quality_score:merged
            """,
        ),
        # Intervals are each exporter's own: they do not add, and their mean means nothing.
        record(
            "instance_model_version:quality_margin:best",
            """
            (
                last_over_time(model_quality_score_upper{window!="lifetime"}[<bridge>])
              - on (<metric>) group_left () model_version:quality_objective:target{direction="at_least"}
              or
                model_version:quality_objective:target{direction="at_most"}
              - on (<metric>) group_right () last_over_time(model_quality_score_lower{window!="lifetime"}[<bridge>])
            )
            and on (<instance>) (last_over_time(model_quality_state{state="ok"}[<bridge>]) == 1)
            and on (<instance>) (last_over_time(model_quality_samples[<bridge>]) >= <minimum_samples>)
            """,
        ),
        record(
            "model_version:quality_bound:best",
            """
              min by (<score>) (instance_model_version:quality_margin:best)
            + on (<metric>) group_left () model_version:quality_objective:target{direction="at_least"}
            or
              model_version:quality_objective:target{direction="at_most"}
            - on (<metric>) group_right () min by (<score>) (instance_model_version:quality_margin:best)
            """,
        ),
        # Surely missed: some exporter's whole interval lies beyond the objective, and so does the merged score.
        record(
            "model_version:quality_missed:bool",
            """
              (min by (<score>) (instance_model_version:quality_margin:best) < bool 0)
            * on (<score>)
              (model_version:quality_margin:merged < bool 0)
            """,
        ),
        record(
            "model_version:quality_below:bool",
            """
              (model_version:quality_margin:merged < bool 0)
            and on (<score>)
              min by (<score>) (instance_model_version:quality_margin:best)
            """,
        ),
        record(
            "model_version:mature_predictions:sum",
            """
            sum by (job, model, version, channel, window) (
              last_over_time(model_window_mature_predictions{window!="lifetime"}[<bridge>])
            )
            """,
        ),
        record(
            "model_version:retired:bool",
            """
              (model_version:mature_predictions:sum == bool 0)
            * on (job, model, channel, window) group_left ()
              (sum by (job, model, channel, window) (model_version:mature_predictions:sum) > bool 0)
            """,
        ),
        # 1: the score of an objective is not known, although there are predictions enough to know it by.
        record(
            "model_version:quality_unknown:bool",
            """
            (
                1 - max by (<score>) (last_over_time(model_quality_state{state="ok", window!="lifetime"}[<bridge>]))
              or
                last_over_time(model_version:quality_unknown:bool[<bridge>]) * 0 + 1
            )
            * on (job, model, version, channel, window) group_left ()
              ((model_version:mature_predictions:sum >= <minimum_samples>) ^ 0)
            and on (<metric>)
              model_version:quality_objective:target
            """,
        ),
    )


def _alerts(p: Parameters) -> tuple[Alert, ...]:
    def expression(alert: str, verdict: str, condition: str = "") -> str:
        text = held(alert, verdict, SCORE, condition=condition, ended=RETIRED, ended_by=WINDOW)
        return fill(text, p, score=labels(SCORE))

    return (
        Alert(
            "ModelObjectiveMissed",
            "critical",
            expression("ModelObjectiveMissed", "model_version:quality_missed:bool"),
            p.missed_for,
            "A model misses its quality objective, beyond what chance explains.",
            fill(f"Model {{{{ $labels.model }}}}, version {{{{ $labels.version }}}}: {_SCORES}", p),
            "model",
            _LINKED,
        ),
        Alert(
            "ModelObjectiveAtRisk",
            "warning",
            expression("ModelObjectiveAtRisk", "model_version:quality_below:bool"),
            p.at_risk_for,
            "A model has been on the wrong side of its quality objective for hours, though chance may explain it.",
            fill(f"Model {{{{ $labels.model }}}}, version {{{{ $labels.version }}}}: {_SCORES}", p),
            "model",
            _LINKED,
        ),
        Alert(
            "ModelScoreVanished",
            "warning",
            expression(
                "ModelScoreVanished",
                "model_version:quality_unknown:bool",
                "and on (<score>) min_over_time(model_version:quality_unknown:bool[<hold>]) == 0",
            ),
            p.vanished_for,
            "A score that has an objective is no longer known, although predictions are made.",
            fill(
                "Model {{ $labels.model }}, version {{ $labels.version }}: {{ $labels.metric }} over the last "
                "{{ $labels.window }} is not known any more; it was "
                f"{look('model_version:quality_score:merged', SCORE, NUMBER)} last. The window holds "
                f"{look('model_version:mature_predictions:sum', WINDOW, COUNT)} predictions old enough to be scored on "
                "channel {{ $labels.channel }}. Until it is known again, no alert on this score can begin or end.",
                p,
            ),
            "model",
            _LINKED,
        ),
    )
