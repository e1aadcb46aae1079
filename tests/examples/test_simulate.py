"""Simulated logs are what their scenario says, and the same for the same seed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.processes import ENVIRONMENT, PATIENCE, tidegauge_command, wait_until
from tidegauge import simulate

START = 1_750_000_000_000
HOUR = 3_600_000


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    simulate.simulate("two-versions", output, seed=1, start=START, duration=HOUR, rate=20)
    return output


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(run: Path, tmp_path: Path) -> None:
    for seed, same in ((1, True), (2, False)):
        output = tmp_path / str(seed)
        simulate.simulate("two-versions", output, seed=seed, start=START, duration=HOUR, rate=20)
        for name in (simulate.PREDICTIONS, simulate.FEEDBACK):
            assert ((run / name).read_bytes() == (output / name).read_bytes()) == same


def test_versions_are_as_accurate_and_as_frequent_as_the_scenario_says(run: Path) -> None:
    labels = {record["prediction_id"]: record["label"] for record in read(run / simulate.FEEDBACK)}
    predictions = read(run / simulate.PREDICTIONS)
    for version, accuracy in (("v1", 0.93), ("v2", 0.88)):
        right = [
            record["prediction"] == labels[record["prediction_id"]]
            for record in predictions
            if record["version"] == version and record["prediction_id"] in labels
        ]
        assert np.mean(right) == pytest.approx(accuracy, abs=4 * np.sqrt(0.1 / len(right)))
    halves = np.array_split([record["version"] == "v2" for record in predictions], 2)
    assert [half.mean() for half in halves] == pytest.approx([0.2, 0.4], abs=0.02)


def test_scores_of_a_truthful_version_are_calibrated_and_agree_with_its_answers(run: Path) -> None:
    labels = {record["prediction_id"]: record["label"] for record in read(run / simulate.FEEDBACK)}
    answered = [record for record in read(run / simulate.PREDICTIONS) if "score" in record]
    assert all((record["score"] >= 0.5) == (record["prediction"] == "1") for record in answered)
    mine = [r for r in answered if r["version"] == "v1" and r["prediction_id"] in labels]
    score = np.array([r["score"] for r in mine])
    truth = np.array([labels[r["prediction_id"]] == "1" for r in mine])
    unsure = (score > 0.1) & (score < 0.9)
    assert truth[unsure].mean() == pytest.approx(score[unsure].mean(), abs=4 * np.sqrt(0.25 / unsure.sum()))


def test_ids_are_unique_and_each_feedback_follows_its_own_prediction(run: Path) -> None:
    predictions, feedback = read(run / simulate.PREDICTIONS), read(run / simulate.FEEDBACK)
    asked = {record["prediction_id"]: record["timestamp"] for record in predictions}
    assert len(asked) == len(predictions)
    assert len({record["prediction_id"] for record in feedback}) == len(feedback)
    assert all(asked[record["prediction_id"]] <= record["timestamp"] for record in feedback)
    times = [record["timestamp"] for record in feedback]
    assert times == sorted(times)
    assert [asked[record["prediction_id"]] for record in feedback] != sorted(
        asked[record["prediction_id"]] for record in feedback
    )


def test_failed_requests_have_no_answer_and_get_no_feedback(run: Path) -> None:
    labelled = {record["prediction_id"] for record in read(run / simulate.FEEDBACK)}
    failed = [record for record in read(run / simulate.PREDICTIONS) if "error" in record]
    assert failed
    assert not any("prediction" in record or record["prediction_id"] in labelled for record in failed)


def test_steps_of_any_size_write_a_consistent_log() -> None:
    scenario = simulate.find("two-versions")
    traffic = simulate.Traffic(scenario, seed=3, start=START, duration=60_000, rate=50, delay=1_000)
    steps = [traffic.step(START + at) for at in (0, 1, 500, 500, 400, 10_000, 60_000)]
    ids = [json.loads(line)["prediction_id"] for predictions, _ in steps for line in predictions.splitlines()]
    answered = [json.loads(line)["prediction_id"] for _, feedback in steps for line in feedback.splitlines()]
    assert len(ids) == len(set(ids)) > 2_500
    assert set(answered) < set(ids)


def test_an_unknown_scenario_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two-versions"):
        simulate.simulate("no-such", tmp_path)


def test_logs_that_exist_are_not_overwritten(run: Path) -> None:
    before = (run / simulate.PREDICTIONS).read_bytes()
    with pytest.raises(FileExistsError):
        simulate.simulate("two-versions", run, start=START)
    assert (run / simulate.PREDICTIONS).read_bytes() == before


def test_the_configuration_beside_the_logs_names_them(run: Path) -> None:
    configuration = yaml.safe_load((run / simulate.CONFIGURATION).read_text())
    assert [next(iter(source.values())) for source in configuration["sources"]] == [
        simulate.PREDICTIONS,
        simulate.FEEDBACK,
    ]
    assert configuration["models"][0]["name"] == "fraud"


class Clock:
    """Seconds since the epoch, one more at each look; `reached` is set when it has been looked at often enough."""

    def __init__(self, looks: int) -> None:
        self.now = START / 1000
        self.end = self.now + looks
        self.reached = threading.Event()

    def __call__(self) -> float:
        self.now += 1
        if self.now > self.end:
            self.reached.set()
        return self.now


def test_live_traffic_starts_with_a_history_and_goes_on_until_stopped(tmp_path: Path) -> None:
    clock = Clock(looks=10)
    with simulate.Live("two-versions", tmp_path, rate=100, history=60_000, interval=0.001, clock=clock):
        assert len(read(tmp_path / simulate.PREDICTIONS)) > 5_000
        assert clock.reached.wait(30)
    assert all(thread.name != "simulated-traffic" for thread in threading.enumerate())
    predictions = read(tmp_path / simulate.PREDICTIONS)
    times = [record["timestamp"] for record in predictions]
    assert times == sorted(times)
    assert len(predictions) > 6_000
    assert len(read(tmp_path / simulate.FEEDBACK)) > 4_000


def test_live_logs_rotate_without_losing_a_line(tmp_path: Path) -> None:
    clock = Clock(looks=20)
    with simulate.Live("two-versions", tmp_path, rate=50, history=0, interval=0.001, rotate_bytes=30_000, clock=clock):
        assert clock.reached.wait(30)
    kept = read(tmp_path / f"{simulate.PREDICTIONS}.1") + read(tmp_path / simulate.PREDICTIONS)
    numbers = [int(record["prediction_id"].rpartition("-")[2]) for record in kept]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def accuracy(predictions: bytes, feedback: bytes, version: str, since: int, until: int) -> float:
    """The share of right answers among the version's labelled predictions of a time, in ms since START."""
    labels = {record["prediction_id"]: record["label"] for record in map(json.loads, feedback.splitlines())}
    right = [
        record["prediction"] == labels[record["prediction_id"]]
        for record in map(json.loads, predictions.splitlines())
        if record["version"] == version
        and record["prediction_id"] in labels
        and since <= datetime.fromisoformat(record["timestamp"]).timestamp() * 1000 - START < until
    ]
    assert len(right) > 300
    return float(np.mean(right))


