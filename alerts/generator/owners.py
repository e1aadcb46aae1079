"""Whom an alert about a model is for: its owner, from the exporter's configuration, remembered for a while."""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import Group, Record, fill


def group(parameters: Parameters) -> Group:
    """`model:owner:info`, one series a model: a second owner, while a change is rolled out, must not break the "
    "joins."""
    return Group(
        "tidegauge-owners",
        parameters.interval,
        (
            Record("model_owner:info:timestamp", "max by (job, model, owner) (timestamp(model_info))"),
            Record(
                "model:owner:info",
                fill(
                    """
                    group by (job, model, owner) (
                      topk by (job, model) (1, last_over_time(model_owner:info:timestamp[<hold>]))
                    )
                    """,
                    parameters,
                ),
            ),
        ),
    )
