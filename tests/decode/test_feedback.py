"""What each field of a feedback record becomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.decode.logs import DELAY, FEEDBACK, FRAUD, feed, feedback_rows, lines, reasons, settings_for
from tidegauge.config.settings import Signal
from tidegauge.decode import FeedbackDecoder
from tidegauge.decode.identifiers import hash_ids

T = "2024-05-01T10:00:00Z"
SOURCE = replace(FEEDBACK, channel="outcome")


def record(**fields: Any) -> dict[str, Any]:
    return {"prediction_id": "a", "timestamp": T, "label": "1", **fields}


def test_a_full_record() -> None:
    (row,) = feed(record(channel="audit", propensity=0.1, model="fraud"))
    assert row == {
        "model": "fraud",
        "key": int(hash_ids(["a"])[0]),
        "time": 1_714_557_600_000,
        "channel": "audit",
        "label": "1",
        "value": 1.0,
        "retract": False,
        "propensity": 0.1,
        "offset": 0,
    }


def test_the_channel_of_the_record_wins_over_that_of_the_source() -> None:
    assert [row["channel"] for row in feed(record(channel="audit"), record(), source=SOURCE)] == ["audit", "outcome"]
    assert reasons(record(channel="gossip"), record(), source=FEEDBACK) == ["unknown_channel", "missing_channel"]


def test_feedback_without_a_model_may_be_for_any_of_them() -> None:
    settings = settings_for(FRAUD, DELAY)
    log = lines(record(channel="arrival"), record(channel="outcome", label=2.5), record(model="delay", label=2.5))
    decoded = FeedbackDecoder(FEEDBACK, settings).decode(log, "/a")
    rows = {batch.model: feedback_rows(batch) for batch in decoded.batches}
    assert [(row["channel"], row["label"], row["value"]) for row in rows[None]] == [
        ("arrival", "1", 1.0),
        ("outcome", "2.5", 2.5),
    ]
    assert [(row["channel"], row["label"], row["value"]) for row in rows["delay"]] == [("arrival", None, 2.5)]
    decoded = FeedbackDecoder(FEEDBACK, settings).decode(lines(record(channel="audit", model="delay")), "/a")
    assert [rejection.reason for rejection in decoded.rejections] == ["unknown_channel"]


@pytest.mark.parametrize(
    ("given", "label", "value"),
    [
        ("1", "1", 1.0),
        (0, "0", 0.0),
        (True, "true", None),
        ("cat", "cat", None),
        (-2.5, "-2.5", -2.5),
        ("7.5", "7.5", 7.5),
    ],
)
def test_a_label_is_text_and_where_it_can_be_a_number(given: Any, label: str, value: float | None) -> None:
    (row,) = feed(record(label=given), source=SOURCE)
    assert (row["label"], row["value"]) == (label, value)


def test_a_retraction_needs_no_label_and_has_none() -> None:
    rows = feed(record(label=None, retract=True), record(retract="true"), record(retract=1, label=[1]), source=SOURCE)
    assert [(row["retract"], row["label"], row["value"]) for row in rows] == [(True, None, None)] * 3
    rows = feed(*(record(retract=r) for r in (None, False, 0, "", "false", "0")), source=SOURCE)
    assert [row["retract"] for row in rows] == [False] * 6


@pytest.mark.parametrize("label", [[1], {"a": 1}, float("nan")], ids=repr)
def test_a_label_that_is_none(label: Any) -> None:
    assert reasons(record(label=label), source=SOURCE) == ["invalid_label"]
    assert reasons(record(label=label), source=FEEDBACK, models=(DELAY,)) == ["invalid_label"]
    assert reasons(record(label="soon"), source=FEEDBACK, models=(DELAY,)) == ["invalid_label"]
    assert reasons(record(label=None), record(label=""), source=SOURCE) == ["missing_label"] * 2


@pytest.mark.parametrize("propensity", [0, -0.5, 1.01, "some", True, [1], float("nan"), 10**400], ids=repr)
def test_a_propensity_that_is_none(propensity: Any) -> None:
    assert reasons(record(propensity=propensity), source=SOURCE) == ["invalid_propensity"]
    assert [row["propensity"] for row in feed(record(propensity=1), record(), source=SOURCE)] == [1.0, None]


def test_feedback_needs_an_id_and_a_time() -> None:
    log = [
        record(prediction_id=None),
        record(prediction_id=""),
        record(prediction_id=True),
        record(timestamp=None),
        record(timestamp="?"),
    ]
    assert reasons(*log, source=SOURCE) == [
        "missing_prediction_id",
        "missing_prediction_id",
        "invalid_prediction_id",
        "missing_timestamp",
        "invalid_timestamp",
    ]
    assert reasons(record(model="nobody"), source=SOURCE) == ["unknown_model"]


SIGNALS = replace(FRAUD, signals=(Signal("click", "boolean"), Signal("dwell", "numeric")))


def test_a_signal_is_a_row_under_its_own_key() -> None:
    log = lines(
        record(label=None, signal="click", value=True, channel="clicks"),
        record(label=None, signal="click"),
        record(label=None, signal="click", value="false"),
        record(label=None, signal="dwell", value="3.5"),
        record(label=None, signal="click", retract=True),
        record(signal="click"),
    )
    (batch,) = FeedbackDecoder(SOURCE, settings_for(SIGNALS)).decode(log, "/a").batches
    keys = [batch.channel.values[code] for code in batch.channel.codes]
    assert keys == ["signal/click", "signal/click", "signal/click", "signal/dwell", "signal/click", "outcome"]
    assert batch.value[:4].tolist() == [1.0, 1.0, 0.0, 3.5]
    assert batch.retract.tolist() == [False, False, False, False, True, False]


def test_a_signal_that_cannot_be_used_is_rejected_with_its_reason() -> None:
    log = lines(
        record(label=None, signal="click", timestamp="?"),
        record(label=None, signal="scroll", value=1),
        record(label=None, signal="click", value=2),
        record(label=None, signal="click", value="often"),
        record(label=None, signal="dwell"),
        record(label=None, signal="dwell", value="long"),
        record(label=None, signal="dwell", value=[1]),
    )
    decoded = FeedbackDecoder(SOURCE, settings_for(SIGNALS)).decode(log, "/a")
    assert decoded.batches == []
    assert [rejection.reason for rejection in decoded.rejections] == [
        "invalid_timestamp",
        "unknown_signal",
        "invalid_signal_value",
        "invalid_signal_value",
        "missing_signal_value",
        "invalid_signal_value",
        "invalid_signal_value",
    ]
