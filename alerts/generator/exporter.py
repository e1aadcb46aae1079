"""The exporter itself: whether it is there, keeps up, can read, save and show everything."""

from __future__ import annotations

from collections.abc import Callable

from alerts.generator.durations import Duration
from alerts.generator.parameters import Parameters
from alerts.generator.rule import EXPORTER, MODEL, Alert, Group, Record, fill

SOURCE = (*EXPORTER, "source")
WHERE = "Exporter {{ $labels.instance }} (job {{ $labels.job }})"
LOST = ("lost_unknown", "lost_bytes", "deleted_unread")
Make = Callable[..., Alert]


def group(parameters: Parameters) -> Group:
    """What makes an exporter blind, then the alerts named Tidegauge..., ModelUnobserved and Watchdog."""
    return Group(
        "tidegauge-exporter",
        parameters.interval,
        (*_records(parameters), *_presence(parameters), *_reading(parameters), *_keeping(parameters)),
    )


def _records(p: Parameters) -> tuple[Record, ...]:
    """1 while the exporter cannot know how its models are, by cause."""

    def record(cause: str, expression: str) -> Record:
        return Record("instance:tidegauge_blind:bool", fill(expression, p), {"cause": cause})

    return (
        record("down", "up == bool 0 and on (job, instance) last_over_time(tidegauge_build_info[<hold>])"),
        record(
            "stale",
            "time() - last_over_time(tidegauge_last_refresh_timestamp_seconds[<bridge>]) > bool "
            f"{_seconds(p.stale_after)}",
        ),
        record("not_ready", "last_over_time(tidegauge_ready[<bridge>]) == bool 0"),
        record(
            "lagging",
            f"max by (job, instance) (min_over_time(tidegauge_lag_seconds[<bridge>])) > bool {_seconds(p.lag_after)}",
        ),
        # What an exporter said first, started within the window, is an increase too.
        Record(
            "instance:tidegauge_source_events:increase",
            fill(
                f"""
                sum by (job, instance, source, event) (
                    increase(tidegauge_source_events_total[<trouble_window>]) > 0
                  or
                    tidegauge_source_events_total
                    unless tidegauge_source_events_total offset <trouble_window>
                    and on (job, instance) (time() - process_start_time_seconds < {_seconds(p.trouble_window)})
                )
                """,
                p,
            ),
        ),
    )


def _maker(p: Parameters) -> Make:
    def make(
        name: str,
        severity: str,
        expression: str,
        lasting: Duration,
        summary: str,
        description: str,
        *,
        linked: tuple[str, ...] = EXPORTER,
        board: str = "pipeline",
        keep_firing: Duration | None = None,
        of_model: bool = False,  # the expression brings the owner
    ) -> Alert:
        return Alert(
            name,
            severity,
            fill(expression, p),
            lasting,
            summary,
            fill(description, p),
            board,
            linked,
            None if of_model else p.exporter_owner,
            keep_firing,
        )

    return make


