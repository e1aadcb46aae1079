"""Sparklines are a plain recount of the logs by stretches of time, and follow the tally from refresh to refresh."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.logs import START, append, feedback, prediction
from tests.page.reports import score, version
from tidegauge.assess import assessment, panes
from tidegauge.assess.panes import Trends, recent_window
from tidegauge.config.load import load
from tidegauge.config.settings import DAY, HOUR, MINUTE
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.feedback_status import quantile, silences
from tidegauge.pipeline.pipeline import Pipeline
from tidegauge.publish.charts import common_scale, gauge, trend, trend_words
from tidegauge.state.store import Store
from tidegauge.tally.panes import Window

CONFIGURATION = """\
clock: log
sources: [{predictions: predictions.jsonl}, {feedback: feedback.jsonl}]
models:
  - {name: fraud, task: TASK, feedback: {outcome: {maturity: 5m}}, windows: [1h, 4h], block: 1m, grace: 1m}
"""
STEP = 5 * MINUTE
LENGTH = 5 * HOUR


@pytest.fixture
def pipeline(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    task = getattr(request, "param", "binary")
    (tmp_path / "tidegauge.yml").write_text(CONFIGURATION.replace("TASK", task))
    settings = load(tmp_path / "tidegauge.yml")
    store = Store.open(settings.state, schema=1)
    running = Pipeline(settings, store, None)
    yield running
    running.close()
    store.close()


def read_all(pipeline: Pipeline) -> Engine:
    pipeline.poll()
    while pipeline.step():
        pass
    pipeline.advance()
    return pipeline.engines["fraud"]


def trend_of(engine: Engine, clock: int, trends: Trends, metric: str = "accuracy") -> panes.Trend:
    codes = [engine.tally.series.number(code) for code in range(len(engine.versions.texts))]
    texts = tuple(engine.classes.texts)
    return trends.of(engine.model, engine.tally, texts, engine.room, clock, codes, [(0, metric)])[0, metric]


def write(directory: Path, chance: random.Random) -> list[tuple[int, str, bool | None]]:
    """(time, version, whether right; None without a label) of every prediction; for an hour no label comes."""
    rows: list[tuple[int, str, bool | None]] = []
    asked, told = [], []
    for number in range(3000):
        time = START + number * LENGTH // 3000
        name = chance.choice(("v1", "v2"))
        right = chance.random() < 0.8
        quiet = START + 2 * HOUR <= time < START + 3 * HOUR or chance.random() < 0.1
        asked.append(prediction("fraud", name, number, time, "1"))
        if not quiet:
            told.append(feedback("fraud", number, time + MINUTE, "1" if right else "0"))
        rows.append((time, name, None if quiet else right))
    append(directory / "predictions.jsonl", asked)
    append(directory / "feedback.jsonl", told)
    return rows


def recount(rows: list[tuple[int, str, bool | None]], name: str, start: int, stretches: int) -> list[float]:
    found = []
    for stretch in range(stretches):
        low = start + stretch * STEP
        right = [row[2] for row in rows if row[1] == name and low <= row[0] < low + STEP and row[2] is not None]
        found.append(sum(right) / len(right) if right else float("nan"))
    return found


def test_a_trend_is_a_recount_by_stretches_with_gaps_where_nothing_is_known(pipeline: Pipeline, tmp_path: Path) -> None:
    rows = write(tmp_path, random.Random(3))
    engine, trends = read_all(pipeline), Trends()
    shown = trend_of(engine, pipeline.clock, trends)
    end = (pipeline.clock - 5 * MINUTE) // STEP * STEP
    assert (shown.start, shown.step, shown.score.shape[1]) == (end - 4 * HOUR, STEP, 48)
    for place, name in enumerate(engine.versions.texts):
        expected = recount(rows, name, shown.start, 48)
        assert 10 <= sum(np.isnan(expected)) <= 14
        np.testing.assert_allclose(shown.score[place], expected, rtol=1e-12)
    known = ~np.isnan(shown.score)
    assert (shown.lower[known] <= shown.score[known]).all() and (shown.score[known] <= shown.upper[known]).all()


def test_only_stretches_that_changed_are_computed_again(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write(tmp_path, random.Random(4))
    engine, trends = read_all(pipeline), Trends()
    before = trend_of(engine, pipeline.clock, trends)
    computed: list[int] = []
    honest = assessment.count

    def counted(model, channel, sums, texts, room):  # type: ignore[no-untyped-def]
        computed.append(len(sums.series))
        return honest(model, channel, sums, texts, room)

    monkeypatch.setattr(panes, "count", counted)
    assert trend_of(engine, pipeline.clock, trends).score.tobytes() == before.score.tobytes()
    assert computed == []
    # A late label changes one stretch of one version.
    number = next(place for place, row in enumerate(rows) if row[2] is None and row[0] > START + 2 * HOUR)
    append(tmp_path / "feedback.jsonl", [feedback("fraud", number, rows[number][0] + HOUR, "1")])
    after = trend_of(read_all(pipeline), pipeline.clock, trends)
    assert computed == [1]
    assert np.isnan(before.score).sum() - np.isnan(after.score).sum() == 1
    assert (trend_of(engine, pipeline.clock, Trends()).score.tobytes()) == after.score.tobytes()


@pytest.mark.parametrize("pipeline", ["regression"], indirect=True)
def test_regression_has_trends_too(pipeline: Pipeline, tmp_path: Path) -> None:
    errors = [random.Random(5).gauss(0, 2) for _ in range(400)]
    times = [START + number * LENGTH // 400 for number in range(400)]
    append(
        tmp_path / "predictions.jsonl", [prediction("fraud", "v", n, t, 10 + errors[n]) for n, t in enumerate(times)]
    )
    append(tmp_path / "feedback.jsonl", [feedback("fraud", n, t + 1000, 10) for n, t in enumerate(times)])
    shown = trend_of(read_all(pipeline), pipeline.clock, Trends(), "mae")
    for stretch in range(48):
        low = shown.start + stretch * STEP
        inside = [abs(error) for time, error in zip(times, errors, strict=True) if low <= time < low + STEP]
        assert shown.score[0, stretch] == pytest.approx(sum(inside) / len(inside), rel=1e-9)


def test_silence_is_measured_from_the_newest_labelled_prediction(pipeline: Pipeline, tmp_path: Path) -> None:
    times = [START + number * MINUTE for number in range(200)]
    append(tmp_path / "predictions.jsonl", [prediction("fraud", "v", n, t, "1") for n, t in enumerate(times)])
    append(tmp_path / "feedback.jsonl", [feedback("fraud", n, t + 1000, "1") for n, t in enumerate(times) if n < 120])
    engine = read_all(pipeline)
    found = silences(engine, 0, [0], pipeline.clock)[0]
    # Mature are those before minute 199 - 5; the last label is of minute 119.
    assert (found.milliseconds, found.predictions) == (74 * MINUTE, 74)
    append(tmp_path / "feedback.jsonl", [feedback("fraud", 193, times[193] + 1000, "1")])
    assert silences(read_all(pipeline), 0, [0], pipeline.clock) == {}


def test_a_trend_has_the_length_of_the_longest_window_up_to_a_week() -> None:
    hour, day, month = Window(HOUR, MINUTE), Window(DAY, 30 * MINUTE), Window(30 * DAY, 12 * HOUR)
    assert recent_window((hour, day, month)) is day
    assert recent_window((hour,)) is hour
    assert recent_window((month,)) is month


def test_quantiles_are_those_of_prometheus() -> None:
    bounds = (1.0, 10.0, 60.0)
    assert quantile(bounds, np.array([0, 0, 0, 0]), 0.5) is None
    assert quantile(bounds, np.array([4, 0, 0, 0]), 0.5) == pytest.approx(0.5)
    assert quantile(bounds, np.array([1, 8, 1, 0]), 0.5) == pytest.approx(5.5)
    assert quantile(bounds, np.array([1, 8, 1, 10]), 0.95) == 60.0


def test_drawings_stay_inside_and_break_where_nothing_is_known() -> None:
    (past,) = version().trends
    drawn = trend(past)
    assert drawn.count("M") == 2 + 1 + 1, "two runs of the line, one of the band, one objective"
    assert trend_words(past) == "accuracy over 2 h, every 30 min: from 0.900 to 0.950, last 0.950; unknown in 1 of 4"
    scale = common_scale([score(), score(score=None, lower=None, upper=None)])
    assert scale is not None and common_scale([score(score=None)]) is None
    shown = gauge(score(), scale)
    assert "95 % interval 0.924 to 0.938, objective at least 0.95" in shown
    mirrored = gauge(score(direction="at_most"), scale)
    assert 'x="0"' in shown and 'x="0"' not in mirrored, "the bad side is left of at_least and right of at_most"
