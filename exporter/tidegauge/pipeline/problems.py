"""What is wrong with the exporter itself or with what it reads, in plain words and with what to do about it.

Pure functions of what the runner has gathered. A problem is about now: counts are of the last quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tidegauge.config.settings import Links
from tidegauge.pipeline.about import SelfView
from tidegauge.pipeline.runbooks import RECORDS, runbook
from tidegauge.publish import words
from tidegauge.publish.report import ProblemReport

LAG_SECONDS = 60.0
"""Sources that have not been read to their end for so long are behind."""

ERROR, WARNING = "error", "warning"
REASONS = {
    "invalid_json": ("not JSON", "Each line is one JSON object. Look for several writers on one file."),
    "invalid_utf8": ("bytes that are not UTF-8", "Write logs in UTF-8."),
    "not_an_object": ("JSON, but no object", "Each line is one JSON object."),
    "missing_model": ("no model named", "Write `model` into the record, or set it on the source."),
    "unknown_model": (
        "a model that is not configured",
        'List the model under `models`, or add an entry named "*".',
    ),
    "missing_prediction_id": ("no prediction_id", "Map its field with `fields` if it has another name."),
    "invalid_prediction_id": ("a prediction_id that is none", "An id is a string or an integer."),
    "missing_timestamp": ("no timestamp", "Map its field with `fields` if it has another name."),
    "invalid_timestamp": ("a timestamp that cannot be read", "Write RFC 3339, or a number since the epoch."),
    "missing_channel": ("no channel named", "Write `channel` into the record, or set it on the source."),
    "unknown_channel": ("a channel that is not configured", "List the channel under the model's `feedback`."),
    "invalid_weight": ("a weight that is not a positive number", "Leave `weight` out where there is none."),
    "invalid_count": ("a count that is not a whole number from 1 on", "Leave `count` out where there is none."),
    "invalid_propensity": ("no propensity in (0, 1]", "A channel of kind `sample` needs it on every record."),
    "missing_prediction": ("no prediction", "Map its field with `fields` if it has another name."),
    "invalid_prediction": ("a prediction that does not fit the task", "Compare the record with `task`."),
    "missing_label": ("no label", "Map its field with `fields` if it has another name."),
    "invalid_label": ("a label that does not fit the task", "Compare the record with `task`."),
    "unknown_signal": ("a signal that is not configured", "List the signal under the model's `signals`."),
    "missing_signal_value": ("a signal without a value", "A numeric signal needs `value`."),
    "invalid_signal_value": ("a value that does not fit the signal", "Compare the record with the signal's `type`."),
    "duplicate": ("a prediction_id that was there before", "The first one counts. Look for a service that logs twice."),
    "future": ("more than 5 min in the future", "Compare the clocks, and the time zone of the timestamps."),
    "late": ("older than anything that is still kept", "Old logs are counted only while a window holds them."),
    "too_many_models": ('one more model than "*" may create', "Raise `max_models`, or name fewer models."),
    "undecodable_block": ("could not be decoded", "This is a fault of Tidegauge: please report it with its log."),
    "line_too_long": ("longer than max_line_bytes", "Raise `max_line_bytes`, or log less."),
    "nul_bytes": ("NUL bytes", "A file was truncated under its writer, or the machine lost power."),
    "torn_line": ("a torn line", "The writer was stopped in the middle of a line."),
}
"""What is wrong with refused records, and what to do; reasons that are new are shown by their name."""
FINE = frozenset({"accepted"})
EVENTS = {
    "deleted_unread": "files were deleted before they were read",
    "lost_unknown": "files were truncated, and may have held lines that nobody has read",
    "lost_bytes": "bytes were lost before they could be read",
    "truncated_gzip": "compressed files end in the middle",
    "corrupt_gzip": "compressed files are damaged",
    "read_errors": "reads failed",
}
"""Events of sources that lose data; the others are ordinary, or are told by the source itself."""


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much counters have grown lately."""

    records: Mapping[tuple[str, str], int]  # kind, result
    events: Mapping[tuple[str, str], int]  # source, event
    folded: Mapping[tuple[str, str], int]  # model, kind


def problem_reports(
    state: SelfView,
    growth: Growth,
    troubles: Mapping[str, tuple[str, ...]],
    dropped: Mapping[str, int],
    links: Links,
    findings: Sequence[ProblemReport] = (),
) -> tuple[ProblemReport, ...]:
    """Everything that is wrong now, errors first. `troubles` are what sources say, `dropped` series left out now.

    `findings` are what is wrong with the models.
    """
    found = [
        *findings,
        *_of_itself(state),
        *_of_sources(state, growth, troubles),
        *_of_records(growth),
        *_of_models(state, growth, dropped),
    ]
    linked = [replace(one, runbook=runbook(links, one.code)) for one in found]
    return tuple(sorted(linked, key=lambda one: one.severity != ERROR))


