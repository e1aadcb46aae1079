"""The example in docs/reference-data.md is what the command does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.processes import ENVIRONMENT
from tidegauge.reference.format import KEY, VERSION, dump
from tidegauge.reference.projections import ROWS
from tidegauge.reference.sample import MOST_ROWS, SAMPLED
from tidegauge.reference.value import Reference
from tidegauge.tally.features.learn import BUCKETS, FEW_VALUES, MOST_KNOWN
from tidegauge.tally.features.schema import MOST_NAMED, Schema

PAGE = (Path(__file__).parents[2] / "docs" / "reference-data.md").read_text(encoding="utf-8")


def block(about: str) -> str:
    (found,) = re.findall(rf"^```\w+ {re.escape(about)}\n((?:.*\n)*?)^```$", PAGE, re.M)
    return str(found)


def test_the_example_gives_what_is_shown(tmp_path: Path) -> None:
    for name in ("tidegauge.yml", "training.csv"):
        (tmp_path / name).write_text(block(name))
    (command,) = re.findall(r"^    tidegauge (reference .*)$", PAGE, re.M)
    done = subprocess.run(
        [sys.executable, "-m", "tidegauge", *shlex.split(command)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == block("said")
    assert block("reference.yml") in (tmp_path / "reference.yml").read_text()


def test_the_keys_and_figures_of_the_page_are_those_of_the_program() -> None:
    keys = set(re.findall(r"`(\w+)(?:: 1)?`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.M))))
    written = dump(Reference("m", 0, Schema(()), np.zeros(0, dtype=np.int64), (), (), ()))
    shown = {line.split(":")[0] for line in written.splitlines() if line and line[0] not in "# "}
    assert keys == shown | {"label"}
    assert f"`{KEY}: {VERSION}` | the version of the format" in PAGE
    for figure, said in (
        (MOST_NAMED, "up to {} `categories`"),
        (BUCKETS, "{} hash `buckets`"),
        (MOST_KNOWN, "more than {:,} categories"),
        (FEW_VALUES, "up to {} distinct values"),
        (SAMPLED, "100,000 to {:,}"),
        (ROWS, "at most {:,} records"),
    ):
        assert said.format(figure) in PAGE, said
    assert MOST_ROWS == 1_000_000 and "Up to a million records" in PAGE
