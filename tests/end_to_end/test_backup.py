"""A copy of the state that is made while the exporter runs, with the commands of docs/operations.md, restores."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from pathlib import Path

from tests.end_to_end import logs
from tests.processes import Exporter, Metrics

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
BACKUP, RESTORE = re.findall(r"```sh runnable\n(.*?)```", PAGE.split("## Backup and restore", 1)[1], re.S)[:2]


def of_models(metrics: Metrics) -> dict[object, float]:
    return {key: value for key, value in metrics.items() if key[0].startswith("model_")}


def run(commands: str, directory: Path) -> None:
    done = subprocess.run(["sh", "-eu", "-c", commands], cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def traffic(directory: Path, first: int, rows: int) -> None:
    """Predictions and feedback of a time after everything that was written before."""
    start = logs.START + 2 * logs.HOUR + first * 1000
    moments = [(first + number, start + number * 1000) for number in range(rows)]
    logs.append(
        directory / "predictions.jsonl",
        (logs.prediction("fraud", "v1", number, at, number % 2, score=0.9) for number, at in moments),
    )
    logs.append(directory / "feedback.jsonl", (logs.feedback("fraud", number, at + 500, 1) for number, at in moments))


def test_a_copy_made_while_it_runs_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "tidegauge.yml").write_text(logs.configuration(logs.FRAUD, logs.ANIMAL))
    logs.write_every_kind(tmp_path, each=200)
    ended = threading.Event()

    def write() -> None:
        first = 10_000
        while not ended.wait(0.02):
            traffic(tmp_path, first, 20)
            first += 20

    writer = threading.Thread(target=write)
    with Exporter(tmp_path / "tidegauge.yml") as exporter:
        exporter.wait_ready()
        writer.start()
        try:
            time.sleep(0.5)  # into the midst of saves, five a second
            run(BACKUP, tmp_path)
            time.sleep(0.3)
        finally:
            ended.set()
            writer.join()
        whole = exporter.settle()
        assert exporter.stop() == 0
    run(RESTORE, tmp_path)
    restored = Exporter(tmp_path / "tidegauge.yml", "--state.directory", str(tmp_path / "restored"))
    with restored:
        page = restored.wait_ready().settle()
        assert restored.stop() == 0, restored.said()
    assert of_models(page) == of_models(whole)
    accepted = {"kind": "predictions", "result": "accepted"}
    assert page.value("tidegauge_records_total", **accepted) == whole.value("tidegauge_records_total", **accepted)


def test_the_copy_is_of_a_moment_before_the_end(tmp_path: Path) -> None:
    """What was written after the copy is read by the restored exporter from its place in the logs."""
    (tmp_path / "tidegauge.yml").write_text(logs.configuration(logs.FRAUD))
    logs.write_every_kind(tmp_path, each=100)
    with Exporter(tmp_path / "tidegauge.yml") as exporter:
        before = exporter.wait_ready().settle()
        run(BACKUP, tmp_path)
        exporter.kill()
    run(RESTORE, tmp_path)
    traffic(tmp_path, 10_000, 50)
    restored = Exporter(tmp_path / "tidegauge.yml", "--state.directory", str(tmp_path / "restored"))
    with restored:
        after = restored.wait_ready().settle()
    was, now = (page.total("model_predictions_total", model="fraud") for page in (before, after))
    assert now == was + 50
