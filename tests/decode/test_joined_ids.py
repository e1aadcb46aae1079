"""Ids that are hashed together get the keys that they get one by one."""

from __future__ import annotations

import random

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.decode.logs import feed, predict
from tidegauge.decode.identifiers import hash_joined

T = "2024-05-01T10:00:00Z"


def one_by_one(texts: list[str]) -> list[int]:
    return [xxhash.xxh3_64_intdigest(text.encode()) for text in texts]


def together(texts: list[str]) -> list[int]:
    return list(map(int, hash_joined("\n".join(texts).encode(), len(texts))))


@pytest.mark.parametrize("width", [*range(70), 127, 128, 129, 240, 241, 1000])
def test_of_every_length(width: int) -> None:
    chance = random.Random(width)
    # Characters of one byte but newlines, the extreme ones among them.
    texts = ["".join(chance.choices("\0\x7f" + "0123456789abcdefxyz-_\t\r", k=width)) for _ in range(300)]
    assert together(texts) == one_by_one(texts)


@pytest.mark.parametrize("number", [1, 2, 255, 256, 257, 4095, 4096, 4097, 10_000])
@pytest.mark.parametrize("form", ["{:032x}", "user-{:06}", "{:08x}-0000-4000-8000-{:012x}", "{}"])
def test_of_every_number_of_ids(number: int, form: str) -> None:
    texts = [form.format(*[2654435761 * n % 2**32] * 2) for n in range(number)]
    assert together(texts) == one_by_one(texts)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=40), min_size=1))
def test_of_any_texts(texts: list[str]) -> None:
    many = texts * (300 // len(texts) + 1)
    assert together(many) == one_by_one(many)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20))
def test_of_any_bytes(inputs: list[bytes]) -> None:
    many = [one.replace(b"\n", b"\r") for one in inputs] * 300
    assert hash_joined(b"\n".join(many), len(many)).tolist() == [xxhash.xxh3_64_intdigest(one) for one in many]


@pytest.mark.parametrize(
    "odd",
    ["", None, 7, 12345678901234567890, "é" * 16, "a\n" * 8, "\n" * 16, "0" * 15, "0" * 17],
    ids=["empty", "null", "number", "large number", "two bytes", "newlines", "only newlines", "shorter", "longer"],
)
@pytest.mark.parametrize("place", [0, 299, 599])
def test_one_odd_id_among_many(odd: str | int | None, place: int) -> None:
    ids: list[str | int | None] = [f"{n:016x}" for n in range(600)]
    ids[place] = odd
    expected = [
        0 if one in (None, "") else key for one, key in zip(ids, one_by_one([str(i) for i in ids]), strict=True)
    ]
    rows = predict(*({"prediction_id": i, "unit_id": i, "timestamp": T, "prediction": 1} for i in ids))
    assert [row["key"] for row in rows] == [row["unit"] for row in rows] == expected
    given_ids = [i for i in ids if i not in (None, "")]
    labels = feed(*({"prediction_id": i, "timestamp": T, "label": 1, "channel": "outcome"} for i in given_ids))
    assert [row["key"] for row in labels] == [key for key in expected if key]
