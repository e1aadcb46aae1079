"""Feedback logs to columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model, Settings, Source
from tidegauge.decode.accumulate import FlagColumn, IdColumn, NumberColumn, TextColumn, TimeColumn, flags
from tidegauge.decode.columns import Categorical, Decoded, FeedbackColumns, Rejection
from tidegauge.decode.grouping import ByModel
from tidegauge.decode.layout import Columns, Field, Layout
from tidegauge.decode.lines import Data, LineReader, LineTable, Offsets
from tidegauge.decode.names import model_named, names_for
from tidegauge.decode.numeric import as_number, number_column
from tidegauge.decode.text import INVALID, shorten
from tidegauge.decode.timestamps import INVALID as INVALID_TIME
from tidegauge.decode.timestamps import MISSING as MISSING_TIME
from tidegauge.decode.verdicts import Verdicts

_KINDS = {
    "prediction_id": "identifier",
    "timestamp": "timestamp",
    "model": "text",
    "label": "label",
    "signal": "text",
    "channel": "text",
    "propensity": "strict_number",
    "retract": "flag",
}


class FeedbackDecoder:
    """Decodes the blocks of one feedback source.

    Raises ValueError if the source's `fields` contradict each other.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        mapped = {name: tuple(path.split(".")) for name, path in source.fields}
        fields = [Field(name, mapped.get(name, (name,)), kind) for name, kind in _KINDS.items()]
        self._reader = LineReader(Layout(fields), "model")
        self._zone = UTC if source.timezone == "UTC" else ZoneInfo(source.timezone)

    def decode(self, data: Data, path: str) -> Decoded[FeedbackColumns]:
        """The columns of a block of whole lines read from `path`."""
        table = LineTable(data)
        rejections: list[Rejection] = []
        names = names_for(path, self._source, self._settings)
        groups = ByModel(self._reader, names.model)
        batches: dict[str | None, _Batch] = {}

        def take(model: str | None, columns: Columns, offsets: Offsets) -> None:
            batch = batches.get(model)
            if batch is None:
                candidates = self._candidates(model)
                if not candidates:
                    rejections.extend(table.rejection("unknown_model", offset) for offset in offsets.tolist())
                    return
                batch = batches[model] = _Batch(model, candidates, names.channel, self._zone)
            batch.add(columns, offsets)

        for group in groups.read(data, table, rejections):
            take(*group)
        done = [batch.finish(table, rejections) for batch in batches.values()]
        return Decoded(
            [batch for batch in done if len(batch.time) or batch.signals], sorted(rejections, key=lambda r: r.offset)
        )

    def _candidates(self, model: str | None) -> tuple[Model, ...]:
        """The configurations that this feedback can be for."""
        if model is not None:
            found = model_named(model, self._settings)
            return () if found is None else (found,)
        default = self._settings.default_model
        return self._settings.models + (() if default is None else (default,))


class _Batch:
    """The feedback of one model (or of none) in one block, while it is put together."""

    def __init__(self, model: str | None, candidates: tuple[Model, ...], channel: str | None, zone: Any) -> None:
        self._model = model
        self._channels = {known.name for candidate in candidates for known in candidate.channels}
        self._default_channel = channel or (next(iter(self._channels)) if len(self._channels) == 1 else None)
        tasks = {candidate.task for candidate in candidates}
        self._numeric = "regression" in tasks
        self._textual = tasks != {"regression"}
        self._key = IdColumn()
        self._time = TimeColumn(zone)
        self._channel = TextColumn()
        self._label = TextColumn()
        self._value = NumberColumn(number_column)
        self._signal = TextColumn()
        self._retract = FlagColumn(flags)
        self._propensity = NumberColumn(_invalid_as_zero)
        self._offsets: list[Offsets] = []

    def add(self, columns: Columns, offsets: Offsets) -> None:
        n, get = len(offsets), columns.get
        self._key.add(get("prediction_id"), n)
        self._time.add(get("timestamp"), n)
        self._channel.add(get("channel"), n)
        if self._textual:
            self._label.add(get("label"), n)
        if self._numeric:
            self._value.add(get("label"), n)
        self._signal.add(get("signal"), n)
        self._retract.add(get("retract"), n)
        self._propensity.add(get("propensity"), n)
        self._offsets.append(offsets)

    def finish(self, table: LineTable, rejections: list[Rejection]) -> FeedbackColumns:
        key, invalid_ids = self._key.finish()
        time = self._time.finish()
        n = len(time)
        offset = np.concatenate(self._offsets)
        retract, propensity = self._retract.filled(n), self._propensity.filled(n)

        verdicts = Verdicts(n)
        verdicts.reject_rows(invalid_ids, "invalid_prediction_id")
        verdicts.reject(key == 0, "missing_prediction_id")
        verdicts.reject(time == MISSING_TIME, "missing_timestamp")
        verdicts.reject(time == INVALID_TIME, "invalid_timestamp")

        if self._textual:
            label = self._label.finish()
            missing, invalid = label == -1, label == INVALID
        else:
            label = np.full(n, -1, np.int32)
        if self._numeric:
            value = self._value.filled(n)
            if not self._textual:
                missing, invalid = np.isnan(value), np.isinf(value)
            value[np.isinf(value)] = np.nan
        else:
            numbers = [as_number(text) for text in self._label.coder.values]
            table_of_numbers = np.array([np.nan if x is None else x for x in numbers] + [np.nan, np.nan], np.float64)
            value = table_of_numbers[label]
        signal = missing & ~retract & (self._signal.finish() >= 0) & verdicts.standing()
        signals = int(signal.sum())

        channel = self._channel.finish()
        if (channel < 0).any() and self._default_channel is not None:
            channel[channel < 0] = self._channel.coder.code(shorten(self._default_channel))
        known = np.array([text in self._channels for text in self._channel.coder.values] + [True, True], np.bool_)
        verdicts.reject((channel < 0) & ~signal, "missing_channel")
        verdicts.reject(~known[channel] & ~signal, "unknown_channel")
        verdicts.reject(((propensity <= 0) | (propensity > 1)) & ~signal, "invalid_propensity")
        verdicts.reject(invalid & ~retract, "invalid_label")
        verdicts.reject(missing & ~retract & ~signal, "missing_label")
        label[retract] = -1
        value[retract] = np.nan

        keep = verdicts.settle(offset, table, rejections, signal if signals else None)
        return FeedbackColumns(
            model=self._model,
            key=keep.of(key),
            time=keep.of(time),
            channel=self._channel.coder.categorical(keep.of(channel)),
            label=Categorical(keep.of(label), self._label.coder.values),
            value=keep.of(value),
            retract=keep.of(retract),
            propensity=keep.of(propensity),
            offset=keep.of(offset),
            signals=signals,
        )


def _invalid_as_zero(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value if value == value else 0.0 for value in values], np.float64)
