"""A configuration in words, as `tidegauge check` prints it: what will be measured, and what the globs find now.

Assumes settings that `load` has accepted; looks at the disk only to count files.
"""

from __future__ import annotations

import glob
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from tidegauge.config.durations import describe_duration, format_duration
from tidegauge.config.metrics import tested
from tidegauge.config.panes import pane_width
from tidegauge.config.settings import DAY, EARLY, ERROR_RATIO, SIGNAL_PREFIX, Channel, Model, Settings, Source

LEAST_TRAFFIC, REFERENCE_ROWS, LEARNED_ROWS = 1000, 200, 5000
HOURS_TO_COMPARE, DAYS_TO_PROMOTE = 24, 7
"""As `assess` has them, which configuration knows nothing of."""
SHARES = ("accuracy", "precision", "recall", "specificity", "hit_rate", "reported_error_rate", ERROR_RATIO)
_SIGNS = {"at_least": ">=", "at_most": "<="}


def explain(settings: Settings) -> str:
    """A summary for people, one fact a line, ended by a newline."""
    return "\n".join(_lines(settings)) + "\n"


def _lines(settings: Settings) -> Iterator[str]:
    yield f"{settings.path}: valid"
    clock = "the machine's time" if settings.clock == "wall" else "the highest timestamp in the logs"
    yield f"state: {settings.state}"
    yield f"clock: {clock}; refreshed every {format_duration(settings.refresh_interval)}"
    for source in settings.sources:
        yield ""
        yield from _source(source)
    for model in settings.models:
        yield ""
        yield from _model(model, f"model {model.name}")
    if settings.default_model:
        yield ""
        yield from _model(settings.default_model, f"models not named above (at most {settings.max_models})")
    else:
        yield ""
        yield "records of models not named above are rejected and counted"


def _source(source: Source) -> Iterator[str]:
    yield f"source {source.name}"
    yield f"  files: {source.pattern} ({_files_now(source.pattern)})"
    yield from (f"  rotated files: {pattern} ({_files_now(pattern)})" for pattern in source.rotated)
    fixed = {"model": source.model, "version": source.version, "channel": source.channel}
    yield from (f"  {name}: {value}, unless the record says otherwise" for name, value in fixed.items() if value)
    if source.path_pattern:
        yield f"  from the path: {', '.join(source.path_pattern.groupindex)}"
    if source.fields:
        yield "  fields: " + ", ".join(f"{name} from {path}" for name, path in source.fields)
    if source.timezone != "UTC":
        yield f"  timestamps without an offset: {source.timezone}"


def _files_now(pattern: str) -> str:
    # Path.glob takes no absolute pattern.
    count = sum(Path(path).is_file() for path in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    return {0: "no file now", 1: "1 file now"}.get(count, f"{count} files now")


def _model(model: Model, heading: str) -> Iterator[str]:
    yield f"{heading}: {model.task}" + (f", owned by {model.owner}" if model.owner else "")
    yield from (f"  channel {channel.name}: {_channel(channel)}" for channel in model.channels)
    yield "  windows: " + ", ".join(
        f"{format_duration(window)} (moving by {format_duration(pane_width(window))})" for window in model.windows
    )
    yield f"  predictions wait for feedback: {describe_duration(model.horizon)}, at most {model.max_pending:,} of them"
    if model.task == "binary":
        yield f"  positive label: {model.positive_label}; answered positive from score {model.threshold:g} on"
    if model.classes:
        yield f"  classes: {', '.join(model.classes)}"
    if model.features:
        yield "  features: " + ", ".join(f"{feature.name} ({feature.kind})" for feature in model.features)
    if model.slices:
        yield f"  slices: {', '.join(model.slices)}"
    if model.reference:
        yield f"  reference: {model.reference}"
    for objective in model.objectives:
        yield f"  objective: {objective.metric} {_SIGNS[objective.direction]} {objective.target:g}"
    yield from _release(model)
    yield from _change(model)


def _release(model: Model) -> Iterator[str]:
    """What a new version is compared by, and what is promised about the verdict."""
    release = model.release
    margins = dict(release.margins)
    from_labels = _tested(model)
    signals = {f"{SIGNAL_PREFIX}{signal.name}": signal.type for signal in model.signals if signal.better is not None}
    early = [*EARLY, *signals]
    shares = {*SHARES, *(name for name, values in signals.items() if values == "boolean")}
    deciding = len(from_labels) + sum(name in margins for name in early)
    yield (
        f"  release: a new version is compared for {describe_duration(release.duration)} with the one that had most "
        f"predictions in the 24h before it, {LEAST_TRAFFIC:,} at least"
    )
    for name, channel in from_labels:
        yield f"    {name} of {channel}: decides; {_margin(name, margins, shares)}"
    for name in early:
        says = "decides" if name in margins else "shown early, does not decide"
        yield f"    {name}: {says}; {_margin(name, margins, shares)}"
    shared = f" ({release.alpha / deciding:.3g} for each of the {deciding} that decide)" if deciding > 1 else ""
    yield (
        f"    wrong verdicts, however often it is looked at: one no worse is rolled back with probability "
        f"{release.alpha:g} at most{shared}, one worse by its margin is promoted with {release.alpha:g} at most"
    )
    yield (
        f"    needed first: {REFERENCE_ROWS} outcomes of the old version; of one that stops when the new one starts, "
        f"{HOURS_TO_COMPARE} hours of them, and {DAYS_TO_PROMOTE} days to promote"
    )


def _margin(name: str, margins: Mapping[str, float], shares: Container[str]) -> str:
    if name in margins:
        return f"may be worse by {margins[name]:g}" if margins[name] else "must be better"
    usual = "a fifth of the old version's errors, at least 0.005" if name in shares else "a tenth of the old version's"
    return f"may be worse by {usual}"


def _change(model: Model) -> Iterator[str]:
    """What versions are watched by, and what is promised about alarms."""
    change = model.change
    watched = ", ".join(f"{name} of {channel}" for name, channel in _tested(model))
    yield f"  change: each version is watched for getting worse by {watched}"
    if model.slices:
        slices = ", ".join(model.slices)
        yield f"    so is each value of {slices}: of those said to be failing, at most one in ten is not"
    once_more = ", and as many of slices" if model.slices else ""
    yield (
        f"    false alarms: one in {describe_duration(change.false_alarm_interval)} of the model at most, on average"
        f"{once_more}"
    )
    day = min(change.learning, DAY)
    yield (
        f"    learned first: {LEARNED_ROWS:,} outcomes of each, and {describe_duration(change.learning)} of the model "
        f"with its daily and weekly cycle; of later versions {describe_duration(day)}"
    )


def _tested(model: Model) -> list[tuple[str, str]]:
    """(metric, channel) from labels."""
    asked = {objective.metric for objective in model.objectives} | {name for name, _ in model.release.margins}
    return [(name, channel.name) for channel in model.channels for name in tested(model.task, channel.kind, asked)]


def _channel(channel: Channel) -> str:
    silence = f"silence then means {channel.no_feedback}" if channel.no_feedback else "silence then means nothing"
    return f"{channel.kind}, mature after {describe_duration(channel.maturity)}; {silence}"
