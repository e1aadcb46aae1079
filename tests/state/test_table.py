"""A table hands out rows, takes them back and knows what changed, exactly as a plain dict and two sets would."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.state.table import Table, TableFull, positions

# Rows this wide make pages of 32, so that small tests cross many page borders.
WIDE = np.dtype([("key", "<u8"), ("body", "V8184")])
NARROW = np.dtype([("key", "<u8"), ("flag", "u1")])
CAPACITY = 500


def changed(table: Table) -> list[int]:
    changes = table.take_changes()
    table.put_back(changes)
    numbers: list[int] = positions(changes.pages, changes.bits, table.rows_per_page.bit_length() - 1).tolist()
    return numbers


@given(st.randoms(use_true_random=False), st.sampled_from([WIDE, NARROW]), st.booleans())
def test_random_use_agrees_with_a_dict(chance: random.Random, dtype: np.dtype[np.void], fixed: bool) -> None:
    table = Table("t", dtype, CAPACITY if fixed else None)
    live: dict[int, int] = {}
    marked: set[int] = set()
    highest = 0
    for step in range(chance.randrange(1, 30)):
        action = chance.choice(["allocate", "allocate", "free", "touch", "take"])
        some = chance.sample(sorted(live), chance.randint(0, len(live)))
        if action == "allocate" and len(live) < CAPACITY:
            wanted = chance.randint(0, min(120, CAPACITY - len(live)))
            expected_fresh = max(0, wanted - (highest - len(live)))
            numbers = table.allocate(wanted)
            assert len(set(numbers.tolist())) == wanted
            assert not set(numbers.tolist()) & set(live)
            assert not table.rows["key"][numbers].any()
            highest += expected_fresh
            table.rows["key"][numbers] = step + 1
            live.update(dict.fromkeys(numbers.tolist(), step + 1))
            marked.update(numbers.tolist())
        elif action == "free":
            table.free(np.array(some, np.int64))
            for number in some:
                del live[number]
            marked.update(some)
        elif action == "touch":
            table.touch(np.array(some * 2, np.int64))
            marked.update(some)
        elif action == "take":
            assert changed(table) == sorted(marked)
            table.take_changes()
            marked.clear()
        assert (table.live, table.high_water) == (len(live), highest)
        assert table.live_numbers().tolist() == sorted(live)
        low, high = sorted((chance.randint(0, highest), chance.randint(0, highest)))
        assert table.live_numbers(low, high).tolist() == [number for number in sorted(live) if low <= number < high]
        assert {number: int(table.rows["key"][number]) for number in live} == live
        assert not np.delete(table.rows["key"], sorted(live)).any()
    assert changed(table) == sorted(marked)


def test_freed_rows_come_back_before_new_ones() -> None:
    table = Table("t", NARROW)
    table.allocate(100)
    table.free(np.array([7, 50, 8]))
    assert table.allocate(4).tolist() == [7, 8, 50, 100]


def test_a_full_table_refuses_and_stays_as_it_was() -> None:
    table = Table("t", NARROW, 10)
    table.allocate(8)
    with pytest.raises(TableFull, match=r"3 rows asked for, 8 of 10 are in use"):
        table.allocate(3)
    assert (table.live, table.high_water) == (8, 8)
    assert table.allocate(2).tolist() == [8, 9]


def test_a_row_that_is_not_in_use_cannot_be_freed() -> None:
    table = Table("t", NARROW)
    table.allocate(4)
    table.free(np.array([2]))
    with pytest.raises(ValueError, match="not in use"):
        table.free(np.array([1, 2]))
    assert table.live_numbers().tolist() == [0, 1, 3]


@pytest.mark.parametrize("number", [-1, 4])
def test_rows_outside_the_table_are_refused(number: int) -> None:
    table = Table("t", NARROW)
    table.allocate(4)
    with pytest.raises(IndexError):
        table.touch(np.array([number]))
    with pytest.raises(IndexError):
        table.free(np.array([number]))


@pytest.mark.parametrize("dtype", [np.dtype(object), np.dtype("V0")])
def test_rows_must_be_plain_bytes(dtype: np.dtype[np.generic]) -> None:
    with pytest.raises(ValueError, match="plain bytes"):
        Table("t", dtype)


def test_rows_of_a_fixed_capacity_never_move() -> None:
    table = Table("t", NARROW, 10_000)
    before = table.rows
    table.allocate(10_000)
    assert table.rows is before


def test_tracking_takes_at_most_three_tenths_of_a_byte_per_row() -> None:
    table = Table("t", np.dtype("V33"), 1_000_000)
    table.allocate(1_000_000)
    assert table.nbytes - 33_000_000 <= 300_000
