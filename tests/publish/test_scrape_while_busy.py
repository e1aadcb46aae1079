"""Scrapes are answered within half a second while another thread works flat out, as the ingesting one does."""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import closing

import msgspec
import numpy as np

from tidegauge.publish.documents import Document
from tidegauge.publish.samples import Family, Samples
from tidegauge.publish.server import Hooks, Publication, Server

SERIES = 10_000
SCRAPES = 15
EMPTY = Document(lambda: b"", "text/plain")


def _ingest(stop: threading.Event) -> None:
    """The mix of an ingesting thread: parsing, numpy columns, some pure Python."""
    lines = b'{"prediction_id":"abcdef","score":0.25,"label":"1"}\n' * 2_000
    decoder = msgspec.json.Decoder()
    random = np.random.default_rng(1)
    while not stop.is_set():
        records = decoder.decode_lines(lines)
        scores = np.array([record["score"] for record in records])
        np.bincount((scores * 100).astype(np.int64), minlength=101)
        np.argsort(random.random(50_000))
        total = 0
        for number in range(20_000):
            total += number % 7


def test_scrapes_are_answered_within_half_a_second_while_ingesting_flat_out() -> None:
    family = Family("tide_level_meters", "gauge", "Level of the tide.", ("station",))
    rows = [(f"station-{number}",) for number in range(SERIES)]
    server = Server("127.0.0.1:0", Hooks(healthy=lambda: True, reload=lambda: (True, "")))
    server.start()
    stop = threading.Event()
    busy = threading.Thread(target=_ingest, args=(stop,))
    busy.start()
    durations = []
    try:
        for number in range(SCRAPES):
            server.publish(Publication([Samples(family, rows, np.full(SERIES, number + 0.5))], EMPTY, EMPTY, True))
            start = time.perf_counter()
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
                client.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
                assert client.getresponse().read()
            durations.append(time.perf_counter() - start)
    finally:
        stop.set()
        busy.join()
        server.stop()
    assert sorted(durations)[SCRAPES // 2] < 0.25
    assert max(durations) < 0.5, durations
