"""Random logs: predictions and feedback of three models, with everything that the contract allows, as plain records.

A record's `place` orders it within its log. Feedback is never written after the clock has passed its own timestamp, and
a prediction at most `LATENESS` after: that is what makes a sealed block depend on the logs alone.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tidegauge.config.settings import DAY, HOUR, MINUTE, Channel, Model, Settings, Signal, Source

START = 1_714_557_600_000  # 2024-05-01T10:00:00Z
SPAN = 8 * HOUR
LATENESS = 15 * MINUTE
HORIZON = DAY
FAR = 4_102_444_800_000  # 2100-01-01, beyond any clock
WORDS = ("ab", "abc", "b", "é", "e\u0301", "ß", "SS", "Жук", "naïve", "don't", "7")
SPACES = (" ", " ", " ", "  ", "\t", "\u00a0")
ITEMS = ("1", "2", "3", "10", "x", "X", "é", "true", "", "0.5")
CLASSES = ("bird", "cat", "dog", "elk", "fox", "gnu", "hen", "ibex", "jay")


Items = tuple[str, ...]  # canonical texts
Answer = str | float | Items


@dataclass(frozen=True)
class Prediction:
    model: str
    key: str | None
    time: int  # ms
    version: str
    place: float
    answer: Answer | None = None  # None: an error, or left to the score
    score: float | None = None
    scores: dict[str, float] | None = None
    latency: float | None = None
    error: bool = False
    shadow: bool = False
    weight: float = 1.0
    count: int = 1
    slices: dict[str, str] = field(default_factory=dict)
    rule: str | None = None  # what a rule would have answered
    fate: str = "accepted"  # accepted | duplicate | future | late


@dataclass(frozen=True)
class Feedback:
    model: str
    named: bool  # whether the record names its model
    key: str
    channel: str
    time: int
    place: float
    label: Answer | None  # None: a retraction; of a signal its value
    propensity: float | None = None
    signal: bool = False  # `channel` names a signal


def models(*, implied: bool = False, minimum: int = 1, learn: bool = True, **changes: Any) -> tuple[Model, ...]:
    """One model of each task, with two or three channels. `implied`: silence means a label on the first channel."""
    common: dict[str, Any] = {
        "slices": ("country", "tier"),
        "windows": (HOUR, 6 * HOUR),
        "horizon": HORIZON,
        "minimum_samples": minimum,
    } | changes
    outcome = Channel("outcome", "complete", 30 * MINUTE)
    audit = Channel("audit", "sample", HOUR)

    def silent(label: str) -> Channel:
        return replace(outcome, no_feedback=label if implied else None)

    return (
        Model("fraud", "binary", (silent("0"), audit, Channel("report", "mistakes", 20 * MINUTE)), **common),
        Model(
            "topic",
            "multiclass",
            (silent("cat"), Channel("votes", "voluntary", 40 * MINUTE)),
            classes=() if learn else CLASSES,
            **common,
        ),
        Model("price", "regression", (silent("0"), audit, Channel("report", "mistakes", 20 * MINUTE)), **common),
    )


def wordy_models(*, implied: bool = False, minimum: int = 1, delay: int = 0, **changes: Any) -> tuple[Model, ...]:
    """A ranking and a text model and one of each other task, all with signals, some with a maturity of `delay`."""
    fraud, topic, price = models(implied=implied, minimum=minimum, learn=False, **changes)
    kinds = (fraud.channels[0], fraud.channels[1], fraud.channels[2])
    outcome = replace(kinds[0], no_feedback=None)
    common: dict[str, Any] = {
        name: getattr(fraud, name) for name in ("slices", "windows", "horizon", "minimum_samples", "block")
    }
    dwell = Signal("dwell", "numeric", maturity=20 * MINUTE)
    bought = Signal("bought", "boolean", maturity=10 * MINUTE, no_feedback="false")
    asked = Signal("asked", "boolean", maturity=delay)
    stars = Signal("stars", "numeric", maturity=90 * MINUTE, no_feedback="3.5")
    sure, length = Signal("sure", "numeric", "confidence"), Signal("length", "numeric", "answer_length")
    unsure = Signal("unsure", "numeric", "entropy")
    ruled = Signal("ruled", "boolean", "disagreement", field="rules.old")
    votes = Channel("votes", "voluntary", 40 * MINUTE)
    return (
        Model("search", "ranking", (outcome, *kinds[1:]), k=4, signals=(dwell, bought, sure, length), **common),
        Model(
            "speech",
            "text",
            (outcome, kinds[1], votes),
            normalize=("lowercase",),
            signals=(stars, asked, Signal("none", "boolean", "abstention", labels=("ab",)), length),
            **common,
        ),
        replace(fraud, signals=(asked, sure, unsure, Signal("none", "boolean", "abstention", labels=("0",)), ruled)),
        replace(topic, signals=(bought, sure, unsure, Signal("none", "boolean", "abstention", labels=("cat",)), ruled)),
        replace(price, signals=(Signal("asked", "numeric", maturity=delay),)),
    )


def settings_for(folder: Path, used: tuple[Model, ...]) -> Settings:
    """A log clock and one source a kind of record."""
    sources = tuple(Source(kind, kind, str(folder / f"{kind}.jsonl")) for kind in ("predictions", "feedback"))
    return Settings(folder / "tidegauge.yml", folder / "state", sources, used, clock="log")


def generate(
    seed: int, used: tuple[Model, ...], *, size: int, disorder: bool, weighted: bool = False, versions: int = 2
) -> tuple[list[Prediction], list[Feedback]]:
    """Both logs in the order in which they are written."""
    chance = random.Random(seed)
    predictions: list[Prediction] = []
    feedback: list[Feedback] = []
    for number in range(size):
        model = chance.choice(used)
        time = START + chance.randrange(SPAN)
        place = time + (chance.uniform(0, LATENESS) if disorder else 0)
        one = Prediction(
            model=model.name,
            key=None if chance.random() < 0.05 else f"{model.name}-{number}",
            time=time,
            version=f"v{chance.randrange(versions) + 1}",
            place=place,
            latency=chance.choice([None, 0.0, 1.0, 3.7, 25.0, 180.5, 20_000.0]),
            error=chance.random() < 0.07,
            shadow=chance.random() < 0.1,
            weight=chance.choice([1.0, 2.0, 3.3, 0.25]) if weighted else 1.0,
            count=chance.choice([1, 1, 2, 5]) if weighted else 1,
            slices={
                name: chance.choice(values)
                for name, values in (("country", ["de", "fr", "é"]), ("tier", ["1", "2"]))
                if chance.random() < 0.8
            },
        )
        one = _answered(one, model, chance)
        predictions.append(one)
        if chance.random() < 0.08:
            predictions += _again(one, chance, disorder)
        if one.key is not None:
            for channel in model.slots:
                feedback += _feedback(one, model, channel, chance, disorder)
    for number in range(size // 25):  # never predicted
        model = chance.choice(used)
        time = START + chance.randrange(SPAN)
        feedback.append(
            Feedback(
                model.name, chance.random() < 0.5, f"nobody-{number}", "outcome", time, time, _label(model, chance)
            )
        )
    predictions.sort(key=lambda record: record.place)
    feedback.sort(key=lambda record: record.place)
    return predictions, feedback


def _answered(one: Prediction, model: Model, chance: random.Random) -> Prediction:
    if any(signal.field for signal in model.signals) and chance.random() < 0.8:
        one = replace(one, rule=chance.choice(["0", "1", "maybe", "cat", "dog"]))
    if model.task in ("ranking", "text"):
        score = None if chance.random() < 0.3 else round(chance.gauss(0, 1), 3)
        return replace(one, answer=_label(model, chance), score=score)
    if model.task == "regression":
        return replace(one, answer=round(chance.gauss(50, 20), 2))
    if model.task == "binary":
        # In the middle of histogram bins, so that binned and exact ROC AUC agree.
        score = None if chance.random() < 0.2 else (chance.randrange(300) + 0.5) / 300
        answer = None if score is not None and chance.random() < 0.3 else chance.choice(["0", "1"])
        return replace(one, answer=answer, score=score)
    scores = None
    if chance.random() < 0.7:
        named = chance.sample(CLASSES, chance.randrange(1, 6))
        scores = {text: (chance.randrange(1, 100) + 0.5) / 100 for text in named}
    answer = None if scores is not None and chance.random() < 0.3 else chance.choice(CLASSES)
    return replace(one, answer=answer, scores=scores)


def _again(one: Prediction, chance: random.Random, disorder: bool) -> list[Prediction]:
    """The same id once more, turned away: from the future before it, or a repetition after it."""
    if one.key is None:
        return []
    if chance.random() < 0.4:
        return [replace(one, time=FAR, place=one.place - 1, fate="future")]
    later = one.place + chance.uniform(0, HOUR)
    return [replace(one, version="v1", place=later, latency=7.0, fate="duplicate")]


def _label(model: Model, chance: random.Random) -> Answer:
    if model.task == "ranking":
        return tuple(chance.choice(ITEMS) for _ in range(chance.choice([0, 1, 1, 2, 3, 6])))
    if model.task == "text":
        return "".join(
            part for _ in range(chance.choice([0, 1, 2, 5])) for part in (chance.choice(WORDS), chance.choice(SPACES))
        )
    if model.task == "regression":
        return chance.choice([0.0, round(chance.gauss(50, 20), 2), round(chance.gauss(50, 20), 2)])
    if model.task == "binary":
        return chance.choice(["0", "1"])
    return chance.choice(CLASSES)


def _feedback(one: Prediction, model: Model, channel: Channel, chance: random.Random, disorder: bool) -> list[Feedback]:
    """What one channel says of one prediction: nothing, once, or several times with ties and corrections."""
    if chance.random() < (0.35 if channel.kind == "complete" else 0.6):
        return []
    named = chance.random() < 0.5  # all or none of a prediction's records, as their order among both ways is not told
    times: list[int] = []
    records = []
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        if times and chance.random() < 0.3:
            time = chance.choice(times)
        else:
            delay = chance.expovariate(1 / max(channel.maturity, MINUTE))
            time = one.time + int(delay) - chance.choice([0, 0, 0, 10 * MINUTE])
            if chance.random() < 0.1:
                time += 2 * HOUR
        times.append(time)
        record = Feedback(
            one.model,
            named,
            str(one.key),
            channel.name,
            time,
            time - (chance.expovariate(1 / (2 * HOUR)) if disorder else 0),
            None if chance.random() < 0.1 else _said(model, channel, chance),
            chance.choice([None, 0.5, 0.3, 1.0]) if channel.kind == "sample" else None,
            channel.carries != "label",
        )
        records.append(record)
        if chance.random() < 0.2:  # sent twice; a little earlier in the log is as allowed as later
            records.append(replace(record, place=record.place - (chance.uniform(0, HOUR) if disorder else 0)))
    return records


def _said(model: Model, channel: Channel, chance: random.Random) -> Answer:
    if channel.carries == "label":
        return _label(model, chance)
    return chance.choice([0.0, 1.0]) if channel.carries == "boolean" else chance.choice([0.0, 1.0, -2.5, 1e6, 3.7])


def line(record: Prediction | Feedback, chance: random.Random) -> bytes:
    """The record as the log holds it; equal values in different spellings."""
    if isinstance(record, Prediction):
        fields: dict[str, Any] = {
            "prediction_id": record.key,
            "timestamp": _time(record.time, chance),
            "model": record.model,
            "version": record.version,
            "prediction": _spelled(record.answer, chance),
            "score": record.score,
            "scores": record.scores,
            "latency_ms": record.latency,
            "error": "timeout" if record.error else None,
            "role": "shadow" if record.shadow else None,
            "weight": None if record.weight == 1 else record.weight,
            "count": None if record.count == 1 else record.count,
        }
        if record.rule is not None:
            fields["rules"] = {"old": _spelled(record.rule, chance)}
        place = chance.choice(["slices", "features"])
        fields[place] = record.slices
    else:
        fields = {
            "prediction_id": record.key,
            "timestamp": _time(record.time, chance),
            "model": record.model if record.named else None,
            "signal" if record.signal else "channel": record.channel,
            "value" if record.signal else "label": None if record.label is None else _spelled(record.label, chance),
            "retract": True if record.label is None else None,
            "propensity": record.propensity,
        }
    given = {name: value for name, value in fields.items() if value is not None or chance.random() < 0.1}
    return json.dumps(given, ensure_ascii=chance.random() < 0.5).encode() + b"\n"


def _time(time: int, chance: random.Random) -> int | float:
    return time if chance.random() < 0.7 else time / 1000


def _spelled(value: Answer | None, chance: random.Random) -> Any:
    if isinstance(value, tuple):
        items = [_spelled(item, chance) for item in value]
        return items[0] if len(items) == 1 and chance.random() < 0.5 else items
    if value == "true" and chance.random() < 0.5:
        return True
    if value in ("3", "10", "7", "0.5") and chance.random() < 0.5:
        return chance.choice([float(value), json.loads(value)])
    if value in ("0", "1") and isinstance(value, str):
        spellings: list[str | float] = [value, int(value), float(value)]
        return chance.choice(spellings)
    if isinstance(value, float) and math.isfinite(value) and chance.random() < 0.2:
        return repr(value)
    return value
