"""Feedback logs to columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import WORDY, Model, Settings, Source
from tidegauge.decode.accumulate import FlagColumn, IdColumn, NumberColumn, TextColumn, TimeColumn, flags
from tidegauge.decode.columns import Categorical, Decoded, FeedbackColumns, Rejection
from tidegauge.decode.content import ContentColumn, contents, without_lists
from tidegauge.decode.grouping import ByModel
from tidegauge.decode.layout import Columns, Field, Layout, Row
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
    "value": "label",
    "channel": "text",
    "propensity": "strict_number",
    "retract": "flag",
}
_TRUTH = {True: 1.0, False: 0.0, "true": 1.0, "false": 0.0}


class FeedbackDecoder:
    """Decodes the blocks of one feedback source.

    Raises ValueError if the source's `fields` contradict each other.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        mapped = {name: tuple(path.split(".")) for name, path in source.fields}
        everyone = settings.models + ((settings.default_model,) if settings.default_model is not None else ())
        kinds = dict(_KINDS)
        if any(model.task == "ranking" for model in everyone):
            kinds["label"] = "items"
        if not any(model.signals for model in everyone):
            del kinds["value"]
        fields = [Field(name, mapped.get(name, (name,)), kind) for name, kind in kinds.items()]
        self._lists = kinds["label"] == "items"
        self._reader = LineReader(Layout(fields), "model")
        self._zone = UTC if source.timezone == "UTC" else ZoneInfo(source.timezone)

    def decode(self, data: Data, path: str) -> Decoded[FeedbackColumns]:
        """The columns of a block of whole lines read from `path`."""
        table = LineTable(data)
        rejections: list[Rejection] = []
        names = names_for(path, self._source, self._settings)
        groups = ByModel(self._reader, names.model)
        batches: dict[str | None, _Batch] = {}

        def take(model: str | None, columns: Columns, _: list[Row], offsets: Offsets) -> None:
            batch = batches.get(model)
            if batch is None:
                candidates = self._candidates(model)
                if not candidates:
                    rejections.extend(table.rejection("unknown_model", offset) for offset in offsets.tolist())
                    return
                batch = batches[model] = _Batch(model, candidates, names.channel, self._zone, lists=self._lists)
            batch.add(columns, offsets)

        for group in groups.read(data, table, rejections):
            take(*group)
            del group
        done = [batch.finish(table, rejections) for batch in batches.values()]
        return Decoded([batch for batch in done if len(batch.time)], sorted(rejections, key=lambda r: r.offset))

    def _candidates(self, model: str | None) -> tuple[Model, ...]:
        """The configurations that this feedback can be for."""
        if model is not None:
            found = model_named(model, self._settings)
            return () if found is None else (found,)
        default = self._settings.default_model
        return self._settings.models + (() if default is None else (default,))


