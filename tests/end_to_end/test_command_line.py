"""The command line says what it did, by its exit status too."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import tidegauge
from tests.end_to_end import logs
from tests.processes import LOOPBACK, Exporter, tidegauge_command

BAD = logs.configuration(logs.FRAUD).replace("task: binary", "task: binry").replace("windows:", "windos:")


def test_version() -> None:
    answer = tidegauge_command("--version")
    assert (answer.returncode, answer.stdout) == (0, f"tidegauge {tidegauge.__version__}\n")


def test_a_word_that_is_no_command_ends_with_status_2_and_the_usage() -> None:
    answer = tidegauge_command("rum")
    assert answer.returncode == 2
    assert "invalid choice: 'rum'" in answer.stderr


def test_check_explains_a_good_file_and_touches_nothing(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(*logs.EVERY_KIND, sources=logs.EVERY_SOURCE))
    answer = tidegauge_command("check", "--config.file", config)
    assert (answer.returncode, answer.stderr) == (0, "")
    for words in ("valid", "model fraud: binary, owned by payments", "objective: accuracy >= 0.9", "no file now"):
        assert words in answer.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["tidegauge.yml"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_file_is_refused_with_all_its_problems_and_their_lines(tmp_path: Path, command: str) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(BAD)
    answer = tidegauge_command(command, "--config.file", config)
    assert answer.returncode == 2
    assert f'{config}:11: models[0].task: found "binry"; allowed: binary, multiclass, regression' in answer.stderr
    assert f'{config}:14: models[0]: found "windos"' in answer.stderr or "windos" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tidegauge.yml"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_file_is_refused(tmp_path: Path, command: str) -> None:
    answer = tidegauge_command(command, "--config.file", tmp_path / "none.yml")
    assert answer.returncode == 2
    assert "none.yml" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("address", ["8433", "localhost:http", "::1:8433", ":70000"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    answer = tidegauge_command("run", "--config.file", config, "--web.listen-address", address)
    assert answer.returncode == 2
    assert address in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_port_in_use_is_refused_and_the_state_is_free_again(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    with socket.create_server((LOOPBACK, 0)) as other:
        address = f"{LOOPBACK}:{other.getsockname()[1]}"
        answer = tidegauge_command("run", "--config.file", config, "--web.listen-address", address)
    assert answer.returncode == 2
    assert "Address already in use" in answer.stderr
    assert "Traceback" not in answer.stderr
    with Exporter(config) as exporter:
        exporter.wait_ready()


def test_a_second_instance_on_the_same_state_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    with Exporter(config) as exporter:
        exporter.wait_ready()
        answer = tidegauge_command("run", "--config.file", config, "--web.listen-address", f"{LOOPBACK}:0")
        assert answer.returncode == 2
        assert "Traceback" not in answer.stderr
        assert str(tmp_path / "state") in answer.stderr
        assert exporter.stop() == 0


def test_the_log_can_be_json(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    exporter = Exporter(config, "--log.format", "json").launch()
    with exporter:
        exporter.wait_listening()
        assert exporter.stop() == 0
    lines = [logs.parsed(line) for line in exporter.said().splitlines()]
    assert [line["msg"] for line in lines if line["msg"] in ("serving", "ready", "stopped")] == [
        "serving",
        "ready",
        "stopped",
    ]
    assert lines[0]["port"] == exporter.port


def test_simulated_logs_can_be_run_as_they_are(tmp_path: Path) -> None:
    answer = tidegauge_command("simulate", "--scenario", "two-versions", "--output", tmp_path / "simulated")
    assert (answer.returncode, answer.stderr) == (0, "")
    with Exporter(tmp_path / "simulated" / "tidegauge.yml") as exporter:
        metrics = exporter.wait_ready(60).metrics()
    lines = (tmp_path / "simulated" / "predictions.jsonl").read_bytes().count(b"\n")
    assert metrics.total("model_predictions_total") == lines > 100_000
    assert tidegauge_command("simulate", "--scenario", "none", "--output", tmp_path).returncode == 2
