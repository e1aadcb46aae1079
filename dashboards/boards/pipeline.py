"""Can I trust these numbers? What is between the logs and the boards: reading, joining, saving, scraping."""

from __future__ import annotations

from dashboards.board import Board, Section, firing, releases, scope_of
from dashboards.boards.common import NO_EXPORTER, NO_FEEDBACK, PIPELINE, coverage, coverage_panel, variables
from dashboards.panels import CLEAR, GREEN, RED, YELLOW, Query, heatmap, stat, state_timeline, timeseries
from dashboards.promql import aggregate, highest, lowest, ratio, total
from dashboards.tables import Column, table

VARIABLES = variables(several=("model", "version", "channel", "metric"), hidden=("metric",))
SCOPE = scope_of(VARIABLES)
WHO = ("job", "instance")
INSTANCE = ("instance",)
REFUSED = 'result!="accepted"'
YES_NO = {"0": ("no", RED), "1": ("yes", GREEN)}


def _age(timestamp: str, by: tuple[str, ...]) -> str:
    return f"time() - {aggregate('min', by, SCOPE.select(timestamp))}"


def _lost() -> str:
    """Of the feedback that has come to its end, the share that found no prediction."""
    orphaned = SCOPE.growth("model_feedback_total", "model", "channel", where='result="orphaned"')
    received = SCOPE.growth("model_feedback_received_total", "model", "channel")
    return ratio(f"sum({orphaned})", f"sum({received})")


def _delay(quantile: float) -> Query:
    buckets = total(("le", "channel"), SCOPE.rate("model_feedback_delay_seconds_bucket", *FEEDBACK))
    return Query(f"histogram_quantile({quantile}, {buckets}) > 0", f"{{{{channel}}}} p{round(quantile * 100)}")


FEEDBACK = ("model", "version", "channel")

NOW = (
    stat(
        "Exporters up",
        "Exporters whose last scrape succeeded.",
        f"sum({SCOPE.select('up')})",
        unit="none",
        empty="Prometheus scrapes no exporter of this job",
        steps=((None, RED), (1, GREEN)),
    ),
    stat(
        "Caught up",
        "Whether every exporter has read what its logs held at its start; until then it publishes nothing of models.",
        lowest((), SCOPE.select("tidegauge_ready")),
        unit="none",
        empty=NO_EXPORTER,
        texts=YES_NO,
    ),
    stat(
        "Waiting to be read",
        "Bytes of the logs that are not read yet, over all sources.",
        f"sum({SCOPE.select('tidegauge_lag_bytes')})",
        unit="bytes",
        empty=NO_EXPORTER,
        steps=((None, GREEN), (1e6, YELLOW), (1e8, RED)),
    ),
    stat(
        "Refused records",
        "Share of the records in the time range that were refused: malformed, unknown, late or repeated.",
        ratio(
            f"sum({SCOPE.growth('tidegauge_records_total', where=REFUSED)})",
            f"sum({SCOPE.growth('tidegauge_records_total')})",
        ),
        unit="percentunit",
        decimals=2,
        empty="No record was read in this time range",
        steps=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
    ),
    stat(
        "Orphaned feedback",
        "Share of the feedback in the time range that waited until its horizon and found no prediction.",
        _lost(),
        unit="percentunit",
        decimals=2,
        empty=NO_FEEDBACK,
        steps=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
    ),
    stat(
        "Age of the last save",
        "Since when the oldest exporter has not saved its state; what is published is what was saved.",
        _age("tidegauge_snapshot_timestamp_seconds", ()),
        unit="s",
        decimals=0,
        empty=NO_EXPORTER,
        steps=((None, GREEN), (120, YELLOW), (600, RED)),
    ),
    table(
        "Exporters",
        "Each exporter: whether it is scraped, has caught up and took its configuration, how old its numbers are, and "
        "whether a log cannot be read.",
        [
            Column("Instance", "instance"),
            Column("Up", expr=highest(INSTANCE, SCOPE.select("up")), texts=YES_NO, width=70),
            Column(
                "Version",
                "version",
                f"group by (instance, version) ({SCOPE.select('tidegauge_build_info')})",
                width=90,
            ),
            Column("Caught up", expr=lowest(INSTANCE, SCOPE.select("tidegauge_ready")), texts=YES_NO, width=100),
            Column(
                "Configuration taken",
                expr=lowest(INSTANCE, SCOPE.select("tidegauge_config_last_reload_successful")),
                texts=YES_NO,
                width=160,
            ),
            Column(
                "Age of numbers",
                expr=_age("tidegauge_last_refresh_timestamp_seconds", INSTANCE),
                unit="s",
                decimals=0,
            ),
            Column(
                "Failed saves",
                expr=total(INSTANCE, SCOPE.growth("tidegauge_snapshot_failures_total")),
                unit="none",
                decimals=0,
            ),
            Column(
                "Unreadable files",
                expr=total(INSTANCE, SCOPE.select("tidegauge_unreadable_files")),
                unit="none",
                decimals=0,
                steps=((None, CLEAR), (1, RED)),
                width=130,
            ),
            Column("Pending", expr=total(INSTANCE, SCOPE.select("tidegauge_pending_predictions")), unit="short"),
            Column("Memory", expr=highest(INSTANCE, SCOPE.select("process_resident_memory_bytes")), unit="bytes"),
        ],
        unit="none",
        empty="Prometheus scrapes no exporter of this job",
        height=5,
        sort="Instance",
    ),
)

