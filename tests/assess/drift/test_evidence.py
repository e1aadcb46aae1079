"""The evidence of a run is an e-value however its reference is made, and what is saved goes on bit for bit."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift import evidence
from tidegauge.assess.drift.distances import proportions
from tidegauge.assess.drift.evidence import Block, Evidence

SHARES = np.array([0.05, 0.15, 0.3, 0.3, 0.15, 0.05, 0.0])
REAL = np.ones((1, 7), np.bool_)
NEEDED = 17.0
NEVER = 1e9


def rows_of(random: np.random.Generator, n: int, shares: Floats, times: int) -> Floats:
    return random.multinomial(n, shares, size=(times, 1)).astype(np.float64)


def held(start: int, counts: Floats, reference: Floats, stratum: int = 0) -> Block:
    return Block(start, counts, proportions(reference), reference.sum(axis=-1), stratum=stratum)


def same(one: Evidence, other: Evidence) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Evidence))


def test_the_threshold_is_the_number_of_blocks_times_that_of_streams() -> None:
    assert evidence.threshold_log(90 * 86_400_000, 300_000, 30) == pytest.approx(math.log(25_920 * 30))


def test_each_alternative_is_as_scipy_has_it_and_weighs_as_is_said() -> None:
    counts, reference, real = np.array([[80.0, 70, 50]]), np.array([[600.0, 300, 100]]), np.ones((1, 3), np.bool_)
    n, m = 200, 1000.0
    found = evidence.bayes_factor(counts, n * reference / m, np.array([n**2 / m]), real)
    null = reference[0] + evidence.PRIOR / 3
    total = float(null.sum())
    share = null / total

    def factor(k: float) -> float:
        return k / (k + total)

    def all_bins(k: float) -> float:
        wide, narrow = (stats.dirichlet_multinomial.pmf(counts[0], f * null, n) for f in (factor(k), 1))
        return float(np.divide(wide, narrow))

    def two(k: int, n: int, a: float, b: float) -> float:
        f = factor(evidence.CONCENTRATIONS[evidence.OF_TWO[0]])
        return float(stats.betabinom.pmf(k, n, f * a, f * b) / stats.betabinom.pmf(k, n, a, b))

    whole = np.mean([all_bins(k) for k in evidence.CONCENTRATIONS])
    pairs = 2 * (share[0] * share[1] + share[0] * share[2] + share[1] * share[2])
    pair = 2 * share[0] * share[2] / pairs * two(50, 130, null[2], null[0])  # 100 have become 50 of 200, 600 but 80
    single = math.sqrt(share[2]) / np.sqrt(share).sum() * two(50, 200, null[2], total - null[2])
    assert sum(evidence.WEIGHTS) == pytest.approx(1)
    assert found[0] == pytest.approx(math.log(np.dot(evidence.WEIGHTS, [whole, pair, single])), rel=1e-9)


@pytest.mark.parametrize("size", [50, 1000, 100_000])
@pytest.mark.parametrize("n", [5, 100, 5000])
def test_without_a_change_a_bayes_factor_has_a_mean_of_at_most_one(n: int, size: int) -> None:
    random = np.random.default_rng(n + size)
    times = 20_000
    for shares in (SHARES, np.array([0.9, 0.09, 0.008, 0.001, 0.0007, 0.0003, 0])):
        now, then = rows_of(random, n, shares, times)[:, 0], rows_of(random, size, shares, times)[:, 0]
        variance = np.full(times, n**2 / size)
        factor = np.exp(evidence.bayes_factor(now, n * then / size, variance, np.broadcast_to(REAL, now.shape)))
        assert factor.mean() <= 1.05 + 4 * factor.std() / math.sqrt(times)


def test_several_blocks_against_one_reference_are_as_one_block_of_all_their_rows() -> None:
    random = np.random.default_rng(1)
    then, parts = rows_of(random, 2000, SHARES, 1), [rows_of(random, n, SHARES, 1) for n in (40, 300, 7)]
    state = Evidence.empty(then.shape)
    with_moved = [part + np.array([60.0, 0, 0, 0, 0, 0, 0]) for part in parts]
    for number, part in enumerate(with_moved):
        state = evidence.advance(state, held(number, part, then), REAL, NEVER)
    whole = evidence.advance(Evidence.empty(then.shape), held(0, np.sum(with_moved, axis=0), then), REAL, NEVER)
    assert np.allclose(state.log, whole.log, rtol=1e-9)
    assert np.allclose(state.reference_rows(), 2000)


def test_references_of_other_strata_add_up_and_those_of_one_do_not() -> None:
    random = np.random.default_rng(2)
    far = np.roll(SHARES, 1)
    shared, own = Evidence.empty((1, 1, 7)), Evidence.empty((1, 1, 7))
    for number in range(10):
        now, then = rows_of(random, 100, far, 1), rows_of(random, 500, SHARES, 1)
        shared = evidence.advance(shared, held(number, now, then, 3), REAL, NEVER)
        own = evidence.advance(own, held(number, now, then, number), REAL, NEVER)
    assert np.allclose(shared.reference_rows(), 500)
    assert np.allclose(own.reference_rows(), 5000)
    assert (own.log > shared.log).all()


@pytest.mark.parametrize("size", [30, 1000])
def test_a_concurrent_reference_as_small_as_the_block_gives_no_false_evidence(size: int) -> None:
    """Every block has its own rows of the previous version, and the composition swings for both alike."""
    random = np.random.default_rng(3)
    state = Evidence.empty((400, 1, 7))
    highest = -np.inf
    for number in range(288):
        shares = SHARES * np.exp(0.5 * math.sin(2 * math.pi * number / 288) * np.arange(7))
        shares = shares / shares.sum()
        now, then = (rows_of(random, n, shares, 400) for n in (100, size))
        state = evidence.advance(state, held(number, now, then, number), REAL, NEEDED)
        highest = max(highest, float(state.log.max()))
    assert highest < math.log(400 * 288) + 3


def test_a_finite_reference_is_no_evidence_however_many_rows_are_held_against_it() -> None:
    random = np.random.default_rng(4)
    then = rows_of(random, 1000, SHARES, 1000)
    state = Evidence.empty(then.shape)
    for number in range(20):
        state = evidence.advance(state, held(number, rows_of(random, 100_000, SHARES, 1000), then), REAL, NEEDED)
    assert state.log.max() < math.log(1000 * 20) + 3


@pytest.mark.parametrize(("n", "blocks"), [(10, 300), (100, 30), (1000, 4), (100_000, 1)])
def test_a_shift_is_found_within_rows_not_blocks_and_its_start_is_known(n: int, blocks: int) -> None:
    random = np.random.default_rng(5)
    then = rows_of(random, 10_000, SHARES, 200)
    moved = np.array([0.03, 0.11, 0.26, 0.32, 0.2, 0.08, 0])
    state = Evidence.empty(then.shape)
    for number in range(50 + blocks):
        now = rows_of(random, n, SHARES if number < 50 else moved, 200)
        state = evidence.advance(state, held(1000 + number, now, then), REAL, NEEDED)
    found = state.log[:, 0] >= NEEDED
    assert found.mean() >= 0.95
    assert abs(float(np.median(state.start[found])) - 1050) <= max(200 / n, 1)


def test_bins_that_the_reference_has_never_seen_are_found() -> None:
    then = np.array([[[5000.0, 5000, 0, 0, 0, 0, 0]]])
    state = Evidence.empty(then.shape)
    state = evidence.advance(state, held(1, np.array([[[49.0, 50, 1, 0, 0, 0, 0]]]), then), REAL, NEEDED)
    assert state.log[0, 0] < 3
    for number in range(5):
        state = evidence.advance(state, held(2 + number, np.array([[[48.0, 49, 3, 0, 0, 0, 0]]]), then), REAL, NEEDED)
    assert state.log[0, 0] > NEEDED


def test_a_feature_that_goes_missing_whole_is_found_at_once() -> None:
    then = np.array([[[2000.0, 3000, 5000, 0, 0, 0, 0]]])
    gone = np.array([[[0.0, 0, 0, 0, 0, 0, 20]]])
    assert evidence.advance(Evidence.empty(then.shape), held(1, gone, then), REAL, NEEDED).log[0, 0] > NEEDED


@pytest.mark.parametrize("n", [100, 10_000])
def test_evidence_stays_bounded_while_a_shift_lasts_and_falls_soon_after_it_ends(n: int) -> None:
    random = np.random.default_rng(6)
    then = rows_of(random, 10_000, SHARES, 100)
    moved = np.array([0.02, 0.08, 0.24, 0.33, 0.22, 0.11, 0])
    state = Evidence.empty(then.shape)
    for number in range(400):
        state = evidence.advance(state, held(number, rows_of(random, n, moved, 100), then), REAL, NEEDED)
        assert state.log.max() <= evidence.ROOM * NEEDED
        if number >= 20:
            assert (state.log >= NEEDED).mean() > 0.98
    for number in range(25):
        state = evidence.advance(state, held(400 + number, rows_of(random, n, SHARES, 100), then), REAL, NEEDED)
    assert (state.log >= NEEDED).mean() <= 0.05


def test_a_very_long_quiet_run_cannot_drown_a_shift() -> None:
    then = 100_000 * SHARES[None, None]
    state = replace(
        Evidence.empty(then.shape),
        current=1e7 * SHARES[None, None],
        expected=1e7 * SHARES[None, None],
        open=np.full((1, 1), 1e7 / math.sqrt(1e5)),
    )
    state = evidence.advance(state, held(1, 10_000 * SHARES[None, None], then), REAL, NEEDED)
    assert state.rows().max() <= evidence.LONGEST_RUN


def test_a_design_effect_makes_rows_fewer() -> None:
    then, now = 10_000 * SHARES[None, None], 1000 * np.roll(SHARES, 1)[None, None]
    block = held(1, now, then)
    alone = evidence.advance(Evidence.empty(then.shape), replace(block, counts=now / 20), REAL, NEVER)
    units = evidence.advance(Evidence.empty(then.shape), replace(block, design_effect=20.0), REAL, NEVER)
    assert np.allclose(units.log, alone.log, rtol=1e-9)
    assert np.allclose(units.rows(), 50)
    both = evidence.advance(Evidence.empty(then.shape), replace(block, reference_design_effect=10.0), REAL, NEVER)
    assert np.allclose(both.reference_rows(), 1000)


def test_a_block_without_rows_or_without_a_reference_changes_nothing() -> None:
    random = np.random.default_rng(7)
    then, now = rows_of(random, 1000, SHARES, 3), rows_of(random, 100, np.roll(SHARES, 1), 3)
    state = evidence.advance(Evidence.empty(then.shape), held(5, now, then), REAL, NEEDED)
    assert (state.log > 0).all()
    assert same(state, evidence.advance(state, held(6, 0 * now, then, 9), REAL, NEEDED))
    assert same(state, evidence.advance(state, held(6, now, 0 * then, 9), REAL, NEEDED))
    one = np.array([1.0, 0, 0])[:, None, None]
    first = evidence.advance(state, held(6, now * one, then), REAL, NEEDED)
    assert (first.rows()[1:] == state.rows()[1:]).all() and first.rows()[0] == 2 * state.rows()[0]


def test_padding_and_neighbours_make_no_difference() -> None:
    random = np.random.default_rng(8)
    then, now = rows_of(random, 1000, SHARES, 4), rows_of(random, 100, np.roll(SHARES, 1), 4)
    alone = evidence.advance(Evidence.empty((1, 1, 7)), held(1, now[:1], then[:1]), REAL, NEEDED)
    wide_now, wide_then = (np.concatenate([one, np.zeros((4, 1, 5))], axis=-1) for one in (now, then))
    real = np.concatenate([REAL, np.zeros((1, 5), np.bool_)], axis=-1)
    padded = evidence.advance(Evidence.empty((4, 1, 12)), held(1, wide_now, wide_then), real, NEEDED)
    assert padded.log[0, 0] == pytest.approx(alone.log[0, 0], rel=1e-12)


def test_streams_weighed_together_are_as_each_alone_bit_for_bit() -> None:
    """One drifts and fades, one has no rows at first, one no reference at first, one changes its stratum."""
    random = np.random.default_rng(11)
    shares = [np.roll(SHARES, 3), SHARES, SHARES, SHARES]
    alone = [Evidence.empty((3, 7)) for _ in shares]
    together = evidence.stack(alone)
    for number in range(40):
        now = np.stack([random.multinomial(60, one, size=3) for one in shares]).astype(np.float64)
        then = random.multinomial(900, SHARES, size=(4, 3)).astype(np.float64)
        if number < 10:
            now[1], then[2] = 0.0, 0.0
        strata = np.array([[0], [0], [0], [number // 7]])
        blocks = Block(
            number, now, then / np.maximum(then.sum(axis=-1, keepdims=True), 1), then.sum(axis=-1), stratum=strata
        )
        together = evidence.advance(together, blocks, np.repeat(REAL, 3, axis=0), NEEDED)
        for place, state in enumerate(alone):
            one = replace(
                blocks,
                counts=blocks.counts[place],
                proportions=blocks.proportions[place],
                reference_size=then[place].sum(axis=-1),
                stratum=strata[place],
            )
            alone[place] = evidence.advance(state, one, np.repeat(REAL, 3, axis=0), NEEDED)
    assert all(same(*both) for both in zip(alone, evidence.split(together), strict=True))
    assert alone[0].log.min() > NEEDED > alone[3].log.max()


def test_saved_and_restored_it_goes_on_bit_for_bit() -> None:
    random = np.random.default_rng(9)
    then = rows_of(random, 1000, SHARES, 5)
    blocks = [
        held(number, rows_of(random, 50, SHARES if number < 20 else np.roll(SHARES, 1), 5), then, number // 12)
        for number in range(60)
    ]
    straight = Evidence.empty(then.shape)
    for block in blocks:
        straight = evidence.advance(straight, block, REAL, NEEDED)
    interrupted = Evidence.empty(then.shape)
    for block in blocks:
        interrupted = Evidence.from_json(json.loads(json.dumps(interrupted.to_json(), allow_nan=False)))
        interrupted = evidence.advance(interrupted, block, REAL, NEEDED)
    assert same(straight, interrupted)
    assert straight.log.min() > NEEDED
    none = Evidence.empty((0, 7))
    assert Evidence.from_json(json.loads(json.dumps(none.to_json()))).current.shape == (0, 7)


def test_the_state_that_is_given_stays_as_it_was() -> None:
    random = np.random.default_rng(10)
    then = rows_of(random, 1000, SHARES, 2)
    before = evidence.advance(Evidence.empty(then.shape), held(1, rows_of(random, 90, SHARES, 2), then), REAL, NEEDED)
    copy = Evidence.from_json(before.to_json())
    evidence.advance(before, held(2, rows_of(random, 90, SHARES, 2), then), REAL, NEEDED)
    assert same(before, copy)


def test_gammaln_keeps_enough_digits_for_the_largest_reference() -> None:
    largest = evidence.LARGEST_REFERENCE + evidence.LONGEST_RUN
    assert abs(gammaln(largest + 1) - gammaln(largest) - math.log(largest)) < 1e-5
