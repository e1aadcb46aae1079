"""The program that is observed: it predicts and is told how it went, in a time of its own.

Time stands still within a round. In a round predictions lie in [now, now + STEP), and feedback after all of them, so
that what is in time for a sealed block does not hang on which log is read first.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tests.crash.recount import CLASSES, SECOND, Feedback, Prediction, Record, Rejected

STEP = 90 * SECOND
START = 1_750_000_000_000 // STEP * STEP
TOLD_ROUNDS = 9
"""Rounds for which a prediction may still be told about: long enough for feedback that is late for its sealed block."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log, newline included, and what the recount makes of it; a blank line is nothing."""

    text: bytes
    record: Record | None


@dataclass(slots=True)
class Program:
    """Writes lines for the logs; the same seed writes the same ones."""

    random: random.Random
    weighted: bool  # whether some records stand for several predictions
    models: tuple[str, ...] = ("fraud", "fraud", "ride", "delay")
    now: int = START
    round: int = 0
    made: int = 0
    recent: list[tuple[int, Prediction]] = field(default_factory=list)  # (round, prediction), written
    announced: list[Prediction] = field(default_factory=list)  # told about before they are written
    told: set[str] = field(default_factory=set)  # ids told about in this round

    def next_round(self) -> None:
        self.now += STEP
        self.round += 1
        self.told.clear()
        self.recent = [(when, one) for when, one in self.recent if when > self.round - TOLD_ROUNDS]

    def forget(self, lost: Iterable[Record]) -> None:
        """Lines that went away unread: predictions among them are not spoken of any more."""
        gone = {id(record) for record in lost}
        self.recent = [(when, one) for when, one in self.recent if id(one) not in gone]

    # ---------------------------------------------------------------- predictions

    def predictions(self, number: int) -> list[Line]:
        return [self._prediction_line() for _ in range(number)]

    def _prediction_line(self) -> Line:
        chance = self.random.random()
        if chance < 0.02:
            return self._bad_line("predictions")
        if chance < 0.05 and self.recent:
            when, one = self.random.choice(self.recent)
            # Only what was read before can be repeated with another content: of two in one round either may be first.
            one = replace(one, version="v9", answer=None, scores={}) if when < self.round else replace(one)
            return Line(_encode(_prediction_fields(one)), one)
        announced = chance < 0.15 and self.announced
        one = replace(self.announced.pop(), time=self._time()) if announced else self._predict()
        if one.identifier is not None:
            self.recent.append((self.round, one))
        return Line(_encode(_prediction_fields(one)), one)

    def _time(self) -> int:
        return self.now + self.random.randrange(STEP)

    def _predict(self) -> Prediction:
        self.made += 1
        model = self.random.choice(self.models)
        scores: dict[str, float] = {}
        answer: str | float | None
        if model == "delay":
            answer = round(self.random.gauss(10, 30), 1)
        elif model == "fraud":
            scores = {"1": round(self.random.random(), 4)}
            answer = "1" if scores["1"] >= 0.5 else "0"
        else:
            parts = [self.random.random() for _ in CLASSES]
            scores = {name: part / sum(parts) for name, part in zip(CLASSES, parts, strict=True)}
            answer = max(scores, key=scores.__getitem__)
        if self.random.random() < 0.03:
            answer, scores = None, {}
        return Prediction(
            identifier=None if self.random.random() < 0.1 else f"p{self.made}",
            time=self._time(),
            model=model,
            version=self.random.choice(("v1", "v2")),
            answer=answer,
            scores=scores,
            latency=self.random.random() < 0.5,
            count=3 if self.weighted and self.random.random() < 0.1 else 1,
        )

    # ---------------------------------------------------------------- feedback

    def feedback(self, number: int) -> list[Line]:
        """About so many lines; an id is told about by one call a round at most, so that reports keep their order."""
        lines: list[Line] = []
        while len(lines) < number:
            chance = self.random.random()
            if chance < 0.02:
                lines.append(self._bad_line("feedback"))
            if chance > 0.9:
                one = self._predict()
                if one.identifier is None:
                    continue
                if chance < 0.98:  # the others are never written
                    self.announced.append(one)
            elif self.recent:
                one = self.random.choice(self.recent)[1]
            else:
                break
            assert one.identifier is not None
            if one.identifier not in self.told:
                self.told.add(one.identifier)
                lines += self._reports(one, one.identifier)
            elif chance < 0.5:
                break
        return lines

    def _reports(self, one: Prediction, identifier: str) -> list[Line]:
        lines: list[Line] = []
        time = self.now + STEP + self.random.randrange(STEP)
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            channel = self.random.choice(("outcome", "audit")) if one.model == "fraud" else "outcome"
            label: str | float | None = self._label(one)
            propensity = self.random.choice((0.25, 0.5)) if channel == "audit" else None
            if self.random.random() < 0.1:
                label, propensity = None, None
            names_model = int(identifier[1:]) % 3 > 0  # always or never: the two ways to a model need not keep order
            report = Feedback(identifier, time, one.model, names_model, channel, label, propensity)
            for _ in range(2 if self.random.random() < 0.1 else 1):
                lines.append(Line(_encode(_feedback_fields(report)), replace(report)))
            if self.random.random() < 0.7:
                time = self.now + STEP + self.random.randrange(STEP)
        return lines

    def _label(self, one: Prediction) -> str | float:
        if one.model == "delay":
            return round(self.random.gauss(10, 30), 1)
        if one.model == "fraud":
            return self.random.choice("01")
        return self.random.choice(CLASSES)

    def _bad_line(self, kind: str) -> Line:
        if self.random.random() < 0.3:
            return Line(b"\n", None)
        if self.random.random() < 0.5:
            missing = {
                "predictions": {"model": "fraud", "prediction": "1"},
                "feedback": {"label": "1", "channel": "outcome"},
            }
            reason = {"predictions": "missing_timestamp", "feedback": "missing_prediction_id"}
            return Line(_encode(missing[kind]), Rejected(kind, reason[kind]))
        return Line(b'{"prediction_id": "half a lin\n', Rejected(kind, "invalid_json"))


def _prediction_fields(one: Prediction) -> dict[str, object]:
    fields: dict[str, object] = {"timestamp": one.time, "model": one.model, "version": one.version}
    if one.identifier is not None:
        fields = {"prediction_id": one.identifier, **fields}
    if one.answer is None:
        fields["error"] = "timeout"
    else:
        fields["prediction"] = one.answer
    if one.scores and one.model == "fraud":
        fields["score"] = one.scores["1"]
    elif one.scores:
        fields["scores"] = dict(one.scores)
    if one.latency:
        fields["latency_ms"] = 12.5
    if one.count != 1:
        fields["count"] = one.count
    return fields


def _feedback_fields(report: Feedback) -> dict[str, object]:
    fields: dict[str, object] = {
        "prediction_id": report.identifier,
        "timestamp": report.time,
        "channel": report.channel,
    }
    if report.names_model:
        fields["model"] = report.model
    if report.label is None:
        fields["retract"] = True
    else:
        fields["label"] = report.label
    if report.propensity is not None:
        fields["propensity"] = report.propensity
    return fields


def _encode(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