READING = (
    timeseries(
        "Records read",
        "Records a second, by kind and what became of them.",
        Query(total(("kind", "result"), SCOPE.rate("tidegauge_records_total")), "{{kind}} {{result}}"),
        unit="cps",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Refused records by reason",
        "Records a second that were not used. docs/configuration.md and the exporter's log say what each reason means.",
        Query(total(("kind", "result"), SCOPE.rate("tidegauge_records_total", where=REFUSED)), "{{kind}} {{result}}"),
        unit="cps",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "What happened to log files",
        "Rotations, truncations, losses and errors a second; docs/following-files.md says what each means.",
        Query(total(("event",), SCOPE.rate("tidegauge_source_events_total")), "{{event}}"),
        unit="cps",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Waiting to be read, by source",
        "Bytes of each source's logs that are not read yet.",
        Query(total(("source",), SCOPE.select("tidegauge_lag_bytes")), "{{source}}"),
        unit="bytes",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Lag",
        "Seconds since each source was last read to its end; 0 when nothing waits.",
        Query(highest(("source",), SCOPE.select("tidegauge_lag_seconds")), "{{source}}"),
        unit="s",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Bytes read",
        "Bytes a second read of each source's logs.",
        Query(total(("source",), SCOPE.rate("tidegauge_read_bytes_total")), "{{source}}"),
        unit="Bps",
        minimum=0,
        empty=NO_EXPORTER,
    ),
)

JOINING = (
    timeseries(
        "What becomes of feedback",
        "Feedback records a second by their result; orphaned ones found no prediction until their horizon.",
        Query(total(("result",), SCOPE.rate("model_feedback_total", "model", "channel")), "{{result}}"),
        unit="cps",
        minimum=0,
        empty=NO_FEEDBACK,
    ),
    heatmap(
        "Label delay",
        "How long after its prediction feedback comes. What comes later than the channel's maturity is missing from "
        "scores at first.",
        Query(
            total(("le",), SCOPE.growth("model_feedback_delay_seconds_bucket", *FEEDBACK, over="$__rate_interval")),
            "{{le}}",
            format="heatmap",
        ),
        unit="s",
        empty=NO_FEEDBACK,
        width=8,
    ),
    timeseries(
        "Label delay, percentiles",
        "By when half, and 95 of 100 labels of a channel have come, over the models chosen. The channel's maturity "
        "should be above the latter.",
        _delay(0.5),
        _delay(0.95),
        unit="s",
        minimum=0,
        empty=NO_FEEDBACK,
    ),
    coverage_panel(coverage(SCOPE, FEEDBACK, *FEEDBACK, "window"), "{{model}} {{version}} {{channel}}", width=8),
    timeseries(
        "Waiting in the join",
        "Predictions that are held until their horizon, and feedback whose prediction has not come yet.",
        Query(total(("model",), SCOPE.select("tidegauge_pending_predictions", "model")), "{{model}} predictions"),
        Query(total(("model",), SCOPE.select("tidegauge_waiting_feedback", "model")), "{{model}} feedback"),
        unit="short",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Share of ids joined",
        "1, or less once more predictions waited than max_pending allows: scores then rest on a hash sample.",
        Query(lowest(("model",), SCOPE.select("tidegauge_join_sampling_ratio", "model")), "{{model}}"),
        unit="percentunit",
        minimum=0,
        maximum=1,
        empty=NO_EXPORTER,
    ),
)

