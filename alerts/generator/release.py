"""A version that is worse than the one before it: the two intervals do not overlap.

A plain comparison: the older version's last known score may be of another time of day, or of other users. It is made
for metrics with an objective, whose direction says which way is worse.
"""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.quality import METRIC, RETIRED, SCORE, WINDOW
from alerts.generator.rule import COUNT, MODEL, NUMBER, Alert, Group, Record, fill, held, labels, look

COMPARED = (*MODEL, "channel", "metric", "window")


def group(parameters: Parameters) -> Group:
    """Who is the newest scored version, who came before, whether it is worse; then ModelVersionWorseThanPrevious."""
    p = parameters

    def record(name: str, expression: str) -> Record:
        filled = fill(expression, p, score=labels(SCORE), metric=labels(METRIC), compared=labels(COMPARED))
        return Record(name, filled)

    return Group(
        "tidegauge-releases",
        p.interval,
        (
            record(
                "model_version:first_prediction:timestamp",
                "min by (job, model, version) (model_version_first_prediction_timestamp_seconds)",
            ),
            # When the version was first seen, wherever it has a score to compare.
            record(
                "model_version:scored:timestamp",
                """
                  max by (<score>) (instance_model_version:quality_margin:best) * 0
                + on (job, model, version) group_left ()
                  model_version:first_prediction:timestamp
                """,
            ),
            # With several exporters all must agree: the older's least favourable end, the newer's most favourable.
            record(
                "model_version:quality_margin:worst", "min by (<score>) (instance_model_version:quality_margin:worst)"
            ),
            record(
                "model:newest_version:timestamp",
                "max by (<compared>) (last_over_time(model_version:scored:timestamp[<release_age>]))",
            ),
            record(
                "model:previous_version:timestamp",
                """
                max by (<compared>) (
                    last_over_time(model_version:scored:timestamp[<release_age>])
                  < on (<compared>) group_left ()
                    model:newest_version:timestamp
                )
                """,
            ),
            record(
                "model_version:release_worse:bool",
                """
                (
                    (
                      max by (<score>) (instance_model_version:quality_margin:best)
                      and on (<score>)
                        (model_version:scored:timestamp == on (<compared>) group_left () model:newest_version:timestamp)
                    )
                  < bool on (<compared>) group_left ()
                    max by (<compared>) (
                      last_over_time(model_version:quality_margin:worst[<release_age>])
                      and on (<score>) (
                          last_over_time(model_version:scored:timestamp[<release_age>])
                        == on (<compared>) group_left ()
                          model:previous_version:timestamp
                      )
                    )
                )
                and on (job, model, version)
                  (time() - model_version:first_prediction:timestamp < <release_seconds>)
                """.replace("<release_seconds>", f"{p.release_age.milliseconds / 1000:.0f}"),
            ),
            Alert(
                "ModelVersionWorseThanPrevious",
                "warning",
                fill(
                    held(
                        "ModelVersionWorseThanPrevious",
                        "model_version:release_worse:bool",
                        SCORE,
                        ended=RETIRED,
                        ended_by=WINDOW,
                    ),
                    p,
                ),
                p.release_for,
                "A new version of a model scores worse than the version before it, and their intervals do not overlap.",
                fill(
                    "Model {{ $labels.model }}: {{ $labels.metric }} over the last {{ $labels.window }} is "
                    f"{look('model_version:quality_score:merged', SCORE, NUMBER)} for the new version "
                    "{{ $labels.version }}, of "
                    f"{look('model_version:quality_samples:sum', SCORE, COUNT)} labelled predictions on channel "
                    "{{ $labels.channel }}; for the version before it, "
                    + _previous()
                    + ". The comparison is of one time "
                    "with another: the runbook says what else can explain it.",
                    p,
                ),
                "model",
                ("job", "model", "channel", "metric", "window"),
            ),
        ),
    )


def _previous() -> str:
    """Template text: the version before and its last known score."""
    matchers = ",".join(f"{name}=%q" for name in COMPARED)
    values = " ".join(f"$labels.{name}" for name in COMPARED)
    query = (
        f"last_over_time(model_version:quality_score:merged{{{matchers}}}[<release_age>]) and on ({labels(SCORE)}) "
        f"(last_over_time(model_version:scored:timestamp[<release_age>]) == on ({labels(COMPARED)}) group_left () "
        f"model:previous_version:timestamp)"
    )
    shown = f'{{{{ . | first | label "version" }}}}, it was {{{{ . | first | value | {NUMBER} }}}}'
    return f"{{{{ with printf `{query}` {values} | query }}}}{shown}{{{{ else }}}}it is unknown{{{{ end }}}}"
