"""Rows: predictions with whatever feedback they have, on every channel, as columns.

The join makes them, the tally turns them into counts. Codes index the model's vocabularies; NONE means "not there".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NONE = 255
"""Code of an absent label, answer or slice value."""
UNNAMED = 253
"""Code of a label that is no class of the model, on channels of reports."""
RETRACTED = 254
"""Code of a label that was withdrawn; older labels must not come back."""
INVALID_NUMBER = -sys.float_info.max
"""Stands in a feature's numbers for a value of a wrong type, as a text where a number is due."""
MISSING_CODE, INVALID_CODE = -1, -2
"""Stand in a feature's codes for no value and for a value of a wrong type."""


@dataclass(frozen=True, slots=True)
class Labels:
    """One channel's labels of n rows."""

    present: NDArray[np.bool_]  # a label was given and holds
    answered: NDArray[np.bool_]  # a label holds, given or implied by silence
    code: NDArray[np.uint8]  # class; meaningful where answered (classification)
    value: NDArray[np.float64]  # number; meaningful where answered (regression)
    factor: NDArray[np.float64] | None = None  # 1 / propensity; None: 1 everywhere
    measures: NDArray[np.float64] | None = None  # rankings and texts: what comparing with the answer gave, by column

    def take(self, index: NDArray[np.int64]) -> Labels:
        return Labels(
            self.present[index],
            self.answered[index],
            self.code[index],
            self.value[index],
            None if self.factor is None else self.factor[index],
            None if self.measures is None else self.measures[index],
        )


@dataclass(frozen=True, slots=True)
class Vectors:
    """Class probabilities of n rows: `probability` has shape (n, classes); rows that carry none are all zero."""

    given: NDArray[np.bool_]
    probability: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Service:
    """How n predictions were served: known when they arrive, and not kept."""

    shadow: NDArray[np.bool_]
    failed: NDArray[np.bool_]  # no answer was given
    latency: NDArray[np.float64]  # seconds; NaN: not given

    def take(self, index: NDArray[np.int64]) -> Service:
        return Service(self.shadow[index], self.failed[index], self.latency[index])


@dataclass(frozen=True, slots=True)
class Codes:
    """A feature's categories: `codes` (n,) int32 index `values`, or are MISSING_CODE or INVALID_CODE."""

    codes: NDArray[np.int32]
    values: list[str]  # of this batch only; it may hold some that no code names

    def take(self, index: NDArray[np.int64]) -> Codes:
        return Codes(self.codes[index], self.values)


MISSING_VECTOR, INVALID_VECTOR, NON_FINITE_VECTOR = -1, -2, -3
"""In place of a length: there is none, it is no list of numbers, one of its numbers is not finite."""


@dataclass(frozen=True, slots=True)
class VectorValues:
    """An embedding's vectors, each as long as it was written: what is usual is not known where they are read."""

    lengths: NDArray[np.int32]  # (n,): numbers of each, more than 0, or one of *_VECTOR
    numbers: NDArray[np.float64]  # those of all vectors, one after the other

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, index: NDArray[np.int64] | slice) -> VectorValues:
        """The vectors of the rows at these positions."""
        lengths, length = self.lengths[index], self._common()
        if length:
            return VectorValues(lengths, self.numbers.reshape(-1, length)[index].reshape(-1))
        sizes = np.maximum(self.lengths, 0, dtype=np.int64)
        wanted, ends = sizes[index], np.cumsum(sizes)[index]
        before = np.repeat(ends - np.cumsum(wanted), wanted)
        return VectorValues(lengths, self.numbers[before + np.arange(len(before))])

    def of_length(self, dimension: int) -> NDArray[np.float64]:
        """(n, dimension): one of another length is invalid. A row's first number says so; see `FeatureValues`."""
        if self._common() == dimension:
            return self.numbers.reshape(-1, dimension)
        found = np.full((len(self), dimension), np.nan)
        right = self.lengths == dimension
        found[right] = self.numbers[np.repeat(right, np.maximum(self.lengths, 0))].reshape(-1, dimension)
        found[self.lengths == NON_FINITE_VECTOR, 0] = np.inf
        found[~right & (self.lengths != MISSING_VECTOR) & (self.lengths != NON_FINITE_VECTOR), 0] = INVALID_NUMBER
        return found

    def _common(self) -> int:
        """The length of all of them; 0 if they differ, or some are no vectors."""
        length = int(self.lengths[0]) if len(self) else 0
        return length if length > 0 and bool((self.lengths == length).all()) else 0


