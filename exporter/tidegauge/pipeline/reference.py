"""The reference data of the models that are watched: read once for each state of a file.

A file of records is made into a reference here, as `tidegauge reference` does; a prepared one is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge.config.settings import Model, Settings
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference.build import reference_for
from tidegauge.reference.value import Reference


class References:
    """References by model; immutable."""

    def __init__(
        self,
        references: Mapping[str, Reference] | None = None,
        seen: Mapping[str, tuple[Model, int, int]] | None = None,
    ) -> None:
        """`seen` has for each model what it and its file were: the model, the file's time and its size."""
        self._references = dict(references or {})
        self._seen = dict(seen or {})

    @property
    def all(self) -> Mapping[str, Reference]:
        """Those of the models that have one."""
        return self._references

    def scores(self, model: str) -> Mapping[str, float]:
        """The model's metrics on its reference."""
        reference = self._references.get(model)
        return {} if reference is None else reference.scores

    def updated(self, settings: Settings) -> References:
        """The references of this configuration; files that are new or have changed are read.

        Raises ValueError, ConfigurationError or OSError naming the file.
        """
        references, seen = {}, {}
        for model in settings.models:
            if model.reference is None:
                continue
            stat = model.reference.stat()
            state = (model, stat.st_mtime_ns, stat.st_size)
            known = self._seen.get(model.name) == state
            seen[model.name] = state
            references[model.name] = self._references[model.name] if known else reference_for(model, settings, Scoring)
        return References(references, seen)
