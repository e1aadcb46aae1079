"""One measure of one release: which design is heard, that a verdict holds, and that a saved one goes on bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest

from tidegauge.assess.releases.arms import Side
from tidegauge.assess.releases.compared import BEFORE_AFTER, CONCURRENT, Compared, Frozen
from tidegauge.assess.releases.overall import overall
from tidegauge.assess.sequential import before_after, comparison
from tidegauge.assess.sequential.clusters import BUCKETS
from tidegauge.assess.sequential.comparison import Arm
from tidegauge.assess.sequential.verdict import Result

BLOCK = 300_000
HOUR = 3_600_000
T = 20_000 * 24 * HOUR
NOBODY = Side(Arm(0.0, 0.0, 0.0))


def frozen(
    kind: str = "proportion", *, clustered: bool = False, switch: bool = True, cap: float | None = None
) -> Frozen:
    """A baseline of 5 % errors, or of lognormal losses of mean 1, of which ten days are known."""
    rate, variance, margin = (0.05, 0.0475, 0.01) if kind == "proportion" else (1.0, 1.0, 0.1)
    plan = comparison.plan(kind, rate, variance, margin, clustered=clustered)  # type: ignore[arg-type]
    after = before_after.plan_before_after(kind, rate, 0.0, variance, variance / 1e6, margin, 1e6, 240)  # type: ignore[arg-type]
    return Frozen(plan, margin, cap, after if switch else None, (rate,) * 168 if switch else ())


def side(chance: np.random.Generator, n: int, rate: float, clustered: bool = False) -> Side:
    losses = (chance.random(n) < rate).astype(float)
    unit = chance.integers(0, BUCKETS, n)
    arm = Arm(float(n), float(losses.sum()), float(losses.sum()))
    if not clustered:
        return Side(arm)
    by_unit = [np.bincount(unit, weights, BUCKETS).astype(np.float64) for weights in (np.ones(n), losses)]
    return Side(arm, 0.0, *by_unit)


def run(
    so_far: Compared,
    *,
    candidate: float,
    overlap: int,
    alone: int,
    seed: int = 1,
    n: int = 200,
    clustered: bool = False,
) -> Iterator[Compared]:
    """Blocks of both versions, then blocks of the new one alone; the baseline is wrong 5 times in 100."""
    chance = np.random.default_rng(seed)
    for number in range(overlap + alone):
        baseline = side(chance, n, 0.05, clustered) if number < overlap else NOBODY
        so_far = so_far.advance(T + number * BLOCK, side(chance, n, candidate, clustered), baseline)
        yield so_far


def last(states: Iterator[Compared]) -> Compared:
    *_, end = states
    return end


def test_before_anything_was_compared_it_says_nothing() -> None:
    start = Compared.begin(frozen())
    assert start.results() == {} and start.verdict() == "keep_watching"
    assert start.advance(T, NOBODY, Side(Arm(100.0, 50.0, 50.0))) == start, "blocks without the new version"


def test_versions_that_answer_at_the_same_time_are_compared_at_the_same_time() -> None:
    end = last(run(Compared.begin(frozen()), candidate=0.15, overlap=60, alone=0))
    assert set(end.results()) == {CONCURRENT} and end.verdict() == "roll_back"


def test_a_hard_switch_is_held_against_the_past() -> None:
    end = last(run(Compared.begin(frozen()), candidate=0.15, overlap=0, alone=60))
    assert set(end.results()) == {BEFORE_AFTER} and end.verdict() == "roll_back"
    result = end.results()[BEFORE_AFTER]
    assert result.samples_candidate == 48 * 200, "the last hour is still open"
    good = last(run(Compared.begin(frozen()), candidate=0.05, overlap=0, alone=400))
    assert good.verdict() == "promote"


def test_without_enough_of_the_past_a_hard_switch_is_not_judged() -> None:
    end = last(run(Compared.begin(frozen(switch=False)), candidate=0.5, overlap=0, alone=60))
    assert end.results() == {} and end.verdict() == "keep_watching"


@pytest.mark.parametrize(("overlap", "heard"), [(2, BEFORE_AFTER), (60, CONCURRENT)])
def test_the_design_is_heard_that_the_rows_speak_for(overlap: int, heard: str) -> None:
    """First as good as the baseline beside it, then bad alone; or the other way round for the little of it."""
    alone = 62 - overlap
    chance = np.random.default_rng(2)
    state = Compared.begin(frozen())
    for number in range(overlap + alone):
        both = number < overlap
        rate = 0.3 if both == (heard == CONCURRENT) else 0.05
        baseline = side(chance, 200, 0.05) if both else NOBODY
        state = state.advance(T + number * BLOCK, side(chance, 200, rate), baseline)
    results = state.results()
    assert str(results[heard].verdict) == "roll_back" == state.verdict()
    assert set(results) == ({CONCURRENT, BEFORE_AFTER} if heard == BEFORE_AFTER else {CONCURRENT})


def test_a_roll_back_stays() -> None:
    bad = last(run(Compared.begin(frozen()), candidate=0.2, overlap=40, alone=0))
    assert bad.verdict() == "roll_back"
    chance = np.random.default_rng(3)
    for number in range(40, 1500):
        bad = bad.advance(T + number * BLOCK, side(chance, 200, 0.01), side(chance, 200, 0.05))
        assert bad.verdict() == "roll_back"
    assert float(bad.results()[CONCURRENT].difference) < 0, "although it has long been the better one"


def test_a_roll_back_stays_when_the_other_design_takes_over() -> None:
    bad = last(run(Compared.begin(frozen()), candidate=0.2, overlap=40, alone=0))
    chance = np.random.default_rng(5)
    for number in range(40, 400):  # all traffic goes to the new version, which has been mended
        bad = bad.advance(T + number * BLOCK, side(chance, 200, 0.01), NOBODY)
    assert str(bad.results()[BEFORE_AFTER].verdict) == "promote"
    assert bad.verdict() == "roll_back" == Compared.load(bad.save()).verdict()


@pytest.mark.parametrize("kind", ["proportion", "unbounded"])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("overlap", [0, 20, 30])
def test_what_was_saved_goes_on_bit_for_bit_and_is_plain_json(kind: str, clustered: bool, overlap: int) -> None:
    start = Compared.begin(frozen(kind, clustered=clustered, cap=40.0))
    chance = np.random.default_rng(4)
    text = json.dumps(start.save(), allow_nan=False)
    steady = start
    for number in range(30):
        baseline = side(chance, 50, 0.05, clustered) if number < overlap else NOBODY
        if clustered and number >= overlap:
            baseline = Side(NOBODY.arm, 0.0, np.zeros(BUCKETS), np.zeros(BUCKETS))
        candidate = side(chance, 50, 0.1, clustered)
        steady = steady.advance(T + number * BLOCK, candidate, baseline)
        text = json.dumps(
            Compared.load(json.loads(text)).advance(T + number * BLOCK, candidate, baseline).save(), allow_nan=False
        )
    assert text == json.dumps(steady.save(), allow_nan=False)
    again = Compared.load(json.loads(text))
    assert again.frozen == steady.frozen
    assert {name: bits(one) for name, one in again.results().items()} == {
        name: bits(one) for name, one in steady.results().items()
    }


def bits(result: Result) -> list[object]:
    plain = [np.asarray(value).item() for value in asdict(result).values()]
    return [value if isinstance(value, str) else float(value).hex() for value in plain]


def test_losses_without_errors_or_rows_save_as_plain_json_too() -> None:
    state = Compared.begin(frozen(cap=None))
    assert state.cap == math.inf
    for number in range(20):
        state = state.advance(T + number * BLOCK, Side(Arm(1e9, 0.0, 0.0)), Side(Arm(1e9, 1e9, 1e9)))
        json.dumps(state.save(), allow_nan=False)
    assert state.verdict() == "promote"


def test_the_clipped_share_is_of_both_versions() -> None:
    state = Compared.begin(frozen("unbounded", cap=3.0))
    for number in range(4):
        state = state.advance(
            T + number * BLOCK, Side(Arm(10.0, 5.0, 9.0), clipped=1.0), Side(Arm(30.0, 5.0, 9.0), clipped=2.0)
        )
    assert (state.clipped, state.rows) == (12.0, 160.0)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "keep_watching"),
        (["promote"], "promote"),
        (["promote", "promote"], "promote"),
        (["promote", "keep_watching"], "keep_watching"),
        (["promote", "roll_back"], "roll_back"),
        (["keep_watching", "roll_back"], "roll_back"),
    ],
)
def test_one_measure_is_enough_to_roll_back_and_all_are_needed_to_promote(verdicts: list[str], expected: str) -> None:
    assert overall(iter(verdicts)) == expected
