"""Features are detected together, only where it matters; shares of the shift and the weight of units are right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tidegauge.assess.drift import discovery
from tidegauge.assess.drift.contributions import contributions
from tidegauge.assess.drift.design_effect import GROUPS, design_effect, multiplicity
from tidegauge.assess.drift.discovery import discover, strictest_log

NEEDED = math.log(25_920.0)
MUCH = np.full(50, 0.5)


def test_a_feature_needs_the_evidence_of_all_and_many_that_moved_together_need_less() -> None:
    strictest = strictest_log(NEEDED, 50)
    assert strictest == pytest.approx(NEEDED + math.log(50))
    log = np.zeros(50)
    log[3] = strictest - 0.01
    assert not discover(log, MUCH, 0.01, NEEDED).detected.any()
    log[3] = strictest
    alone = discover(log, MUCH, 0.01, NEEDED)
    assert alone.detected.tolist() == [place == 3 for place in range(50)]
    assert alone.threshold_log == pytest.approx(strictest)
    log[:40] = strictest - math.log(40 * discovery.LEVEL)
    log[40:] = 0
    many = discover(log, MUCH, 0.01, NEEDED)
    assert many.detected.tolist() == [True] * 40 + [False] * 10
    assert many.threshold_log == pytest.approx(strictest - math.log(4))
    log[39] = 0
    assert not discover(log, MUCH, 0.01, NEEDED).detected.any()


@pytest.mark.parametrize("alike", [True, False])
def test_where_nothing_moves_detection_takes_mean_evidence_as_of_one_feature_alone(alike: bool) -> None:
    random = np.random.default_rng(7)
    for _ in range(2000):
        log = NEEDED + random.normal(0, 4, size=1 if alike else 30) * np.ones(30)
        if discover(log, np.full(30, 0.5), 0.01, NEEDED).detected.any():
            assert np.exp(log - NEEDED).mean() >= 1 - 1e-9


def test_what_is_surely_there_but_too_small_to_matter_is_not_detected() -> None:
    log = np.full(3, 1e6)
    found = discover(log, np.array([0.009, 0.01, np.nan]), 0.01, NEEDED)
    assert found.detected.tolist() == [False, True, False]


def test_unknown_evidence_is_neither_detected_nor_counted_among_the_judged() -> None:
    log = np.array([strictest_log(NEEDED, 2), 0, np.nan, np.nan])
    found = discover(log, np.full(4, 0.5), 0.01, NEEDED)
    assert found.detected.tolist() == [True, False, False, False]
    assert not discover(np.full(3, np.nan), np.ones(3), 0.01, NEEDED).detected.any()
    assert discover(np.zeros(0), np.zeros(0), 0.01, NEEDED).detected.shape == (0,)


def test_contributions_are_parts_of_the_whole_weighted_by_importance() -> None:
    excess = np.array([0.3, 0.1, -0.05, np.nan])
    assert np.allclose(contributions(excess), [0.75, 0.25, 0, 0])
    assert np.allclose(contributions(excess, np.array([0.1, 0.9, 1, 1])), [0.25, 0.75, 0, 0])
    both = contributions(np.stack([excess, -np.abs(excess)]))
    assert np.allclose(both.sum(axis=-1), [1, 0])


@pytest.mark.parametrize("each", [1, 5, 20])
def test_the_multiplicity_of_units_shows_in_how_uneven_their_buckets_are(each: int) -> None:
    random = np.random.default_rng(each)
    units = random.multinomial(3000, np.full(GROUPS, 1 / GROUPS), size=300)
    found = multiplicity(each * units)
    assert float(found.mean()) == pytest.approx(each, rel=0.06)
    assert found.min() >= 1


def test_multiplicity_is_the_mean_over_rows_where_units_differ() -> None:
    random = np.random.default_rng(4)
    rows = sum(each * random.multinomial(1000, np.full(GROUPS, 1 / GROUPS), size=500) for each in (1, 9))
    assert float(multiplicity(rows).mean()) == pytest.approx((1 + 81) / (1 + 9), rel=0.05)


def test_the_design_effect_is_kishs_and_one_where_nothing_repeats_or_nothing_is_known() -> None:
    units = np.random.default_rng(5).multinomial(3000, np.full(GROUPS, 1 / GROUPS))
    found = design_effect(20 * units, np.array([0.0, 0.3, 1.0]))
    k = float(multiplicity(20 * units))
    assert np.allclose(found, [1, 1 + (k - 1) * 0.3, k])
    assert design_effect(np.zeros(GROUPS), np.array([1.0])).tolist() == [1.0]
    assert design_effect(np.full(GROUPS, 7), np.array([1.0])).tolist() == [1.0]
