"""Bins from values that were seen: of a reference file, or of a model's first predictions.

What is learned depends on the values alone, not on their order or on how they are cut into samples.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.decode.columns import Categorical
from tidegauge.join.rows import FeatureValues, Rows
from tidegauge.tally.features.binning import CategoricalBinner, NumericBinner, Workspace, hash_of, is_number
from tidegauge.tally.features.counts import BLOCK
from tidegauge.tally.features.schema import LARGEST_EDGE, MOST_NAMED, Bins, CategoricalBins, NumericBins, Schema
from tidegauge.tally.features.watched import FROM_CLASS, FROM_NUMBER, FROM_SCORE, NUMERIC, Watched, watched

QUANTILES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
"""Inner edges, in per cent: tenths, and finer towards the ends, where what goes wrong shows first."""
FEW_VALUES = 20
"""Up to so many distinct numbers, each has a bin of its own."""
TELLING = 1000
"""Rows that mostly tell whether there are more distinct numbers than that."""
BUCKETS = 16
"""For categories without a bin of their own."""
FEWEST_NAMED = 20
"""Times that a category has to be seen to have a bin of its own where there are more than bins: of many that are alike
the 30 that chance favoured would seem to become rarer ever after."""
MOST_KNOWN = 1000
MOST_NEW = 0.1
"""With more distinct categories, or a larger share of new ones to come, those are nothing special."""
FEWEST_PAIRS = 100
"""Pairs of rows of the same unit, below which nothing is said of how alike they are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """n rows to learn from."""

    features: FeatureValues | None
    score: NDArray[np.float64]  # NaN: none
    predicted: Categorical  # texts of the classes answered, -1: none; other tasks: no codes
    value: NDArray[np.float64]  # regression: number answered; NaN: none
    count: NDArray[np.int64] | None = None  # identical predictions a row stands for; None: 1 everywhere
    unit: NDArray[np.uint64] | None = None  # the user or thing that was judged, 0: none; None: not known

    @staticmethod
    def of(rows: Rows, classes: Sequence[str], unit: NDArray[np.uint64] | None = None) -> Sample:
        """What rows hold; `classes` are the texts of their `predicted` codes."""
        codes = rows.predicted.astype(np.int32)
        codes[codes >= len(classes)] = -1
        return Sample(rows.features, rows.score, Categorical(codes, list(classes)), rows.value, rows.count, unit)

    def __len__(self) -> int:
        return len(self.score)


def learn(model: Model, samples: Sequence[Sample]) -> Schema:
    """Bins of all that is watched of a model."""
    found: list[Bins] = []
    for feature in watched(model):
        if feature.kind == NUMERIC:
            columns = [_numbers(sample, feature) for sample in samples]
            x = np.concatenate([np.zeros(0), *columns])
            rows = np.flatnonzero(is_number(x))
            counts = _counts(samples)
            found.append(learn_numeric(feature.name, x[rows], None if counts is None else counts[rows]))
        elif feature.source == FROM_CLASS and model.task == "binary" and samples:
            # Both answers are known, whether or not both were given.
            found.append(CategoricalBins(feature.name, tuple(samples[0].predicted.values)))
        else:
            found.append(learn_categorical(feature.name, _texts(samples, feature), boolean=feature.boolean))
    return Schema(tuple(found))


