"""Makes a model's reference from records in a file, by the decoding, binning and metrics that the logs go through."""

from __future__ import annotations

from pathlib import Path

from tidegauge.config.settings import Model, Settings
from tidegauge.reference.format import Reference


def build(model: Model, settings: Settings, path: Path) -> Reference:
    """The reference made from a file of records (CSV, JSON Lines, Parquet).

    Raises ValueError, naming the file, if no record of it can be used, and OSError if it cannot be read.
    """
    raise NotImplementedError((model, settings, path))


def reference_for(model: Model, settings: Settings) -> Reference:
    """The reference that the model's configuration names, made from records or prepared.

    Raises ValueError, ConfigurationError or OSError, naming the file.
    """
    raise NotImplementedError((model, settings))
