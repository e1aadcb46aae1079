"""Reference records as rows: decoded as a log is, with their labels beside them.

Every record is taken for one of the model, answered at one time by one version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Channel, Model, Settings, Source
from tidegauge.decode.columns import Categorical, FeedbackColumns, PredictionColumns
from tidegauge.decode.feedback import FeedbackDecoder
from tidegauge.decode.predictions import PredictionDecoder
from tidegauge.join.classes import first_classes, negative_class
from tidegauge.join.rows import NONE, Rows
from tidegauge.reference.rows import CHANNEL, Reading, blocks


@dataclass(frozen=True, slots=True)
class Records:
    """A block of the file: its predictions, and the labels of some of them."""

    predictions: PredictionColumns | None
    labels: FeedbackColumns | None


class RecordSource:
    """Reads one file, as often as it is asked to. `reading` and `unlabelled` tell of the last time."""

    def __init__(self, path: Path, model: Model, settings: Settings) -> None:
        self._path = path
        self._model = replace(model, channels=(Channel(CHANNEL, maturity=0),), signals=(), slices=())
        self._settings = replace(settings, models=(self._model,), default_model=None)
        self.reading = Reading()
        self.unusable_labels: Counter[str] = Counter()

    def read(self) -> Iterator[Records]:
        """Raises ValueError, naming the file, for what is not of its format, and OSError."""
        self.reading, self.unusable_labels = Reading(), Counter()
        name, where = self._model.name, str(self._path)
        predictions = PredictionDecoder(Source("reference", "predictions", where, model=name), self._settings)
        labels = FeedbackDecoder(Source("reference", "feedback", where, model=name, channel=CHANNEL), self._settings)
        for lines in blocks(self._path, self._model, self.reading):
            decoded, answers = predictions.decode(lines, where), labels.decode(lines, where)
            self.reading.rejected.update(rejection.reason for rejection in decoded.rejections)
            self.unusable_labels.update(
                rejection.reason for rejection in answers.rejections if rejection.reason != "missing_label"
            )
            yield Records(next(iter(decoded.batches), None), next(iter(answers.batches), None))


class RowMaker:
    """Makes rows of decoded columns; its classes are the model's and those that it met."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._classes = first_classes(model)

    @property
    def classes(self) -> list[str]:
        """The texts of the codes in `predicted`."""
        return self._classes.texts

    def predictions(self, columns: PredictionColumns) -> Rows:
        rows = self._rows(columns.time, columns.label, columns.value, columns.score)
        return replace(rows, count=columns.count, features=columns.features)

    def labels(self, columns: FeedbackColumns) -> Rows:
        """The labels as if they were what the model answered."""
        return self._rows(columns.time, columns.label, columns.value, np.full(len(columns.time), np.nan))

    def _rows(
        self, time: NDArray[np.int64], label: Categorical, value: NDArray[np.float64], score: NDArray[np.float64]
    ) -> Rows:
        return Rows(
            time=time,
            version=np.zeros(len(time), dtype=np.uint8),
            slices=(),
            predicted=self._codes(label),
            score=score,
            value=value,
            labels=(),
        )

    def _codes(self, label: Categorical) -> NDArray[np.uint8]:
        texts = label.values
        if self._model.task == "binary":
            positive = self._model.positive_label
            texts = [text if text == positive else negative_class(self._model) for text in texts]
        used = np.unique(label.codes[label.codes >= 0]).tolist()
        table = np.full(len(texts) + 1, NONE, dtype=np.uint8)
        for position in used:
            table[position] = self._classes.code(texts[position])
        return table[label.codes]
