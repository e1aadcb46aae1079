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

RULES = """\
groups:
  - name: demo
    interval: 1s
    rules:
      - alert: ModelObjectiveMissed
        expr: >-
          model_quality_score{window="1h", metric="accuracy", version="v2"}
          < on (model, version, channel, metric) group_left () model_quality_objective{direction="at_least"}
        labels: {severity: critical}
      - alert: TidegaugeWatchdog
        expr: vector(1)
        labels: {severity: none}
"""


@contextmanager
def filled_prometheus(directory: Path, *, scrapes: int = SCRAPES) -> Iterator[PrometheusServer]:
    """A running Prometheus that holds the story up to now, with an alert firing."""
    directory.mkdir(parents=True, exist_ok=True)
    story = directory / "story.om"
    _tell(directory, story, scrapes)
    server = PrometheusServer("nobody", directory / "prometheus")
    data = directory / "prometheus" / "data"
    subprocess.run(
        [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(story), str(data)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (directory / "rules.yml").write_text(RULES)
    # Nothing is scraped: a target that is down would be a second exporter on the boards.
    (directory / "prometheus" / "prometheus.yml").write_text(f"rule_files: [{directory / 'rules.yml'}]\n")
    with server:
        wait_until(lambda: server.query('ALERTS{alertstate="firing", severity="critical"}'), what="an alert")
        yield server


def _tell(directory: Path, story: Path, scrapes: int) -> None:
    end = int(time.time()) // SCRAPE_INTERVAL * SCRAPE_INTERVAL
    start = end - scrapes * SCRAPE_INTERVAL
    (directory / "tidegauge.yml").write_text(demo_traffic.CONFIGURATION)
    traffic = demo_traffic.Traffic(start, end - start)
    traffic.write(directory, start + SCRAPE_INTERVAL)
    with Exporter(directory / "tidegauge.yml") as exporter, story.open("w") as kept:
        exporter.wait_ready()
        for at in range(start + SCRAPE_INTERVAL, end + 1, SCRAPE_INTERVAL):
            traffic.write(directory, at)
            wait_until(partial(_has_read, exporter, directory), seconds=60, what="a refresh with all that was written")
            began = time.time()
            page = exporter.page()
            kept.writelines(_scraped(page, at, time.time() - began, at - began))
        kept.write("# EOF\n")


def _has_read(exporter: Exporter, directory: Path) -> bool:
    """Whether what is published rests on every byte of the logs."""
    read = sum(float(number) for number in _READ.findall(exporter.page()))
    return read == sum(log.stat().st_size for log in directory.glob("*.jsonl"))


def _scraped(page: str, at: int, seconds: float, shift: float) -> Iterator[str]:
    """Lines of OpenMetrics with the target's labels and the time, of a page that came at `at`."""
    target = f'job="{JOB}",instance="{INSTANCE}"'
    count = 0
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        assert found, line
        value = found["value"]
        if found["name"] in _WALL:
            value = repr(float(value) + shift)
        labels = f"{target},{found['labels']}" if found["labels"] else target
        yield f"{found['name']}{{{labels}}} {value} {at}\n"
        count += 1
    for name, number in (("up", 1), ("scrape_duration_seconds", seconds), ("scrape_samples_scraped", count)):
        yield f"{name}{{{target}}} {number} {at}\n"
