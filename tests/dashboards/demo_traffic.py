"""The logs of five models, one of each task, in a company that has just released a worse version of one of them.

Version v2 of `fraud` takes a growing share of the traffic from the middle on, and is wrong more often in Brazil. A new
version of `triage` is no worse than the one before. `delivery-time` has become worse in Oslo, week by week. The inputs
of `fraud` move, which does no harm: amounts rise, merchants of a new kind come, the age is often missing. Its own
generator, since the boards must be filled for every task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

CONFIGURATION = """\
state: state
clock: log
refresh_interval: 200ms
poll_interval: 25ms
sources:
  - predictions: predictions.jsonl
  - {feedback: feedback.jsonl, channel: outcome}
  - {feedback: reports.jsonl, channel: reports}
models:
  - name: fraud
    owner: payments
    task: binary
    feedback: &feedback {outcome: {maturity: 10m}}
    change: &change {learning: 5d}
    slices: [country]
    features: {amount: numeric, age: {type: numeric}, merchant: categorical}
    windows: [1h]
    signals:
      confidence: {from: confidence}
      appealed: {type: boolean, maturity: 10m, no_feedback: false}
    objectives: {accuracy: 0.9, log_loss: 0.3}
  - name: triage
    owner: support
    task: multiclass
    feedback: *feedback
    windows: [1h]
    signals: {entropy: {from: entropy}}
    objectives: {accuracy: 0.7}
  - name: delivery-time
    owner: logistics
    task: regression
    feedback: *feedback
    slices: [city]
    features: {distance: numeric}
    change: *change
    windows: [1h]
    objectives: {mae: 6}
  - name: search
    owner: shop
    task: ranking
    feedback: {outcome: {maturity: 10m}}
    windows: [1h]
    objectives: {ndcg: 0.6}
  - name: dictation
    owner: clinic
    task: text
    feedback: {outcome: {maturity: 10m}, reports: {kind: mistakes, maturity: 10m}}
    windows: [1h]
