"""`make demo`: a release breaks and the terminal says so, through the real Prometheus and Alertmanager.

Ctrl-C ends everything, and so does the end of a part.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from alerts.demo import SCENARIO
from tests.processes import ENVIRONMENT, LOOPBACK, PATIENCE, tool, wait_until
from tidegauge.simulate import find

ROOT = Path(__file__).parents[2]
FASTER = "60"
DURATION = "7m30s"
"""The version breaks half a minute after the start."""


class Chain:
    """`python -m alerts.demo` as a process; its temporary directories are below `scratch`."""

    def __init__(self, scratch: Path, *, path: str) -> None:
        self.scratch = scratch
        self._said = scratch.with_name("chain.out")
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "alerts.demo", "--faster", FASTER, "--duration", DURATION],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT, "TMPDIR": str(scratch), "PATH": path},
            )

    def said(self) -> str:
        return self._said.read_text()

    def wait(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str]:
        def look() -> re.Match[str] | None:
            assert self.process.poll() is None, self.said()
            return re.search(pattern, self.said())

        return wait_until(look, seconds=seconds, what=f"{pattern} in the terminal")

    def children(self) -> set[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return {int(word) for task in tasks for word in (task / "children").read_text().split()}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


def running(scratch: Path, path: str) -> Iterator[Chain]:
    chain = Chain(scratch, path=path)
    yield chain
    if chain.process.poll() is None:
        chain.process.send_signal(signal.SIGTERM)
        try:
            chain.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            chain.process.kill()
            chain.process.wait()


@pytest.fixture
def chain(scratch: Path) -> Iterator[Chain]:
    tools = {str(Path(tool(name)).parent) for name in ("prometheus", "amtool")}
    yield from running(scratch, os.pathsep.join([os.environ["PATH"], *tools]))


@pytest.fixture
def alone(scratch: Path) -> Iterator[Chain]:
    yield from running(scratch, str(scratch / "nothing"))


def test_the_broken_release_is_to_be_rolled_back_and_interrupting_ends_everything(chain: Chain) -> None:
    where = chain.wait(r"(http://127\.0\.0\.1:\d+)/ +the page")[1]
    chain.wait("v2 breaks")
    chain.wait("The Watchdog's first notification is here")
    assert ", since" not in chain.said()
    children = chain.children()
    assert len(children) == 2, "Prometheus and Alertmanager"

    page = requests.get(where, timeout=PATIENCE).text
    assert re.search(r'href="http://127\.0\.0\.1:\d+/[^"]*graph\?', page), "to Prometheus"
    assert re.search(r'href="http://127\.0\.0\.1:\d+/[^"]*alerts"', page), "to the alerts"

    for name, words, board in (
        (
            "ModelFeatureBroken",
            r"Critical: A feature tells a model nothing any more\.\s+Model fraud, version v2: device_risk is stuck",
            "tidegauge-drift",
        ),
        (
            "ModelReleaseRegressed",
            r"Critical: A new version [^\n]*: roll it back\.\s+Model fraud: version v2 is worse than v1, and is still\s"
            r"asked\.\s+accuracy\s+on\s+channel\s+outcome:\s+-0\.\d+\s+\(surely\s+between\s+-0\.\d+\s+and\s+-0\.\d+\)",
            "tidegauge-release",
        ),
        (
            "ModelObjectiveMissed",
            r"Critical: A model misses[^\n]*\n  Model fraud, version v2: accuracy is 0\.[78]\d*",
            "tidegauge-model",
        ),
    ):
        chain.wait(f"{name}, since", seconds=90)
        chain.wait(words)
        runbook = chain.wait(rf"What to do: (http://127\.0\.0\.1:\d+/runbooks/{name}\.md)")[1]
        assert requests.get(runbook, timeout=PATIENCE).text.startswith(f"# {name}")
        link = chain.wait(rf"Board: +(http://127\.0\.0\.1:\d+/d/{board}\S+)")[1]
        assert "var-version=v2" in link
        assert requests.get(link, timeout=PATIENCE).url == f"{where}/", "for want of a Grafana"
    told = set(re.findall(r"^  (\w+), since", chain.said(), re.MULTILINE))
    # A warning, which a critical alert mutes; but it may come first.
    assert told - {"ModelInputDrift"} == set(find(SCENARIO).fires), "nothing else was wrong"
    assert "version v1" not in " ".join(chain.said().split()), "v1 is as it was"

    chain.process.send_signal(signal.SIGINT)
    assert chain.process.wait(PATIENCE) == 0, chain.said()
    assert "Traceback" not in chain.said()
    assert list(chain.scratch.iterdir()) == []
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_a_part_that_ends_by_itself_ends_the_demo_with_a_word_about_it(chain: Chain, name: str) -> None:
    chain.wait("v2 breaks")
    parts = {child: Path(f"/proc/{child}/cmdline").read_text() for child in chain.children()}
    (victim,) = [child for child, command in parts.items() if f"/{name}.yml" in command]
    os.kill(victim, signal.SIGKILL)
    assert chain.process.wait(PATIENCE) == 1, chain.said()
    assert f"tidegauge: {name} has ended by itself, with status -9." in chain.said()
    assert "Traceback" not in chain.said()
    assert list(chain.scratch.iterdir()) == []
    assert not any(Path(f"/proc/{child}").exists() for child in parts)


def test_without_prometheus_the_exporter_alone_runs_and_says_so(alone: Chain) -> None:
    alone.wait("Prometheus and Alertmanager are not on the path")
    where = alone.wait(r"(http://\S+)/metrics")[1]
    assert LOOPBACK in where
    wait_until(lambda: "accuracy" in alone.said(), what="scores")
    assert not alone.children()
    alone.process.send_signal(signal.SIGINT)
    assert alone.process.wait(PATIENCE) == 0
    assert list(alone.scratch.iterdir()) == []
