"""Prediction logs to columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import WORDY, Model, Settings, Signal, Source
from tidegauge.decode.accumulate import FlagColumn, IdColumn, NumberColumn, TextColumn, TimeColumn, flags
from tidegauge.decode.columns import Categorical, Decoded, PredictionColumns, Rejection
from tidegauge.decode.content import ContentColumn, contents, without_lists
from tidegauge.decode.derived import derive
from tidegauge.decode.feature_keys import FeatureKeys
from tidegauge.decode.features import FeatureColumns, FeatureReader, feature_field
from tidegauge.decode.grouping import ByModel
from tidegauge.decode.layout import Columns, Field, Layout, Row
from tidegauge.decode.lines import Data, LineReader, LineTable, Offsets
from tidegauge.decode.names import Names, model_named, names_for
from tidegauge.decode.numeric import number_column
from tidegauge.decode.text import INVALID, shorten
from tidegauge.decode.timestamps import INVALID as INVALID_TIME
from tidegauge.decode.timestamps import MISSING as MISSING_TIME
from tidegauge.decode.verdicts import Verdicts

_MAX_WEIGHT = 1e6
_MAX_COUNT = 1e9
_UNKNOWN_VERSION = "unknown"
_RULE = "rule:"


class PredictionDecoder:
    """Decodes the blocks of one prediction source.

    Raises ValueError if the source's `fields` contradict each other.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        fields = _fields(source, settings)
        self._lists = any(field.kind == "items" for field in fields)
        self._layout = Layout(fields)
        self._reader = LineReader(self._layout, "model")
        self._features: dict[str, FeatureReader] = {}  # by the name of the model's entry
        self._feature_keys = FeatureKeys(source)
        self._zone = UTC if source.timezone == "UTC" else ZoneInfo(source.timezone)

    def decode(self, data: Data, path: str) -> Decoded[PredictionColumns]:
        """The columns of a block of whole lines read from `path`."""
        table = LineTable(data)
        rejections: list[Rejection] = []
        names = names_for(path, self._source, self._settings)
        groups = ByModel(self._reader, names.model)
        batches: dict[str, _Batch] = {}

        def take(model: str | None, columns: Columns, rows: list[Row], offsets: Offsets) -> None:
            if model is None or (batch := batches.get(model)) is None:
                found = None if model is None else model_named(model, self._settings)
                if model is None or found is None:
                    reason = "missing_model" if model is None else "unknown_model"
                    rejections.extend(table.rejection(reason, offset) for offset in offsets.tolist())
                    return
                features = self._feature_reader(found)
                batch = batches[model] = _Batch(model, found, features, names, self._zone, lists=self._lists)
            batch.add(columns, rows, offsets)

        for group in groups.read(data, table, rejections):
            take(*group)
            del group
        done = [batch.finish(data, table, self._feature_keys, rejections) for batch in batches.values()]
        return Decoded([batch for batch in done if len(batch.time)], sorted(rejections, key=lambda r: r.offset))

    def _feature_reader(self, model: Model) -> FeatureReader | None:
        if model.features and model.name not in self._features:
            self._features[model.name] = FeatureReader(self._layout, model)
        return self._features.get(model.name)


def _fields(source: Source, settings: Settings) -> list[Field]:
    mapped = {name: tuple(path.split(".")) for name, path in source.fields}
    models = settings.models + ((settings.default_model,) if settings.default_model is not None else ())

    def at(name: str, *within: str) -> tuple[str, ...]:
        exact = mapped.get(".".join((name, *within)))
        return exact if exact is not None else mapped.get(name, (name,)) + within

    kinds = {
        "prediction_id": "identifier",
        "timestamp": "timestamp",
        "model": "text",
        "version": "text",
        "prediction": "items" if any(model.task == "ranking" for model in models) else "label",
        "score": "number",
        "latency_ms": "number",
        "error": "flag",
        "role": "text",
        "weight": "strict_number",
        "count": "strict_number",
    }
    if any(model.task == "multiclass" for model in models):
        kinds["scores"] = "probabilities"
    fields = [Field(name, at(name), kind) for name, kind in kinds.items()]
    rules = dict.fromkeys(rule_field(signal) for model in models for signal in model.signals if signal.field)
    fields += [Field(name, tuple(name.removeprefix(_RULE).split(".")), "text") for name in rules]
    slices = list(dict.fromkeys(name for model in models for name in model.slices))
    fields += [Field(f"slices.{name}", at("slices", name), "text") for name in slices]
    fields += [Field(f"features.{name}", at("features", name), "text") for name in slices]
    features = dict.fromkeys((feature.name, feature.kind) for model in models for feature in model.features)
    fields += [feature_field(name, kind, at("features", name)) for name, kind in features]
    # A unit may be named by what is read as a number.
    place = at("unit_id")
    numeric = (field.kind for field in fields if field.path == place and field.kind in ("number", "strict_number"))
    return [*fields, Field("unit_id", place, next(numeric, "text"))]


