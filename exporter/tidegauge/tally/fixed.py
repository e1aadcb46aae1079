"""Real numbers as int64 limbs, so that their sums are exact.

Floating-point addition depends on the order of its terms; an integer addition does not. A real number is therefore
split into 32-bit digits of a fixed-point number and the digits are summed apart, as int64, without carrying: 2**31
numbers fit. Whatever the order of arrival, correction, merge or restart, the digits are the same, and a number that
is subtracted again leaves nothing. (The idea is Kulisch's accumulator; see Neal, "Fast exact summation using small
and large superaccumulators", 2015.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIGIT_BITS = 32
LOWER_HALF = (1 << DIGIT_BITS) - 1


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A format of `limbs` digits; the lowest digit counts units of 2**lowest."""

    lowest: int
    limbs: int

    def encode(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """Digits of finite numbers, shape (limbs, n), lowest first; rounds to nearest at 2**lowest.

        Digits may have signs of their own; the highest may exceed 32 bits. Numbers beyond what the digits can hold in
        60 bits of the highest (62 bits in all for two limbs) are held there.
        """
        if self.limbs == 2:
            # The whole number fits into one integer, whose halves are the digits.
            largest = 2.0 ** (62 + self.lowest)
            whole = np.rint(np.clip(numbers, -largest, largest) * 2.0**-self.lowest).astype(np.int64)
            return np.stack([whole & LOWER_HALF, whole >> DIGIT_BITS])
        digits = np.empty((self.limbs, len(numbers)), dtype=np.int64)
        bound = 2.0 ** (self.lowest + DIGIT_BITS * (self.limbs - 1) + 60)
        rest = np.clip(numbers, -bound, bound)
        for limb in range(self.limbs - 1, 0, -1):
            unit = 2.0 ** (self.lowest + DIGIT_BITS * limb)
            digit = np.trunc(rest / unit)
            digits[limb] = digit.astype(np.int64)
            rest = rest - digit * unit  # exact: both are multiples of the last bit of `rest`
        digits[0] = np.rint(rest / 2.0**self.lowest).astype(np.int64)
        return digits

    def decode(self, digits: NDArray[np.int64]) -> NDArray[np.float64]:
        """The sums, from digit sums of shape (..., limbs).

        Carries are resolved in integers first, so equal sums decode to equal floats however they were added up.
        """
        normal = digits.astype(np.int64, copy=True)
        for limb in range(self.limbs - 1):
            carry = normal[..., limb] >> DIGIT_BITS
            normal[..., limb] -= carry << DIGIT_BITS
            normal[..., limb + 1] += carry
        total = np.zeros(normal.shape[:-1], dtype=np.float64)
        for limb in range(self.limbs - 1, -1, -1):
            total = total + normal[..., limb].astype(np.float64) * 2.0 ** (self.lowest + DIGIT_BITS * limb)
        return total


UNIT = FixedPoint(lowest=-44, limbs=2)
"""Losses of probabilities, weights, confidences: up to 2**18 a row, to 6e-14."""

WIDE = FixedPoint(lowest=-128, limbs=9)
"""Errors of regressions and their powers: up to 2**158 a row, to 3e-39."""

WHOLE = FixedPoint(lowest=0, limbs=2)
"""Whole numbers: up to 2**62 a row."""

PROBABILITY_BITS = 30
"""Sums of probabilities that are kept per score bin are single integers in units of 2**-30."""
