"""What blocks say of a stream's measures: how they were, and whether they, or a release, have become worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import Any, Final

import numpy as np

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.detectors.detector import ARRIVALS, LABELS, SIGNALS, Context, Detector, Reading, View
from tidegauge.assess.detectors.readings import SEPARATOR, change_readings, slice_readings
from tidegauge.assess.measures.measure import PROPORTION, RATIO, UNBOUNDED, BlockSums, LossSums, Measure
from tidegauge.assess.releases import arms
from tidegauge.assess.releases.compared import Compared, Frozen
from tidegauge.assess.releases.lifecycle import Release
from tidegauge.assess.sequential import before_after, comparison, profile
from tidegauge.assess.sequential.history import BINS, DAY_MS, S1, S2, N, half_octave, quantile
from tidegauge.assess.sequential.trend import DAYS, Trend, trend
from tidegauge.assess.sequential.watch import Promise, Watch
from tidegauge.join.rows import Rows
from tidegauge.join.vocabulary import OTHER
from tidegauge.tally.blocks import SealedBlock

CAPPED_SHARE: Final = 0.999
"""Losses above this quantile of the baseline's are held at it in comparisons."""
REFERENCE_ROWS: Final = 200
"""Rows of the baseline that must be known before a comparison is planned."""
ACTIVE: Final = 7 * DAY_MS
"""A version with rows in this time counts among what is watched."""
FORGOTTEN: Final = 30 * DAY_MS
"""A stream without rows for so long is learned anew if it returns."""
SLICE_LEVEL: Final = 0.1
"""Of the slices that are said to be failing at most this share is not, on average."""


@dataclass(slots=True)
class Stream:
    """One measure in one stream of blocks."""

    form: str  # the measure's
    versions: Watch
    slices: Watch
    compared: dict[str, Compared]  # by new version
    trends: dict[str, Trend]  # by version, of whole days
    day: int = -1  # the last one seen, since 1970
    threshold: float = 0.0  # evidence that a version needed at the last block

    @classmethod
    def empty(cls, measure: Measure) -> Stream:
        """Before the first block."""
        known = known_of(measure)
        return cls(measure.form, Watch.empty(known), Watch.empty(known), {}, {})


@dataclass(slots=True)
class Quality:
    """The measures of one stream by name. `meaning` is what the losses depend on: where it changes all starts anew."""

    meaning: str = ""
    measures: dict[str, Stream] = field(default_factory=dict)
    now: int = 0  # start of the last block, ms


def known_of(measure: Measure) -> profile.Measure:
    """What is known of a measure's losses beforehand."""
    highest = 1.0 if measure.kind not in (UNBOUNDED, RATIO) else inf
    lowest = -inf if measure.kind == UNBOUNDED and measure.sign < 0 else 0.0
    return profile.Measure(measure.kind == PROPORTION, lowest, highest)


def _advance(state: Quality, block: SealedBlock, context: Context) -> Quality:
    """The state is its owner's alone, and is changed in place."""
    measures = [measure for measure in context.measures if measure.stream == context.stream_key]
    meaning = _meaning(context)
    if state.meaning != meaning:
        state = Quality(meaning)
    state.now = block.start
    sums = BlockSums(block.counts, context.room)
    version, key, value = context.split(sums.series)
    step = _Step(block, context, sums, version, key, value)
    for measure in measures:
        found = measure.sums(sums)
        if found is None:
            continue
        stream = state.measures.get(measure.metric)
        if stream is None or stream.form != measure.form:
            stream = state.measures[measure.metric] = Stream.empty(measure)
        step.compare(stream, measure, found)
        step.watch(stream, measure, found)
    return state


def _meaning(context: Context) -> str:
    model, channel = context.model, context.channel
    return repr((model.task, model.k, model.normalize, model.positive_label, channel.kind, channel.no_feedback))


