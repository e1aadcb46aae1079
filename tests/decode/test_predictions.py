"""What each field of a prediction becomes, and what it becomes when its type has drifted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.decode.logs import ANIMAL, DELAY, FRAUD, PREDICTIONS, lines, predict, prediction_rows, reasons, settings_for
from tidegauge.config.settings import Feature
from tidegauge.decode import PredictionDecoder
from tidegauge.decode.identifiers import hash_ids

T = "2024-05-01T10:00:00Z"
T_MS = 1_714_557_600_000
HUGE = b'{"timestamp":"%s","prediction":1,"%%s":1%s}' % (T.encode(), b"0" * 400)


def record(**fields: Any) -> dict[str, Any]:
    return {"timestamp": T, "prediction": "1", **fields}


def test_a_full_record() -> None:
    (row,) = predict(
        record(
            prediction_id="a",
            version="v2",
            score=0.75,
            latency_ms=12,
            role="shadow",
            weight=2.5,
            count=3,
            features={"amount": 5, "country": "SE"},
            slices={"plan": "pro"},
        )
    )
    assert row == {
        "model": "fraud",
        "key": int(hash_ids(["a"])[0]),
        "time": T_MS,
        "version": "v2",
        "label": "1",
        "value": None,
        "score": 0.75,
        "scores": None,
        "latency_ms": 12.0,
        "error": False,
        "shadow": True,
        "weight": 2.5,
        "count": 3,
        "unit": None,
        "offset": 0,
        "slice country": "SE",
        "slice plan": "pro",
    }


def test_the_smallest_record() -> None:
    (row,) = predict({"timestamp": 1_714_557_600, "score": 0.5})
    assert (row["time"], row["version"], row["label"], row["weight"], row["count"]) == (T_MS, "unknown", "1", 1.0, 1)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("1", "1"),
        (1, "1"),
        (1.0, "1"),
        (True, "true"),
        ("true", "true"),
        (False, "false"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
        (2.0**53, "9007199254740992"),
        (1e22, "1e+22"),
        (12345678901234567890123, "12345678901234567890123"),
        ("1.0", "1.0"),
        ("Ünïcode", "Ünïcode"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 255 + "…"),
        (10**400, "1" + "0" * 254 + "…"),
    ],
)
def test_labels_are_compared_as_canonical_text(given: Any, text: str) -> None:
    assert [row["label"] for row in predict(*[record(prediction=given)] * 20)] == [text] * 20
    assert [row["label"] for row in predict(record(prediction="z"), record(prediction=given))] == ["z", text]


def test_labels_that_python_takes_for_one_key_are_kept_apart() -> None:
    given = [1, True, 1.0, "1", False, 0, 0.0, "true"]
    assert [row["label"] for row in predict(*(record(prediction=p) for p in given))] == [
        "1",
        "true",
        "1",
        "1",
        "false",
        "0",
        "0",
        "true",
    ]


@pytest.mark.parametrize("given", [[1, 2], {"a": 1}, [], float("nan"), float("inf")], ids=repr)
def test_an_answer_that_is_no_label(given: Any) -> None:
    assert reasons(record(prediction=given)) == ["invalid_prediction"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"timestamp":"%s","prediction":"1","FIELD":NaN}',
        b'{"timestamp":"%s","prediction":"1","FIELD":-Infinity}',
        b'{"timestamp":"%s","prediction":"1","FIELD":1e400}',
        b'{"timestamp":"%s","prediction":"1","FIELD":1' + b"0" * 400 + b"}",
        b'{"timestamp":"%s","prediction":"1","FIELD":1' + b"0" * 5000 + b"}",
        b'{"timestamp":"%s","prediction":"1","FIELD":"high"}',
        b'{"timestamp":"%s","prediction":"1","FIELD":true}',
        b'{"timestamp":"%s","prediction":"1","FIELD":[0.5]}',
        b'{"timestamp":"%s","prediction":"1","FIELD":{"p":0.5}}',
        b'{"timestamp":"%s","prediction":"1","FIELD":null}',
    ],
    ids=lambda line: line[41:60].decode(),
)
def test_a_score_or_latency_that_is_no_finite_number_is_absent(line: bytes) -> None:
    for field in (b"score", b"latency_ms"):
        (row,) = predict(line.replace(b"FIELD", field) % T.encode())
        assert row[field.decode()] is None


def test_numbers_written_as_text_are_numbers() -> None:
    (row,) = predict(record(score="0.25", latency_ms=" 1e1 ", weight="2", count="3"))
    assert (row["score"], row["latency_ms"], row["weight"], row["count"]) == (0.25, 10.0, 2.0, 3)


@pytest.mark.parametrize("weight", [0, -1, 1e6 + 1, "many", True, [1], float("nan"), float("inf"), 10**400], ids=repr)
def test_a_weight_or_count_that_would_spoil_sums_costs_the_record(weight: Any) -> None:
    assert reasons(record(weight=weight)) == ["invalid_weight"]
    assert reasons(record(count=weight if weight != 1e6 + 1 else 1e9 + 1)) == ["invalid_count"]


def test_a_count_is_whole() -> None:
    assert reasons(record(count=1.5)) == ["invalid_count"]
    assert [row["count"] for row in predict(record(count=1e9), record(count=2.0), record())] == [10**9, 2, 1]


def test_a_binary_model_answers_by_its_threshold() -> None:
    model = replace(FRAUD, threshold=0.3)
    rows = predict(*({"timestamp": T, "score": s} for s in (0.2, 0.3, 0.9)), models=(model,))
    assert [row["label"] for row in rows] == ["0", "1", "1"]
    rows = predict({"timestamp": T, "score": 0.2}, models=(replace(model, positive_label="fraud"),))
    assert [row["label"] for row in rows] == ["negative"]
    assert predict({"timestamp": T, "score": 0.2, "prediction": "1"}, models=(model,))[0]["label"] == "1"


def test_a_multiclass_model_answers_by_its_highest_probability() -> None:
    def answer(scores: Any) -> Any:
        return predict({"timestamp": T, "scores": scores}, models=(ANIMAL,))[0]["label"]

    assert answer({"cat": 0.2, "dog": 0.7}) == "dog"
    assert answer({"dog": 0.5, "cat": 0.5}) == "cat"
    assert answer({"dog": None, "cat": "0.5", "emu": [1]}) == "cat"
    assert reasons({"timestamp": T, "scores": {}}, models=(ANIMAL,)) == ["missing_prediction"]
    assert reasons({"timestamp": T, "scores": [0.5], "score": 0.5}, models=(ANIMAL,)) == ["missing_prediction"]


def test_probabilities_are_kept_for_multiclass_models_only() -> None:
    fields = {"model": "animal", "scores": {"cat": 1, "x" * 300: 0}}
    rows = predict(record(**fields), record(model="animal"), models=(ANIMAL, FRAUD))
    assert [row["scores"] for row in rows] == [{"cat": 1.0, "x" * 255 + "…": 0.0}, None]
    assert predict(record(**{**fields, "model": "fraud"}), models=(ANIMAL, FRAUD))[0]["scores"] is None


@pytest.mark.parametrize(("given", "value"), [(2, 2.0), (-1.5, -1.5), ("3.25", 3.25), (1e300, 1e300)])
def test_a_regression_answers_with_a_number(given: Any, value: float) -> None:
    (row,) = predict(record(prediction=given), models=(DELAY,))
    assert (row["value"], row["label"]) == (value, None)


@pytest.mark.parametrize("given", ["soon", True, [1], float("nan"), 10**400, "1e999"], ids=repr)
def test_a_regression_answer_that_is_no_number(given: Any) -> None:
    assert reasons(record(prediction=given), models=(DELAY,)) == ["invalid_prediction"]
    assert reasons({"timestamp": T, "score": 0.5}, models=(DELAY,)) == ["missing_prediction"]


def test_a_record_with_an_error_has_no_answer() -> None:
    rows = predict(record(error="timeout"), record(error={"code": 5}, prediction=[1]), {"timestamp": T, "error": 1})
    assert [(row["error"], row["label"]) for row in rows] == [(True, None)] * 3
    rows = predict(*(record(error=e) for e in (None, "", False, 0, "false")))
    assert [(row["error"], row["label"]) for row in rows] == [(False, "1")] * 5
    assert predict(record(error="x", prediction=7), models=(DELAY,))[0]["value"] is None


def test_a_slice_comes_from_slices_or_else_from_the_feature_of_its_name() -> None:
    rows = predict(
        record(slices={"country": "SE"}, features={"country": "NO"}),
        record(slices={"country": None}, features={"country": "NO"}),
        record(features={"country": 1.0, "plan": True}),
        record(slices={"country": ["SE"]}, features={"country": float("nan")}),
        record(slices="SE", features=[1]),
        record(slices={"country": ""}),
        record(),
    )
    assert [row["slice country"] for row in rows] == ["SE", "NO", "1", None, None, None, None]
    assert [row["slice plan"] for row in rows] == [None, None, "true", None, None, None, None]


def test_a_feature_of_a_wrong_type_costs_nothing() -> None:
    odd: list[Any] = ["12", "twelve", None, True, [1, [2]], {"a": {"b": None}}, 10**400]
    assert len(predict(*(record(features={"amount": o, "country": o}) for o in odd))) == len(odd)


def test_anything_but_shadow_is_primary() -> None:
    rows = predict(*(record(role=role) for role in ("shadow", "primary", "Shadow", None, 1, ["shadow"])))
    assert [row["shadow"] for row in rows] == [True, False, False, False, False, False]


def test_the_unit_is_hashed() -> None:
    rows = predict(record(unit_id="u1"), record(unit_id=7), record(), record(unit_id=[1]), record(unit_id=True))
    assert [row["unit"] for row in rows] == [*hash_ids(["u1", 7]).tolist(), 0, 0, 0]
    assert predict(record(), record(unit_id=None))[0]["unit"] is None


def test_the_unit_may_be_a_feature_that_is_watched_as_a_number() -> None:
    source = replace(PREDICTIONS, fields=(("unit_id", "features.amount"),))
    amounts = [7, 7.0, "7", 7.5, None]
    rows = predict(*(record(features={"amount": amount}) for amount in amounts), source=source)
    assert [row["unit"] for row in rows] == [*hash_ids([7, 7, 7]).tolist(), 0, 0]


@pytest.mark.parametrize("identifier", [True, 1.5, ["a"], {"a": 1}, float("nan")], ids=repr)
def test_an_id_that_can_be_none(identifier: Any) -> None:
    assert reasons(record(prediction_id=identifier)) == ["invalid_prediction_id"]


@pytest.mark.parametrize("timestamp", [True, [T], {"at": T}, "yesterday", 5, float("nan")], ids=repr)
def test_a_timestamp_that_is_none(timestamp: Any) -> None:
    assert reasons(record(timestamp=timestamp), record(timestamp=None)) == ["invalid_timestamp", "missing_timestamp"]


def test_naive_timestamps_are_in_the_zone_of_the_source() -> None:
    source = replace(PREDICTIONS, timezone="Europe/Berlin")
    assert predict(record(timestamp="2024-05-01T12:00:00"), source=source)[0]["time"] == T_MS


def test_where_model_and_version_come_from() -> None:
    source = replace(PREDICTIONS, path_pattern=re.compile(r"/(?P<model>\w+)-(?P<version>\w+)\.jsonl$"))
    settings = settings_for(FRAUD, replace(FRAUD, name="spam"))

    def names(source: Any, path: str, **fields: Any) -> Any:
        decoded = PredictionDecoder(source, settings).decode(lines(record(**fields)), path)
        rows = [row for batch in decoded.batches for row in prediction_rows(batch)]
        return [(row["model"], row["version"]) for row in rows] or decoded.rejections[0].reason

    assert names(source, "/l/spam-v7.jsonl", model="fraud", version="v1") == [("fraud", "v1")]
    assert names(source, "/l/spam-v7.jsonl") == [("spam", "v7")]
    assert names(replace(source, model="fraud", version="v0"), "/l/spam-v7.jsonl") == [("fraud", "v0")]
    assert names(source, "/l/other.jsonl") == "missing_model"
    assert names(source, "/l/eggs-v7.jsonl") == "unknown_model"
    assert names(source, "/l/spam-v7.jsonl", model={"name": "fraud"}, version=[]) == [("spam", "v7")]
    assert names(source, "/l/spam-v7.jsonl", version=2) == [("spam", "2")]


def test_the_only_model_needs_no_name_but_an_open_set_does() -> None:
    assert predict(record())[0]["model"] == "fraud"
    settings = settings_for(FRAUD, default=replace(FRAUD, name="*"))
    decoded = PredictionDecoder(PREDICTIONS, settings).decode(
        lines(record(), record(model="new"), record(model=5)), "/a"
    )
    assert [batch.model for batch in decoded.batches] == ["new", "5"]
    assert [rejection.reason for rejection in decoded.rejections] == ["missing_model"]


def test_models_that_python_takes_for_one_are_kept_apart() -> None:
    models = (replace(FRAUD, name="1"), replace(FRAUD, name="true"))
    rows = predict(*(record(model=m, version=n) for n, m in enumerate((1, True, 1.0, "1", True))), models=models)
    expected = [("1", "0"), ("1", "2"), ("1", "3"), ("true", "1"), ("true", "4")]
    assert sorted((row["model"], row["version"]) for row in rows) == expected


def test_models_mixed_in_one_log_are_separated_in_order() -> None:
    names = ["fraud", "delay", "animal", "nobody"]
    log = [record(prediction_id=n, model=names[n * n % 7 % 4], prediction=n) for n in range(1, 3000)]
    decoded = PredictionDecoder(PREDICTIONS, settings_for(FRAUD, DELAY, ANIMAL)).decode(lines(*log), "/a")
    found = {batch.model: [row["key"] for row in prediction_rows(batch)] for batch in decoded.batches}
    assert found == {
        name: hash_ids([r["prediction_id"] for r in log if r["model"] == name]).tolist() for name in names[:3]
    }
    assert len(decoded.rejections) == sum(r["model"] == "nobody" for r in log)


def test_fields_may_lie_elsewhere() -> None:
    source = replace(
        PREDICTIONS,
        fields=(
            ("prediction_id", "meta.request.id"),
            ("timestamp", "meta.at"),
            ("version", "meta.model version"),
            ("score", "output.p"),
            ("features", "input.data"),
            ("slices.plan", "user.plan"),
        ),
    )
    elsewhere = {
        "meta": {"request": {"id": "a"}, "at": T, "model version": "v9"},
        "output": {"p": 0.9},
        "input": {"data": {"country": "SE", "amount": "x"}},
        "user": {"plan": "pro"},
        "timestamp": "not here",
        "score": "not here",
    }
    (row,) = predict(elsewhere, source=source)
    assert row["key"] == int(hash_ids(["a"])[0])
    assert (row["time"], row["version"], row["score"], row["label"]) == (T_MS, "v9", 0.9, "1")
    assert (row["slice country"], row["slice plan"]) == ("SE", "pro")
    (row, other) = predict({**elsewhere, "output": None, "prediction": 1}, elsewhere, source=source)
    assert (row["score"], other["score"]) == (None, 0.9)
    assert reasons({**elsewhere, "meta": [T]}, {**elsewhere, "meta": None}, source=source) == ["missing_timestamp"] * 2


def test_two_fields_may_share_a_place_but_not_contain_each_other() -> None:
    source = replace(PREDICTIONS, fields=(("version", "tag"), ("prediction_id", "tag")))
    (row,) = predict(record(tag="a"), source=source)
    assert (row["version"], row["key"]) == ("a", int(hash_ids(["a"])[0]))
    for fields in ((("prediction", "out"), ("score", "out.p")), (("score", "out.p"), ("prediction", "out"))):
        with pytest.raises(ValueError, match="both a value and an object"):
            PredictionDecoder(replace(PREDICTIONS, fields=fields), settings_for(FRAUD))
    with pytest.raises(ValueError, match="used both as"):
        PredictionDecoder(replace(PREDICTIONS, fields=(("score", "version"),)), settings_for(FRAUD))


def test_a_feature_whose_models_disagree_about_its_type_is_read_as_either() -> None:
    other = replace(FRAUD, name="spam", features=(Feature("country", "numeric"),))
    rows = predict(
        record(model="spam", features={"country": 3}),
        record(model="fraud", features={"country": "SE"}),
        models=(FRAUD, other),
    )
    assert [row["slice country"] for row in rows] == ["3", "SE"]
