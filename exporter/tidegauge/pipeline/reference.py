"""Scores on a model's reference data: what the same metrics are on the file that the configuration names.

The file holds records with a prediction and its label in one line. It goes through the same decoding, counting and
metrics as the logs do, so the two compare.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tidegauge.assess.assessment import count
from tidegauge.assess.quality import metrics_for
from tidegauge.assess.sums import WindowSums
from tidegauge.config.settings import DAY, Channel, Model, Settings, Source
from tidegauge.decode.feedback import FeedbackDecoder
from tidegauge.decode.predictions import PredictionDecoder
from tidegauge.pipeline.engine import Engine, fresh_parts
from tidegauge.tally.panes import FOREVER

TIME = 1_600_000_000
BATCH = 10_000
CHANNEL = "reference"
LATER = 1 << 61


class ReferenceScores:
    """Scores by model and metric, computed once for each state of a file."""

    def __init__(self) -> None:
        self._scores: dict[str, dict[str, float]] = {}
        self._seen: dict[str, tuple[Model, int, int]] = {}

    def scores(self, model: str) -> Mapping[str, float]:
        return self._scores.get(model, {})

    def update(self, settings: Settings) -> None:
        """Reads the reference files that are new or have changed. Raises ValueError or OSError naming the file."""
        for model in settings.models:
            if model.reference is None:
                self._scores.pop(model.name, None)
                continue
            stat = model.reference.stat()
            seen = (model, stat.st_mtime_ns, stat.st_size)
            if self._seen.get(model.name) != seen:
                self._scores[model.name] = reference_scores(model, settings)
                self._seen[model.name] = seen


def reference_scores(model: Model, settings: Settings) -> dict[str, float]:
    """Every metric of the model on its reference file. Raises ValueError if no record of the file can be used."""
    assert model.reference is not None
    path = model.reference
    alone = replace(
        model,
        channels=(Channel(CHANNEL, maturity=0),),
        slices=(),
        features=(),
        windows=(DAY,),
        max_pending=1 << 24,
        minimum_samples=1,
    )
    config = replace(settings, models=(alone,), default_model=None)
    predictions = PredictionDecoder(Source("reference", "predictions", str(path), model=model.name), config)
    labels = FeedbackDecoder(Source("reference", "feedback", str(path), model=model.name, channel=CHANNEL), config)
    engine = Engine(alone, fresh_parts(alone), None)
    clock = TIME * 1000
    used = 0
    for lines in _batches(_records(path)):
        for batch in predictions.decode(lines, str(path)).batches:
            used += engine.accept_predictions(replace(batch, scores=None), clock, clock)
        for answers in labels.decode(lines, str(path)).batches:
            engine.accept_feedback(answers, clock)
    if not used:
        raise ValueError(f"{path}: no record with a prediction was found in the reference of model {model.name}")
    everything = WindowSums(engine.tally, FOREVER, LATER, sliced=False, include=np.zeros(0, dtype=np.int64))
    counts = count(alone, alone.channels[0], everything, tuple(engine.classes.texts), engine.room)
    scores = {}
    for metric in metrics_for(model.task, "complete"):
        score = float(metric.value(counts).score[0])
        if np.isfinite(score):
            scores[metric.name] = score
    return scores


def _batches(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """JSON lines with ids and one time and version, so that all of them are one window of one version."""
    lines: list[bytes] = []
    for number, record in enumerate(records):
        kept = {name: value for name, value in record.items() if name not in ("channel", "model", "retract", "role")}
        kept |= {"prediction_id": number, "timestamp": TIME, "version": CHANNEL}
        lines.append(msgspec.json.encode(kept))
        if len(lines) == BATCH:
            yield b"\n".join([*lines, b""])
            lines = []
    if lines:
        yield b"\n".join([*lines, b""])


def _records(path: Path) -> Iterator[dict[str, Any]]:
    match path.suffix.lower():
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                yield from csv.DictReader(file)
        case ".parquet":
            try:
                from pyarrow import parquet
            except ImportError as error:
                raise ValueError(f"{path}: reading Parquet needs pyarrow: pip install 'tidegauge[parquet]'") from error
            for batch in parquet.ParquetFile(path).iter_batches(BATCH):
                yield from batch.to_pylist()
        case _:
            with path.open("rb") as file:
                for line in file:
                    try:
                        record = msgspec.json.decode(line)
                    except msgspec.DecodeError:
                        continue
                    if isinstance(record, dict):
                        yield record
