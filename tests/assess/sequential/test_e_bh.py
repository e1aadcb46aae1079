"""Streams that are judged together."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.sequential.detector import RATIOS, Bank
from tidegauge.assess.sequential.e_bh import e_bh, floor


def test_the_published_vector() -> None:
    evidence = [100, 30, 25, 3, 1, 0.5, 0.2, 0.1, 50, 0.9]
    assert np.flatnonzero(e_bh(evidence, 0.1)).tolist() == [0, 1, 2, 8]
    assert floor(evidence, 0.1) == 25.0


def test_a_single_stream_needs_what_bonferroni_asks() -> None:
    assert e_bh([9.9, 0, 0, 0, 0], 0.5).tolist() == [False] * 5
    assert e_bh([10, 0, 0, 0, 0], 0.5).tolist() == [True] + [False] * 4
    assert floor([0, 0, 0, 0, 0], 0.5) == 10


def test_nothing_to_judge_is_nothing_rejected() -> None:
    assert e_bh([], 0.1).tolist() == []


def test_false_discoveries_are_at_most_the_level() -> None:
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(2000):
        z = rng.normal(size=20) + rng.normal()
        z /= np.sqrt(2)
        z[:5] += 4
        found = e_bh(np.exp(3 * z - 4.5), 0.1)
        shares.append(found[5:].sum() / max(found.sum(), 1))
    assert np.mean(shares) <= 0.1


def test_streams_that_rise_together_need_less_each() -> None:
    keys = tuple(map(str, range(10)))
    one, all_of_them = Bank.empty().add(*keys), Bank.empty().add(*keys)
    steps = np.zeros((10, RATIOS.size))
    steps[0] = np.log(300)
    one = one.advance(0, np.ones(10), steps, 100.0, together=1.0)
    assert not one.detected.any()
    all_of_them = all_of_them.advance(0, np.ones(10), np.full((10, RATIOS.size), np.log(300)), 100.0, together=1.0)
    assert all_of_them.detected.all()