"""

ACCURACY_OBJECTIVE = 0.9
"""Of fraud, as configured above."""
MERCHANTS, MERCHANT_SHARES = ("grocery", "travel", "fashion", "fuel"), (0.5, 0.2, 0.2, 0.1)
COUNTRIES, COUNTRY_SHARES = ("US", "DE", "BR", "JP", "NZ"), (0.4, 0.25, 0.2, 0.1, 0.05)
CITIES = ("Bremen", "Lisbon", "Oslo")
TOPICS = ("billing", "delivery", "refund", "technical")
WORDS = (
    "patient",
    "reports",
    "mild",
    "pain",
    "in",
    "the",
    "left",
    "knee",
    "after",
    "running",
    "no",
    "swelling",
    "seen",
)
RATES = {"fraud": 2.0, "triage": 0.6, "delivery-time": 0.6, "search": 0.4, "dictation": 0.15}
"""Predictions a second."""
PAST = ("fraud", "delivery-time")
"""Models that have been in use for PAST_DAYS before the story, at the same hours of each day."""
PAST_DAYS, PAST_A_DAY = 22, 1300
DELAY, DAY = 120, 86_400
"""Mean time to feedback, and a day, in seconds."""

Record = dict[str, Any]


class Traffic:
    """Writes the logs, a stretch of time after another; the same start gives the same records."""

    def __init__(self, start: int, duration: int) -> None:
        """`start` in seconds since the epoch, `duration` of the whole story in seconds."""
        self._start = start
        self._duration = duration
        self._now = start
        self._random = np.random.default_rng(11)
        self._inputs = np.random.default_rng(12)
        self._count = 0
        self._due: list[tuple[float, str, Record]] = []  # when, which log, what

    def write_past(self, directory: Path) -> None:
        """The weeks before the story."""
        for day in range(PAST_DAYS, 0, -1):
            start = self._start - day * DAY
            self._write(directory, start, start + self._duration, dict.fromkeys(PAST, PAST_A_DAY / self._duration))

    def write(self, directory: Path, until: int) -> None:
        """Appends what happens until then."""
        self._write(directory, self._now, until, RATES)
        self._now = until

    def _write(self, directory: Path, since: int, until: int, rates: Mapping[str, float]) -> None:
        written: dict[str, list[Record]] = {"predictions": [], "feedback": [], "reports": []}
        for model, rate in rates.items():
            number = self._random.poisson(rate * (until - since))
            for at in sorted(self._random.uniform(since, until, number)):
                written["predictions"].append(self._predict(model, float(at)))
        written["predictions"].sort(key=lambda record: str(record["timestamp"]))
        ripe = sorted((one for one in self._due if one[0] < until), key=lambda one: one[0])
        self._due = [one for one in self._due if one[0] >= until]
        for _, log, record in ripe:
            written[log].append(record)
        for log, records in written.items():
            with (directory / f"{log}.jsonl").open("a") as file:
                file.writelines(json.dumps(record, separators=(",", ":")) + "\n" for record in records)

    def _predict(self, model: str, at: float) -> Record:
        random = self._random
        progress = (at - self._start) / self._duration
        self._count += 1
        name = f"{model}-{self._start:x}-{self._count}"
        record: Record = {"prediction_id": name, "timestamp": _iso(at), "model": model, "version": "v1"}
        record["latency_ms"] = round(float(20 * random.lognormal(0, 0.5)), 3)
        makers = {
            "fraud": self._fraud,
            "triage": self._triage,
            "delivery-time": self._delivery_time,
            "search": self._search,
            "dictation": self._dictation,
        }
        label = makers[model](record, at, progress)
        if random.random() < 0.003:
            record |= {"error": "timeout"}
            record.pop("prediction", None)
        elif random.random() < 0.92:
            self._later(at, "feedback", name, label=label)
        return record

    def _later(self, at: float, log: str, name: str, **content: object) -> None:
        due = at + float(self._random.exponential(DELAY))
        self._due.append((due, log, {"prediction_id": name, "timestamp": _iso(due), **content}))

    def _fraud(self, record: Record, at: float, progress: float) -> str:
        random = self._random
        new = random.random() < np.interp(progress, [0.45, 0.5, 0.8], [0, 0.25, 0.5])
        country = str(random.choice(COUNTRIES, p=COUNTRY_SHARES))
        if new:
            record |= {"version": "v2", "latency_ms": record["latency_ms"] * 1.6}
        sure = 0.5 + 0.5 * float(random.beta(5.5, 0.45))
        accuracy = sure - (0.4 if country == "BR" else 0.04) * new
        answer = int(random.random() < 0.2)
        record |= {"prediction": str(answer), "score": round(sure if answer else 1 - sure, 6)}
        record["slices"] = {"country": country}
        record["features"] = self._fraud_features(progress)
        right = random.random() < accuracy
        if answer and random.random() < (0.02 if right else 0.3):
            self._later(at, "feedback", record["prediction_id"], signal="appealed")
        return str(answer if right else 1 - answer)

    def _fraud_features(self, progress: float) -> Record:
        random = self._inputs
        moved = float(np.interp(progress, [0.5, 0.55], [0, 1]))
        features: Record = {
            "amount": round(float(random.lognormal(3 + 0.6 * moved, 0.8)), 2),
            "merchant": str(random.choice(MERCHANTS, p=MERCHANT_SHARES)),
        }
        if random.random() < 0.1 * moved:
            features["merchant"] = "marketplace"
        age = int(random.normal(42, 12))
        if random.random() >= 0.25 * moved:
            features["age"] = age
        if moved:
            features["loyalty"] = "none"
        return features

    def _triage(self, record: Record, at: float, progress: float) -> str:
        random = self._random
        weights = random.dirichlet((0.4, 0.3, 0.2, 0.1))
        new = random.random() < np.interp(progress, [0.4, 0.45], [0, 0.5])
        record |= {"version": "2024-06" if new else "2024-05", "prediction": TOPICS[int(weights.argmax())]}
        record["scores"] = {topic: round(float(weight), 6) for topic, weight in zip(TOPICS, weights, strict=True)}
        return str(random.choice(TOPICS, p=weights))

    def _delivery_time(self, record: Record, at: float, progress: float) -> float:
        random = self._random
        city = str(random.choice(CITIES))
        truth = float(random.lognormal(3.4, 0.3))
        age = max(0.0, (at - self._start) / DAY / PAST_DAYS + 1)
        spread = 2 + 9 * age if city == "Oslo" else 4.5
        record["prediction"] = round(truth + float(random.normal(0, spread)), 2)
        record["slices"] = {"city": city}
        record["features"] = {"distance": round(float(self._inputs.gamma(3, 2)), 2)}
        return round(truth, 2)

    def _search(self, record: Record, at: float, progress: float) -> str:
        items = [f"item-{number}" for number in self._random.permutation(40)[:10]]
        record["prediction"] = items
        clicked = int(self._random.geometric(0.3)) - 1
        return items[clicked] if clicked < len(items) else "elsewhere"

    def _dictation(self, record: Record, at: float, progress: float) -> str:
        random = self._random
        spoken = [str(word) for word in random.choice(WORDS, 12)]
        heard = [word if random.random() < 0.95 else str(random.choice(WORDS)) for word in spoken]
        record |= {"version": "large", "prediction": " ".join(heard)}
        if heard != spoken and random.random() < 0.2:
            self._later(at, "reports", record["prediction_id"], label=" ".join(spoken))
        return " ".join(spoken)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
