"""A short run of every fuzz target, the same every time; `make fuzz` is the long one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fuzz import engine
from tests.fuzz.targets import TARGETS


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_the_claim_of_the_target_holds(name: str) -> None:
    engine.quick(TARGETS[name], 1)
