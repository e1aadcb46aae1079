"""Every hostile request is answered or refused as the table states, however its bytes arrive."""

from __future__ import annotations

import pytest

from tests.corpus.table import HERE, outcomes
from tests.fuzz import requests
from tidegauge.publish.request import Request

FOLDER = "requests"


def told(outcome: Request | int) -> str:
    if isinstance(outcome, int):
        return str(outcome)
    return f"{outcome.method} {outcome.path}" + ("" if outcome.keep_alive else " close")


@pytest.mark.parametrize("piece", [1, 1000])
@pytest.mark.parametrize("name", outcomes(FOLDER))
def test_a_hostile_request_has_the_outcome_of_the_table(name: str, piece: int) -> None:
    said = requests.conversation((HERE / FOLDER / name).read_bytes(), piece)
    assert ", ".join(map(told, said)) == outcomes(FOLDER)[name]


def test_every_file_of_the_corpus_is_in_its_table() -> None:
    assert {path.name for path in (HERE / FOLDER).iterdir()} == outcomes(FOLDER).keys()
