"""A scenario through a real exporter process by its logs' clock, scraped after every step: a series over log time.

The logs begin on Thursday, 1 January 2015, 00:00 UTC. Prometheus' clock in a rule test begins on Thursday, 1 January
1970: so hours of the week and days of the year agree, and only the year differs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_server

from tidegauge.config.durations import format_duration
from tidegauge.simulate import CONFIGURATION, FEEDBACK, PREDICTIONS, Scenario, Traffic, configuration

ROOT = Path(__file__).resolve().parent.parent
START = 16_436 * 86_400_000
"""ms since the epoch."""
PATIENCE = 60.0
"""Seconds that a step may take before the exporter is given up."""
_PAUSE = 0.02
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$", re.M)
_ABOUT_ITSELF = ("tidegauge_read_bytes_total", "tidegauge_last_refresh_timestamp_seconds", "tidegauge_ready")
_CLOCK = "tidegauge_clock_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whose labels are counted: of predictions since then (ms after the start), of a version, of a country, or all."""

    since: int
    version: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Scrapes:
    """The pages of a run. `series` holds, by sample name with labels as on the page, the value at each scrape; times of
    log time among them are in seconds after the start."""

    times: list[int]  # ms after the start, the ends of the steps
    labels: list[int]  # of those concerned, given by then
    series: dict[str, list[float | None]]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps([self.times, self.labels, self.series]), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Scrapes:
        return Scrapes(*json.loads(path.read_text(encoding="utf-8")))


def run(
    scenario: Scenario, directory: Path, *, step: int, families: frozenset[str], concerned: Concerned, seed: int
) -> Scrapes:
    """Feeds the scenario to an exporter in steps of so many ms of log time; the samples of the families are kept.

    Raises RuntimeError where the exporter ends, or does not read what was written.
    """
    directory.mkdir(parents=True)
    maturity = format_duration(5 * scenario.delay)
    text = configuration(
        scenario,
        maturity=maturity,
        windows=scenario.windows,
        clock="log",
        refresh_interval="100ms",
        poll_interval="20ms",
    )
    (directory / CONFIGURATION).write_text(text, encoding="utf-8")
    traffic = Traffic(
        scenario, seed=seed, start=START, duration=scenario.duration, rate=scenario.rate, delay=scenario.delay
    )
    scrapes = Scrapes([], [], {})
    counted = _Counter(concerned)
    with _exporter(directory) as page_of:
        written = 0
        for until in range(step, scenario.duration + 1, step):
            predictions, feedback = traffic.step(START + until)
            for name, data in ((PREDICTIONS, predictions), (FEEDBACK, feedback)):
                with (directory / name).open("ab") as file:
                    file.write(data)
                written += len(data)
            counted.see(predictions, feedback)
            page = _settled(page_of, written)
            _check_clock(page, until, step)
            number = len(scrapes.times)
            scrapes.times.append(until)
            scrapes.labels.append(counted.labels)
            for series, value in page.items():
                name = series.partition("{")[0]
                if name in families:
                    value -= START / 1000 if name.endswith("_timestamp_seconds") else 0
                    known = scrapes.series.setdefault(series, [])
                    known += [None] * (number - len(known)) + [value]
    for values in scrapes.series.values():
        values += [None] * (len(scrapes.times) - len(values))
    return scrapes


@contextmanager
def _exporter(directory: Path) -> Iterator[_Page]:
    with create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    command = [sys.executable, "-m", "tidegauge", "run", "--config.file", str(directory / CONFIGURATION)]
    command += ["--web.listen-address", f"127.0.0.1:{port}"]
    for name in (PREDICTIONS, FEEDBACK):
        (directory / name).touch()
    with (directory / "exporter.log").open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": str(ROOT / "exporter")}
        )
    try:
        yield _Page(port, process, directory / "exporter.log")
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Page:
    """/metrics of one exporter, as sample name with labels -> value."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self._port, self._process, self._log = port, process, log
        self._connection: HTTPConnection | None = None

    def text(self) -> str:
        """The page, or "" while there is none. Raises RuntimeError once the exporter has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the exporter has ended:\n{self._log.read_text(errors='replace')[-2000:]}")
        try:
            if self._connection is None:
                self._connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            self._connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
            return self._connection.getresponse().read().decode()
        except (OSError, HTTPException):
            self._connection = None
            return ""


def _samples(text: str) -> dict[str, float]:
    return {name + labels: float(value) for name, labels, value in _LINE.findall(text)}


def _settled(page: _Page, written: int) -> dict[str, float]:
    """The page once everything written has been read and a later refresh has found nothing more.

    A refresh that knows of all bytes may have come before a source was seen to be at its end, and blocks are sealed
    only then.
    """
    complete = 0.0  # when the first refresh was that had read everything
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        text = page.text()
        about = _samples("\n".join(line for line in text.split("\n") if line.startswith(_ABOUT_ITSELF)))
        read = sum(value for name, value in about.items() if name.startswith(_ABOUT_ITSELF[0]))
        refreshed = about.get(_ABOUT_ITSELF[1], 0.0)
        if read == written and about.get(_ABOUT_ITSELF[2]) == 1:
            if complete and refreshed > complete:
                return _samples(text)
            complete = complete or refreshed
        time.sleep(_PAUSE)
    raise RuntimeError(f"the exporter has not read {written} bytes within {PATIENCE:g} s")


def _check_clock(page: Mapping[str, float], until: int, step: int) -> None:
    clock = page[_CLOCK] * 1000 - START
    if not until - step < clock < until:
        raise RuntimeError(f"the exporter's clock is at {clock:.0f} ms after the start, where the logs end at {until}")


class _Counter:
    """Counts the feedback on the predictions concerned, from the logs' own bytes."""

    def __init__(self, concerned: Concerned) -> None:
        self.labels = 0
        self._concerned = concerned
        self._since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((START + concerned.since) / 1000))
        self._waiting: set[str] = set()

    def see(self, predictions: bytes, feedback: bytes) -> None:
        for line in predictions.splitlines():
            row = json.loads(line)
            if row["timestamp"] >= self._since and self._concerns(row):
                self._waiting.add(row["prediction_id"])
        for line in feedback.splitlines():
            name = json.loads(line)["prediction_id"]
            if name in self._waiting:
                self._waiting.discard(name)
                self.labels += 1

    def _concerns(self, row: dict[str, object]) -> bool:
        features = row["features"]
        country = features["country"] if isinstance(features, dict) else None
        wanted = self._concerned
        return wanted.version in (None, row["version"]) and wanted.country in (None, country)