class _Step:
    """One block's work on the streams of its measures."""

    def __init__(
        self,
        block: SealedBlock,
        context: Context,
        sums: BlockSums,
        version: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
    ) -> None:
        self.block = block
        self.context = context
        self.sums = sums
        self.whole = np.flatnonzero(key < 0)
        self.version = version
        self.sliced = np.flatnonzero(key >= 0)
        self.key, self.value = key, value
        self._rows: Rows | None = None

    @property
    def rows(self) -> Rows:
        if self._rows is None:
            self._rows = self.block.rows()
        return self._rows

    # ---------------------------------------------------------------- releases

    def compare(self, stream: Stream, measure: Measure, found: LossSums) -> None:
        """Moves on the comparisons that this block's time belongs to; they see the history before this block."""
        places = {self.context.versions[int(self.version[row])]: int(row) for row in self.whole}
        for release in self.context.releases:
            if not release.start <= self.block.start < release.end or release.candidate not in places:
                continue
            so_far = stream.compared.get(release.candidate)
            if so_far is None:
                frozen = self._freeze(stream, measure, release)
                if frozen is None:
                    continue
                so_far = Compared.begin(frozen)
            sides = [
                self._side(measure, found, so_far, places.get(version))
                for version in (release.candidate, release.baseline)
            ]
            stream.compared[release.candidate] = so_far.advance(self.block.start, *sides)

    def _side(self, measure: Measure, found: LossSums, so_far: Compared, row: int | None) -> arms.Side:
        by_rows = measure.rows is not None and (so_far.frozen.plan.clustered or so_far.cap < inf)
        if by_rows:
            code = -1 if row is None else int(self.version[row])
            return arms.of_rows(measure, self.rows, self.block.channel, code, so_far.cap)
        if row is None:
            return arms.Side(arms.NO_ROWS)
        return arms.of_sums(measure, found, self.sums, int(self.sums.series[row]), so_far.cap)

    def _freeze(self, stream: Stream, measure: Measure, release: Release) -> Frozen | None:
        """What the baseline's past says; None while too little of it is known."""
        watch = stream.versions
        if release.baseline not in watch.keys:
            return None
        row = watch.keys.index(release.baseline)
        cells = watch.history.closed([row])[0]
        n, s1, s2 = (float(cells[:, column].sum()) for column in (N, S1, S2))
        if n < REFERENCE_ROWS:
            return None
        kind: Any = measure.kind
        rate = s1 / n
        variance = max(s2 / n - rate * rate, 0.0)
        cap = quantile(watch.history.bins[row], CAPPED_SHARE) if measure.kind == UNBOUNDED else None
        usual = comparison.default_margin(rate, kind, variance)
        margin = usual if measure.margin is None else measure.margin
        alpha = self.context.model.release.alpha
        alpha_harm = alpha / sum(one.deciding for one in self.context.measures) if measure.deciding else alpha
        clustered = self.context.clustered and measure.rows is not None
        plan = comparison.plan(kind, rate, variance, margin or usual, alpha_harm, alpha, clustered)
        switch, expected = None, ()
        hours = float((cells[:, N] > 0).sum())
        if hours >= before_after.HOURS_TO_COMPARE and np.isfinite(watch.measure.lowest):
            learned = profile.learned(watch.history, [row], None, watch.measure)
            switch = before_after.plan_before_after(
                kind,
                rate,
                float(learned.tau2[0]),
                float(learned.variance[0]),
                float(learned.level_variance[0]),
                margin or usual,
                n,
                float(learned.days[0]) * 24,
                alpha_harm,
                alpha,
            )
            expected = tuple(learned.mean[0].tolist())
        if margin == 0:  # it has to be better; only the tuning of a test needs something else
            plan = replace(plan, margin=comparison.LEAST_MARGIN)
            switch = None if switch is None else replace(switch, margin=comparison.LEAST_MARGIN)
        return Frozen(plan, margin, cap, switch, expected)

    # ---------------------------------------------------------------- change

    def watch(self, stream: Stream, measure: Measure, found: LossSums) -> None:
        """Adds the block to what is known of each version and slice, and looks for changes."""
        if stream.day != self.block.start // DAY_MS:
            self._new_day(stream)
        change = self.context.model.change
        keys = {self.context.versions[int(self.version[row])]: int(row) for row in self.whole}
        keys.pop(OTHER, None)
        sums = _placed(stream.versions, keys, found)
        if measure.kind == UNBOUNDED:
            self._count_sizes(stream.versions, measure)
        if not measure.watched:
            stream.versions.history.add(self.block.start, *sums)
            return
        active = self.block.start - stream.versions.history.last_ms < ACTIVE
        watched = sum(one.watched for one in self.context.measures)
        promise = Promise(
            change.false_alarm_interval,
            self.block.end - self.block.start,
            max(int(active.sum()), 1) * watched,
            change.learning,
        )
        stream.threshold = promise.threshold()
        shape = _shape(stream, change.learning)
        stream.versions.advance(self.block.start, *sums, promise, shape)
        if len(self.sliced) or stream.slices.keys:
            slices = _placed(stream.slices, self._slice_keys(), found)
            stream.slices.advance(self.block.start, *slices, promise, shape, together=SLICE_LEVEL)

    def _slice_keys(self) -> dict[str, int]:
        context, keys = self.context, {}
        for row in self.sliced.tolist():
            version = context.versions[int(self.version[row])]
            value = context.slices[int(self.key[row])][int(self.value[row])]
            if OTHER not in (version, value):
                keys[SEPARATOR.join((version, context.model.slices[int(self.key[row])], value))] = row
        return keys

    def _count_sizes(self, watch: Watch, measure: Measure) -> None:
        """How large losses are, for the cap of a release to come."""
        counts: list[Floats] = []
        if measure.rows is not None:
            losses = measure.rows(self.rows)
            code = self.rows.version[losses.index]
            for row in self.whole:
                sizes = half_octave(losses.loss[code == self.version[row]])
                counts.append(np.bincount(sizes, minlength=BINS).astype(np.float64))
        elif measure.sizes is not None and (found := measure.sizes(self.sums)) is not None:
            counts = list(found[self.whole])
        places = {key: place for place, key in enumerate(watch.keys)}
        for row, sizes_of_row in zip(self.whole, counts, strict=False):
            place = places.get(self.context.versions[int(self.version[row])])
            if place is not None:
                watch.history.bins[place] += sizes_of_row

    def _new_day(self, stream: Stream) -> None:
        """Forgets streams that are long gone, and draws the trends up to yesterday."""
        stream.day = self.block.start // DAY_MS
        for watch in (stream.versions, stream.slices):
            last = watch.history.last_ms
            gone = [key for key, at in zip(watch.keys, last.tolist(), strict=True) if at < self.block.start - FORGOTTEN]
            if gone:
                watch.remove(*gone)
        stream.trends = {}
        history = stream.versions.history
        for key, daily in zip(stream.versions.keys, history.daily, strict=True):
            found = _trend(history.days, daily)
            if found is not None:
                stream.trends[key] = found