def _problem(
    code: str, severity: str, subject: str, message: str, advice: str, count: int | None = None
) -> ProblemReport:
    return ProblemReport(code, severity, subject, message, advice, count, None)


def _of_itself(state: SelfView) -> Iterator[ProblemReport]:
    if state.save_failed:
        yield _problem(
            "save_failed",
            ERROR,
            "",
            f"The last save of the state failed: {state.save_failed}. What is shown is not saved.",
            "Free room on the disk of the state directory and check its permissions. Until a save succeeds, a restart "
            "reads the logs again from the last one.",
            state.save_failures,
        )
    if not state.reloaded:
        yield _problem(
            "reload_failed",
            ERROR,
            "",
            "The configuration file was refused when it was last read; the one before is in force.",
            "Run `tidegauge check` on it, then reload.",
        )


def _of_sources(state: SelfView, growth: Growth, troubles: Mapping[str, tuple[str, ...]]) -> Iterator[ProblemReport]:
    for source in state.sources:
        for trouble in troubles.get(source.name, ()):
            yield _source_problem(source.name, trouble)
        if state.ready and source.lag_seconds >= LAG_SECONDS and source.lag_bytes:
            yield _problem(
                "lag",
                WARNING,
                source.name,
                f"Reading is {words.duration(source.lag_seconds)} and {words.size(source.lag_bytes)} behind the logs.",
                "Scores leave out what has not been read. If this grows, the machine is too slow or too busy.",
                source.lag_bytes,
            )
    for (name, event), count in growth.events.items():
        if count and event in EVENTS:
            yield _problem(
                event,
                ERROR,
                name,
                f"In the last 15 min, {words.count(count)} {EVENTS[event]}.",
                "Those records are missing from every count. Keep rotated files until they have been read.",
                count,
            )


def _source_problem(name: str, trouble: str) -> ProblemReport:
    said = f"{trouble[:1].upper()}{trouble[1:]}."
    if "Permission denied" in trouble or "cannot list" in trouble:
        advice = "Let the exporter's user read the file and enter its directories."
        return _problem("permission_denied", ERROR, name, said, advice)
    if trouble.startswith("no file matches"):
        advice = "Check the path in the configuration, and that the service has begun to log."
        return _problem("no_files", ERROR, name, said, advice)
    return _problem("unreadable", ERROR, name, said, "It is left out until that is put right.")


def _of_records(growth: Growth) -> Iterator[ProblemReport]:
    total: dict[str, int] = {}
    for (kind, _), count in growth.records.items():
        total[kind] = total.get(kind, 0) + count
    for (kind, result), count in sorted(growth.records.items()):
        if count <= 0 or result in FINE:
            continue
        what, advice = REASONS.get(result, (result.replace("_", " "), "See the exporter's log."))
        share, verb = words.percent(count / total[kind]), "was" if count == 1 else "were"
        yield _problem(
            f"{RECORDS}{result}",
            WARNING,
            kind,
            f"In the last 15 min, {words.amount(count, 'record')} ({share}) of {kind} {verb} not used: {what}.",
            f"{advice} The exporter's log has the place of an example a minute.",
            count,
        )


def _of_models(state: SelfView, growth: Growth, dropped: Mapping[str, int]) -> Iterator[ProblemReport]:
    for model, count in dropped.items():
        if count:
            yield _problem(
                "series_dropped",
                WARNING,
                model,
                f"{words.count(count)} series are left out of the metrics, because max_series is reached.",
                "Have fewer slices or windows, or raise `max_series`.",
                count,
            )
    for model, ratio in state.sampling.items():
        if ratio < 1:
            yield _problem(
                "sampling",
                WARNING,
                model,
                f"More predictions wait for feedback than max_pending allows: {words.percent(ratio)} of the ids are "
                "followed. Scores stay unbiased, with wider intervals.",
                "Raise `max_pending` if there is memory, or lower `horizon`.",
            )
    names = {"version": "versions", "class": "classes", "slice": "slice values"}
    for (model, kind), count in growth.folded.items():
        if count:
            yield _problem(
                "folded",
                WARNING,
                model,
                f'In the last 15 min, {words.amount(count, "record")} counted as "other": there are too many '
                f"{names.get(kind, kind)} to tell apart.",
                "Raise the cap, or look for a field that holds ids or free text.",
                count,
            )
