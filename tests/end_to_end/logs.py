"""Prediction and feedback logs of four models, one of each kind, and configurations that read them.

Time is what the logs say (`clock: log`), so that the same records give the same page whenever a test runs.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

START = int(datetime(2024, 3, 4, 12, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000
HOUR = 60 * MINUTE
COUNTRIES = ("DE", "US", "BR", 'he said "\\n"')
ANIMALS = ("cat", "dog", "newt")

Record = Mapping[str, object]


def iso(time: int) -> str:
    """RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds")


def parsed(line: str) -> dict[str, object]:
    """A line of JSON that is an object."""
    record = json.loads(line)
    assert isinstance(record, dict), line
    return record


def append(path: Path, records: Iterable[Record]) -> int:
    """Appends records as lines; how many."""
    lines = [json.dumps(record, separators=(",", ":")) + "\n" for record in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
    return len(lines)


def prediction(model: str, version: str, number: int, time: int, answer: object, **more: object) -> Record:
    """One prediction record; its id is told by model and number."""
    about = {"prediction_id": f"{model}-{number}", "timestamp": iso(time), "model": model, "version": version}
    return {**about, "prediction": answer, **more}


def feedback(model: str, number: int, time: int, label: object, **more: object) -> Record:
    """The label of the prediction of that number."""
    return {"prediction_id": f"{model}-{number}", "timestamp": iso(time), "label": label, **more}


def configuration(*models: str, sources: str = "", windows: str = "30m, 1h", settings: str = "clock: log") -> str:
    """A configuration of these models' sections that refreshes fast; `sources` replaces the two usual logs."""
    usual = "  - predictions: predictions.jsonl\n  - {feedback: feedback.jsonl, channel: outcome}\n"
    sections = "".join(section.replace("@windows", f"[{windows}]") for section in models)
    head = f"state: state\n{settings}\nrefresh_interval: 200ms\npoll_interval: 50ms\n"
    return f"{head}sources:\n{sources or usual}models:\n{sections}"


FRAUD = """\
  - name: fraud
    owner: payments
    task: binary
    feedback: {outcome: {maturity: 5m}}
    slices: [country]
    windows: @windows
    block: 1m
    grace: 1m
    objectives: {accuracy: 0.9}
"""
AUDITED_FRAUD = FRAUD.replace(
    "{outcome: {maturity: 5m}}", "{outcome: {maturity: 5m}, audit: {kind: sample, maturity: 10m}}"
)
ANIMAL = """\
  - name: animal
    task: multiclass
    feedback: {outcome: {maturity: 5m}}
    windows: @windows
    block: 1m
    grace: 1m
"""
PRICE = """\
  - name: price
    task: regression
    feedback: {outcome: {maturity: 5m}}
    windows: @windows
    block: 1m
    grace: 1m
    objectives: {mae: 2}
"""
SPAM = """\
  - name: spam
    task: binary
    feedback: {reports: {kind: mistakes, maturity: 5m}, survey: {kind: voluntary, maturity: 5m}}
    windows: @windows
    block: 1m
    grace: 1m
"""
EVERY_KIND = (AUDITED_FRAUD, ANIMAL, PRICE, SPAM)
EVERY_SOURCE = """\
  - predictions: predictions.jsonl
  - {feedback: feedback.jsonl, channel: outcome}
  - {feedback: audit.jsonl, channel: audit}
  - {feedback: reports.jsonl, channel: reports}
  - {feedback: survey.jsonl, channel: survey}
"""


def write_every_kind(directory: Path, *, seed: int = 7, each: int = 600, length: int = 2 * HOUR) -> None:
    """Logs for EVERY_KIND and EVERY_SOURCE: two versions of every model, spread over `length` ms from START."""
    chance = random.Random(seed)
    logs: dict[str, list[tuple[int, Record]]] = {}
    for number in range(each):
        time = START + number * length // each
        version = "v2" if chance.random() < 0.3 else "v1"
        for name, at, record in (
            *_fraud(chance, number, time, version),
            *_animal(chance, number, time, version),
            *_price(chance, number, time, version),
            *_spam(chance, number, time, version),
        ):
            logs.setdefault(name, []).append((at, record))
    for name, records in logs.items():
        append(directory / f"{name}.jsonl", (record for _, record in sorted(records, key=lambda pair: pair[0])))


def _fraud(chance: random.Random, number: int, time: int, version: str) -> Iterator[tuple[str, int, Record]]:
    score = round(chance.random(), 6)
    truth = "1" if chance.random() < score else "0"
    more = {"score": score, "latency_ms": round(chance.expovariate(0.05), 3), "features": {"amount": 12.5}}
    more["slices"] = {"country": chance.choice(COUNTRIES)}
    if chance.random() < 0.02:
        more["error"] = "timeout"
    yield "predictions", time, prediction("fraud", version, number, time, str(int(score >= 0.5)), **more)
    due = time + chance.randrange(4 * MINUTE)
    if chance.random() < 0.9:
        yield "feedback", due, feedback("fraud", number, due, truth)
    if chance.random() < 0.2:
        yield "audit", due, feedback("fraud", number, due, truth, propensity=0.2)


def _animal(chance: random.Random, number: int, time: int, version: str) -> Iterator[tuple[str, int, Record]]:
    weights = [chance.random() for _ in ANIMALS]
    scores = {name: round(weight / sum(weights), 6) for name, weight in zip(ANIMALS, weights, strict=True)}
    answer = max(ANIMALS, key=scores.__getitem__)
    yield "predictions", time, prediction("animal", version, number, time, answer, scores=scores)
    due = time + chance.randrange(4 * MINUTE)
    yield "feedback", due, feedback("animal", number, due, chance.choices(ANIMALS, weights)[0])


def _price(chance: random.Random, number: int, time: int, version: str) -> Iterator[tuple[str, int, Record]]:
    truth = chance.lognormvariate(2, 0.5)
    yield "predictions", time, prediction("price", version, number, time, truth + chance.gauss(0, 1))
    due = time + chance.randrange(4 * MINUTE)
    yield "feedback", due, feedback("price", number, due, truth)


def _spam(chance: random.Random, number: int, time: int, version: str) -> Iterator[tuple[str, int, Record]]:
    answer = chance.choice(("0", "1"))
    yield "predictions", time, prediction("spam", version, number, time, answer)
    due = time + chance.randrange(4 * MINUTE)
    if chance.random() < 0.1:
        yield "reports", due, feedback("spam", number, due, "1" if answer == "0" else "0")
    if chance.random() < 0.3:
        yield "survey", due, feedback("spam", number, due, chance.choice(("0", "1")))
