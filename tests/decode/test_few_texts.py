"""Features with few texts are read in a faster way once that is known. What a line says does not depend on it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.decode.logs import PREDICTIONS, feature_rows, settings_for
from tests.decode.test_features import T, watching
from tidegauge.decode import PredictionDecoder
from tidegauge.decode.enumerated import FEW, LONGEST, MOST, SAMPLED

MODEL = watching(kind="categorical", size="numeric", other="categorical", paid="boolean", where="categorical")
Features = dict[str, Any]


def usual(chance: random.Random) -> Features:
    return {
        "kind": chance.choice(["a", "bb", "ccc"]),
        "size": chance.random(),
        "other": chance.choice("xyz"),
        "paid": chance.random() < 0.5,
        "where": chance.choice(["", "north", "south"]),
    }


def line(features: Any) -> bytes:
    return json.dumps({"timestamp": T, "prediction": "1", "features": features}).encode() + b"\n"


def values(decoder: PredictionDecoder, block: bytes) -> list[dict[str, Any]]:
    decoded = decoder.decode(block, "/logs/a")
    assert not decoded.rejections
    return [row for batch in decoded.batches for row in feature_rows(batch, MODEL)]


def fresh() -> PredictionDecoder:
    return PredictionDecoder(PREDICTIONS, settings_for(MODEL))


ODD: dict[str, Callable[[random.Random, int], Any]] = {
    "none": lambda chance, row: {},
    "a new text": lambda chance, row: {"kind": f"new {row % 7}"},
    "ever new texts": lambda chance, row: {"kind": f"new {row}"},
    "a text beyond the longest": lambda chance, row: {"kind": "é" * (LONGEST + row % 3)},
    "a long text that is cut": lambda chance, row: {"kind": "k" * 300 + str(row)},
    "null": lambda chance, row: {"kind": None, "size": None},
    "a number for a text": lambda chance, row: {"kind": row % 5},
    "a truth for a text": lambda chance, row: {"kind": True, "other": False},
    "a list for a text": lambda chance, row: {"kind": ["a"]},
    "a text for a number": lambda chance, row: {"size": "3"},
    "a whole number": lambda chance, row: {"size": row},
    "a text for a truth": lambda chance, row: {"paid": "true"},
    "all of it": lambda chance, row: chance.choice(
        [{"kind": "n"}, {"kind": None}, {"other": 3}, {"size": None}, {"size": "x"}, {"where": "west"}]
    ),
}


@pytest.mark.parametrize("rate", [0.002, 0.2])
@pytest.mark.parametrize("odd", ODD)
def test_a_line_says_the_same_among_others_as_alone(odd: str, rate: float) -> None:
    chance = random.Random(odd)
    made = []
    for row in range(3 * SAMPLED):
        features: Any = usual(chance)
        if row > SAMPLED and chance.random() < rate:
            features |= ODD[odd](chance, row)
            if chance.random() < 0.3:
                features.pop(chance.choice(list(features)))
            if chance.random() < 0.1:
                features = None
        made.append(line(features))
    expected = []
    for start in range(0, len(made), SAMPLED // 2):
        simple = fresh()  # which never has seen enough to be clever
        expected += [row for one in made[start : start + SAMPLED // 2] for row in values(simple, one)]
    assert values(fresh(), b"".join(made)) == expected
    decoder = fresh()
    cuts = sorted(chance.sample(range(len(made)), 9))
    parts = [made[a:b] for a, b in zip([0, *cuts], [*cuts, len(made)], strict=True)]
    assert [row for part in parts for row in values(decoder, b"".join(part))] == expected
    assert values(decoder, b"".join(made)) == expected


@pytest.mark.parametrize("first, ever", [(FEW, MOST), (FEW, MOST + 1), (FEW + 1, MOST)])
def test_texts_that_become_many_are_told_apart_all_the_same(first: int, ever: int) -> None:
    texts = [f"text {row % first}" for row in range(2 * SAMPLED)] + [f"text {row}" for row in range(ever)] * 2
    found = values(fresh(), b"".join(line({"kind": text}) for text in texts))
    assert [row["feature kind"] for row in found] == texts
