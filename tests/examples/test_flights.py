"""The flights of 2013, run through the real exporter, agree with a plain pandas and scikit-learn recount."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from examples.flights import recount
from tests.processes import Exporter, Metrics
from tidegauge.assess.quality.pr_auc import average_precision_bounds
from tidegauge.assess.quality.roc_auc import auc_bound
from tidegauge.tally.families.scores import BINS, SLICE_BINS

EXAMPLE = Path(recount.__file__).parent
COMMON = {"channel": "landing"}
# These are read off a histogram of the scores; the published interval contains the histogram's error.
BINNED = ("roc_auc", "pr_auc")


@dataclass(frozen=True, slots=True)
class Replay:
    rows: pd.DataFrame
    clock: pd.Timestamp
    cells: list[recount.Cell]
    cohorts: list[pd.DataFrame]  # the rows of each cell
    page: Metrics


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    directory = tmp_path_factory.mktemp("flights")
    shutil.copy(EXAMPLE / "tidegauge.yml", directory)
    subprocess.run([sys.executable, EXAMPLE / "prepare.py", "--output", directory / "logs"], check=True)
    rows = recount.read(directory / "logs")
    with Exporter(directory / "tidegauge.yml") as exporter:
        page = exporter.wait_ready(480).metrics()
        assert exporter.stop() == 0, exporter.said()
    clock = pd.Timestamp(page.total("tidegauge_clock_timestamp_seconds"), unit="s", tz="UTC")
    cohorts = [group for _, group in recount.cohorts(rows, clock)]
    return Replay(rows, clock, list(recount.recount(rows, clock)), cohorts, page)


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


def histogram(rows: pd.DataFrame, bins: int) -> np.ndarray:
    """Negatives and positives by equal-width bin of the score, shape (2, bins)."""
    known = rows[rows["label"].notna()]
    place = np.minimum((known["score"].to_numpy(float) * bins).astype(int), bins - 1)
    counts = np.zeros((2, bins))
    np.add.at(counts, (known["label"].to_numpy(int), place), 1)
    return counts


def test_binned_scores_of_versions_and_slices_equal_the_recount_within_the_hard_bound(replay: Replay) -> None:
    widest = 0.0
    for cell, rows in zip(replay.cells, replay.cohorts, strict=True):
        if "roc_auc" not in cell.scores:
            continue
        bins = histogram(rows, SLICE_BINS if cell.slice_key else BINS)
        labels = labels_of(cell)
        area = replay.page.value(f"{family_of(cell)}_score", **labels, metric="roc_auc")
        precision = replay.page.value(f"{family_of(cell)}_score", **labels, metric="pr_auc")
        assert area is not None and precision is not None, cell
        bound = float(auc_bound(bins))
        least, most = (float(end) for end in average_precision_bounds(bins))
        assert abs(area - cell.scores["roc_auc"]) <= bound + 1e-12, cell
        assert least - 1e-12 <= precision <= most + 1e-12, cell
        assert least - 1e-12 <= cell.scores["pr_auc"] <= most + 1e-12, cell
        widest = max(widest, 0.0 if cell.slice_key else bound)
    assert 0 < widest < 0.005


def test_nothing_is_published_that_the_rows_do_not_define(replay: Replay) -> None:
    defined = {
        frozenset({**labels_of(cell), "metric": metric}.items()) for cell in replay.cells for metric in cell.scores
    }
    published = {
        labels
        for name, labels in replay.page
        if name in ("model_quality_score", "model_slice_quality_score")
        and ("metric", "calibration_error") not in labels
        and ("window", "lifetime") not in labels
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
