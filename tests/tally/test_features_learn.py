"""Bins learned from values: sensible, the same whatever the order, and fit for whatever a float can hold."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tally.features_recount import CLASSES, MODEL, NAMES, Record, bin_of, name_of, rows_of
from tidegauge.join.rows import INVALID_NUMBER
from tidegauge.tally.features.binning import CategoricalBinner, NumericBinner, Workspace, hash_of
from tidegauge.tally.features.counts import FeatureCounter
from tidegauge.tally.features.learn import Sample, icc, intraclass, learn, learn_categorical, learn_numeric
from tidegauge.tally.features.schema import LARGEST_EDGE, CategoricalBins, Schema

FINITE = st.floats(INVALID_NUMBER, allow_infinity=False, exclude_min=True)
CLOSE = st.integers(0, 40).map(lambda steps: 1.0 + steps * 2.0**-52)
DENORMAL = st.integers(0, 40).map(lambda steps: steps * 5e-324)
VALUES = st.one_of(*(st.lists(kind, min_size=1, max_size=80) for kind in (FINITE, CLOSE, DENORMAL, st.floats(0, 1))))


@given(VALUES)
def test_edges_ascend_and_hold_every_value_that_was_seen(values: list[float]) -> None:
    edges = learn_numeric("x", np.array(values)).edges  # the bins refuse edges that do not ascend
    held = [min(max(value, -LARGEST_EDGE), LARGEST_EDGE) for value in values]
    assert (edges[0], edges[-1]) == (min(held), max(held))
    assert len(edges) <= 21
    if len(set(held)) > 20:
        assert len(edges) <= 15
    assert (len(set(held)) == 1) == (edges[0] == edges[-1])


@given(st.lists(st.integers(-5, 14), min_size=1, max_size=80))
def test_few_distinct_numbers_have_a_bin_each(values: list[int]) -> None:
    bins = learn_numeric("x", np.array(values, dtype=np.float64))
    places, _ = NumericBinner(bins).place(np.array(sorted(set(values)), dtype=np.float64))
    assert places.tolist() == list(range(1, len(set(values)) + 1))
    assert (
        bins.edges[1:-1] == tuple((low + high) / 2 for low, high in pairwise(sorted(set(values))))
        or len(set(values)) == 1
    )


@pytest.mark.parametrize("low", [0.0, 1.0, math.nextafter(1.0, 2.0), -3.0])
def test_numbers_without_a_float_between_them_have_a_bin_each_too(low: float) -> None:
    # The greatest two would need an edge of their own above the greatest; they share the last bin.
    values = [low]
    for _ in range(4):
        values.append(math.nextafter(values[-1], math.inf))
    places, _ = NumericBinner(learn_numeric("x", np.array(values))).place(np.array(values))
    assert places.tolist() == [1, 2, 3, 4, 4]


def test_many_numbers_are_cut_at_their_quantiles() -> None:
    values = np.arange(1000.0)
    quantiles = (9.0, 49.0, 99.0, 199.0, 299.0, 399.0, 499.0, 599.0, 699.0, 799.0, 899.0, 949.0, 989.0)
    assert learn_numeric("x", values).edges == (0.0, *quantiles, 999.0)
    skewed = np.random.default_rng(1).lognormal(sigma=3, size=5000)
    edges = learn_numeric("x", skewed).edges
    shares = [100 * np.mean(skewed < edge) for edge in edges[1:-1]]
    assert shares == pytest.approx([1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99], abs=0.03)


@pytest.mark.parametrize(("atom", "share"), [(0.0, 0.995), (0.0, 0.5), (0.5, 0.3), (1.0, 0.4), (1.0, 0.03)])
def test_a_number_that_is_very_frequent_has_a_bin_of_its_own(atom: float, share: float) -> None:
    chance = np.random.default_rng(2)
    values = np.where(chance.random(20_000) < share, atom, chance.random(20_000))
    edges = learn_numeric("x", values).edges
    place = bin_of(edges, atom)
    assert {value for value in values.tolist() if bin_of(edges, value) == place} == {atom}


@given(VALUES, st.randoms(use_true_random=False), st.lists(st.integers(1, 4), min_size=80, max_size=80))
def test_neither_order_nor_repetition_instead_of_counts_matters(
    values: list[float], chance: object, counts: list[int]
) -> None:
    counts = counts[: len(values)]
    repeated = np.repeat(np.array(values), counts)
    chance.shuffle(repeated)  # type: ignore[attr-defined]
    assert learn_numeric("x", np.array(values), np.array(counts)) == learn_numeric("x", repeated)


@pytest.mark.parametrize("seed", range(60))
def test_many_numbers_with_frequent_ones_among_them_have_the_edges_of_their_counts(seed: int) -> None:
    chance = np.random.default_rng(seed)
    rows = int(chance.integers(30, 3000))
    values = np.round(chance.normal(size=rows), int(chance.integers(1, 9)))
    for _ in range(int(chance.integers(0, 4))):  # at the ends too
        often = chance.choice([values.min(), values.max(), float(chance.choice(values))])
        values[chance.random(rows) < chance.choice([0.02, 0.1, 0.4])] = often
    assert learn_numeric("x", values) == learn_numeric("x", values, np.ones(rows, dtype=np.int64))


def test_of_nothing_at_all_a_constant_is_learned() -> None:
    assert learn_numeric("x", np.zeros(0)).edges == (0.0, 0.0)
    assert learn_categorical("x", {}) == CategoricalBins("x", ())
    schema = learn(MODEL, [])
    assert schema.names == NAMES


@given(st.dictionaries(st.text("abcdef", max_size=3), st.integers(0, 50), max_size=90))
def test_the_most_frequent_categories_have_names_and_the_others_buckets(counts: dict[str, int]) -> None:
    bins = learn_categorical("x", counts)
    assert bins == learn_categorical("x", dict(reversed(counts.items())))
    seen = {text: count for text, count in counts.items() if count}
    few = len(seen) <= 30
    frequent = sorted((text for text in seen if few or seen[text] >= 20), key=lambda text: (-seen[text], text))
    assert bins.values == tuple(frequent[:30])
    assert all(name_of(bins, text) != "unseen" for text in seen)
    once = sum(count == 1 for count in seen.values()) / max(sum(seen.values()), 1)
    many_new = not few and once > 0.1
    assert (name_of(bins, "never") == "unseen") == (not many_new)
    assert bins.new == (0.0 if many_new else once)
    assert bins.hashed == (0 if few else 16)


def test_of_more_than_a_thousand_categories_none_is_new() -> None:
    thousand = {f"user {number}": 2 for number in range(1000)}
    bins = learn_categorical("x", thousand)
    assert bins.values == () and bins.known == tuple(sorted(map(hash_of, thousand)))
    bins = learn_categorical("x", {**thousand, "user 1000": 20})
    assert bins.values == ("user 1000",) and bins.known is None
    assert name_of(bins, "user 5000").startswith("other")


def test_where_many_categories_were_met_once_none_is_new() -> None:
    often = {f"often {number}": 9 for number in range(100)}
    for once, new in ((100, 0.1), (101, 0.0)):
        bins = learn_categorical("x", often | {f"once {number}": 1 for number in range(once)})
        assert (bins.known is not None, bins.new) == (new > 0, new)


@pytest.mark.parametrize("rare", [40, 400, 4000])
def test_as_many_categories_are_new_as_were_expected(rare: int) -> None:
    """Of a Zipf tail: learned from some rows, met in others."""
    chance = np.random.default_rng(rare)
    share = 1 / np.arange(1, rare + 1) ** 1.5
    learned, later = (chance.choice(rare, 20_000, p=share / share.sum()).astype(str) for _ in range(2))
    bins = learn_categorical("x", dict(zip(*np.unique(learned, return_counts=True), strict=True)))
    found = sum(name_of(bins, text) == "unseen" for text in later.tolist()) / len(later)
    assert found == pytest.approx(bins.new, abs=0.003)
    schema = Schema((bins,))
    codes = np.arange(len(learned), dtype=np.int32)
    places = CategoricalBinner(bins).columns(codes, learned.tolist(), Workspace(len(learned)))
    counts = np.bincount(places, minlength=schema.columns)
    expecting = schema.expecting_new(counts)
    assert expecting.sum() == counts.sum()
    unseen = schema.conditions(expecting)[0, 2]
    assert unseen == (round(bins.new * len(learned)) if bins.hashed else 0)
    assert (expecting[4 : 4 + len(bins.values)] == counts[4 : 4 + len(bins.values)]).all()
    assert (expecting >= 0).all() and schema.expecting_new(expecting).tolist() == expecting.tolist()


def test_a_boolean_has_two_values_even_if_one_was_never_seen() -> None:
    assert learn_categorical("x", {"true": 3}, boolean=True).values == ("false", "true")


RECORD = st.builds(
    Record,
    cell=st.just(0),
    count=st.integers(1, 3),
    score=st.one_of(st.floats(0, 1), st.just(math.nan)),
    answer=st.sampled_from([*CLASSES, None]),
    amount=st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf])),
    country=st.sampled_from(["de", "fr", None, ...]),
)


@settings(max_examples=50)
@given(st.lists(RECORD, max_size=40), st.integers(0, 40))
def test_what_was_learned_from_is_neither_unseen_nor_out_of_range(records: list[Record], cut: int) -> None:
    samples = [Sample.of(rows_of(part)[0], CLASSES) for part in (records[:cut], records[cut:])]
    schema = learn(MODEL, samples)
    assert json.dumps(schema.to_json()) == json.dumps(
        learn(MODEL, [Sample.of(rows_of(records[::-1])[0], CLASSES)]).to_json()
    )
    rows, cells = rows_of(records)
    conditions = schema.conditions(FeatureCounter(schema, MODEL).accumulate(rows, cells, 1, np.array([0]), CLASSES))[0]
    assert not conditions[:, 2].any()
    far = sum(record.count for record in records if LARGEST_EDGE < abs(record.amount) < math.inf)
    assert conditions[:, 3].tolist() == [0, 0, far, 0, 0, 0]
    prediction = schema.features[NAMES.index("@prediction")]
    assert isinstance(prediction, CategoricalBins)
    assert prediction.values == tuple(CLASSES)  # both answers of a binary model, given or not


# ------------------------------------------------------------------ rows of the same unit


def icc_of_pairs(units: list[int], places: list[int]) -> float:
    """By looking at every pair."""
    pairs = [
        places[i] == places[j]
        for i in range(len(units))
        for j in range(i + 1, len(units))
        if units[i] == units[j] != 0  # a row without a unit is one of its own
    ]
    shares = [places.count(place) / len(places) for place in set(places)]
    chance = sum(share**2 for share in shares)
    if not pairs or (len(pairs) >= 100 and len(shares) == 1):
        return 0.0
    if len(pairs) < 100:
        return 1.0
    return min(1.0, max(0.0, (sum(pairs) / len(pairs) - chance) / (1 - chance)))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=80))
def test_the_intraclass_correlation_is_that_of_all_pairs(rows: list[tuple[int, int]]) -> None:
    units, places = [unit for unit, _ in rows], [place for _, place in rows]
    expected = icc_of_pairs(units, places)
    assert icc(np.array(units, dtype=np.uint64), np.array(places)) == pytest.approx(expected, abs=1e-12)


def test_units_that_never_change_correlate_wholly_and_units_of_chance_not_at_all() -> None:
    chance = np.random.default_rng(3)
    units = chance.integers(0, 2**63, 2000, dtype=np.uint64).repeat(5)
    of_unit = chance.integers(0, 10, 2000).repeat(5)
    assert icc(units, of_unit) == pytest.approx(1.0)
    assert icc(units, chance.integers(0, 10, 10_000)) < 0.01
    half = np.where(chance.random(10_000) < math.sqrt(0.5), of_unit, chance.integers(0, 10, 10_000))
    assert icc(units, half) == pytest.approx(0.5, abs=0.03)


def test_features_differ_in_how_alike_the_rows_of_a_unit_are() -> None:
    chance = np.random.default_rng(4)
    records, units = [], []
    for unit in range(300):
        country = str(chance.integers(0, 5))
        for _ in range(4):
            records.append(Record(0, score=float(chance.random()), country=country))
            units.append(unit)
    sample = Sample.of(rows_of(records)[0], CLASSES, np.array(units, dtype=np.uint64))
    schema = learn(MODEL, [sample])
    alike = dict(zip(NAMES, intraclass(schema, MODEL, [sample]).tolist(), strict=True))
    assert alike["country"] == pytest.approx(1.0) and alike["@score"] < 0.05 and alike["amount"] == 0.0
    unknown = Sample.of(rows_of(records)[0], CLASSES)
    assert not intraclass(schema, MODEL, [unknown]).any()
