"""Streams learn, are watched, and say what has changed; the same blocks give the same bits."""

from __future__ import annotations

import json

import numpy as np

from tidegauge.assess.counts import Floats
from tidegauge.assess.sequential.history import DAY_MS
from tidegauge.assess.sequential.profile import Measure
from tidegauge.assess.sequential.watch import Promise, Watch

BLOCK = 300_000
PROMISE = Promise(90 * DAY_MS, BLOCK, 3, 7 * DAY_MS)
PROPORTION = Measure(proportion=True, highest=1.0)


def rates(block: int, change: int) -> Floats:
    """Three streams on a daily cycle; the second one's errors double from a block on."""
    cycle = 1 + 0.3 * np.sin(2 * np.pi * block / 288)
    risen: Floats = np.array([0.05, 0.05, 0.1]) * cycle * np.array([1, 2 if block >= change else 1, 1])
    return risen


def feed(watch: Watch, blocks: range, change: int) -> None:
    """So many blocks of about 50 rows a stream; a block's rows depend on its number alone."""
    for block in blocks:
        rng = np.random.default_rng(block)
        rows = rng.poisson(50, 3)
        errors = rng.binomial(rows, rates(block, change))
        watch.advance(block * BLOCK, rows, errors, errors, PROMISE)


def test_a_watch_learns_for_a_week_and_then_finds_the_stream_that_got_worse() -> None:
    watch = Watch.empty(PROPORTION)
    watch.add("a", "b", "c")
    feed(watch, range(2016), 3000)
    assert not watch.watching().any()
    feed(watch, range(2016, 2018), 3000)
    assert watch.watching().all()
    feed(watch, range(2018, 3000), 3000)
    assert not watch.bank.detected.any()
    feed(watch, range(3000, 3030), 3000)
    assert watch.bank.detected.tolist() == [False, True, False]
    assert abs(int(watch.bank.started_at()[1]) - 3000 * BLOCK) <= 6 * BLOCK
    assert PROMISE.threshold() == 3 * 25_920


def test_a_watch_that_was_saved_and_read_again_goes_on_bit_for_bit() -> None:
    whole, halved = Watch.empty(PROPORTION), Watch.empty(PROPORTION)
    for watch in (whole, halved):
        watch.add("a", "b", "c")
    feed(whole, range(2100), 2050)
    feed(halved, range(1500), 2050)
    halved = Watch.from_json(json.loads(json.dumps(halved.to_json(), allow_nan=False)), PROPORTION)
    feed(halved, range(1500, 2050), 2050)
    halved = Watch.from_json(json.loads(json.dumps(halved.to_json(), allow_nan=False)), PROPORTION)
    feed(halved, range(2050, 2100), 2050)
    assert whole.to_json() == halved.to_json()


def test_a_new_version_needs_only_a_day_on_the_models_shape() -> None:
    versions = Watch.empty(PROPORTION)
    versions.add("old")
    for block in range(2020):
        versions.advance(block * BLOCK, [50], [3], [3], PROMISE)
    versions.add("new")
    for block in range(2020, 2020 + 290):
        shape = versions.shape(["old", "new"], PROMISE.learning_ms)
        assert shape is not None
        versions.advance(block * BLOCK, [50, 50], [3, 5], [3, 5], PROMISE, shape)
    assert versions.watching().all()
    assert versions.baseline.mean.mean(axis=1).round(6).tolist() == [0.06, 0.1]


def test_a_stream_that_is_removed_takes_nothing_along() -> None:
    watch = Watch.empty(PROPORTION)
    watch.add("a", "b", "c")
    feed(watch, range(2020), 9999)
    kept = watch.baseline.bound[[0, 2]].tolist()
    watch.remove("b")
    assert watch.keys == ["a", "c"]
    assert watch.bank.keys == ("a", "c")
    assert watch.baseline.bound.tolist() == kept
    watch.add("b")
    watch.advance(2020 * BLOCK, [50, 50, 50], [2, 2, 2], [2, 2, 2], PROMISE)
    assert watch.watching().tolist() == [True, True, False]


def test_losses_are_watched_as_proportions_are() -> None:
    watch = Watch.empty(Measure(proportion=False))
    watch.add("a", "b")
    rng = np.random.default_rng(3)
    for block in range(2900):
        losses = rng.lognormal(0, 1, (2, 30)) * np.array([[1.0], [1.6 if block >= 2800 else 1.0]])
        watch.advance(block * BLOCK, [30, 30], losses.sum(axis=1), (losses**2).sum(axis=1), PROMISE)
        if block == 2799:
            assert not watch.bank.detected.any()
    assert watch.bank.detected.tolist() == [False, True]
