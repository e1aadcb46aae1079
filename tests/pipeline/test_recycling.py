"""Junk versions and slice values cannot take their slots for ever, and who returns finds its counters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recount.driver import Page, Run
from tidegauge.config.load import load
from tidegauge.join.vocabulary import OTHER, Vocabulary
from tidegauge.pipeline.recycling import ARCHIVED

CONFIGURATION = """
state: state
clock: log
sources:
  - predictions: predictions.jsonl
  - feedback: feedback.jsonl
models:
  - name: fraud
    task: binary
    feedback: {outcome: {maturity: 1m}}
    slices: [country]
    windows: [5m]
    grace: 1m
    block: 1m
    horizon: 1h
    version_expiry: 1h
    max_versions: 3
    max_slice_values: 2
"""
START = 1_700_000_000
MINUTE, HOUR = 60, 3600


class Log:
    """Predictions, each labelled right, by an exporter of three versions and two countries."""

    def __init__(self, directory: Path) -> None:
        (directory / "tidegauge.yml").write_text(CONFIGURATION)
        for name in ("predictions", "feedback"):
            (directory / f"{name}.jsonl").touch()
        self.run = Run(load(directory / "tidegauge.yml"))
        self.count = 0

    def predict(self, version: str, at: int, country: str = "DE", rows: int = 1) -> None:
        for _ in range(rows):
            self.count += 1
            record = {"prediction_id": self.count, "timestamp": START + at, "version": version, "prediction": 1}
            self._write("predictions", {**record, "features": {"country": country}})
            self._write("feedback", {"prediction_id": self.count, "timestamp": START + at + 1, "label": 1})

    def _write(self, kind: str, record: dict[str, object]) -> None:
        self.run.write(kind, json.dumps(record).encode() + b"\n")

    def page(self) -> Page:
        self.run.settle()
        # A log clock moves only with the log, and every refresh looks at a part of what waits.
        self.run.pipeline.advance()
        return self.run.page()

    def total(self, version: str) -> float | None:
        return self.page().get(("model_predictions_total", ("fraud", version, "primary")))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.run.close()


def test_junk_versions_give_their_slots_back_when_they_have_expired(log: Log) -> None:
    for number in range(5):
        log.predict(f"junk-{number}", at=0)
    assert (log.total("junk-0"), log.total("other"), log.total("junk-4")) == (1, 2, None)
    log.predict("junk-0", at=2 * HOUR)
    log.total("junk-0")
    log.predict("v1", at=2 * HOUR + MINUTE, rows=3)
    page = log.page()
    assert page["model_predictions_total", ("fraud", "v1", "primary")] == 3
    assert page["model_predictions_total", ("fraud", "junk-0", "primary")] == 2
    assert ("model_predictions_total", ("fraud", "junk-1", "primary")) not in page


def test_nothing_of_a_version_is_left_to_the_next_one(log: Log) -> None:
    for version in ("a", "b", "c"):
        log.predict(version, at=0, rows=10)
    log.page()
    for step in range(1, 4):
        log.predict("a", at=step * HOUR, rows=1)
        log.page()
    log.predict("d", at=3 * HOUR + MINUTE, rows=2)
    log.predict("a", at=3 * HOUR + 10 * MINUTE)
    page = log.page()
    (code,) = [code for code, text in enumerate(log.run.pipeline.engines["fraud"].versions.texts) if text == "d"]
    assert code in (1, 2)
    of_d = {key: value for key, value in page.items() if "d" in key[1]}
    assert of_d["model_quality_samples", ("fraud", "d", "outcome", "accuracy", "lifetime")] == 2
    assert of_d["model_outcomes_total", ("fraud", "d", "outcome", "correct")] == 2
    assert of_d["model_feedback_total", ("fraud", "d", "outcome", "joined")] == 2
    assert of_d["model_feedback_delay_seconds_bucket", ("fraud", "d", "outcome", "1.0")] == 2


def test_the_counters_of_a_version_that_returns_go_on(log: Log) -> None:
    for version in ("a", "b", "c"):
        log.predict(version, at=0, rows=10)
    log.page()
    log.predict("a", at=2 * HOUR)
    log.page()
    log.predict("d", at=2 * HOUR)
    assert log.total("d") == 1
    assert log.total("b") is None
    log.run.save()
    log.run.reopen()
    log.predict("b", at=2 * HOUR + MINUTE, rows=5)
    log.predict("b", at=2 * HOUR + 20 * MINUTE)
    page = log.page()
    assert page["model_predictions_total", ("fraud", "b", "primary")] == 16
    assert page["model_feedback_total", ("fraud", "b", "outcome", "joined")] == 16
    assert page["model_outcomes_total", ("fraud", "b", "outcome", "correct")] == 15  # the last one is not sealed yet
    first = page["model_version_first_prediction_timestamp_seconds", ("fraud", "b")]
    assert first == START
    assert page["model_quality_samples", ("fraud", "b", "outcome", "accuracy", "lifetime")] == 5  # nor mature


def test_as_long_as_there_is_room_nobody_loses_anything(log: Log) -> None:
    log.predict("a", at=0, rows=10)
    log.page()
    log.predict("b", at=50 * HOUR)
    assert log.total("a") is None, "expired, so not shown"
    log.predict("a", at=50 * HOUR)
    page = log.page()
    assert page["model_predictions_total", ("fraud", "a", "primary")] == 11
    log.predict("a", at=51 * HOUR)
    samples = log.page()["model_quality_samples", ("fraud", "a", "outcome", "accuracy", "lifetime")]
    assert samples == 11, "its lifetime window too"


def test_junk_slice_values_give_their_slots_back(log: Log) -> None:
    for country in ("xx", "yy", "zz"):
        log.predict("v1", at=0, country=country)
    log.page()
    for step in range(1, 20):
        log.predict("v1", at=step * 10 * MINUTE, country="xx")
        log.page()
    log.predict("v1", at=200 * MINUTE, country="DE", rows=4)
    log.predict("v1", at=203 * MINUTE, country="xx")
    page = log.page()
    values = {
        labels[4]: value
        for (name, labels), value in page.items()
        if name == "model_slice_quality_samples" and "accuracy" in labels
    }
    assert values["DE"] == 4
    assert set(values) <= {"DE", "xx"}


def test_the_same_is_published_after_a_restart(log: Log) -> None:
    for step, version in enumerate(["a", "b", "c", "d", "a", "e", "f", "b", "g"]):
        log.predict(version, at=step * 2 * HOUR, country=version, rows=step + 1)
        before = log.page()
        log.run.save()
        log.run.reopen()
        assert log.page() == before


def test_versions_whose_counters_are_kept_are_bounded(log: Log) -> None:
    for step in range(ARCHIVED + 10):
        log.predict(f"v{step}", at=step * HOUR)
        log.page()
    engine = log.run.pipeline.engines["fraud"]
    assert len(engine.archive) == ARCHIVED
    assert len(engine.detectors["outcomes/outcome"]) <= ARCHIVED + 4


def test_a_vocabulary_reuses_what_was_freed_and_never_other() -> None:
    words = Vocabulary(3, ["a", "b"])
    assert words.full
    assert words.code("c") == words.code(OTHER) == 2
    words.free(0)
    assert not words.full
    assert (words.code("d"), words.code("a"), words.texts) == (0, 2, ["d", "b", OTHER])
    assert Vocabulary(3, ["", "b", OTHER]).code("z") == 0
