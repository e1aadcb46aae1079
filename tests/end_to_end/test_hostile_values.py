"""Whatever text a log holds, metrics give it back as it was, and it cannot write into the page or into the log."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.end_to_end import logs
from tests.processes import Exporter, Metrics, check_page

NAMES = (
    'quote "',
    "backslash \\ \\n \\\\",
    "line\nfeed # TYPE model_info counter",
    "carriage\rreturn",
    "tab\tand \x07 bell \x1b[31mred\x1b[0m \x1b]0;title\x07",
    "bidi \u202egnirts\u202c \u2066isolate\u2069",
    "separators \u2028 \u2029 \x85 \x0b \x0c",
    "<script>alert('model')</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ value }} ${HOME} %(message)s {0} $(id)",
    '} 1\nmodel_quality_score{model="forged"} 1',
    "ünïcödé 潮 🌊",
    "zero\u200bwidth\ufeff",
    "' OR 1=1; --",
    "../../etc/passwd",
)
LONG = "x" * 10_000
CONFIGURATION = """\
  - name: "*"
    task: multiclass
    feedback: {outcome: {maturity: 5m}}
    slices: [region]
    windows: @windows
    block: 1m
    grace: 1m
"""
EVIL_FILE = 'predictions \n ts=now level=error msg=forged \x1b[2J "<script>alert(1)<|script> \u202e.jsonl'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    predictions: list[logs.Record] = []
    feedback: list[logs.Record] = []
    for number, name in enumerate((*NAMES, LONG)):
        time = logs.START + number * 1_000
        about = {"prediction_id": f"{name}-{number}", "timestamp": logs.iso(time), "model": name, "version": name}
        predictions.append({**about, "prediction": name, "slices": {"region": name}})
        feedback.append({**about, "label": name})
    # Time goes on, so that the others are mature.
    predictions.append(logs.prediction("last", "v1", 1, logs.START + logs.HOUR // 2, "a"))
    logs.append(tmp_path / "logs" / EVIL_FILE, predictions)
    logs.append(tmp_path / "feedback.jsonl", feedback)
    with (tmp_path / "logs" / EVIL_FILE).open("a") as file:
        file.write('{"model": "\x1b[31m\n' + '{"timestamp": "' + NAMES[4].replace("\n", "") + '"}\n')
    config = tmp_path / "tidegauge.yml"
    sources = "  - predictions: logs/*.jsonl\n  - {feedback: feedback.jsonl, channel: outcome}\n"
    config.write_text(logs.configuration(CONFIGURATION, sources=sources))
    return config


def values(metrics: Metrics, label: str) -> set[str]:
    return {value for _, labels in metrics for name, value in labels if name == label}


def test_labels_are_read_back_as_they_were_written(config: Path) -> None:
    with Exporter(config) as exporter:
        metrics = exporter.wait_ready().settle()
        page = exporter.page()
        assert check_page(page).returncode == 0
        # A line of the page is a line of ours: nothing that was read begins one.
        assert all(
            re.match(r"# (HELP|TYPE) |(model|tidegauge|process)_[a-z_]+[ {]", line) for line in page.split("\n")[:-1]
        )
        for path in ("/", "/metrics"):
            answer = exporter.get(path)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        html = exporter.get("/").text
    expected = set(NAMES)
    for label in ("model", "version", "slice_value", "class", "actual", "predicted"):
        found = values(metrics, label)
        assert expected <= found, (label, expected - found)
        assert max(map(len, found)) < 300
        assert any(value.startswith("xxxx") for value in found), label
    assert "forged" not in values(metrics, "model")
    for name in NAMES:
        assert metrics.value("model_predictions_total", model=name, version=name, role="primary") == 1
    assert "<script>alert" not in html
    assert "<img src=x" not in html


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_a_line_of_the_log_is_one_event_of_printable_text(config: Path, style: str) -> None:
    with Exporter(config, "--log.format", style) as exporter:
        exporter.wait_ready().settle()
        exporter.stop()
    said = exporter.said()
    lines = said.splitlines()
    assert all(32 <= ord(letter) < 127 for line in lines for letter in line)
    about_the_file = [line for line in lines if "record was not used" in line]
    assert about_the_file
    for line in lines:
        if style == "json":
            assert {"ts", "level", "msg"} <= set(logs.parsed(line))
        else:
            assert re.match(r'ts=\S+Z level=(debug|info|warning|error) msg=("(?:[^"\\]|\\.)*"|\S+)( |$)', line), line
    path = str(config.parent / "logs" / EVIL_FILE)
    assert all(json.dumps(path) in line for line in about_the_file)
    assert os.path.exists(path)  # noqa: PTH110  # the name holds what a path may hold
