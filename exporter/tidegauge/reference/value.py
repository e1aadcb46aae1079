"""A model's reference as a value: sums over the records that it was made from, and no record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.tally.features.schema import Schema


@dataclass(frozen=True, slots=True)
class Summary:
    """The valid numbers of one feature."""

    minimum: float
    maximum: float
    mean: float
    standard_deviation: float  # of the numbers as a whole: divided by their number


@dataclass(frozen=True, slots=True)
class Distribution:
    """Bins of one quantity and what fell into them; the schema has one feature."""

    schema: Schema
    counts: NDArray[np.int64]  # (columns,)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the reference data of one model are, as sums.

    The schema's features are in the order of `watched`; those that the model configures and the data lack are not in
    it. Everything of a feature is in the schema's order.
    """

    model: str
    records: int  # predictions counted, each as often as its `count` says
    schema: Schema
    counts: NDArray[np.int64]  # (schema.columns,)
    kinds: tuple[str, ...]  # as configured: numeric, text_length, categorical, boolean
    icc: tuple[float, ...]  # intraclass correlation of each feature's bins within units; 0: no unit repeats
    summaries: tuple[Summary | None, ...]  # None: categorical, or no valid number
    label: Distribution | None = None  # of the labels, as "@label"; None: no labels, or texts and rankings
    scores: Mapping[str, float] = field(default_factory=dict)  # by metric
    samples: Mapping[str, int] = field(default_factory=dict)  # labelled predictions that each score rests on
    projections: Mapping[str, Any] = field(default_factory=dict)  # plain values by name, see `embedding`
    file: str = ""  # name of the file that it was made from
    created: str = ""  # RFC 3339
    rejected: Mapping[str, int] = field(default_factory=dict)  # records that could not be used, by reason
    notes: tuple[str, ...] = ()  # sentences for people; not in the text
