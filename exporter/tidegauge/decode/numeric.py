"""Numbers out of JSON values whose type has drifted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def as_number(value: object) -> float | None:
    """A finite float from a JSON number or a numeric string; None from anything else (booleans, NaN, 10**400 too)."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def number_column(values: Sequence[Any]) -> NDArray[np.float64]:
    """Finite floats; NaN for None, infinity for whatever is no finite number."""
    if set(map(type, values)) <= {float, int, NoneType}:
        try:
            numbers = np.array(values, np.float64)
        except OverflowError:
            pass
        else:
            if not np.isinf(numbers).any() and int(np.isnan(numbers).sum()) == values.count(None):
                return numbers
    return np.array([np.nan if v is None else np.inf if (x := as_number(v)) is None else x for v in values], np.float64)