def rule_field(signal: Signal) -> str:
    """The name under which the answer of a signal's rule is decoded."""
    return _RULE + signal.field


class _Batch:
    """The predictions of one model in one block, while they are put together."""

    def __init__(
        self, name: str, model: Model, features: FeatureReader | None, names: Names, zone: Any, *, lists: bool
    ) -> None:
        self._name = name
        self._model = model
        self._lists = lists
        self._default_version = shorten(names.version or _UNKNOWN_VERSION)
        self._key = IdColumn()
        self._time = TimeColumn(zone)
        self._version = TextColumn()
        self._label = TextColumn()
        self._value = NumberColumn(number_column)
        self._score = NumberColumn()
        self._latency = NumberColumn()
        self._error = FlagColumn(flags)
        self._shadow = FlagColumn(lambda roles: [role == "shadow" for role in roles])
        self._weight = NumberColumn(_ones_for_none, absent=1.0)
        self._count = NumberColumn(_ones_for_none, absent=1.0)
        self._scores: list[dict[str, float] | None] = []
        self._content = (
            ContentColumn(lists=model.task == "ranking", texts=model.task == "text") if model.task in WORDY else None
        )
        self._rules: dict[str, list[Any]] = {signal.field: [] for signal in model.signals if signal.field}
        self._slices = {name: TextColumn() for name in model.slices}
        self._unit = IdColumn()
        self._features = None if features is None else FeatureColumns(features)
        self._offsets: list[Offsets] = []

    def add(self, columns: Columns, rows: list[Row], offsets: Offsets) -> None:
        n, get = len(offsets), columns.get
        self._key.add(get("prediction_id"), n)
        self._time.add(get("timestamp"), n)
        self._version.add(get("version"), n)
        answer = get("prediction")
        if self._content is not None:
            self._content.add(answer, n)
        elif self._model.task == "regression":
            self._value.add(without_lists(answer) if self._lists else answer, n)
        else:
            self._label.add(without_lists(answer) if self._lists else answer, n)
        self._score.add(get("score"), n)
        self._latency.add(get("latency_ms"), n)
        self._error.add(get("error"), n)
        self._shadow.add(get("role"), n)
        self._weight.add(get("weight"), n)
        self._count.add(get("count"), n)
        if self._model.task == "multiclass":
            self._scores += get("scores") or [None] * n
        for name, column in self._slices.items():
            column.add(_either(get(f"slices.{name}"), get(f"features.{name}")), n)
        for path, values in self._rules.items():
            values += get(_RULE + path) or [None] * n
        self._unit.add(get("unit_id"), n)
        if self._features is not None:
            self._features.add(rows)
        self._offsets.append(offsets)

    def finish(
        self, data: Data, table: LineTable, feature_keys: FeatureKeys, rejections: list[Rejection]
    ) -> PredictionColumns:
        key, invalid_ids = self._key.finish()
        time = self._time.finish()
        offset = np.concatenate(self._offsets)
        error, score = self._error.filled(len(time)), self._score.filled(len(time))
        scores = [shortened(s) for s in self._scores] if any(s is not None for s in self._scores) else None
        weight, count = self._weight.finish(), self._count.finish()

        verdicts = Verdicts(len(time))
        verdicts.reject_rows(invalid_ids, "invalid_prediction_id")
        verdicts.reject(time == MISSING_TIME, "missing_timestamp")
        verdicts.reject(time == INVALID_TIME, "invalid_timestamp")
        if weight is not None:
            verdicts.reject(~((weight > 0) & (weight <= _MAX_WEIGHT)), "invalid_weight")
        if count is not None:
            whole = (count >= 1) & (count <= _MAX_COUNT) & (np.floor(count) == count)
            verdicts.reject(~whole, "invalid_count")
        given: list[Any] | None = None
        if self._content is not None:
            value, label = np.full(len(time), np.nan), np.full(len(time), -1, np.int32)
            missing, invalid, given = self._content.finish()
        elif self._model.task == "regression":
            value = self._value.filled(len(time))
            label = np.full(len(time), -1, np.int32)
            missing, invalid = np.isnan(value), np.isinf(value)
        else:
            value = np.full(len(time), np.nan)
            label = self._answered(self._label.finish(), score, scores)
            missing, invalid = label == -1, label == INVALID
        verdicts.reject(invalid & ~error, "invalid_prediction")
        verdicts.reject(missing & ~error, "missing_prediction")
        label[error] = -1
        value[error] = score[error] = np.nan
        if scores is not None and error.any():
            scores = [None if failed else s for s, failed in zip(scores, error.tolist(), strict=True)]
        if given is not None and error.any():
            given = [None if failed else answer for answer, failed in zip(given, error.tolist(), strict=True)]
        texts: list[str | None] = [*self._label.coder.values, None, None]
        signals = derive(
            self._model,
            answers=lambda: given if given is not None else [texts[code] for code in label.tolist()],
            score=score,
            scores=scores,
            failed=error,
            fields=self._rules,
        )

        version = self._version.finish()
        if (version < 0).any():
            version[version < 0] = self._version.coder.code(self._default_version)
        keep = verdicts.settle(offset, table, rejections)
        offset = keep.of(offset)
        return PredictionColumns(
            model=self._name,
            key=keep.of(key),
            time=keep.of(time),
            version=self._version.coder.categorical(keep.of(version)),
            label=Categorical(keep.of(label), self._label.coder.values),
            value=keep.of(value),
            score=keep.of(score),
            scores=None if scores is None else keep.of_list(scores),
            latency_ms=keep.of(self._latency.filled(len(time))),
            error=keep.of(error),
            shadow=keep.of(self._shadow.filled(len(time))),
            weight=None if weight is None else keep.of(weight),
            count=None if count is None else keep.of(count).astype(np.int64),
            slices={name: _sliced(column, keep) for name, column in self._slices.items()},
            unit=keep.of(self._unit.finish()[0]) if self._unit.given else None,
            offset=offset,
            content=None if given is None else contents(keep.of_list(given)),
            signals={name: keep.of(column) for name, column in signals.items()},
            features=None if self._features is None else self._features.finish(keep),
            feature_keys=feature_keys.of(table.line(data, int(offset[0]))) if len(offset) else frozenset(),
        )

    def _answered(
        self, label: NDArray[np.int32], score: NDArray[np.float64], scores: list[dict[str, float] | None] | None
    ) -> NDArray[np.int32]:
        """The labels, those that only a score gives among them."""
        silent = label == -1
        if not silent.any():
            return label
        code = self._label.coder.code
        if self._model.task == "binary":
            positive, negative = answers(self._model)
            scored = silent & ~np.isnan(score)
            if scored.any():
                label[scored] = np.where(score[scored] >= self._model.threshold, code(positive), code(negative))
        elif scores is not None:
            for row in np.flatnonzero(silent):
                if probabilities := scores[row]:
                    # The smaller text wins a tie, so that the answer does not depend on the order of the keys.
                    label[row] = code(min(probabilities, key=lambda text: (-probabilities[text], text)))
        return label


def answers(model: Model) -> tuple[str, str]:
    """The texts of the positive and the negative answer of a binary model that gives only a score."""
    return shorten(model.positive_label), "0" if model.positive_label == "1" else "negative"


def shortened(scores: dict[str, float] | None) -> dict[str, float] | None:
    """The same with shortened labels."""
    return None if scores is None else {shorten(label): value for label, value in scores.items()}


def _ones_for_none(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([1.0 if value is None else value for value in values], np.float64)


def _either(first: list[Any] | None, second: list[Any] | None) -> list[Any] | None:
    if first is None or second is None:
        return first or second
    return [b if a is None else a for a, b in zip(first, second, strict=True)]


def _sliced(column: TextColumn, keep: Any) -> Categorical:
    codes = column.finish()
    codes[codes == INVALID] = -1
    return column.coder.categorical(keep.of(codes))
