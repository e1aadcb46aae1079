"""A reference's text gives the same value again, to the last bit; a file with anything wrong in it is refused whole."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference.records import configured, generate, write_csv
from tidegauge.config.problems import ConfigurationError
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference.build import build
from tidegauge.reference.format import dump, load
from tidegauge.reference.value import Distribution, Reference, Summary
from tidegauge.tally.features.schema import Bins, CategoricalBins, NumericBins, Schema

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=12)
COUNTS = st.integers(0, 1 << 50)
LARGEST = 1e140


@st.composite
def bins(draw: st.DrawFn, name: str) -> tuple[Bins, list[int]]:
    """Bins, and counts that add up to 2**52."""
    if draw(st.booleans()):
        numbers = st.floats(-LARGEST, LARGEST).map(lambda x: x + 0.0)
        edges = sorted(draw(st.sets(numbers, min_size=1, max_size=16)))
        shape: Bins = NumericBins(name, tuple(edges if len(edges) > 1 else edges * 2))
        conditions, places = draw(st.tuples(COUNTS, COUNTS, COUNTS)), max(len(edges), 2) + 1
    else:
        values = draw(st.lists(TEXTS, unique=True, max_size=5))
        known = draw(st.none() | st.sets(st.integers(0, (1 << 64) - 1), max_size=5).map(lambda s: tuple(sorted(s))))
        shape = CategoricalBins(name, tuple(values), 16, known)
        conditions, places = draw(st.tuples(COUNTS, COUNTS, COUNTS)), len(values) + 16
    counts = draw(st.lists(st.integers(0, 1 << 20), min_size=places, max_size=places))
    varied = draw(st.integers(0, 1))
    left = (1 << 52) - sum(conditions) - sum(counts)
    if isinstance(shape, NumericBins):
        positions = [draw(st.integers(0, count << 30)) for count in counts]
        return shape, [conditions[0] + left, *conditions[1:], varied, *counts, *positions]
    return shape, [conditions[0] + left, conditions[1], varied, conditions[2], *counts]


@st.composite
def references(draw: st.DrawFn) -> Reference:
    names = draw(st.lists(TEXTS, unique=True, max_size=3))
    found = [draw(bins(name)) for name in names]
    label, label_counts = draw(bins("@label"))
    numeric = [isinstance(one, NumericBins) for one, _ in found]
    metrics = draw(st.dictionaries(TEXTS, FINITE, max_size=3))
    plain = st.recursive(
        st.none() | st.booleans() | FINITE | TEXTS | st.integers(-(1 << 60), 1 << 60),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=8,
    )
    return Reference(
        model=draw(TEXTS),
        records=1 << 52,
        schema=Schema(tuple(one for one, _ in found)),
        counts=np.array([count for _, counts in found for count in counts], dtype=np.int64),
        kinds=tuple(
            draw(st.sampled_from(("numeric", "text_length") if one else ("categorical", "boolean"))) for one in numeric
        ),
        icc=tuple(draw(st.floats(0, 1)) for _ in numeric),
        summaries=tuple(Summary(*(draw(FINITE) for _ in range(4))) if one else None for one in numeric),
        label=draw(st.sampled_from([None, Distribution(Schema((label,)), np.array(label_counts, dtype=np.int64))])),
        scores=metrics,
        samples={name: draw(COUNTS) for name in metrics},
        projections={f"other {name}": value for name, value in draw(st.dictionaries(TEXTS, plain, max_size=3)).items()},
        file=draw(TEXTS),
        created=draw(TEXTS),
        rejected=draw(st.dictionaries(TEXTS, COUNTS, max_size=3)),
    )


def assert_equal(one: Reference, other: Reference) -> None:
    for field in fields(Reference):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "counts":
            assert mine.dtype == theirs.dtype and np.array_equal(mine, theirs)
        elif field.name == "label" and mine is not None:
            assert mine.schema == theirs.schema and np.array_equal(mine.counts, theirs.counts)
        else:
            assert mine == theirs, field.name
    assert one.schema.id == other.schema.id


@given(reference=references())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_reference_comes_back_from_its_text(
    reference: Reference, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    text = dump(reference)
    path.write_text(text, encoding="utf-8")
    again = load(path)
    assert_equal(again, reference)
    assert dump(again) == text
    assert yaml.safe_load(text)["records"] == reference.records  # another reader takes it too


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a reference of real records."""
    folder = tmp_path_factory.mktemp("prepared")
    return dump(build(*configured(folder), write_csv(folder / "r.csv", generate(1000)), Scoring))


