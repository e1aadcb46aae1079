"""The numeric features of a row taken together: as one standardised vector, and how well a PCA rebuilds it.

The principal components of a reference say how its features go together; rows that go together otherwise are rebuilt
badly from them. As in embedding.py the arithmetic is on whole numbers that float64 holds exactly, so that a row's error
is the same in any batch and on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import INVALID_NUMBER, FeatureValues

Floats = NDArray[np.float64]

KEPT: Final = 0.65
"""Share of the variance that the components keep, as NannyML does."""
FARTHEST: Final = 8.0
"""Standard deviations from the mean at which a value is held."""
MOST_FEATURES: Final = 1024

_CHUNK: Final = 4096  # rows at a time, so that what is between the steps stays small
_LARGEST: Final = 1e140  # numbers are held within this, so that their squares are finite
_VALUE: Final = 2.0**18  # standardised values are whole multiples of 1 / _VALUE
_WEIGHT: Final = 2.0**22  # and so are the weights of a projection, of 1 / _WEIGHT


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and standard deviation of each of F numeric features in a reference."""

    means: tuple[float, ...]
    scales: tuple[float, ...]  # 1 for a feature that did not vary

    def vectors(self, numbers: Floats) -> Floats:
        """Rows (n, F) of numbers (F, n) in standard deviations from the mean, within +-FARTHEST.

        What is missing, of a wrong type or not finite is at the mean; a row in which nothing else is there is NaN.
        """
        there = _there(numbers)
        with np.errstate(invalid="ignore", over="ignore"):
            away = (numbers - np.array(self.means)[:, None]) / np.array(self.scales)[:, None]
        standard = np.where(there, np.clip(away, -FARTHEST, FARTHEST), 0.0)
        standard[:, ~there.any(axis=0)] = np.nan
        return np.ascontiguousarray(standard.T)

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {"means": list(self.means), "scales": list(self.scales)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Standard:
        """The inverse of to_json."""
        return cls(tuple(map(float, saved["means"])), tuple(map(float, saved["scales"])))


def learn_standard(numbers: Floats) -> Standard:
    """Of the numbers (F, n) of a reference that are finite; 0 and 1 for a feature that has none."""
    there = _there(numbers)
    means, scales = [], []
    for row, valid in zip(numbers, there, strict=True):
        values = np.clip(row[valid], -_LARGEST, _LARGEST)
        mean = float(values.mean()) if values.size else 0.0
        scale = float(np.sqrt(np.square(values - mean).mean())) if values.size else 0.0
        means.append(_rounded(mean))
        # The spread of one value repeated is 0 but for rounding.
        scales.append(_rounded(scale) if scale > 1e-12 * abs(mean) else 1.0)
    return Standard(tuple(means), tuple(scales))


@dataclass(frozen=True, slots=True)
class Pca:
    """Principal components of a reference's standardised numeric features (F of them, k kept)."""

    standard: Standard
    centre: tuple[float, ...]  # (F,): mean of the standardised rows
    components: tuple[tuple[float, ...], ...]  # (k, F): orthonormal, each with its largest weight positive

    def errors(self, numbers: Floats) -> Floats:
        """Distance (n,) of each standardised row of numbers (F, n) from what the components rebuild of it.

        NaN where a row has no number at all.
        """
        vectors = self.standard.vectors(numbers)
        kept = np.array(self.components)
        rest = np.rint((np.eye(kept.shape[1]) - kept.T @ kept) * _WEIGHT)
        away = np.rint((vectors - np.array(self.centre)) * _VALUE)
        left = np.rint((away @ rest) / _WEIGHT)
        errors: Floats = np.sqrt(np.square(left).sum(axis=1)) / _VALUE
        return errors

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        components = [list(component) for component in self.components]
        return {"standard": self.standard.to_json(), "centre": list(self.centre), "components": components}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Pca:
        """The inverse of to_json."""
        components = tuple(tuple(map(float, component)) for component in saved["components"])
        return cls(Standard.from_json(saved["standard"]), tuple(map(float, saved["centre"])), components)


def learn_pca(numbers: Floats) -> Pca:
    """The components that together keep more than KEPT of the variance of a reference's numbers (F, n), by eigenvalue.

    One component at least is left out: with all, every row would be rebuilt. Raises ValueError with fewer than two
    features or more than MOST_FEATURES, fewer than two rows, or where nothing varies.
    """
    features = len(numbers)
    if not 2 <= features <= MOST_FEATURES:
        raise ValueError(f"{features} numeric features; reconstruction needs 2 to {MOST_FEATURES}")
    standard = learn_standard(numbers)
    vectors = standard.vectors(numbers)
    vectors = vectors[np.isfinite(vectors[:, 0])]
    if len(vectors) < 2:
        raise ValueError(f"{len(vectors)} rows with numbers; reconstruction needs at least 2")
    centre = vectors.mean(axis=0)
    away = vectors - centre
    values, directions = np.linalg.eigh(away.T @ away)
    variances = np.maximum(values[::-1], 0.0)
    if variances[0] <= 0:
        raise ValueError("no numeric feature varies")
    shares = np.cumsum(variances) / variances.sum()
    kept = min(int(np.searchsorted(shares, KEPT, side="right")) + 1, features - 1)
    components = directions.T[::-1][:kept]
    largest = components[np.arange(kept), np.abs(components).argmax(axis=1)]
    signed = components * np.sign(largest)[:, None]
    return Pca(
        standard,
        tuple(_rounded(value) for value in centre),
        tuple(tuple(_rounded(weight) for weight in component) for component in signed),
    )


def with_errors(values: FeatureValues, features: int, pca: Pca | None) -> FeatureValues:
    """The values with one more number, after those of the numeric features: how badly the PCA rebuilds them.

    NaN (missing) everywhere without one. What stands there already is replaced.
    """
    numbers = values.numbers[:features]
    rows = numbers.shape[1]
    longer = np.empty((features + 1, rows))
    longer[:features] = numbers
    longer[features] = np.nan
    for start in range(0, rows if pca is not None else 0, _CHUNK):
        block = slice(start, start + _CHUNK)
        assert pca is not None
        longer[features, block] = pca.errors(numbers[:, block])
    return FeatureValues(longer, values.codes, values.vectors)


def _there(numbers: Floats) -> NDArray[np.bool_]:
    there: NDArray[np.bool_] = np.isfinite(numbers) & (numbers != INVALID_NUMBER)
    return there


def _rounded(value: float | np.float64) -> float:
    """To nine digits: stored as a person can read it, and used as it is stored."""
    return float(f"{float(value):.9g}")
