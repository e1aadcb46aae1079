"""The corpus through the real exporter: it lives, counts every line under its outcome, and none again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus import recipes
from tests.corpus.table import HERE, outcomes
from tests.processes import Exporter, Metrics, check_page, tidegauge_command
from tidegauge.state.segments import MANIFEST_NAME

CONFIGURATION = """\
clock: log
refresh_interval: 200ms
poll_interval: 50ms
sources:
- {predictions: 'predictions/*.jsonl', path_pattern: '(?P<version>[^/]*)\\.jsonl$'}
- {feedback: 'feedback/*.jsonl', channel: outcome}
models:
- name: fraud
  task: binary
  slices: [country, plan]
  feedback: {outcome: {maturity: 1h}, audit: {kind: sample, maturity: 1h}}
"""
ALIKE = "no-newline-at-the-end.jsonl"  # with a newline it is a copy of another, and copies are not read
USED = ("accepted", "late", "future", "duplicate", "sampled_out")
REFUSED = 2
GOOD_NAMES = 3


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    (tmp_path / "tidegauge.yml").write_text(CONFIGURATION)
    for kind in ("predictions", "feedback"):
        (tmp_path / kind).mkdir()
        for name in outcomes(kind):
            content = (HERE / kind / name).read_bytes()
            if (
                name != ALIKE and not content.startswith(b"\0") and b"\n\0" not in content
            ):  # the source itself cuts those NUL bytes out
                (tmp_path / kind / name).write_bytes(content if content.endswith(b"\n") else content + b"\n")
    exporter = Exporter(tmp_path / "tidegauge.yml")
    yield exporter
    exporter.kill()


def expected(kind: str, directory: Path) -> Counter[str]:
    """Lines by outcome, of the files that are there."""
    lines = [
        one for name, outcome in outcomes(kind).items() if (directory / name).exists() for one in outcome.split(", ")
    ]
    return Counter(line for line in lines if line)


def counted(metrics: Metrics, kind: str) -> Counter[str]:
    """Lines by what the exporter did with them; the ways of using a row are one."""
    found: Counter[str] = Counter()
    for (name, labels), value in metrics.items():
        about = dict(labels)
        if name == "tidegauge_records_total" and about["kind"] == kind and value:
            found["row" if about["result"] in USED else about["result"]] += int(value)
    return found


def test_every_hostile_line_is_counted_and_a_restart_counts_none_again(exporter: Exporter, tmp_path: Path) -> None:
    exporter.start().wait_ready()
    metrics = exporter.settle()
    for kind in ("predictions", "feedback"):
        assert counted(metrics, kind) == expected(kind, tmp_path / kind)
    assert exporter.get("/").status_code == exporter.get("/-/healthy").status_code == 200
    checked = check_page(exporter.page())
    assert checked.returncode == 0, checked.stderr
    exporter.kill()
    exporter.start().wait_ready()
    again = exporter.settle()
    for kind in ("predictions", "feedback"):
        assert counted(again, kind) == counted(metrics, kind)
    assert "Traceback" not in exporter.said()


def test_hostile_files_and_names_do_not_stop_the_others(exporter: Exporter, tmp_path: Path) -> None:
    logs = tmp_path / "predictions"
    for path in logs.iterdir():
        path.unlink()
    for name, make, _ in recipes.FILES:
        if "bomb" not in name and "million" not in name:
            (logs / name).write_bytes(make())
    os.mkfifo(logs / "fifo.jsonl")
    (logs / "directory.jsonl").mkdir()
    (logs / "loop.jsonl").symlink_to("loop.jsonl")
    good = (HERE / "predictions" / "plain.jsonl").read_bytes()
    for odd in (b"new\nline", b'quo"te<b>', "bidi\u202e".encode(), b"\xff"):
        path = Path(os.fsdecode(os.fsencode(logs) + b"/" + odd + b".jsonl"))
        path.write_bytes(good.replace(b'"a"', b'"%d"' % len(odd)))
    exporter.start().wait_ready()
    metrics = exporter.wait_for(lambda page: counted(page, "predictions")["row"] == GOOD_NAMES, what="the good files")
    versions = {dict(labels)["version"] for name, labels in metrics if name == "model_predictions_total"}
    assert versions == {"new\nline", 'quo"te<b>', "bidi\u202e"}
    page = exporter.get("/").text
    assert "its name is not UTF-8" in page
    assert "<b>.jsonl" not in page
    assert check_page(exporter.page()).returncode == 0
    assert exporter.get("/-/healthy").status_code == 200
    assert exporter.stop() == 0
    assert "Traceback" not in exporter.said()


def test_a_flipped_bit_in_the_manifest_costs_one_save(exporter: Exporter, tmp_path: Path) -> None:
    exporter.start().wait_ready()
    before = counted(exporter.settle(), "predictions")
    exporter.kill()
    manifest = tmp_path / "state" / MANIFEST_NAME
    data = bytearray(manifest.read_bytes())
    data[-10] ^= 0x80  # no UTF-8 any more
    manifest.write_bytes(data)
    exporter.start().wait_ready()
    assert "went back to the previous save" in exporter.said()
    assert counted(exporter.settle(), "predictions") == before


@pytest.mark.parametrize(
    "name",
    [
        "billion-laughs",
        "escape-beyond-unicode",
        "alias-within-itself",
        "tag-python-object",
        "nul",
        "not-utf8",
        "nested-500",
    ],
)
def test_a_hostile_configuration_is_refused_in_words(name: str) -> None:
    file = HERE / "configurations" / f"{name}.yml"
    checked = tidegauge_command("check", "--config.file", file)
    assert checked.returncode == REFUSED
    assert checked.stderr.startswith(f"{file}:{outcomes('configurations')[file.name]}")
    assert "Traceback" not in checked.stderr
