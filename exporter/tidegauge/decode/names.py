"""Which model, version and channel a record belongs to when it does not say so itself.

The order: the record, the source's configuration, a named group of `path_pattern`, and for the model, the only one
there is.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.config.settings import Model, Settings, Source


@dataclass(frozen=True, slots=True)
class Names:
    """What the records of one file get where they are silent."""

    model: str | None
    version: str | None
    channel: str | None


def names_for(path: str, source: Source, settings: Settings) -> Names:
    """The names that the source's configuration and the path give."""
    match = source.path_pattern.search(path) if source.path_pattern is not None else None
    groups = match.groupdict() if match is not None else {}
    only = settings.models[0].name if len(settings.models) == 1 and settings.default_model is None else None
    return Names(
        source.model or groups.get("model") or only,
        source.version or groups.get("version"),
        source.channel or groups.get("channel"),
    )


def model_named(name: str, settings: Settings) -> Model | None:
    """The configuration of a model, by its own entry or "*"; None if it has neither."""
    for model in settings.models:
        if model.name == name:
            return model
    return settings.default_model
