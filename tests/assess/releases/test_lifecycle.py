"""When a version is a release, of what, and for how long: as an operator would say it."""

from __future__ import annotations

import json
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegauge.assess.releases import lifecycle
from tidegauge.assess.releases.lifecycle import KEPT, LEAST_TRAFFIC, LOST, NOTHING, SEEN, Lifecycle, Release

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BLOCK = 5 * MINUTE
T = 20_000 * DAY
TWO_WEEKS = 14 * DAY


def after(*blocks: tuple[int, dict[str, int]], state: Lifecycle = NOTHING) -> Lifecycle:
    """The state after blocks that start at T plus so many ms."""
    for at, primary in blocks:
        state = lifecycle.advance(state, T + at, T + at + BLOCK, primary, TWO_WEEKS)
    return state


def test_a_new_version_is_compared_with_the_busiest_of_the_day_before() -> None:
    state = after((0, {"a": 1200, "b": 900}), (HOUR, {"b": 500}), (2 * HOUR, {"a": 1, "c": 1}))
    assert state.releases == (Release("c", "b", T + 2 * HOUR, T + 2 * HOUR + TWO_WEEKS),)


def test_what_was_busy_longer_ago_than_a_day_does_not_count() -> None:
    state = after((0, {"a": 9000, "b": 1}), (2 * HOUR, {"b": 1000}), (26 * HOUR, {"c": 1}))
    assert [one.baseline for one in state.releases] == ["b"]
    assert after((0, {"a": 9000}), (26 * HOUR, {"c": 1})).releases == ()


@pytest.mark.parametrize(("made", "released"), [(LEAST_TRAFFIC - 1, False), (LEAST_TRAFFIC, True)])
def test_a_baseline_has_a_thousand_predictions_at_least(made: int, released: bool) -> None:
    assert LEAST_TRAFFIC == 1000
    assert bool(after((0, {"a": made}), (HOUR, {"b": 1})).releases) is released


def test_traffic_of_the_very_block_is_not_before_it() -> None:
    assert after((0, {"a": 5000, "b": 1})).releases == ()


def test_a_version_that_returns_is_no_release_however_long_it_was_away() -> None:
    state = after((0, {"a": 2000, "b": 10}), (100 * DAY, {"a": 2000}), (100 * DAY + HOUR, {"b": 500}))
    assert state.releases == ()


def test_blocks_with_shadows_alone_are_not_a_first_sight() -> None:
    state = after((0, {"a": 2000, "b": 0}), (HOUR, {"a": 5, "b": 0}))
    assert state.releases == ()
    assert "b" not in state.last
    assert after((2 * HOUR, {"b": 3}), state=state).releases[0].start == T + 2 * HOUR


def test_several_versions_at_once_have_one_baseline_and_a_later_one_may_have_another() -> None:
    state = after((0, {"a": 2000}), (HOUR, {"c": 1, "b": 1}), (2 * HOUR, {"b": 3000}), (3 * HOUR, {"d": 1}))
    assert [(one.candidate, one.baseline) for one in state.releases] == [("b", "a"), ("c", "a"), ("d", "b")]


def test_of_two_equally_busy_versions_the_same_is_chosen_whatever_the_order() -> None:
    one = after((0, {"a": 2000, "b": 2000}), (HOUR, {"c": 1}))
    assert one.releases == after((0, {"b": 2000, "a": 2000}), (HOUR, {"c": 1})).releases


def test_a_version_without_a_primary_prediction_for_twelve_blocks_has_lost_its_traffic() -> None:
    assert LOST == 12
    state = after((0, {"a": 2000, "b": 200}), (LOST * BLOCK, {"a": 1}))
    assert not state.lost("b", BLOCK)
    state = after(((LOST + 1) * BLOCK, {"a": 1}), state=state)
    assert state.lost("b", BLOCK) and not state.lost("a", BLOCK)
    assert state.lost("never seen", BLOCK)


def test_a_rare_version_may_pause_five_times_as_long_as_it_usually_does() -> None:
    """Ten predictions a day: one in 2.4 hours, so 12 hours of silence say nothing yet."""
    state = after((0, {"a": 2000, "b": 10}), (12 * HOUR - BLOCK, {"a": 1}))
    assert not state.lost("b", BLOCK)
    assert after((12 * HOUR + BLOCK, {"a": 1}), state=state).lost("b", BLOCK)
    assert after((26 * HOUR, {"a": 1}), state=state).lost("b", BLOCK), "after a day nothing is usual any more"


def test_a_forgotten_version_keeps_its_name_alone() -> None:
    state = lifecycle.forget(after((0, {"a": 2000}), (HOUR, {"b": 1, "c": 1})), "b")
    assert [one.candidate for one in state.releases] == ["c"]
    assert [one.candidate for one in after((2 * HOUR, {"b": 1}), state=state).releases] == ["c"]


def test_names_and_releases_are_bounded() -> None:
    numbers = count()
    state = after((0, {"a": 2000}))
    for hour in range(1, 40):
        state = after((hour * HOUR, {"a": 2000} | {f"v{next(numbers)}": 1 for _ in range(40)}), state=state)
    assert len(state.last) == SEEN and len(state.releases) == KEPT
    assert "a" in state.last, "what is in use is not forgotten"
    assert all(len(hours) <= 26 for hours in state.hours.values())
    assert sum(map(len, state.hours.values())) < 40 * 26 + 26


BLOCKS = st.lists(
    st.tuples(st.integers(1, 400), st.dictionaries(st.sampled_from("abcde"), st.integers(0, 1500), max_size=4)),
    max_size=25,
)


@settings(max_examples=150)
@given(BLOCKS, st.data())
def test_saving_anywhere_and_the_order_of_versions_change_nothing(
    blocks: list[tuple[int, dict[str, int]]], data: st.DataObject
) -> None:
    steady = saved = NOTHING
    at = 0
    first: dict[str, int] = {}
    for gap, primary in blocks:
        at += gap * BLOCK
        steady = after((at, primary), state=steady)
        mixed = dict(data.draw(st.permutations(sorted(primary.items()))))
        saved = lifecycle.load(json.loads(json.dumps(lifecycle.save(after((at, mixed), state=saved)), allow_nan=False)))
        assert saved == steady
        for version in (version for version, made in primary.items() if made):
            first.setdefault(version, T + at)
    assert all(one.start == first[one.candidate] and one.end == one.start + TWO_WEEKS for one in steady.releases)
    assert all(first[one.baseline] < one.start for one in steady.releases)
