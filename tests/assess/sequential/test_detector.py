"""The detector promises a run length whatever the stream, finds rises soon, and says when they began."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from scipy import stats

from tidegauge.assess.sequential import detector
from tidegauge.assess.sequential.detector import RATIOS, Bank, loss_rates, loss_steps, proportion_steps

BLOCK = 300_000


def test_a_step_of_a_proportion_is_the_likelihood_ratio_of_scipys_binomial() -> None:
    rate = np.array([0.02, 0.05, 0.4])
    risen = RATIOS * rate[:, None] / (1 - rate[:, None] + RATIOS * rate[:, None])
    counts = np.array([0, 7, 33])
    theirs = stats.binom.logpmf(counts[:, None], 40, risen) - stats.binom.logpmf(counts, 40, rate)[:, None]
    assert np.allclose(proportion_steps(np.full(3, 40), counts, rate), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 0.9])
def test_a_proportions_factor_has_mean_one_at_its_bound_and_less_below(rate: float) -> None:
    counts = np.arange(31)
    factors = np.exp(proportion_steps(np.full(31, 30), counts, np.full(31, rate)))
    assert np.allclose(stats.binom.pmf(counts, 30, rate) @ factors, 1, rtol=0, atol=1e-9)
    assert (stats.binom.pmf(counts, 30, rate * 0.9) @ factors < 1).all()


@pytest.mark.parametrize(
    "losses",
    [stats.expon(), stats.lognorm(1.5), stats.lognorm(0.1), stats.bernoulli(0.05), stats.uniform(), stats.pareto(2.1)],
    ids=["exponential", "skew 33", "narrow", "zero or one", "uniform", "heavy tail"],
)
def test_a_losss_factor_has_mean_at_most_one_at_its_bound(losses: stats.rv_continuous) -> None:
    mean, variance = float(losses.mean()), float(losses.var())
    y = losses.rvs(size=400_000, random_state=np.random.default_rng(5))
    n = np.ones_like(y)
    rates = loss_rates(np.full(y.shape, variance / mean**2))
    factors = np.exp(loss_steps(n, y, y**2, n * mean, n * mean, 0.0, rates))
    error = factors.std(axis=0) / np.sqrt(y.size)
    assert (factors.mean(axis=0) <= 1 + 4 * error).all()


def test_losses_may_be_negative_down_to_the_lowest() -> None:
    rng = np.random.default_rng(6)
    y = rng.exponential(1, 400_000) * 0.3 - 0.3
    n = np.ones_like(y)
    rates = loss_rates(np.full(y.shape, 0.09 / 0.25))
    factors = np.exp(loss_steps(n, y, y**2, 0 * n, 0 * n, -0.5, rates))
    assert (factors.mean(axis=0) <= 1 + 4 * factors.std(axis=0) / np.sqrt(y.size)).all()


def test_steps_of_a_block_are_the_sum_of_the_steps_of_its_rows() -> None:
    y = np.random.default_rng(7).exponential(2, 50)
    one = np.ones(50)
    rates = loss_rates(np.ones(1))
    rows = loss_steps(one, y, y**2, 2.1 * one, 2 * one, 0.0, rates).sum(axis=0)
    block = loss_steps([50.0], [y.sum()], [(y**2).sum()], [2.1], [2.0], 0.0, rates)[0]
    assert np.allclose(rows, block, rtol=0, atol=1e-9)


def test_more_variance_between_hours_than_chance_gives_discounts_the_evidence() -> None:
    steps = np.array([[2.0, -4.0]])
    assert np.allclose(detector.discounted(steps, [100.0], [0.01]), steps / 2)
    assert np.array_equal(detector.discounted(steps, [100.0], [0.0]), steps)


def test_without_a_change_false_alarms_are_rarer_than_promised() -> None:
    rng, promised, streams = np.random.default_rng(8), 500.0, 2000
    statistic, watched, alarms = np.zeros((streams, RATIOS.size)), 0, 0
    for _ in range(1000):
        errors = rng.binomial(20, 0.05, streams)
        steps = proportion_steps(np.full(streams, 20), errors, np.full(streams, 0.05))
        statistic = detector.climb(statistic, steps, 1e6)
        over = detector.evidence(statistic) >= promised
        watched, alarms = watched + streams, alarms + int(over.sum())
        statistic[over] = 0
    assert alarms > 100
    assert watched / alarms >= promised


def risen_after(blocks: int, then: float, last: int) -> tuple[Bank, list[bool]]:
    """A stream of 40 rows a block at 5 %, from the given block on at another rate, and from `last` at 5 % again."""
    rng = np.random.default_rng(9)
    bank, said = Bank.empty().add("a"), []
    for block in range(last + 400):
        errors = rng.binomial(40, then if blocks <= block < last else 0.05, 1)
        steps = proportion_steps([40], errors, [0.05])
        bank = bank.advance(block * BLOCK, [40], steps, 25_920.0)
        said.append(bool(bank.detected[0]))
        if block == last - 1:
            held = bank
    return held, said


def test_a_rise_is_detected_dated_and_over_when_it_is_over() -> None:
    bank, said = risen_after(500, 0.12, 600)
    assert not any(said[:500])
    assert any(said[500:520])
    assert all(said[520:600])
    assert not any(said[640:])
    assert abs(int(bank.started_at()[0]) - 500 * BLOCK) <= 3 * BLOCK
    assert bank.detections.tolist() == [1]
    assert bank.evidence()[0] >= 25_920


def test_the_start_stays_what_it_was_when_it_was_detected_however_a_rot_goes_on() -> None:
    bank, said = Bank.empty().add("a"), set()
    for block in range(600):
        errors = 10 + 0.1 * max(block - 200, 0)  # of 200, from 5 % to 25 %
        bank = bank.advance(block * BLOCK, [200], proportion_steps([200], [errors], [0.05]), 25_920.0)
        if bank.detected[0]:
            said.add(int(bank.started_at()[0]))
    assert len(said) == 1 and 200 * BLOCK <= said.pop() <= 260 * BLOCK


def test_a_stream_without_rows_stays_as_it_is() -> None:
    bank = Bank.empty().add("a", "b")
    bank = bank.advance(0, [10, 10], proportion_steps([10, 10], [3, 3], [0.05, 0.05]), 1000.0)
    after = bank.advance(BLOCK, [0, 10], proportion_steps([0, 10], [0, 0], [0.05, 0.05]), 1000.0)
    assert np.array_equal(after.statistic[0], bank.statistic[0])
    assert not np.array_equal(after.statistic[1], bank.statistic[1])


def test_streams_come_and_go_without_touching_the_others() -> None:
    bank = Bank.empty().add("a", "b")
    bank = bank.advance(0, [10, 10], proportion_steps([10, 10], [3, 1], [0.05, 0.05]), 1000.0)
    grown = bank.add("c").remove("a")
    assert grown.keys == ("b", "c")
    assert grown.evidence().tolist() == [bank.evidence()[1], 0.0]
    with pytest.raises(ValueError, match="there already"):
        grown.add("b")


def test_a_saved_bank_is_the_same_bank_bit_for_bit() -> None:
    bank, _ = risen_after(5, 0.5, 20)
    again = Bank.from_json(json.loads(json.dumps(bank.to_json(), allow_nan=False)))
    steps = proportion_steps([40], [9], [0.05])
    one, other = (each.advance(10**6, [40], steps, 25_920.0) for each in (bank, again))
    assert one.to_json() == other.to_json()


def test_no_block_overflows_and_evidence_stays_finite() -> None:
    bank = Bank.empty().add("a")
    for block in range(5):
        bank = bank.advance(block, [1e9], proportion_steps([1e9], [1e9], [1e-6]), 1000.0)
    assert bank.evidence().tolist() == [1e6]
    json.dumps(bank.to_json(), allow_nan=False)


def test_150_streams_take_less_than_a_fifth_of_a_millisecond_a_block() -> None:
    bank = Bank.empty().add(*map(str, range(150)))
    n, errors, bound = np.full(150, 40.0), np.full(150, 2.0), np.full(150, 0.05)
    taken = []
    for block in range(300):
        begin = time.perf_counter()
        bank = bank.advance(block, n, proportion_steps(n, errors, bound), 1000.0)
        taken.append(time.perf_counter() - begin)
    assert float(np.quantile(taken, 0.1)) < 200e-6
