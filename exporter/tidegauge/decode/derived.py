"""Signals that the prediction record itself gives: columns of floats, NaN where a record gives none.

Confidence and entropy follow the usual definitions: the largest probability, and minus the sum of p log p in nats
(Shannon 1948). Binary: of (p, 1 - p). Rankings and texts: the confidence is the score as logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from tidegauge.config.settings import Model, Signal
from tidegauge.decode.text import canonical_text, shorten

Floats = NDArray[np.float64]
Scores = Sequence[dict[str, float] | None] | None


def derive(
    model: Model,
    *,
    answers: Callable[[], Sequence[Any]],
    score: Floats,
    scores: Scores,
    failed: NDArray[np.bool_],
    fields: Mapping[str, Sequence[Any]],
) -> dict[str, Floats]:
    """Each derived signal of the model, by name.

    `answers` gives the rows' answers (canonical texts, texts, lists of items; None: none); rows of `failed` have no
    answer and give no signal. `fields` has, by dotted path, what rules answered.
    """
    derived = [signal for signal in model.signals if signal.origin != "feedback"]
    if not derived:
        return {}
    given = answers()
    columns = {}
    for signal in derived:
        column = _column(signal, model, given, score, scores, fields)
        column[failed] = np.nan
        columns[signal.name] = column
    return columns


def _column(
    signal: Signal,
    model: Model,
    answers: Sequence[Any],
    score: Floats,
    scores: Scores,
    fields: Mapping[str, Sequence[Any]],
) -> Floats:
    task = model.task
    match signal.origin:
        case "confidence":
            return _confidence(task, score, scores)
        case "entropy":
            return _entropy(task, score, scores)
        case "abstention":
            nothing = {*signal.labels, ""}
            return _floats(None if answer is None else float(answer in nothing) for answer in answers)
        case "answer_length":
            return _floats(None if answer is None else float(len(answer)) for answer in answers)
        case _:
            return _disagreement(model, answers, fields.get(signal.field))


def _confidence(task: str, score: Floats, scores: Scores) -> Floats:
    if task == "binary":
        usable = np.where((score >= 0) & (score <= 1), score, np.nan)
        return np.maximum(usable, 1.0 - usable)
    if task != "multiclass":
        return np.where(np.isfinite(score), score, np.nan)
    return _floats(None if not one else max(one.values()) for one in _each(scores, len(score)))


def _entropy(task: str, score: Floats, scores: Scores) -> Floats:
    if task == "binary":
        usable = np.where((score >= 0) & (score <= 1), score, np.nan)
        entropy: Floats = entr(usable) + entr(1.0 - usable)
        return entropy
    return _floats(None if not one else _of_probabilities(one) for one in _each(scores, len(score)))


def _of_probabilities(probabilities: dict[str, float]) -> float | None:
    # In one order, so that the last bit does not depend on the order of the keys.
    values = np.sort(np.fromiter(probabilities.values(), np.float64, len(probabilities)))
    return float(entr(values).sum()) if values[0] >= 0 else None


def _disagreement(model: Model, answers: Sequence[Any], rules: Sequence[Any] | None) -> Floats:
    """Binary: every text but the positive label is the negative answer, as it is among labels."""
    if rules is None:
        return np.full(len(answers), np.nan)
    positive = model.positive_label if model.task == "binary" else None

    def differ(answer: str, rule: str) -> bool:
        return answer != rule if positive is None else (answer == positive) != (rule == positive)

    return _floats(
        None if answer is None or not (rule := _text(value)) else float(differ(answer, rule))
        for answer, value in zip(answers, rules, strict=True)
    )


def _text(value: Any) -> str | None:
    """As answers are compared: canonical, and shortened."""
    if value is None:
        return None
    try:
        return shorten(canonical_text(value))
    except ValueError:
        return None


def _each(scores: Scores, rows: int) -> Sequence[dict[str, float] | None]:
    return [None] * rows if scores is None else scores


def _floats(values: Any) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)
