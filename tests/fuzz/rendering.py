"""Target: any label texts and numbers through the renderer and back through Prometheus' own parsers."""

from __future__ import annotations

import math
import struct

import numpy as np
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.fuzz.target import Target
from tidegauge.publish.render import LabelCache, render_lines
from tidegauge.publish.samples import Family, HistogramSamples, Samples

_GAUGE = Family("model_quality_score", "gauge", 'Score, a "quoted" \\ help\nof two lines.', ("model", "version"))
_COUNTER = Family("model_outcomes_total", "counter", "Outcomes.", ("model", "version"))
_HISTOGRAM = Family("model_prediction_latency_seconds", "histogram", "Latency.", ("model", "version"))
_BOUNDS = (0.1, 1.0, 10.0)

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def check(data: bytes) -> None:
    """Every sample comes back with its labels and its number, in both formats."""
    rows, values = _input(data)
    gauge = Samples(_GAUGE, rows, values)
    counter = Samples(_COUNTER, rows, np.abs(values))
    counts = np.arange(len(rows) * 4).reshape(-1, 4)
    histogram = HistogramSamples(_HISTOGRAM, _BOUNDS, rows, counts, np.where(np.isinf(values), 1.0, np.abs(values)))
    rendered = render_lines([gauge, counter, histogram], LabelCache())
    expected: Found = {}
    for row, value, count in zip(rows, values.tolist(), counts, strict=True):
        labels = dict(zip(_GAUGE.labels, map(_as_published, row), strict=True))
        if math.isnan(value):
            continue
        expected[_key(_GAUGE.name, labels)] = value
        expected[_key(_COUNTER.name, labels)] = abs(value)
        for bound, below in zip((*map(str, _BOUNDS), "+Inf"), np.cumsum(count).tolist(), strict=True):
            expected[_key(f"{_HISTOGRAM.name}_bucket", labels | {"le": bound})] = below
        expected[_key(f"{_HISTOGRAM.name}_count", labels)] = int(count.sum())
        expected[_key(f"{_HISTOGRAM.name}_sum", labels)] = 1.0 if math.isinf(value) else abs(value)
    for openmetrics, read in ((False, read_text), (True, read_openmetrics)):
        page = rendered.page(openmetrics=openmetrics).decode()
        found: Found = {}
        for family in read(page):
            for sample in family.samples:
                key = _key(sample.name, sample.labels)
                assert key not in found, "a sample twice"
                found[key] = float(sample.value)
        assert found == expected


def _as_published(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "backslashreplace").decode()


def _key(name: str, labels: dict[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def _input(data: bytes) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Rows of two texts, none twice, and a number each."""
    pieces = data.split(b"\xfe")[:64]
    numbers: dict[tuple[str, ...], tuple[tuple[str, str], float]] = {}
    for place, piece in enumerate(pieces):
        text = piece[8:].decode(
            "utf-8", "surrogateescape" if place % 2 else "surrogatepass" if _passes(piece[8:]) else "replace"
        )
        row = (text[: len(text) // 2], text[len(text) // 2 :])
        published = tuple(map(_as_published, row))
        numbers.setdefault(published, (row, struct.unpack("<d", piece[:8].ljust(8, b"\0"))[0]))
    rows = [row for row, _ in numbers.values()]
    return rows, np.array([value for _, value in numbers.values()], np.float64)


def _passes(piece: bytes) -> bool:
    try:
        piece.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


_NUMBER = struct.pack("<d", 0.25)
TARGETS = (
    Target(
        "metrics_page",
        "any label text comes back from Prometheus' parsers as it was, in both formats",
        check,
        [
            _NUMBER + b"fraudv1",
            b"\xfe".join([_NUMBER + b'he said "\\n"', _NUMBER + "größer\u2028".encode(), _NUMBER + b"a\nb\\"]),
            b"\xfe".join([struct.pack("<d", math.inf) + b"a", struct.pack("<d", math.nan) + b"b", _NUMBER + b""]),
        ],
        [
            *(b'" \\ \n \r \0 \\n \\" \\\\ { } , = # } 1 \t \x85'.split(b" ")),
            *(b"\xe2\x80\xa8 \xed\xa0\x80 \xff \x0b \x0c \x1c \x1e \xfe".split(b" ")),
            b'"} 1\nmodel_quality_score{model="x"} 2\n',
            b"# EOF\n",
            struct.pack("<d", 2.0**53),
            struct.pack("<d", -0.0),
            struct.pack("<d", 5e-324),
            struct.pack("<d", 1.7976931348623157e308),
            b"x" * 300,
        ],
        bytes_of_memory=1024,
    ),
)
