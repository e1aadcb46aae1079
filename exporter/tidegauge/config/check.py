"""A configuration in words, as `tidegauge check` prints it: what will be measured, and what the globs find now.

Assumes settings that `load` has accepted; looks at the disk only to count files.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from tidegauge.config.durations import describe_duration, format_duration
from tidegauge.config.panes import pane_width
from tidegauge.config.settings import Channel, Model, Settings, Source

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
        yield "  features: " + ", ".join(f"{name} ({kind})" for name, kind in model.features)
    if model.slices:
        yield f"  slices: {', '.join(model.slices)}"
    if model.reference:
        yield f"  reference: {model.reference}"
    for objective in model.objectives:
        yield f"  objective: {objective.metric} {_SIGNS[objective.direction]} {objective.target:g}"
    for metric, margin in model.release.margins:
        yield f"  release margin: {metric} may be worse by {margin:g}"


def _channel(channel: Channel) -> str:
    silence = f"silence then means {channel.no_feedback}" if channel.no_feedback else "silence then means nothing"
    return f"{channel.kind}, mature after {describe_duration(channel.maturity)}; {silence}"