def _trend(days: Integers, daily: Floats) -> Trend | None:
    """Of the last two weeks if that is more than chance, else of all: what has just begun to rot is no line."""
    recent = slice(-DAYS, None)
    lately = trend(days[recent], daily[recent, N], daily[recent, S1])
    if lately is not None and lately.significant:
        return lately
    return trend(days, daily[:, N], daily[:, S1])


def _placed(watch: Watch, keys: Mapping[str, int], found: LossSums) -> tuple[Floats, Floats, Floats]:
    """The block's sums in the order of the watch's streams; streams that are new begin.

    By name: codes are given in the order in which records are read, and what is added up must not depend on that.
    """
    known = set(watch.keys)
    new = sorted(key for key, row in keys.items() if key not in known and found.n[row] > 0)
    if new:
        watch.add(*new)
    rows = np.array([keys.get(key, -1) for key in watch.keys], dtype=np.int64)
    here = rows >= 0
    columns = []
    squares = found.squares if found.plain_squares is None else found.plain_squares
    for values in (found.n, found.total, squares):
        column = np.zeros(len(rows))
        column[here] = values[rows[here]]
        columns.append(column)
    return columns[0], columns[1], columns[2]


def _shape(stream: Stream, learning: int) -> profile.Shape | None:
    """The model's shape, if some stream may be about to need it."""
    waiting = False
    for watch in (stream.versions, stream.slices):
        watched = set(watch.bank.keys)
        n = watch.history.n()
        waiting |= any(key not in watched and n[row] >= profile.ROWS for row, key in enumerate(watch.keys))
    return stream.versions.shape(stream.versions.keys, learning) if waiting else None


def _readings(state: Quality, view: View) -> list[Reading]:
    readings: list[Reading] = []
    for measure in view.measures:
        stream = state.measures.get(measure.metric)
        if stream is None or measure.stream != view.stream_key or not measure.watched:
            continue
        readings += change_readings(stream, measure, view, state.now)
        readings += slice_readings(stream, measure, view, SLICE_LEVEL)
    return readings


def _forget(state: Quality, version: str) -> Quality:
    for stream in state.measures.values():
        if version in stream.versions.keys:
            stream.versions.remove(version)
        of_version = [key for key in stream.slices.keys if key.split(SEPARATOR, 1)[0] == version]
        if of_version:
            stream.slices.remove(*of_version)
        for known in (stream.compared, stream.trends):
            known.pop(version, None)
    return state


def _save(state: Quality) -> dict[str, Any]:
    return {
        "meaning": state.meaning,
        "now": state.now,
        "measures": {
            name: {
                "form": stream.form,
                "proportion": stream.versions.measure.proportion,
                "lowest": None if stream.versions.measure.lowest == -inf else stream.versions.measure.lowest,
                "highest": None if stream.versions.measure.highest == inf else stream.versions.measure.highest,
                "versions": stream.versions.to_json(),
                "slices": stream.slices.to_json(),
                "compared": {version: compared.save() for version, compared in stream.compared.items()},
                "trends": {version: asdict(one) for version, one in stream.trends.items()},
                "day": stream.day,
                "threshold": stream.threshold,
            }
            for name, stream in state.measures.items()
        },
    }


def _load(saved: Mapping[str, Any]) -> Quality:
    state = Quality(saved["meaning"], {}, saved["now"])
    for name, values in saved["measures"].items():
        known = profile.Measure(
            values["proportion"],
            -inf if values["lowest"] is None else values["lowest"],
            inf if values["highest"] is None else values["highest"],
        )
        state.measures[name] = Stream(
            values["form"],
            Watch.from_json(values["versions"], known),
            Watch.from_json(values["slices"], known),
            {version: Compared.load(compared) for version, compared in values["compared"].items()},
            {version: Trend(**one) for version, one in values["trends"].items()},
            values["day"],
            values["threshold"],
        )
    return state


DETECTOR = Detector(
    "quality",
    Quality,
    _advance,
    _readings,
    forget=_forget,
    streams=frozenset((LABELS, SIGNALS, ARRIVALS)),
    save=_save,
    load=_load,
)
