"""The real exporter and the real Prometheus as processes, for tests that need the whole thing.

Everything listens on loopback only and is stopped when its `with` block ends, however that comes about.
"""

from __future__ import annotations

import math
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests
from prometheus_client.parser import text_string_to_metric_families

import tidegauge

Labels = frozenset[tuple[str, str]]
Key = tuple[str, Labels]
Found = TypeVar("Found")

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0
# Processes import the package that the tests import, wherever it lies.
ENVIRONMENT = {"PYTHONPATH": str(Path(tidegauge.__file__).parents[1])}
_PAUSE = 0.02
_SERVING = re.compile(r'msg=serving|"msg": *"serving"')
_TOOLS = Path(__file__).parents[1] / ".tools" / "usr" / "bin"
# Below the range that the kernel hands out by itself, so that a port stays free while its process is down.
_PORTS = range(12_000, 30_000)


class Metrics(dict[Key, float]):
    """A scraped page: (sample name, labels) -> value."""

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample with exactly these labels; None if there is none."""
        return self.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples that have at least these labels."""
        wanted = frozenset(labels.items())
        return math.fsum(value for (other, known), value in self.items() if other == name and wanted <= known)

    def names(self) -> set[str]:
        return {name for name, _ in self}


def parse(page: str) -> Metrics:
    """A page in Prometheus' text format. Raises ValueError where it is malformed or names a sample twice."""
    metrics = Metrics()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            if key in metrics:
                raise ValueError(f"{key} is there twice")
            metrics[key] = sample.value
    return metrics


def free_port() -> int:
    """A port on loopback that nobody listens on, and that is not given to anybody unless asked for."""
    for port in random.SystemRandom().sample(_PORTS, 200):
        try:
            with socket.create_server((LOOPBACK, port)):
                return port
        except OSError:
            continue
    raise OSError("no free port")


def wait_until(
    condition: Callable[[], Found | None],
    *,
    seconds: float = PATIENCE,
    what: str = "the condition",
    pause: float = 0.05,
) -> Found:
    """What `condition` returns as soon as it is true. Raises AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(pause)


class _Process:
    """A process that writes what it says into a file, and is gone when the `with` block ends."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0  # bytes of the log that earlier runs have written

    def _launch(self, command: Sequence[str | Path], environment: dict[str, str]) -> None:
        assert self._process is None, f"{self.name} is running"
        self._said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def said(self) -> str:
        """What the present run, or else the last one, has written so far."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self._said)
            return file.read().decode(errors="replace")

    def _must_run(self) -> None:
        assert self.running, f"{self.name} has ended:\n{self.said()}"

    def signal(self, number: int) -> None:
        assert self._process is not None, f"{self.name} is not running"
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit status, once it has ended. Raises AssertionError, after killing it, if that takes longer."""
        process, self._process = self._process, None
        assert process is not None, f"{self.name} is not running"
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s:\n{self.said()}") from None

    def stop(self, seconds: float = PATIENCE) -> int:
        """SIGTERM, then the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone. Nothing happens to a process that is not there."""
        if self._process is not None:
            self._process.kill()
            self.wait()


class Exporter(_Process):
    """`tidegauge run` on a configuration. It keeps its port over restarts, so that one scrape target stays."""

    def __init__(self, config: Path, *arguments: str, log: Path | None = None) -> None:
        """`arguments` are added to the command line; `log` is by default exporter.log beside the configuration."""
        super().__init__("the exporter", log or config.with_name("exporter.log"))
        self.config = config
        self.arguments = arguments
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"

    def launch(self) -> Exporter:
        """Starts the process without waiting for anything."""
        command: list[str | Path] = [sys.executable, "-m", "tidegauge", "run", "--config.file", self.config]
        command += ["--web.listen-address", f"{LOOPBACK}:{self.port}", *self.arguments]
        self._launch(command, ENVIRONMENT)
        return self

    def start(self, seconds: float = PATIENCE) -> Exporter:
        """Starts the process; returns when it answers HTTP."""
        return self.launch().wait_listening(seconds)

    def wait_listening(self, seconds: float = PATIENCE) -> Exporter:
        """Returns when it answers HTTP."""
        deadline = time.monotonic() + seconds
        while not _SERVING.search(self.said()):
            self._must_run()
            assert time.monotonic() < deadline, f"not serving within {seconds} s:\n{self.said()}"
            time.sleep(_PAUSE)
        return self

    def wait_ready(self, seconds: float = PATIENCE) -> Exporter:
        """Returns when everything that the logs held at start has been read."""
        deadline = time.monotonic() + seconds
        while self.get("/-/ready").status_code != 200:
            self._must_run()
            assert time.monotonic() < deadline, f"not ready within {seconds} s:\n{self.said()}"
            time.sleep(_PAUSE)
        return self

    def get(self, path: str, **headers: str) -> requests.Response:
        """GET; underscores in the names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(self.url + path, headers=named, timeout=PATIENCE)

    def page(self) -> str:
        """/metrics in Prometheus' text format."""
        response = self.get("/metrics", Accept="text/plain")
        assert response.status_code == 200, response.text
        return response.text

    def metrics(self) -> Metrics:
        """/metrics, parsed."""
        return parse(self.page())

    def wait_for(
        self, condition: Callable[[Metrics], bool], *, seconds: float = PATIENCE, what: str = "the metrics"
    ) -> Metrics:
        """The first page that fulfils the condition."""

        def look() -> Metrics | None:
            self._must_run()
            metrics = self.metrics()
            return metrics if condition(metrics) else None

        return wait_until(look, seconds=seconds, what=what)

    def settle(self, seconds: float = PATIENCE) -> Metrics:
        """A page that has everything written before this call, with nothing left unread.

        Files are looked at between any two refreshes (the poll interval must be the shorter one), so it is the second
        refresh from now on that knows how large they are by now.
        """
        refreshes = {0.0}
        called = time.time()

        def look() -> str | None:
            self._must_run()
            page = self.page()
            about = parse("".join(f"{line}\n" for line in page.split("\n") if line.startswith("tidegauge_")))
            refreshed = about.value("tidegauge_last_refresh_timestamp_seconds") or 0.0
            if refreshed > called:
                refreshes.add(refreshed)
            settled = len(refreshes) > 2 and about.value("tidegauge_ready") == 1 and lag_bytes(about) == 0
            return page if settled else None

        return parse(wait_until(look, seconds=seconds, what="a refresh with nothing left to read"))

    def __enter__(self) -> Exporter:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def lag_bytes(metrics: Metrics) -> float:
    """Bytes that wait to be read, over all sources."""
    return metrics.total("tidegauge_lag_bytes")


