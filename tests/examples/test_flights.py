"""The flights of 2013, run through the real exporter, agree with a plain pandas and scikit-learn recount."""

from __future__ import annotations

import re
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
AUTUMN = pd.Timestamp("2013-10-01", tz="UTC")
"""The exporter is stopped here, looked at, and started again on the rest of the year."""
PATIENCE = 240  # s for each part of the year
MONTHLY = ("temp", "wind_speed", "visib", "dep_delay", "dest")  # of the table in the documentation
PAGE = EXAMPLE.parents[1] / "docs" / "flights.md"


@dataclass(frozen=True, slots=True)
class Replay:
    rows: pd.DataFrame
    clock: pd.Timestamp
    cells: list[recount.Cell]
    cohorts: list[pd.DataFrame]  # the rows of each cell
    page: Metrics
    autumn: Metrics  # the page of AUTUMN
    trained: dict[str, pd.DataFrame]  # by model
    by_month: pd.DataFrame  # how far the inputs of `late` are from that

    def pages(self) -> tuple[tuple[Metrics, pd.Timestamp], ...]:
        """Both pages, with their time."""
        return (self.autumn, self.rows["time"][self.rows["time"] < AUTUMN].max()), (self.page, self.clock)


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    directory = tmp_path_factory.mktemp("flights")
    whole, logs = directory / "whole", directory / "logs"
    shutil.copy(EXAMPLE / "tidegauge.yml", directory)
    subprocess.run([sys.executable, EXAMPLE / "prepare.py", "--output", whole], check=True)
    rows = recount.read(whole)
    shutil.copytree(whole, logs, ignore=shutil.ignore_patterns("*.jsonl"))
    parts = [(path, length_until(path, AUTUMN)) for path in sorted(whole.glob("*.jsonl"))]
    pages = []
    for last in (False, True):
        for path, length in parts:
            with path.open("rb") as source, (logs / path.name).open("ab") as target:
                source.seek(length if last else 0)
                target.write(source.read() if last else source.read(length))
        with Exporter(directory / "tidegauge.yml") as exporter:
            pages.append(exporter.wait_ready(PATIENCE).metrics())
            assert exporter.stop() == 0, exporter.said()
    autumn, page = pages
    clock = pd.Timestamp(page.total("tidegauge_clock_timestamp_seconds"), unit="s", tz="UTC")
    cohorts = [group for _, group in recount.cohorts(rows, clock)]
    trained = {model: recount.training(whole, model) for model in ("late", "delay")}
    by_month = recount.seasons(rows, whole)
    return Replay(rows, clock, list(recount.recount(rows, clock)), cohorts, page, autumn, trained, by_month)


def length_until(path: Path, time: pd.Timestamp) -> int:
    """Bytes of a log before its first record of this time or later."""
    key, text = b'"timestamp":"', f"{time:%Y-%m-%dT%H:%M:%SZ}".encode()
    length = 0
    with path.open("rb") as log:
        for line in log:
            begin = line.index(key) + len(key)
            if line[begin : begin + len(text)] >= text:
                break
            length += len(line)
    return length


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


# --- drift ------------------------------------------------------------------------------------------------------------


def about(page: Metrics, family: str, model: str, version: str, reference: str, window: str) -> dict[str, float]:
    """A family of drift by feature."""
    place = {"model": model, "version": version, "reference": reference, "window": window}
    if family in ("model_drift_distance", "model_drift_excess"):
        place["statistic"] = "psi"
    found = {name: page.value(family, **place, feature=name) for name in recount.INPUTS}
    return {name: value for name, value in found.items() if value is not None}


def test_drift_from_the_training_data_is_the_recount(replay: Replay) -> None:
    for page, clock in replay.pages():
        for window in ("7d", "30d"):
            inside = recount.arrived(replay.rows[replay.rows["time"] <= clock], clock, window)
            for (model, version), group in inside.groupby(["model", "version"]):
                published = about(page, "model_drift_distance", str(model), str(version), "training", window)
                assert published == pytest.approx(recount.drift(group, replay.trained[str(model)]), rel=1e-9)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_seasons_are_seen_and_are_harmless(replay: Replay, version: str) -> None:
    """Temperature has moved most when the model is at its best, and is nearly back when it is at its worst."""
    distance, accuracy = [], []
    for page, _ in replay.pages():
        place = ("late", version, "training", "30d")
        moved = about(page, "model_drift_distance", *place)
        assert max(moved, key=lambda name: moved[name]) == "temp"
        shares = about(page, "model_drift_contribution_ratio", *place)
        assert max(shares, key=lambda name: shares[name]) == "temp"
        assert about(page, "model_drift_detected", *place)["temp"] == 1
        distance.append(moved["temp"])
        labels = {**COMMON, "model": "late", "version": version, "window": "30d", "metric": "accuracy"}
        accuracy.append(page.value("model_quality_score", **labels) or 0.0)
    assert distance[0] > 10 > 0.6 > distance[1]
    assert accuracy[0] > 0.93 > 0.87 > accuracy[1]