def _presence(p: Parameters) -> tuple[Alert, ...]:
    make = _maker(p)
    return (
        make(
            "TidegaugeDown",
            "critical",
            """
            up == 0
            and on (job, instance) (
                last_over_time(tidegauge_build_info[<hold>])
              or
                up{job=~"tidegauge.*"}
              or
                ALERTS{alertname="TidegaugeDown", alertstate="firing"}
            )
            """,
            p.down_for,
            "A Tidegauge exporter cannot be scraped.",
            f"{WHERE} has not answered a scrape for at least <down_for>. Nothing is known of its models meanwhile; "
            "alerts on "
            "them are muted, and go by what was known last.",
        ),
        make(
            "TidegaugeAbsent",
            "critical",
            "group by (job) (last_over_time(tidegauge_build_info[<usual>])) unless on (job) up",
            p.absent_for,
            "Prometheus has no Tidegauge exporter to scrape any more.",
            "Job {{ $labels.job }} had an exporter within the last <usual>, and has no target now. Nothing is known "
            "of its "
            "models; alerts on them are muted.",
            linked=("job",),
        ),
        make(
            "TidegaugeStale",
            "critical",
            f"""
            time() - last_over_time(tidegauge_last_refresh_timestamp_seconds[<bridge>]) > {_seconds(p.stale_after)}
            unless on (job, instance) max_over_time(up[<bridge>]) == 0
            """,
            p.stale_for,
            "A Tidegauge exporter answers, but its numbers are old.",
            f"{WHERE} computed its numbers {{{{ $value | humanizeDuration }}}} ago; it should do so every few "
            "seconds. What "
            "it shows of its models is of then.",
        ),
        make(
            "TidegaugeNotReady",
            "warning",
            "max_over_time(tidegauge_ready[<bridge>]) == 0",
            p.not_ready_for,
            "A Tidegauge exporter is still reading what lay there when it started.",
            f"{WHERE} has not been ready for more than <not_ready_for>: it shows nothing of its models until it has "
            "read "
            "every file to the size that it had at start.",
        ),
        make(
            "ModelUnobserved",
            "none",
            """
            (
              min by (job, model) (
                  group by (job, instance, model) (last_over_time(model_info[<hold>]))
                * on (job, instance) group_left ()
                  max by (job, instance) (last_over_time(instance:tidegauge_blind:bool[<bridge>]))
              ) == 1
            )
            * on (job, model) group_left (owner) model:owner:info
            """,
            p.unobserved_for,
            "No exporter can tell how a model is at the moment.",
            "Model {{ $labels.model }}: every exporter that knows it is down, stale, not ready or far behind. This "
            "alert "
            "notifies nobody: it mutes the model's other alerts, which cannot know better.",
            linked=MODEL,
            board="model",
            keep_firing=p.recovery,
            of_model=True,
        ),
        make(
            "Watchdog",
            "none",
            "vector(1)",
            Duration(0),
            "Alerting works: this alert always fires.",
            "It goes to a service that notices when it stops coming (a dead man's switch). Should that tell you that "
            "it has "
            "stopped, Prometheus or Alertmanager does not work, and no other alert would reach you.",
            linked=(),
            board="fleet",
        ),
    )


def _reading(p: Parameters) -> tuple[Alert, ...]:
    make = _maker(p)
    return (
        make(
            "TidegaugeLagging",
            "warning",
            f"max by (<source>) (min_over_time(tidegauge_lag_seconds[<bridge>])) > {_seconds(p.lag_after)}".replace(
                "<source>", ", ".join(SOURCE)
            ),
            p.lag_for,
            "A Tidegauge exporter does not keep up with the logs.",
            f"{WHERE} has not read {{{{ $labels.source }}}} to its end for {{{{ $value | humanizeDuration }}}}; "
            "{{ with printf `last_over_time(tidegauge_lag_bytes{job=%q,instance=%q,source=%q}[<bridge>])` "
            "$labels.job $labels.instance $labels.source | query }}{{ . | first | value | humanize1024 }}B{{ else }}an "
            "unknown amount{{ end }} wait. Scores and counts are late by as much.",
        ),
        make(
            "TidegaugeRejectingRecords",
            "warning",
            """
            (
                sum by (job, instance, kind, result) (
                  increase(tidegauge_records_total{result!~"accepted|duplicate"}[<rejected_window>])
                )
              / on (job, instance, kind) group_left ()
                (sum by (job, instance, kind) (increase(tidegauge_records_total[<rejected_window>])) > 0)
            ) > <rejected_ratio>
            and
              sum by (job, instance, kind, result) (increase(tidegauge_records_total[<rejected_window>]))
                >= <rejected_least>
            """,
            p.rejected_for,
            "A Tidegauge exporter refuses records of the logs.",
            f"{WHERE} refused {{{{ $value | humanizePercentage }}}} of the {{{{ $labels.kind }}}} of the last "
            "<rejected_window>: {{ $labels.result }}. They are in no score.",
            keep_firing=p.rejected_window,
        ),
        make(
            "TidegaugeReadErrors",
            "warning",
            "last_over_time(tidegauge_unreadable_files[<bridge>]) > 0",
            p.unreadable_for,
            "A Tidegauge exporter cannot read a file of the logs.",
            f"{WHERE}, source {{{{ $labels.source }}}}: {{{{ $value | printf `%.0f` }}}} of its files cannot be read, "
            "or not to the end. What is in them is in no score. The exporter's page says which, and why.",
        ),
        make(
            "TidegaugeLosingRecords",
            "warning",
            f'last_over_time(instance:tidegauge_source_events:increase{{event=~"{"|".join(LOST)}"}}[<bridge>]) > 0',
            p.interval,
            "Log files went away before a Tidegauge exporter had read them.",
            f"{WHERE}, source {{{{ $labels.source }}}}: {{{{ $labels.event }}}}, {{{{ $value | printf `%.0f` }}}} in "
            "the last "
            "<trouble_window>. These records are in no count and no score.",
            keep_firing=p.trouble_kept,
        ),
    )


