"""The states of features: what is broken is called so in its first window, what is well is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tidegauge.assess.drift.quality import (
    CHANCE,
    INVALID,
    MARGIN,
    MISSING,
    NON_FINITE,
    OUT_OF_RANGE,
    STATES,
    UNSEEN,
    VALID,
    Recent,
    Reference,
    Seen,
    largest_share,
    lasting,
    lower_bound,
    risen,
    states,
    upper_bound,
)

NAMES = {
    "missing": MISSING,
    "unseen": UNSEEN,
    "out_of_range": OUT_OF_RANGE,
    "invalid": INVALID,
    "non_finite": NON_FINITE,
}


def seen(rows: int, varied: bool = True, design_effect: float = 1.0, **conditions: int) -> Seen:
    """One feature; what has no other condition is valid."""
    counts = np.zeros((1, 6), dtype=np.int64)
    for name, count in conditions.items():
        counts[0, NAMES[name]] = count
    counts[0, VALID] = rows - counts[0, [MISSING, INVALID, NON_FINITE]].sum()
    return Seen(np.array([rows]), counts, np.array([varied]), np.array([design_effect]))


def reference(
    rows: int = 10_000, largest: float = 0.1, singletons: int = 0, varied: bool = True, **conditions: int
) -> Reference:
    return Reference(seen(rows, varied, **conditions), np.array([largest]), np.array([singletons]))


def state(current: Seen, against: Reference | None, recent: Recent | None = None) -> str:
    return STATES[int(states(current, against, recent)[0])]


def panes(values: ArrayLike, varied: ArrayLike, missing: ArrayLike = 0, invalid: ArrayLike = 0) -> Recent:
    """Newest first."""
    valid = np.asarray(values)[:, None]
    conditions = np.zeros((*valid.shape, 6), dtype=np.int64)
    conditions[..., VALID] = valid
    for condition, found in ((MISSING, missing), (INVALID, invalid)):
        conditions[..., condition] = np.broadcast_to(np.asarray(found)[..., None], valid.shape)
    flags = np.asarray(varied, dtype=np.bool_)[:, None]
    return Recent(Seen(conditions.sum(axis=-1), conditions, flags, np.ones(1)))


def hours(*before: Seen) -> Seen:
    """Several, of one feature each, together."""
    rows, conditions, varied = (
        np.stack([getattr(one, name) for one in before]) for name in ("rows", "conditions", "varied")
    )
    return Seen(rows, conditions, varied, np.ones(1))


class TestWhatIsBroken:
    """Each at the smallest window that is judged."""

    def test_without_any_value(self) -> None:
        assert state(seen(30, varied=False, missing=30), reference()) == "vanished"

    def test_that_never_had_a_value(self) -> None:
        assert state(seen(30, varied=False, missing=30), reference(missing=10_000, varied=False)) == "vanished"
        assert state(seen(30, varied=False, missing=30), None) == "vanished"

    def test_of_another_type(self) -> None:
        assert state(seen(30, varied=False, invalid=30), reference()) == "invalid"
        assert state(seen(30, varied=False, invalid=30), None) == "invalid"
        assert state(seen(30, varied=False, invalid=30), reference(invalid=10_000)) == "invalid"

    def test_all_not_finite(self) -> None:
        assert state(seen(30, varied=False, non_finite=30), reference()) == "invalid"

    def test_of_one_value(self) -> None:
        assert state(seen(30, varied=False), reference()) == "constant"

    def test_of_another_type_though_often_missing(self) -> None:
        assert state(seen(30, varied=False, missing=10, invalid=20), reference(missing=3300)) == "invalid"

    def test_of_unknown_categories_only(self) -> None:
        assert state(seen(30, unseen=30), reference()) == "unseen"

    def test_on_another_scale(self) -> None:
        assert state(seen(30, out_of_range=30), reference()) == "out_of_range"

    def test_missing_in_three_of_a_hundred_rows(self) -> None:
        assert state(seen(5000, missing=150), reference()) == "missing"

    def test_with_repeated_units(self) -> None:
        # 30 rows of 4 each as good as 7 or 8 rows: still far too many for chance.
        assert state(seen(30, varied=False, missing=30, design_effect=4.0), reference()) == "vanished"
        assert state(seen(30, varied=False, design_effect=4.0), reference()) == "constant"

    def test_against_a_reference_of_a_few_hundred(self) -> None:
        assert state(seen(30, varied=False, missing=30), reference(rows=300)) == "vanished"
        assert state(seen(30, varied=False), reference(rows=300)) == "constant"
        assert state(seen(30, invalid=30), reference(rows=300)) == "invalid"

    def test_with_values_of_no_use_in_a_tenth_of_the_rows(self) -> None:
        assert state(seen(5000, invalid=500), reference()) == "invalid"
        assert state(seen(5000, invalid=300, non_finite=200), reference()) == "invalid"
        assert state(seen(5000, invalid=499), reference()) == "missing"
        assert state(seen(5000, non_finite=150), reference()) == "missing"
        assert state(seen(5000, invalid=1000), reference(invalid=1900)) == "ok"


class TestWhatIsWell:
    def test_a_rare_feature_may_be_absent_from_a_small_window(self) -> None:
        rare = reference(missing=9950)
        assert state(seen(100, varied=False, missing=100), rare) == "ok"
        assert state(seen(10_000, varied=False, missing=10_000), rare) == "vanished"

    def test_a_value_that_is_nearly_always_the_same_may_be_so_throughout(self) -> None:
        zeros = reference(largest=0.97)
        assert state(seen(300, varied=False), zeros) == "ok"
        assert state(seen(1000, varied=False), zeros) == "constant"

    def test_chance_of_one_value_is_that_of_the_most_frequent_bin(self) -> None:
        rows = int(np.ceil(np.log(CHANCE) / np.log(0.5)))  # of an endless reference
        endless = reference(rows=10**12, largest=0.5)
        assert state(seen(max(rows, 30), varied=False), endless) == "constant"
        assert state(seen(60, varied=False, design_effect=60 / (rows - 0.5)), endless) == "ok"
        assert state(seen(60, varied=False, design_effect=60 / (rows + 0.5)), endless) == "constant"

    def test_a_constant_of_the_reference_is_expected(self) -> None:
        assert state(seen(1000, varied=False), reference(varied=False, largest=1.0)) == "ok"

    def test_a_rise_by_less_than_a_point_does_not_matter(self) -> None:
        assert state(seen(10**8, missing=int(0.0099 * 10**8)), reference(rows=10**8)) == "ok"
        assert state(seen(10**8, missing=int(0.0104 * 10**8)), reference(rows=10**8)) == "missing"

    def test_a_fall_is_no_fault(self) -> None:
        assert state(seen(10_000), reference(missing=5000, unseen=2000, out_of_range=3000, invalid=4000)) == "ok"

    def test_new_categories_are_expected_where_most_were_met_once(self) -> None:
        assert state(seen(1000, unseen=900), reference(rows=2000, singletons=1850)) == "ok"
        assert state(seen(1000, unseen=900), reference(rows=2000, singletons=200)) == "unseen"


def test_too_few_rows_are_not_judged() -> None:
    assert state(seen(29, varied=False, missing=29), reference()) == "insufficient_samples"
    assert state(seen(0, varied=False), None) == "insufficient_samples"


def test_without_a_reference_a_feature_is_learned() -> None:
    assert state(seen(1000), None) == "learning"
    assert state(seen(1000), reference(rows=29)) == "learning"


def test_the_worst_state_is_said() -> None:
    assert state(seen(1000, missing=300, unseen=300, invalid=300), reference()) == "invalid"
    assert state(seen(1000, missing=300, unseen=300, out_of_range=300), reference()) == "missing"
    assert state(seen(1000, unseen=300, out_of_range=300), reference()) == "unseen"
    assert state(seen(1000, varied=False, missing=300), reference()) == "constant"


class TestStuck:
    def test_since_two_panes(self) -> None:
        assert state(seen(100), reference(), panes([15, 15, 35, 35], [0, 0, 1, 1])) == "stuck"

    def test_one_pane_or_fewer_than_thirty_rows_say_nothing(self) -> None:
        assert state(seen(100), reference(), panes([30, 35, 35], [0, 1, 1])) == "ok"
        assert state(seen(100), reference(), panes([15, 14, 36, 35], [0, 0, 1, 1])) == "ok"

    def test_a_pane_without_values_is_none(self) -> None:
        assert state(seen(100), reference(), panes([30, 0, 35, 35], [0, 0, 1, 1])) == "ok"
        assert state(seen(100), reference(), panes([15, 0, 15, 35, 35], [0, 0, 0, 1, 1])) == "stuck"

    def test_a_feature_that_changes_once_a_day_is_well(self) -> None:
        hourly = panes([100] * 24, [hour == 10 for hour in range(24)])
        assert state(seen(2400), reference(), hourly) == "ok"

    def test_a_value_that_is_often_the_same_may_rest(self) -> None:
        rest = panes([50, 50, 500, 500], [0, 0, 1, 1])
        assert state(seen(1100), reference(largest=0.95), rest) == "ok"
        assert state(seen(1100), reference(largest=0.5), rest) == "stuck"

    def test_a_reading_that_moves_again_is_ok(self) -> None:
        assert state(seen(200), reference(), panes([35, 40, 40, 35, 35], [1, 0, 0, 1, 1])) == "ok"

    def test_without_panes_nothing_is_stuck(self) -> None:
        assert state(seen(100), reference(), panes(np.zeros(0), np.zeros(0))) == "ok"

    def test_for_most_of_the_window_until_it_is_constant(self) -> None:
        assert state(seen(2600), reference(), panes([100] * 24 + [100] * 2, [0] * 24 + [1] * 2)) == "stuck"
        assert state(seen(2600, varied=False), reference(), panes([100] * 26, [0] * 26)) == "constant"

    @pytest.mark.parametrize("place", [0, 1, 2, 3])
    def test_what_rests_every_night_or_every_week_is_well(self, place: int) -> None:
        tonight = panes([15, 15, 35, 35], [0, 0, 1, 1])
        lively, resting = seen(60), seen(60, varied=False)
        before = hours(*(resting if number == place else lively for number in range(4)))
        assert state(seen(100), reference(), Recent(tonight.panes, before)) == "ok"
        assert state(seen(100), reference(), Recent(tonight.panes, hours(lively, lively, lively, lively))) == "stuck"
        few = hours(lively, lively, seen(29, varied=False), lively)
        assert state(seen(100), reference(), Recent(tonight.panes, few)) == "stuck"

    @pytest.mark.parametrize(("awake", "expected"), [(True, "stuck"), (False, "ok")])
    def test_what_may_sleep_for_all_that_is_known_is_not_judged_by_its_latest_panes(
        self, awake: bool, expected: str
    ) -> None:
        latest = panes([15, 15, 35, 35], [0, 0, 1, 1]).panes
        assert state(seen(100), reference(), Recent(latest, awake=np.array([awake]))) == expected


class TestGone:
    """A feature of which the latest records have nothing is not waited for until the window has none."""

    def test_since_two_panes(self) -> None:
        assert state(seen(10_000, missing=30), reference(), panes([0, 0, 35, 35], [0, 0, 1, 1], [15, 15, 0, 0])) == (
            "vanished"
        )

    def test_one_pane_or_fewer_than_thirty_rows_say_nothing(self) -> None:
        current = seen(10_000, missing=30)
        assert state(current, reference(), panes([0, 35, 35], [0, 1, 1], [30, 0, 0])) == "ok"
        assert state(current, reference(), panes([0, 0, 35, 35], [0, 0, 1, 1], [15, 14, 0, 0])) == "ok"

    def test_a_single_value_among_the_latest_says_that_it_is_there(self) -> None:
        current = seen(10_000, missing=1000)
        assert state(current, reference(), panes([1, 0, 35], [0, 0, 1], [499, 500, 0])) == "missing"

    def test_a_feature_that_is_often_missing_has_to_be_so_for_longer(self) -> None:
        often = reference(missing=7000, rows=10_000)
        current = seen(10_000, missing=7000)
        for rows, expected in ((15, "ok"), (25, "vanished")):
            assert state(current, often, panes([0, 0, 35, 35], [0, 0, 1, 1], [rows, rows, 80, 80])) == expected

    def test_what_is_gone_every_night_or_every_week_is_well(self) -> None:
        current, latest = seen(10_000, missing=2000), panes([0, 0, 35, 35], [0, 0, 1, 1], [15, 15, 0, 0]).panes
        there, gone = seen(60), seen(60, varied=False, missing=60)
        sometimes = reference(missing=2000)
        assert state(current, sometimes, Recent(latest, hours(there, gone))) == "ok"
        assert state(current, sometimes, Recent(latest, hours(there, there))) == "vanished"
        assert state(current, sometimes, Recent(latest, hours(there, seen(60, missing=59)))) == "vanished"


class TestOfNoUse:
    """What most of the latest values are is not waited for until it is a tenth of the window."""

    def test_since_two_panes(self) -> None:
        latest = panes([0, 0, 35, 35], [0, 0, 1, 1], invalid=[15, 15, 0, 0])
        assert state(seen(10_000, invalid=30), reference(), latest) == "invalid"
        some = panes([2, 3, 35, 35], [1, 1, 1, 1], missing=[5, 5, 0, 0], invalid=[15, 15, 0, 0])
        assert state(seen(10_000, invalid=30), reference(), some) == "invalid"

    def test_one_pane_or_fewer_than_thirty_or_less_than_half_say_nothing(self) -> None:
        current = seen(10_000, invalid=30)
        assert state(current, reference(), panes([0, 35, 35], [0, 1, 1], invalid=[30, 0, 0])) == "ok"
        assert state(current, reference(), panes([0, 0, 35], [0, 0, 1], invalid=[15, 14, 0])) == "ok"
        assert state(current, reference(), panes([20, 20, 35], [1, 1, 1], invalid=[15, 15, 0])) == "ok"

    def test_where_many_are_always_so_it_takes_more(self) -> None:
        current, often = seen(10_000, invalid=4500), reference(invalid=4500)
        for rows, expected in ((20, "ok"), (120, "invalid")):
            assert state(current, often, panes([rows // 2] * 2 + [70] * 2, [1] * 4, invalid=[rows] * 2 + [30] * 2)) == (
                expected
            )

    def test_what_is_so_every_night_is_well(self) -> None:
        latest = panes([0, 0, 35, 35], [0, 0, 1, 1], invalid=[15, 15, 0, 0]).panes
        there, none = seen(60), seen(60, invalid=60)
        assert state(seen(10_000, invalid=30), reference(), Recent(latest, hours(there, none))) == "ok"
        assert state(seen(10_000, invalid=30), reference(), Recent(latest, hours(there, there))) == "invalid"


def test_for_how_long_it_has_been_so_is_told_in_panes() -> None:
    def length(state: str, recent: Recent) -> int:
        return int(lasting(recent, np.array([STATES.index(state)], dtype=np.int8))[0])

    gone = panes([0, 0, 0, 35], [0, 0, 0, 1], missing=[15, 0, 15, 0])
    assert length("vanished", gone) == 3 and length("ok", gone) == 0
    assert length("stuck", panes([15, 15, 35, 35], [0, 0, 1, 1])) == 2
    assert length("constant", panes([15] * 4, [0] * 4)) == 4
    assert length("invalid", panes([0, 2, 35], [0, 1, 1], invalid=[9, 9, 9])) == 2


def test_the_largest_share_is_of_the_values() -> None:
    compared = np.array([[20, 60, 10, 10, 0], [5, 15, 80, 0, 0], [0, 0, 7, 0, 0]])
    real = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]], dtype=np.bool_)
    np.testing.assert_allclose(largest_share(compared, real), [0.6, 0.75, np.nan])
    np.testing.assert_allclose(largest_share(compared / 100, real), [0.6, 0.75, np.nan])


@pytest.mark.parametrize(("count", "rows"), [(0, 30), (1, 30), (7, 50), (30, 30), (600, 10_000)])
def test_bounds_are_the_exact_ones(count: int, rows: int) -> None:
    for level in (0.025, 1e-5):
        exact = stats.binomtest(count, rows).proportion_ci(1 - 2 * level, method="exact")
        assert lower_bound(count, rows, level) == pytest.approx(exact.low, abs=1e-12)
        assert upper_bound(count, rows, level) == pytest.approx(exact.high, abs=1e-12)


def test_a_rise_is_claimed_wrongly_no_more_often_than_the_level() -> None:
    """At the worst case, exactly a margin above: every pair of counts, weighted by its exact probability."""
    level = 0.01
    for before in (0.0, 0.02, 0.3):
        for rows, reference_rows in ((100, 200), (400, 400), (1000, 300)):
            k, r = np.arange(rows + 1)[:, None], np.arange(reference_rows + 1)[None, :]
            claimed = risen(k, rows, r, reference_rows, level)
            weight = stats.binom.pmf(k, rows, before + MARGIN) * stats.binom.pmf(r, reference_rows, before)
            assert float(weight[claimed].sum()) <= level


def broken(count: NDArray[np.int8]) -> float:
    """Share of windows in which a feature is not ok."""
    return float((count != STATES.index("ok")).any(axis=-1).mean())


@pytest.mark.parametrize("size", [100, 1000, 10_000, 100_000])
@pytest.mark.parametrize("reference_size", [1000, 10_000, 100_000])
def test_no_drift_is_no_fault(size: int, reference_size: int) -> None:
    """30 features, 1,000 windows, a new reference for each: far fewer than 1 % of windows have a feature not ok."""
    random = np.random.default_rng([size, reference_size])
    windows, features = 1000, 30
    missing = np.resize([0.0, 0.001, 0.01, 0.05, 0.3, 0.95], features)
    invalid = np.resize([0.0, 0.0, 0.002, 0.03], features)
    unseen = np.resize([0.0, 0.004, 0.02, 0.1, 0.0], features)
    # Beyond the least and the greatest of the reference's rows lies a share that is itself chance.
    beyond = random.beta(2, reference_size - 1, (windows, features))
    # Half of the features are nearly always the same.
    largest = np.resize([0.1, 0.5, 0.1, 0.9, 0.1, 0.97, 0.1, 0.999], features)

    def draw(rows: int, out_of_range: NDArray[np.float64]) -> Seen:
        shape = (windows, features)
        conditions = np.zeros((*shape, 6), dtype=np.int64)
        conditions[..., MISSING] = random.binomial(rows, missing, shape)
        conditions[..., INVALID] = random.binomial(rows - conditions[..., MISSING], invalid)
        values = rows - conditions[..., MISSING] - conditions[..., INVALID]
        conditions[..., UNSEEN] = random.binomial(values, unseen)
        conditions[..., OUT_OF_RANGE] = random.binomial(values, out_of_range)
        conditions[..., VALID] = values
        varied = random.random(shape) > largest**values
        return Seen(np.full(shape, rows), conditions, varied, np.ones(shape))

    before = draw(reference_size, np.zeros((windows, features)))
    values = before.values
    share = random.binomial(values, largest) / np.maximum(values, 1)
    found = states(draw(size, beyond), Reference(before, share, np.zeros_like(values)))
    assert broken(found) <= 0.002


def test_no_drift_is_neither_stuck_nor_gone() -> None:
    """10,000 windows of 12 panes for each of 4 binary features, the rarer value in 50 to 1 % of rows.

    As many have no value.
    """
    random = np.random.default_rng(5)
    rare = np.array([0.5, 0.2, 0.05, 0.01])
    absent = rare[::-1]
    panes_, rows, windows = 12, 40, 10_000
    wrong = 0
    for _ in range(windows // 5000):
        values: NDArray[np.bool_] = np.less(random.random((panes_ * rows, 5000, 4)), rare)
        # A pane has varied when a row differs from the one before it, the last row of the pane before included.
        changed = np.zeros_like(values)
        changed[1:] = values[1:] ^ values[:-1]
        varied = np.flip(np.any(changed.reshape(panes_, rows, 5000, 4), axis=1), axis=0)
        per_pane = np.zeros((panes_, 5000, 4, 6), dtype=np.int64)
        per_pane[..., MISSING] = random.binomial(rows, absent, (panes_, 5000, 4))
        per_pane[..., VALID] = rows - per_pane[..., MISSING]
        recent = Recent(Seen(np.full(varied.shape, rows), per_pane, varied, np.ones((5000, 4))))
        conditions = per_pane.sum(axis=0)
        current = Seen(np.full((5000, 4), panes_ * rows), conditions, np.any(changed, axis=0), np.ones((5000, 4)))
        m = 10_000
        usual = np.zeros((4, 6), dtype=np.int64)
        usual[:, MISSING] = np.rint(m * absent)
        usual[:, VALID] = m - usual[:, MISSING]
        against = Reference(
            Seen(np.full(4, m), usual, np.ones(4, np.bool_), np.ones(4)),
            1 - rare,
            np.zeros(4, np.int64),
        )
        wrong += int((states(current, against, recent) != STATES.index("ok")).sum())
    assert wrong <= 1e-4 * windows * len(rare)


def test_repeated_units_are_no_fault() -> None:
    """Every unit gives 20 rows that are all alike: rows over 20 is the size that counts."""
    random = np.random.default_rng(6)
    windows, features, repeats = 2000, 30, 20

    def draw(units: int) -> Seen:
        conditions = np.zeros((windows, features, 6), dtype=np.int64)
        conditions[..., MISSING] = repeats * random.binomial(units, 0.02, (windows, features))
        conditions[..., VALID] = repeats * units - conditions[..., MISSING]
        shape = (windows, features)
        return Seen(
            np.full(shape, units * repeats), conditions, np.ones(shape, np.bool_), np.full(shape, float(repeats))
        )

    against = Reference(draw(200), np.full((windows, features), 0.1), np.zeros((windows, features), np.int64))
    assert broken(states(draw(100), against)) <= 0.002
