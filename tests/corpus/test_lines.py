"""Every hostile line has the outcome that the table states, alone, among good lines and at the end of a large block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.corpus import recipes
from tests.corpus.table import HERE, outcomes
from tests.decode import logs
from tidegauge.decode import FeedbackDecoder, PredictionDecoder

GOOD = {
    "predictions": b'{"prediction_id":"good","timestamp":"2024-05-01T10:00:00Z","prediction":"0"}\n',
    "feedback": b'{"prediction_id":"good","timestamp":"2024-05-01T10:00:00Z","label":"0"}\n',
}


def decoder(kind: str) -> PredictionDecoder | FeedbackDecoder:
    settings = logs.settings_for(logs.FRAUD)
    if kind == "predictions":
        return PredictionDecoder(logs.PREDICTIONS, settings)
    return FeedbackDecoder(replace(logs.FEEDBACK, channel="outcome"), settings)


def found(kind: str, data: bytes) -> list[str]:
    """What became of each line, in order; blank ones left out."""
    by_offset: dict[int, str] = {}
    decoded = decoder(kind).decode(data, "/logs/a")
    for rejection in decoded.rejections:
        by_offset[rejection.offset] = rejection.reason
    for batch in decoded.batches:
        by_offset |= dict.fromkeys(batch.offset.tolist(), "row")
    return [by_offset[offset] for offset in sorted(by_offset)]


CASES = [(kind, name) for kind in GOOD for name in outcomes(kind)]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda part: part.removesuffix(".jsonl"))
def test_a_hostile_line_has_the_outcome_of_the_table(kind: str, name: str) -> None:
    expected = [outcome for outcome in outcomes(kind)[name].split(", ") if outcome]
    data = (HERE / kind / name).read_bytes()
    assert found(kind, data) == expected
    good = GOOD[kind]
    ended = data if data.endswith(b"\n") else data + b"\n"
    assert found(kind, good * 20 + ended + good * 20) == ["row"] * 20 + expected + ["row"] * 20
    assert found(kind, good * 3000 + data) == ["row"] * 3000 + expected


@pytest.mark.parametrize("kind", GOOD)
def test_every_file_of_the_corpus_is_in_its_table(kind: str) -> None:
    assert {path.name for path in (HERE / kind).iterdir()} == outcomes(kind).keys()


@pytest.mark.parametrize("kind", GOOD)
def test_the_whole_corpus_in_one_block_is_what_its_lines_are(kind: str) -> None:
    data, expected = b"", []
    for name, outcome in outcomes(kind).items():
        content = (HERE / kind / name).read_bytes()
        data += content if content.endswith(b"\n") else content + b"\n"
        expected += [one for one in outcome.split(", ") if one]
    assert found(kind, data) == expected


@pytest.mark.parametrize(("name", "make", "expected"), recipes.LINES, ids=[name for name, _, _ in recipes.LINES])
def test_a_large_hostile_line_has_its_outcome(name: str, make: Callable[[], bytes], expected: str) -> None:
    data = make()
    assert found("predictions", data) == [one for one in expected.split(", ") if one]
    good = GOOD["predictions"]
    assert found("predictions", good + data + good) == ["row", *found("predictions", data), "row"]