def usual_length(lengths: NDArray[np.int32]) -> int:
    """What most vectors have, of several the least; 0 if there is none."""
    found, times = np.unique(lengths[lengths > 0], return_counts=True)
    return int(found[times.argmax()]) if len(found) else 0


@dataclass(frozen=True, slots=True)
class FeatureValues:
    """What a model saw in n predictions: known when they arrive, and not kept. Order: see `config.watched`.

    A number is NaN where there is none, INVALID_NUMBER where it is of a wrong type, infinite where it is not finite.
    Where vectors are laid out, the first number of one says the same of the whole vector, the others are NaN then.
    """

    numbers: NDArray[np.float64]  # (numeric and text-length features, n), C-contiguous: a row per feature
    codes: tuple[Codes, ...]  # categorical and boolean features
    vectors: tuple[VectorValues | None, ...]  # embeddings; None: no row has one

    def take(self, index: NDArray[np.int64]) -> FeatureValues:
        """The values of the rows at these positions."""
        return FeatureValues(
            self.numbers.take(index, axis=1),  # unlike [:, index], C-contiguous again
            tuple(codes.take(index) for codes in self.codes),
            tuple(None if vectors is None else vectors.take(index) for vectors in self.vectors),
        )

    def part(self, rows: slice) -> FeatureValues:
        """The values of some rows in a row, without a copy."""
        return FeatureValues(
            self.numbers[:, rows],
            tuple(Codes(codes.codes[rows], codes.values) for codes in self.codes),
            tuple(None if vectors is None else vectors.take(rows) for vectors in self.vectors),
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows of one model."""

    time: NDArray[np.int64]  # ms
    version: NDArray[np.uint8]
    slices: tuple[NDArray[np.uint8], ...]  # one code array a slice key
    predicted: NDArray[np.uint8]  # class answered (classification); 0 where a ranking or text was
    score: NDArray[np.float64]  # binary: probability of the positive class; NaN: none
    value: NDArray[np.float64]  # regression: number answered; NaN: none
    labels: tuple[Labels, ...]  # one a channel, then one a signal that comes as feedback
    weight: NDArray[np.float64] | None = None  # statistical weight, sampling of the join included; None: 1 everywhere
    count: NDArray[np.int64] | None = None  # identical predictions a row stands for; None: 1 everywhere
    rate: NDArray[np.int64] | None = None  # 1 / sampling rate of the join, already within weight; None: 1 everywhere
    vectors: Vectors | None = None  # multiclass probabilities
    signals: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # derived ones, on arrival only
    unit: NDArray[np.uint8] | None = None  # bucket of the user or thing that was judged, see `layout.unit_buckets`
    service: Service | None = None  # on arrival only
    features: FeatureValues | None = None  # on arrival only; None: the model has none configured

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: NDArray[np.int64]) -> Rows:
        """The rows at these positions."""
        return Rows(
            time=self.time[index],
            version=self.version[index],
            slices=tuple(code[index] for code in self.slices),
            predicted=self.predicted[index],
            score=self.score[index],
            value=self.value[index],
            labels=tuple(labels.take(index) for labels in self.labels),
            weight=None if self.weight is None else self.weight[index],
            count=None if self.count is None else self.count[index],
            rate=None if self.rate is None else self.rate[index],
            vectors=None
            if self.vectors is None
            else Vectors(self.vectors.given[index], self.vectors.probability[index]),
            signals={name: column[index] for name, column in self.signals.items()},
            unit=None if self.unit is None else self.unit[index],
            service=None if self.service is None else self.service.take(index),
            features=None if self.features is None else self.features.take(index),
        )

    def counts(self) -> NDArray[np.int64]:
        """How many identical predictions each row stands for."""
        return np.ones(len(self), dtype=np.int64) if self.count is None else self.count

    def weights(self, channel: int) -> NDArray[np.float64] | None:
        """Weight of each row as a member of a channel's labelled rows; None where all are 1."""
        factor = self.labels[channel].factor
        if factor is None:
            return self.weight
        return factor if self.weight is None else factor * self.weight
