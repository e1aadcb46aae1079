"""What the model saw and answered, in bins: see `tally.features`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import Rows
from tidegauge.tally.family import Family, no_contribution
from tidegauge.tally.features.counts import FeatureCounter
from tidegauge.tally.features.schema import Schema

NAME = "features"


def family(schema: Schema, counter: FeatureCounter) -> Family:
    """The columns of the schema; slices do not have them."""

    def sums(rows: Rows, local: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.int64]:
        return counter.accumulate(rows, local, versions)

    return Family(NAME, schema.columns, no_contribution, slice_columns=0, schema=schema.id, dense=sums)