class PrometheusServer(_Process):
    """Debian's Prometheus, scraping one target every second (or as told), with an empty database."""

    def __init__(
        self, target: str, directory: Path, *, interval: str = "1s", scrape: str = "", arguments: Sequence[str] = ()
    ) -> None:
        """`target` as "http://host:port" or "host:port"; `directory`, made here, holds configuration and data.

        `scrape` are further lines of the scrape configuration, `arguments` of the command line. Another configuration
        may be written to prometheus.yml before start.
        """
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__("Prometheus", directory / "prometheus.log")
        self._directory = directory
        self._arguments = arguments
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        (directory / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\n"
            "scrape_configs:\n"
            "  - job_name: tidegauge\n"
            f"    static_configs: [{{targets: ['{target.removeprefix('http://').rstrip('/')}']}}]\n" + scrape
        )

    def start(self, seconds: float = PATIENCE) -> PrometheusServer:
        """Starts it; returns when it answers queries."""
        command: list[str | Path] = [tool("prometheus"), f"--config.file={self._directory / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={self._directory / 'data'}", f"--web.listen-address={LOOPBACK}:{self.port}"]
        self._launch([*command, *self._arguments], {})
        deadline = time.monotonic() + seconds
        while not self._ready():
            self._must_run()
            assert time.monotonic() < deadline, f"Prometheus not ready within {seconds} s:\n{self.said()}"
            time.sleep(_PAUSE)
        return self

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    def query(self, expression: str, *, at: float | None = None) -> dict[Labels, float]:
        """An instant vector by labels, without the target's own `job` and `instance`; `at` in seconds."""
        found = self._ask("query", {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"}))
        return {_labels(series["metric"]): float(series["value"][1]) for series in found}

    def query_names(self, selector: str) -> Metrics:
        """An instant vector of several families, with their names, as a page."""
        found = self._ask("query", {"query": selector})
        return Metrics(
            {(series["metric"]["__name__"], _labels(series["metric"])): float(series["value"][1]) for series in found}
        )

    def samples(self, selector: str, *, seconds: int = 3600) -> dict[Labels, list[tuple[float, float]]]:
        """Every sample (time, value) as scraped within the last `seconds`."""
        found = self._ask("query", {"query": f"{selector}[{seconds}s]"})
        return {
            _labels(series["metric"]): [(float(at), float(value)) for at, value in series["values"]] for series in found
        }

    def wait_scraped(self, *, after: float | None = None, seconds: float = PATIENCE) -> float:
        """The time of the first successful scrape after `after` (default: now), once it can be queried."""
        moment = time.time() if after is None else after

        def look() -> float | None:
            newest = self.query("timestamp(up) and (up == 1)")  # of a filtered vector it would be the time of asking
            self._must_run()
            return next((at for at in newest.values() if at > moment), None)

        return wait_until(look, seconds=seconds, what="a successful scrape")

    def _ask(self, what: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        response = requests.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=PATIENCE)
        assert response.ok, response.text
        found: list[dict[str, Any]] = response.json()["data"]["result"]
        return found

    def __enter__(self) -> PrometheusServer:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _labels(metric: dict[str, str]) -> Labels:
    return frozenset((name, value) for name, value in metric.items() if name not in ("__name__", "job", "instance"))


def tool(name: str) -> str:
    """Where a program of Prometheus is: on the path, or where `make test` unpacks Debian's packages."""
    found = shutil.which(name) or shutil.which(name, path=str(_TOOLS))
    assert found, f"{name} is not installed; `make test` brings it"
    return found


def tidegauge_command(*arguments: str | Path, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """A `tidegauge` command that ends by itself: its exit status and what it wrote."""
    return subprocess.run(
        [sys.executable, "-m", "tidegauge", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **ENVIRONMENT},
    )


def check_page(page: str) -> subprocess.CompletedProcess[str]:
    """What `promtool check metrics` says of a page."""
    return subprocess.run(
        [tool("promtool"), "check", "metrics"],
        check=False,
        input=page,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
