"""Every hostile configuration is accepted or refused at the line that the table states; none takes long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.corpus import recipes
from tests.corpus.table import HERE, outcomes
from tidegauge.config.load import ConfigurationError, load

FOLDER = "configurations"
PATIENCE = 20.0


def found(file: Path) -> str:
    """accepted, or the first problem without the file's name."""
    try:
        load(file)
    except ConfigurationError as error:
        first = min(error.problems, key=lambda problem: problem.line)
        assert all(len(str(problem).splitlines()) == 1 for problem in error.problems)
        return str(first).removeprefix(f"{file}:")
    return "accepted"


@pytest.mark.parametrize("name", outcomes(FOLDER))
def test_a_hostile_configuration_has_the_outcome_of_the_table(name: str) -> None:
    expected, said = outcomes(FOLDER)[name], found(HERE / FOLDER / name)
    assert said.startswith(expected)
    assert (said == "accepted") == (expected == "accepted")


def test_every_file_of_the_corpus_is_in_its_table() -> None:
    assert {path.name for path in (HERE / FOLDER).iterdir()} == outcomes(FOLDER).keys()


@pytest.mark.parametrize(
    ("make", "expected"), [recipe[1:] for recipe in recipes.CONFIGURATIONS], ids=[r[0] for r in recipes.CONFIGURATIONS]
)
def test_a_large_hostile_configuration_is_refused_in_time(tmp_path: Path, make: recipes.Make, expected: str) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_bytes(make())
    started = time.process_time()  # whatever else the machine does
    assert found(file).startswith(expected)
    assert time.process_time() - started < PATIENCE


def test_a_device_that_never_ends_is_refused() -> None:
    assert found(Path("/dev/zero")) == "1: found more than 1048576 bytes; allowed: a smaller file"


def test_a_directory_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    directory = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    directory.mkdir()
    (directory / "tidegauge.yml").write_bytes((HERE / FOLDER / "plain.yml").read_bytes())
    with pytest.raises(ConfigurationError, match="a directory whose name is not UTF-8"):
        load(directory / "tidegauge.yml")
