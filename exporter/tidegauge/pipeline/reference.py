"""The reference data of the models that are watched: read once for each state of a file.

A file of records is made into a reference here, as `tidegauge reference` does; a prepared one is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge.config.settings import Model, Settings
from tidegauge.reference.build import reference_for
from tidegauge.reference.value import Reference


class References:
    """References by model. The pipeline's own; one thread at a time."""

    def __init__(self) -> None:
        self._references: dict[str, Reference] = {}
        self._seen: dict[str, tuple[Model, int, int]] = {}

    def reference(self, model: str) -> Reference | None:
        """None: the model has no reference."""
        return self._references.get(model)

    def scores(self, model: str) -> Mapping[str, float]:
        """The model's metrics on its reference."""
        reference = self._references.get(model)
        return {} if reference is None else reference.scores

    def update(self, settings: Settings) -> None:
        """Reads the reference files that are new or have changed.

        Raises ValueError, ConfigurationError or OSError naming the file; nothing has changed then.
        """
        references, seen = {}, {}
        for model in settings.models:
            if model.reference is None:
                continue
            stat = model.reference.stat()
            state = (model, stat.st_mtime_ns, stat.st_size)
            known = self._seen.get(model.name) == state
            seen[model.name] = state
            references[model.name] = self._references[model.name] if known else reference_for(model, settings)
        self._references, self._seen = references, seen
