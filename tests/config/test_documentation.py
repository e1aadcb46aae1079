"""docs/configuration.md says what the schema says, and its examples load."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from tidegauge.config import schema
from tidegauge.config.durations import format_duration
from tidegauge.config.load import load
from tidegauge.config.metrics import METRICS
from tidegauge.config.shapes import Duration, Items, Key, Section

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
TABLES = {
    "## Top level": schema.ROOT,
    "Under `links`": schema.LINKS,
    "## Sources": schema.SOURCE,
    "## Models": schema.MODEL,
    "### Channels": schema.CHANNEL,
    "An objective is": schema.OBJECTIVE,
    "Under `release`": schema.RELEASE,
}


def shown_default(key: Key) -> str:
    """A key's default as the page must show it."""
    if key.required:
        return "required"
    if key.default_text:
        return key.default_text
    if key.default in (None, (), ""):
        return "none"
    if isinstance(key.shape, Duration) and isinstance(key.default, int):
        return f"`{format_duration(key.default)}`"
    if isinstance(key.shape, Items) and isinstance(key.default, tuple):
        return ", ".join(f"`{format_duration(value)}`" for value in key.default)
    return f"`{key.default}`"


@pytest.mark.parametrize(("heading", "section"), TABLES.items(), ids=[section.what for section in TABLES.values()])
def test_every_key_is_documented_with_its_default(heading: str, section: Section) -> None:
    table = PAGE.split(heading, 1)[1].split("|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    expected = [(f"`{key.name}`", shown_default(key)) for key in section.keys]
    shown = [(row[0], row[1]) for row in rows]
    assert sorted(shown) == sorted(expected)


def test_every_metric_is_documented_with_its_range() -> None:
    def shown_range(low: float, high: float) -> str:
        if math.isinf(low):
            return "any" if math.isinf(high) else f"up to {high:g}"
        return f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"

    for metric in METRICS:
        tasks, kinds = ", ".join(metric.tasks), ", ".join(metric.kinds)
        row = f"| `{metric.name}` | {tasks} | {kinds} | {shown_range(metric.low, metric.high)} | {metric.direction} |"
        assert row in PAGE


def test_every_field_is_documented() -> None:
    fields = PAGE.split("Fields of predictions:", 1)[1].split("\n\n", 1)[0]
    predictions, feedback = fields.split("Fields of")
    assert tuple(re.findall(r"`(\w+)`", predictions)) == schema.PREDICTION_FIELDS
    assert tuple(re.findall(r"`(\w+)`", feedback)) == schema.FEEDBACK_FIELDS


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_loads(tmp_path: Path, example: str) -> None:
    (tmp_path / "tidegauge.yml").write_text(example)
    assert load(tmp_path / "tidegauge.yml").models


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2
