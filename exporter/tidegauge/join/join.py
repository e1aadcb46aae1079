"""Joins one model's feedback to its predictions.

Each prediction rests here, packed, with its latest label a channel until the horizon. Every feedback record ends in
exactly one result. What changes in the windows is handed on as `Change`s: the rows as they were and as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.metrics import REPORTED
from tidegauge.config.settings import CLASSIFICATION, Model
from tidegauge.join.contents import Contents
from tidegauge.join.feedback import Deferred, Waiting
from tidegauge.join.index import HashIndex
from tidegauge.join.layout import (
    BASE_LEAD,
    CONTENT,
    NUMBER,
    REACH,
    SAMPLING_SHIFT,
    SHADOW,
    TRUTH,
    Layout,
    read_time,
    unit_buckets,
    write_time,
)
from tidegauge.join.measures import measure_of
from tidegauge.join.rows import NONE, RETRACTED, UNNAMED, Labels, Rows, Vectors
from tidegauge.join.vectors import VectorFile
from tidegauge.join.vocabulary import Vocabulary, word_number
from tidegauge.state.table import Table

RESULT_MEANINGS: Mapping[str, str] = {
    "joined": "Its prediction had no label on this channel; now it has.",
    "replaced": "It is newer than the label held (by its timestamp, then by content) and took its place.",
    "duplicate": "Same timestamp and content as the label held.",
    "superseded": "Older than the label held.",
    "retracted": "A retraction newer than what was held; labels older than it do not come back.",
    "orphaned": "No prediction with its id came before the horizon; or it named no model, came first, and what it says "
    "is no label to the model that made the prediction.",
    "late": "It was to be joined or replace a label, but is dated beyond the end of its prediction's block plus "
    "maturity: windows follow it, the counters of sealed blocks do not.",
    "sampled_out": "Its prediction is outside the hash sample that max_pending made necessary.",
}
"""What becomes of a feedback record, in words. Each ends in exactly one."""

RESULTS = tuple(RESULT_MEANINGS)
JOINED, REPLACED, DUPLICATE, SUPERSEDED, WITHDRAWN, ORPHANED, LATE, SAMPLED_OUT = range(8)
NEVER_SEALED = -(1 << 62)
LATEST = 1 << 62
NO_ROW, REPEATED = -1, -2
CHUNK = 1 << 16
BATCH = 1 << 18
"""More predictions than one block can hold: there is room for a batch beyond the cap before the sample thins."""
SCAN = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """Rows before and after; `channels` says whose labels may differ. No rows before: new to the join."""

    before: Rows | None
    after: Rows | None
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a batch of feedback: parallel arrays, one entry a record."""

    channel: NDArray[np.uint8]
    result: NDArray[np.uint8]  # index into RESULTS
    version: NDArray[np.uint8]  # of the prediction; NONE where there is none
    delay: NDArray[np.int64]  # ms from prediction to its first label; -1 otherwise


