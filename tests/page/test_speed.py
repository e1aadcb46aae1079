"""The page costs next to nothing: ten models of three versions, built and rendered."""

from __future__ import annotations

import time
from pathlib import Path

from tests.page.drift_scenes import CROWDED, drifting
from tests.page.scenes import many
from tidegauge.assess.panes import Trends
from tidegauge.config.load import load
from tidegauge.pipeline.drift_status import drift_reports
from tidegauge.pipeline.pipeline import Pipeline
from tidegauge.pipeline.publication import view
from tidegauge.pipeline.reference import References
from tidegauge.pipeline.status import model_report
from tidegauge.publish.page import render_page, utc_now
from tidegauge.publish.report import ExporterReport, Report
from tidegauge.publish.status_json import render_status
from tidegauge.state.store import Store

BAR_SECONDS = 0.1
BAR_BYTES = 300_000


def test_ten_models_of_three_versions_take_less_than_100_ms_and_300_kb(tmp_path: Path) -> None:
    settings = load(many(tmp_path))
    store = Store.open(settings.state, schema=1)
    pipeline = Pipeline(settings, store, None)
    pipeline.poll()
    while pipeline.step():
        pass
    pipeline.advance()
    engines = list(pipeline.engines.values())
    trends = [Trends() for _ in engines]
    exporter = ExporterReport("0", "tidegauge.yml", True, True, "wall", utc_now(), utc_now(), 0.1, 10.0, utc_now(), 0)
    spent = []
    for _ in range(5):
        views = [view(engine, {}, pipeline.clock) for engine in engines]
        started = time.process_time()  # what others do on this machine is not the page's business
        models = tuple(
            model_report(engine, one, past, settings.links, pipeline.clock)
            for engine, one, past in zip(engines, views, trends, strict=True)
        )
        report = Report(exporter, models=models)
        page = render_page(report, utc_now())
        spent.append(time.process_time() - started)
    pipeline.close()
    store.close()
    assert len(models) == 10
    assert all(len(model.versions) == 3 and model.versions[0].slices for model in models)
    assert len(page) < BAR_BYTES
    assert len(render_status(report)) < 2 * BAR_BYTES
    assert spent[0] < 2 * BAR_SECONDS, "the first time, when no trend is known yet"
    assert min(spent) < BAR_SECONDS, spent


def test_a_model_of_50_features_of_which_20_have_moved_adds_little(tmp_path: Path) -> None:
    settings = load(drifting(tmp_path, (CROWDED,)))
    store = Store.open(settings.state, schema=1)
    pipeline = Pipeline(settings, store, None, References().updated(settings).all)
    pipeline.poll()
    while pipeline.step():
        pass
    pipeline.advance()
    (engine,) = pipeline.engines.values()
    exporter = ExporterReport("0", "tidegauge.yml", True, True, "wall", utc_now(), utc_now(), 0.1, 10.0, utc_now(), 0)
    found = view(engine, {}, pipeline.clock)
    shown = model_report(engine, found, Trends(), settings.links, pipeline.clock)
    spent = []
    for _ in range(5):
        started = time.process_time()
        drift_reports(engine, found.drift)
        page = render_page(Report(exporter, models=(shown,)), utc_now())
        spent.append(time.process_time() - started)
    pipeline.close()
    store.close()
    assert sum(one.detected for one in shown.versions[0].drift[0].features) >= 20
    assert len(page) < BAR_BYTES / 10
    assert len(render_status(Report(exporter, models=(shown,)))) < BAR_BYTES / 3
    assert min(spent) < BAR_SECONDS / 5, spent
