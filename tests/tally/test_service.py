"""Errors and latency as sums: whatever edge is chosen afterwards, the winsorised moments are those of the values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidegauge.assess import service
from tidegauge.config.settings import HOUR, Channel, Model
from tidegauge.join.rows import Rows, Service
from tidegauge.pipeline.engine import empty_tally
from tidegauge.tally.families.service import COLUMNS, EDGES, NAME

MODEL = Model("fraud", "binary", (Channel("outcome"),), slices=("country",), windows=(HOUR,), horizon=HOUR)
SECONDS = st.one_of(
    st.floats(0, 1000), st.sampled_from([0.0, math.nan, math.inf, 1e-12, 1e9, *EDGES, *np.nextafter(EDGES, 0.0)])
)


def rows_of(
    latency: NDArray[np.float64],
    failed: NDArray[np.bool_] | None = None,
    shadow: NDArray[np.bool_] | None = None,
    count: NDArray[np.int64] | None = None,
) -> Rows:
    n = len(latency)
    no, absent, code = np.zeros(n, dtype=np.bool_), np.full(n, np.nan), np.zeros(n, dtype=np.uint8)
    served = Service(no if shadow is None else shadow, no if failed is None else failed, latency)
    time = np.full(n, HOUR, dtype=np.int64)
    return Rows(time, code, (code,), code, absent, absent, (), count=count, service=served)


def sums_of(*parts: Rows) -> NDArray[np.int64]:
    tally = empty_tally(MODEL, 2)
    for rows in parts:
        tally.add(rows, 1, None)
    _, sums = tally.window(NAME, 0, 2 * HOUR)
    assert not len(tally.window_slices(NAME, 0, 2 * HOUR)[0])
    one: NDArray[np.int64] = sums[0]
    return one


@given(st.lists(SECONDS, min_size=1, max_size=60), st.integers(0, len(EDGES) - 1))
def test_moments_held_at_an_edge_are_those_of_the_values_held_there(values: list[float], edge: int) -> None:
    latency = np.array(values)
    given_ = latency[~np.isnan(latency)]
    held = np.minimum(given_, EDGES[edge])
    found = service.latency(sums_of(rows_of(latency)), edge)
    assert found.n == len(given_)
    assert found.clipped == np.count_nonzero(given_ >= EDGES[edge])
    # Each value is rounded to 2**-31 of its bin's lower edge.
    scale = np.maximum(held, EDGES[0])
    assert float(found.s1) == pytest.approx(math.fsum(held), rel=1e-14, abs=2.0**-31 * scale.sum())
    assert float(found.s2) == pytest.approx(math.fsum(held**2), rel=1e-14, abs=2.0**-31 * (scale**2).sum())


def test_a_value_at_an_edge_lies_above_it_and_one_just_below_does_not() -> None:
    for edge, value in enumerate(EDGES):
        below = math.nextafter(value, 0.0)
        found = service.latency(sums_of(rows_of(np.array([below, below, value]))), edge)
        assert found.n == 3
        assert found.clipped == 1


def test_only_primary_predictions_count_each_as_often_as_it_stands_for() -> None:
    generator = np.random.default_rng(1)
    latency = np.where(generator.random(500) < 0.3, np.nan, generator.lognormal(-3, 2, 500))
    failed, shadow = generator.random(500) < 0.2, generator.random(500) < 0.4
    count = generator.integers(1, 5, 500)
    sums = sums_of(rows_of(latency, failed, shadow, count))
    primary = ~shadow
    n, s1, s2 = service.errors(sums)
    assert n == count[primary].sum()
    assert s1 == s2 == count[primary & failed].sum()
    timed = primary & ~np.isnan(latency)
    found = service.latency(sums)
    assert found.n == count[timed].sum()
    assert float(found.s1) == pytest.approx((np.minimum(latency, EDGES[-1]) * count)[timed].sum(), rel=1e-8)


@given(st.lists(SECONDS, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_sums_are_the_same_whatever_the_order_and_the_parts(values: list[float], chance: object) -> None:
    latency = np.array(values)
    whole = sums_of(rows_of(latency))
    chance.shuffle(values)  # type: ignore[attr-defined]
    cut = len(values) // 2
    parts = [rows_of(np.array(part)) for part in (values[:cut], values[cut:])]
    assert (sums_of(*parts) == whole).all()


def test_readers_take_many_series_at_once() -> None:
    generator = np.random.default_rng(2)
    each = [sums_of(rows_of(generator.lognormal(-2, 1, 50))) for _ in range(5)]
    both = np.stack([*each, np.zeros(COLUMNS, dtype=np.int64)])
    for found, ones in (
        (service.errors(both), [service.errors(one) for one in each]),
        (service.latency(both, 20), [service.latency(one, 20) for one in each]),
    ):
        for column, values in zip(found, zip(*ones, strict=True), strict=True):
            assert column.tolist() == [*map(float, values), 0.0]
