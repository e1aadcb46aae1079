"""What the reference says of many numbers at once: of embeddings, and of the numeric features of a record together.

Sections of plain values, by name. `embeddings`: a projection a feature. With `drift: {multivariate: true}` also
`inputs`, the standardised numeric features and their projection, and `reconstruction`, their principal components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.problems import Place, quote
from tidegauge.config.settings import Model
from tidegauge.config.watched import embedding_names, numeric_names
from tidegauge.join.rows import Rows, VectorValues, usual_length
from tidegauge.tally.features.embedding import Projection, VectorCounter, learn_projection
from tidegauge.tally.features.joint import Pca, Standard, learn_pca, learn_standard

EMBEDDINGS, INPUTS, RECONSTRUCTION = "embeddings", "inputs", "reconstruction"
ROWS = 20_000
"""Of a larger file, a sample of at most so many records; a projection says of how many it is."""


def wanted(model: Model) -> bool:
    """Whether the model watches anything that needs a projection."""
    return bool(embedding_names(model)) or model.drift.multivariate


def learn_projections(model: Model, batches: Sequence[Rows]) -> tuple[dict[str, Any], list[str]]:
    """The sections, and sentences on what could not be learned."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    features = [rows.features for rows in batches if rows.features is not None]

    def learn(what: str, section: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return section()
        except ValueError as error:
            notes.append(f"{what} cannot be compared with this file: {error}")
            return None

    embeddings = {}
    for number, name in enumerate(embedding_names(model)):
        given = [vectors for vectors in (values.vectors[number] for values in features) if vectors is not None]
        section = learn(quote(name), partial(_embedding, given))
        if section is not None:
            embeddings[name] = section
    if embeddings:
        found[EMBEDDINGS] = embeddings
    names = numeric_names(model)
    if model.drift.multivariate and names:
        numbers = np.concatenate([np.empty((len(names), 0)), *(values.numbers for values in features)], axis=1)
        section = learn("the numeric features together", lambda: _inputs(names, numbers))
        if section is not None:
            found[INPUTS] = section
        section = learn("their reconstruction", lambda: {"features": list(names), **learn_pca(numbers).to_json()})
        if section is not None:
            found[RECONSTRUCTION] = section
    return found, notes


def fitted_projections(projections: Mapping[str, Any], model: Model, file: str) -> tuple[dict[str, Any], list[str]]:
    """The sections of a prepared file that the model can use, and sentences on those that it lacks."""
    found: dict[str, Any] = {}
    notes = []
    held = projections.get(EMBEDDINGS, {})
    embeddings = {name: held[name] for name in embedding_names(model) if name in held}
    notes += [
        f"{file} has nothing of feature {quote(name)}: it is compared without that file"
        for name in embedding_names(model)
        if name not in held
    ]
    if embeddings:
        found[EMBEDDINGS] = embeddings
    if model.drift.multivariate:
        for name in (INPUTS, RECONSTRUCTION):
            section = projections.get(name)
            if section is not None and section["features"] == list(numeric_names(model)):
                found[name] = section
            else:
                notes.append(f"{file} has no {name} of these numeric features: they are compared without that file")
    return found, notes


def problems(projections: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Where the known sections are not what was written, and why."""
    checks: list[tuple[Place, Any, Callable[[Any], object]]] = []
    embeddings = projections.get(EMBEDDINGS, {})
    if isinstance(embeddings, dict):
        checks += [((EMBEDDINGS, name), section, _checked) for name, section in embeddings.items()]
    else:
        yield (EMBEDDINGS,), "no mapping"
    joint: tuple[tuple[str, Callable[[Any], object]], ...] = (
        (INPUTS, _checked_inputs),
        (RECONSTRUCTION, _checked_components),
    )
    checks += [((name,), projections[name], check) for name, check in joint if name in projections]
    for place, section, check in checks:
        try:
            check(section)
        except KeyError as error:
            yield place, f"nothing under {error}"
        except (TypeError, ValueError, OverflowError) as error:
            yield place, str(error)


def _embedding(batches: Sequence[VectorValues]) -> dict[str, Any]:
    """Of the vectors that are as long as most."""
    if not batches:
        raise ValueError("no record has a vector")
    length = usual_length(np.concatenate([vectors.lengths for vectors in batches])) or 1
    return learn_projection(np.concatenate([vectors.of_length(length) for vectors in batches])).to_json()


def _inputs(names: Sequence[str], numbers: NDArray[np.float64]) -> dict[str, Any]:
    standard = learn_standard(numbers)
    projection = learn_projection(standard.vectors(numbers))
    return {"features": list(names), "standard": standard.to_json(), "projection": projection.to_json()}


def _checked(section: Any) -> Projection:
    projection = Projection.from_json(section)
    VectorCounter(projection)
    if len(projection.mean) != 2 * projection.pairs or not projection.spectrum:
        raise ValueError("a projection needs two means a pair and a spectrum")
    return projection


def _checked_inputs(section: Any) -> None:
    standard, dimension = Standard.from_json(section["standard"]), _checked(section["projection"]).dimension
    if not len(section["features"]) == len(standard.means) == len(standard.scales) == dimension:
        raise ValueError("features, means, scales and projection must be of one length")


def _checked_components(section: Any) -> None:
    pca = Pca.from_json(section)
    lengths = {len(section["features"]), len(pca.standard.means), len(pca.standard.scales), len(pca.centre)}
    if not pca.components or lengths | set(map(len, pca.components)) != {len(pca.centre)}:
        raise ValueError("features, means, scales, centre and components must be of one length")
