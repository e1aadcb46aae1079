"""The recipes of docs/logging.md run, and the exporter's own decoder accepts every line that they write.

Each is run with many concurrent writers while its log is rotated by renaming.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tidegauge.check.report import report
from tidegauge.config.load import load

RECIPES = Path(__file__).parents[2] / "examples" / "logging"
REQUESTS = 200
SHOP = 'Käthe\'s "Eck" \\ 角\t'
CONFIGURATION = """\
sources:
  - predictions: predictions.jsonl*
  - feedback: feedback.jsonl
models:
  - name: fraud
    task: binary
    features: {amount: numeric, shop: categorical}
    feedback:
      outcome:
        maturity: 1h
"""


@dataclass(frozen=True)
class Recipe:
    """How a recipe is built and run. `every` says whether it logs every request."""

    file: str
    program: str
    build: Sequence[str]
    run: Sequence[str]
    every: bool = True


PYTHON = Recipe("python_service.py", sys.executable, (), (sys.executable, "{source}"), every=False)
GO = Recipe("go_service.go", "go", ("go", "build", "-o", "{built}/service", "{source}"), ("{built}/service",))
JAVA = Recipe(
    "JavaService.java", "javac", ("javac", "-d", "{built}", "{source}"), ("java", "-cp", "{built}", "JavaService")
)
SHELL = Recipe("shell_service.sh", "sh", ("sh", "-n", "{source}"), ("sh", "{source}"))
RECIPE = {recipe.file: recipe for recipe in (PYTHON, GO, JAVA, SHELL)}


@pytest.fixture(scope="module", params=list(RECIPE))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPE[request.param]


@pytest.fixture(scope="module")
def logs(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the recipe wrote, its prediction log renamed on the way."""
    assert shutil.which(recipe.program), f"{recipe.program} is not installed; `make test` brings it"
    directory, built = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("built")
    names = {"source": str(RECIPES / recipe.file), "built": str(built)}
    # The toolchains must neither look for a network nor leave anything in the reader's home.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOPROXY": "off"}
    if recipe.build:
        command = [word.format(**names) for word in recipe.build]
        done = subprocess.run(command, cwd=built, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    command = [word.format(**names) for word in recipe.run]
    with subprocess.Popen(
        [*command, str(directory), str(REQUESTS)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        live = directory / "predictions.jsonl"
        deadline = time.monotonic() + 60
        while not (live.exists() and live.stat().st_size > 2_000) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        live.rename(directory / "predictions.jsonl.1")
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and said == "", said
    return directory


def lines(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_after_rotation_the_writer_goes_on_in_a_new_file(logs: Path) -> None:
    assert lines(logs / "predictions.jsonl.1") and lines(logs / "predictions.jsonl")


def test_no_line_is_lost_or_torn_between_many_writers(logs: Path, recipe: Recipe) -> None:
    predictions = lines(logs / "predictions.jsonl.1") + lines(logs / "predictions.jsonl")
    feedback = lines(logs / "feedback.jsonl")
    assert len({record["prediction_id"] for record in feedback}) == len(feedback) == REQUESTS
    ids = {record["prediction_id"] for record in predictions}
    assert len(ids) == len(predictions)
    assert ids == {record["prediction_id"] for record in feedback} if recipe.every else len(ids) > REQUESTS / 4


def test_text_of_any_kind_arrives_as_it_was(logs: Path) -> None:
    assert {record["features"]["shop"] for record in lines(logs / "predictions.jsonl")} == {SHOP}


def test_what_was_left_out_is_said_in_the_weights(logs: Path, recipe: Recipe) -> None:
    predictions = lines(logs / "predictions.jsonl.1") + lines(logs / "predictions.jsonl")
    stands_for = sum(record.get("weight", 1) for record in predictions)
    # Four standard deviations of a coin thrown for each request.
    assert stands_for == REQUESTS if recipe.every else abs(stands_for - REQUESTS) < 4 * REQUESTS**0.5


def test_the_exporter_accepts_every_line_and_finds_nothing_wrong(logs: Path) -> None:
    (logs / "tidegauge.yml").write_text(CONFIGURATION)
    said = report(load(logs / "tidegauge.yml"))
    assert said.endswith("Nothing looks wrong.\n"), said
    predictions = len(lines(logs / "predictions.jsonl.1")) + len(lines(logs / "predictions.jsonl"))
    assert f"predictions: {predictions:,} records accepted, 0 refused, of 2 files" in said
    assert f"feedback: {REQUESTS:,} records accepted, 0 refused, of 1 file" in said


def test_every_recipe_is_tested() -> None:
    assert {path.name for path in RECIPES.iterdir() if path.is_file()} == set(RECIPE)
