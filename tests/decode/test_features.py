"""What each feature of a prediction becomes, by its kind; and that a log's habits never change what a line says."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.decode import recount
from tests.decode.logs import ANIMAL, DELAY, FRAUD, PREDICTIONS, feature_rows, lines, prediction_rows, settings_for
from tidegauge.config.settings import Feature, Model, Source
from tidegauge.config.watched import categorical_names, embedding_names, numeric_names
from tidegauge.decode import PredictionColumns, PredictionDecoder
from tidegauge.decode.identifiers import hash_ids
from tidegauge.join.rows import INVALID_NUMBER

T = "2024-05-01T10:00:00Z"
INVALID, NOT_FINITE = ("invalid",), ("not finite",)


def watching(base: Model = FRAUD, /, slices: tuple[str, ...] = (), **kinds: str) -> Model:
    return replace(base, features=tuple(Feature(name, kind) for name, kind in kinds.items()), slices=slices)


def record(features: Any = None, **fields: Any) -> dict[str, Any]:
    return {"timestamp": T, "prediction": "1", "features": features, **fields}


def decode(block: bytes, *models: Model, source: Source = PREDICTIONS) -> list[PredictionColumns]:
    decoded = PredictionDecoder(source, settings_for(*models)).decode(block, "/logs/a")
    assert decoded.rejections == []
    return decoded.batches


def seen(model: Model, *records: Any, source: Source = PREDICTIONS) -> list[dict[str, Any]]:
    """The features of each record, by name."""
    (batch,) = decode(lines(*records), model, source=source)
    return [{name.removeprefix("feature "): value for name, value in row.items()} for row in feature_rows(batch, model)]


def written(text: str) -> bytes:
    """A record whose feature x is this piece of JSON."""
    return b'{"timestamp":"%s","prediction":"1","features":{"x":%s}}' % (T.encode(), text.encode())


ANYTHING: dict[str, dict[str, Any]] = {
    "null": dict.fromkeys(["numeric", "categorical", "boolean", "text_length", "embedding"], None),
    "3": {"numeric": 3.0, "categorical": "3"},
    "-2.5e3": {"numeric": -2500.0, "categorical": "-2500"},
    "1": {"numeric": 1.0, "categorical": "1", "boolean": "true"},
    "0.0": {"numeric": 0.0, "categorical": "0", "boolean": "false"},
    "true": {"categorical": "true", "boolean": "true"},
    "false": {"categorical": "false", "boolean": "false"},
    '"true"': {"categorical": "true", "boolean": "true", "text_length": 4.0},
    '"True"': {"categorical": "True", "text_length": 4.0},
    '"1"': {"categorical": "1", "text_length": 1.0},
    '""': {"categorical": None, "text_length": 0.0},
    '"\\u00e9\\ud83d\\ude00\\n"': {"categorical": "é😀\n", "text_length": 3.0},
    '"%s"' % ("y" * 300): {"categorical": "y" * 255 + "…", "text_length": 300.0},
    "NaN": {"numeric": NOT_FINITE},
    "-Infinity": {"numeric": NOT_FINITE},
    "1e400": {"numeric": NOT_FINITE},
    "1" + "0" * 30: {"numeric": 1e30, "categorical": "1" + "0" * 30},
    "-1" + "0" * 400: {"numeric": NOT_FINITE, "categorical": "-1" + "0" * 253 + "…"},
    "9" * 5000: {"numeric": NOT_FINITE},
    "[1, -2.5]": {"embedding": [1.0, -2.5]},
    "[1, NaN]": {"embedding": NOT_FINITE},
    "[1, 1e999]": {"embedding": NOT_FINITE},
    "[1, null]": {},
    "[1, true]": {},
    '[1, "2"]': {},
    "[]": {},
    "{}": {},
    '{"a": [1]}': {},
}


@pytest.mark.parametrize("kind", ["numeric", "categorical", "boolean", "text_length", "embedding"])
@pytest.mark.parametrize("text", ANYTHING, ids=lambda text: text[:12])
def test_what_a_value_is_depends_on_the_kind_and_whatever_does_not_fit_is_invalid(text: str, kind: str) -> None:
    expected = ANYTHING[text].get(kind, INVALID)
    model = watching(x=kind)
    assert seen(model, written(text)) == [{"x": expected}]
    usual = written({"numeric": "2", "text_length": '"ab"', "embedding": "[5, 6]"}.get(kind, "true"))
    (usually,) = seen(model, usual)
    for before, after in ((0, 3), (40, 0), (600, 600)):
        rows = seen(model, *[usual] * before, written(text), *[usual] * after)
        assert rows == [usually] * before + [{"x": expected}] + [usually] * after


@pytest.mark.parametrize("features", [None, {}, {"other": 1}, {"x": None}, "none", [1], 7])
@pytest.mark.parametrize("kind", ["numeric", "categorical", "boolean", "text_length", "embedding"])
def test_a_feature_that_is_not_there_is_missing(kind: str, features: Any) -> None:
    assert seen(watching(x=kind), record(features)) == [{"x": None}]
    assert seen(watching(x=kind), {"timestamp": T, "prediction": "1"}, record(features)) == [{"x": None}] * 2


@pytest.mark.parametrize("sign", [1, -1])
def test_an_infinite_number_keeps_its_sign(sign: int) -> None:
    texts = ["Infinity", "1e400", "1" + "0" * 400, "9" * 5000]
    (batch,) = decode(lines(*[written(("-" if sign < 0 else "") + text) for text in texts]), watching(x="numeric"))
    assert batch.features is not None
    assert batch.features.numbers.tolist() == [[sign * math.inf] * len(texts)]


ODD: dict[str, tuple[Any, ...]] = {
    "amount": (None, "3", True, [1], math.nan),
    "age": (None,),
    "country": (None, 7, 7.0, True, ["SE"]),
    "note": (None, 12, ""),
    "member": (None, 1, "no", {}),
    "place": (None, [1.0], "here", [1.0, None]),
}
WATCHED = watching(
    amount="numeric",
    country="categorical",
    place="embedding",
    note="text_length",
    age="numeric",
    member="boolean",
    slices=("country", "age"),
)


@pytest.mark.parametrize("every", [2, 20, 1000])
@pytest.mark.parametrize("names", [["amount"], ["age"], ["country"], ["note"], ["member"], ["place"], [*ODD]])
def test_values_that_are_not_the_usual_ones_change_nothing_about_the_others(names: list[str], every: int) -> None:
    records = []
    for n in range(2500):
        values: dict[str, Any] = {
            "amount": n / 8,
            "country": ("SE", "NO", "Malmö")[n % 3],
            "place": [n, 0.5],
            "note": "z" * (n % 50),
            "age": n % 90,
            "member": n % 2 == 0,
        }
        if n % every == every - 1:
            values |= {name: ODD[name][n // every % len(ODD[name])] for name in names}
        records.append(record(values))
    kinds = {feature.name: feature.kind for feature in WATCHED.features}
    expected = [
        {name: recount.feature_of(one["features"][name], kind) for name, kind in kinds.items()} for one in records
    ]
    for row in expected:
        # As long as the first one: what no single line can say.
        row["place"] = INVALID if isinstance(row["place"], list) and None in row["place"] else row["place"]
    assert seen(WATCHED, *records) == expected


def test_a_feature_that_comes_late_or_goes_is_noticed() -> None:
    model = watching(x="numeric", y="text_length", z="boolean")
    decoder = PredictionDecoder(PREDICTIONS, settings_for(model))
    for features in ({"x": 1}, {"x": 1}, {"x": 2, "z": True}, {"y": "ab"}, {}, {"z": False, "y": "", "x": 0}):
        (batch,) = decoder.decode(lines(*[record(features)] * 300), "/logs/a").batches
        expected = {
            "feature x": features.get("x"),
            "feature y": len(features["y"]) if "y" in features else None,  # type: ignore[arg-type]
            "feature z": str(features["z"]).lower() if "z" in features else None,
        }
        assert feature_rows(batch, model) == [expected] * 300


def test_models_in_one_log_have_each_their_own_features_in_their_own_order() -> None:
    models = (
        watching(FRAUD, b="numeric", a="numeric", c="categorical", d="embedding"),
        watching(DELAY, c="numeric", a="text_length", b="boolean"),
        ANIMAL,
    )
    values: dict[str, Any] = {"a": 2, "b": 1, "c": 3, "d": [4]}
    records = [record(values, model=name) for name in ("fraud", "delay", "animal") * 200]
    first, second, third = decode(lines(*records), *models)
    assert (
        feature_rows(first, models[0]) == [{"feature b": 1, "feature a": 2, "feature c": "3", "feature d": [4]}] * 200
    )
    assert feature_rows(second, models[1]) == [{"feature c": 3, "feature a": INVALID, "feature b": "true"}] * 200
    assert third.features is None
    assert numeric_names(models[0]) == ("b", "a")
    assert numeric_names(models[1]) == ("c", "a")
    assert (categorical_names(models[0]), embedding_names(models[0])) == (("c",), ("d",))


def test_models_that_the_star_entry_makes_share_its_features() -> None:
    star = replace(watching(x="numeric"), name="*")
    decoder = PredictionDecoder(PREDICTIONS, settings_for(default=star))
    batches = decoder.decode(lines(*[record({"x": 1}, model=name) for name in "abab"]), "/logs/a").batches
    assert [(batch.model, feature_rows(batch, star)) for batch in batches] == [
        (name, [{"feature x": 1.0}] * 2) for name in "ab"
    ]


PLACES: list[tuple[str, str, Any, Any]] = [
    ("unit_id", "numeric", 12, 12.0),
    ("unit_id", "numeric", "u", INVALID),
    ("unit_id", "categorical", 12, "12"),
    ("unit_id", "embedding", [1, 2], [1.0, 2.0]),
    ("score", "numeric", 0.25, 0.25),
    ("score", "numeric", "0.25", INVALID),
    ("score", "categorical", 0.25, "0.25"),
    ("score", "text_length", "0.25", 4.0),
    ("latency_ms", "numeric", 12, 12.0),
    ("version", "numeric", 3, 3.0),
    ("version", "numeric", "3", INVALID),
    ("version", "text_length", "v10", 3.0),
    ("version", "boolean", True, "true"),
    ("weight", "numeric", 2, 2.0),
    ("count", "boolean", 1, "true"),
    ("error", "boolean", False, "false"),
    ("error", "text_length", "timeout", 7.0),
    ("role", "categorical", "shadow", "shadow"),
    ("prediction_id", "numeric", 7, 7.0),
    ("prediction_id", "text_length", "abc", 3.0),
    ("slices.plan", "boolean", "true", "true"),
    ("slices.plan", "numeric", 5, 5.0),
    ("slices.plan", "embedding", [5], [5.0]),
]


@pytest.mark.parametrize(("field", "kind", "value", "expected"), PLACES)
def test_a_feature_may_be_read_where_another_field_is_and_takes_nothing_from_it(
    field: str, kind: str, value: Any, expected: Any
) -> None:
    source = replace(PREDICTIONS, fields=((field, "features.x"),))
    plain, model = replace(FRAUD, features=(), slices=("plan",)), watching(x=kind, slices=("plan",))
    oddities: list[dict[str, Any]] = [{}, {"latency_ms": "7"}, {"latency_ms": math.nan}]
    for n, odd in itertools.product((1, 300), oddities):
        extra = {} if field == "latency_ms" else odd
        block = lines(*[record({"x": value}, **extra)] * n)
        (without,), (batch,) = decode(block, plain, source=source), decode(block, model, source=source)
        assert prediction_rows(batch) == prediction_rows(without)
        assert feature_rows(batch, model) == [{"feature x": expected}] * n


def test_a_slice_that_is_watched_as_a_number_is_still_a_slice() -> None:
    model = watching(x="numeric", y="boolean", slices=("x", "y"))
    values: tuple[Any, ...] = (1, 2.5, "3", True, None, [1], math.nan, 10**400)
    (batch,) = decode(lines(*[record({"x": value, "y": value}) for value in values]), model)
    assert [row["slice x"] for row in prediction_rows(batch)] == [recount.text_of(value) for value in values]
    assert [row["slice y"] for row in prediction_rows(batch)] == [recount.text_of(value) for value in values]
    expected = [recount.feature_of(value, "numeric") for value in values]
    assert [row["feature x"] for row in feature_rows(batch, model)] == expected


def test_the_answer_of_a_ranking_may_be_watched_too() -> None:
    model = replace(watching(x="categorical", y="boolean"), task="ranking")
    source = replace(PREDICTIONS, fields=(("features.x", "prediction"), ("features.y", "prediction")))
    (batch,) = decode(lines(*[record(prediction=value) for value in (["a"], "a", True)]), model, source=source)
    assert feature_rows(batch, model) == [
        {"feature x": INVALID, "feature y": INVALID},
        {"feature x": "a", "feature y": INVALID},
        {"feature x": "true", "feature y": "true"},
    ]


def test_a_unit_that_is_watched_as_a_number_is_the_same_unit_as_elsewhere() -> None:
    source = replace(PREDICTIONS, fields=(("unit_id", "features.x"),))
    (batch,) = decode(lines(*[record({"x": x}) for x in (12, "12", "u", None)]), watching(x="numeric"), source=source)
    assert batch.unit is not None
    twelve, other = hash_ids(["12", "u"]).tolist()
    assert batch.unit.tolist() == [twelve, twelve, other, 0]


def test_features_are_found_where_fields_say() -> None:
    source = replace(PREDICTIONS, fields=(("features", "in.raw"), ("features.b", "b"), ("features.c", "in.deep.er.c")))
    model = watching(a="numeric", b="numeric", c="categorical", d="categorical", e="numeric")
    full = {
        "timestamp": T,
        "prediction": "1",
        "b": 2,
        "in": {"raw": {"a": 1, "d": "d", "e": 5}, "deep": {"er": {"c": 3}}},
    }
    part = {"timestamp": T, "prediction": "1", "in": {"raw": {"a": 1}, "deep": {}}}
    assert seen(model, *[full] * 200, part, source=source) == [
        *[{"a": 1, "b": 2, "c": "3", "d": "d", "e": 5}] * 200,
        {"a": 1, "b": None, "c": None, "d": None, "e": None},
    ]


@pytest.mark.parametrize("name", ["a b", "row", "__import__('os')", "'", "a.b", "é", "0", "numeric:x", "x" * 300])
def test_any_name_can_be_a_features_name(name: str) -> None:
    model = replace(FRAUD, features=(Feature(name, "numeric"), Feature(name + "2", "categorical")), slices=())
    assert seen(model, record({name: 1, name + "2": "t"})) == [{name: 1.0, name + "2": "t"}]


def test_rows_that_are_turned_away_leave_no_values() -> None:
    good = [record({"amount": n, "country": f"c{n}", "place": [n], "note": "x" * n}) for n in range(1, 4)]
    bad = record({"amount": 99, "country": "bad", "place": [1, 2, 3], "note": "y"}) | {"timestamp": "never"}
    decoder = PredictionDecoder(PREDICTIONS, settings_for(WATCHED))
    decoded = decoder.decode(lines(bad, *good, bad), "/logs/a")
    (batch,) = decoded.batches
    assert [rejection.reason for rejection in decoded.rejections] == ["invalid_timestamp"] * 2
    assert [
        (row["feature amount"], row["feature country"], row["feature place"], row["feature note"])
        for row in feature_rows(batch, WATCHED)
    ] == [(n, f"c{n}", [n], n) for n in (1, 2, 3)]
    assert batch.feature_keys == {"amount", "country", "place", "note"}


def test_text_that_is_no_utf_8_costs_its_line_as_in_any_other_field() -> None:
    for kind in ("numeric", "categorical", "text_length", "boolean"):
        decoder = PredictionDecoder(PREDICTIONS, settings_for(watching(x=kind)))
        bad = written('"?"').replace(b"?", b"\xff")
        for other in (bad, bad.replace(b'"prediction":"1"', b'"prediction":"1","score":"0.5"')):
            decoded = decoder.decode(lines(written("1"), other, written("1")), "/logs/a")
            assert [rejection.reason for rejection in decoded.rejections] == ["invalid_utf8"]


# Embeddings


def vectors(*values: Any) -> Any:
    (batch,) = decode(lines(*[record({"x": value}) for value in values]), watching(x="embedding"))
    assert batch.features is not None
    return batch.features.vectors[0]


MIXED: tuple[Any, ...] = (None, [], [1, 2, 3], [1, 2], [4, 5, 6], [1, math.inf, 2], [7, 8], None)


def test_vectors_of_another_length_than_what_is_asked_for_are_invalid() -> None:
    invalid, nothing = [INVALID_NUMBER, math.nan, math.nan], [math.nan] * 3
    infinite = [math.inf, math.nan, math.nan]
    np.testing.assert_array_equal(
        vectors(*MIXED).of_length(3),
        [nothing, invalid, [1, 2, 3], invalid, [4, 5, 6], infinite, invalid, nothing],
    )
    found = vectors(*MIXED).of_length(2)
    np.testing.assert_array_equal(found[[3, 6]], [[1, 2], [7, 8]])
    assert (found[[1, 2, 4], 0] == INVALID_NUMBER).all()


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4, 5, 6, 7], [6, 2, 2, 0, 3], [4, 2], [3], []])
def test_some_of_the_vectors_are_what_they_were(rows: list[int]) -> None:
    for values in (MIXED, [[n, n + 1, n + 2] for n in range(8)]):
        found = vectors(*values)
        for dimension in (2, 3, 4):
            taken = found.take(np.array(rows, dtype=np.int64)).of_length(dimension)
            np.testing.assert_array_equal(taken, found.of_length(dimension)[rows])
            np.testing.assert_array_equal(found.take(slice(1, 5)).of_length(dimension), found.of_length(dimension)[1:5])


def test_a_vector_has_at_most_4096_numbers() -> None:
    np.testing.assert_array_equal(vectors([0.5] * 4097).of_length(1), [[INVALID_NUMBER]])
    np.testing.assert_array_equal(vectors([0.5] * 4096, [1] * 4096).of_length(4096), [[0.5] * 4096, [1] * 4096])


def test_a_block_without_vectors_has_none_and_one_with_only_bad_ones_says_so() -> None:
    assert vectors(None, None) is None
    np.testing.assert_array_equal(vectors(None, "x").of_length(1), [[math.nan], [INVALID_NUMBER]])


# Which features a record had


def keys(*records: Any, source: Source = PREDICTIONS, model: Model = FRAUD) -> frozenset[str]:
    decoded = PredictionDecoder(source, settings_for(model)).decode(lines(*records), "/logs/a")
    (batch,) = decoded.batches
    return batch.feature_keys


def test_the_keys_are_those_of_one_accepted_record_configured_or_not() -> None:
    first = record({"amount": 1, "new": None, "nested": {"a": 1}})
    assert keys(record({"b": 1}) | {"timestamp": None}, first, record({"c": 1})) == {"amount", "new", "nested"}
    assert keys(b"\xef\xbb\xbf" + json.dumps(first).encode() + b" \r") == {"amount", "new", "nested"}
    assert keys(record({"amount": math.nan, "é": 10**400})) == {"amount", "é"}
    assert keys(json.dumps(record({"k": 1}, unused="?")).encode().replace(b"?", b"\xff")) == {"k"}


@pytest.mark.parametrize("features", [None, {}, 3, [1], "text"])
def test_a_record_without_features_has_no_keys(features: Any) -> None:
    assert keys(record(features)) == frozenset()


def test_keys_go_by_the_names_that_fields_give() -> None:
    source = replace(PREDICTIONS, fields=(("features", "in.raw"), ("features.b", "bee"), ("features.c", "in.raw.see")))
    assert keys({"timestamp": T, "prediction": 1, "bee": 0, "in": {"raw": {"a": 1, "see": 2}}}, source=source) == {
        "a",
        "b",
        "c",
    }


def test_neither_many_keys_nor_long_ones_are_kept() -> None:
    found = keys(record({f"k{n}": n for n in range(1000)}))
    assert found == {f"k{n}" for n in range(256)}
    assert keys(record({"x" * 1000: 1})) == {"x" * 255 + "…"}


def test_each_model_of_a_block_has_the_keys_of_its_own_record() -> None:
    records = [record({name: 1}, model=name) for name in ("fraud", "delay", "animal")]
    assert {b.model: b.feature_keys for b in decode(lines(*records), FRAUD, DELAY, ANIMAL)} == {
        name: {name} for name in ("fraud", "delay", "animal")
    }


def test_taking_rows_takes_their_features() -> None:
    (batch,) = decode(lines(*[record({"amount": n, "country": f"c{n}", "place": [n, n]}) for n in range(5)]), WATCHED)
    assert batch.features is not None
    taken = batch.features.take(np.array([4, 0, 4]))
    assert taken.numbers.flags.c_contiguous
    assert taken.numbers[0].tolist() == [4, 0, 4]
    assert [taken.codes[0].values[code] for code in taken.codes[0].codes] == ["c4", "c0", "c4"]
    assert taken.vectors[0] is not None
    assert taken.vectors[0].of_length(2).tolist() == [[4, 4], [0, 0], [4, 4]]
