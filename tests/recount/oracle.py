"""The recount: what must be published for given logs, the plain way, record by record. Slow and meant to be obvious.

It shares no code with the exporter. Sums of records are counted exactly; scores are formulas over lists of rows.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import xxhash

from tests.recount.logs import HORIZON, Answer, Feedback, Items, Prediction
from tidegauge.config.settings import Channel, Model, Signal

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
CHAIN = [
    *(n * SECOND for n in (1, 5, 10, 30)),
    *(n * MINUTE for n in (1, 5, 10, 30)),
    *(n * HOUR for n in (1, 2, 6, 12)),
    DAY,
]
LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)
DELAY = (1, 10, 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 259200, 604800, 1209600, 2592000, math.inf)
RESULTS = ("joined", "replaced", "duplicate", "superseded", "retracted", "orphaned", "late", "sampled_out")
STATES = ("ok", "immature", "no_feedback", "insufficient_samples", "unsupported")
NAMES = {HOUR: "1h", 6 * HOUR: "6h"}
LIFETIME = 0

Key = tuple[str, tuple[str, ...]]
Content = tuple[bool, str | float, float]
WORDY = ("ranking", "text")


@dataclass(frozen=True)
class Label:
    """What holds on one channel of one prediction; value None: withdrawn."""

    time: int
    content: Content
    value: Answer | None
    propensity: float | None

    @property
    def order(self) -> tuple[int, Content]:
        return self.time, self.content


@dataclass(frozen=True)
class Row:
    """A prediction as one channel sees it: what was answered, what was true, how much it weighs."""

    prediction: Prediction
    given: bool  # a label was given and holds
    label: Answer | None  # given, or implied by silence
    weight: float

    @property
    def count(self) -> int:
        return self.prediction.count


@dataclass(frozen=True)
class Score:
    """One metric of one series: value None where it has none; fraction: numerator and denominator of a ratio."""

    value: float | None
    samples: float
    fraction: tuple[float, float] | None = None


class Recount:
    """Everything to be published about one model, from its records in the order in which they were written."""

    def __init__(
        self, model: Model, predictions: Sequence[Prediction], feedback: Sequence[Feedback], clock: int
    ) -> None:
        self.model = model
        self.clock = clock
        self.page: dict[Key, float] = {}
        mine = [one for one in predictions if one.model == model.name]
        self.accepted = [one for one in mine if one.fate == "accepted"]
        known: dict[str | None, Prediction] = {one.key: one for one in self.accepted if one.key is not None}
        self.claimed = [one for one in feedback if one.model == model.name and (one.named or one.key in known)]
        self.results: Counter[tuple[str, str, str]] = Counter()
        self.delays: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.labels: dict[tuple[str, str], Label] = {}  # by id and channel, as the windows see them
        self.in_time: dict[tuple[str, str], Label] = {}  # as sealed blocks see them
        self.versions = sorted({one.version for one in self.accepted})
        self.classes = self._classes()
        for slot in model.slots:
            self._join(slot, known)
        self._counters()
        self._sealed_counters()
        for channel in model.channels:
            self._windows(channel)
        for signal in model.signals:
            self._proxy(signal)

    def _classes(self) -> set[str]:
        """Every class that has been met or configured."""
        if self.model.task == "binary":
            return {"0", "1"}
        scored = [channel for channel in self.model.channels if channel.kind in ("complete", "sample")]
        labels = [one.label for one in self.claimed if one.channel in {channel.name for channel in scored}]
        answers = [self._answer(one) for one in self.accepted]
        probable = [text for one in self.accepted if one.key and not one.error for text in one.scores or ()]
        silent = [channel.no_feedback for channel in scored]
        return {str(text) for text in (*labels, *answers, *probable, *silent, *self.model.classes) if text is not None}

    # ---- joining

    def sealed_until(self, channel: Channel) -> int:
        block = self.model.block
        return (self.clock - channel.maturity - self.model.grace) // block * block

    def block_end(self, time: int) -> int:
        return time // self.model.block * self.model.block + self.model.block

    def _join(self, channel: Channel, known: dict[str | None, Prediction]) -> None:
        by_id: dict[str, list[Feedback]] = defaultdict(list)
        for record in self.claimed:
            if (record.channel, record.signal) == (channel.name, channel.carries != "label"):
                by_id[record.key].append(record)
        for key, records in by_id.items():
            prediction = known.get(key)
            if prediction is None:
                if records[0].time < self.clock - HORIZON:
                    self.results["", channel.name, "orphaned"] += len(records)
                continue
            end = self.block_end(prediction.time)
            limit = end + channel.maturity
            held: Label | None = None
            for record in (one for one in records if one.time <= limit):
                held = self._offer(prediction, channel, held, record, late=False)
            if held is not None:
                self.in_time[key, channel.key] = held
            if end <= self.sealed_until(channel):
                for record in (one for one in records if one.time > limit):
                    held = self._offer(prediction, channel, held, record, late=True)
            if held is not None:
                self.labels[key, channel.key] = held

    def _offer(
        self, prediction: Prediction, channel: Channel, held: Label | None, record: Feedback, *, late: bool
    ) -> Label | None:
        if record.label is None:
            content: Content = (True, "", 0.0)
        else:
            label = record.label
            if channel.carries == "label" and self.model.task in WORDY:
                label = content_number(label)
            elif channel.carries == "label" and self.model.task != "regression":
                reports = channel.kind in ("mistakes", "voluntary")
                # Of a report only counts whether it contradicts the answer.
                label = float(self._class(label) != self._answer(prediction)) if reports else str(self._class(label))
            propensity = record.propensity or 0.0 if channel.kind == "sample" else 0.0
            assert not isinstance(label, tuple)
            content = (False, label, propensity)
        new = Label(record.time, content, record.label, record.propensity)
        if held is not None and new.order <= held.order:
            result = "duplicate" if new.order == held.order else "superseded"
        elif record.label is None:
            result = "retracted"
        elif late:
            result = "late"
        else:
            result = "joined" if held is None else "replaced"
        self.results[prediction.version, channel.name, result] += 1
        if held is None and record.label is not None:
            self.delays[prediction.version, channel.name].append(max(record.time - prediction.time, 0))
        return held if result in ("duplicate", "superseded") else new

    # ---- counters

    def _put(self, family: str, *labels: str, value: float) -> None:
        self.page[family, (self.model.name, *labels)] = value

    def _counters(self) -> None:
        name = self.model.name
        for channel in self.model.slots:
            kind = (channel.name, channel.carries != "label")
            received = sum((record.channel, record.signal) == kind for record in self.claimed)
            self._put("model_feedback_received_total", channel.name, value=received)
            for result in ("orphaned", "sampled_out"):
                count = self.results["", channel.name, result]
                self._put("model_feedback_total", "", channel.name, result, value=count)
        for version in self.versions:
            of_version = [one for one in self.accepted if one.version == version]
            times = [one.time for one in of_version]
            self._put("model_version_first_prediction_timestamp_seconds", version, value=min(times) / 1000)
            self._put("model_version_last_prediction_timestamp_seconds", version, value=max(times) / 1000)
            for role in ("primary", "shadow"):
                some = [one for one in of_version if one.shadow == (role == "shadow")]
                if role == "shadow" and not some:
                    continue
                self._put("model_predictions_total", version, role, value=sum(one.count for one in some))
                errors = sum(one.count for one in some if one.error)
                self._put("model_prediction_errors_total", version, role, value=errors)
                seconds = [one.latency / 1000 for one in some for _ in range(one.count) if one.latency is not None]
                self._histogram("model_prediction_latency_seconds", (name, version, role), seconds, LATENCY)
            for channel in self.model.slots:
                for result in RESULTS:
                    count = self.results[version, channel.name, result]
                    self._put("model_feedback_total", version, channel.name, result, value=count)
                seconds = [delay / 1000 for delay in self.delays[version, channel.name]]
                self._histogram("model_feedback_delay_seconds", (name, version, channel.name), seconds, DELAY)

    def _histogram(self, family: str, row: tuple[str, ...], values: list[float], bounds: Iterable[float]) -> None:
        below = -math.inf
        for bound in bounds:
            count = sum(below < value <= bound for value in values)
            self.page[f"{family}_bucket", (*row, str(float(bound)))] = count
            below = bound
        self.page[f"{family}_sum", row] = math.fsum(values)

    def _sealed_counters(self) -> None:
        """Right and wrong answers, as known at the time when their block was sealed."""
        for channel in self.model.channels:
            if self.model.task in ("regression", *WORDY) or channel.kind not in ("complete", "sample"):
                continue
            cells: Counter[tuple[str, str, str]] = Counter()
            for row in self._rows(channel, self.in_time):
                one = row.prediction
                answer = self._answer(one)
                if self.block_end(one.time) <= self.sealed_until(channel) and None not in (row.label, answer):
                    cells[one.version, str(self._class(row.label)), str(answer)] += one.count
            for (version, actual, predicted), count in cells.items():
                self._put("model_confusion_total", version, channel.name, actual, predicted, value=count)
            for version in {version for version, _, _ in cells}:
                own = [(a == p, count) for (v, a, p), count in cells.items() if v == version]
                right = sum(count for correct, count in own if correct)
                wrong = sum(count for correct, count in own if not correct)
                self._put("model_outcomes_total", version, channel.name, "correct", value=right)
                self._put("model_outcomes_total", version, channel.name, "incorrect", value=wrong)

    # ---- rows

    def _class(self, label: Answer | None) -> Answer | None:
        if self.model.task != "binary" or label is None:
            return label
        return "1" if label == self.model.positive_label else "0"

    def _answer(self, one: Prediction) -> Answer | None:
        if one.error:
            return None
        if one.answer is not None:
            return self._class(one.answer)
        if one.score is not None:
            return "1" if one.score >= self.model.threshold else "0"
        assert one.scores is not None
        best = max(one.scores.values())
        return min(text for text, value in one.scores.items() if value == best)

    def _rows(self, channel: Channel, labels: dict[tuple[str, str], Label]) -> list[Row]:
        """Every prediction that has an id, as this channel sees it."""
        rows = []
        for one in self.accepted:
            if one.key is None:
                continue
            held = labels.get((one.key, channel.key))
            given = held is not None and held.value is not None
            label = held.value if held is not None and given else channel.no_feedback
            if label is not None and channel.carries == "boolean":
                label = float(label not in (0.0, "false"))
            elif isinstance(label, str) and (channel.carries == "numeric" or self.model.task == "regression"):
                label = float(label)
            weight = one.weight
            if held is not None and given and channel.kind == "sample" and held.propensity:
                weight = weight / held.propensity
            rows.append(Row(one, given, label, weight))
        return rows

    # ---- windows

    def bounds(self, width: int, maturity: int) -> tuple[float, int]:
        span = min(self.model.windows) if width == LIFETIME else width
        pane = max(step for step in CHAIN if step <= span / 48 and span % step == 0)
        end = (self.clock - maturity) // pane * pane
        return (-math.inf if width == LIFETIME else end - width), end

    def _windows(self, channel: Channel) -> None:
        rows = self._rows(channel, self.labels)
        for width in (*self.model.windows, LIFETIME):
            window = NAMES.get(width, "lifetime")
            start, end = self.bounds(width, channel.maturity)
            mature = [one for one in self.accepted if start <= one.time < end]
            seen = [row for row in rows if start <= row.prediction.time < end]
            for version in self.versions:
                place = (version, channel.name, window)
                own = [one for one in mature if one.version == version]
                total = sum(one.count for one in own)
                inside = [row for row in seen if row.prediction.version == version]
                labeled = sum(row.count for row in inside if row.given)
                self._put("model_window_mature_predictions", *place, value=total)
                self._put("model_window_labeled_predictions", *place, value=labeled)
                if total:
                    self._put("model_feedback_coverage_ratio", *place, value=labeled / total)
                if width != LIFETIME:
                    first, now = self.bounds(width, 0)
                    recent = [one for one in self.accepted if one.version == version and first <= one.time < now]
                    self._put("model_window_predictions", *place, value=sum(one.count for one in recent))
                self._quality("model_quality", (version, channel.name), window, channel, inside, total)
                classes = self.model.task in ("binary", "multiclass")
                if width != LIFETIME and classes and channel.kind in ("complete", "sample"):
                    self._details(place, inside, total)
                for key in self.model.slices if width != LIFETIME else ():
                    for value in sorted({one.slices[key] for one in own if key in one.slices}):
                        part = sum(one.count for one in own if one.slices.get(key) == value)
                        some = [row for row in inside if row.prediction.slices.get(key) == value]
                        labels = (version, channel.name, key, value)
                        self._quality("model_slice_quality", labels, window, channel, some, part)

    def _quality(
        self, family: str, labels: tuple[str, ...], window: str, channel: Channel, rows: list[Row], mature: int
    ) -> None:
        labeled = sum(row.count for row in rows if row.given)
        if channel.kind in ("mistakes", "voluntary"):
            bad = sum(row.count for row in rows if row.given and self._wrong(row))
            scores = {
                "reported_error_rate": _share(bad, mature),
                "response_rate": _share(labeled, mature),
            }
            answered: float = mature
        elif self.model.task in WORDY:
            judged = [row for row in rows if self._measured(row)]
            scores = ranking_scores(judged, self.model.k) if self.model.task == "ranking" else text_scores(judged)
            answered = max(sum(row.weight * row.count for row in judged), labeled)
        elif self.model.task == "regression":
            scores = regression_scores([row for row in rows if row.label is not None and not row.prediction.error])
            answered = max(sum(row.weight * row.count for row in rows if self._measured(row)), labeled)
        else:
            scores = self._class_scores(rows, slices="slice" in family)
            answered = max(sum(row.weight * row.count for row in rows if self._measured(row)), labeled)
        for metric, score in scores.items():
            self._state(family, (*labels, metric, window), score, mature, answered)

    def _wrong(self, row: Row) -> bool:
        answer = self._answer(row.prediction)
        if answer is None:
            return False
        if self.model.task == "ranking":
            return reciprocal_rank(as_items(answer), as_items(row.label), self.model.k) == 0
        if self.model.task == "text":
            return compared(answer) != compared(row.label)
        return answer != self._class(row.label)

    def _measured(self, row: Row) -> bool:
        return row.label is not None and self._answer(row.prediction) is not None

    def _state(self, family: str, labels: tuple[str, ...], score: Score, mature: float, answered: float) -> None:
        if not mature:
            state = "immature"
        elif not answered:
            state = "no_feedback"
        elif score.value is None:
            state = "unsupported"
        elif score.samples < self.model.minimum_samples * (1 - 1e-9):
            state = "insufficient_samples"
        else:
            state = "ok"
        # The histograms keep no squared weights: with unequal weights this effective number is an estimate.
        estimated = "calibration_error" in labels
        for name in STATES:
            open_ = estimated and {name, state} <= {"ok", "insufficient_samples"}
            self._put(f"{family}_state", *labels, name, value=math.nan if open_ else name == state)
        self._put(f"{family}_samples", *labels, value=math.nan if estimated else score.samples)
        if state in ("ok", "insufficient_samples") and score.value is not None:
            self._put(f"{family}_score", *labels, value=score.value)
            if score.fraction is not None:
                self._put(f"{family}_numerator", *labels, value=score.fraction[0])
                self._put(f"{family}_denominator", *labels, value=score.fraction[1])

    def _proxy(self, signal: Signal) -> None:
        """Each window of a signal, of versions and slices."""
        slot = next((one for one in self.model.slots if one.key == f"signal/{signal.name}"), None)
        values: list[tuple[Prediction, Answer | None, float]]
        if slot is not None:
            values = [(row.prediction, row.label, row.weight) for row in self._rows(slot, self.labels)]
        else:
            values = [(one, self._derived(signal, one), one.weight) for one in self.accepted]
        for width in self.model.windows:
            start, end = self.bounds(width, signal.maturity)
            seen = [one for one in self.accepted if start <= one.time < end]
            for version in self.versions:
                series: list[tuple[str, tuple[str, ...], str | None, str]] = [("model_proxy", (), None, "")]
                for name in self.model.slices:
                    found = {one.slices[name] for one in seen if one.version == version and name in one.slices}
                    series += [("model_slice_proxy", (name, text), name, text) for text in sorted(found)]
                for family, labels, key, value in series:
                    score = mean(
                        [
                            (number, weight * one.count, weight**2 * one.count)
                            for one, number, weight in values
                            if one.version == version and start <= one.time < end
                            if isinstance(number, float) and (key is None or one.slices.get(key) == value)
                        ]
                    )
                    place = (version, *labels, signal.name, NAMES[width])
                    top, bottom = score.fraction or (0.0, 0.0)
                    self._put(f"{family}_numerator", *place, value=top)
                    self._put(f"{family}_denominator", *place, value=bottom)
                    self._put(f"{family}_samples", *place, value=score.samples)
                    if score.value is not None:
                        self._put(f"{family}_score", *place, value=score.value)

    def _derived(self, signal: Signal, one: Prediction) -> float | None:
        """What a prediction says of itself."""
        if one.error:
            return None
        answer = one.answer if one.answer is not None else self._answer(one)
        assert answer is not None
        if signal.origin == "answer_length":
            assert not isinstance(answer, float)
            return float(len(answer))
        if signal.origin == "abstention":
            return float(answer in ("", *signal.labels))
        if signal.origin == "disagreement":
            return None if one.rule is None else float(self._class(answer) != self._class(one.rule))
        if self.model.task in WORDY:
            return one.score
        if self.model.task == "binary":
            probabilities = None if one.score is None else [one.score, 1 - one.score]
        else:
            probabilities = None if one.scores is None else [*one.scores.values()]
        if probabilities is None:
            return None
        if signal.origin == "confidence":
            return max(probabilities)
        return -math.fsum(p * math.log(p) for p in probabilities if p)

    def _details(self, place: tuple[str, str, str], rows: list[Row], mature: int) -> None:
        """The confusion matrix and each class against the rest."""
        version, channel, window = place
        judged = [row for row in rows if self._measured(row)]
        answered = max(sum(r.weight * r.count for r in judged), sum(r.count for r in rows if r.given))
        pairs = self._pairs(judged)
        cells: dict[tuple[str, str], float] = defaultdict(float)
        for actual, predicted, weight, _ in pairs:
            cells[actual, predicted] += weight
        for (actual, predicted), weight in cells.items():
            self._put("model_window_confusion", *place, actual, predicted, value=weight)
        for text in self.classes:
            for metric, score in one_class(pairs, text).items():
                self._state("model_class_quality", (version, channel, text, metric, window), score, mature, answered)

    def _pairs(self, judged: list[Row]) -> list[tuple[str, str, float, float]]:
        """(actual, predicted, weight, squared weight) of each row, the number of identical predictions included."""
        return [
            (
                str(self._class(row.label)),
                str(self._answer(row.prediction)),
                row.weight * row.count,
                row.weight**2 * row.count,
            )
            for row in judged
        ]

    def _class_scores(self, rows: list[Row], *, slices: bool) -> dict[str, Score]:
        judged = [row for row in rows if self._measured(row)]
        pairs = self._pairs(judged)
        scores = confusion_scores(pairs, binary=self.model.task == "binary")
        size = kish((weight, square) for _, _, weight, square in pairs)
        losses: list[tuple[float, float, float, float]] = []  # brier, log loss, weight, squared weight
        ranked: dict[str, list[tuple[float, bool, float]]] = defaultdict(list)
        stated: list[tuple[float, bool, float]] = []  # probability, whether it came true, weight
        texts = {text for row in rows if row.label is not None for text in (str(row.label),)}
        texts |= {text for row in rows if row.prediction.scores for text in row.prediction.scores}
        for row in rows:
            one, actual = row.prediction, self._class(row.label)
            if row.label is None or one.error:
                continue
            weight, square = row.weight * row.count, row.weight**2 * row.count
            if one.score is not None:
                happened = one.score if actual == "1" else 1 - one.score
                losses.append(((1 - happened) ** 2, -math.log(max(happened, 1e-15)), weight, square))
                # Slices keep 30 bins; scores within one are taken as equal.
                ranked["1"].append((one.score * 30 // 1 if slices else one.score, actual == "1", weight))
                stated.append((one.score, actual == "1", weight))
            elif one.scores is not None:
                happened = one.scores.get(str(actual), 0.0)
                named = {**dict.fromkeys([str(actual)], 0.0), **one.scores}
                brier = math.fsum((p - (text == actual)) ** 2 for text, p in named.items())
                losses.append((brier, -math.log(max(happened, 1e-15)), weight, square))
                for text in texts:
                    ranked[text].append((one.scores.get(text, 0.0), text == actual, row.count))
                answer = str(self._answer(one))
                stated.append((one.scores.get(answer, 0.0), answer == actual, weight))
        for place, metric in enumerate(("brier", "log_loss")):
            scores[metric] = mean([(loss[place], loss[2], loss[3]) for loss in losses])
        areas = [area for rows_ in ranked.values() if (area := roc_auc(rows_)) is not None]
        if self.model.task == "multiclass" and (slices or len({row.weight for row in judged}) > 1):
            areas = []  # kept for whole versions only, and only where all rows weigh the same
        # Without an area the rows that it would rest on are nobody's business.
        scores["roc_auc"] = Score(math.fsum(areas) / len(areas), size) if areas else Score(None, math.nan)
        size = kish((weight, weight**2) for _, _, weight in stated)
        scores["calibration_error"] = Score(calibration_error(stated), size)
        return scores


# ---- plain formulas


def kish(weights: Iterable[tuple[float, float]]) -> float:
    """Effective number of rows from (weight, squared weight)."""
    rows = list(weights)
    squares = math.fsum(square for _, square in rows)
    return math.fsum(weight for weight, _ in rows) ** 2 / squares if squares else 0.0


def _share(part: float, whole: float) -> Score:
    return Score(part / whole if whole else None, whole, (part, whole))


def mean(rows: Sequence[tuple[float, float, float]]) -> Score:
    """Of (value, weight, squared weight)."""
    size = kish((weight, square) for _, weight, square in rows)
    total = math.fsum(weight for _, weight, _ in rows)
    if not rows:
        return Score(None, 0.0)
    value = math.fsum(value * weight for value, weight, _ in rows)
    return Score(value / total, size, (value, total))


Pair = tuple[str, str, float, float]


def rate(pairs: Sequence[Pair], hit: Callable[[Pair], bool], counted: Callable[[Pair], bool]) -> Score:
    """Share of the hits among the counted pairs."""
    some = [pair for pair in pairs if counted(pair)]
    return mean([(float(hit(pair)), pair[2], pair[3]) for pair in some])


def one_class(pairs: Sequence[Pair], text: str) -> dict[str, Score]:
    """The class against the rest."""
    scores = {
        "precision": rate(pairs, lambda pair: pair[0] == text, lambda pair: pair[1] == text),
        "recall": rate(pairs, lambda pair: pair[1] == text, lambda pair: pair[0] == text),
        "specificity": rate(pairs, lambda pair: pair[1] != text, lambda pair: pair[0] != text),
    }
    jaccard = rate(pairs, lambda pair: pair[0] == pair[1], lambda pair: text in pair[:2])
    if jaccard.value is None or jaccard.fraction is None:
        return scores | {"f1": jaccard}
    right, some = jaccard.fraction
    return scores | {"f1": Score(2 * right / (right + some), jaccard.samples, (2 * right, right + some))}


def confusion_scores(pairs: Sequence[Pair], *, binary: bool) -> dict[str, Score]:
    size = kish((weight, square) for _, _, weight, square in pairs)
    actual = {pair[0] for pair in pairs}
    texts = actual | {pair[1] for pair in pairs}
    each = {text: one_class(pairs, text) for text in sorted(texts)}
    scores = {"accuracy": rate(pairs, lambda pair: pair[0] == pair[1], lambda pair: True)}
    recalls = [each[text]["recall"].value or 0.0 for text in sorted(actual)]
    scores["balanced_accuracy"] = Score(sum(recalls) / len(recalls) if len(recalls) > 1 else None, size)
    for metric in ("precision", "recall", "f1", "specificity"):
        if binary:
            scores[metric] = one_class(pairs, "1")[metric]
            continue
        values = [each[text][metric].value for text in each]
        if metric == "specificity":
            values = [value for value in values if value is not None]
        macro = math.fsum(value or 0.0 for value in values) / len(values) if values else None
        scores[metric] = Score(macro, size)
    scores["mcc"] = Score(matthews(pairs), size)
    return scores


def matthews(pairs: Sequence[Pair]) -> float | None:
    total = math.fsum(pair[2] for pair in pairs)
    actual: dict[str, float] = defaultdict(float)
    predicted: dict[str, float] = defaultdict(float)
    for a, p, weight, _ in pairs:
        actual[a] += weight
        predicted[p] += weight
    if len(actual) < 2:
        return None
    if len(predicted) < 2:
        return 0.0
    right = math.fsum(weight for a, p, weight, _ in pairs if a == p)
    covariance = right * total - math.fsum(actual[text] * predicted.get(text, 0.0) for text in actual)
    spread_p = total**2 - math.fsum(value**2 for value in predicted.values())
    spread_a = total**2 - math.fsum(value**2 for value in actual.values())
    return covariance / math.sqrt(spread_p * spread_a)


def roc_auc(rows: Sequence[tuple[float, bool, float]]) -> float | None:
    """Share of the pairs in which the positive scores above the negative, ties counting half."""
    positive = [(score, weight) for score, right, weight in rows if right]
    negative = [(score, weight) for score, right, weight in rows if not right]
    if not positive or not negative:
        return None
    won = math.fsum(w * v * (1.0 if s > t else 0.5 if s == t else 0.0) for s, w in positive for t, v in negative)
    return won / (math.fsum(w for _, w in positive) * math.fsum(w for _, w in negative))


def calibration_error(rows: Sequence[tuple[float, bool, float]]) -> float | None:
    """In 15 groups of equal width."""
    if not rows:
        return None
    gaps: dict[int, float] = defaultdict(float)
    for probability, right, weight in rows:
        # Groups are made of 300 bins, so an edge belongs to the bin that the product of score and 300 falls into.
        gaps[min(int(probability * 300), 299) // 20] += weight * (right - probability)
    return math.fsum(abs(gap) for gap in gaps.values()) / math.fsum(weight for _, _, weight in rows)


def regression_scores(rows: Sequence[Row]) -> dict[str, Score]:
    triples = [
        (
            as_number(row.prediction.answer),
            as_number(row.label),
            row.weight * row.count,
            row.weight**2 * row.count,
        )
        for row in rows
    ]
    square = mean([((p - y) ** 2, w, w2) for p, y, w, w2 in triples])
    scores = {
        "mae": mean([(abs(p - y), w, w2) for p, y, w, w2 in triples]),
        "rmse": Score(None if square.value is None else math.sqrt(square.value), square.samples, square.fraction),
        "mape": mean([(abs(p - y) / abs(y), w, w2) for p, y, w, w2 in triples if y != 0]),
        "mean_error": mean([(p - y, w, w2) for p, y, w, w2 in triples]),
    }
    r2 = None
    if len({y for _, y, _, _ in triples}) > 1:
        total = math.fsum(w for _, _, w, _ in triples)
        centre = math.fsum(y * w for _, y, w, _ in triples) / total
        spread = math.fsum(w * (y - centre) ** 2 for _, y, w, _ in triples)
        r2 = 1 - math.fsum(w * (p - y) ** 2 for p, y, w, _ in triples) / spread
    return scores | {"r2": Score(r2, square.samples)}


def content_number(label: object) -> float:
    """What decides between equal timestamps: the hash of the label's JSON."""
    text = json.dumps(label, ensure_ascii=False, separators=(",", ":"))
    return float(xxhash.xxh3_64_intdigest(text.encode()) >> 11)


