"""Rows to columns, one model at a time, however the models are mixed in the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tidegauge.decode.columns import Rejection
from tidegauge.decode.layout import Columns, Row
from tidegauge.decode.lines import Data, LineReader, LineTable, Offsets
from tidegauge.decode.text import Scalar, canonical_text, shorten

_ENOUGH = 128  # rows for which making arrays pays
Group = tuple[str | None, Columns, list[Row], Offsets]  # features are read out of the rows, see `features`


class ByModel:
    """Splits the rows of one block by model. Rows of a mixed piece wait until there are enough of their model."""

    def __init__(self, reader: LineReader, default: str | None) -> None:
        self._reader = reader
        self._default = default
        self._waiting: dict[str | None, tuple[list[Row], list[int]]] = {}

    def read(self, data: Data, table: LineTable, rejections: list[Rejection]) -> Iterator[Group]:
        """The rows of the block, each model's in order. A field that none of them has is no column."""
        for rows, offsets in self._reader.read(data, table, rejections):
            models = self._models(rows)
            if len(models) == 1 and not self._waiting:
                group = self._name(models[0]), self._columns(rows), rows, offsets
                del rows
                yield group
                del group
                continue
            self._wait(rows, offsets, models * len(rows) if len(models) == 1 else models)
            for name in [name for name, (waiting, _) in self._waiting.items() if len(waiting) >= _ENOUGH]:
                yield self._release(name)
        for name in list(self._waiting):
            yield self._release(name)

    def _models(self, rows: list[Row]) -> list[Scalar | None]:
        """What the rows have for a model: one value if they are known to agree, else one a row."""
        if self._reader.common is not None or "model" not in self._reader.names:
            return [self._reader.common]
        models = self._reader.layout.columns(rows, ["model"])["model"]
        # Only texts, because to Python 1 and True are equal.
        return models[:1] if type(models[0]) is str and models.count(models[0]) == len(models) else models

    def _wait(self, rows: list[Row], offsets: Offsets, models: list[Scalar | None]) -> None:
        for row, offset, model in zip(rows, offsets.tolist(), models, strict=True):
            name = self._name(model)
            some_rows, some_offsets = self._waiting.setdefault(name, ([], []))
            some_rows.append(row)
            some_offsets.append(offset)

    def _release(self, name: str | None) -> Group:
        rows, offsets = self._waiting.pop(name)
        return name, self._columns(rows), rows, np.array(offsets, np.int64)

    def _columns(self, rows: list[Row]) -> Columns:
        return self._reader.layout.columns(rows, (self._reader.names & self._reader.layout.columnar) - {"model"})

    def _name(self, model: Scalar | None) -> str | None:
        if model is None or model == "":
            return self._default
        try:
            return shorten(canonical_text(model))
        except ValueError:
            return self._default
