"""A bad line costs itself alone, wherever it stands and however large the block is."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from tests.decode import recount
from tests.decode.logs import DELAY, FRAUD, PREDICTIONS, lines, prediction_rows, reasons, settings_for
from tidegauge.decode import REASONS, PredictionDecoder, Rejection

T = "2024-05-01T10:00:00Z"
GOOD = json.dumps({"prediction_id": "a", "timestamp": T, "prediction": "1"}).encode()
DEEP = b"[" * 5000 + b"]" * 5000

BAD: list[tuple[bytes, str]] = [
    (b"nonsense", "invalid_json"),
    (b"{", "invalid_json"),
    (GOOD[:-1], "invalid_json"),
    (GOOD[1:], "invalid_json"),
    (GOOD + GOOD, "invalid_json"),
    (GOOD + b",", "invalid_json"),
    (GOOD + b"\x00", "invalid_json"),
    (b"\x00" * 50 + GOOD, "invalid_json"),
    (GOOD.replace(b'"1"', b"01"), "invalid_json"),
    (GOOD.replace(b'"1"', b'"\x01"'), "invalid_json"),
    (GOOD.replace(b'"1"', b'"\\q"'), "invalid_json"),
    (GOOD.replace(b'"1"', b'"\\ud800"'), "invalid_json"),
    (GOOD.replace(b'"1"', b'"\xff"'), "invalid_utf8"),
    (GOOD.replace(b'"1"', b'"\xed\xa0\x80"'), "invalid_utf8"),
    (GOOD.replace(b"}", b',"score":"\xff"}'), "invalid_utf8"),
    (GOOD.replace(b"}", b',"score":NaN,"version":"\xff"}'), "invalid_utf8"),
    (GOOD.replace(b"}", b',"x":' + DEEP + b"}"), "invalid_json"),
    (GOOD.replace(b"}", b',"score":' + DEEP + b"}"), "invalid_json"),
    (b"[]", "not_an_object"),
    (b"[" + GOOD + b"]", "not_an_object"),
    (b"1", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"null", "not_an_object"),
    (b"NaN", "not_an_object"),
    (b"{}", "missing_timestamp"),
]


def decode(block: bytes) -> Any:
    return PredictionDecoder(PREDICTIONS, settings_for(FRAUD)).decode(block, "/logs/a")


@pytest.mark.parametrize(("line", "reason"), BAD, ids=[repr(line[:40]) for line, _ in BAD])
def test_a_bad_line_costs_only_itself(line: bytes, reason: str) -> None:
    assert reasons(line) == [reason]
    assert reason in REASONS
    block = lines(*[GOOD] * 30, line, *[GOOD] * 30)
    decoded = decode(block)
    assert decoded.rejections == [Rejection(reason, 30 * (len(GOOD) + 1), len(line))]
    assert len(decoded.batches[0].time) == 60


@pytest.mark.parametrize(
    "line",
    [
        GOOD + b"\r",
        b"  " + GOOD + b" \t",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"}", b',"unused":"\xff"}'),
        GOOD.replace(b"}", b',"unused":"\xff","score":"0.5"}'),
        GOOD.replace(b"}", b',"unused":' + b"9" * 6000 + b"}"),
        GOOD.replace(b"}", b',"unused":NaN}'),
        GOOD.replace(b"}", b',"unused":[[{"a":[null]}]]}'),
        GOOD.replace(b'"prediction":', b'"prediction":"0","prediction":'),
        GOOD.replace(b'"prediction":', b'"prediction":[0],"prediction":'),
        GOOD.replace(b'"prediction"', b'"pr\\u0065diction"'),
        GOOD.replace(b"}", b',"error":"x","error":null}'),
    ],
    ids=lambda line: repr(line[-40:]),
)
def test_a_peculiar_but_good_line_is_a_row(line: bytes) -> None:
    for block in (lines(line), lines(*[GOOD] * 10, line, *[GOOD] * 10)):
        decoded = decode(block)
        assert decoded.rejections == []
        rows = prediction_rows(decoded.batches[0])
        assert len(rows) == block.count(b"\n")
        assert {row["label"] for row in rows} == {"1"}
        assert {row["error"] for row in rows} == {False}


@pytest.mark.parametrize(
    "pair",
    [
        (b'{"a":{}', b'}{"b":{}}'),
        (GOOD + GOOD, b""),
        (b'{"a":"}', b'{"}'),
        (GOOD[:20], GOOD[20:] + GOOD),
        (b'{"x":[{}', b"{}]}" + GOOD),
    ],
)
def test_objects_and_lines_that_only_agree_in_number_are_not_mistaken(pair: tuple[bytes, bytes]) -> None:
    """One object over two lines and two objects on one line, so that the counts of lines and objects are equal."""
    found = decode(lines(GOOD, *pair, GOOD))
    assert sum(len(batch.time) for batch in found.batches) == 2
    assert {rejection.reason for rejection in found.rejections} == {"invalid_json"}


def test_blank_lines_are_nothing_and_an_unfinished_last_line_counts() -> None:
    assert decode(b"").batches == []
    assert decode(b"\n\r\n \n\t\r\n") == decode(b"\n")
    decoded = decode(b"\n\n" + GOOD + b"\n\n\r\n  \n" + GOOD)
    assert decoded.batches[0].offset.tolist() == [2, 2 + len(GOOD) + 1 + 1 + 2 + 3]
    assert decoded.rejections == []
    assert decode(b"\n").rejections == []


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5])
def test_large_blocks_are_what_their_lines_are(share: float, ending: bytes) -> None:
    rng = random.Random(str(share))
    odd = [line for line, _ in BAD if b"[[[" not in line] + [b"", GOOD.replace(b'"1"', b"NaN")]
    log = []
    for n in range(6000):
        record = {"prediction_id": n, "timestamp": 1_714_557_600_000 + n, "prediction": n % 3, "score": n / 6000}
        extra = {"error": "x", "weight": 2} if rng.random() < share / 10 else {}
        log.append(rng.choice(odd) if rng.random() < share else json.dumps(record | extra).encode())
    decoded = decode(b"".join(line + ending for line in log))
    offsets = np.cumsum([0] + [len(line) + len(ending) for line in log]).tolist()
    found: dict[int, Any] = {rejection.offset: rejection.reason for rejection in decoded.rejections}
    for batch in decoded.batches:
        found |= {
            row["offset"]: {k: v for k, v in row.items() if k not in ("offset", "unit")}
            for row in prediction_rows(batch)
        }
    plain = {
        offset: outcome for offset, line in zip(offsets, log, strict=False) if (outcome := known(line)) is not None
    }
    assert found == plain


def test_what_turns_up_late_in_a_log_is_noticed() -> None:
    """A log of one model and few fields that stops being so, between any two lines."""
    base = {"timestamp": 1_714_557_600, "prediction": 1}
    late: list[dict[str, Any]] = [
        {"model": "fraud"},
        {"model": "delay"},
        {"model": None},
        {"model": "fraud", "error": "x"},
        {"model": "fraud", "weight": 2, "role": "shadow", "slices": {"plan": "pro"}},
        {"model": "fraud", "features": {"country": "SE"}, "score": "0.5", "latency_ms": 3, "count": 2, "version": "v2"},
    ]
    tasks = {"fraud": "binary", "delay": "regression"}
    for seed in range(20):
        rng = random.Random(seed)
        kinds = rng.sample(late, len(late))
        log = [json.dumps(base | kind).encode() for kind in kinds for _ in range(rng.choice([1, 5, 400, 1500]))]
        decoder = PredictionDecoder(PREDICTIONS, settings_for(FRAUD, DELAY))
        found: dict[int, Any] = {}
        size = rng.choice([len(log), 700])
        for first in range(0, len(log), size):
            block = lines(*log[first : first + size])
            numbers = {offset: first + n for n, offset in enumerate(np.cumsum([0, *map(length, log[first:])]).tolist())}
            decoded = decoder.decode(block, "/logs/a")
            found |= {numbers[rejection.offset]: rejection.reason for rejection in decoded.rejections}
            for row in (row for batch in decoded.batches for row in prediction_rows(batch)):
                found[numbers[row["offset"]]] = {k: v for k, v in row.items() if k not in ("offset", "unit")}
        assert found == {n: recount.prediction(line, tasks, FRAUD.slices) for n, line in enumerate(log)}


def length(line: bytes) -> int:
    return len(line) + 1


def known(line: bytes) -> recount.Outcome:
    by_hand = dict(BAD)
    return by_hand[line] if line in by_hand else recount.prediction(line, {"fraud": "binary"}, FRAUD.slices)


def test_a_decoder_that_has_seen_a_broken_log_reads_the_next_as_a_new_one_does() -> None:
    used = PredictionDecoder(PREDICTIONS, settings_for(FRAUD))
    used.decode(lines(*[b"nonsense", GOOD.replace(b"}", b',"error":"x","weight":3,"role":"shadow"}')] * 500), "/logs/a")
    block = lines(*[GOOD] * 2000)
    a, b = used.decode(block, "/logs/a"), decode(block)
    assert prediction_rows(a.batches[0]) == prediction_rows(b.batches[0])
    # The sums of such columns cost time and space downstream: what no row has is not made up.
    assert a.batches[0].weight is None


def test_the_content_of_a_line_is_in_no_rejection() -> None:
    decoded = decode(lines(b'{"secret":"4711"', {"timestamp": "secret", "prediction": "secret"}))
    assert len(decoded.rejections) == 2
    assert "secret" not in repr(decoded.rejections)
