"""Reading a large backlog: not ready until it is read, and answering quickly all the while."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.end_to_end import logs
from tests.processes import Exporter, parse

LINES = 300_000
COPIES = 4


@pytest.fixture(scope="module")
def backlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prediction log of LINES lines, each with twelve features, and a quarter as many of feedback."""
    directory = tmp_path_factory.mktemp("backlog")
    features = ",".join(f'"feature_{number}":{number}.25' for number in range(12))
    with (directory / "predictions.jsonl").open("w") as file:
        for number in range(LINES):
            file.write(
                f'{{"prediction_id":"fraud-{number}","timestamp":{logs.START + number * 10},"model":"fraud",'
                f'"version":"v{number % 2}","prediction":"1","score":0.9,"latency_ms":3.5,"features":{{{features}}},'
                f'"slices":{{"country":"{logs.COUNTRIES[number % 3]}"}}}}\n'
            )
    with (directory / "feedback.jsonl").open("w") as file:
        for number in range(0, LINES, 4):
            at = logs.START + number * 10 + 1_000
            file.write(f'{{"prediction_id":"fraud-{number}","timestamp":{at},"label":"{int(number % 10 != 0)}"}}\n')
    return directory


def copy_of(backlog: Path, directory: Path, *, copies: int) -> Path:
    """A directory whose prediction log holds the backlog several times; the repeated ids count as duplicates."""
    with (directory / "predictions.jsonl").open("wb") as file:
        for _ in range(copies):
            with (backlog / "predictions.jsonl").open("rb") as part:
                shutil.copyfileobj(part, file)
    shutil.copy(backlog / "feedback.jsonl", directory)
    config = directory / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    return config


def test_only_the_exporter_itself_is_shown_until_the_backlog_is_read(backlog: Path, tmp_path: Path) -> None:
    config = copy_of(backlog, tmp_path, copies=COPIES)
    with Exporter(config) as exporter:
        states = []
        while True:
            page, ready = exporter.metrics(), exporter.get("/-/ready").status_code == 200
            families = {name.split("_")[0] for name in page.names()} - {"tidegauge", "process"}
            states.append((page.value("tidegauge_ready"), bool(families), ready))
            assert exporter.get("/-/healthy").status_code == 200
            if ready:
                break
            time.sleep(0.05)
        # The page is published as a whole; /-/ready, asked later, may already be of the next publication.
        assert states[0] == (0, False, False)
        assert all(state == (0, False, False) for state in states[:-1])
        metrics = exporter.settle()
    accepted = metrics.value("tidegauge_records_total", kind="predictions", result="accepted")
    assert accepted == metrics.total("model_predictions_total") == LINES
    assert metrics.value("tidegauge_records_total", kind="predictions", result="duplicate") == LINES * (COPIES - 1)
    assert metrics.total("model_feedback_total", result="joined") == LINES // 4


def test_ready_is_latched_and_comes_back_at_once_after_a_restart(backlog: Path, tmp_path: Path) -> None:
    config = copy_of(backlog, tmp_path, copies=1)
    with Exporter(config) as exporter:
        before = exporter.wait_ready(60).settle()
        with (tmp_path / "predictions.jsonl").open("ab") as log, (backlog / "predictions.jsonl").open("rb") as more:
            shutil.copyfileobj(more, log)
        assert exporter.get("/-/ready").status_code == 200
        after = exporter.settle(60)
        assert after.total("model_predictions_total") == before.total("model_predictions_total")
        assert exporter.stop() == 0
        began = time.monotonic()
        exporter.start().wait_ready()
        assert time.monotonic() - began < 5


def test_scrapes_are_answered_within_half_a_second_while_reading_flat_out(backlog: Path, tmp_path: Path) -> None:
    config = copy_of(backlog, tmp_path, copies=1)
    with Exporter(config) as exporter:
        exporter.wait_ready(60).settle()
        with (tmp_path / "predictions.jsonl").open("ab") as log:
            for _ in range(COPIES):
                with (backlog / "predictions.jsonl").open("rb") as more:
                    shutil.copyfileobj(more, log)
        took: list[float] = []
        behind: list[float] = []
        while len(took) < 5 or behind[-1] > 0:
            began = time.perf_counter()
            page = exporter.page()
            took.append(time.perf_counter() - began)
            metrics = parse(page)
            assert metrics.total("model_predictions_total") == LINES
            behind.append(metrics.total("tidegauge_lag_bytes"))
            time.sleep(0.02)
    assert max(behind) > 50e6, "nothing was read while scraping"
    assert max(took) < 0.5, sorted(took)[-5:]