def test_what_the_schedule_fixes_has_not_moved(replay: Replay) -> None:
    for page, _ in replay.pages():
        for version in ("v1", "v2"):
            moved = about(page, "model_drift_detected", "late", version, "training", "30d")
            assert [name for name in ("hour", "origin", "carrier") if moved[name]] == []


def test_the_weeks_before_know_the_season(replay: Replay) -> None:
    """Against its own last weeks September is no summer; four weeks do not reach behind a window of thirty days."""
    for version in ("v1", "v2"):
        training, trailing = (
            about(replay.autumn, "model_drift_distance", "late", version, reference, "7d")
            for reference in ("training", "trailing")
        )
        assert training["temp"] > 9
        assert trailing["temp"] < 0.1
        assert not about(replay.autumn, "model_drift_distance", "late", version, "trailing", "30d")


def states(page: Metrics, version: str, window: str) -> dict[str, str]:
    """The state of each input of `late` that is not `ok`."""
    return {
        dict(labels)["feature"]: dict(labels)["state"]
        for (name, labels), value in page.items()
        if name == "model_feature_state"
        and value == 1
        and {("model", "late"), ("version", version), ("window", window)} <= labels
        and ("state", "ok") not in labels
    }


def test_the_weather_that_ends_before_the_year_is_found(replay: Replay) -> None:
    without = replay.rows["temp"].isna() & (replay.rows["time"] >= pd.Timestamp("2013-12-31T06:25:00Z"))
    assert without.sum() == (replay.rows["time"] >= pd.Timestamp("2013-12-31T06:25:00Z")).sum() == 2 * 777
    weather = dict.fromkeys(("temp", "wind_speed", "precip", "visib"), "vanished")
    for version in ("v1", "v2"):
        assert states(replay.page, version, "7d") == weather
        assert states(replay.page, version, "30d") == weather | {"dep_delay": "missing"}
        assert "vanished" not in states(replay.autumn, version, "7d").values()


def test_flights_that_never_left_are_in_no_training_data(replay: Replay) -> None:
    assert replay.trained["late"]["dep_delay"].notna().all()
    for version in ("v1", "v2"):
        assert states(replay.autumn, version, "30d") == {"dep_delay": "missing", "temp": "out_of_range"}


def test_a_dry_week_and_the_week_after_christmas_are_news(replay: Replay) -> None:
    for version in ("v1", "v2"):
        assert states(replay.autumn, version, "7d") == {"temp": "out_of_range", "precip": "constant"}
        trailing = about(replay.autumn, "model_drift_distance", "late", version, "trailing", "7d")
        assert trailing["wind_speed"] > 0.8 and trailing["visib"] > 0.4 > max(trailing["temp"], trailing["hour"])
        place = {"model": "late", "version": version, "feature": "@label", "window": "7d"}
        moved = [
            replay.page.value("model_drift_excess", **place, statistic="psi", reference=reference)
            for reference in ("trailing", "training")
        ]
        assert moved == [pytest.approx(0.13, abs=0.02), pytest.approx(0, abs=0.005)]
    detected = {"model": "late", "version": "v2", "feature": "@label", "window": "7d"}
    assert replay.page.value("model_drift_detected", **detected, reference="trailing") == 1
    assert replay.page.value("model_drift_detected", **detected, reference="training") == 0


def test_the_page_has_the_year_as_it_was(replay: Replay) -> None:
    """The table of months in the documentation, figure by figure."""
    rows = re.findall(r"^\| (2013-\d\d) \|(.*)\|$", PAGE.read_text(), flags=re.MULTILINE)
    assert [month for month, _ in rows] == [f"2013-{month:02d}" for month in range(3, 13)]
    quality = recount.months(replay.rows)
    for month, cells in rows:
        shown = [cell.strip() for cell in cells.split("|")]
        moved = [f"{replay.by_month[name][month]:.2f}" for name in MONTHLY]
        scores = ["" if pd.isna(quality[name][month]) else f"{quality[name][month]:.3f}" for name in ("v1", "v2")]
        assert shown == [*moved, f"{100 * quality['late'][month]:.0f} %", *scores], month
