"""Hours of five models, read by the real exporter and put into the real Prometheus, as if scraped all along.

The logs are written four minutes at a time; after each, the exporter's page is kept as a scrape of that time. promtool
turns the scrapes into blocks, so that hours take a minute. What the exporter says of its own wall clock is moved to
the time of the scrape; `up` and its like, which Prometheus adds itself, are written as it would.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.dashboards import demo_traffic
from tests.processes import Exporter, PrometheusServer, tool, wait_until

SCRAPE_INTERVAL = 240
"""Seconds; Prometheus forgets a sample after 300."""
SCRAPES = 30
JOB, INSTANCE = "tidegauge", "tidegauge:8433"
_WALL = ("tidegauge_last_refresh_timestamp_seconds", "tidegauge_snapshot_timestamp_seconds")
_READ = re.compile(r"^tidegauge_read_bytes_total\{.*\} (\S+)$", re.MULTILINE)
_SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")

ALERT = (
    'alertname="ModelObjectiveMissed",alertstate="firing",severity="critical",owner="payments",'
    'model="fraud",version="v2",channel="outcome",metric="accuracy",window="1h"'
)
_ALERTING = re.compile(
    r'model_quality_score_upper\{model="fraud",version="v2",channel="outcome",metric="accuracy",window="1h"\} (\S+)'
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A running Prometheus and the time, in seconds since the epoch, of the last scrape that it holds."""

    server: PrometheusServer
    start: float
    end: float


@contextmanager
def filled_prometheus(directory: Path, *, scrapes: int = SCRAPES) -> Iterator[Filled]:
    """A running Prometheus that holds the story, so many scrapes long, up to now."""
    directory.mkdir(parents=True, exist_ok=True)
    story = directory / "story.om"
    end = int(time.time()) // SCRAPE_INTERVAL * SCRAPE_INTERVAL
    start = end - scrapes * SCRAPE_INTERVAL
    _tell(directory, story, start, end)
    server = PrometheusServer("nobody", directory / "prometheus")
    data = directory / "prometheus" / "data"
    subprocess.run(
        [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(story), str(data)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    # Nothing is scraped: a target that is down would be a second exporter on the boards.
    (directory / "prometheus" / "prometheus.yml").write_text("global: {}\n")
    with server:
        yield Filled(server, start, end)


def _tell(directory: Path, story: Path, start: int, end: int) -> None:
    (directory / "tidegauge.yml").write_text(demo_traffic.CONFIGURATION)
    traffic = demo_traffic.Traffic(start, end - start)
    traffic.write_past(directory)
    traffic.write(directory, start + SCRAPE_INTERVAL)
    with Exporter(directory / "tidegauge.yml") as exporter, story.open("w") as kept:
        exporter.wait_ready(seconds=180)  # weeks are read first
        for at in range(start + SCRAPE_INTERVAL, end + 1, SCRAPE_INTERVAL):
            traffic.write(directory, at)
            wait_until(partial(_has_read, exporter, directory), seconds=60, what="a refresh with all that was written")
            began = time.time()
            page = exporter.page()
            kept.writelines(_scraped(page, at, began))
            kept.writelines(_alert(page, at))
        kept.write("# EOF\n")


def _alert(page: str, at: int) -> Iterator[str]:
    """What Prometheus writes while a rule fires: that the objective is missed by the whole interval."""
    upper = _ALERTING.search(page)
    if upper and float(upper[1]) < demo_traffic.ACCURACY_OBJECTIVE:
        yield f"ALERTS{{{ALERT}}} 1 {at}\n"


def _has_read(exporter: Exporter, directory: Path) -> bool:
    """Whether what is published rests on every byte of the logs."""
    read = sum(float(number) for number in _READ.findall(exporter.page()))
    return read == sum(log.stat().st_size for log in directory.glob("*.jsonl"))


def _scraped(page: str, at: int, began: float) -> Iterator[str]:
    """Lines of OpenMetrics with the target's labels, of a page asked for at `began` that stands for the time `at`."""
    now = time.time()
    target = f'job="{JOB}",instance="{INSTANCE}"'
    count = 0
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        assert found, line
        value = found["value"]
        if found["name"] in _WALL:
            value = repr(float(value) - now + at)
        labels = f"{target},{found['labels']}" if found["labels"] else target
        yield f"{found['name']}{{{labels}}} {value} {at}\n"
        count += 1
    for name, number in (("up", 1), ("scrape_duration_seconds", now - began), ("scrape_samples_scraped", count)):
        yield f"{name}{{{target}}} {number} {at}\n"
