"""Counts of features are those of a recount row by row: exact, whatever the order, the cuts and the counts of rows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.tally.features_recount import CLASSES, MODEL, NAMES, Record, Recount, rows_of, values_of
from tidegauge.config.settings import Channel, Feature, Model
from tidegauge.join.rows import INVALID_NUMBER, FeatureValues, Rows
from tidegauge.tally.features import counts as counting
from tidegauge.tally.features.binning import NumericBinner, hash_of
from tidegauge.tally.features.counts import FeatureCounter
from tidegauge.tally.features.schema import CONDITIONS, CategoricalBins, NumericBins, Schema

CELLS = 3
OTHERS = tuple(sorted(hash_of(text) for text in ("pt", "lu")))
AMOUNT_BINS = NumericBins("amount", (-1.0, 0.0, 1e-6, 3.0, 1e6))
SCHEMA = Schema(
    (
        NumericBins("@score", (0.0, 0.25, 0.5, 0.75, 1.0)),
        CategoricalBins("@prediction", ("no", "yes")),
        AMOUNT_BINS,
        CategoricalBins("country", ("de", "fr", "none"), 16, OTHERS),
        NumericBins("note", (7.0, 7.0)),
        CategoricalBins("returning", ("false", "true")),
    )
)
AMOUNT = st.one_of(
    st.floats(-1e7, 1e7),
    st.sampled_from([math.nan, math.inf, -math.inf, INVALID_NUMBER, 0.0, -0.0, -1.0, 1e-6, 3.0, 1e6, 5e-7]),
)
RECORD = st.builds(
    Record,
    cell=st.integers(0, CELLS - 1),
    count=st.one_of(st.just(1), st.integers(1, 5), st.sampled_from([10**9])),
    score=st.one_of(st.floats(0, 1), st.just(math.nan)),
    answer=st.sampled_from([*CLASSES, None]),
    amount=AMOUNT,
    country=st.sampled_from(["de", "fr", "none", "pt", "lu", "xx", None, ...]),
    note=st.sampled_from([6.0, 7.0, 8.0, 40.0, math.nan]),
    returning=st.sampled_from(["true", "false", None, ...]),
)
RECORDS = st.lists(RECORD, max_size=30)
VERSIONS = np.array([0, 0, 1])


def counted(records: Sequence[Record], counter: FeatureCounter | None = None) -> NDArray[np.int64]:
    rows, cells = rows_of(list(records))
    return (counter or FeatureCounter(SCHEMA, MODEL)).accumulate(rows, cells, CELLS, VERSIONS, CLASSES)


def recounted(records: Sequence[Record], cell: int, number: int) -> Recount:
    recount = Recount()
    for record in records:
        if record.cell == cell:
            recount.add(SCHEMA.features[number], values_of(record)[number], record.count)
    return recount


@settings(max_examples=50)
@given(RECORDS)
def test_every_condition_is_that_of_a_recount_and_they_add_up_to_the_rows(records: list[Record]) -> None:
    found = SCHEMA.conditions(counted(records))
    for cell in range(CELLS):
        total = sum(record.count for record in records if record.cell == cell)
        for number in range(len(NAMES)):
            recount = recounted(records, cell, number)
            here = dict(zip(CONDITIONS, found[cell, number].tolist(), strict=True))
            unseen = recount.bins.get("unseen", 0)
            assert here == {
                **recount.conditions,
                "unseen": unseen,
                "out_of_range": recount.out_of_range,
                "valid": sum(recount.bins.values()) - unseen,
            }
            assert sum(here.values()) - here["out_of_range"] == total


@settings(max_examples=50)
@given(RECORDS)
def test_bins_and_sums_are_those_of_a_recount(records: list[Record]) -> None:
    counts = counted(records)
    compared, sums = SCHEMA.compared(counts), SCHEMA.sums(counts)
    assert compared.shape == sums.shape == (CELLS, len(NAMES), SCHEMA.real.shape[1])
    for cell in range(CELLS):
        for number, (bins, names) in enumerate(zip(SCHEMA.features, SCHEMA.bin_names, strict=True)):
            recount = recounted(records, cell, number)
            none = sum(recount.conditions.values())
            if isinstance(bins, CategoricalBins):
                # The category that is called as Tidegauge calls a bin is told apart.
                by_name = {'"none"' if name == "none" else name: count for name, count in recount.bins.items()}
                expected = [*(by_name.get(name, 0) for name in names[:-1]), none]
                assert not sums[cell, number].any()
            else:
                last = len(bins.edges)
                groups = [[place] for place in range(last + 1)]
                if last > 2:
                    groups = [[0, 1], *groups[2:-2], [last - 1, last]]
                expected = [*(sum(recount.bins.get(place, 0) for place in group) for group in groups), none]
                for place, group in enumerate(groups):
                    total = sum((recount.sums.get(each, Fraction(0)) for each in group), Fraction(0))
                    slack = sum(recount.bins.get(each, 0) * _width(bins.edges, each) for each in group)
                    if all(_near(bins.edges, value) for value in recount.values):
                        size = sum(abs(edge) for edge in bins.edges) * expected[place]
                        error = abs(Fraction(float(sums[cell, number, place])) - total)
                        assert error <= 1e-9 * slack + 1e-15 * size
            assert compared[cell, number, : len(expected)].tolist() == expected
            assert not compared[cell, number, len(expected) :].any()
            assert SCHEMA.real[number].tolist() == [True] * len(names) + [False] * (SCHEMA.real.shape[1] - len(names))


def _width(edges: tuple[float, ...], place: int) -> float:
    span = edges[-1] - edges[0] or 1.0
    return edges[place] - edges[place - 1] if 0 < place < len(edges) else 16 * span


def _near(edges: tuple[float, ...], value: float | str) -> bool:
    """What is more than 16 ranges away is held there."""
    span = edges[-1] - edges[0] or 1.0
    return isinstance(value, float) and edges[0] - 16 * span <= value <= edges[-1] + 16 * span


@settings(max_examples=50)
@given(RECORDS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_parts_in_any_order_add_up_to_the_same_integers(records: list[Record], chance: random.Random, cut: int) -> None:
    shuffled = list(records)
    chance.shuffle(shuffled)
    whole, parts = counted(records), counted(shuffled[:cut]) + counted(shuffled[cut:])
    varied = [spot.varied for spot in SCHEMA.layout.spots]
    assert np.array_equal(np.delete(whole, varied, axis=1), np.delete(parts, varied, axis=1))


@settings(max_examples=50)
@given(RECORDS)
def test_a_count_is_so_many_rows(records: list[Record]) -> None:
    few = [replace(record, count=record.count % 7 + 1) for record in records]
    rows, cells = rows_of([replace(record, count=1) for record in few for _ in range(record.count)], counted=False)
    repeated = FeatureCounter(SCHEMA, MODEL).accumulate(rows, cells, CELLS, VERSIONS, CLASSES)
    assert np.array_equal(counted(few), repeated)


@settings(max_examples=50)
@given(RECORDS, st.integers(1, 5))
def test_blocks_of_rows_and_parts_of_cells_change_nothing(records: list[Record], size: int) -> None:
    whole = counted(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK", size)
        in_blocks = counted(records)
        patch.setattr(counting, "DENSE", SCHEMA.columns * 2)
        in_parts = counted(records)
    varied = [spot.varied for spot in SCHEMA.layout.spots]
    for other in (in_blocks, in_parts):
        assert np.array_equal(np.delete(whole, varied, axis=1), np.delete(other, varied, axis=1))
    # The flags may be set by a later block; in sum they say the same of a version.
    for version in (0, 1):
        seen = SCHEMA.varied(whole[version == VERSIONS].sum(axis=0))
        assert np.array_equal(seen, SCHEMA.varied(in_blocks[version == VERSIONS].sum(axis=0)))


@settings(max_examples=50)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_a_feature_varies_if_two_values_were_seen_of_its_version(batches: list[list[Record]]) -> None:
    counter = FeatureCounter(SCHEMA, MODEL)
    total = sum((counted(batch, counter) for batch in batches), np.zeros((CELLS, SCHEMA.columns), dtype=np.int64))
    for version in (0, 1):
        found = SCHEMA.varied(total[version == VERSIONS].sum(axis=0))
        for number, name in enumerate(NAMES):
            seen = set()
            for record in (record for batch in batches for record in batch):
                if VERSIONS[record.cell] == version:
                    recount = Recount()
                    recount.add(SCHEMA.features[number], values_of(record)[number], 1)
                    seen |= recount.values
            assert found[number] == (len(seen) > 1)
            assert ((version, name) in counter.last) == bool(seen)
            assert not seen or counter.last[version, name] in seen


def test_a_constant_does_not_vary_over_batches_and_restarts_until_it_moves_within_its_bin() -> None:
    counter = FeatureCounter(SCHEMA, MODEL)
    amount = SCHEMA.names.index("amount")
    column = SCHEMA.layout.spots[amount].varied
    for batch in (
        [Record(0, amount=2.0), Record(1, amount=2.0)],
        [Record(1, amount=2.0)],
        [Record(0, amount=math.nan)],
    ):
        assert not SCHEMA.varied(counted(batch, counter))[:, amount].any()
    counter = FeatureCounter(SCHEMA, MODEL, counter.last)
    assert not SCHEMA.varied(counted([Record(2, amount=1.0)], counter))[:, amount].any()  # of another version
    assert counted([Record(0, amount=1.0)], counter)[:, column].tolist() == [1, 0, 0]
    assert counted([Record(0, amount=1.0), Record(1, amount=1.5)], counter)[:, column].tolist() == [0, 1, 0]
    counter.forget([0])
    assert counted([Record(0, amount=1.0)], counter)[:, column].tolist() == [0, 0, 0]
    assert counter.last[1, "amount"] == 1.0 and counter.last[0, "amount"] == 1.0


def test_rows_without_a_cell_are_left_out() -> None:
    records = [Record(-1, amount=1.0), Record(1, amount=2.0), Record(-1)]
    assert np.array_equal(counted(records), counted(records[1:2]))


def test_rows_without_features_are_missing_them() -> None:
    rows, cells = rows_of([Record(0), Record(0)])
    found = FeatureCounter(SCHEMA, MODEL).accumulate(replace(rows, features=None), cells, CELLS, VERSIONS, CLASSES)
    missing = SCHEMA.conditions(found)[0, :, CONDITIONS.index("missing")]
    assert missing.tolist() == [0, 0, 2, 2, 2, 2]


def test_the_answer_of_a_regression_is_a_number_and_features_that_are_not_watched_stay_empty() -> None:
    model = Model("price", "regression", (Channel("sold"),), features=(Feature("area", "numeric"),))
    schema = Schema(
        (NumericBins("@prediction", (0.0, 1.0, 2.0)), CategoricalBins("area", ("1",)), NumericBins("gone", (0.0, 1.0)))
    )
    nothing = np.zeros(3, dtype=np.uint8)
    rows = Rows(
        np.zeros(3, dtype=np.int64),
        nothing,
        (),
        nothing,
        np.full(3, np.nan),
        np.array([0.5, np.nan, 1.5]),
        (),
        features=FeatureValues(np.ones((1, 3)), ()),
    )
    counts = FeatureCounter(schema, model).accumulate(rows, np.zeros(3, dtype=np.int64), 1, np.array([0]))
    assert schema.conditions(counts)[0].tolist() == [[2, 1, 0, 0, 0, 0], [0] * 6, [0] * 6]


def test_many_rows_of_counts_beyond_what_a_float_adds_exactly() -> None:
    chance = np.random.default_rng(6)
    n = 30_000
    rows, _ = rows_of([Record(0)] * n)
    assert rows.features is not None
    numbers = chance.uniform(-1.0, 1e6, (2, n))
    count = chance.integers(1, 100_000, n)
    rows = replace(rows, count=count, features=replace(rows.features, numbers=numbers))
    cell = chance.integers(0, CELLS, n)
    counts = FeatureCounter(SCHEMA, MODEL).accumulate(rows, cell, CELLS, VERSIONS, CLASSES)
    amount = SCHEMA.names.index("amount")
    for each in range(CELLS):
        mine = cell == each
        assert SCHEMA.conditions(counts)[each, amount, 0] == count[mine].sum()
        exact = sum(Fraction(x) * k for x, k in zip(numbers[0, mine].tolist(), count[mine].tolist(), strict=True))
        assert float(SCHEMA.sums(counts)[each, amount].sum()) == pytest.approx(float(exact), rel=1e-11)
    spot = SCHEMA.layout.spots[amount]
    binner = NumericBinner(AMOUNT_BINS)
    places, position = binner.place(numbers[0])
    total = 0
    for place, unit, k in zip(places.tolist(), position.tolist(), count.tolist(), strict=True):
        total += round(unit * 2.0**30) * k * (place == 4)
    assert counts[:, spot.bins_end + 4].sum() == total