def as_number(label: Answer | None) -> float:
    assert not isinstance(label, tuple)
    return float(label or 0.0)


def as_items(label: Answer | None) -> Items:
    assert isinstance(label, tuple)
    return label


def reciprocal_rank(ranked: Items, relevant: Items, k: int) -> float:
    return next((1 / (place + 1) for place, item in enumerate(ranked[:k]) if item in relevant), 0.0)


def ndcg(ranked: Items, relevant: Items, k: int) -> float:
    """An item counts where it stands first; 0 where nothing is relevant."""
    gains = [
        1 / math.log2(place + 2) if item in relevant and item not in ranked[:place] else 0.0
        for place, item in enumerate(ranked[:k])
    ]
    ideal = math.fsum(1 / math.log2(place + 2) for place in range(min(k, len(set(relevant)))))
    return math.fsum(gains) / ideal if ideal else 0.0


def ranking_scores(rows: Sequence[Row], k: int) -> dict[str, Score]:
    values = []
    for row in rows:
        ranked, relevant = as_items(row.prediction.answer), as_items(row.label)
        first = reciprocal_rank(ranked, relevant, k)
        measured = (ndcg(ranked, relevant, k), first, float(first > 0))
        values.append((*measured, row.weight * row.count, row.weight**2 * row.count))
    return {
        name: mean([(value[place], value[3], value[4]) for value in values])
        for place, name in enumerate(("ndcg", "mrr", "hit_rate"))
    }


