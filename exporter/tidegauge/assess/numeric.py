"""Array arithmetic that never warns: what has no value is NaN, silently and on purpose."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import Floats

ROUNDING: Final = 1e-12  # relative; sums of weights that should be equal differ by less


def floats(values: ArrayLike) -> Floats:
    """The values as float64, without a copy where they already are."""
    return np.asarray(values, dtype=np.float64)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """numerator / denominator where the denominator is positive, else NaN; broadcasts."""
    above, below = np.broadcast_arrays(floats(numerator), floats(denominator))
    quotient: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return quotient


def kish(weight: ArrayLike, weight_squared: ArrayLike) -> Floats:
    """Effective sample size of a weighted mean (Kish 1965): (sum w)**2 / sum w**2; 0 where there is nothing."""
    size: Floats = np.nan_to_num(ratio(np.square(floats(weight)), weight_squared))
    return size


def masked_mean(values: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Mean over the last axis of the values under the mask; NaN where the mask is empty."""
    return ratio(np.where(mask, values, 0.0).sum(axis=-1), mask.sum(axis=-1))
