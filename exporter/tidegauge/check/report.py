"""The report on the logs: what was looked at, and what is probably wrong, in the order in which to repair it.

Assumes settings that `load` has accepted. Takes seconds, reads at most 20 MB a glob, changes nothing.
"""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tidegauge.check import files, joining, labels, records, times
from tidegauge.check.findings import Finding
from tidegauge.check.sample import take_sample
from tidegauge.check.seen import Seen, look
from tidegauge.config.settings import Model, Settings
from tidegauge.decode.names import model_named

_WIDTH = 110


def report(settings: Settings, *, now: int | None = None) -> str:
    """What the logs look like at the moment `now` (ms, wall clock), for people; ended by a newline."""
    seen = [look(take_sample(source, settings.max_line_bytes), settings) for source in settings.sources]
    lines = ["the logs, by a sample of at most the first and last MB of the 10 newest files of each source"]
    lines += [_summary(one) for one in seen]
    found = list(_findings(seen, settings, int(time.time() * 1000) if now is None else now))
    if not found:
        lines += ["", "Nothing looks wrong."]
    else:
        lines += ["", f"{len(found)} {'thing looks' if len(found) == 1 else 'things look'} wrong:"]
    for number, finding in enumerate(found, 1):
        lines += ["", *_wrapped(f"{number}. {finding.about}: {finding.fact}", "", "   ")]
        lines += _wrapped(finding.advice, "   -> ", "      ")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, first: str, later: str) -> list[str]:
    # Keys and values come from records that anybody may have written; a terminal must not obey them.
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    # Paths are copied from here: they are not broken.
    return textwrap.wrap(
        shown, _WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )


def _summary(seen: Seen) -> str:
    if not seen.sample.files:
        return f"  {seen.source.name}: no file"
    number = "1 file" if seen.sample.files == 1 else f"{seen.sample.files:,} files"
    if not seen.lines:
        return f"  {seen.source.name}: no line yet in {number}"
    refused = len(seen.rejections)
    text = f"  {seen.source.name}: {seen.accepted:,} records accepted, {refused:,} refused, of {number}"
    if refused:
        reasons = Counter(rejection.reason for _, rejection in seen.rejections)
        text += " (" + ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common()) + ")"
    return f"{text}; {times.span(seen)}"


def _findings(seen: list[Seen], settings: Settings, wall: int) -> Iterator[Finding]:
    expects_feedback = any(source.kind == "feedback" for source in settings.sources)
    for one in seen:
        yield from files.files(one.sample)
    for one in seen:
        yield from records.refused(one, settings)
        yield from records.mappings(one)
        yield from records.lacking(one, settings, expects_feedback)
        yield from records.repeated(one)
        yield from times.future(one, wall)
        yield from times.local(one, wall)
    yield from records.inputs(seen, settings)
    found = joining.pairs(seen)
    yield from joining.identifiers(seen, found)
    clock = wall if settings.clock == "wall" else times.latest(seen, wall)
    batches = [batch for one in seen for batch in one.predictions]
    for name in dict.fromkeys(batch.model for batch in batches):
        model = _named(name, settings)
        own = [batch for batch in batches if batch.model == name]
        moments = np.concatenate([batch.time for batch in own])
        yield from times.long_ago(model, moments, settings, clock, wall)
        answers = sum((labels.counted(batch.label) for batch in own), Counter[str]())
        given = joining.labels_of(name, found) or _labels_without_pairs(model, seen, settings)
        yield from labels.positives(model, given, answers)
        yield from labels.strangers(model, given, answers)
        yield from labels.scores(model, own)
        yield from joining.delays(model, found)


def _named(name: str, settings: Settings) -> Model:
    model = model_named(name, settings)
    assert model is not None, "the decoder accepts no others"
    return replace(model, name=name)


def _labels_without_pairs(model: Model, seen: list[Seen], settings: Settings) -> dict[str, Counter[str]]:
    """Labels by channel where no feedback meets its prediction: all of them, if only one model can be meant."""
    only = len(settings.models) == 1 and settings.default_model is None
    given: dict[str, Counter[str]] = {}
    for batch in (batch for one in seen for batch in one.feedback):
        if batch.model != model.name and not (batch.model is None and only):
            continue
        for code, channel in enumerate(batch.channel.values):
            column = type(batch.label)(batch.label.codes[batch.channel.codes == code], batch.label.values)
            given[channel] = given.get(channel, Counter()) + labels.counted(column)
    return given
