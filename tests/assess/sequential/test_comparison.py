"""Candidate against baseline: sums as defined, verdicts that latch, states that survive JSON, rates that hold."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bench import statistics_release as bench
from tidegauge.assess.sequential import comparison
from tidegauge.assess.sequential.clusters import BUCKETS, Buckets
from tidegauge.assess.sequential.comparison import Arm, Kind, State, advance, default_margin, plan, read
from tidegauge.assess.sequential.verdict import KEEP_WATCHING, PROMOTE, ROLL_BACK, decide

BLOCKS = [(40, 3, 160, 10), (55, 5, 205, 9), (0, 0, 300, 20), (10, 0, 0, 0), (60, 4, 140, 8)]


def run(kind: Kind, rate: float, blocks: list[tuple[int, int, int, int]]) -> tuple[State, comparison.Plan]:
    """Blocks of 0/1 losses: candidate's rows and errors, baseline's rows and errors."""
    chosen = plan(kind, rate, rate * (1 - rate), 0.02)
    state = State.empty(chosen)
    for n_c, x_c, n_b, x_b in blocks:
        state = advance(state, chosen, Arm(n_c, x_c, x_c), Arm(n_b, x_b, x_b))
    return state, chosen


def test_only_what_both_arms_saw_at_one_time_is_compared() -> None:
    state, _ = run("proportion", 0.05, BLOCKS)
    assert float(state.candidate_n) == 155
    assert float(state.baseline_n) == 505
    weights = [n_c * n_b / (n_c + n_b) for n_c, _, n_b, _ in BLOCKS if n_c and n_b]
    assert float(state.weight) == pytest.approx(sum(weights))


def test_the_difference_is_that_of_mantel_and_haenszel() -> None:
    """Greenland and Robins 1985, Biometrics 41:55, eq. 3."""
    state, chosen = run("proportion", 0.05, BLOCKS)
    both = [block for block in BLOCKS if block[0] and block[2]]
    above = sum((x_c * n_b - x_b * n_c) / (n_c + n_b) for n_c, x_c, n_b, x_b in both)
    below = sum(n_c * n_b / (n_c + n_b) for n_c, _, n_b, _ in both)
    assert float(read(state, chosen).difference) == pytest.approx(above / below, rel=1e-12)


def test_shuffled_errors_vary_as_cochran_mantel_haenszel_says() -> None:
    """The variance under the null is the sum of hypergeometric variances (Mantel and Haenszel 1959)."""
    state, _ = run("proportion", 0.05, BLOCKS)
    total = 0.0
    for n_c, x_c, n_b, x_b in BLOCKS:
        if n_c and n_b:
            n, m = n_c + n_b, x_c + x_b
            total += n_c * n_b * m * (n - m) / (n**2 * (n - 1))
    assert float(state.shuffled) == pytest.approx(total, rel=1e-12)


def test_the_variance_of_losses_is_that_of_welch_or_the_pooled_one_whichever_is_larger() -> None:
    random = np.random.default_rng(1)
    chosen = plan("unbounded", 1.0, 1.0, 0.1)
    arms = [(random.normal(1, sd, 30), random.normal(1, 1, 90)) for sd in (2, 2, 2)]
    state = State.empty(chosen)
    for c, b in arms:
        state = advance(state, chosen, Arm(c.size, c.sum(), (c**2).sum()), Arm(b.size, b.sum(), (b**2).sum()))
    c, b = (np.concatenate([pair[i] for pair in arms]) for i in (0, 1))
    w = 30 * 90 / 120
    welch = 3 * w**2 * (c.var(ddof=1) / 30 + b.var(ddof=1) / 90)
    pooled = 3 * w * np.concatenate([c, b]).var(ddof=1)
    assert welch > pooled
    assert float(comparison.variance(state, chosen)) == pytest.approx(welch, rel=1e-9)


def test_a_state_survives_json_bit_for_bit() -> None:
    random = np.random.default_rng(2)
    for clustered in (False, True):
        chosen = plan("proportion", 0.07, 0.0651, 0.02, clustered=clustered)
        state = again = State.empty(chosen)
        for _ in range(5):
            n_c, n_b = random.integers(1, 9, BUCKETS).astype(float), random.integers(1, 9, BUCKETS).astype(float)
            buckets = Buckets(n_c, n_c * 0.1, n_b, n_b * 0.07)
            block = [Arm(n.sum(), s, s) for n, s in ((n_c, (n_c * 0.1).sum()), (n_b, (n_b * 0.07).sum()))]
            again = State.from_json(json.loads(json.dumps(again.to_json(), allow_nan=False)))
            state, again = (advance(one, chosen, block[0], block[1], buckets) for one in (state, again))
        assert json.dumps(state.to_json()) == json.dumps(again.to_json())


def test_many_comparisons_at_once_are_the_same_as_one_after_the_other() -> None:
    random = np.random.default_rng(3)
    for kind, rate in (("proportion", 0.05), ("proportion", 0.4), ("unbounded", 0.4)):
        chosen = plan(kind, rate, rate * (1 - rate), 0.02)  # type: ignore[arg-type]
        many, single = State.empty(chosen, (3,)), [State.empty(chosen) for _ in range(3)]
        for _ in range(40):
            n_c, n_b = random.integers(0, 30, 3).astype(float), random.integers(0, 90, 3).astype(float)
            x_c, x_b = n_c * random.random(3) * 0.2, n_b * random.random(3) * 0.1
            many = advance(many, chosen, Arm(n_c, x_c, x_c), Arm(n_b, x_b, x_b))
            single = [
                advance(one, chosen, Arm(n_c[i], x_c[i], x_c[i]), Arm(n_b[i], x_b[i], x_b[i]))
                for i, one in enumerate(single)
            ]
        together, apart = read(many, chosen), [read(one, chosen) for one in single]
        for name in ("difference", "lower", "log_evidence_harm", "log_evidence_non_inferiority", "samples_needed"):
            assert np.allclose(getattr(together, name), [getattr(one, name) for one in apart], equal_nan=True)
        assert [*together.verdict] == [one.verdict for one in apart]


@pytest.mark.parametrize(
    ("before", "harm", "within", "after"),
    [
        (KEEP_WATCHING, 2.9, 2.9, KEEP_WATCHING),
        (KEEP_WATCHING, 3.0, 2.9, ROLL_BACK),
        (KEEP_WATCHING, 2.9, 3.0, PROMOTE),
        (KEEP_WATCHING, 3.0, 3.0, PROMOTE),
        (PROMOTE, 3.0, 3.0, PROMOTE),
        (PROMOTE, 2.9, 1.0, PROMOTE),
        (PROMOTE, 3.0, 2.9, ROLL_BACK),
        (ROLL_BACK, 0.0, 9.0, ROLL_BACK),
    ],
)
def test_verdicts_latch_and_a_promotion_gives_way_only_to_proven_harm(
    before: int, harm: float, within: float, after: int
) -> None:
    now = decide(np.asarray(before, dtype=np.int8), np.asarray(harm), np.asarray(within), True, 0.05, 0.05)
    assert int(now) == after


def test_nothing_is_said_before_the_normal_approximation_holds() -> None:
    chosen = plan("unbounded", 1.0, 1.0, 0.1)
    state = advance(State.empty(chosen), chosen, Arm(99, 990, 9990), Arm(500, 500, 1000))
    result = read(state, chosen)
    assert result.verdict == "keep_watching"
    assert math.isnan(float(result.difference))
    assert math.isnan(float(result.lower))
    assert float(result.log_evidence_harm) > 3
    state = advance(state, chosen, Arm(1, 10, 100), Arm(5, 5, 10))
    assert read(state, chosen).verdict == "roll_back"


def test_an_empty_comparison_says_how_many_rows_a_verdict_takes() -> None:
    chosen = plan("proportion", 0.05, 0.05 * 0.95, 0.01)
    result = read(State.empty(chosen), chosen)
    assert float(result.samples_needed) == pytest.approx((2.76 / 0.01) ** 2 * 0.05 * 0.95, rel=0.01)
    assert math.isnan(float(result.difference))


def test_what_is_needed_shrinks_as_rows_come_and_ends_with_the_verdict() -> None:
    chosen = plan("proportion", 0.1, 0.09, 0.02)
    state, needed = State.empty(chosen), []
    while read(state, chosen).verdict == "keep_watching":
        state = advance(state, chosen, Arm(100, 10, 10), Arm(900, 90, 90))
        needed.append(float(read(state, chosen).samples_needed))
    assert needed[-1] == 0
    assert all(later < earlier for earlier, later in pairwise(needed))
    total = 100 * len(needed)
    half = needed[len(needed) // 2 - 1]
    assert half == pytest.approx(total / 2, rel=0.4)


def test_a_baseline_without_errors_can_still_be_compared() -> None:
    chosen = plan("proportion", 0.0, 0.0, default_margin(0.0))
    state = State.empty(chosen)
    for _ in range(30):
        state = advance(state, chosen, Arm(200, 0, 0), Arm(800, 0, 0))
    assert read(state, chosen).verdict == "keep_watching"  # no error, no evidence: the test looks at errors only
    for _ in range(3):
        state = advance(state, chosen, Arm(200, 4, 4), Arm(800, 0, 0))
    assert read(state, chosen).verdict == "roll_back"


@pytest.mark.parametrize("change", [{"margin": 0.0}, {"alpha_harm": 0.6}, {"alpha_promote": 0.0}])
def test_a_plan_that_makes_no_sense_is_refused(change: dict[str, float]) -> None:
    numbers = {"rate": 0.05, "variance": 0.05, "margin": 0.01, **change}
    with pytest.raises(ValueError, match="margin"):
        plan("proportion", **numbers)  # type: ignore[arg-type]


def test_the_test_suits_the_measure() -> None:
    def test(kind: Kind, rate: float, clustered: bool = False) -> str:
        return plan(kind, rate, 0.1, 0.01, clustered=clustered).test

    assert test("proportion", 0.2) == "error_arm"
    assert test("proportion", 0.21) == test("bounded", 0.1) == test("proportion", 0.1, True) == "normal_mixture"


def at_most(figure: bench.Figure) -> bool:
    """Whether the rate is at most its bar, but for three Monte-Carlo errors at the bar."""
    repetitions = figure.value * (1 - figure.value) / figure.error**2 if figure.error else math.inf
    return figure.value <= figure.bar + 3 * math.sqrt(figure.bar * (1 - figure.bar) / repetitions)


def test_a_ramp_over_a_daily_cycle_fools_nobody() -> None:
    rate = 0.05
    margin = default_margin(rate)
    names: tuple[comparison.Test, ...] = ("error_arm", "normal_mixture")
    for name in names:
        chosen = replace(plan("proportion", rate, rate * (1 - rate), margin), test=name)
        none = bench.watch(chosen, bench.errors(rate, 0.0, bench.ramp, bench.cycle), 150, bench.LOOKS, 1)
        assert at_most(bench.frequency("", "", none.harm))
        assert at_most(bench.frequency("", "", none.missed))
        assert at_most(bench.frequency("", "", none.rolled_back))
        same = bench.watch(chosen, bench.errors(rate, margin, bench.ramp, bench.cycle), 150, bench.LOOKS, 2, margin)
        assert at_most(bench.frequency("", "", same.promoted))


def test_a_harmless_release_is_promoted_and_a_bad_one_rolled_back() -> None:
    rate = 0.05
    chosen = plan("proportion", rate, rate * (1 - rate), 0.01)
    good = bench.watch(chosen, bench.errors(rate, 0.0, lambda k: 0.05, lambda k: 1.0), 200, 300, 3)
    bad = bench.watch(chosen, bench.errors(rate, 0.03, lambda k: 0.05, lambda k: 1.0), 200, 300, 4, 0.03)
    assert good.promoted.mean() > 0.95
    assert bad.rolled_back.mean() > 0.99
    assert bad.promoted.mean() < 0.02


def test_twenty_predictions_a_user_do_not_count_as_twenty_users() -> None:
    chosen = plan("proportion", 0.1, 0.09, 0.02, clustered=True)
    naive = plan("proportion", 0.1, 0.09, 0.02)
    draw = bench.users(200, 5, 0.1, 0.3, 0.2, True, 20, 20)
    assert at_most(bench.frequency("", "", bench.watch(chosen, draw, 200, 20, 5).harm))
    assert bench.watch(naive, draw, 200, 20, 5).harm.mean() > 0.1  # so the test can fail


def test_skewed_losses_and_unequal_spreads_keep_their_level() -> None:
    for source, rate, variance, margin in (
        (bench.skewed, 2.9, 20.0, 0.6),
        (bench.spread_times(2.0), 3.0, 1.0, 0.1),
        (bench.spread_times(0.5), 3.0, 1.0, 0.1),
    ):
        chosen = plan("unbounded", rate, variance, margin)
        none = bench.watch(chosen, bench.losses(source, 0.05, 200), 300, 100, 6)
        assert at_most(bench.frequency("", "", none.harm))
        assert at_most(bench.frequency("", "", none.missed))


def test_a_clustered_comparison_needs_its_buckets() -> None:
    chosen = plan("proportion", 0.1, 0.09, 0.02, clustered=True)
    with pytest.raises(ValueError, match="buckets"):
        advance(State.empty(chosen), chosen, Arm(1, 0, 0), Arm(1, 0, 0))
