"""Rendered pages say what prometheus_client (its families and parsers are the oracle) says of the same samples."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from tidegauge.publish.render import LabelCache, escape_label, number_texts, render, render_lines
from tidegauge.publish.samples import AnySamples, Family, HistogramSamples, Samples

GAUGE = Family("sea_level_meters", "gauge", 'Level, "mean" of \\ two\nlines.', ("station", "sea"))
COUNTER = Family("sea_waves_total", "counter", "Waves counted.", ("station",))
PLAIN = Family("sea_ready", "gauge", "Whether there is a sea.", ())
HISTOGRAM = Family("sea_wave_height_meters", "histogram", "Heights of waves.", ("station",))
BOUNDS = (0.1, 1.0, 2.5)

# Everything but lone surrogates and NUL, which the oracle cannot write or Tidegauge replaces on purpose.
hostile = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ['"', "\\", "\n", "\\n", '\\"', '"} 1\nfake 2', "a,b", "{x=1}", "# EOF", " ", "é\u2028\x85\r"]
)
numbers = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53).map(float) | st.just(-0.0)
amounts = st.floats(0, allow_infinity=False) | st.integers(0, 2**53).map(float)


@st.composite
def pages(draw: st.DrawFn) -> list[AnySamples]:
    gauge_rows = draw(st.lists(st.tuples(hostile, hostile), unique=True, min_size=1, max_size=5))
    stations = draw(st.lists(st.tuples(hostile), unique=True, min_size=1, max_size=4))
    counts = draw(st.lists(st.lists(st.integers(0, 10**12), min_size=4, max_size=4), min_size=1, max_size=4))
    measured = stations[: len(counts)]
    return [
        Samples(GAUGE, gauge_rows, [draw(numbers) for _ in gauge_rows]),
        Samples(COUNTER, stations, np.array([draw(amounts) for _ in stations])),
        Samples(PLAIN, [()], [draw(numbers)]),
        HistogramSamples(
            HISTOGRAM,
            BOUNDS,
            measured,
            np.array(counts[: len(measured)], dtype=np.int64),
            np.array([draw(amounts) for _ in measured]),
        ),
    ]


class _Oracle(Collector):
    def __init__(self, page: Sequence[AnySamples]) -> None:
        self._page = page

    def collect(self) -> Iterable[Metric]:
        for part in self._page:
            family = part.family
            if isinstance(part, HistogramSamples):
                histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
                for row, counts, total in zip(part.rows, part.counts, part.sums, strict=True):
                    ends = [*(str(bound) for bound in part.bounds), "+Inf"]
                    cumulative = [float(count) for count in np.cumsum(counts)]
                    histogram.add_metric(row, list(zip(ends, cumulative, strict=True)), float(total))
                yield histogram
            else:
                kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
                metric = kind(family.name, family.help, labels=family.labels)
                for row, value in zip(part.rows, part.values, strict=True):
                    metric.add_metric(row, float(value))
                yield metric


def _registry(page: Sequence[AnySamples]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Oracle(page))
    return registry


def _meaning(families: Iterable[Metric]) -> dict[str, Any]:
    return {
        family.name: (
            family.type,
            family.documentation,
            sorted((sample.name, sorted(sample.labels.items()), sample.value) for sample in family.samples),
        )
        for family in families
    }


@given(pages())
def test_text_means_what_prometheus_client_would_have_written(page: list[AnySamples]) -> None:
    ours = render(page, openmetrics=False, cache=LabelCache()).decode()
    assert _meaning(parse_text(ours)) == _meaning(parse_text(generate_latest(_registry(page)).decode()))


@given(pages())
def test_openmetrics_means_what_prometheus_client_would_have_written(page: list[AnySamples]) -> None:
    ours = render(page, openmetrics=True, cache=LabelCache()).decode()
    theirs = generate_openmetrics(_registry(page)).decode()  # type: ignore[no-untyped-call]
    parsed = [parse_openmetrics(text) for text in (ours, theirs)]  # type: ignore[no-untyped-call]
    assert _meaning(parsed[0]) == _meaning(parsed[1])


@given(pages())
def test_a_series_is_the_same_in_both_formats(page: list[AnySamples]) -> None:
    lines = [
        [line for line in render(page, openmetrics=form, cache=LabelCache()).split(b"\n") if not line.startswith(b"#")]
        for form in (False, True)
    ]
    assert lines[0] == lines[1]


@given(pages(), pages())
def test_a_cache_never_changes_the_page(first: list[AnySamples], second: list[AnySamples]) -> None:
    cache = LabelCache()
    for page in (first, second, first):
        assert render(page, openmetrics=True, cache=cache) == render(page, openmetrics=True, cache=LabelCache())


@given(st.lists(numbers))
def test_numbers_read_back_exactly_and_whole_ones_have_no_point(values: list[float]) -> None:
    texts = number_texts(np.array(values, dtype=np.float64))
    assert [float(text) for text in texts] == values
    assert all(
        text.lstrip("-").isdigit()
        for text, value in zip(texts, values, strict=True)
        if abs(value) < 2**53 and value == int(value)
    )


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64, np.bool_, np.float32])
def test_numbers_of_any_dtype_are_taken(dtype: type) -> None:
    assert number_texts(np.array([0, 1], dtype=dtype)) == ["0", "1"]


def test_an_unknown_value_is_an_absent_series() -> None:
    page = render(
        [Samples(GAUGE, [("a", "b"), ("c", "d")], [math.nan, 2.0]), Samples(COUNTER, [("a",)], np.array([math.nan]))],
        openmetrics=False,
        cache=LabelCache(),
    ).decode()
    assert 'sea_level_meters{station="c",sea="d"} 2\n' in page
    assert "nan" not in page.lower()
    assert 'station="a"' not in page
    assert "sea_waves" not in page


def test_a_histogram_without_a_known_sum_is_absent() -> None:
    counts = np.array([[1, 2, 3, 4], [0, 0, 0, 0]])
    page = render(
        [HistogramSamples(HISTOGRAM, BOUNDS, [("a",), ("b",)], counts, np.array([math.nan, 0.0]))],
        openmetrics=False,
        cache=LabelCache(),
    ).decode()
    assert 'station="a"' not in page
    assert 'sea_wave_height_meters_count{station="b"} 0\n' in page


def test_buckets_are_cumulative_and_their_bounds_canonical_floats_in_both_formats() -> None:
    histogram = HistogramSamples(HISTOGRAM, BOUNDS, [("a",)], np.array([[1, 2, 3, 4]]), np.array([12.5]))
    for openmetrics in (False, True):
        page = render([histogram], openmetrics=openmetrics, cache=LabelCache()).decode()
        assert [line for line in page.splitlines() if not line.startswith("#")] == [
            'sea_wave_height_meters_bucket{station="a",le="0.1"} 1',
            'sea_wave_height_meters_bucket{station="a",le="1.0"} 3',
            'sea_wave_height_meters_bucket{station="a",le="2.5"} 6',
            'sea_wave_height_meters_bucket{station="a",le="+Inf"} 10',
            'sea_wave_height_meters_count{station="a"} 10',
            'sea_wave_height_meters_sum{station="a"} 12.5',
        ]


def test_a_histogram_without_labels_renders() -> None:
    family = Family("sea_depth_meters", "histogram", "Depths.", ())
    page = render(
        [HistogramSamples(family, (1.0,), [()], np.array([[1, 1]]), np.array([3.0]))],
        openmetrics=False,
        cache=LabelCache(),
    ).decode()
    assert 'sea_depth_meters_bucket{le="1.0"} 1\n' in page
    assert "sea_depth_meters_sum 3\n" in page


def test_parts_of_one_family_become_one_block_in_the_place_of_the_first() -> None:
    page = render(
        [Samples(GAUGE, [("a", "b")], [1]), Samples(PLAIN, [()], [1]), Samples(GAUGE, [("c", "d")], [0.5])],
        openmetrics=True,
        cache=LabelCache(),
    ).decode()
    names = [line.split("{")[0].split(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert names == ["sea_level_meters", "sea_level_meters", "sea_ready"]
    assert page.count("# TYPE sea_level_meters gauge") == 1


def test_parts_of_one_histogram_are_gathered() -> None:
    parts = [
        HistogramSamples(HISTOGRAM, BOUNDS, [(name,)], np.array([[1, 0, 0, 0]]), np.array([0.1])) for name in ("a", "b")
    ]
    page = render(parts, openmetrics=True, cache=LabelCache()).decode()
    assert page.count("# TYPE") == 1
    assert page.count("_count{") == 2


def test_an_openmetrics_counter_family_has_no_total_and_the_page_ends_with_eof() -> None:
    page = render([Samples(COUNTER, [("a",)], [3])], openmetrics=True, cache=LabelCache()).decode()
    assert page == (
        '# HELP sea_waves Waves counted.\n# TYPE sea_waves counter\nsea_waves_total{station="a"} 3\n# EOF\n'
    )


def test_nul_and_lone_surrogates_cannot_break_the_page() -> None:
    page = render([Samples(COUNTER, [("a\0b\ud800c",)], [1])], openmetrics=False, cache=LabelCache())
    (family,) = parse_text(page.decode("utf-8"))
    assert family.samples[0].labels == {"station": "a\ufffdb\\ud800c"}


def test_harmless_label_values_are_left_as_they_are() -> None:
    assert escape_label("Größe 7, {x=1}") == "Größe 7, {x=1}"


def test_a_page_without_samples_is_empty() -> None:
    assert render([], openmetrics=False, cache=LabelCache()) == b""
    assert render([Samples(GAUGE, [], [])], openmetrics=True, cache=LabelCache()) == b"# EOF\n"


@pytest.mark.parametrize(
    "broken",
    [
        Samples(GAUGE, [("a", "b")], [1, 2]),
        Samples(GAUGE, [("a",)], [1]),
        HistogramSamples(HISTOGRAM, BOUNDS, [("a",)], np.zeros((1, 3), dtype=np.int64), np.zeros(1)),
        HistogramSamples(HISTOGRAM, BOUNDS, [("a",)], np.zeros((1, 4), dtype=np.int64), np.zeros(2)),
    ],
)
def test_samples_that_do_not_fit_their_family_are_refused(broken: AnySamples) -> None:
    with pytest.raises(ValueError, match=broken.family.name):
        render([broken], openmetrics=False, cache=LabelCache())


def test_parts_of_a_histogram_with_different_bounds_are_refused() -> None:
    parts = [
        HistogramSamples(HISTOGRAM, bounds, [(bounds[0].hex(),)], np.zeros((1, 2), dtype=np.int64), np.zeros(1))
        for bounds in ((1.0,), (2.0,))
    ]
    with pytest.raises(ValueError, match="different bounds"):
        render(parts, openmetrics=False, cache=LabelCache())


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=20))
def test_the_cache_holds_at_most_about_twice_the_last_page(sizes: list[int]) -> None:
    cache = LabelCache()
    for round_number, size in enumerate(sizes):
        rows = [(f"{round_number}-{number}",) for number in range(size)]
        render([Samples(COUNTER, rows, np.zeros(size))], openmetrics=False, cache=cache)
        assert len(cache) <= 2 * size + 64


def test_the_cache_forgets_families_that_are_gone() -> None:
    cache = LabelCache()
    render([Samples(COUNTER, [("a",)], [1])], openmetrics=False, cache=cache)
    render([Samples(PLAIN, [()], [1])], openmetrics=False, cache=cache)
    assert len(cache) == 1


def test_ten_thousand_series_render_in_time() -> None:
    # The bar (10 ms) is measured by bench/scrape.py; here only what would be a change of order is caught.
    import time

    rows = [(f"station-{number}", f"sea-{number % 7}") for number in range(10_000)]
    values = np.random.default_rng(7).random(10_000)
    cache = LabelCache()
    durations = []
    gc.collect()
    for _ in range(6):
        start = time.perf_counter()
        render_lines([Samples(GAUGE, rows, values)], cache)
        durations.append(time.perf_counter() - start)
    assert min(durations[1:]) < 0.05