class _Batch:
    """The feedback of one model (or of none) in one block, while it is put together."""

    def __init__(
        self, model: str | None, candidates: tuple[Model, ...], channel: str | None, zone: Any, *, lists: bool
    ) -> None:
        self._model = model
        self._channels = {known.name for candidate in candidates for known in candidate.channels}
        self._default_channel = channel or (next(iter(self._channels)) if len(self._channels) == 1 else None)
        self._signals: dict[str, dict[str, str]] = {}  # name -> type -> key
        for slot in (slot for candidate in candidates for slot in candidate.slots):
            if slot.carries != "label":
                self._signals.setdefault(slot.name, {})[slot.carries] = slot.key
        tasks = {candidate.task for candidate in candidates}
        self._numeric = "regression" in tasks
        self._textual = bool(tasks & {"binary", "multiclass"})
        self._key = IdColumn()
        self._time = TimeColumn(zone)
        self._channel = TextColumn()
        self._label = TextColumn()
        self._number = NumberColumn(number_column)
        self._content = None
        if tasks & set(WORDY):
            self._content = ContentColumn(lists="ranking" in tasks, texts=tasks != {"ranking"})
        self._lists = lists
        self._signal = TextColumn()
        self._value = NumberColumn(_signal_numbers)
        self._retract = FlagColumn(flags)
        self._propensity = NumberColumn(_invalid_as_zero)
        self._offsets: list[Offsets] = []

    def add(self, columns: Columns, offsets: Offsets) -> None:
        n, get = len(offsets), columns.get
        self._key.add(get("prediction_id"), n)
        self._time.add(get("timestamp"), n)
        self._channel.add(get("channel"), n)
        label = get("label")
        if self._content is not None:
            self._content.add(label, n)
        if self._lists:
            label = without_lists(label)
        if self._textual:
            self._label.add(label, n)
        if self._numeric:
            self._number.add(label, n)
        self._signal.add(get("signal"), n)
        self._value.add(get("value"), n)
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

        label, value, missing, invalid, given = self._labels(n)
        names = self._signal.finish()
        signal = missing & (names >= 0)
        channel = self._channel.finish()
        if (channel < 0).any() and self._default_channel is not None:
            channel[channel < 0] = self._channel.coder.code(shorten(self._default_channel))
        known = np.array([text in self._channels for text in self._channel.coder.values] + [True, True], np.bool_)
        verdicts.reject((channel < 0) & ~signal, "missing_channel")
        verdicts.reject(~known[channel] & ~signal, "unknown_channel")
        verdicts.reject(((propensity <= 0) | (propensity > 1)) & ~signal, "invalid_propensity")
        verdicts.reject(invalid & ~retract, "invalid_label")
        verdicts.reject(missing & ~retract & ~signal, "missing_label")
        if signal.any():
            self._take_signals(signal, names, retract, channel, value, verdicts)
        label[retract] = -1
        value[retract] = np.nan

        keep = verdicts.settle(offset, table, rejections)
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
            content=None if given is None else contents(keep.of_list(given)),
        )

    def _labels(
        self, n: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], list[Any] | None]:
        """Labels as codes and as numbers, where there is none, where it is invalid, and their content."""
        label, value = np.full(n, -1, np.int32), np.full(n, np.nan)
        missing = invalid = np.zeros(n, np.bool_)
        if self._numeric:
            value = self._number.filled(n)
            missing, invalid = np.isnan(value), np.isinf(value)
            value[invalid] = np.nan
        if self._textual:
            label = self._label.finish()
            missing, invalid = label == -1, label == INVALID
            if not self._numeric:
                numbers = [as_number(text) for text in self._label.coder.values]
                by_code = np.array([np.nan if x is None else x for x in numbers] + [np.nan, np.nan], np.float64)
                value = by_code[label]
        if self._content is None:
            return label, value, missing, invalid, None
        # What a label is to a class or a number is seen when its model is known.
        label[label == INVALID] = -1
        missing, invalid, given = self._content.finish()
        return label, value, missing, invalid, given

    def _take_signals(
        self,
        signal: NDArray[np.bool_],
        names: NDArray[np.int32],
        retract: NDArray[np.bool_],
        channel: NDArray[np.int32],
        value: NDArray[np.float64],
        verdicts: Verdicts,
    ) -> None:
        """Puts the signals' keys and values where labels have theirs."""
        numbers = self._value.filled(len(signal))
        for code, name in enumerate(self._signal.coder.values):
            rows = signal & (names == code)
            known = self._signals.get(name)
            if known is None:
                verdicts.reject(rows, "unknown_signal")
                continue
            channel[rows] = self._channel.coder.code(next(iter(known.values())))
            value[rows] = numbers[rows]
            verdicts.reject(rows & ~retract & np.isinf(value), "invalid_signal_value")
            if len(known) > 1:
                continue  # the model that takes it says which type it is of
            if "boolean" in known:
                # An event needs no value: that it is told is the news.
                value[rows & np.isnan(value)] = 1.0
                verdicts.reject(rows & ~retract & (value != 0) & (value != 1), "invalid_signal_value")
            else:
                verdicts.reject(rows & ~retract & np.isnan(value), "missing_signal_value")


def _signal_numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """True is 1 and false 0, as values and as words; otherwise as `number_column`."""
    return number_column([_TRUTH.get(value, value) if isinstance(value, bool | str) else value for value in values])


def _invalid_as_zero(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value if value == value else 0.0 for value in values], np.float64)
