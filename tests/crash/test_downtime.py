"""Records that the exporter meets late or early count as if it had been there in time, in sealed blocks too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.pier import Pier
from tests.crash.recount import recount
from tests.crash.traffic import Line

LONG = 12
"""Rounds of downtime after which every block that feedback was in time for is due to be sealed."""


@pytest.fixture
def pier(tmp_path: Path) -> Iterator[Pier]:
    pier = Pier(tmp_path, 21)
    yield pier
    pier.close()


@pytest.mark.parametrize("compressed", [False, True])
def test_feedback_rotated_away_meanwhile_is_in_time(pier: Pier, compressed: bool) -> None:
    pier.begin()
    predictions, feedback = pier.logs["predictions"], pier.logs["feedback"]
    pier.program.next_round()
    pier.append(predictions, pier.program.predictions(200))
    pier.compare()
    pier.terminate()
    before = sealed(pier)
    pier.move_away(feedback)  # so that the next file is one that nobody has seen
    pier.append(feedback, pier.program.feedback(100))
    pier.move_away(feedback)
    while compressed and feedback.rotated[0].path.suffix != ".gz":
        pier.compress()  # any one of them
    for _ in range(LONG):
        pier.program.next_round()
    pier.append(predictions, pier.program.predictions(20))
    pier.start()
    pier.compare()
    assert sealed(pier) > before


def test_feedback_may_come_before_any_prediction(pier: Pier) -> None:
    pier.start()
    lines: list[Line] = []
    while len(lines) < 30:
        lines += pier.program.feedback(30)
    pier.append(pier.logs["feedback"], lines)
    pier.compare()
    pier.append(pier.logs["predictions"], pier.program.predictions(300))
    pier.compare()


def sealed(pier: Pier) -> float:
    return sum(count for (family, _), count in recount(pier.book).items() if family == "model_outcomes_total")