def compared(text: Answer | None) -> str:
    """A text as it is compared; the models here have it in lower case."""
    assert isinstance(text, str)
    return text.lower().strip()


def edits(first: Sequence[str], second: Sequence[str]) -> int:
    """The Levenshtein distance by its recurrence."""
    before = list(range(len(second) + 1))
    for place, left in enumerate(first, 1):
        row = [place]
        for other, right in enumerate(second, 1):
            row.append(min(before[other] + 1, row[-1] + 1, before[other - 1] + (left != right)))
        before = row
    return before[-1]


def text_scores(rows: Sequence[Row]) -> dict[str, Score]:
    pairs = [(compared(row.label), compared(row.prediction.answer), row) for row in rows]
    size = kish((row.weight * row.count, row.weight**2 * row.count) for row in rows)
    splits: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
        ("word_error_rate", str.split),
        ("character_error_rate", list),
    )
    scores = {}
    for name, split in splits:
        wrong = math.fsum(edits(split(meant), split(said)) * row.weight * row.count for meant, said, row in pairs)
        length = math.fsum(len(split(meant)) * row.weight * row.count for meant, _, row in pairs)
        scores[name] = Score(wrong / length if length else None, size, (wrong, length))
    return scores


def lost(used: Sequence[Model], predictions: Sequence[Prediction], feedback: Sequence[Feedback], clock: int) -> int:
    """Feedback that names no model and whose prediction no model ever made, given up by now."""
    known = {one.key for one in predictions if one.fate == "accepted"}
    lone = [one for one in feedback if not one.named and one.key not in known]
    return sum(one.time < clock - max(model.horizon for model in used) for one in lone)
