"""A sample as the exporter's decoder understands it, beside the records as they were written.

The columns say what would be counted; the records, parsed as plain JSON, only serve to name what is there instead.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import msgspec

from tidegauge.check.sample import Piece, Sample
from tidegauge.config.settings import Settings, Source
from tidegauge.decode import FeedbackColumns, FeedbackDecoder, PredictionColumns, PredictionDecoder, Rejection
from tidegauge.decode.names import Names, names_for
from tidegauge.decode.text import canonical_text

Record = dict[str, Any]
_DEEPEST = 3
_LONGEST_KEY = 60  # longer ones are values that somebody used as keys
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Written:
    """One line as plain JSON, and the names that its file gives to records that are silent."""

    record: Record
    names: Names
    piece: Piece


@dataclass(frozen=True, slots=True)
class Seen:
    """One source: its sample, decoded, and the records as written."""

    sample: Sample
    predictions: tuple[PredictionColumns, ...]
    feedback: tuple[FeedbackColumns, ...]
    rejections: tuple[tuple[Piece, Rejection], ...]
    written: tuple[Written, ...]
    lines: int

    @property
    def source(self) -> Source:
        return self.sample.source

    @property
    def accepted(self) -> int:
        return sum(len(batch.time) for batch in self.predictions) + sum(len(batch.time) for batch in self.feedback)

    def path_of(self, field: str) -> tuple[str, ...]:
        """Where the records of this source keep a field."""
        return path_of(self.source, field)

    def texts(self, field: str) -> Iterator[str]:
        """The canonical text of a field in each record that has it."""
        path = self.path_of(field)
        for written in self.written:
            if (text := text_at(written.record, path)) is not None:
                yield text

    def has(self, path: Sequence[str]) -> bool:
        """Whether any record has something there."""
        return any(value_at(written.record, path) is not None for written in self.written)

    def keys(self) -> Counter[str]:
        """The dotted paths of the records, with how many records have each."""
        found: Counter[str] = Counter()
        for written in self.written:
            found.update(_paths(written.record, "", 1))
        return found


def look(sample: Sample, settings: Settings) -> Seen:
    """Decodes a sample just as the exporter would."""
    source = sample.source
    decoder: PredictionDecoder | FeedbackDecoder
    decoder = PredictionDecoder(source, settings) if source.kind == "predictions" else FeedbackDecoder(source, settings)
    predictions: list[PredictionColumns] = []
    feedback: list[FeedbackColumns] = []
    rejections: list[tuple[Piece, Rejection]] = []
    written: list[Written] = []
    lines = 0
    for piece in sample.pieces:
        decoded = decoder.decode(piece.data, piece.path)
        for batch in decoded.batches:
            if isinstance(batch, PredictionColumns):
                predictions.append(batch)
            else:
                feedback.append(batch)
        rejections += [(piece, rejection) for rejection in decoded.rejections]
        lines += sum(1 for line in piece.data.splitlines() if line.strip())
        written += _records(piece, names_for(piece.path, source, settings))
    return Seen(sample, tuple(predictions), tuple(feedback), tuple(rejections), tuple(written), lines)


def _records(piece: Piece, names: Names) -> Iterator[Written]:
    for line in piece.data.split(b"\n"):
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(record, dict):
            yield Written(record, names, piece)


def path_of(source: Source, field: str) -> tuple[str, ...]:
    """Where a source's records keep a field; a feature or slice as `features.name`."""
    mapped = dict(source.fields)
    if field in mapped:
        return tuple(mapped[field].split("."))
    outer, _, inner = field.partition(".")
    return (*tuple(mapped.get(outer, outer).split(".")), *((inner,) if inner else ()))


def value_at(record: Record, path: Sequence[str]) -> Any:
    """What the record holds at a path; None if nothing."""
    value: Any = record
    for step in path:
        value = value.get(step, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is _ABSENT:
            return None
    return value


def text_at(record: Record, path: Sequence[str]) -> str | None:
    """The canonical text there; None if there is none."""
    value = value_at(record, path)
    if not isinstance(value, str | int | float | bool):
        return None
    try:
        return canonical_text(value)
    except ValueError:
        return None


def _paths(record: Record, before: str, depth: int) -> Iterator[str]:
    for key, value in record.items():
        if len(key) > _LONGEST_KEY:
            continue
        yield before + key
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _paths(value, f"{before}{key}.", depth + 1)


_OTHER_NAMES = {
    "prediction_id": ("id", "request_id", "requestid", "event_id", "trace_id", "uuid", "inference_id", "predictionid"),
    "timestamp": ("time", "ts", "@timestamp", "datetime", "date", "created_at", "event_time", "logged_at"),
    "model": ("model_name", "modelname", "model_id"),
    "version": ("model_version", "modelversion", "release", "revision"),
    "prediction": ("predicted", "answer", "output", "result", "y_pred", "predicted_label", "decision", "class"),
    "score": ("probability", "prob", "proba", "confidence", "p", "y_score"),
    "scores": ("probabilities", "probs", "class_probabilities"),
    "features": ("inputs", "input", "feature"),
    "label": ("truth", "actual", "target", "y_true", "y", "ground_truth", "outcome", "true_label"),
    "channel": ("source", "feedback_channel"),
    "latency_ms": ("latency", "duration_ms", "elapsed_ms"),
}


def similar(field: str, keys: Counter[str]) -> str | None:
    """The key among those of the records that most likely holds a field; None if none is like it."""
    wanted = _plain(field.rpartition(".")[2])
    usual = [_plain(name) for name in _OTHER_NAMES.get(field, ())]

    def likeness(key: str) -> tuple[int, int, int]:
        last = _plain(key.rpartition(".")[2])
        if last == wanted:
            rank = 0
        elif last in usual:
            rank = 1 + usual.index(last)
        else:
            rank = 100 if _near(last, wanted) else 1000
        return rank, -keys[key], key.count(".")

    best = min(keys, key=likeness, default=None)
    return best if best is not None and likeness(best)[0] < 1000 else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9@]", "", name.casefold())


def _near(one: str, other: str) -> bool:
    return len(one) > 2 and SequenceMatcher(None, one, other).ratio() >= 0.75
