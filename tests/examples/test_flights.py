"""The flights of 2013, run through the real exporter, agree with a plain pandas and scikit-learn recount."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from examples.flights import recount

EXAMPLE = Path(recount.__file__).parent
COMMON = {"channel": "landing"}
# These are read off a histogram of the scores; the published interval contains the histogram's error.
BINNED = ("roc_auc", "pr_auc")

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """A scraped page: sample name -> labels -> value."""

    samples: Mapping[str, Mapping[Labels, float]]

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get(name, {}).get(frozenset(labels.items()))

    def total(self, name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(value for key, value in self.samples.get(name, {}).items() if wanted <= key)


@dataclass(frozen=True, slots=True)
class Replay:
    rows: pd.DataFrame
    clock: pd.Timestamp
    cells: list[recount.Cell]
    page: Page


def scrape(address: str) -> Page:
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(requests.get(f"{address}/metrics", timeout=10).text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Page(samples)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path, seconds: float) -> None:
    """Returns once the exporter has read everything; fails with what it said if it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the exporter ended:\n{log.read_text()}"
        try:
            if requests.get(f"{address}/-/ready", timeout=10).ok:
                return
        except requests.ConnectionError:
            pass  # not listening yet
        time.sleep(0.2)
    raise AssertionError(f"not ready within {seconds} s:\n{log.read_text()}")


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    directory = tmp_path_factory.mktemp("flights")
    shutil.copy(EXAMPLE / "tidegauge.yml", directory)
    subprocess.run([sys.executable, EXAMPLE / "prepare.py", "--output", directory / "logs"], check=True)
    rows = recount.read(directory / "logs")
    log = directory / "exporter.log"
    port = free_port()
    command = [sys.executable, "-m", "tidegauge", "run", "--config.file", str(directory / "tidegauge.yml")]
    command += ["--web.listen-address", f"127.0.0.1:{port}"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", log, 120)
            page = scrape(f"http://127.0.0.1:{port}")
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(30)
    assert status == 0, log.read_text()
    clock = pd.Timestamp(page.total("tidegauge_clock_timestamp_seconds"), unit="s", tz="UTC")
    return Replay(rows, clock, list(recount.recount(rows, clock)), page)


def labels_of(cell: recount.Cell) -> dict[str, str]:
    labels = {**COMMON, "model": cell.model, "version": cell.version, "window": cell.window}
    return labels | ({"slice_key": cell.slice_key, "slice_value": cell.slice_value} if cell.slice_key else {})


def family_of(cell: recount.Cell) -> str:
    return "model_slice_quality" if cell.slice_key else "model_quality"


def test_time_is_what_the_prediction_log_says(replay: Replay) -> None:
    assert replay.page.value("tidegauge_clock_timestamp_seconds") == replay.rows["time"].max().timestamp()


def test_every_record_is_accepted_once(replay: Replay) -> None:
    page, rows = replay.page, replay.rows
    assert page.value("tidegauge_records_total", kind="predictions", result="accepted") == len(rows)
    assert page.value("tidegauge_records_total", kind="feedback", result="accepted") == rows["label"].notna().sum()
    assert page.total("tidegauge_records_total") == len(rows) + rows["label"].notna().sum()


def test_traffic_and_feedback_of_the_year_are_counted_by_version(replay: Replay) -> None:
    for (model, version), group in replay.rows.groupby(["model", "version"]):
        about = {"model": str(model), "version": str(version)}
        assert replay.page.total("model_predictions_total", **about, role="primary") == len(group)
        assert replay.page.value("model_feedback_total", **about, **COMMON, result="joined") == group["label"].count()
        assert replay.page.total("model_feedback_total", **about) == group["label"].count()


def test_both_versions_of_both_models_are_scored_in_every_window(replay: Replay) -> None:
    totals = {(cell.model, cell.version, cell.window) for cell in replay.cells if not cell.slice_key}
    assert totals == {(m, v, w) for m in ("late", "delay") for v in ("v1", "v2") for w in recount.WINDOWS}


def test_windows_count_the_mature_cohort(replay: Replay) -> None:
    for cell in replay.cells:
        if not cell.slice_key:
            labels = labels_of(cell)
            assert replay.page.value("model_window_mature_predictions", **labels) == cell.predictions
            assert replay.page.value("model_window_labeled_predictions", **labels) == cell.labeled


def test_scores_of_versions_and_slices_equal_the_recount(replay: Replay) -> None:
    compared = 0
    for cell in replay.cells:
        for metric, exact in cell.scores.items():
            if metric not in BINNED:
                score = replay.page.value(f"{family_of(cell)}_score", **labels_of(cell), metric=metric)
                assert score == pytest.approx(exact, rel=1e-9, abs=1e-9), (cell, metric)
                compared += 1
    assert compared > 1000


def test_binned_scores_of_versions_equal_the_recount_within_their_interval(replay: Replay) -> None:
    for cell in replay.cells:
        for metric in BINNED:
            if metric in cell.scores and not cell.slice_key:
                labels = {**labels_of(cell), "metric": metric}
                score, lower, upper = (
                    replay.page.value(f"model_quality_score{end}", **labels) for end in ("", "_lower", "_upper")
                )
                assert score is not None and lower is not None and upper is not None, (cell, metric)
                assert lower <= cell.scores[metric] <= upper, (cell, metric)
                assert score == pytest.approx(cell.scores[metric], abs=0.005), (cell, metric)


def test_nothing_is_published_that_the_rows_do_not_define(replay: Replay) -> None:
    defined = {
        frozenset({**labels_of(cell), "metric": metric}.items()) for cell in replay.cells for metric in cell.scores
    }
    published = {
        labels
        for family in ("model_quality_score", "model_slice_quality_score")
        for labels in replay.page.samples[family]
        if ("metric", "calibration_error") not in labels and ("window", "lifetime") not in labels
    }
    assert published <= defined


def test_sample_sizes_are_the_labeled_rows(replay: Replay) -> None:
    for cell in replay.cells:
        if cell.labeled:
            metric = "accuracy" if cell.model == "late" else "mae"
            samples = replay.page.value(f"{family_of(cell)}_samples", **labels_of(cell), metric=metric)
            assert samples == cell.labeled, cell


def test_outcomes_of_the_year_are_counted_in_sealed_blocks(replay: Replay) -> None:
    rows = recount.sealed(replay.rows, replay.clock)
    rows = rows[(rows["model"] == "late") & rows["label"].notna()]
    for version, group in rows.groupby("version"):
        right = int((group["prediction"] == group["label"]).sum())
        for result, count in (("correct", right), ("incorrect", len(group) - right)):
            about = {"model": "late", "version": str(version), "result": result}
            assert replay.page.value("model_outcomes_total", **COMMON, **about) == count


def test_no_series_is_dropped(replay: Replay) -> None:
    assert replay.page.total("tidegauge_series_dropped_total") == 0
