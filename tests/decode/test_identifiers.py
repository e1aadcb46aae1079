"""Ids become keys that are the same everywhere, well mixed, and equal exactly where the ids are."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.decode.logs import feed, predict
from tidegauge.decode.identifiers import hash_ids

T = "2024-05-01T10:00:00Z"


@given(st.lists(st.one_of(st.text(min_size=1), st.integers(-(10**30), 10**30))))
def test_the_key_is_xxh3_of_the_canonical_text(ids: list[str | int]) -> None:
    assert hash_ids(ids).tolist() == [xxhash.xxh3_64_intdigest(str(identifier).encode()) for identifier in ids]


def test_published_vector() -> None:
    # XXH3-64 of the empty input, xxHash's own sanity check; it is moved to 0, which means no id.
    assert xxhash.xxh3_64_intdigest(b"") == 0x2D06800538D394C2
    assert hash_ids([""]).tolist() == [0]


def test_one_id_written_in_several_ways_is_one_key() -> None:
    assert len(set(hash_ids([1, 1.0, "1"]).tolist())) == 1
    assert len(set(hash_ids(["1", "01", "1.0", "1 ", "2"]).tolist())) == 5
    assert hash_ids([2**63, float(2**53)]).tolist() == hash_ids([str(2**63), str(2**53)]).tolist()


@pytest.mark.parametrize("identifier", [True, False, 1.5, float("nan"), float("inf")])
def test_what_is_no_id(identifier: float) -> None:
    with pytest.raises(ValueError, match="id"):
        hash_ids([identifier])


def test_keys_are_the_same_in_another_process() -> None:
    code = "from tidegauge.decode.identifiers import hash_ids; print(hash_ids(['a', 'é', 12]).tolist())"
    path = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, check=True, text=True)
    assert other.stdout.strip() == str(hash_ids(["a", "é", 12]).tolist())


@pytest.mark.parametrize(
    "ids", [[f"{n:032x}" for n in range(20_000)], list(range(20_000)), [f"u-{n}" for n in range(20_000)]]
)
def test_every_bit_of_the_keys_of_similar_ids_is_a_fair_coin(ids: list[str | int]) -> None:
    keys = hash_ids(ids)
    assert len(np.unique(keys)) == len(ids)
    bits = (keys[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    # Five standard deviations of a fair coin thrown 20,000 times, for each bit and for each pair of bits being equal.
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(ids))
    signs = bits.astype(np.float64) * 2 - 1
    correlation = np.abs(signs.T @ signs / len(ids) - np.eye(64))
    assert correlation.max() < 6 / np.sqrt(len(ids))


def test_predictions_and_feedback_agree_on_the_key() -> None:
    ids: list[str | int | float] = ["a", 7, 7.0, "7", "é\n\u0000", "x" * 1000, 10**30]
    predictions = predict(*({"prediction_id": i, "timestamp": T, "prediction": 1} for i in ids))
    feedback = feed(*({"prediction_id": i, "timestamp": T, "label": 1, "channel": "outcome"} for i in ids))
    assert [row["key"] for row in predictions] == [row["key"] for row in feedback] == hash_ids(ids).tolist()


def test_a_prediction_needs_no_id() -> None:
    rows = predict(*({"prediction_id": i, "timestamp": T, "prediction": 1} for i in (None, "", "a")))
    assert [row["key"] == 0 for row in rows] == [True, True, False]
