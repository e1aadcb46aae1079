"""Names that appear in the records' features, and names that go."""

from __future__ import annotations

import json

from tidegauge.assess.drift import schema_changes
from tidegauge.assess.drift.schema_changes import MOST, NOTHING, Keys, advance, appeared, vanished
from tidegauge.config.settings import DAY, HOUR

START = 1_700_000_000_000
CONFIGURED = ("amount", "country")


def run(*records: tuple[int, tuple[str, ...]], state: Keys = NOTHING) -> Keys:
    for time, keys in records:
        state = advance(state, keys, START + time, CONFIGURED)
    return state


def test_what_the_first_day_has_is_known() -> None:
    state = run((0, ("amount", "extra")), (DAY - 1, ("amount", "late")))
    assert appeared(state, START + DAY) == ()


def test_a_later_name_is_new_for_a_day() -> None:
    state = run((0, ("amount",)), (2 * DAY, ("amount", "fresh")), (2 * DAY + HOUR, ("amount", "fresh", "another")))
    assert appeared(state, START + 2 * DAY) == ("another", "fresh")
    assert appeared(state, START + 3 * DAY) == ("another",)
    assert appeared(state, START + 3 * DAY + HOUR) == ()


def test_a_configured_name_is_never_new() -> None:
    assert appeared(run((0, ("amount",)), (5 * DAY, ("amount", "country"))), START + 5 * DAY) == ()
    state = run((0, ("amount",)), (5 * DAY, ("amount", "fresh")))
    state = advance(state, ("amount", "fresh"), START + 5 * DAY + 1, (*CONFIGURED, "fresh"))
    assert appeared(state, START + 5 * DAY + 1) == ()


def test_what_is_seen_while_bins_are_learned_is_known() -> None:
    state = run((0, ("amount",)))
    state = advance(state, ("amount", "slow"), START + 9 * DAY, CONFIGURED, learning=True)
    state = advance(state, ("amount", "fresh"), START + 9 * DAY + 1, CONFIGURED)
    assert appeared(state, START + 9 * DAY + 1) == ("fresh",)


def test_order_of_blocks_does_not_matter() -> None:
    records = [(0, ("amount",)), (HOUR, ("extra",)), (2 * DAY, ("fresh",)), (2 * DAY + 1, ("fresh", "extra"))]
    forward, backward = run(*records), run(*reversed(records))
    assert appeared(forward, START + 2 * DAY + 1) == appeared(backward, START + 2 * DAY + 1) == ("fresh",)
    assert (forward.start, forward.last) == (backward.start, backward.last)
    times = {name: (sight.first, sight.last) for name, sight in forward.seen.items()}
    assert times == {name: (sight.first, sight.last) for name, sight in backward.seen.items()}


class TestVanished:
    def test_a_renamed_feature_goes_and_comes(self) -> None:
        state = run((0, ("amount", "country")), (2 * DAY, ("amount", "land")))
        since = START + 2 * DAY - HOUR
        assert vanished(state, CONFIGURED, {"country"}, since) == ("country",)
        assert appeared(state, START + 2 * DAY) == ("land",)

    def test_only_where_every_row_misses_it(self) -> None:
        state = run((0, ("amount", "country")), (2 * DAY, ("amount",)))
        assert vanished(state, CONFIGURED, set(), START + DAY) == ()

    def test_a_name_with_null_is_there(self) -> None:
        state = run((0, ("amount",)), (2 * DAY, ("amount", "country")))
        assert vanished(state, CONFIGURED, {"country"}, START + DAY) == ()

    def test_a_feature_that_never_came(self) -> None:
        assert vanished(run((0, ("amount",))), CONFIGURED, {"country"}, START - HOUR) == ("country",)

    def test_nothing_is_said_without_a_record(self) -> None:
        assert vanished(NOTHING, CONFIGURED, {"country"}, START) == ()
        assert vanished(run((0, ("amount",))), CONFIGURED, {"country"}, START + HOUR) == ()

    def test_a_name_that_is_not_configured_is_nobodys_loss(self) -> None:
        state = run((0, ("amount", "extra")), (2 * DAY, ("amount",)))
        assert vanished(state, CONFIGURED, {"extra"}, START + DAY) == ()


def test_memory_is_bounded_and_configured_names_find_room() -> None:
    flood = tuple(f"user-{number}" for number in range(MOST + 20))
    state = run((0, flood))
    assert len(state.seen) == MOST
    assert state.dropped == 20
    state = run((HOUR, ("amount", "one-more")), state=state)
    assert len(state.seen) == MOST
    assert "amount" in state.seen
    assert state.dropped == 21


def test_a_name_that_was_gone_for_a_month_makes_room() -> None:
    state = run((0, tuple(f"old-{number}" for number in range(MOST))), (31 * DAY, ("amount", "fresh")))
    assert set(state.seen) == {"amount", "fresh"}
    assert appeared(state, START + 31 * DAY) == ("fresh",)


def test_the_state_outlives_a_restart() -> None:
    state = run((0, ("amount",)), (2 * DAY, ("amount", "fresh")))
    again = schema_changes.load(json.loads(json.dumps(schema_changes.save(state))))
    assert again == state
    assert schema_changes.load(json.loads(json.dumps(schema_changes.save(NOTHING)))) == NOTHING
