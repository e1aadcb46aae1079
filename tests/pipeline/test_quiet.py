"""Days in which nothing goes wrong: nobody is woken. The bench runs months of it through the real process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import poisson

from bench.quiet import COUNTRIES, RATE, Alarms, Quiet, poisson_tail, report
from tests.pipeline.production import FRAUD, START, production
from tidegauge.config.settings import DAY, HOUR, Change, Channel, Release
from tidegauge.publish import catalogue

DAYS, RELEASED, VERSIONS = 10, 6, 4


def test_ten_quiet_days_and_a_harmless_release_raise_nothing(tmp_path: Path) -> None:
    model = replace(
        FRAUD,
        name="model-01",
        channels=(Channel("outcome", "complete", 2 * HOUR),),
        signals=(),
        block=HOUR,
        release=Release((("accuracy", 0.03),)),
        change=Change(learning=4 * DAY),  # a shorter time does not know the shape of a day
    )
    quiet = Quiet(models=1, versions=VERSIONS, rate=1.5, seed=2, released=RELEASED)
    run = production(tmp_path, model)
    alarms = Alarms()
    assert quiet.now == START
    for day in range(1, DAYS + 1):
        for kind, data in zip(("predictions", "feedback"), quiet.step(START + day * DAY), strict=True):
            run.write(kind, data)
        run.settle()
        page = run.page()
        alarms.look(
            [
                (name, dict(zip(catalogue.NAMED[name].labels, row, strict=True)), value)
                for (name, row), value in page.items()
                if name.startswith(("model_change", "model_slice_change", "model_release", "model_objective_breach"))
            ],
            day,
        )
    accuracy = [value for (name, row), value in page.items() if name == "model_change_baseline_score"]
    run.close()
    assert alarms.lines == []
    assert alarms.streams == VERSIONS
    assert alarms.sliced == (VERSIONS - 1) * len(COUNTRIES), "slices of the new one have too few rows yet"
    assert alarms.releases == {("model-01", "v4")} == alarms.promoted
    assert all(1 - RATE * 1.6 < value < 1 - RATE * 0.6 for value in accuracy)


@pytest.mark.parametrize(("count", "mean"), [(0, 2.0), (1, 0.5), (5, 2.0), (30, 10.0)])
def test_the_bench_judges_counts_by_poissons_law(count: int, mean: float) -> None:
    assert poisson_tail(count, mean) == pytest.approx(poisson.sf(count - 1, mean), abs=1e-12)


def test_the_bench_counts_each_alarm_once_and_says_when_there_are_too_many() -> None:
    alarms = Alarms()

    def look(day: float, detections: int, failing: float, rolled: float) -> None:
        place = {"model": "m", "version": "v1"}
        alarms.look(
            [
                ("model_change_detections_total", place | {"metric": "accuracy"}, detections),
                ("model_slice_change_detected", place | {"slice_value": "DE"}, failing),
                ("model_release_verdict", place | {"metric": "overall", "verdict": "roll_back"}, rolled),
            ],
            day,
        )

    look(1, 0, 0, 0)
    look(2, 1, 1, 1)
    look(3, 1, 1, 1)
    look(4, 3, 0, 1)
    look(5, 3, 1, 1)
    assert alarms.found == {"ModelDegrading": 3, "ModelSliceDegrading": 2, "ModelReleaseRegressed": 1}
    assert not report(alarms, days=9, models=1)[1]
    assert report(alarms, days=900, models=1)[1]
    assert report(Alarms(), days=9, models=1)[1]
    with pytest.raises(AssertionError, match="fell"):
        look(6, 2, 0, 0)