SAVING = (
    timeseries(
        "Age of the last save, by exporter",
        "Seconds since each exporter last saved its state.",
        Query(_age("tidegauge_snapshot_timestamp_seconds", INSTANCE), "{{instance}}"),
        unit="s",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Time to refresh and to save",
        "How long the last refresh took to compute, and its saving.",
        Query(highest(INSTANCE, SCOPE.select("tidegauge_refresh_duration_seconds")), "refresh {{instance}}"),
        Query(highest(INSTANCE, SCOPE.select("tidegauge_snapshot_duration_seconds")), "save {{instance}}"),
        unit="s",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Series",
        "Series published of each model; its cap is max_series.",
        Query(total(("model",), SCOPE.select("tidegauge_series", "model")), "{{model}}"),
        unit="short",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Left out",
        "What found no room, a second: series beyond max_series (counted at every refresh), values folded into other, "
        "probabilities and texts that could not wait for their label.",
        Query(total(("model",), SCOPE.rate("tidegauge_series_dropped_total", "model")), "{{model}} series"),
        Query(
            total(("model", "kind"), SCOPE.rate("tidegauge_cardinality_folded_total", "model")),
            "{{model}} {{kind}} folded",
        ),
        Query(
            total(("model",), SCOPE.rate("tidegauge_probabilities_dropped_total", "model")), "{{model}} probabilities"
        ),
        Query(total(("model",), SCOPE.rate("tidegauge_contents_dropped_total", "model")), "{{model}} texts"),
        unit="cps",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Memory",
        "Resident memory of each exporter.",
        Query(highest(INSTANCE, SCOPE.select("process_resident_memory_bytes")), "{{instance}}"),
        unit="bytes",
        minimum=0,
        empty=NO_EXPORTER,
    ),
    timeseries(
        "Processor",
        "Processor seconds a second of each exporter: 1 is one core.",
        Query(total(INSTANCE, SCOPE.rate("process_cpu_seconds_total")), "{{instance}}"),
        unit="none",
        minimum=0,
        decimals=2,
        empty=NO_EXPORTER,
    ),
)

SCRAPING = (
    state_timeline(
        "Scrapes",
        "Whether Prometheus could read the exporter.",
        Query(highest(WHO, SCOPE.select("up")), "{{instance}}"),
        texts={"0": ("failed", RED), "1": ("succeeded", GREEN)},
        empty="Prometheus scrapes no exporter of this job",
        width=8,
        height=8,
    ),
    timeseries(
        "Time to scrape",
        "How long a scrape takes; Prometheus gives up after its scrape_timeout (10 s by default).",
        Query(highest(WHO, SCOPE.select("scrape_duration_seconds")), "{{instance}}"),
        unit="s",
        minimum=0,
        empty="Prometheus scrapes no exporter of this job",
    ),
    timeseries(
        "Samples a scrape",
        "Samples in each scrape; a sample_limit in Prometheus below it would fail the scrape whole.",
        Query(highest(WHO, SCOPE.select("scrape_samples_scraped")), "{{instance}}"),
        unit="short",
        minimum=0,
        empty="Prometheus scrapes no exporter of this job",
    ),
)

BOARD = Board(
    uid=PIPELINE,
    title="Tidegauge / Pipeline",
    question="Can I trust these numbers?",
    variables=VARIABLES,
    annotations=(releases(SCOPE), firing('alertname=~"Tidegauge.+"')),
    sections=(
        Section("Can I trust these numbers?", NOW),
        Section("Are the logs read?", READING),
        Section("Does the truth come?", JOINING),
        Section("Is the state saved, and is there room?", SAVING),
        Section("Does Prometheus get it?", SCRAPING),
    ),
)