def learn_numeric(name: str, values: NDArray[np.float64], counts: NDArray[np.int64] | None = None) -> NumericBins:
    """Bins of finite numbers; `counts` says how often each was seen, None: once.

    Up to 20 distinct numbers: a bin each, with edges half way between them. More: bins between the least, the quantiles
    of QUANTILES and the greatest; a number that is several quantiles at once has a bin of its own. No number at all is
    taken for a constant 0. What lies beyond the largest edge that bins may have is outside them.
    """
    held = np.clip(values, -LARGEST_EDGE, LARGEST_EDGE) + 0.0  # no -0.0
    if counts is None and len(np.unique(held[:TELLING])) > FEW_VALUES:
        return NumericBins(name, _ascending(_edges_of_many(held)))
    distinct, seen = np.unique(held, return_counts=True) if counts is None else _weighed(held, counts)
    if not len(distinct):
        return NumericBins(name, (0.0, 0.0))
    if len(distinct) == 1:
        return NumericBins(name, (float(distinct[0]), float(distinct[0])))
    if len(distinct) <= FEW_VALUES:
        numbers = distinct.tolist()
        halves = [_between(low, high) for low, high in itertools.pairwise(numbers)]
        return NumericBins(name, _ascending([numbers[0], *halves, numbers[-1]]))
    # The least number that at least so much lies at or below, in whole numbers.
    below = np.cumsum(seen)
    total = int(below[-1])
    chosen = Counter([0, len(distinct) - 1])
    chosen.update(int(np.searchsorted(below, -(-quantile * total // 100))) for quantile in QUANTILES)
    edges = [float(distinct[rank]) for rank in chosen]
    for rank, times in chosen.items():
        if times > 1:
            low = min(rank, len(distinct) - 2)
            edges.append(_between(float(distinct[low]), float(distinct[low + 1])))
    return NumericBins(name, _ascending(edges))


def _edges_of_many(values: NDArray[np.float64]) -> list[float]:
    """The edges that more than 20 distinct numbers, seen once each row, have; found without sorting all of them."""
    rows = len(values)
    ranks = [0, *(-(-quantile * rows // 100) - 1 for quantile in QUANTILES), rows - 1]
    chosen = Counter(np.partition(values, sorted(set(ranks)))[ranks].tolist())
    edges, greatest = list(chosen), max(chosen)
    for number, times in chosen.items():
        if times > 1 and number < greatest:
            edges.append(_between(number, float(values[values > number].min())))
        elif times > 1:
            edges.append(_between(float(values[values < number].max()), number))
    return edges


def _weighed(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct values, and how often each was seen."""
    distinct, place = np.unique(values, return_inverse=True)
    seen = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(seen, place, counts)
    return distinct, seen


def learn_categorical(name: str, counts: Mapping[str, int], *, boolean: bool = False) -> CategoricalBins:
    """Bins of categories that were seen so often.

    The 30 most frequent have names, the others 16 hash buckets; of an identifier, none is unseen later.
    """
    if boolean:
        return CategoricalBins(name, ("false", "true"))
    ordered = sorted((text for text, count in counts.items() if count > 0), key=lambda text: (-counts[text], text))
    # What was met once says how much there is that was not met (Good 1953, Biometrika 40:237).
    new = sum(counts[text] == 1 for text in ordered) / max(1, sum(counts[text] for text in ordered))
    if len(ordered) <= MOST_NAMED:
        return CategoricalBins(name, tuple(ordered), new=new)
    named = tuple(text for text in ordered[:MOST_NAMED] if counts[text] >= FEWEST_NAMED)
    if len(ordered) > MOST_KNOWN or new > MOST_NEW:
        return CategoricalBins(name, named, BUCKETS, None)
    return CategoricalBins(name, named, BUCKETS, tuple(sorted({hash_of(text) for text in ordered[len(named) :]})), new)


def intraclass(schema: Schema, model: Model, samples: Sequence[Sample]) -> NDArray[np.float64]:
    """(F,): how alike rows of the same unit are in each feature of the schema, see `icc`; 0 where no unit is known."""
    alike = np.zeros(len(schema.features))
    known = [(sample, sample.unit) for sample in samples if sample.unit is not None and len(sample)]
    if not known:
        return alike
    units = _Units(np.concatenate([unit for _, unit in known]))
    features = {feature.name: feature for feature in watched(model)}
    for number, bins in enumerate(schema.features):
        feature = features.get(bins.name)
        if feature is not None and (feature.kind == NUMERIC) == isinstance(bins, NumericBins):
            alike[number] = units.icc(np.concatenate([_places(sample, feature, bins) for sample, _ in known]))
    return alike


def icc(units: NDArray[np.uint64], places: NDArray[np.integer]) -> float:
    """Intraclass correlation of bin membership, in [0, 1], of n rows with their units (0: one of its own) and bins.

    (P - S) / (1 - S), with P the share of pairs of rows of the same unit that lie in the same bin, and S the sum of the
    squared shares of the bins (Fleiss' kappa: "Measuring nominal scale agreement among many raters", 1971).
    0 if no unit repeats or all rows are alike; 1 if there are fewer than 100 pairs, which is on the safe side.
    """
    return _Units(units).icc(places)


class _Units:
    """Units of n rows (0: one of its own), told apart once for all features."""

    def __init__(self, units: NDArray[np.uint64]) -> None:
        held = np.flatnonzero(units)
        _, unit, repeats = np.unique(units[held], return_inverse=True, return_counts=True)
        again = np.flatnonzero(repeats[unit] > 1)  # no other row is half of a pair
        self._again = held[again]
        self._unit = unit[again].astype(np.int64)
        self._pairs = _pairs(repeats)

    def icc(self, places: NDArray[np.integer]) -> float:
        """See `icc`."""
        if not self._pairs:
            return 0.0
        if self._pairs < FEWEST_PAIRS:
            return 1.0
        filled = np.bincount(places)
        by_chance = float(np.sum((filled[filled > 0] / len(places)) ** 2))
        if by_chance >= 1.0:
            return 0.0
        _, together = np.unique(self._unit * len(filled) + places[self._again], return_counts=True)
        return min(1.0, max(0.0, (_pairs(together) / self._pairs - by_chance) / (1.0 - by_chance)))


def _pairs(repeats: NDArray[np.integer]) -> float:
    times = repeats.astype(np.float64)
    return float(np.sum(times * (times - 1.0)) / 2.0)


def _between(low: float, high: float) -> float:
    """Half way between two numbers; always above the lower, and the higher itself where no float lies between."""
    middle = (low + high) / 2.0
    return middle if low < middle else high


def _ascending(edges: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(set(edges)))


def _numbers(sample: Sample, feature: Watched) -> NDArray[np.float64]:
    if feature.source == FROM_NUMBER:
        return np.full(len(sample), np.nan) if sample.features is None else sample.features.numbers[feature.index]
    return sample.score if feature.source == FROM_SCORE else sample.value


def _codes(sample: Sample, feature: Watched) -> Categorical:
    if feature.source == FROM_CLASS:
        return sample.predicted
    if sample.features is None:
        return Categorical(np.full(len(sample), -1, dtype=np.int32), [])
    column = sample.features.codes[feature.index]
    return Categorical(column.codes, column.values)


def _counts(samples: Sequence[Sample]) -> NDArray[np.int64] | None:
    """How many predictions each row stands for; None if all are 1."""
    if all(sample.count is None for sample in samples):
        return None
    ones = (np.ones(len(sample), dtype=np.int64) if sample.count is None else sample.count for sample in samples)
    return np.concatenate(list(ones))


def _texts(samples: Sequence[Sample], feature: Watched) -> Counter[str]:
    """How often each category was seen."""
    seen: Counter[str] = Counter()
    for sample in samples:
        column = _codes(sample, feature)
        rows = np.flatnonzero(column.codes >= 0)
        totals = np.zeros(len(column.values), dtype=np.int64)
        np.add.at(totals, column.codes[rows], 1 if sample.count is None else sample.count[rows])
        for code in np.flatnonzero(totals).tolist():
            seen[column.values[code]] += int(totals[code])
    return seen


def _places(sample: Sample, feature: Watched, bins: Bins) -> NDArray[np.intp]:
    """The column that each row is counted in; what is no value counts as a bin too."""
    places = np.empty(len(sample), dtype=np.intp)
    workspace = Workspace(min(BLOCK, len(sample)))
    blocks = [slice(start, start + BLOCK) for start in range(0, len(sample), BLOCK)]
    if isinstance(bins, NumericBins):
        numbers, binner = _numbers(sample, feature), NumericBinner(bins)
        for block in blocks:
            places[block] = binner.columns(numbers[block], workspace)[0]
        return places
    column, sorter = _codes(sample, feature), CategoricalBinner(bins)
    for block in blocks:
        places[block] = sorter.columns(column.codes[block], column.values, workspace)
    return places
