"""Puts together what people see: the exporter, its input and its models, as one report a refresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge import __version__
from tidegauge.assess.panes import Trends
from tidegauge.config.settings import Settings
from tidegauge.pipeline.about import SelfView
from tidegauge.pipeline.findings import finding_reports
from tidegauge.pipeline.pipeline import Pipeline
from tidegauge.pipeline.problems import Growth, problem_reports
from tidegauge.pipeline.publication import ModelView
from tidegauge.pipeline.recent import Recent
from tidegauge.pipeline.status import model_report
from tidegauge.publish.documents import Document
from tidegauge.publish.page import CONTENT_TYPE as HTML
from tidegauge.publish.page import HEADERS as PAGE_HEADERS
from tidegauge.publish.page import render_page, utc_now
from tidegauge.publish.report import (
    ExporterReport,
    ModelReport,
    RecordsReport,
    Report,
    SourceReport,
    moment,
)
from tidegauge.publish.status_json import CONTENT_TYPE as JSON
from tidegauge.publish.status_json import render_status


@dataclass(slots=True)
class Memory:
    """What has to be remembered from one report to the next. Owned by the runner's main thread; gone with a restart."""

    trends: dict[str, Trends] = field(default_factory=dict)
    records: Recent[tuple[str, str]] = field(default_factory=Recent)
    events: Recent[tuple[str, str]] = field(default_factory=Recent)
    folded: Recent[tuple[str, str]] = field(default_factory=Recent)


@dataclass(frozen=True, slots=True)
class Draft:
    """A report that lacks what is known only after saving."""

    settings: Settings
    models: tuple[ModelReport, ...]
    sources: tuple[SourceReport, ...]
    troubles: Mapping[str, tuple[str, ...]]  # by source
    growth: Growth
    dropped: Mapping[str, int]  # series left out of this refresh, by model


def draft(
    pipeline: Pipeline, views: Sequence[ModelView], state: SelfView, dropped: Mapping[str, int], memory: Memory
) -> Draft:
    """Reads the pipeline, so it belongs to the main thread. No model is shown before everything has been read once."""
    models = []
    for engine, view in zip(pipeline.engines.values(), views, strict=False):
        if state.ready:
            trends = memory.trends.setdefault(engine.model.name, Trends())
            models.append(model_report(engine, view, trends, pipeline.settings.links, pipeline.clock))
    sources, troubles = [], {}
    for reader, about in zip(pipeline.readers, state.sources, strict=True):
        status = reader.files.status()
        troubles[about.name] = status.problems
        sources.append(
            SourceReport(
                name=about.name,
                kind=reader.source.kind,
                pattern=reader.source.pattern,
                files=status.files,
                open_files=about.open_files,
                read_bytes=about.read_bytes,
                lag_bytes=about.lag_bytes,
                lag_seconds=about.lag_seconds,
                events={event: count for event, count in about.events.items() if count},
            )
        )
    events = {(source.name, event): count for source in state.sources for event, count in source.events.items()}
    growth = Growth(
        records=memory.records.growth(state.refreshed, state.records),
        events=memory.events.growth(state.refreshed, events),
        folded=memory.folded.growth(state.refreshed, state.folded),
    )
    return Draft(pipeline.settings, tuple(models), tuple(sources), troubles, growth, dropped)


def report(drafted: Draft, state: SelfView) -> Report:
    """The whole report; `state` is that after saving."""
    settings = drafted.settings
    clock_at = moment(state.clock) if state.clock >= 0 else None
    return Report(
        exporter=ExporterReport(
            version=__version__,
            config_file=str(settings.path),
            ready=state.ready,
            reload_succeeded=state.reloaded,
            clock=settings.clock,
            clock_at=clock_at,
            refreshed_at=moment(state.refreshed),
            refresh_seconds=state.refresh_seconds,
            refresh_interval_seconds=settings.refresh_interval / 1000,
            saved_at=moment(state.saved) if state.saved else None,
            save_failures=state.save_failures,
            alerts=settings.links.alerts,
        ),
        problems=problem_reports(
            state,
            drafted.growth,
            drafted.troubles,
            drafted.dropped,
            settings.links,
            finding_reports(drafted.models, clock_at),
        ),
        models=drafted.models,
        sources=drafted.sources,
        records=tuple(
            RecordsReport(kind, result, count, drafted.growth.records.get((kind, result), 0))
            for (kind, result), count in sorted(state.records.items())
        ),
    )


def page_document(shown: Report) -> Document:
    """The page for people."""
    return Document(lambda: render_page(shown, utc_now()), HTML, PAGE_HEADERS)


def status_document(shown: Report) -> Document:
    """The same as JSON."""
    return Document(lambda: render_status(shown), JSON)
