"""Fixed-point sums against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.tally.fixed import DIGIT_BITS, UNIT, WIDE, FixedPoint
from tidegauge.tally.weights import WEIGHT

LIMITS = {"UNIT": (UNIT, 1e5), "WEIGHT": (WEIGHT, 1e14), "WIDE": (WIDE, 1e45)}


@pytest.mark.parametrize("name", LIMITS)
@given(data=st.data())
def test_a_sum_is_exact_up_to_the_unit_and_the_same_in_any_order(name: str, data: st.DataObject) -> None:
    form, limit = LIMITS[name]
    numbers = np.array(data.draw(st.lists(st.floats(-limit, limit), min_size=1, max_size=50)))
    order = np.array(data.draw(st.permutations(range(len(numbers)))))
    digits = form.encode(numbers)
    total = digits.sum(axis=1)
    assert (form.encode(numbers[order]).sum(axis=1) == total).all()
    exact = sum((Fraction(float(number)) for number in numbers), Fraction(0))
    unit = Fraction(2) ** form.lowest
    kept = sum(int(digit) * 2 ** (DIGIT_BITS * limb) for limb, digit in enumerate(total.tolist())) * unit
    assert abs(kept - exact) <= len(numbers) * unit / 2
    assert math.isclose(float(form.decode(total)), float(kept), rel_tol=1e-15, abs_tol=float(unit))


@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=30))
def test_what_is_taken_away_again_leaves_nothing(numbers: list[float]) -> None:
    digits = WIDE.encode(np.array(numbers))
    assert ((digits.sum(axis=1) - digits[:, ::-1].sum(axis=1)) == 0).all()
    assert float(WIDE.decode(digits.sum(axis=1) - digits.sum(axis=1))) == 0.0


def test_equal_sums_of_different_digits_decode_to_the_same_number() -> None:
    form = FixedPoint(lowest=-10, limbs=3)
    carried = np.array([[1 << DIGIT_BITS, 0, 0], [0, 1, 0], [-(1 << DIGIT_BITS), 2, 0]])
    assert len(set(form.decode(carried).tolist())) == 1


def test_numbers_beyond_the_form_are_held_at_its_end() -> None:
    for form in (UNIT, WEIGHT, WIDE):
        low, high = form.decode(form.encode(np.array([-1e300, 1e300])).T)
        assert math.isfinite(low) and math.isfinite(high) and low < -1e4 and high > 1e4
