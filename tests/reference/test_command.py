"""`tidegauge reference` as a process: what it writes, says and refuses, and what becomes of files that are there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ENVIRONMENT
from tests.reference.records import FEATURES, configured, generate, write_csv
from tidegauge.cli import main
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference import command
from tidegauge.reference.format import load


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegauge", "reference", "--config.file", "tidegauge.yml", *words],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration that names a reference which is still to be made, and records."""
    (tmp_path / "reference.yml").write_text("")
    configured(tmp_path, more="reference: reference.yml")
    (tmp_path / "reference.yml").unlink()
    write_csv(tmp_path / "r.csv", [{**record, "colour": "red"} for record in generate(400)])
    return tmp_path


def test_it_writes_the_reference_that_the_configuration_waits_for(folder: Path) -> None:
    done = run(folder, "--model", "fraud", "--from", "r.csv", "-o", "reference.yml")
    assert (done.returncode, done.stderr) == (0, "")
    reference = load(folder / "reference.yml")
    assert reference.records == 400 and reference.file == "r.csv"
    lines = done.stdout.splitlines()
    assert lines[0].startswith('reference.yml: reference data of model "fraud", made from r.csv (')
    assert "records: 400" in lines
    assert any(line.split()[:3] == ["amount", "numeric,", "14"] for line in lines)
    assert '  features of r.csv that are not configured: "colour"' in lines
    assert any("amount: " in line and "are missing" in line for line in lines)
    assert stat.S_IMODE((folder / "reference.yml").stat().st_mode) == 0o666 & ~_umask()

    again = run(folder, "--model", "fraud", "--from", "r.csv", "--output", "reference.yml")
    assert again.returncode == 0
    assert not list(folder.glob(".*"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "froud", "--from", "r.csv", "-o", "o.yml"), 'found no model "froud"; allowed: "fraud"'),
        (("--model", "fraud", "--from", "none.csv", "-o", "o.yml"), "none.csv"),
        (("--model", "fraud", "--from", "r.csv", "-o", "r.csv"), "r.csv: found a name without .yml, .yaml"),
        (("--model", "fraud", "--from", "r.csv", "-o", "tidegauge.yml"), "found a file that is no prepared reference"),
        (("--model", "fraud", "--from", "r.csv", "-o", "no/o.yml"), "found no directory no"),
        (("--model", "fraud", "--from", "empty.csv", "-o", "o.yml"), "empty.csv: found no header"),
        (("--model", "fraud", "--from", "prepared.yml", "-o", "o.yml"), "prepared.yml: found a prepared reference"),
    ],
)
def test_what_cannot_be_done_is_refused_with_status_2_and_nothing_is_written(
    words: tuple[str, ...], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty.csv").write_text("")
    (folder / "prepared.yml").write_text("tidegauge_reference: 1\n")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.chdir(folder)
    assert main(["reference", "--config.file", "tidegauge.yml", *words]) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.startswith("tidegauge: ") and said in problem
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_wrong_usage_is_status_2(folder: Path) -> None:
    done = run(folder, "--model", "fraud")
    assert done.returncode == 2 and "--from" in done.stderr and "Traceback" not in done.stderr


def test_a_configuration_with_problems_is_refused_as_by_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "tidegauge.yml"
    path.write_text(path.read_text().replace("task: binary", "task: banary"))
    words = ["--model", "fraud", "--from", str(folder / "r.csv"), "-o", str(folder / "o.yml")]
    assert main(["reference", "--config.file", str(path), *words]) == 2
    assert 'found "banary"' in capsys.readouterr().err


def test_check_reads_a_prepared_reference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = folder / "reference.yml"
    command.make(folder / "tidegauge.yml", "fraud", folder / "r.csv", prepared, Scoring)
    assert main(["check", "--config.file", str(folder / "tidegauge.yml")]) == 0
    prepared.write_text(prepared.read_text().replace("records: 400", "records: 401"))
    assert main(["check", "--config.file", str(folder / "tidegauge.yml")]) == 2
    assert "reference.yml" in capsys.readouterr().err


def test_a_write_that_fails_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = folder / "reference.yml"
    output.write_text("tidegauge_reference: 1\n")

    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):
        command.make(folder / "tidegauge.yml", "fraud", folder / "r.csv", output, Scoring)
    assert output.read_text() == "tidegauge_reference: 1\n"
    assert not list(folder.glob(".*"))


def test_a_link_stays_a_link_and_what_it_names_is_replaced(folder: Path) -> None:
    (folder / "real.yml").write_text("")
    (folder / "reference.yml").symlink_to("real.yml")
    command.make(folder / "tidegauge.yml", "fraud", folder / "r.csv", folder / "reference.yml", Scoring)
    assert (folder / "reference.yml").is_symlink()
    assert load(folder / "real.yml").records == 400


def test_a_model_that_only_the_default_entry_configures_has_a_reference_of_its_own_name(tmp_path: Path) -> None:
    configured(tmp_path, {"amount": "numeric"})
    path = tmp_path / "tidegauge.yml"
    path.write_text(path.read_text().replace("name: fraud", 'name: "*"'))
    write_csv(tmp_path / "r.csv", generate(50))
    command.make(path, "churn", tmp_path / "r.csv", tmp_path / "churn.yml", Scoring)
    assert load(tmp_path / "churn.yml").model == "churn"


def test_what_is_noteworthy_is_said(tmp_path: Path) -> None:
    configured(tmp_path, {**FEATURES, "flat": "numeric", "odd": "numeric", "b c": "numeric"})
    lines = ["prediction,flat,odd,b c", *(f"1,5,{value},{value}" for value in (1, 2, "x", "inf"))]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")
    said = command.make(
        tmp_path / "tidegauge.yml", "fraud", tmp_path / "r.csv", tmp_path / "o.yml", Scoring
    ).splitlines()
    assert "  flat is constant: any other value will be drift" in said
    assert "  odd: 1 of 4 values (25.0%) are of a wrong type" in said
    assert "  odd: 1 of 4 values (25.0%) are not finite" in said
    assert any(line.startswith('  "b c": ') for line in said)
