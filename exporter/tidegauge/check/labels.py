"""Answers and labels that do not speak the model's language, and scores that are no probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from tidegauge.check.findings import Finding, some
from tidegauge.config.problems import quote
from tidegauge.config.settings import Model
from tidegauge.decode.columns import Categorical, PredictionColumns
from tidegauge.decode.text import shorten

_AFFIRMATIVE = {"1", "true", "yes", "y", "positive", "pos", "t"}
_MANY = 1000
"""So many labels of one kind, and none positive, are worth a word even where positives are rare."""


def counted(column: Categorical) -> Counter[str]:
    """How often each text of a column occurs."""
    numbers = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
    return Counter({text: int(count) for text, count in zip(column.values, numbers, strict=True) if count})


def positives(model: Model, labels: dict[str, Counter[str]], answers: Counter[str]) -> Iterator[Finding]:
    """Labels (by channel) or answers of a binary model that never equal its positive label."""
    if model.task != "binary":
        return
    positive = shorten(model.positive_label)
    places = [
        (f"labels of channel {channel.name}", labels.get(channel.name, Counter[str]()), channel.no_feedback)
        for channel in model.channels
        if channel.kind != "mistakes"  # there a label may be any word
    ]
    for what, found, silence in [*places, ("predictions", answers, None)]:
        if not found or found[positive] or positive == silence or not _suspicious(found, silence, positive):
            continue
        fact = f"None of {found.total():,} {what} is the positive label {quote(positive)}. Seen: {some(found)}."
        likely = _likely_positive(found, positive)
        if likely is not None:
            advice = f"If {quote(likely)} is the positive class, set `positive_label: {quote(likely)}`."
        elif len(found) == 1:
            advice = "Set positive_label as the logs spell it, unless positives are just that rare."
        else:
            advice = "Set positive_label to the one of these that is the positive class."
        yield Finding(f"model {model.name}", fact, advice)


def _suspicious(found: Counter[str], silence: str | None, positive: str) -> bool:
    # Silence that means a label is a class too: what is told besides ought to be the other one.
    classes = set(found) | ({silence} if silence else set())
    return len(classes) > 1 or found.total() >= _MANY or _likely_positive(found, positive) is not None


def _likely_positive(found: Counter[str], positive: str) -> str | None:
    """The text seen that is the positive label in other words or another case."""
    folded = {text: text.strip().casefold() for text in found}
    same = [text for text, plain in folded.items() if plain == positive.strip().casefold()]
    if same:
        return same[0]
    yes = [text for text, plain in folded.items() if plain in _AFFIRMATIVE]
    return yes[0] if len(yes) == 1 and positive.casefold() in _AFFIRMATIVE else None


def strangers(model: Model, labels: dict[str, Counter[str]], answers: Counter[str]) -> Iterator[Finding]:
    """Labels of a multiclass model of which none is ever an answer."""
    if model.task != "multiclass" or not answers:
        return
    for channel in model.channels:
        found = labels.get(channel.name, Counter[str]())
        if channel.kind == "mistakes" or not found or set(found) & set(answers):
            continue
        fact = (
            f"None of {found.total():,} labels of channel {channel.name} is a class that the model answers."
            f" Labels: {some(found)}. Answers: {some(answers)}."
        )
        yield Finding(f"model {model.name}", fact, "Have both logs write the same names for the classes.")


def scores(model: Model, batches: Iterable[PredictionColumns]) -> Iterator[Finding]:
    """Scores of a binary model that are no probabilities."""
    if model.task != "binary":
        return
    known = [batch.score[~np.isnan(batch.score)] for batch in batches]
    score = np.concatenate(known) if known else np.empty(0)
    outside = score[(score < 0) | (score > 1)]
    if not len(outside):
        return
    low, high = float(score.min()), float(score.max())
    fact = (
        f"{len(outside):,} of {len(score):,} scores are outside 0 to 1 (from {low:g} to {high:g}). A score is the"
        " probability of the positive class."
    )
    if low >= 0 and high <= 100:
        advice = "They look like percentages: divide them by 100 before they are written."
    else:
        advice = "They look like raw outputs: write the probability (for log-odds x, 1 / (1 + exp(-x)))."
    yield Finding(f"model {model.name}", fact, advice)
