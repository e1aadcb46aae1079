"""Rows with features, and a plain recount of them: a loop over rows that knows bins only by their definition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from types import EllipsisType

import numpy as np
import xxhash
from numpy.typing import NDArray

from tidegauge.config.settings import HOUR, Channel, Feature, Model
from tidegauge.decode.columns import Categorical
from tidegauge.join.rows import INVALID_NUMBER, NONE, FeatureValues, Rows
from tidegauge.tally.features.schema import CategoricalBins, NumericBins

CLASSES = ("no", "yes", "maybe")
MODEL = Model(
    "fraud",
    "binary",
    (Channel("outcome"),),
    features=(
        Feature("amount", "numeric"),
        Feature("country", "categorical"),
        Feature("note", "text_length"),
        Feature("returning", "boolean"),
    ),
    windows=(HOUR,),
)
NAMES = ("@score", "@prediction", "amount", "country", "note", "returning")


@dataclass(frozen=True)
class Record:
    """One prediction. Numbers may be NaN, infinite or INVALID_NUMBER; texts are None where missing, ... where wrong."""

    cell: int
    count: int = 1
    score: float = 0.5
    answer: str | None = "yes"
    amount: float = 0.0
    country: str | EllipsisType | None = "de"
    note: float = 1.0
    returning: str | EllipsisType | None = "true"


def rows_of(records: list[Record], *, counted: bool = True) -> tuple[Rows, NDArray[np.int64]]:
    """(rows, cell of each)."""
    n = len(records)
    predicted = [NONE if r.answer is None else CLASSES.index(r.answer) for r in records]
    numbers = np.array([[r.amount for r in records], [r.note for r in records]]).reshape(2, n)
    features = FeatureValues(numbers, (_coded([r.country for r in records]), _coded([r.returning for r in records])))
    rows = Rows(
        time=np.zeros(n, dtype=np.int64),
        version=np.zeros(n, dtype=np.uint8),
        slices=(),
        predicted=np.array(predicted, dtype=np.uint8),
        score=np.array([r.score for r in records], dtype=np.float64),
        value=np.full(n, np.nan),
        labels=(),
        count=np.array([r.count for r in records], dtype=np.int64) if counted else None,
        features=features,
    )
    return rows, np.array([r.cell for r in records], dtype=np.int64)


def _coded(texts: list[str | EllipsisType | None]) -> Categorical:
    values = sorted({text for text in texts if isinstance(text, str)}, key=lambda text: text[::-1])
    codes = [values.index(t) if isinstance(t, str) else -1 if t is None else -2 for t in texts]
    return Categorical(np.array(codes, dtype=np.int32), values)


def values_of(record: Record) -> tuple[float | str | EllipsisType | None, ...]:
    """In the order of NAMES."""
    return (record.score, record.answer, record.amount, record.country, record.note, record.returning)


@dataclass
class Recount:
    """Of one feature in one cell."""

    conditions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("missing", "invalid", "non_finite"), 0))
    out_of_range: int = 0
    bins: dict[int | str, int] = field(default_factory=dict)
    sums: dict[int, Fraction] = field(default_factory=dict)
    values: set[float | str] = field(default_factory=set)

    def add(self, bins: NumericBins | CategoricalBins, value: float | str | EllipsisType | None, count: int) -> None:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            self.conditions["missing"] += count
        elif value is ... or value == INVALID_NUMBER:
            self.conditions["invalid"] += count
        elif isinstance(value, float) and math.isinf(value):
            self.conditions["non_finite"] += count
        elif isinstance(value, float) and isinstance(bins, NumericBins):
            place = bin_of(bins.edges, value)
            self.out_of_range += count * (place in (0, len(bins.edges)))
            self.bins[place] = self.bins.get(place, 0) + count
            self.sums[place] = self.sums.get(place, Fraction(0)) + count * Fraction(value)
            self.values.add(value)
        elif isinstance(value, str) and isinstance(bins, CategoricalBins):
            name = name_of(bins, value)
            self.bins[name] = self.bins.get(name, 0) + count
            self.values.add(value)
        else:
            raise TypeError(f"{value!r} in {bins!r}")


def bin_of(edges: tuple[float, ...], value: float) -> int:
    """The definition, edge by edge."""
    if value > edges[-1]:
        return len(edges)
    if value == edges[-1]:
        return len(edges) - 1
    return sum(edge <= value for edge in edges)


def name_of(bins: CategoricalBins, text: str) -> str:
    if text in bins.values:
        return text
    number = xxhash.xxh3_64_intdigest(text.encode())
    if bins.hashed and (bins.known is None or number in bins.known):
        return f"other {number % bins.hashed:02d}"
    return "unseen"
