"""The classes of a model before any record is read: those that its task and its configuration name."""

from __future__ import annotations

from tidegauge.config.settings import Model
from tidegauge.join.vocabulary import Vocabulary


def negative_class(model: Model) -> str:
    """How the class of a binary model that is not the positive one is called."""
    return "0" if model.positive_label == "1" else "negative"


def first_classes(model: Model) -> Vocabulary:
    """Codes of the classes that are known; others follow in order of first sight."""
    classes = (negative_class(model), model.positive_label) if model.task == "binary" else model.classes
    return Vocabulary(max(model.max_classes, len(classes)) + 1, classes)