@dataclass(slots=True)
class Outcome:
    """Everything that one step of the join changed."""

    changes: list[Change] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)

    def settle(self, feedback: NDArray[np.void], result: int) -> None:
        """Ends records that never met their prediction."""
        if len(feedback):
            nobody = np.full(len(feedback), NONE, dtype=np.uint8)
            never = np.full(len(feedback), -1, dtype=np.int64)
            ended = np.full(len(feedback), result, dtype=np.uint8)
            self.settled.append(Settled(feedback["channel"], ended, nobody, never))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Predictions of one batch, coded, on their way into the join; all arrays have n entries."""

    key: NDArray[np.uint64]  # 0: no id
    rows: Rows  # without labels
    shadow: NDArray[np.bool_]
    scores: Sequence[dict[str, float] | None] | None = None
    content: Sequence[bytes | None] | None = None

    def take(self, index: NDArray[np.int64]) -> Arrivals:
        scores = None if self.scores is None else [self.scores[number] for number in index]
        content = None if self.content is None else [self.content[number] for number in index]
        return Arrivals(self.key[index], self.rows.take(index), self.shadow[index], scores, content)


class Join:
    """One model's pending predictions.

    `sealed_until` has the end of sealed time for each channel (ms); the engine moves it on.
    """

    def __init__(
        self,
        model: Model,
        classes: Vocabulary,
        block: int,
        table: Table,
        layout: Layout,
        waiting: Waiting,
        deferred: Deferred,
        vectors: VectorFile | None,
        contents: Contents,
        base: int | None = None,
        exponent: int = 0,
        thinned_at: int = NEVER_SEALED,
        sequence: int = 0,
        sealed_until: Sequence[int] = (),
    ) -> None:
        self.model = model
        self.layout = layout
        self.table = table
        self.waiting = waiting
        self.deferred = deferred
        self.base = base
        self.exponent = exponent
        self.thinned_at = thinned_at  # ms; when the sample last changed
        self.sequence = sequence
        self._slots = model.slots
        self.sealed_until = np.array(sealed_until or [NEVER_SEALED] * len(self._slots), dtype=np.int64)
        self._classes = classes
        self._block = block
        self._vectors = vectors
        self.contents = contents
        self._measure = measure_of(model)
        self._cursor = 0
        # No pending prediction is older than this; of restored ones it is not known yet.
        self._oldest = NEVER_SEALED if table.live else LATEST
        self._oldest_met = LATEST
        # The grace is for what is written late: what a block holds must not depend on the order of the lines within it.
        self._due = np.array([slot.maturity for slot in self._slots], dtype=np.int64)
        self._index = HashIndex(lambda numbers: self.table.rows["key"][numbers], expected=table.live)
        for start in range(0, table.high_water, CHUNK):
            numbers = table.live_numbers(start, min(start + CHUNK, table.high_water))
            if len(numbers):
                self._index.insert(table.rows["key"][numbers], numbers)

    @property
    def vectors(self) -> VectorFile | None:
        """Where class probabilities wait; None unless the model is multiclass."""
        return self._vectors

    @property
    def nbytes(self) -> int:
        """Bytes that the pending predictions take, index included."""
        return self.table.high_water * self.layout.dtype.itemsize + self._index.nbytes

    # ---------------------------------------------------------------- predictions

    def claim(self, key: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Takes a row for each id: its number, NO_ROW where the row needs none, REPEATED where the id was seen before.

        Rows without an id and rows outside the hash sample need none. Every row claimed must then be filled by
        `insert`.
        """
        numbers = np.full(len(key), NO_ROW, dtype=np.int64)
        inside = key != 0
        if self.exponent:
            inside &= (key & np.uint64(self._mask)) == 0
        wanted = np.flatnonzero(inside)
        if not len(wanted):
            return numbers
        keys = key[wanted]
        fresh = self.table.allocate(len(wanted))
        self.table.rows["key"][fresh] = keys
        added = self._index.insert(keys, fresh)
        if not added.all():
            self.table.free(fresh[~added])
            fresh[~added] = REPEATED
        numbers[wanted] = fresh
        return numbers

    def insert(self, arrivals: Arrivals, numbers: NDArray[np.int64]) -> Outcome:
        """Fills the rows claimed for predictions (NO_ROW where none was); what waits for them is applied at once."""
        outcome = Outcome()
        kept = arrivals
        if (numbers < 0).any():
            some = np.flatnonzero(numbers >= 0)
            kept, numbers = arrivals.take(some), numbers[some]
        if not len(numbers):
            return outcome
        if self.base is None:
            self.base = int(kept.rows.time.min()) - BASE_LEAD
        if not self.layout.weighted and (kept.rows.weight is not None or kept.rows.count is not None):
            self._widen()
        earliest = int(kept.rows.time.min())
        self._oldest, self._oldest_met = min(self._oldest, earliest), min(self._oldest_met, earliest)
        packed = self._pack(kept)
        self._scatter(numbers, packed)
        if any(slot.no_feedback is not None for slot in self._slots):
            outcome.changes.append(Change(None, self.view(packed), tuple(range(len(self._slots)))))
        if len(self.waiting):
            self._apply(self.waiting.take(kept.key), outcome)
        return outcome

    def _pack(self, arrivals: Arrivals) -> NDArray[np.void]:
        assert self.base is not None
        rows = arrivals.rows
        packed = np.zeros(len(rows), dtype=self.layout.dtype)
        packed["key"] = arrivals.key
        write_time(packed, "time_low", "time_high", rows.time, self.base)
        packed["version"] = rows.version
        packed["flags"] = arrivals.shadow * SHADOW | (self.exponent << SAMPLING_SHIFT)
        packed["unit"] = unit_buckets(None, arrivals.key) if rows.unit is None else rows.unit
        if self.layout.task == "regression":
            packed["value"] = rows.value
        else:
            packed["predicted"] = rows.predicted
            if self.layout.task == "binary":
                packed["score"] = rows.score
            elif arrivals.content is not None:
                packed["content"] = self.contents.write(arrivals.content)
            elif arrivals.scores is not None and self._vectors is not None:
                packed["vector"] = self._vectors.write(arrivals.scores, self._classes)
        for number, code in enumerate(rows.slices):
            packed[f"slice{number}"] = code
        for number in range(len(self.layout.forms)):
            packed[f"label{number}"] = NONE
        if self.layout.weighted:
            packed["weight"] = 1.0 if rows.weight is None else rows.weight
            packed["count"] = 1 if rows.count is None else rows.count
        return packed

    def _widen(self) -> None:
        """The first weight or count other than 1 gives every row room for them."""
        layout = Layout.of(self.model, weighted=True)
        table = Table(self.table.name, layout.dtype, capacity=self.model.max_pending + BATCH)
        numbers = table.allocate(self.table.high_water)
        fields = self.layout.dtype.names or ()
        for name in fields:
            table.rows[name][numbers] = self.table.rows[name][numbers]
        table.rows["weight"][numbers] = 1.0
        table.rows["count"][numbers] = 1
        live = np.zeros(len(numbers), dtype=np.bool_)
        live[self.table.live_numbers(0, self.table.high_water)] = True
        table.free(numbers[~live])
        self.table, self.layout = table, layout

    # ---------------------------------------------------------------- feedback

    def knows(self, key: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """True for ids among the pending predictions."""
        return self._index.lookup(key) >= 0

    def offer(self, feedback: NDArray[np.void]) -> Outcome:
        """Takes in feedback for this model, in order of arrival."""
        feedback["sequence"] = np.arange(self.sequence, self.sequence + len(feedback), dtype=np.uint64)
        self.sequence += len(feedback)
        outcome = Outcome()
        self._apply(feedback, outcome)
        self.contents.release()
        return outcome

    def release(self) -> Outcome:
        """Applies the late feedback whose blocks have been sealed meanwhile."""
        outcome = Outcome()
        self._apply(self.deferred.take(self.sealed_until), outcome)
        return outcome

    def _apply(self, feedback: NDArray[np.void], outcome: Outcome) -> None:
        if not len(feedback):
            return
        number = self._index.lookup(feedback["key"])
        missing = number < 0
        if missing.any():
            lost = pick(feedback, missing)
            if self.exponent:
                outside = (lost["key"] & np.uint64(self._mask)) != 0
                outcome.settle(lost[outside], SAMPLED_OUT)
                lost = lost[~outside]
            self.waiting.add(self._resting(lost))
            feedback, number = pick(feedback, ~missing), number[~missing]
            if not len(feedback):
                return
        assert self.base is not None
        self._name(feedback)
        rows = self._gather(number)
        time = read_time(rows, "time_low", "time_high", self.base)
        block_end = time // self._block * self._block + self._block
        channel = feedback["channel"]
        late = feedback["time"] > block_end + self._due[channel]
        if late.any():
            held = late & (block_end > self.sealed_until[channel])
            if held.any():
                self.deferred.add(self._resting(pick(feedback, held)), block_end[held])
                on = ~held
                feedback, number, rows, time, late = pick(feedback, on), number[on], pick(rows, on), time[on], late[on]
        for step, turn in enumerate(_turns(number)):
            if len(turn) < len(number) or step:
                # A prediction met in an earlier turn has changed since.
                batch = (pick(feedback, turn), number[turn], self._gather(number[turn]), time[turn], late[turn])
            else:
                batch = (feedback, number, rows, time, late)
            self._settle_channels(*batch, outcome)

    def _resting(self, feedback: NDArray[np.void]) -> NDArray[np.void]:
        """The records with their content where it lasts."""
        if self._measure is not None:
            feedback["content"] = self.contents.rest(feedback["content"])
        return feedback

    def _name(self, feedback: NDArray[np.void]) -> None:
        """Gives labels their class that had been none when they were read; by now the prediction has been."""
        if self.layout.task not in CLASSIFICATION:
            return
        unnamed = np.flatnonzero((feedback["label"] == UNNAMED) & (feedback["retract"] == 0))
        if len(unnamed):
            codes = {word_number(text): code for code, text in enumerate(self._classes.texts)}
            feedback["label"][unnamed] = [codes.get(word, UNNAMED) for word in feedback["number"][unnamed].tolist()]

    def _settle_channels(
        self,
        feedback: NDArray[np.void],
        number: NDArray[np.int64],
        rows: NDArray[np.void],
        time: NDArray[np.int64],
        late: NDArray[np.bool_],
        outcome: Outcome,
    ) -> None:
        """Settles records of distinct predictions, channel by channel."""
        if not len(feedback):
            return
        channels = np.flatnonzero(np.bincount(feedback["channel"]))
        for one in channels.tolist():
            if len(channels) == 1:
                self._settle(one, feedback, number, rows, time, late, outcome)
            else:
                part = np.flatnonzero(feedback["channel"] == one)
                self._settle(one, pick(feedback, part), number[part], pick(rows, part), time[part], late[part], outcome)

    def _settle(
        self,
        channel: int,
        feedback: NDArray[np.void],
        number: NDArray[np.int64],
        rows: NDArray[np.void],
        time: NDArray[np.int64],
        late: NDArray[np.bool_],
        outcome: Outcome,
    ) -> None:
        """Decides what becomes of one record a prediction."""
        assert self.base is not None
        label, low, high = f"label{channel}", f"low{channel}", f"high{channel}"
        retract = feedback["retract"] != 0
        has = rows[label] != NONE
        result = np.where(late, LATE, JOINED).astype(np.uint8)
        wins = np.ones(len(rows), dtype=np.bool_)
        if has.any():
            stamp = np.clip(feedback["time"] - self.base, 0, REACH - 1) + self.base
            held = read_time(rows, low, high, self.base)
            rank = self._rank(channel, rows, feedback, retract)
            newer = (stamp > held) | ((stamp == held) & (rank > 0))
            result[has & newer & ~late] = REPLACED
            result[has & ~newer] = np.where((stamp == held) & (rank == 0), DUPLICATE, SUPERSEDED)[has & ~newer]
            wins = ~has | newer
        result[wins & retract] = WITHDRAWN
        delay = np.where(has | retract, -1, np.maximum(feedback["time"] - time, 0))
        outcome.settled.append(Settled(feedback["channel"], result, rows["version"].copy(), delay))
        if not wins.all():
            rows, number, feedback, retract = pick(rows, wins), number[wins], pick(feedback, wins), retract[wins]
            if not len(rows):
                return
        before = self.view(rows)
        rows[label] = np.where(retract, RETRACTED, feedback["label"])
        if self.layout.forms[channel] in (NUMBER, CONTENT):
            rows[f"number{channel}"] = feedback["number"]
        if self._measure is not None and self.layout.forms[channel] == CONTENT:
            answers, labels = self.contents.read(rows["content"]), self.contents.read(feedback["content"])
            rows[f"measures{channel}"] = self._measure(answers, labels)
        write_time(rows, low, high, feedback["time"], self.base)
        if self._slots[channel].kind == "sample":
            rows[f"propensity{channel}"] = feedback["propensity"]
        self._scatter(number, rows)
        self.table.touch(number)
        outcome.changes.append(Change(before, self.view(rows), (channel,)))

    def _rank(
        self, channel: int, rows: NDArray[np.void], feedback: NDArray[np.void], retract: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Order of a record against the label that holds, by content: 1 after it, 0 equal, -1 before it.

        It decides between equal timestamps, so it must not depend on the order of arrival: classes compare by their
        text.
        """
        was = rows[f"label{channel}"]
        withdrawn = was == RETRACTED
        rank = np.sign(retract.astype(np.int64) - withdrawn)
        both = ~retract & ~withdrawn
        form = self.layout.forms[channel]
        if form in (NUMBER, CONTENT):
            # Retractions carry no number.
            difference = np.nan_to_num(feedback["number"] - rows[f"number{channel}"])
            content = np.sign(difference).astype(np.int64)
        elif form == TRUTH:
            content = np.sign(feedback["label"].astype(np.int64) - was)
        elif self._slots[channel].kind in REPORTED:
            # Of a report only counts whether it contradicts the answer; what words are classes changes with time.
            answer = rows["predicted"]
            content = (feedback["label"] != answer).astype(np.int64) - (was != answer)
        else:
            place = np.zeros(256, dtype=np.int64)
            place[np.argsort(np.array(self._classes.texts, dtype=np.str_), kind="stable")] = np.arange(
                len(self._classes)
            )
            content = np.sign(place[np.minimum(feedback["label"], NONE)] - place[was])
        if self._slots[channel].kind == "sample":
            new, old = np.nan_to_num(feedback["propensity"]), np.nan_to_num(rows[f"propensity{channel}"])
            content = np.where(content == 0, np.sign(new - old).astype(np.int64), content)
        order: NDArray[np.int64] = np.where(both, content, rank)
        return order

    # ---------------------------------------------------------------- rows

    def _gather(self, numbers: NDArray[np.int64]) -> NDArray[np.void]:
        # Whole rows as opaque bytes: numpy would otherwise copy them field by field.
        return self.table.raw[numbers].view(self.layout.dtype)

    def _scatter(self, numbers: NDArray[np.int64], packed: NDArray[np.void]) -> None:
        self.table.raw[numbers] = packed.view(self.table.raw.dtype)

    def view(self, packed: NDArray[np.void]) -> Rows:
        """The rows that packed predictions stand for."""
        assert self.base is not None
        regression = self.layout.task == "regression"
        absent = np.full(len(packed), np.nan)
        labels = []
        for number, (channel, form) in enumerate(zip(self._slots, self.layout.forms, strict=True)):
            code = packed[f"label{number}"].copy()
            present = code < RETRACTED
            answered = present
            value = packed[f"number{number}"].copy() if form == NUMBER else absent
            if channel.no_feedback is not None:
                answered = np.ones(len(packed), dtype=np.bool_)
                if form == NUMBER:
                    value[~present] = float(channel.no_feedback)
                elif form == TRUTH:
                    code[~present] = int(channel.no_feedback == "true")
                else:
                    code[~present] = self.implied(channel.no_feedback)
            measures = packed[f"measures{number}"].astype(np.float64) if form == CONTENT else None
            factor = None
            if channel.kind == "sample":
                propensity = packed[f"propensity{number}"]
                known = present & (propensity > 0)
                factor = np.ones(len(packed))
                factor[known] = 1.0 / propensity[known]
            labels.append(Labels(present, answered, code, value, factor, measures))
        weight = count = None
        if self.layout.weighted:
            weight, count = packed["weight"].copy(), packed["count"].astype(np.int64)
        rate = None
        exponent = packed["flags"] >> SAMPLING_SHIFT
        if exponent.any():
            rate = np.left_shift(1, exponent.astype(np.int64))
            weight = rate.astype(np.float64) if weight is None else weight * rate
        vectors = None
        if self.layout.task == "multiclass" and self._vectors is not None and packed["vector"].any():
            vectors = Vectors(*self._vectors.read(packed["vector"], len(self._classes)))
        return Rows(
            time=read_time(packed, "time_low", "time_high", self.base),
            version=packed["version"].copy(),
            slices=tuple(packed[f"slice{number}"].copy() for number in range(self.layout.slices)),
            predicted=np.full(len(packed), NONE, dtype=np.uint8) if regression else packed["predicted"].copy(),
            score=packed["score"].copy() if self.layout.task == "binary" else absent,
            value=packed["value"].copy() if regression else absent,
            labels=tuple(labels),
            weight=weight,
            count=count,
            rate=rate,
            vectors=vectors,
            unit=packed["unit"].copy(),
        )

    def implied(self, label: str) -> int:
        """The class code of a configured label."""
        if self.layout.task == "binary":
            return int(label == self.model.positive_label)
        return self._classes.code(label)

    def every_row(self) -> Iterator[Rows]:
        """All pending predictions, in parts."""
        for start in range(0, self.table.high_water, CHUNK):
            numbers = self.table.live_numbers(start, min(start + CHUNK, self.table.high_water))
            if len(numbers):
                yield self.view(self._gather(numbers))

    def within(self, spans: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(times in ms, row numbers) of the pending predictions of these [start, end), by time, then by key."""
        times, numbers = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for first in range(0, self.table.high_water, SCAN):
            assert self.base is not None
            last = min(first + SCAN, self.table.high_water)
            live = self.table.live_numbers(first, last)
            time = read_time(self.table.rows[first:last], "time_low", "time_high", self.base)[live - first]
            inside = np.zeros(len(time), dtype=np.bool_)
            for start, end in spans:
                inside |= (time >= start) & (time < end)
            times.append(time[inside])
            numbers.append(live[inside])
        time, number = np.concatenate(times), np.concatenate(numbers)
        order = np.lexsort((self.table.rows["key"][number], time))
        return time[order], number[order]

    def rows_of(self, numbers: NDArray[np.int64]) -> Rows:
        """The rows of these pending predictions, as they are now."""
        return self.view(self._gather(numbers))

    # ---------------------------------------------------------------- bounds

    @property
    def _mask(self) -> int:
        return (1 << self.exponent) - 1

    @property
    def crowded(self) -> bool:
        """More waits than the configured cap allows."""
        return max(self.table.live, len(self.waiting), len(self.deferred)) > self.model.max_pending

    def thin(self, clock: int) -> Iterator[Outcome]:
        """Halves the hash sample: the windows become what they had been under the new rate from the start.

        Rows that leave the sample take their labels with them, the others count twice as much; so the labelled sums
        stay unbiased and remain correctable to the last row.
        """
        self.exponent += 1
        self.thinned_at = clock
        mask = np.uint64(self._mask)
        channels = tuple(range(len(self._slots)))
        for start in range(0, self.table.high_water, CHUNK):
            numbers = self.table.live_numbers(start, min(start + CHUNK, self.table.high_water))
            packed = self._gather(numbers)
            inside = (packed["key"] & mask) == 0
            outcome = Outcome()
            leaving, staying = packed[~inside], packed[inside]
            if len(leaving):
                outcome.changes.append(Change(self.view(leaving), None, channels))
                self._drop(numbers[~inside], leaving)
            if len(staying):
                before = self.view(staying)
                staying["flags"] = (staying["flags"] & SHADOW) | (self.exponent << SAMPLING_SHIFT)
                self._scatter(numbers[inside], staying)
                self.table.touch(numbers[inside])
                outcome.changes.append(Change(before, self.view(staying), channels))
            yield outcome
        outcome = Outcome()
        outcome.settle(self.waiting.thin(self._mask), SAMPLED_OUT)
        outcome.settle(self.deferred.thin(self._mask), SAMPLED_OUT)
        yield outcome

    def widen_sample(self, clock: int) -> bool:
        """Doubles the hash sample for the predictions to come, once the crowd has been gone for a horizon.

        Predictions that wait already keep their rate; each row carries its own.
        """
        calm = 4 * max(self.table.live, len(self.waiting), len(self.deferred)) < self.model.max_pending
        if not self.exponent or not calm or clock - self.thinned_at < self.model.horizon:
            return False
        self.exponent -= 1
        self.thinned_at = clock
        return True

    def expire(self, clock: int) -> Outcome:
        """Lets go of predictions and feedback beyond the horizon; one part of the table a call."""
        outcome = Outcome()
        before = clock - self.model.horizon
        outcome.settle(self.waiting.expire(before), ORPHANED)
        if self.base is None or before <= self._oldest:
            return outcome
        start, self._cursor = self._cursor, self._cursor + SCAN
        numbers = self.table.live_numbers(start, min(self._cursor, self.table.high_water))
        packed = self._gather(numbers)
        time = read_time(packed, "time_low", "time_high", self.base)
        old = time < before
        if old.any():
            self._drop(numbers[old], packed[old])
        self._oldest_met = min(self._oldest_met, int(time[~old].min(initial=LATEST)))
        if self._cursor >= self.table.high_water:
            # A whole round is done: until the clock has passed the oldest prediction met, there is nothing to look for.
            self._oldest, self._oldest_met, self._cursor = self._oldest_met, LATEST, 0
        return outcome

    def codes_in_use(self, field: str) -> NDArray[np.bool_]:
        """Which codes of a one-byte field ("version", "slice0") some pending prediction has."""
        used = np.zeros(256, dtype=np.bool_)
        for start in range(0, self.table.high_water, CHUNK):
            numbers = self.table.live_numbers(start, min(start + CHUNK, self.table.high_water))
            used[self.table.rows[field][numbers]] = True
        return used

    def _drop(self, numbers: NDArray[np.int64], packed: NDArray[np.void]) -> None:
        self._index.remove(packed["key"])
        self.table.free(numbers)


def pick(rows: NDArray[np.void], index: NDArray[Any]) -> NDArray[np.void]:
    """Rows of a structured array, copied as opaque bytes: numpy would copy them field by field."""
    picked: NDArray[np.void] = rows.view(f"V{rows.dtype.itemsize}")[index].view(rows.dtype)
    return picked


def _turns(number: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Positions in batches within which no prediction occurs twice, in order of arrival."""
    ordered = np.sort(number)
    if not (ordered[1:] == ordered[:-1]).any():
        yield np.arange(len(number))
        return
    order = np.argsort(number, kind="stable")
    again = ordered[1:] == ordered[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~again]))
    rank = np.arange(len(number)) - np.repeat(starts, np.diff(np.append(starts, len(number))))
    turn = np.empty(len(number), dtype=np.int64)
    turn[order] = rank
    for step in range(int(rank.max()) + 1):
        yield np.flatnonzero(turn == step)