def test_a_prepared_file_is_small_and_its_lines_are_short(prepared: str) -> None:
    assert len(prepared) < 10_000
    assert max(map(len, prepared.splitlines())) <= 120


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


REFUSED = [
    (
        "tidegauge_reference: 1",
        "tidegauge_reference: 2",
        "tidegauge_reference: found 2; allowed: 1",
        "a later Tidegauge",
    ),
    ("tidegauge_reference: 1", "tidegauge_reference: true", "tidegauge_reference: found true; allowed: 1", ""),
    ("tidegauge_reference: 1\n", "", "tidegauge_reference: found nothing; allowed: 1", ""),
    ("records: 1000", "records: many", 'records: found "many"; allowed: a whole number from 0', ""),
    ("records: 1000", "records: 999", "found counts that add up to 1000; allowed: counts of all 999 records", ""),
    ("records: 1000", "record: 1000", "record: found an unknown key", 'did you mean "records"?'),
    ("kind: numeric", "kind: numerical", 'kind: found "numerical"; allowed: numeric, text_length', ""),
    ("    kind: numeric\n", "", "kind: found nothing; allowed: this key", ""),
    ("missing: 0", "missing: -1", "missing: found -1; allowed: a whole number from 0", ""),
    ("icc: ", "icc: 7", "; allowed: a number from 0 to 1", ""),
    ("edges: [", "edges: [1e9, ", "found bins that cannot be", "edges must ascend"),
    ("edges: [", "edges: [.nan, ", "edges[0]: found .nan; allowed: a finite number", ""),
    ("    records: [0, ", "    records: [", "records: found a list of 15; allowed: a list of 16 whole numbers", ""),
    ("    positions: [0, ", "    positions: [5, ", "positions[0]: found 5; allowed: at most 0, for 0 records", ""),
    ('- ["de", ', "- [de, 1, ", "categories[2]: found a list of 3; allowed: a list of a text in quotes", ""),
    ('- ["de", ', "- [1, ", "categories[2][0]: found 1; allowed: a text in quotes", ""),
    ("samples: ", "samples: !!python/object/apply:os.system ", "the tag tag:yaml.org", ""),
    ("projections: {}", "projections: {embeddings: {v: {seed: 1}}}", "found what cannot be used: nothing under", ""),
    ("features:", "features:\n\t- x", "found a syntax error", "indent with spaces"),
]


@pytest.mark.parametrize(("old", "new", "said", "hint"), REFUSED)
def test_what_is_wrong_is_refused_with_its_place(
    old: str, new: str, said: str, hint: str, prepared: str, tmp_path: Path
) -> None:
    path = tmp_path / "reference.yml"
    text = changed(prepared, old, new)
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    told = next((line for line in str(refused.value).splitlines() if said in line), "")
    assert told, str(refused.value)
    assert hint in told
    line = int(told.removeprefix(f"{path}:").split(":")[0])
    if new and "features:" not in new and "add up" not in said and "cannot be" not in said:
        assert line == text[: text.index(new)].count("\n") + 1
    else:
        assert 1 <= line <= text.count("\n") + 1


def test_everything_wrong_is_said_at_once(prepared: str, tmp_path: Path) -> None:
    path = tmp_path / "reference.yml"
    path.write_text(prepared.replace("missing: ", "missing: x").replace("icc: 0.0", "icc: -1"))
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert len(refused.value.problems) >= 8


@pytest.mark.parametrize(
    "text", ["", "[]", "x", "- tidegauge_reference: 1", "tidegauge_reference: [1]", "{[]: 1}", "&a [*a]"]
)
def test_other_yaml_is_refused_as_such(text: str, tmp_path: Path) -> None:
    path = tmp_path / "reference.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path / "none.yml")
    assert "none.yml" in str(refused.value) and "No such file" in str(refused.value)


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_change_of_a_line_makes_anything_but_a_reference_or_a_refusal(
    prepared: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = prepared.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines[number]
    cut = data.draw(st.integers(0, len(line)))
    lines[number] = line[:cut] + data.draw(st.text("0123456789-.:[]{}\"' abe!&*\n", max_size=4)) + line[cut + 1 :]
    path = tmp_path_factory.getbasetemp() / "changed.yml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        reference = load(path)
    except ConfigurationError as refused:
        assert refused.problems
        return
    assert (reference.counts >= 0).all()
    assert all(math.isfinite(score) for score in reference.scores.values())
    assert_equal(load(path), reference)
