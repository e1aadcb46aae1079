"""Which of a model's features are numbers, which are categories and which are vectors, in the order of their columns.

What decodes, counts and publishes features agrees by these; it may assume that no name stands twice in a model.
"""

from __future__ import annotations

from tidegauge.config.settings import Model

NUMERIC_KINDS = ("numeric", "text_length")
CATEGORICAL_KINDS = ("categorical", "boolean")
EMBEDDING_KINDS = ("embedding",)


def numeric_names(model: Model) -> tuple[str, ...]:
    """The features that are decoded as numbers, in the order of `FeatureValues.numbers`."""
    return _of_kinds(model, NUMERIC_KINDS)


def categorical_names(model: Model) -> tuple[str, ...]:
    """The features that are decoded as categories, in the order of `FeatureValues.codes`."""
    return _of_kinds(model, CATEGORICAL_KINDS)


def embedding_names(model: Model) -> tuple[str, ...]:
    """The features that are decoded as vectors, in the order of `FeatureValues.vectors`."""
    return _of_kinds(model, EMBEDDING_KINDS)


def _of_kinds(model: Model, kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(feature.name for feature in model.features if feature.kind in kinds)
