"""What is watched of a model besides its quality: its answers and scores first, then the features it is configured for.

Names that Tidegauge makes begin with "@"; the configuration refuses features that are called so.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.config.settings import CLASSIFICATION, Model
from tidegauge.config.watched import categorical_names, numeric_names
from tidegauge.tally.features.joint import MOST_FEATURES

NUMERIC, CATEGORICAL = "numeric", "categorical"
SCORE, PREDICTION, RECONSTRUCTION = "@score", "@prediction", "@reconstruction"
FROM_NUMBER, FROM_CODE, FROM_SCORE, FROM_CLASS, FROM_VALUE = "number", "code", "score", "class", "value"
"""Where values are found in rows: `features.numbers[index]`, `features.codes[index]`, `score`, `predicted`, `value`."""
FEWEST_NUMBERS = 2
"""Of fewer numeric features there is nothing to be said of all together."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One thing that is binned, and where rows hold it."""

    name: str
    kind: str  # NUMERIC | CATEGORICAL: how it is binned
    source: str  # one of FROM_*
    index: int = 0  # among the numbers or the codes of `FeatureValues`
    boolean: bool = False  # a category that can only be "false" or "true"


def reconstructs(model: Model) -> bool:
    """Whether `@reconstruction` is watched of a model."""
    return model.drift.multivariate and FEWEST_NUMBERS <= len(numeric_names(model)) <= MOST_FEATURES


def watched(model: Model) -> tuple[Watched, ...]:
    """All that is binned of a model: `@score`, `@prediction`, then its features as they are configured.

    Embeddings have no bins. Answers that are rankings or texts are not among them. With `multivariate` the last one is
    `@reconstruction`, whose values stand after those of the numeric features: see `joint.with_errors`.
    """
    found = []
    if model.task == "binary":
        found.append(Watched(SCORE, NUMERIC, FROM_SCORE))
    if model.task in CLASSIFICATION:
        found.append(Watched(PREDICTION, CATEGORICAL, FROM_CLASS))
    elif model.task == "regression":
        found.append(Watched(PREDICTION, NUMERIC, FROM_VALUE))
    numbers, codes = numeric_names(model), categorical_names(model)
    for feature in model.features:
        if feature.name in numbers:
            found.append(Watched(feature.name, NUMERIC, FROM_NUMBER, numbers.index(feature.name)))
        elif feature.name in codes:
            boolean = feature.kind == "boolean"
            found.append(Watched(feature.name, CATEGORICAL, FROM_CODE, codes.index(feature.name), boolean))
    if reconstructs(model):
        found.append(Watched(RECONSTRUCTION, NUMERIC, FROM_NUMBER, len(numbers)))
    return tuple(found)
