"""The same logs give the same states of releases and changes, byte for byte, however they are read."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.pipeline.production import FRAUD, PRICE, START, Logs, price_logs, production, scenario_logs, states
from tests.recount.driver import Run
from tidegauge import simulate
from tidegauge.config.settings import HOUR, MINUTE, Model
from tidegauge.pipeline import pipeline

SWITCHING = replace(
    simulate.find("hard-switch"), countries=(("US", 0.6), ("NZ", 0.4)), failing=(("NZ", ((0, 1.0), (0.7, 3.0))),)
)
WATCHED = replace(FRAUD, block=15 * MINUTE, change=replace(FRAUD.change, learning=10 * HOUR))


@cache
def case(name: str) -> tuple[Model, Logs]:
    match name:
        case "ramp":
            scenario = simulate.find("bad-release")
            return FRAUD, scenario_logs(scenario, duration=9 * HOUR, rate=0.5)
        case "users":
            return FRAUD, scenario_logs(simulate.find("busy-users"), duration=9 * HOUR, rate=0.5)
        case "switch":  # everything is learned, watched and found, and the release has no overlap
            return WATCHED, scenario_logs(SWITCHING, duration=36 * HOUR, rate=0.25)
        case "capped":
            return PRICE, price_logs(hours=9, switch=5, worse=0.3)
        case _:
            return PRICE, price_logs(hours=9, switch=5, worse=0.3, users=90)


@cache
def straight(name: str, folder: Path) -> dict[str, bytes]:
    """The states after reading everything in order, hour by hour."""
    model, logs = case(name)
    run = production(folder, model)
    end = max(logs.predictions[-1][0], logs.feedback[-1][0]) + 1
    for begin in range(START, end, HOUR):
        write(run, logs, begin, begin + HOUR)
        run.settle()
    found = states(run)
    run.close()
    return found


def write(run: Run, logs: Logs, begin: int, end: int) -> None:
    for kind, lines in (("predictions", logs.predictions), ("feedback", logs.feedback)):
        run.write(kind, b"".join(line for time, line in lines if begin <= time < end))


CASES = ["ramp", "users", "switch", "capped", "capped users"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("straight")


@pytest.mark.parametrize("name", CASES)
def test_the_case_is_worth_replaying(name: str, folder: Path) -> None:
    found = straight(name, folder / name)
    assert set(found) >= {"lifecycle/", "quality/", "quality/outcome"}
    assert b'"verdict": 0' in found["quality/outcome"] or b'"verdict": 2' in found["quality/outcome"]
    assert (b'"clustered": true' in found["quality/outcome"]) == ("users" in name)
    if name.startswith("capped"):
        assert b'"cap": null' not in found["quality/outcome"]
    if name == "switch":
        assert b'"detected": [true' in found["quality/outcome"] and b'"switch": {' in found["quality/outcome"]


@pytest.mark.parametrize("name", CASES)
def test_all_at_once_and_in_small_blocks_is_the_same(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, logs = case(name)
    once = production(tmp_path / "once", model)
    write(once, logs, 0, 1 << 62)
    once.settle()
    assert states(once) == straight(name, folder / name)
    once.close()
    monkeypatch.setattr(pipeline, "BLOCK_BYTES", {"predictions": 150_000, "feedback": 60_000})
    chance = random.Random(name)
    run = production(tmp_path / "blocks", model)
    write(run, logs, 0, 1 << 62)
    run.read(1)
    while run.pipeline.step():  # time moves on between blocks, as at refreshes during a backlog
        if chance.random() < 0.5:
            run.pipeline.advance()
    run.settle()
    assert states(run) == straight(name, folder / name)
    run.close()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_restarts_and_kills_change_nothing(name: str, seed: int, folder: Path, tmp_path: Path) -> None:
    model, logs = case(name)
    chance = random.Random(seed)
    run = production(tmp_path, model)
    end = max(logs.predictions[-1][0], logs.feedback[-1][0]) + 1
    at, killed = START, 0
    while at < end:
        then = at + chance.randrange(20 * MINUTE, 4 * HOUR)
        write(run, logs, at, then)
        at = then
        if chance.random() < 0.5:
            run.settle()
        else:
            run.read(chance.randrange(3))
            run.pipeline.advance()
        if chance.random() < 0.6:
            run.save()
        if chance.random() < 0.5:
            run.reopen()
            killed += 1
    run.settle()
    found = states(run)
    run.save()
    run.reopen()
    assert states(run) == found == straight(name, folder / name)
    assert killed
    run.close()


@pytest.mark.parametrize("name", CASES)
def test_lines_that_are_late_within_the_grace_or_early_change_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    model, logs = case(name)
    chance = random.Random(3)
    late = logs.late(chance, model.grace - MINUTE)
    early = [(time - (10 * MINUTE if chance.random() < 0.1 else 0), line) for time, line in late.feedback]
    mixed = Logs(late.predictions, sorted(early))
    run = production(tmp_path, model)
    end = max(mixed.predictions[-1][0], mixed.feedback[-1][0]) + 1
    at = START - 10 * MINUTE
    while at < end:
        then = at + chance.randrange(5 * MINUTE, 2 * HOUR)
        write(run, mixed, at, then)
        at = then
        run.settle()
    assert states(run) == straight(name, folder / name)
    run.close()
