"""The engine that is always there. It takes turns between seeds changed at random, which cost next to nothing to make,
and what hypothesis draws from the grammar, which goes further; a failing input is made small."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.fuzz.target import Target
from tests.fuzz.watch import peak_memory, watched

_ROUND = 500  # inputs a call of hypothesis at most
_TURN = 20.0  # seconds
_PATIENCE = 60.0  # seconds for making a failing input small


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    executions: int
    seconds: float
    grown: int  # bytes of peak memory since the seeds were run
    failure: tuple[bytes, BaseException] | None


def run(target: Target, seconds: float, start: int, database: Path) -> Outcome:
    """Runs a target for so long, or until an input fails. `start` seeds the first round."""
    for data in target.seeds:
        failure = _failure_of(target, data)
        if failure is not None:
            return Outcome(1, 0.0, 0, (data, failure))
    begun, before = time.monotonic(), peak_memory()
    count, number, found = _Count(), start, None
    while found is None and (left := seconds - (time.monotonic() - begun)) > 0:
        until = time.monotonic() + min(_TURN, left)
        found = _changed_at_random(target, random.Random(number), until, count)
        if found is None and time.monotonic() - begun < seconds:
            most = max(50, min(_ROUND, int(left)))
            found = _drawn_by_hypothesis(target, number, most, database, count)
        number += 1
    return Outcome(count.executions, time.monotonic() - begun, peak_memory() - before, found)


@dataclass(slots=True)
class _Count:
    executions: int = 0


Found = tuple[bytes, BaseException] | None


def _changed_at_random(target: Target, chance: random.Random, until: float, count: _Count) -> Found:
    while time.monotonic() < until:
        data = target.random_input(chance)
        count.executions += 1
        failure = _failure_of(target, data)
        if failure is not None:
            return _smaller(target, data, failure)
    return None


def _smaller(target: Target, data: bytes, failure: BaseException) -> tuple[bytes, BaseException]:
    """Leaves out pieces as long as the same kind of failure remains."""
    until, size = time.monotonic() + _PATIENCE, len(data) // 2
    while size:
        at = 0
        while at < len(data) and time.monotonic() < until:
            less = data[:at] + data[at + size :]
            again = _failure_of(target, less)
            if type(again) is type(failure):
                data, failure = less, again
            else:
                at += size
        size //= 2
    return data, failure


def quick(target: Target, start: int) -> None:
    """The short run, the same every time. Raises what a failing input raises."""
    chance = random.Random(start)
    for data in (*target.seeds, *(target.random_input(chance) for _ in range(target.quick))):
        failure = _failure_of(target, data)
        assert failure is None, f"{data[:2000]!r}: {failure!r}"


def _failure_of(target: Target, data: bytes) -> BaseException | None:
    try:
        with watched(target, len(data)):
            target.check(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None


def _drawn_by_hypothesis(target: Target, number: int, most: int, database: Path, count: _Count) -> Found:
    last = b""

    @seed(number)
    @settings(
        max_examples=most,
        deadline=None,
        derandomize=False,
        database=DirectoryBasedExampleDatabase(database),
        phases=(Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(target.inputs())
    def drawn(data: bytes) -> None:
        nonlocal last
        last = data
        count.executions += 1
        with watched(target, len(data)):
            target.check(data)

    try:
        drawn()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return last, error
    return None
