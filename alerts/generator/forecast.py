"""Objectives that hold but will be missed if the trend goes on: what the exporter forecasts, as the day comes near."""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.quality import METRIC
from alerts.generator.rule import (
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
    objective,
    shown,
)
from alerts.generator.traffic import LOST

_BREACH = "model_objective_breach"


def group(parameters: Parameters) -> Group:
    """A verdict, then ModelObjectiveBreachForecast."""
    p = parameters
    soonest = f"min(last_over_time({_BREACH}_timestamp_seconds{{<labels>}}[<hold>]))"
    return Group(
        "tidegauge-forecasts",
        p.interval,
        (
            # A trend without a forecast says that there is none to fear. The objective holds while a window's score
            # does and none misses it surely; after that it is other alerts' business.
            Record(
                "model_version:objective_breach_near:bool",
                fill(
                    """
                      (
                            min by (<metric>) (last_over_time(model_objective_breach_timestamp_seconds[<bridge>]))
                          - time()
                        < bool
                          <ahead>
                        or
                          max by (<metric>) (last_over_time(model_quality_trend_per_day[<bridge>])) * 0
                      )
                    * on (<metric>)
                      (max by (<metric>) (model_version:quality_margin:merged) >= bool 0)
                    * on (<metric>)
                      (
                        (
                          max by (<metric>) (model_version:quality_missed:bool)
                          or max by (<metric>) (model_version:quality_margin:merged) * 0
                        )
                        == bool 0
                      )
                    """,
                    p,
                    metric=labels(METRIC),
                    ahead=p.forecast_ahead.milliseconds // 1000,
                ),
            ),
            Alert(
                "ModelObjectiveBreachForecast",
                "warning",
                fill(
                    held(
                        "ModelObjectiveBreachForecast",
                        "model_version:objective_breach_near:bool",
                        METRIC,
                        ended=LOST,
                        ended_by=VERSION,
                    ),
                    p,
                ),
                p.forecast_for,
                "A model still meets its quality objective, but will soon miss it if it goes on like this.",
                fill(
                    "Model {{ $labels.model }}, version {{ $labels.version }}: {{ $labels.metric }} on channel "
                    f"{{{{ $labels.channel }}}} changes by {look('model_quality_trend_per_day', METRIC, NUMBER)} a day "
                    f"(between {look('model_quality_trend_per_day_lower', METRIC, NUMBER)} and "
                    f"{look('model_quality_trend_per_day_upper', METRIC, NUMBER)}) and will be beyond its objective of "
                    f"{objective('model_version:quality_objective:target', METRIC)} at about "
                    f"{shown(soonest, METRIC, TIME)}, "
                    f"in {shown(f'{soonest} - time()', METRIC, SECONDS)}{_end('earliest')}{_end('latest')}. Now it is "
                    + by_window("last_over_time(model_version:quality_score:merged{<labels>}[<hold>])", METRIC)
                    + ".",
                    p,
                ),
                "model",
                (*VERSION, "channel", "metric"),
            ),
        ),
    )


def _end(which: str) -> str:
    """Template text: "; at the earliest ...", or nothing where there is no such end."""
    query = ask(f"min(last_over_time({_BREACH}_{which}_timestamp_seconds{{<labels>}}[<hold>]))", METRIC)
    return f"{{{{ with {query} }}}}; at the {which} {{{{ . | first | value | {TIME} }}}}{{{{ end }}}}"
