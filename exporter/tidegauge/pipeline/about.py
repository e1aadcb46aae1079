"""What the exporter says of itself in metrics: plain numbers gathered by the runner, as tidegauge_* families."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tidegauge import __version__
from tidegauge.pipeline.samples import Columns
from tidegauge.publish import catalogue
from tidegauge.publish.samples import AnySamples


@dataclass(frozen=True, slots=True)
class SelfView:
    """What the exporter says of itself; plain numbers gathered by the runner."""

    ready: bool
    clock: int  # ms
    reloaded: bool
    web_reloaded: bool | None  # None: no web configuration
    refused: Mapping[str, int]  # clients, by reason
    records: Mapping[tuple[str, str], int]
    sources: Sequence[SourceView]
    pending: Mapping[str, int]
    waiting: Mapping[str, int]
    sampling: Mapping[str, float]
    folded: Mapping[tuple[str, str], int]
    series: Mapping[str, int]
    dropped: Mapping[str, int]
    probabilities: Mapping[str, int]
    contents: Mapping[str, int]
    refreshed: int  # ms, wall
    refresh_seconds: float
    saved: int  # ms, wall; 0: never
    save_seconds: float
    save_bytes: int
    save_failures: int
    save_failed: str = ""  # why the last save failed; empty if it did not


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source as its metrics show it."""

    name: str
    read_bytes: int
    lag_bytes: int
    lag_seconds: float
    open_files: int
    unreadable: int
    events: Mapping[str, int]


def self_samples(state: SelfView) -> list[AnySamples]:
    """The tidegauge_* families."""
    columns = Columns()
    columns.add(catalogue.TIDEGAUGE_BUILD_INFO, (__version__, platform.python_version()), 1)
    columns.add(catalogue.TIDEGAUGE_READY, (), int(state.ready))
    if state.clock >= 0:
        columns.add(catalogue.TIDEGAUGE_CLOCK_TIMESTAMP_SECONDS, (), state.clock / 1000)
    columns.add(catalogue.TIDEGAUGE_CONFIG_LAST_RELOAD_SUCCESSFUL, (), int(state.reloaded))
    if state.web_reloaded is not None:
        columns.add(catalogue.TIDEGAUGE_WEB_CONFIG_LAST_RELOAD_SUCCESSFUL, (), int(state.web_reloaded))
    for reason, count in state.refused.items():
        columns.add(catalogue.TIDEGAUGE_HTTP_REFUSED_TOTAL, (reason,), count)
    for key, count in _with_zeros(state.records):
        columns.add(catalogue.TIDEGAUGE_RECORDS_TOTAL, key, count)
    for source in state.sources:
        columns.add(catalogue.TIDEGAUGE_READ_BYTES_TOTAL, (source.name,), source.read_bytes)
        columns.add(catalogue.TIDEGAUGE_LAG_BYTES, (source.name,), source.lag_bytes)
        columns.add(catalogue.TIDEGAUGE_LAG_SECONDS, (source.name,), source.lag_seconds)
        columns.add(catalogue.TIDEGAUGE_UNREADABLE_FILES, (source.name,), source.unreadable)
        for event, count in source.events.items():
            columns.add(catalogue.TIDEGAUGE_SOURCE_EVENTS_TOTAL, (source.name, event), count)
    columns.add(catalogue.TIDEGAUGE_OPEN_FILES, (), sum(source.open_files for source in state.sources))
    for family, by_model in (
        (catalogue.TIDEGAUGE_PENDING_PREDICTIONS, state.pending),
        (catalogue.TIDEGAUGE_WAITING_FEEDBACK, state.waiting),
        (catalogue.TIDEGAUGE_JOIN_SAMPLING_RATIO, state.sampling),
        (catalogue.TIDEGAUGE_SERIES, state.series),
        (catalogue.TIDEGAUGE_SERIES_DROPPED_TOTAL, state.dropped),
        (catalogue.TIDEGAUGE_PROBABILITIES_DROPPED_TOTAL, state.probabilities),
        (catalogue.TIDEGAUGE_CONTENTS_DROPPED_TOTAL, state.contents),
    ):
        for model, value in by_model.items():
            columns.add(family, (model,), value)
    for (model, kind), count in state.folded.items():
        columns.add(catalogue.TIDEGAUGE_CARDINALITY_FOLDED_TOTAL, (model, kind), count)
    columns.add(catalogue.TIDEGAUGE_LAST_REFRESH_TIMESTAMP_SECONDS, (), state.refreshed / 1000)
    columns.add(catalogue.TIDEGAUGE_REFRESH_DURATION_SECONDS, (), state.refresh_seconds)
    if state.saved:
        columns.add(catalogue.TIDEGAUGE_SNAPSHOT_TIMESTAMP_SECONDS, (), state.saved / 1000)
        columns.add(catalogue.TIDEGAUGE_SNAPSHOT_DURATION_SECONDS, (), state.save_seconds)
        columns.add(catalogue.TIDEGAUGE_SNAPSHOT_BYTES, (), state.save_bytes)
    columns.add(catalogue.TIDEGAUGE_SNAPSHOT_FAILURES_TOTAL, (), state.save_failures)
    return columns.samples()


def _with_zeros(records: Mapping[tuple[str, str], int]) -> Iterable[tuple[tuple[str, str], int]]:
    """Counters that are known in advance start at 0, so that an increase from nothing is seen."""
    known = {("predictions", name): 0 for name in ("accepted", "duplicate", "future", "late", "invalid_json")}
    known |= {("feedback", name): 0 for name in ("accepted", "invalid_json")}
    return sorted({**known, **records}.items())
