"""What the model saw and answered, in bins: see `tally.features`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.family import Dense, Family, no_contribution
from tidegauge.tally.features.counts import FeatureCounter

NAME = "features"


def family(counter: FeatureCounter, classes: Callable[[], Sequence[str]]) -> Family:
    """The columns of the counter's schema, not of slices; `classes` gives the texts of the model's classes."""
    schema, sums = counter.schema, sums_of(counter, classes)
    return Family(NAME, schema.columns, no_contribution, slice_columns=0, schema=schema.id, dense=sums)


def sums_of(counter: FeatureCounter, classes: Callable[[], Sequence[str]]) -> Dense:
    """What gives the sums of rows by cell."""

    def sums(rows: Rows, local: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.int64]:
        return counter.accumulate(rows, local, len(versions), versions, classes())

    return sums
