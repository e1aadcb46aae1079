"""What is watched of a model as vectors: its embeddings, and with `multivariate` all its numbers together.

Projections are learned from first predictions or given by reference data; from then on they do not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xxhash
from msgspec import json
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.config.watched import embedding_names, numeric_names
from tidegauge.join.rows import FeatureValues, usual_length
from tidegauge.tally.features.embedding import LARGEST_DIMENSION, Projection, learn_projection
from tidegauge.tally.features.joint import Standard, learn_standard
from tidegauge.tally.features.watched import FEWEST_NUMBERS, watched

Floats = NDArray[np.float64]

INPUTS: Final = "@inputs"
TOGETHER: Final = -1
"""The place of what is made of all numbers."""
LEARNED_ROWS: Final = 20_000
"""Of more rows, so many evenly spaced ones are learned from."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One thing that is watched as vectors, and where rows hold it."""

    name: str
    place: int  # among `FeatureValues.vectors`, or TOGETHER
    projection: Projection
    standard: Standard | None = None  # of the numbers; None: an embedding

    @property
    def id(self) -> str:
        """Names what the sums mean: those of different ids never add."""
        return xxhash.xxh3_64_hexdigest(json.encode(self.to_json()))

    def of(self, values: FeatureValues | None, rows: int) -> Floats:
        """The vectors (rows, dimension) as the projection takes them; one of another length is invalid."""
        if values is None:
            return np.full((rows, self.projection.dimension), np.nan)
        if self.standard is not None:
            return self.standard.vectors(values.numbers[: self.projection.dimension])
        vectors = values.vectors[self.place]
        dimension = self.projection.dimension
        return np.full((rows, dimension), np.nan) if vectors is None else vectors.of_length(dimension)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        standard = None if self.standard is None else self.standard.to_json()
        return {
            "name": self.name,
            "place": self.place,
            "projection": self.projection.to_json(),
            "standard": standard,
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Vector:
        """The inverse of to_json."""
        standard = None if saved["standard"] is None else Standard.from_json(saved["standard"])
        return cls(str(saved["name"]), int(saved["place"]), Projection.from_json(saved["projection"]), standard)


def vector_places(model: Model) -> dict[str, int]:
    """The place of everything that is watched as vectors, by name: embeddings as they are configured, then INPUTS."""
    places = {name: place for place, name in enumerate(embedding_names(model))}
    numbers = len(numeric_names(model))
    if model.drift.multivariate and FEWEST_NUMBERS <= numbers <= LARGEST_DIMENSION:
        places[INPUTS] = TOGETHER
    return places


def promised(model: Model) -> int:
    """How many things share the promise on false alarms of drift: all that is binned, all vectors, and the label."""
    return len(watched(model)) + len(vector_places(model)) + 1


def learn_vector(model: Model, name: str, values: FeatureValues) -> Vector:
    """From first predictions. Raises ValueError if they are not enough."""
    place = vector_places(model)[name]
    rows = np.unique(np.linspace(0, values.numbers.shape[1] - 1, LEARNED_ROWS).round().astype(np.int64))
    if place == TOGETHER:
        numbers = values.numbers[: len(numeric_names(model))].take(rows, axis=1)
        standard = learn_standard(numbers)
        return Vector(name, place, learn_projection(standard.vectors(numbers)), standard)
    vectors = values.vectors[place]
    if vectors is None:
        raise ValueError("no row has a vector")
    return Vector(name, place, learn_projection(vectors.take(rows).of_length(usual_length(vectors.lengths) or 1)))


def given_vectors(model: Model, projections: Mapping[str, Any]) -> dict[str, Vector]:
    """Those that reference data tell of; see `reference.projections` for the sections."""
    found = {}
    embeddings = projections.get("embeddings", {})
    for name, place in vector_places(model).items():
        if place == TOGETHER and "inputs" in projections:
            section = projections["inputs"]
            standard = Standard.from_json(section["standard"])
            found[name] = Vector(name, place, Projection.from_json(section["projection"]), standard)
        elif name in embeddings:
            found[name] = Vector(name, place, Projection.from_json(embeddings[name]))
    return found
