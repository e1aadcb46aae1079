"""How much faster a page is rendered than by prometheus_client, and how soon a scrape is answered under load.

Both sides start from values in memory and render the same samples, interleaved in one process; the pages are checked
to mean the same. Run as: python bench/scrape.py
"""

from __future__ import annotations

import gc
import http.client
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "exporter"))

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tidegauge.publish.documents import Document
from tidegauge.publish.render import LabelCache, render_lines
from tidegauge.publish.samples import Family, Samples
from tidegauge.publish.server import Hooks, Publication, Server

ROUNDS = 7
LABELS = ("model", "version", "channel", "slice_key", "slice_value", "metric", "window")


def page_of(series: int, seed: int) -> list[Samples]:
    """Ten families of slice quality, half ratios and half counts; label text is made anew, as in a refresh."""
    random = np.random.default_rng(seed)
    each = series // 10
    page = []
    for number in range(10):
        family = Family(f"model_slice_quality_{number}", "gauge", "Benchmark family.", LABELS)
        rows = [
            (f"model-{i % 10}", f"v{i // 10 % 3}", "outcome", "country", f"country-{i // 30}", "accuracy", "24h")
            for i in range(each)
        ]
        values = random.random(each) if number % 2 else random.integers(0, 10**6, each).astype(np.float64)
        page.append(Samples(family, rows, values))
    return page


class Reference(Collector):
    """The same page through prometheus_client's metric families."""

    def __init__(self) -> None:
        self.page: list[Samples] = []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for part in self.page:
            family = GaugeMetricFamily(part.family.name, part.family.help, labels=part.family.labels)
            for row, value in zip(part.rows, np.asarray(part.values).tolist(), strict=True):
                family.add_metric(row, value)
            yield family


def timed(work: Callable[[], bytes]) -> tuple[float, bytes]:
    """Seconds that the work took, and what it made."""
    gc.collect()
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def meaning(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a page says, as prometheus_client's parser reads it."""
    samples = (sample for family in text_string_to_metric_families(page.decode()) for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def compare_rendering(series: int) -> None:
    """Prints median times and their ratio for a page of so many series."""
    reference = Reference()
    registry = CollectorRegistry()
    registry.register(reference)
    cache = LabelCache()
    first, _ = timed(lambda: render_lines(page_of(series, 0), cache).page(openmetrics=False))
    ours, theirs = [], []
    for seed in range(ROUNDS):
        page = page_of(series, seed)
        reference.page = page
        seconds, mine = timed(lambda page=page: render_lines(page, cache).page(openmetrics=False))  # type: ignore[misc]
        ours.append(seconds)
        seconds, other = timed(lambda: generate_latest(registry))
        theirs.append(seconds)
        if seed == 0 and meaning(mine) != meaning(other):
            raise SystemExit("the two pages differ")
    mine_ms, other_ms = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    print(
        f"{series:>7} series: tidegauge {mine_ms:7.1f} ms (first page {first * 1e3:.0f} ms), "
        f"prometheus_client {other_ms:7.1f} ms, ratio {other_ms / mine_ms:.1f}"
    )


def answer_under_load(series: int, scrapes: int = 40) -> None:
    """Prints how long gzip'd scrapes of a fresh page take while another thread keeps the interpreter busy."""
    server = Server("127.0.0.1:0", Hooks(healthy=lambda: True, reload=lambda: (True, "")))
    server.start()
    stop = threading.Event()

    def busy() -> None:
        random = np.random.default_rng(0)
        while not stop.is_set():
            np.argsort(random.random(20_000))
            sum(number % 7 for number in range(50_000))

    thread = threading.Thread(target=busy)
    thread.start()
    durations = []
    nothing = Document(lambda: b"", "text/plain")
    try:
        for seed in range(scrapes):
            server.publish(Publication(page_of(series, seed), nothing, nothing, True))
            start = time.perf_counter()
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as client:
                client.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
                client.getresponse().read()
            durations.append(time.perf_counter() - start)
    finally:
        stop.set()
        thread.join()
        server.stop()
    print(
        f"{series:>7} series: scrape beside a busy thread: median {statistics.median(durations) * 1e3:.0f} ms, "
        f"worst of {scrapes} {max(durations) * 1e3:.0f} ms"
    )


def main() -> None:
    """Runs the whole benchmark."""
    for series in (10_000, 100_000):
        compare_rendering(series)
    for series in (10_000, 100_000):
        answer_under_load(series)


if __name__ == "__main__":
    main()
