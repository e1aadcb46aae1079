"""The features of simulated predictions, as text: drawn as their scenario says, then spoilt as it says.

Each feature has random numbers of its own, so that another feature more changes nothing else in the logs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.simulate.scenario import Category, Number
from tidegauge.simulate.shares import Floats, Integers, at, choose

Flags = NDArray[np.bool_]


class Inputs:
    """Draws the features of predictions, step by step. Owned by one thread."""

    def __init__(self, features: Sequence[Number | Category], seed: int) -> None:
        self._features = [
            (feature, np.random.default_rng([seed, 1, number])) for number, feature in enumerate(features)
        ]

    def written(self, names: Sequence[str], version: Integers, progress: Floats, weekend: Flags) -> list[str]:
        """What follows the other features in each record (n,): `,"name":value` for every feature.

        version: places in `names`; progress: of the run, 0 to 1; weekend: whether it is one; all (n,).
        """
        columns = [
            _written(feature, random, np.array(names)[version], progress, weekend) for feature, random in self._features
        ]
        return ["".join(parts) for parts in zip(*columns, strict=True)] if columns else [""] * len(progress)


def _written(
    feature: Number | Category,
    random: np.random.Generator,
    version: NDArray[np.str_],
    progress: Floats,
    weekend: Flags,
) -> list[str]:
    if isinstance(feature, Number):
        values, default = _numbers(feature, random, progress, weekend), "0"
    else:
        values, default = _categories(feature, random, progress, weekend), f'"{feature.weights[0][0]}"'
    fault = feature.fault
    concerned = np.isin(version, (fault.version,)) if fault.version else np.ones(len(version), dtype=np.bool_)
    missing, frozen, renamed = (
        concerned & (random.random(len(progress)) < at(curve, progress))
        for curve in (fault.missing, fault.frozen, fault.renamed)
    )
    return [
        f',"{fault.new_name if elsewhere else feature.name}":{"null" if lost else default if stuck else value}'
        for value, lost, stuck, elsewhere in zip(
            values, missing.tolist(), frozen.tolist(), renamed.tolist(), strict=True
        )
    ]


def _numbers(feature: Number, random: np.random.Generator, progress: Floats, weekend: Flags) -> list[str]:
    moved = at(feature.moved, progress) + feature.weekend * weekend
    values = feature.median * np.exp(feature.spread * (moved + random.standard_normal(len(progress))))
    return [f"{value:.4g}" for value in values.tolist()]


def _categories(feature: Category, random: np.random.Generator, progress: Floats, weekend: Flags) -> list[str]:
    factors = dict(feature.weekend)
    weights = [
        at(curve, progress) * np.where(weekend, factors.get(value, 1.0), 1.0) for value, curve in feature.weights
    ]
    values = [f'"{value}"' for value, _ in feature.weights]
    return [values[place] for place in choose(random.random(len(progress)), np.stack(weights, axis=1)).tolist()]
