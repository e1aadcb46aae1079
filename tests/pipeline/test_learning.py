"""When the bins of features are learned: of the first block with enough predictions, as soon as it is sealed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.pipeline.learning import MOST, LearningBuffer

BLOCK = 60_000


def rows_at(times: NDArray[np.int64]) -> Rows:
    codes, nothing = np.zeros(len(times), dtype=np.uint8), np.zeros(len(times))
    return Rows(times, codes, (), codes, nothing, nothing, ())


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_what_is_enough_does_not_depend_on_the_order_of_arrival(parts: int) -> None:
    chance = np.random.default_rng(parts)
    times = chance.permutation(np.arange(0, 10 * BLOCK, 1000))  # sixty a block
    buffer = LearningBuffer(100)
    assert buffer.enough_until(BLOCK) is None
    for part in np.array_split(times, parts):
        buffer.add(rows_at(part), None)
    assert buffer.enough_until(BLOCK) == 2 * BLOCK
    assert buffer.ripe(2 * BLOCK - 1, BLOCK) is None
    assert buffer.ripe(2 * BLOCK, BLOCK) == 2 * BLOCK
    restored = LearningBuffer(100, buffer.save())
    assert restored.enough_until(BLOCK) == 2 * BLOCK
    buffer.add(rows_at(np.full(100, BLOCK // 2)), None)  # late, but before
    assert buffer.enough_until(BLOCK) == BLOCK


def test_a_buffer_that_is_full_does_not_wait() -> None:
    buffer = LearningBuffer(100)
    buffer.add(rows_at(np.arange(100)), None)
    assert buffer.ripe(0, BLOCK) is None
    buffer.add(rows_at(np.arange(MOST * 100)[::-1]), None)
    assert buffer.ripe(0, BLOCK) == MOST * 100
