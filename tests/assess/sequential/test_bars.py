"""Short versions of the bars that bench/statistics_changes.py measures in full."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench import statistics_changes as bench


@pytest.mark.parametrize("risen", [0.075, 0.10, 0.20])
def test_the_delay_is_at_most_1_4_times_that_of_the_oracle_cusum_with_the_same_run_length(risen: float) -> None:
    taken, found = bench.delays(np.random.default_rng(1), np.full(1000, 0.05), risen, 1e4, 1, 20_000)
    assert found == 1000
    ratio = float(taken.mean()) / bench.oracle_cusum(0.05, risen, 1e4)
    assert ratio - 2 * float(taken.std()) / math.sqrt(1000) / bench.oracle_cusum(0.05, risen, 1e4) <= 1.4


def test_the_oracle_is_the_one_of_the_literature() -> None:
    """Delays that simulation gave for CUSUMs calibrated by simulation, to the 5 % that those are good for."""
    for risen, promised, delay in ((0.10, 1e4, 204), (0.20, 1e4, 41), (0.10, 1e5, 317), (0.075, 1e5, 904)):
        assert bench.oracle_cusum(0.05, risen, promised) == pytest.approx(delay, rel=0.05)


def test_the_run_length_is_kept_where_a_daily_cycle_has_to_be_learned() -> None:
    watch, exposure = bench.watched([1], bench.bernoulli(200), bench.PROPORTION, 400, days=10)
    alarms = int(watch.bank.detections.sum())
    promised = bench.INTERVAL_DAYS * bench.BLOCKS_A_DAY
    assert alarms <= exposure / promised
    factors = watch.baseline.mean.mean(axis=0).reshape(7, 24).mean(axis=0) / 0.05
    assert np.allclose(factors, 1 + 0.3 * np.sin(2 * np.pi * (np.arange(24) + 0.5) / 24), atol=0.1)
