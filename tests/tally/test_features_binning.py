"""Numbers fall into the bins that the definition of the bins says, whatever a float can hold."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.tally.features_recount import bin_of, name_of
from tidegauge.join.rows import INVALID_NUMBER
from tidegauge.tally.features.binning import CategoricalBinner, NumericBinner, Workspace
from tidegauge.tally.features.layout import FIRST_BIN, INVALID, MISSING, NON_FINITE, UNSEEN
from tidegauge.tally.features.schema import LARGEST_EDGE, CategoricalBins, NumericBins

EDGE = st.one_of(
    st.floats(-LARGEST_EDGE, LARGEST_EDGE),
    st.floats(-2, 2).map(lambda x: round(x, 1)),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e-310, 2.2e-308, 1.0, math.nextafter(1.0, 2), 1e140, -1e140]),
)
EDGES = st.one_of(
    st.lists(EDGE, min_size=2, max_size=20, unique=True).map(lambda edges: tuple(sorted(edges))),
    EDGE.map(lambda edge: (edge, edge)),
    st.integers(60, 80).map(lambda n: tuple(float(i) for i in range(n))),
)


@st.composite
def placed(draw: st.DrawFn) -> tuple[tuple[float, ...], list[float]]:
    edges = draw(EDGES)
    near = [close for edge in edges for close in (edge, math.nextafter(edge, -1e308), math.nextafter(edge, 1e308))]
    any_number = st.floats(allow_nan=False, allow_infinity=False, min_value=math.nextafter(INVALID_NUMBER, 0))
    return edges, draw(st.lists(st.one_of(st.sampled_from(near), any_number, EDGE), min_size=1, max_size=50))


@given(placed())
def test_a_number_falls_between_the_edges_that_it_lies_between(case: tuple[tuple[float, ...], list[float]]) -> None:
    edges, values = case
    places, position = NumericBinner(NumericBins("x", edges)).place(np.array(values))
    assert places.tolist() == [bin_of(edges, value) for value in values]
    inner = np.searchsorted(np.array(edges), values, side="right")
    middle = (np.array(values) >= edges[0]) & (np.array(values) < edges[-1])
    assert np.array_equal(places[middle], inner[middle])
    assert (position >= 0).all() and (position <= 1.0 + 1e-15).all()


@given(placed())
def test_the_position_tells_the_number_to_a_thousand_millionth_of_the_bin(
    case: tuple[tuple[float, ...], list[float]],
) -> None:
    edges, values = case
    binner = NumericBinner(NumericBins("x", edges))
    places, position = binner.place(np.array(values))
    columns, units, _ = binner.columns(np.array(values), Workspace(len(values)))
    assert np.array_equal(columns, places + FIRST_BIN)
    assert np.abs(units * 2.0**-30 - position).max() <= 2.0**-31
    scale = edges[-1] - edges[0] or 1.0
    for value, place, unit in zip(values, places.tolist(), units.tolist(), strict=True):
        assert unit == int(unit)
        if 0 < place < len(edges):
            low, width = edges[place - 1], edges[place] - edges[place - 1]
            assert abs(low + unit * 2.0**-30 * width - value) <= 1e-9 * width + 4 * math.ulp(value) + 4 * math.ulp(low)
        else:
            away = (edges[0] - value) / 2 if place == 0 else (value - edges[-1]) / 2
            assert unit * 2.0**-30 == pytest.approx(min(1.0, away / 8 / scale), abs=1e-9)


def test_what_is_no_number_has_columns_of_its_own_and_no_position() -> None:
    x = np.array([np.nan, np.inf, -np.inf, INVALID_NUMBER, 0.5, sys.float_info.max, math.nextafter(INVALID_NUMBER, 0)])
    columns, units, _ = NumericBinner(NumericBins("x", (0.0, 1.0))).columns(x, Workspace(len(x)))
    assert columns.tolist() == [MISSING, NON_FINITE, NON_FINITE, INVALID, FIRST_BIN + 1, FIRST_BIN + 2, FIRST_BIN]
    assert units.tolist() == [0, 0, 0, 0, 2**29, 2**30, 2**30]


@pytest.mark.parametrize("x", [np.full(5, np.nan), np.full(5, np.inf), np.full(5, INVALID_NUMBER)])
def test_a_column_without_any_number_is_placed(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    columns, units, _ = NumericBinner(NumericBins("x", (0.0, 1.0))).columns(x, Workspace(5))
    assert len(set(columns.tolist())) == 1 and columns[0] < FIRST_BIN and not units.any()


@given(st.lists(st.text(max_size=3), max_size=40, unique=True), st.integers(0, 20), st.booleans())
def test_a_text_falls_into_its_bin_its_bucket_or_is_unseen(texts: list[str], named: int, many: bool) -> None:
    texts = [text for text in texts if text.isprintable()]
    others = sorted({xxhash.xxh3_64_intdigest(text.encode()) for text in texts[named::2]} if named < len(texts) else ())
    bins = CategoricalBins("x", tuple(texts[:named]), 16 if others or many else 0, None if many else tuple(others))
    binner = CategoricalBinner(bins)
    codes = np.array([*range(len(texts)), -1, -2], dtype=np.int32)
    names = {UNSEEN: "unseen", MISSING: "none", INVALID: "wrong"}
    names |= {FIRST_BIN + place: text for place, text in enumerate(bins.values)}
    names |= {FIRST_BIN + len(bins.values) + bucket: f"other {bucket:02d}" for bucket in range(bins.hashed)}
    for _ in range(2):  # from memory too
        columns = binner.columns(codes, texts, Workspace(len(codes)))
        assert [names[column] for column in columns.tolist()] == [
            *(name_of(bins, text) for text in texts),
            "none",
            "wrong",
        ]


def test_more_texts_than_are_remembered_keep_their_buckets() -> None:
    texts = [f"user {number}" for number in range(20_000)]
    bins = CategoricalBins("x", (), 16, None)
    columns = CategoricalBinner(bins).columns(np.arange(20_000, dtype=np.int32), texts, Workspace(20_000))
    assert (columns - FIRST_BIN).tolist() == [xxhash.xxh3_64_intdigest(text.encode()) % 16 for text in texts]


def test_half_of_a_surrogate_pair_has_a_bin_too() -> None:
    bins = CategoricalBins("x", (), 16, None)
    (column,) = CategoricalBinner(bins).columns(np.zeros(1, dtype=np.int32), ["\ud800"], Workspace(1)).tolist()
    assert column - FIRST_BIN == xxhash.xxh3_64_intdigest(b"\xed\xa0\x80") % 16