@pytest.mark.parametrize("repeating", [True, False])
def test_the_broken_release_breaks_is_rolled_back_and_returns_only_if_it_repeats(repeating: bool) -> None:
    span = 100_000
    traffic = simulate.Traffic(
        simulate.find("broken-release"), seed=4, start=START, duration=span, rate=200, delay=10, repeating=repeating
    )
    predictions, feedback = (
        b"".join(parts) for parts in zip(*(traffic.step(START + n * span) for n in (1, 2)), strict=True)
    )
    breaks, rolled_back = int(span * simulate.BREAKS), int(span * simulate.ROLLED_BACK)
    for since, until, expected in (
        (span // 12, breaks, 0.94),
        (breaks + 1000, rolled_back, 0.7),
        *([(span + breaks + 1000, span + rolled_back, 0.7)] if repeating else []),
    ):
        assert accuracy(predictions, feedback, "v2", since, until) == pytest.approx(expected, abs=0.06)
    assert accuracy(predictions, feedback, "v1", 0, span) == pytest.approx(0.94, abs=0.02)
    second = [
        datetime.fromisoformat(row["timestamp"]).timestamp() * 1000 - START
        for row in map(json.loads, predictions.splitlines())
        if row["version"] == "v2"
    ]
    gone = [at for at in second if at > rolled_back]
    assert (min(gone) > span) if repeating else not gone


def test_following_continues_logs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegauge", "simulate", "--scenario", "broken-release", "--follow"]
    log = tmp_path / simulate.PREDICTIONS

    def lines() -> int:
        return log.read_bytes().count(b"\n") if log.exists() else 0

    for number in (signal.SIGTERM, signal.SIGINT):
        enough = lines() + 50
        with subprocess.Popen([*command, "--output", tmp_path], env={**os.environ, **ENVIRONMENT}) as process:
            wait_until(lambda enough=enough: lines() > enough, what="new predictions")  # type: ignore[misc]
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
    ids = [record["prediction_id"] for record in read(log)]
    assert len(set(ids)) == len(ids) == lines()


def test_following_ends_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = tidegauge_command("simulate", "--scenario", "broken-release", "--follow", "--output", tmp_path / "file")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
