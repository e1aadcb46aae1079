"""Whether feedback finds its predictions, and how long it takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.check.findings import Finding, names, rough
from tidegauge.check.seen import Seen
from tidegauge.config.durations import describe_duration
from tidegauge.config.settings import HOUR, MINUTE, SECOND, Channel, Model

_ENOUGH_PAIRS = 20
_ROUND = (SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR)

_WAYS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("differ only in upper and lower case", str.casefold),
    ("differ only in hyphens and case", lambda text: text.replace("-", "").casefold()),
    ("differ only in leading zeros", lambda text: text.lstrip("0")),
    ("differ in blanks around them", str.strip),
    ("are the same after what precedes their last `-`, `_`, `:`, `/` or `.`", lambda t: re.split(r"[-_:/.]", t)[-1]),
    ("have the same digits with other text around them", lambda text: re.sub(r"\D", "", text)),
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Feedback and the predictions it is about, as far as both were seen."""

    model: NDArray[np.int64]  # index into `models`
    channel: NDArray[np.object_]
    label: NDArray[np.object_]
    delay: NDArray[np.int64]  # ms
    models: tuple[str, ...]


def pairs(seen: list[Seen]) -> Pairs:
    """Joins what was seen, by id."""
    batches = [batch for one in seen for batch in one.predictions if len(batch.key)]
    models = tuple(dict.fromkeys(batch.model for batch in batches))
    keys = np.concatenate([batch.key for batch in batches]) if batches else np.empty(0, np.uint64)
    times = np.concatenate([batch.time for batch in batches]) if batches else np.empty(0, np.int64)
    owner = np.concatenate([np.full(len(b.key), models.index(b.model)) for b in batches] or [np.empty(0, np.int64)])
    keys, first = np.unique(keys, return_index=True)
    found_model, found_channel, found_label, found_delay = [], [], [], []
    for one in seen:
        for batch in one.feedback:
            place = np.searchsorted(keys, batch.key).clip(0, max(0, len(keys) - 1))
            hit = np.flatnonzero(keys[place] == batch.key) if len(keys) else np.empty(0, np.int64)
            match = first[place[hit]]
            found_model.append(owner[match])
            found_delay.append(batch.time[hit] - times[match])
            channels = np.array([*batch.channel.values, ""], object)
            labels = np.array([*batch.label.values, ""], object)
            found_channel.append(channels[batch.channel.codes[hit]])
            found_label.append(labels[batch.label.codes[hit]])
    if not found_model:
        nothing, no_text = np.empty(0, np.int64), np.empty(0, object)
        return Pairs(nothing, no_text, no_text, nothing, models)
    return Pairs(
        np.concatenate(found_model),
        np.concatenate(found_channel),
        np.concatenate(found_label),
        np.concatenate(found_delay),
        models,
    )


def identifiers(seen: list[Seen], found: Pairs) -> Iterator[Finding]:
    """Feedback whose ids are none of the predictions', where a sample can tell."""
    predictions = _texts([one for one in seen if one.source.kind == "predictions"])
    if not predictions or len(found.delay):
        return
    for one in seen:
        feedback = _texts([one]) if one.source.kind == "feedback" else []
        if not feedback or not set(feedback).isdisjoint(predictions):
            continue  # ids that are the same meet nobody where their records are refused, which is said elsewhere
        whole = one.sample.whole and all(o.sample.whole for o in seen if o.source.kind == "predictions")
        way = next((words for words, fold in _WAYS if _meet(predictions, feedback, fold)), None)
        if way is None and not whole and {_form(t) for t in predictions} & {_form(t) for t in feedback}:
            continue  # the predictions it is about may well be in the part that was not looked at
        fact = (
            f"None of {len(feedback):,} ids of feedback is an id of {len(predictions):,} predictions."
            f" Feedback: {names(feedback, 3)}. Predictions: {names(predictions, 3)}."
        )
        if way is not None:
            fact += f" The ids {way}."
        advice = "Have both logs write the same id, letter by letter; or map prediction_id to the field that holds it."
        yield Finding(f"source {one.source.name}", fact, advice)


def _texts(seen: list[Seen]) -> list[str]:
    return list(dict.fromkeys(text for one in seen for text in one.texts("prediction_id")))


def _meet(ones: list[str], others: list[str], fold: Callable[[str], str]) -> bool:
    """Whether ids are the same once folded: most of the shorter list, so that chance does not look like a rule."""
    left, right = {fold(text) for text in ones} - {""}, {fold(text) for text in others} - {""}
    few = min(len(left), len(right))
    return few > 0 and len(left & right) >= max(1, few // 2)


def _form(text: str) -> str:
    """What an id looks like: `req-42` is a-9, hexadecimal strings are all alike."""
    if len(text) >= 8 and re.fullmatch(r"[0-9a-fA-F-]+", text) and re.search(r"[a-fA-F]", text):
        return "hex"
    return re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "9", text))


def delays(model: Model, found: Pairs) -> Iterator[Finding]:
    """Feedback that comes after maturity, or seems to come before its prediction."""
    if model.name not in found.models:
        return
    own = found.model == found.models.index(model.name)
    for slot in model.slots:
        delay = found.delay[own & (found.channel == slot.key)]
        what = f"channel {slot.name}" if slot.carries == "label" else f"signal {slot.name}"
        if not len(delay):
            continue
        early = delay[delay < 0]
        if len(early) * 20 > len(delay):
            share = f"all {len(delay):,}" if len(early) == len(delay) else f"{len(early):,} of {len(delay):,}"
            fact = (
                f"On {what}, {share} feedback records are dated before their prediction, by"
                f" {rough(float(-np.median(early)))} in the median."
            )
            advice = "Compare the clocks and time zones of the two logs; feedback bears the time at which it was given."
            yield Finding(f"model {model.name}", fact, advice)
        elif len(delay) >= _ENOUGH_PAIRS and (slot.carries == "label" or slot.maturity):
            yield from _maturity(model, slot, what, delay)


def _maturity(model: Model, slot: Channel, what: str, delay: NDArray[np.int64]) -> Iterator[Finding]:
    median, most = np.quantile(delay, [0.5, 0.95])
    if most <= slot.maturity:
        return
    fact = (
        f"Feedback on {what} takes {rough(float(median))} in the median, and 1 in 20 takes longer than"
        f" {rough(float(most))}; its maturity is {describe_duration(slot.maturity)}. What is scored before its"
        " feedback has come leans towards whatever is reported fastest."
    )
    unit = max(unit for unit in _ROUND if unit <= max(most, SECOND))
    better = int(-(-most // unit) * unit)
    yield Finding(f"model {model.name}", fact, f"Set `maturity: {describe_duration(better)}` or more.")


def labels_of(model: str, found: Pairs) -> dict[str, Counter[str]]:
    """The labels that a model's predictions were given, by channel."""
    if model not in found.models:
        return {}
    own = found.model == found.models.index(model)
    labels: dict[str, Counter[str]] = {}
    for channel, label in zip(found.channel[own].tolist(), found.label[own].tolist(), strict=True):
        if label:
            labels.setdefault(channel, Counter())[label] += 1
    return labels
