"""The discrepancy of vectors: its floor and level where nothing moves, its power, and its evidence over time."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tidegauge.assess.drift.multivariate import SHORTEST, Block, Runs, advance, discrepancy, p_value
from tidegauge.tally.features.embedding import Projection, VectorCounter, learn_projection

Floats = NDArray[np.float64]


def normal(random: np.random.Generator, rows: int, dimension: int, shift: float = 0.0) -> Floats:
    """Independent standard normal coordinates; the first is shifted."""
    vectors = random.normal(size=(rows, dimension))
    vectors[:, 0] += shift
    return vectors


@cache
def reference(dimension: int, rows: int, pairs: int) -> VectorCounter:
    return VectorCounter(learn_projection(normal(np.random.default_rng(99), rows, dimension), pairs))


def windows(counter: VectorCounter, vectors: Floats, count: int) -> Floats:
    """Mean phi of so many equal parts."""
    local = np.repeat(np.arange(count), len(vectors) // count)
    return counter.projection.means(counter.accumulate(vectors, local, count))


class TestOneWindow:
    def test_floor_and_level_are_those_of_the_theory(self) -> None:
        """64 dimensions, 200 rows: mean .003138; the p-value is uniform, far into its tail."""
        counter = reference(64, 30_000, 128)
        projection = counter.projection
        means = windows(counter, normal(np.random.default_rng(1), 300_000, 64), 1500)
        found = discrepancy(means, 200, np.array(projection.mean), projection.rows, projection.spectrum)
        assert float(found.distance.mean()) == pytest.approx(0.003138, rel=0.02)
        assert float(found.floor) == pytest.approx(0.003138, rel=0.02)
        assert abs(float(found.excess.mean())) < 4 * float(found.excess.std()) / math.sqrt(1500)
        assert float((found.p_value < 0.05).mean()) == pytest.approx(0.05, abs=0.015)
        assert float((found.p_value < 0.01).mean()) == pytest.approx(0.01, abs=0.007)

    def test_a_small_shift_of_one_coordinate_of_64_is_found(self) -> None:
        counter = reference(64, 30_000, 128)
        projection = counter.projection
        for shift, least in ((0.25, 0.9), (0.5, 1.0)):
            means = windows(counter, normal(np.random.default_rng(2), 200_000, 64, shift), 200)
            found = discrepancy(means, 1000, np.array(projection.mean), projection.rows, projection.spectrum)
            assert float((found.p_value < 0.05).mean()) >= least

    def test_excess_is_the_unbiased_mmd_of_the_kernel(self) -> None:
        random = np.random.default_rng(3)
        before, now = normal(random, 800, 5), normal(random, 700, 5, 0.7)
        counter = VectorCounter(learn_projection(before, 512))
        projection = counter.projection
        found = discrepancy(windows(counter, now, 1)[0], 700, np.array(projection.mean), 800, projection.spectrum)

        def kernel(x: Floats, y: Floats) -> Floats:
            distances = np.square(x[:, None] - y[None, :]).sum(axis=2)
            return np.asarray(np.exp(-distances / (2 * projection.sigma**2)), dtype=np.float64)

        within = [(k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in (kernel(before, before), kernel(now, now))]
        plain = sum(within) - 2 * kernel(before, now).mean()
        # The floor takes the spread of the reference for that of both, hence a little more than the noise of W.
        assert float(found.excess) == pytest.approx(float(plain), rel=0.05)

    def test_effect_does_not_exceed_the_divergence(self) -> None:
        """Two normal distributions half a standard deviation apart: chi-squared divergence exp(.25) - 1."""
        counter = reference(3, 20_000, 64)
        projection = counter.projection
        mean = windows(counter, normal(np.random.default_rng(4), 100_000, 3, 0.5), 1)[0]
        found = discrepancy(mean, 100_000, np.array(projection.mean), projection.rows, projection.spectrum)
        assert 0.4 * (math.exp(0.25) - 1) < float(found.effect) < math.exp(0.25) - 1

    def test_repeated_units_count_once(self) -> None:
        counter = reference(10, 20_000, 64)
        projection = counter.projection
        vectors = np.repeat(normal(np.random.default_rng(5), 40_000, 10), 5, axis=0)
        means = windows(counter, vectors, 400)
        found = discrepancy(means, 500, np.array(projection.mean), projection.rows, projection.spectrum, 5.0)
        assert float((found.p_value < 0.05).mean()) == pytest.approx(0.05, abs=0.035)

    def test_the_reference_itself_is_uncertain(self) -> None:
        random = np.random.default_rng(6)
        counter = reference(10, 20_000, 64)
        projection = counter.projection
        now, before = (windows(counter, normal(random, 200_000, 10), 1000) for _ in range(2))
        found = discrepancy(now, 200, before, 200, projection.spectrum)
        assert float((found.p_value < 0.05).mean()) == pytest.approx(0.05, abs=0.02)

    def test_p_values_of_a_weighted_sum_hold_far_out(self) -> None:
        random = np.random.default_rng(7)
        weights = np.array([5.0, 2.0, 1.0, 0.5, *[0.1] * 20])
        draws = (random.normal(size=(400_000, len(weights))) ** 2) @ weights
        for level in (0.05, 0.01, 0.001, 0.0001):
            chance = float((p_value(draws, 1.0, weights) < level).mean())
            assert chance == pytest.approx(level, rel=0.25, abs=3 * math.sqrt(level / 400_000))

    def test_what_cannot_be_compared_has_no_value(self) -> None:
        projection = reference(3, 20_000, 64).projection
        mean = np.array(projection.mean)
        found = discrepancy(np.stack([mean, mean]), np.array([0, 10]), mean, np.array([10, 0]), projection.spectrum)
        for values in (found.floor, found.excess, found.effect, found.p_value):
            assert np.isnan(values).all()
        never = discrepancy(mean, 10, mean, 10, ())
        assert np.isnan(never.p_value)
        assert np.isnan(never.effect)


def run(
    projection: Projection,
    blocks: NDArray[np.float64],
    rows: int,
    needed: float,
    references: tuple[Floats, int] | None = None,
    state: Runs | None = None,
    strata: bool = False,
) -> list[Runs]:
    """The states after each block of means (T, S, 2 D)."""
    mean, size = references or (np.array(projection.mean), projection.rows)
    states = []
    state = Runs.empty(blocks.shape[1:]) if state is None else state
    for number, means in enumerate(blocks):
        against = mean[number] if strata else mean
        block = Block(1000 * number, means, rows, against, size, stratum=number if strata else 0)
        state = advance(state, block, projection.spectrum, needed)
        states.append(state)
    return states


def blocks(counter: VectorCounter, seed: int, times: int, streams: int, rows: int, shift: float = 0.0) -> Floats:
    random, dimension = np.random.default_rng(seed), counter.projection.dimension
    return np.stack([windows(counter, normal(random, streams * rows, dimension, shift), streams) for _ in range(times)])


def found(states: list[Runs], needed: float) -> NDArray[np.bool_]:
    """(T, S): whether the evidence reaches what is needed."""
    return np.stack([state.evidence() >= needed for state in states])


class TestOverTime:
    NEEDED = math.log(30 * 24 * 12 * 30)  # one false alarm in 30 days of 5-minute blocks of 30 streams

    @pytest.mark.parametrize("reference_rows", [100, 2000])
    def test_a_threshold_is_reached_once_in_as_many_blocks_at_most(self, reference_rows: int) -> None:
        """200 streams of 150 blocks against their own finite references: far fewer than 150 / A reach A."""
        counter = reference(4, 20_000, 32)
        random = np.random.default_rng(8)
        before = windows(counter, normal(random, 200 * reference_rows, 4), 200)
        states = run(
            counter.projection,
            blocks(counter, 9, 150, 200, 20),
            20,
            math.log(500),
            references=(before, reference_rows),
        )
        for threshold in (500, 2000):
            reached = found(states, math.log(threshold)).any(axis=0).mean()
            assert float(reached) <= 150 / threshold

    def test_rare_outliers_of_the_reference_are_no_change(self) -> None:
        random = np.random.default_rng(10)

        def draw(rows: int) -> Floats:
            vectors = normal(random, rows, 5)
            vectors[random.random(rows) < 0.003] += 20
            return vectors

        counter = VectorCounter(learn_projection(draw(20_000), 32))
        means = np.stack([windows(counter, draw(1000), 100) for _ in range(150)])
        reached = found(run(counter.projection, means, 10, math.log(1000)), math.log(1000)).any(axis=0)
        assert float(reached.mean()) <= 150 / 1000

    @pytest.mark.parametrize(("shift", "rows_needed"), [(0.25, 4000), (0.5, 1000), (1.0, 400)])
    def test_a_shift_is_found_and_dated(self, shift: float, rows_needed: int) -> None:
        counter = reference(10, 20_000, 64)
        calm, moved = blocks(counter, 11, 60, 30, 100), blocks(counter, 12, 60, 30, 100, shift)
        states = run(counter.projection, np.concatenate([calm, moved]), 100, self.NEEDED)
        flags = found(states, self.NEEDED)
        assert not flags[:60].any()
        delays = flags[60:].argmax(axis=0) * 100 + 100
        assert flags[60:].any(axis=0).all()
        assert float(np.quantile(delays, 0.9)) <= rows_needed
        assert float(flags[80:].mean()) > 0.95 or shift == 0.25
        started = np.stack([state.started() for state in states])[flags.argmax(axis=0), np.arange(30)] / 1000
        assert float(np.median(np.abs(started - 60))) <= 40

    def test_it_recovers_about_as_fast_as_it_detects(self) -> None:
        counter = reference(10, 20_000, 64)
        moved, calm = blocks(counter, 13, 200, 20, 100, 0.5), blocks(counter, 14, 60, 20, 100)
        flags = found(run(counter.projection, np.concatenate([moved, calm]), 100, self.NEEDED), self.NEEDED)
        assert flags[150:200].mean() > 0.98
        assert flags[200 + 40 :].mean() < 0.05

    def test_a_reference_that_moves_with_the_rows_is_no_change(self) -> None:
        """Another version over the same blocks: both drift by a standard deviation, and nothing is between them."""
        counter = reference(10, 20_000, 64)
        one, other = (
            np.concatenate([blocks(counter, seed + n, 20, 30, 50, n / 5) for n in range(6)]) for seed in (20, 40)
        )
        states = run(counter.projection, one, 50, self.NEEDED, references=(other, 50), strata=True)
        assert not found(states, self.NEEDED).any()

    def test_a_block_without_rows_or_reference_says_nothing(self) -> None:
        counter = reference(10, 20_000, 64)
        projection = counter.projection
        mean = blocks(counter, 15, 1, 1, 100, 0.5)[0]
        before = run(projection, mean[None], 100, self.NEEDED)[-1]
        nothing = np.full_like(mean, np.nan)
        for block in (
            Block(9, nothing, 0, np.array(projection.mean), 1000),
            Block(9, mean, 100, nothing, 0),
        ):
            after = advance(before, block, projection.spectrum, self.NEEDED)
            assert after.to_json() == before.to_json()

    def test_runs_survive_a_restart_bit_for_bit(self) -> None:
        counter = reference(10, 20_000, 64)
        means = blocks(counter, 16, 20, 3, 30, 0.2)
        whole = run(counter.projection, means, 30, self.NEEDED)[-1]
        half = run(counter.projection, means[:10], 30, self.NEEDED)[-1]
        saved = Runs.from_json(json.loads(json.dumps(half.to_json())))
        rest = run(counter.projection, means[10:], 30, self.NEEDED, state=saved)[-1]
        moved = {**rest.to_json(), "start": None}, {**whole.to_json(), "start": None}
        assert moved[0] == moved[1]

    def test_each_stream_has_its_runs(self) -> None:
        state = Runs.empty((2, 3, 128))
        assert state.log.shape == (2, 3, len(SHORTEST))
        assert state.evidence().shape == state.started().shape == (2, 3)

    def test_a_reference_that_never_varied_gives_no_evidence(self) -> None:
        block = Block(0, np.array([0.3, 0.2]), 100, np.array([1.0, 0.0]), 100)
        assert float(advance(Runs.empty((2,)), block, (), self.NEEDED).log.max()) == 0.0
