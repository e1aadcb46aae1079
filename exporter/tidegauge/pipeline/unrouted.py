"""Feedback that names no model while several are configured: it goes to the model that knows its prediction.

Until some model does, it waits here, with its texts under codes of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.decode.columns import Categorical, Content, FeedbackColumns
from tidegauge.decode.content import is_text, of_ranking
from tidegauge.join.contents import Contents
from tidegauge.join.feedback import FEEDBACK, Waiting
from tidegauge.join.vocabulary import Vocabulary
from tidegauge.state.table import Table

TABLE = "unrouted/waiting"
MOST = 1_000_000
"""Records that may wait; then the hash sample of predictions starts for them too."""
NO_LABEL = 65_535


class Unrouted:
    """The waiting room between the models."""

    def __init__(
        self, table: Table | None = None, saved: dict[str, Any] | None = None, contents: Contents | None = None
    ) -> None:
        """`contents` keeps labels that are texts or lists; without it they do not wait here."""
        saved = saved or {"labels": [], "channels": [], "sequence": 0, "exponent": 0}
        self.contents = contents
        self.waiting = Waiting(table or Table(TABLE, FEEDBACK))
        self.labels = Vocabulary(NO_LABEL - 1, saved["labels"])
        self.channels = Vocabulary(250, saved["channels"])
        self.sequence = int(saved["sequence"])
        self.exponent = int(saved["exponent"])

    def save(self) -> dict[str, Any]:
        return {
            "labels": self.labels.texts,
            "channels": self.channels.texts,
            "sequence": self.sequence,
            "exponent": self.exponent,
        }

    def keep(self, columns: FeedbackColumns, clock: int) -> int:
        """Waits with records that no model knows yet; returns how many the cap shut out."""
        records = np.zeros(len(columns.key), dtype=FEEDBACK)
        records["key"], records["time"], records["number"] = columns.key, columns.time, columns.value
        records["since"] = np.minimum(columns.time, clock) if clock >= 0 else columns.time
        records["propensity"], records["retract"] = columns.propensity, columns.retract
        records["sequence"] = np.arange(self.sequence, self.sequence + len(records), dtype=np.uint64)
        self.sequence += len(records)
        records["label"] = self._coded(self.labels, columns.label)
        records["channel"] = self._coded(self.channels, columns.channel)
        if self.contents is not None and columns.content is not None:
            records["content"] = self.contents.write(columns.content)
        shut_out = 0
        if self.exponent:
            inside = (records["key"] & np.uint64((1 << self.exponent) - 1)) == 0
            shut_out = int((~inside).sum())
            records = records[inside]
        self.waiting.add(records)
        while len(self.waiting) > MOST:
            self.exponent += 1
            shut_out += len(self.waiting.thin((1 << self.exponent) - 1))
        return shut_out

    @staticmethod
    def _coded(vocabulary: Vocabulary, column: Categorical) -> NDArray[np.uint16]:
        table = np.array([*(vocabulary.code(text) for text in column.values), NO_LABEL], dtype=np.uint16)
        return table[column.codes] if len(table) > 1 else np.full(len(column.codes), NO_LABEL, dtype=np.uint16)

    def claim(self, model: str, channels: Iterable[str], keys: NDArray[np.uint64]) -> FeedbackColumns | None:
        """What waited for these predictions of a model, in order of arrival; None if nothing did."""
        if not len(self.waiting):
            return None
        taken = self.waiting.take(keys)
        known = np.array([text in set(channels) for text in self.channels.texts], dtype=np.bool_)
        fitting = known[taken["channel"]] if len(taken) else np.zeros(0, dtype=np.bool_)
        if not fitting.all():
            self.waiting.add(taken[~fitting])
            taken = taken[fitting]
        if not len(taken):
            return None
        label = taken["label"].astype(np.int32)
        label[label == NO_LABEL] = -1
        return FeedbackColumns(
            model=model,
            key=taken["key"].copy(),
            time=taken["time"].copy(),
            channel=Categorical(taken["channel"].astype(np.int32), list(self.channels.texts)),
            label=Categorical(label, list(self.labels.texts)),
            value=taken["number"].copy(),
            retract=taken["retract"] != 0,
            propensity=taken["propensity"].copy(),
            offset=np.zeros(len(taken), dtype=np.int64),
            content=self._contents(taken),
        )

    def _contents(self, taken: NDArray[np.void]) -> list[Content] | None:
        return None if self.contents is None else self.contents.read(taken["content"])

    def expire(self, before: int) -> int:
        """Gives up records that waited since before this time (ms); returns how many."""
        return len(self.waiting.expire(before))


def fitted(columns: FeedbackColumns, model: Model) -> tuple[FeedbackColumns, int]:
    """Feedback that named no model as this model's, and how many of its labels and values are none to this model.

    While its model is not known a label may be a class, a number, a text or a list, and a signal of either type.
    """
    channels = {channel.name for channel in model.channels}
    labels = np.array([text in channels for text in columns.channel.values], dtype=np.bool_)[columns.channel.codes]
    match model.task:
        case "regression":
            unusable = np.isnan(columns.value)
        case "ranking":
            unusable = np.zeros(len(columns.key), dtype=np.bool_)
        case "text":
            unusable = np.array([not is_text(content) for content in columns.content or ()], dtype=np.bool_)
        case _:
            unusable = columns.label.codes < 0
    unusable = unusable & labels
    value = columns.value.copy()
    for slot in model.slots[len(model.channels) :]:
        rows = np.array([text == slot.key for text in columns.channel.values], dtype=np.bool_)[columns.channel.codes]
        if slot.carries == "boolean":
            value[rows & np.isnan(value)] = 1.0
            unusable |= rows & (value != 0) & (value != 1)
        else:
            unusable |= rows & np.isnan(value)
    unusable &= ~columns.retract
    columns = replace(columns, value=value)
    lost = int(unusable.sum())
    if lost:
        columns = select(columns, model.name, np.flatnonzero(~unusable))
    if model.task == "ranking" and columns.content is not None:
        columns = replace(columns, content=[of_ranking(content) for content in columns.content])
    return columns, lost


def select(columns: FeedbackColumns, model: str | None, index: NDArray[np.int64]) -> FeedbackColumns:
    """Some rows of a batch, as another model's."""
    return FeedbackColumns(
        model=model,
        key=columns.key[index],
        time=columns.time[index],
        channel=Categorical(columns.channel.codes[index], columns.channel.values),
        label=Categorical(columns.label.codes[index], columns.label.values),
        value=columns.value[index],
        retract=columns.retract[index],
        propensity=columns.propensity[index],
        offset=columns.offset[index],
        content=None if columns.content is None else [columns.content[place] for place in index.tolist()],
    )
