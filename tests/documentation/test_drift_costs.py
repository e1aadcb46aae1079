"""The benchmark of what drift costs measures what it says: every statistic is there, and others find the same."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from bench import drift, workload
from bench.drift_peers import CASES, CURRENT, REFERENCE
from bench.speed import whole_job
from tidegauge.config.settings import DRIFT_STATISTICS
from tidegauge.pipeline.publication import view
from tidegauge.publish.samples import Samples

NUMBERS_ONLY = {"kolmogorov_smirnov", "wasserstein"}
Distances = dict[tuple[str, str, str, str], float]
"""By version, feature, statistic and reference."""


def ms_of(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = replace(drift.RELEASE, interval=1_000.0, canary=(-0.5, 0.5))
    return drift.make_logs(tmp_path_factory.mktemp("bench") / "logs", 8_000, shape, trained_on=4_000)


@pytest.fixture(scope="module")
def page(logs: Path) -> tuple[Distances, int]:
    """What is published in the end, and up to when (ms) the predictions are that it tells of."""
    assert whole_job(logs, drift.BLOCK) > 8_000
    with drift.reopened(logs) as (pipeline, scores):
        engine = pipeline.engines["fraud"]
        samples = view(engine, scores("fraud"), pipeline.clock).samples
        window = next(one for one in engine.tally.ladder.windows if one.width in engine.model.drift.windows)
        _, end = window.bounds(pipeline.clock, 0)
    found: Distances = {}
    for part in samples:
        if isinstance(part, Samples) and part.family.name == "model_drift_distance":
            for (_, version, feature, statistic, reference, _), value in zip(part.rows, part.values, strict=True):
                found[version, feature, statistic, reference] = float(value)
    return found, end


def test_all_statistics_of_all_features_are_published_against_what_there_is(page: tuple[Distances, int]) -> None:
    published, _ = page
    expected = {
        (version, feature, statistic, reference)
        for version, references in {"v1": ("training",), "v2": ("training", "previous_version")}.items()
        for feature, kind in workload.FEATURES.items()
        for statistic in DRIFT_STATISTICS
        for reference in references
        if kind == "numeric" or statistic not in NUMBERS_ONLY
    }
    assert {place for place in published if not place[1].startswith("@")} == expected


def test_pandas_with_scipy_finds_the_same_of_the_same_rows(
    logs: Path, page: tuple[Distances, int], tmp_path: Path
) -> None:
    published, end = page
    lines = (logs / workload.PREDICTIONS).read_text().splitlines(keepends=True)
    within = [line for line in lines if ms_of(json.loads(line)["timestamp"]) < end]
    (tmp_path / workload.PREDICTIONS).write_text("".join(within))
    (tmp_path / workload.FEEDBACK).write_bytes((logs / workload.FEEDBACK).read_bytes())
    drift.parquet(tmp_path / workload.PREDICTIONS, tmp_path / CURRENT)
    drift.parquet(logs / "training" / "rows.jsonl", tmp_path / REFERENCE)
    of_columns = CASES["pandas_scipy"].work(tmp_path, lambda: None, lambda: None)
    of_logs = CASES["pandas_scipy_logs"].work(tmp_path, lambda: None, lambda: None)
    assert of_columns == {place: value for place, value in of_logs.items() if place[2] != "accuracy"}
    for version in ("v1", "v2"):
        for feature in workload.NUMERIC:
            place = (version, feature, "wasserstein")
            assert published[*place, "training"] == pytest.approx(of_columns[place], abs=0.015), place
            place = (version, feature, "kolmogorov_smirnov")
            # The largest gap lies anywhere; bins see those at their edges.
            assert -1e-9 <= of_columns[place] - published[*place, "training"] <= 0.03, place
        for feature in workload.CATEGORICAL:
            place = (version, feature, "chi_squared")
            assert published[*place, "training"] == pytest.approx(of_columns[place], rel=1e-9), place


def test_logs_with_more_features_are_otherwise_the_same(tmp_path: Path) -> None:
    shapes = [workload.Shape(), workload.Shape(features=30)]
    few, many = (tmp_path / name for name in ("few", "many"))
    for directory, shape in zip((few, many), shapes, strict=True):
        directory.mkdir()
        workload.write(directory, 200, shape=shape)
    assert (few / workload.FEEDBACK).read_bytes() == (many / workload.FEEDBACK).read_bytes()
    kinds = workload.features(shapes[1])
    assert len(kinds) == 30
    texts = (few / workload.PREDICTIONS).read_text(), (many / workload.PREDICTIONS).read_text()
    for narrow, wide in zip(*(map(json.loads, text.splitlines()) for text in texts), strict=True):
        assert list(wide["features"]) == list(kinds)
        assert all(isinstance(wide["features"][name], str) == (kind == "categorical") for name, kind in kinds.items())
        assert narrow == wide | {"features": {name: wide["features"][name] for name in workload.FEATURES}}


@pytest.mark.parametrize(("job", "missed"), [(2.0, []), (4.0, ["whole job / parse alone"])])
def test_a_bar_is_missed_by_the_median_of_the_rounds(job: float, missed: list[str]) -> None:
    def rounds(seconds: float) -> list[drift.Run]:
        return [drift.Run(seconds * noise, seconds * noise, seconds, {}) for noise in (0.9, 1.0, 1.3)]

    runs = {f"{drift.PARSE}, 64 KB blocks": rounds(1.0), drift.JOB: rounds(job)}
    runs |= {name: rounds(job) for name in (drift.PAGES, drift.NONE, drift.WIDE, drift.SOME, drift.WIDE_PARSE)}
    assert drift.ratios(runs) == missed
    slow = runs | {drift.PANDAS: rounds(2.2 * job), drift.ALIBI: rounds(2.2 * job)}
    assert drift.ratios(slow) == [*missed, "pandas with scipy / whole job, with loading the programs"]
