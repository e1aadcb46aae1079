"""The README is true: its configuration loads, its commands run, its records give its metrics, its links hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ENVIRONMENT, Exporter, Metrics, tool
from tidegauge.cli import _parser
from tidegauge.config.load import load
from tidegauge.config.metrics import METRICS, REPORTED
from tidegauge.config.settings import DAY
from tidegauge.publish.catalogue import NAMED
from tidegauge.simulate.scenarios import find

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def fenced(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command that the indented blocks show, without its comment."""
    lines = re.findall(r"^    ((?:make|pip|tidegauge) .*)$", README, re.MULTILINE)
    return [line.split("  ")[0].split(" #")[0].strip() for line in lines]


def records() -> tuple[dict[str, Any], dict[str, Any]]:
    """The example of a prediction and of its feedback, moved to a time of which a running exporter takes note."""
    prediction, feedback = (json.loads(block) for block in fenced("json"))
    asked, told = (datetime.fromisoformat(record["timestamp"]) for record in (prediction, feedback))
    moment = datetime.now(UTC) - timedelta(hours=2)
    prediction["timestamp"] = moment.isoformat()
    feedback["timestamp"] = (moment + (told - asked)).isoformat()
    return prediction, feedback


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as a reader has it who followed "Use it": the configuration and the two logs."""
    directory = tmp_path_factory.mktemp("readme")
    (directory / "tidegauge.yml").write_text(fenced("yaml")[0])
    for source, record in zip(yaml.safe_load(fenced("yaml")[0])["sources"], records(), strict=True):
        pattern = source.get("predictions") or source["feedback"]
        log = directory / pattern.replace("*", "example")
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps(record) + "\n")
    return directory


@pytest.fixture(scope="module")
def page(checkout: Path) -> Metrics:
    """What the exporter publishes about that."""
    with Exporter(checkout / "tidegauge.yml") as exporter:
        metrics = exporter.wait_ready().settle()
        assert exporter.stop() == 0, exporter.said()
    return metrics


def test_every_command_is_one_that_the_project_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for command in commands():
        program, argument, *_ = command.split()
        if program == "make":
            assert argument in targets, command
        elif program == "pip":
            assert command == "pip install ." and (ROOT / "pyproject.toml").exists()
        else:
            assert argument in ("check", "run", "simulate", "verdict"), command
        if argument in ("simulate", "verdict"):
            options = _parser().parse_args(command.split()[1:])
            assert argument == "verdict" or find(options.scenario)
    assert {"make demo", "make test", "make lint", "make bench", "make test-crash"} <= set(commands())


def test_the_configuration_is_valid(checkout: Path) -> None:
    settings = load(checkout / "tidegauge.yml")
    assert [model.name for model in settings.models] == ["fraud"]


def test_the_settings_of_releases_and_change_are_taken(checkout: Path) -> None:
    (block,) = (block for block in fenced("yaml") if "release:" in block)
    settings = yaml.safe_load(fenced("yaml")[0])
    settings["models"][0] |= yaml.safe_load(block)["models"][0]
    (checkout / "release.yml").write_text(yaml.safe_dump(settings))
    (model,) = load(checkout / "release.yml").models
    assert (model.release.margins, model.release.alpha) == ((("accuracy", 0.01),), 0.05)
    assert model.change.false_alarm_interval == 90 * DAY


def test_the_check_command_finds_nothing_wrong(checkout: Path) -> None:
    command = next(command for command in commands() if command.startswith("tidegauge check"))
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=checkout, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "fraud" in done.stdout


def test_the_example_records_are_accepted_and_joined(page: Metrics) -> None:
    assert page.value("tidegauge_records_total", kind="predictions", result="accepted") == 1
    assert page.value("tidegauge_records_total", kind="feedback", result="accepted") == 1
    assert page.total("tidegauge_records_total") == 2
    place = {"model": "fraud", "version": "v2"}
    assert page.value("model_predictions_total", **place, role="primary") == 1
    assert page.value("model_feedback_total", **place, channel="outcome", result="joined") == 1


def test_the_example_prediction_is_scored_as_wrong(page: Metrics) -> None:
    place = {"model": "fraud", "version": "v2", "channel": "outcome", "metric": "accuracy", "window": "24h"}
    assert page.value("model_quality_score", **place) == 0
    assert page.value("model_quality_samples", **place) == 1
    assert page.value("model_quality_state", **place, state="insufficient_samples") == 1
    segment = {**place, "slice_key": "country", "slice_value": "DE"}
    assert page.value("model_slice_quality_score", **segment) == 0


def test_every_metric_of_the_tables_is_one_that_can_be_published() -> None:
    first = ""
    checked = 0
    for row in (line for line in README.splitlines() if line.startswith("| ")):
        for name in re.findall(r"`((?:model|tidegauge)?_[a-z_]+\*?)`", row):
            # `_lower` after `model_quality_score` stands for `model_quality_score_lower`.
            full = name if not name.startswith("_") else first + name
            first = first if name.startswith("_") else name
            known = any(one.startswith(full[:-1]) for one in NAMED) if full.endswith("*") else full in NAMED
            assert known, name
            checked += 1
    assert checked > 15


def test_every_score_is_named() -> None:
    sentence = re.search(r"`metric` is, (.*?)\. ", README, re.DOTALL)
    assert sentence is not None
    rates = {metric.name for metric in METRICS if metric.kinds == REPORTED}
    scores = {metric.name for metric in METRICS} - rates
    assert set(re.findall(r"[a-z0-9_]+", sentence[1])) & {metric.name for metric in METRICS} == scores
    assert rates and all(f"`{rate}`" in README for rate in rates)


def test_prometheus_accepts_the_scrape_configuration(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(fenced("yaml")[1])
    done = subprocess.run([tool("promtool"), "check", "config", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (job,) = yaml.safe_load(fenced("yaml")[1])["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["localhost:8433"]}]


def test_links_lead_to_files_that_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    relative = [link for link in links if "://" not in link]
    assert relative
    for link in relative:
        assert (ROOT / link).exists(), link
