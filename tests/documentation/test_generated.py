"""The references in docs/ are what the code says now, and the code says something about everything."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from docs.generator import metrics
from docs.generator.__main__ import DOCS, generated
from docs.generator.pages import fill, table
from tidegauge.assess.drift import quality
from tidegauge.config import schema
from tidegauge.config.definitions import DEFINITIONS
from tidegauge.config.drift_definitions import (
    CONDITION_MEANINGS,
    DRIFT_DEFINITIONS,
    FEATURE_STATE_MEANINGS,
    REFERENCE_MEANINGS,
    SCHEMA_CHANGE_MEANINGS,
    VECTOR_DEFINITIONS,
    WATCHED_MEANINGS,
)
from tidegauge.config.durations import format_duration
from tidegauge.config.metrics import METRIC_NAMES, METRICS
from tidegauge.config.settings import DRIFT_REFERENCES, DRIFT_STATISTICS, RESERVED
from tidegauge.config.shapes import Duration, Either, Items, Named, Section, Shape
from tidegauge.pipeline.vector_samples import MMD
from tidegauge.publish.explanations import LABELS, NEVER, QUESTIONS, SUM, explain
from tidegauge.tally.features.schema import CONDITIONS


@pytest.mark.parametrize(
    "path", [DOCS / name for name in ("tidegauge.schema.json", "configuration.md", "logging.md", "metrics.md")]
)
def test_what_is_committed_is_what_is_generated(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated()[path], "run `make docs` and commit what it changes"


def test_nothing_else_is_generated() -> None:
    marked = {path for path in DOCS.glob("*.md") if "<!-- generated:" in path.read_text(encoding="utf-8")}
    assert set(generated()) == marked | {DOCS / "tidegauge.schema.json"}


def sections(shape: Shape) -> list[Section]:
    match shape:
        case Section():
            return [shape, *(inner for key in shape.keys for inner in sections(key.shape))]
        case Named():
            return sections(shape.value)
        case Items():
            return sections(shape.item)
        case Either():
            return sections(shape.long)
        case _:
            return []


def test_every_key_of_the_configuration_is_in_the_reference_with_its_default() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    rows = {tuple(cell.strip() for cell in row.split(" | ")[:2]) for row in re.findall(r"^\| (.*) \|$", page, re.M)}
    keys = [key for section in sections(schema.ROOT) for key in section.keys]
    assert len(keys) > 40
    for key in keys:
        shown = [default for name, default in rows if name == f"`{key.name}`"]
        assert shown, key.name
        if key.required:
            assert "required" in shown
        elif key.default_text:
            assert key.default_text in shown
        elif isinstance(key.shape, Duration) and isinstance(key.default, int):
            assert f"`{format_duration(key.default)}`" in shown


def test_every_metric_is_defined_and_nothing_else() -> None:
    assert tuple(DEFINITIONS) == METRIC_NAMES
    for name, definition in DEFINITIONS.items():
        for text in (definition.sentence, definition.formula, definition.interval, definition.merge):
            assert text, name
        assert definition.sentence.endswith("."), name


def test_every_word_of_drift_is_explained_and_nothing_else() -> None:
    assert tuple(DRIFT_DEFINITIONS) == DRIFT_STATISTICS
    assert tuple(REFERENCE_MEANINGS) == DRIFT_REFERENCES
    assert tuple(VECTOR_DEFINITIONS) == (MMD,)
    for name, definition in (*DRIFT_DEFINITIONS.items(), *VECTOR_DEFINITIONS.items()):
        assert all(getattr(definition, field.name) for field in fields(definition)), name
        assert definition.sentence.endswith("."), name
    assert all(name.startswith(RESERVED) for name in WATCHED_MEANINGS)
    by_name = {family.name: family for family in metrics.families()}
    for family, words in (
        ("model_feature_records", CONDITION_MEANINGS),
        ("model_feature_state", FEATURE_STATE_MEANINGS),
        ("model_schema_changed", SCHEMA_CHANGE_MEANINGS),
    ):
        plain = by_name[family].help.replace("-", " ")
        assert all(word in plain for word in words), family


def test_every_state_and_condition_that_there_is_has_its_meaning() -> None:
    assert tuple(FEATURE_STATE_MEANINGS) == quality.STATES
    assert set(CONDITION_MEANINGS) == set(CONDITIONS)
    assert set(quality.BROKEN) < set(quality.STATES)


def test_every_range_in_the_reference_is_that_of_the_metric() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for metric in METRICS:
        (row,) = [
            row
            for row in page.splitlines()
            if row.startswith(f"| `{metric.name}` | ") and f" {metric.tasks[0]}" in row.split("|")[2]
        ]
        assert row.endswith(f"| {metric.direction} |")
        for bound in (metric.low, metric.high):
            assert abs(bound) == float("inf") or f"{bound:g}" in row.split("|")[4]


def test_every_family_says_how_exporters_add_up() -> None:
    for family in metrics.families():
        merge = explain(family.name).merge
        # The help text on the page of the exporter and the reference are one opinion.
        if "Exporters add up" in family.help:
            assert merge == SUM, family.name
        if "do not average or add" in family.help:
            assert merge == NEVER, family.name
        if family.kind in ("counter", "histogram"):
            assert merge == SUM, family.name


def test_every_label_is_explained_and_no_other() -> None:
    assert {label for family in metrics.families() for label in family.labels} == set(LABELS)


def test_every_question_belongs_to_a_family() -> None:
    assert set(QUESTIONS) <= {family.name for family in metrics.families()}


def test_a_part_that_page_and_code_do_not_share_is_refused() -> None:
    page = "<!-- generated: one -->\nold\n<!-- end -->\n"
    assert fill(page, {"one": "new"}) == "<!-- generated: one -->\n\nnew\n\n<!-- end -->\n"
    for parts in ({}, {"one": "", "two": ""}):
        with pytest.raises(KeyError):
            fill(page, parts)


def test_a_cell_of_a_table_cannot_break_it() -> None:
    assert table(("a",), [("x | y\nz",)]).splitlines()[-1] == "| x \\| y z |"