def _keeping(p: Parameters) -> tuple[Alert, ...]:
    make = _maker(p)
    by_model = (*EXPORTER, "model")
    return (
        make(
            "TidegaugeDroppingSeries",
            "warning",
            "increase(tidegauge_series_dropped_total[<dropped_window>]) > 0",
            p.dropped_for,
            "A Tidegauge exporter leaves out series because a model has too many.",
            f"{WHERE} publishes "
            "{{ with printf `last_over_time(tidegauge_series{job=%q,instance=%q,model=%q}[<bridge>])` "
            "$labels.job $labels.instance $labels.model | query }}{{ . | first | value | printf `%.0f` }}{{ else "
            "}}an unknown "
            "number of{{ end }} series about model {{ $labels.model }} and has reached its cap (max_series). Details "
            "by "
            "slice and class go first, totals last.",
            linked=by_model,
        ),
        make(
            "TidegaugeFoldingValues",
            "warning",
            "increase(tidegauge_cardinality_folded_total[<dropped_window>]) > 0",
            p.dropped_for,
            "A model has more versions, classes or slice values than are told apart.",
            f"{WHERE} counted {{{{ $value | printf `%.0f` }}}} records of model {{{{ $labels.model }}}} under a {{{{ "
            '$labels.kind }} "other" in the last <dropped_window>, since its cap is reached.',
            linked=by_model,
        ),
        make(
            "TidegaugeSaveFailing",
            "warning",
            "increase(tidegauge_snapshot_failures_total[<save_window>]) > 0",
            p.save_for,
            "A Tidegauge exporter cannot save its state.",
            f"{WHERE} failed to save {{{{ $value | printf `%.0f` }}}} times in the last <save_window>. It goes on, "
            "but after a "
            "crash counters go back to the last save"
            "{{ with printf `time() - "
            "last_over_time(tidegauge_snapshot_timestamp_seconds{job=%q,instance=%q}[<bridge>])` "
            "$labels.job $labels.instance | query }}, {{ . | first | value | humanizeDuration }} ago{{ end }}, and "
            "what the "
            "logs no longer hold is lost.",
        ),
        make(
            "TidegaugeReloadFailed",
            "warning",
            "max_over_time(tidegauge_config_last_reload_successful[<bridge>]) == 0",
            p.reload_for,
            "A Tidegauge exporter has refused its new configuration and works with the old one.",
            f"{WHERE} could not load its configuration file when it was last told to. Its log says why; at the next "
            "restart it "
            "will refuse to start.",
        ),
        make(
            "TidegaugeSampling",
            "info",
            "last_over_time(tidegauge_join_sampling_ratio[<bridge>]) < 1",
            p.sampling_for,
            "More predictions wait for feedback than may; a sample of them is kept.",
            f"{WHERE} follows {{{{ $value | humanizePercentage }}}} of the predictions of model {{{{ $labels.model "
            "}}: more "
            "than max_pending wait for feedback. Scores stay unbiased, with fewer samples.",
            linked=by_model,
        ),
    )


def _seconds(duration: Duration) -> str:
    return f"{duration.milliseconds / 1000:.0f}"
