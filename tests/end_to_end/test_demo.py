"""The demo shows both versions within seconds, says where to look, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.processes import (
    ENVIRONMENT,
    LOOPBACK,
    PATIENCE,
    Metrics,
    check_page,
    free_port,
    parse,
    tidegauge_command,
    wait_until,
)

LABELS = {"model": "fraud", "channel": "outcome", "metric": "accuracy"}


class Demo:
    """`tidegauge demo` as a process, its temporary directory below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.url = f"http://{LOOPBACK}:{free_port()}"
        self._said = scratch.with_name("demo.out")
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tidegauge", "demo", "--web.listen-address", self.url.removeprefix("http://")],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT, "TMPDIR": str(scratch)},
            )

    def said(self) -> str:
        return self._said.read_text()

    def metrics(self) -> Metrics | None:
        assert self.process.poll() is None, self.said()
        try:
            response = requests.get(f"{self.url}/metrics", timeout=PATIENCE)
        except requests.ConnectionError:
            return None
        return parse(response.text) if response.ok else None

    def scored(self) -> Metrics | None:
        """The page, once it has a score of both versions in the short window."""
        metrics = self.metrics()
        wanted = [
            {**LABELS, "version": version, "window": window} for version in ("v1", "v2") for window in ("1m", "5m")
        ]
        return metrics if metrics and all(metrics.value("model_quality_score", **one) for one in wanted) else None


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    running = Demo(scratch)
    yield running
    running.process.kill()
    running.process.wait()


def test_both_versions_are_scored_within_twenty_seconds_and_interrupting_leaves_nothing(demo: Demo) -> None:
    began = time.monotonic()
    metrics = wait_until(demo.scored, seconds=40, what="scores of both versions")
    assert time.monotonic() - began < 20
    for version, accuracy in (("v1", 0.93), ("v2", 0.88)):
        lower, upper = (
            metrics.value(f"model_quality_score_{end}", **LABELS, version=version, window="5m") or 0.0
            for end in ("lower", "upper")
        )
        assert lower - 0.02 < accuracy < upper + 0.02
    page = requests.get(demo.url, timeout=PATIENCE).text
    assert "<bdi>v1</bdi>" in page
    assert "<bdi>v2</bdi>" in page
    assert check_page(requests.get(f"{demo.url}/metrics", timeout=PATIENCE).text).returncode == 0

    wait_until(lambda: "do not overlap" in demo.said(), what="the hints in the terminal")
    assert f"{demo.url}/metrics" in demo.said()
    assert "Only the exporter runs here" in demo.said()
    for version in ("v1", "v2"):
        assert re.search(
            rf"^ +{version} +[\d,]+ +[\d,]+ +0\.\d{{3}}  0\.\d{{3}} to 0\.\d{{3}}$", demo.said(), re.MULTILINE
        )

    before = metrics.total("model_predictions_total")
    later = wait_until(demo.metrics, what="a page")
    wait_until(lambda: (demo.metrics() or Metrics()).total("model_predictions_total") > before, what="new traffic")
    assert later.value("tidegauge_snapshot_failures_total") == 0
    assert list(demo.scratch.iterdir()), "its logs lie in the temporary directory"
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(PATIENCE) == 0, demo.said()
    assert "Traceback" not in demo.said()
    assert list(demo.scratch.iterdir()) == []


def test_a_port_in_use_is_said_plainly() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        answer = tidegauge_command("demo", "--web.listen-address", f"{LOOPBACK}:{other.getsockname()[1]}")
    assert answer.returncode == 2
    assert "already in use" in answer.stderr
    assert "--web.listen-address 127.0.0.1:0" in answer.stderr
    assert "Traceback" not in answer.stderr
