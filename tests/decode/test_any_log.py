"""Whatever a log holds and however it is cut into blocks, each line has the outcome of the plain recount."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode import recount
from tests.decode.logs import (
    ANIMAL,
    DELAY,
    FEEDBACK,
    FRAUD,
    PREDICTIONS,
    Row,
    feature_rows,
    feedback_rows,
    prediction_rows,
    settings_for,
)
from tidegauge.config.settings import Feature, Model
from tidegauge.decode import FeedbackDecoder, PredictionDecoder

MODELS = (FRAUD, DELAY, ANIMAL)

drifted: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.just(10**400),
    st.floats(width=32),
    st.sampled_from(
        ["", "0", "1", "1.0", " 0.5 ", "1_0", "true", "nan", "Infinity", "cat", "dog", "a\nb", "é", "x" * 300]
    ),
    st.just([1, {"a": None}]),
    st.just({"cat": 0.4, "dog": "0.4", "emu": None}),
    st.just({}),
)


def mostly(*usual: Any) -> st.SearchStrategy[Any]:
    """A usual value, now and then one of a type that has drifted."""
    return st.integers(0, 19).flatmap(lambda n: drifted if n == 19 else st.sampled_from(usual))


times = mostly(
    "2024-02-29T12:00:00Z",
    "2024-02-29T12:00:00.001Z",
    "2024-03-01T00:00:00.002Z",
    "2024-02-29T12:00:00.123456+05:30",
    "2024-02-29 23:59:59.9",
    1_700_000_000,
    1_700_000_000_123,
    "1700000000123456",
    "2023-02-29T12:00:00Z",
    "1989-12-31T23:59:59Z",
    None,
)
prediction_records = st.fixed_dictionaries(
    {
        "model": mostly(*["fraud", "delay", "animal"] * 6, "other"),
        "prediction_id": mostly("a", "b", 7, "long id " * 9),
        "timestamp": times,
        "prediction": mostly("1", 0, 2.5, None),
    },
    optional={
        "version": mostly("v1", "v2", 3),
        "score": mostly(0.25, 0.5, 1),
        "scores": mostly({"cat": 0.7, "dog": 0.3}),
        "features": mostly({"amount": 3, "country": "SE"}, {"amount": "3", "country": True}, {"country": ["SE"]}),
        "slices": mostly({"plan": "pro"}, {"plan": None, "country": "NO"}),
        "latency_ms": mostly(12.5),
        "error": mostly(None, "timeout", False),
        "weight": mostly(1, 2.5),
        "count": mostly(1, 10),
        "role": mostly("primary", "shadow"),
        "other": drifted,
    },
)
feedback_records = st.fixed_dictionaries(
    {
        "model": mostly(*[None, "fraud", "delay"] * 6, "other"),
        "prediction_id": mostly("a", "b", 7),
        "timestamp": times,
        "channel": mostly(None, "outcome", "outcome", "audit", "arrival"),
        "label": mostly("1", 0, 2.5, None),
    },
    optional={
        "signal": mostly(None, "click"),
        "propensity": mostly(0.5, 1),
        "retract": mostly(None, False, True),
    },
)
raw_lines = st.sampled_from(
    [
        b"",
        b" \t",
        b"\r",
        b"{",
        b"}",
        b"{}{}",
        b'{"a":1',
        b'"b":2}',
        b"[1]",
        b"null",
        b"nonsense",
        b'{"a":"',
        b'"}',
        b"{}x",
    ]
)
# A real log has only some of the fields and runs of good lines, so that the quick way is taken as well.
as_line = st.sampled_from([b"%s"] * 12 + [b"%s\r", b" %s", b"%s "])


def a_log(records: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[bytes]]:
    def written(record: dict[str, Any]) -> st.SearchStrategy[bytes]:
        return as_line.map(lambda form: form % json.dumps(record).encode())

    line = st.integers(0, 9).flatmap(lambda n: raw_lines if n == 9 else records.flatmap(written))
    runs = st.tuples(line, st.sampled_from([1, 1, 2, 20])).map(lambda run: [run[0]] * run[1])
    return st.lists(runs, max_size=12).map(lambda some: [line for run in some for line in run])


cuts_of_a_log = st.lists(st.integers(0, 60), max_size=4)
model_sets = st.sampled_from([MODELS, (FRAUD,), (DELAY,), (ANIMAL,)])


def test_predictions_are_what_a_plain_recount_of_each_line_says() -> None:
    seen: set[str] = set()

    @settings(max_examples=300)
    @given(a_log(prediction_records), cuts_of_a_log, model_sets)
    def check(log: list[bytes], cuts: list[int], models: tuple[Model, ...]) -> None:
        seen.update(o if isinstance(o, str) else "row" for o in check_predictions(log, cuts, models))

    check()
    assert seen >= {
        "row",
        "invalid_json",
        "unknown_model",
        "missing_timestamp",
        "invalid_timestamp",
        "missing_prediction",
    }


# The quick way for drifted logs takes over where drifted lines stand close together.
scores = st.sampled_from(
    ["0.25", " 0.5 ", "nan", "", [0.5], {"a": {"b": 1}}, True, 10**400, -(10**30), "x", 1, 0.75, None]
)


@settings(max_examples=150)
@given(st.lists(st.tuples(prediction_records, scores), min_size=20, max_size=60), cuts_of_a_log, model_sets)
def test_a_log_whose_types_have_drifted_on_every_line_is_what_its_lines_are(
    records: list[tuple[dict[str, Any], Any]], cuts: list[int], models: tuple[Model, ...]
) -> None:
    log = [
        json.dumps(record | {"score": score, "latency_ms": f"{n}"}).encode()
        for n, (record, score) in enumerate(records)
    ]
    check_predictions(log, cuts, models)


# What two models watch under one name may be of two kinds, and a slice as well.
SEEN_BY_FRAUD = replace(
    FRAUD,
    features=tuple(
        Feature(name, kind)
        for name, kind in {
            "country": "categorical",
            "amount": "numeric",
            "note": "text_length",
            "member": "boolean",
            "place": "embedding",
            "age": "numeric",
        }.items()
    ),
    slices=("country", "plan", "amount"),
)
SEEN_BY_DELAY = replace(
    DELAY, features=(Feature("amount", "categorical"), Feature("note", "boolean"), Feature("place", "numeric"))
)
watching = st.sampled_from(
    [(SEEN_BY_FRAUD, SEEN_BY_DELAY, ANIMAL), (SEEN_BY_FRAUD,), (SEEN_BY_DELAY,), (replace(FRAUD, slices=()),)]
)
odd = st.one_of(
    drifted,
    st.sampled_from(["x", "SE", "12", [], [True], [1, 2], [3], [1, None, 2], [1, float("nan"), 2], True, 1e300, -0.0]),
)
watched_values: dict[str, st.SearchStrategy[Any]] = {
    "country": mostly("SE", "NO", "x" * 300, 7),
    "amount": mostly(3, 2.5, -1e9, 10**30),
    "note": mostly("", "é", "fine\nthen", "long " * 80),
    "member": mostly(True, False, "true", 0),
    "place": mostly([0.5, 1, -2], [1e5, 0, 0]),
    "age": mostly(40, 41.0),
}
features_of_a_record = st.one_of(
    st.fixed_dictionaries(watched_values),
    st.fixed_dictionaries(watched_values),
    st.fixed_dictionaries({}, optional=dict.fromkeys(watched_values, odd)),
    drifted,
)
watched_records = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["fraud", "fraud", "fraud", "delay", "animal"]),
        "timestamp": st.just(1_700_000_000),
        "prediction": mostly(1),
        "features": features_of_a_record,
    },
    optional={"slices": mostly({"amount": 9}), "latency_ms": mostly(3)},
)


@settings(max_examples=120)
@given(a_log(watched_records), cuts_of_a_log, watching)
def test_features_are_what_a_plain_recount_of_each_line_says(
    log: list[bytes], cuts: list[int], models: tuple[Model, ...]
) -> None:
    check_predictions(log, cuts, models)


@settings(max_examples=60)
@given(st.lists(st.tuples(watched_records, scores), min_size=20, max_size=60), cuts_of_a_log, watching)
def test_features_of_a_log_whose_types_have_drifted_on_every_line(
    records: list[tuple[dict[str, Any], Any]], cuts: list[int], models: tuple[Model, ...]
) -> None:
    log = [
        json.dumps(record | {"score": score, "latency_ms": f"{n}"}).encode()
        for n, (record, score) in enumerate(records)
    ]
    check_predictions(log, cuts, models)


def test_feedback_is_what_a_plain_recount_of_each_line_says() -> None:
    seen: set[str] = set()

    @settings(max_examples=300)
    @given(a_log(feedback_records), cuts_of_a_log, model_sets)
    def check(log: list[bytes], cuts: list[int], models: tuple[Model, ...]) -> None:
        seen.update(o if isinstance(o, str) else "row" for o in check_feedback(log, cuts, models))

    check()
    assert seen >= {"row", "unknown_signal", "invalid_json", "unknown_model", "unknown_channel", "missing_label"}


def check_predictions(log: list[bytes], cuts: list[int], models: tuple[Model, ...]) -> list[recount.Outcome]:
    tasks = {model.name: model.task for model in models}
    features = {model.name: {feature.name: feature.kind for feature in model.features} for model in models}
    named = {model.name: model for model in models}
    slices = next((model.slices for model in models if model.name == "fraud"), ())
    decoder = PredictionDecoder(PREDICTIONS, settings_for(*models))
    found: dict[int, Row | str] = {}
    for first, block in blocks(log, cuts):
        decoded = decoder.decode(block, "/logs/a")
        rows = [
            row | seen
            for batch in decoded.batches
            for row, seen in zip(prediction_rows(batch), feature_rows(batch, named[batch.model]), strict=True)
        ]
        place(found, first, block, rows, [(r.offset, r.reason) for r in decoded.rejections])
    expected = {n: recount.prediction(line, tasks, slices, features) for n, line in enumerate(log)}
    assert without(found, "offset", "unit") == {n: outcome for n, outcome in expected.items() if outcome is not None}
    return list(expected.values())


def check_feedback(log: list[bytes], cuts: list[int], models: tuple[Model, ...]) -> list[recount.Outcome]:
    tasks = {model.name: model.task for model in models}
    channels = {model.name: {channel.name for channel in model.channels} for model in models}
    decoder = FeedbackDecoder(FEEDBACK, settings_for(*models))
    found: dict[int, Row | str] = {}
    for first, block in blocks(log, cuts):
        decoded = decoder.decode(block, "/logs/a")
        rows = [row for batch in decoded.batches for row in feedback_rows(batch)]
        place(found, first, block, rows, [(r.offset, r.reason) for r in decoded.rejections])
    expected = {n: recount.feedback(line, tasks, channels) for n, line in enumerate(log)}
    assert without(found, "offset") == {n: o for n, o in expected.items() if o is not None}
    return list(expected.values())


def blocks(log: list[bytes], cuts: list[int]) -> list[tuple[int, bytes]]:
    """The log in blocks of whole lines, each with the number of its first line."""
    edges = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    return [(a, b"".join(line + b"\n" for line in log[a:b])) for a, b in itertools.pairwise(edges)]


def place(
    found: dict[int, Row | str], first: int, block: bytes, rows: list[Row], rejections: list[tuple[int, str]]
) -> None:
    """Files rows and rejections under the numbers of their lines; each line may have one outcome."""
    outcomes: list[tuple[int, Row | str]] = [(row["offset"], row) for row in rows]
    outcomes += rejections
    for offset, outcome in outcomes:
        number = first + block[:offset].count(b"\n")
        assert offset == 0 or block[offset - 1 : offset] == b"\n"
        assert number not in found
        found[number] = outcome


def without(found: dict[int, Row | str], *names: str) -> dict[int, Row | str]:
    return {
        number: outcome if isinstance(outcome, str) else {k: v for k, v in outcome.items() if k not in names}
        for number, outcome in found.items()
    }
