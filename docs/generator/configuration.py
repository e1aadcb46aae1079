"""The generated parts of docs/configuration.md (a table a section, the metrics) and docs/logging.md (the fields)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from docs.generator.pages import table
from tidegauge.config import record_fields
from tidegauge.config.durations import format_duration
from tidegauge.config.metrics import METRICS
from tidegauge.config.record_fields import RecordField
from tidegauge.config.schema import (
    CHANGE,
    CHANNEL,
    DRIFT,
    FEATURE,
    LINKS,
    MODEL,
    OBJECTIVE,
    RELEASE,
    ROOT,
    SIGNAL,
    SOURCE,
)
from tidegauge.config.shapes import Choice, Duration, Flag, Integer, Items, Key, Number, Section, Shape


def parts() -> Mapping[str, str]:
    """Each part by its name in the page."""
    sections = {
        "top-level": ROOT,
        "sources": SOURCE,
        "models": MODEL,
        "channels": CHANNEL,
        "features": FEATURE,
        "signals": SIGNAL,
        "objectives": OBJECTIVE,
        "release": RELEASE,
        "change": CHANGE,
        "drift": DRIFT,
        "links": LINKS,
    }
    return {
        **{name: _section(section) for name, section in sections.items()},
        "metrics": _metrics(),
    }


def record_parts() -> Mapping[str, str]:
    """The parts of the page on logging."""
    return {"prediction-fields": _fields(record_fields.PREDICTION), "feedback-fields": _fields(record_fields.FEEDBACK)}


def _fields(fields: Mapping[str, RecordField]) -> str:
    return table(
        ("field", "type", "meaning"), [(f"`{name}`", field.type, field.meaning) for name, field in fields.items()]
    )


def _section(section: Section) -> str:
    rows = [(f"`{key.name}`", shown_default(key), _meaning(key, section)) for key in section.keys]
    return table(("key", "default", "meaning"), rows)


def shown_default(key: Key) -> str:
    """A key's default for people."""
    if key.required:
        return "required"
    if key.default_text:
        return key.default_text
    if key.default in (None, (), ""):
        return "none"
    if isinstance(key.shape, Duration) and isinstance(key.default, int):
        return f"`{format_duration(key.default)}`"
    if isinstance(key.shape, Items) and isinstance(key.default, tuple):
        return ", ".join(f"`{_written(value)}`" for value in key.default)
    if isinstance(key.shape, Flag):
        return "`true`" if key.default else "`false`"
    return f"`{key.default}`"


def _written(value: str | int) -> str:
    """An item of a list as it stands in the file; numbers there are durations."""
    return format_duration(value) if isinstance(value, int) else value


def _meaning(key: Key, section: Section) -> str:
    text = f"{key.description} {_range(key.shape, key.description)}".strip()
    if not key.only:
        return text
    if section is SIGNAL:
        return f"{text} Only with {' or '.join(f'`from: {origin}`' for origin in key.only)}."
    return f"{text} Only for {' and '.join(key.only)}."


def _range(shape: Shape, description: str) -> str:
    match shape:
        case Duration() if shape.low or shape.high:
            return f"From `{format_duration(shape.low)}` to `{format_duration(shape.high)}`."
        case Integer():
            return f"From {shape.low:,} to {shape.high:,}."
        case Number() if not math.isinf(shape.low) and not math.isinf(shape.high):
            return f"From {shape.low:g} to {shape.high:g}."
        case Choice():
            told = all(f"`{option}`" in description for option in shape.options)
            return "" if told else f"One of {_listed(shape.options)}."
        case _:
            return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _metrics() -> str:
    rows = [
        (
            f"`{metric.name}`",
            ", ".join(metric.tasks),
            ", ".join(metric.kinds),
            shown_range(metric.low, metric.high),
            metric.direction,
        )
        for metric in METRICS
    ]
    return table(("metric", "tasks", "channels", "range", "default direction"), rows)


def shown_range(low: float, high: float) -> str:
    """A range for people."""
    if math.isinf(low):
        return "any" if math.isinf(high) else f"up to {high:g}"
    return f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
