"""Slow changes through the real pipeline: what rots is found, what does not is left alone, and what is published is so."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.production import FRAUD, START, feed, production, scenario_logs, states, values
from tests.recount.driver import Page
from tidegauge import simulate
from tidegauge.config.settings import DAY, HOUR, MINUTE, Change, Channel, Model
from tidegauge.publish import catalogue
from tidegauge.simulate import Scenario

QUARTERS = replace(FRAUD, block=15 * MINUTE, signals=())


def watched(
    folder: Path,
    scenario: Scenario,
    days: float,
    rate: float,
    look: Callable[[int, Page], None],
    model: Model = QUARTERS,
) -> Page:
    run = production(folder, model)
    page = feed(run, scenario_logs(scenario, duration=int(days * DAY), rate=rate), 6 * HOUR, look)
    run.close()
    return page


class TestRot:
    """Wrong 5 times in 100 for four days, then more and more, 10 times on day twelve."""

    @pytest.fixture(scope="module")
    @staticmethod
    def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Page]:
        pages: dict[int, Page] = {}
        watched(tmp_path_factory.mktemp("rot"), simulate.find("slow-rot"), 12, 0.05, pages.__setitem__)
        return pages

    def test_it_is_learned_then_watched_then_found(self, pages: dict[int, Page]) -> None:
        found = []
        for _, page in sorted(pages.items()):
            on = [
                row[-1]
                for (name, row), value in page.items()
                if name == "model_change_state" and row[1] == "v1" and value
            ]
            assert len(on) <= 1
            found += on
        order = [state for place, state in enumerate(found) if place == 0 or found[place - 1] != state]
        assert order == ["learning", "watching", "detected"]

    def test_it_is_found_while_it_is_small_and_dated_near_its_beginning(self, pages: dict[int, Page]) -> None:
        at = next(at for at, page in sorted(pages.items()) if 1.0 in values(page, "model_change_detected"))
        assert 4 * DAY < at < 8 * DAY, "before it has doubled half way"
        (start,) = values(pages[at], "model_change_start_timestamp_seconds")
        assert START + 3.5 * DAY < start * 1000 < START + at

    def test_what_is_published_hangs_together(self, pages: dict[int, Page]) -> None:
        for _, page in sorted(pages.items()):
            detected = values(page, "model_change_detected")
            evidence, needed = values(page, "model_change_evidence"), values(page, "model_change_threshold")
            assert len(detected) == len(evidence) == len(needed) <= 1
            assert bool(values(page, "model_change_start_timestamp_seconds")) == (detected == [1.0])
            if detected:
                assert needed == [90 * DAY / (15 * MINUTE)], "one stream, one false alarm in 90 days"
                (expected,) = values(page, "model_change_baseline_score")
                assert 0.92 < expected < 0.97, "an accuracy, not a loss"
                assert detected == [1.0] or evidence[0] < needed[0]
            for (name, row), value in page.items():
                assert math.isfinite(value), name
                if name in catalogue.NAMED:
                    assert len(row) == len(catalogue.NAMED[name].labels), name

    def test_detections_never_become_fewer(self, pages: dict[int, Page]) -> None:
        counts = [values(page, "model_change_detections_total") for _, page in sorted(pages.items())]
        flat = [one for count in counts for one in count]
        assert flat == sorted(flat) and flat[0] == 0 and flat[-1] >= 1


def test_one_failing_slice_is_found_and_no_other(tmp_path: Path) -> None:
    scenario = replace(
        simulate.find("failing-slice"), countries=(("US", 0.45), ("DE", 0.35), ("NZ", 0.2)), duration=4 * DAY
    )  # fails from day 3 on, of one day of whose traffic 0.2 * 0.9 * 0.35 * 86400 = 5443 are NZ's
    found: dict[str, int] = {}

    def look(at: int, page: Page) -> None:
        for (name, row), value in page.items():
            if name == "model_slice_change_detected" and value:
                assert row[3] == "country"
                found.setdefault(row[4], at)

    page = watched(tmp_path, scenario, 4, 0.35, look)
    assert set(found) == {"NZ"}
    assert 3 * DAY < found["NZ"] <= 3.5 * DAY
    (start,) = values(page, "model_slice_change_start_timestamp_seconds", "NZ")
    assert abs(start * 1000 - START - 3 * DAY) <= 3 * HOUR
    thresholds = set(values(page, "model_slice_change_threshold"))
    assert len(thresholds) == 1
    evidence = {row[4]: value for (name, row), value in page.items() if name == "model_slice_change_evidence"}
    assert evidence["NZ"] >= max(thresholds) > max(evidence["US"], evidence["DE"])


def test_labels_that_come_late_are_no_change(tmp_path: Path) -> None:
    scenario = replace(simulate.find("label-delay"), duration=4 * DAY)  # those of day 4 come a day/2 late
    alarms = []

    def look(at: int, page: Page) -> None:
        alarms.extend([at] * (1.0 in values(page, "model_change_detected")))
        alarms.extend([at] * (1.0 in values(page, "model_slice_change_detected")))

    page = watched(tmp_path, scenario, 4, 0.15, look)
    assert alarms == []
    assert values(page, "model_change_state", "watching") == [1.0]


def test_the_promise_is_that_of_the_configuration(tmp_path: Path) -> None:
    model = replace(QUARTERS, change=Change(false_alarm_interval=10 * DAY, learning=12 * HOUR), slices=())
    seen: dict[str, int] = {}

    def look(at: int, page: Page) -> None:
        for (name, row), value in page.items():
            if name == "model_change_state" and value:
                seen.setdefault(row[-1], at)
            if name == "model_change_threshold":
                assert value == 10 * 24 * 4

    watched(tmp_path, simulate.find("slow-rot"), 1.5, 0.25, look, model)
    assert seen["watching"] in (18 * HOUR, 12 * HOUR)


class TestMeaning:
    TEXT = Model(
        "speech",
        "text",
        (Channel("outcome", "complete", 10 * MINUTE),),
        windows=(HOUR,),
        horizon=6 * HOUR,
        objectives=(),
    )

    def test_a_metric_that_means_something_else_after_a_reload_starts_anew(self, tmp_path: Path) -> None:
        run = production(tmp_path, self.TEXT)

        def rows(hours: int, since: int) -> None:
            for kind in ("predictions", "feedback"):
                lines = []
                for number in range(since * 60, hours * 60):
                    record = {"prediction_id": number, "timestamp": START + number * MINUTE, "model": "speech"}
                    said = "One two" if number % 3 else "one two"
                    record |= {"version": "v1", "prediction": said} if kind == "predictions" else {"label": "one two"}
                    lines.append(json.dumps(record).encode() + b"\n")
                run.write(kind, b"".join(lines))
            run.settle()
            run.save()

        def history() -> float:
            (engine,) = run.pipeline.engines.values()
            stream = engine.sealing.states["quality/outcome"].measures["word_error_rate"]
            return float(stream.versions.history.n().sum())

        rows(3, 0)
        many = history()
        assert many > 120
        run.reopen()
        assert history() == many, "a restart alone changes nothing"
        (source,) = (one for one in run.settings.sources if one.kind == "predictions")
        run.settings = replace(run.settings, models=(replace(self.TEXT, normalize=("lowercase",)),))
        run.reopen()
        rows(4, 3)
        assert 0 < history() <= 70, "only blocks since"
        engine = run.pipeline.engines["speech"]
        assert engine.sealing.states["quality/outcome"].measures["word_error_rate"].versions.history.total().sum() == 0
        assert states(run)
        assert source.kind == "predictions"
        run.close()
