"""A schema names what its columns mean: saved and restored, in every process the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tidegauge.config.settings import Channel, Feature, Model
from tidegauge.config.watched import categorical_names, embedding_names, numeric_names
from tidegauge.tally.features.schema import CategoricalBins, NumericBins, Schema
from tidegauge.tally.features.watched import Watched, watched

SCHEMA = Schema(
    (
        NumericBins("amount", (0.5, 1.5, 3.25)),
        NumericBins("age", (7.0, 7.0)),
        CategoricalBins("country", ("de", "unseen", "other 01", '"unseen"'), 2, (3, 2**64 - 1)),
        CategoricalBins("user", (), 2, None),
    )
)
FEATURES = (
    Feature("vector", "embedding"),
    Feature("note", "text_length"),
    Feature("country", "categorical"),
    Feature("amount", "numeric"),
    Feature("returning", "boolean"),
)


def test_a_saved_schema_comes_back_equal() -> None:
    back = Schema.from_json(json.loads(json.dumps(SCHEMA.to_json())))
    assert back == SCHEMA and back.id == SCHEMA.id


def test_the_id_is_the_same_in_another_process_and_follows_every_difference() -> None:
    code = "from tidegauge.tally.features.schema import Schema; print(Schema.from_json(json.load(sys.stdin)).id)"
    run = [sys.executable, "-c", f"import json, sys; {code}"]
    printed = subprocess.run(run, input=json.dumps(SCHEMA.to_json()), text=True, capture_output=True, check=True)
    assert printed.stdout.strip() == SCHEMA.id
    others = [
        Schema(SCHEMA.features[:3]),
        Schema(SCHEMA.features[::-1]),
        Schema((NumericBins("amount", (0.5, 1.5, np.nextafter(3.25, 4.0))), *SCHEMA.features[1:])),
        Schema((*SCHEMA.features[:3], CategoricalBins("user", (), 3, None))),
    ]
    assert len({SCHEMA.id, *(other.id for other in others)}) == 5
    assert Schema((NumericBins("x", (-0.0, 1.0)),)).id == Schema((NumericBins("x", (0.0, 1.0)),)).id


def test_bins_have_names_that_people_understand_and_that_are_distinct() -> None:
    assert SCHEMA.bin_names == (
        ("01 (-inf, 1.5)", "02 [1.5, +inf)", "none"),
        ("01 (-inf, 7)", "02 [7, 7]", "03 (7, +inf)", "none"),
        ("de", '""unseen""', '"other 01"', '"unseen"', "other 00", "other 01", "unseen", "none"),
        ("other 00", "other 01", "unseen", "none"),
    )
    for names, real in zip(SCHEMA.bin_names, SCHEMA.real, strict=True):
        assert len(set(names)) == len(names) == real.sum()


def test_bounds_are_the_edges_of_the_compared_bins() -> None:
    bounds = SCHEMA.bounds
    assert bounds.shape == (4, SCHEMA.real.shape[1] + 1)
    assert bounds[0, :3].tolist() == [0.5, 1.5, 3.25]
    assert bounds[1, :4].tolist() == [6.0, 7.0, 7.0, 8.0]
    assert np.isnan(bounds[0, 3:]).all() and np.isnan(bounds[2:]).all()
    assert SCHEMA.ordered.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"format": 2, "features": []},
        {"format": 1, "features": [{"name": "x"}]},
        {"format": 1, "features": [{"name": "x", "edges": [1.0]}]},
        {"format": 1, "features": [{"name": "x", "edges": [1.0, "2"]}]},
        {"format": 1, "features": [{"name": "x", "edges": [2.0, 1.0]}]},
        {"format": 1, "features": [{"name": "x", "edges": [1.0, 1.0, 2.0]}]},
        {"format": 1, "features": [{"name": "x", "edges": [0.0, 1e141]}]},
        {"format": 1, "features": [{"name": "x", "edges": [0.0, float("nan")]}]},
        {"format": 1, "features": [{"name": "x", "edges": [0.0, 1.0]}] * 2},
        {"format": 1, "features": [{"name": 1, "edges": [0.0, 1.0]}]},
        {"format": 1, "features": [{"name": "x", "values": ["a", "a"], "hashed": 0, "known": []}]},
        {"format": 1, "features": [{"name": "x", "values": [], "hashed": 0, "known": [1]}]},
        {"format": 1, "features": [{"name": "x", "values": [], "hashed": 16, "known": [2, 1]}]},
        {"format": 1, "features": [{"name": "x", "values": [], "hashed": 1.5, "known": None}]},
    ],
)
def test_what_is_no_schema_is_refused(saved: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Schema.from_json(saved)


def test_answers_are_watched_first_then_features_as_they_are_configured() -> None:
    model = Model("m", "binary", (Channel("c"),), features=FEATURES)
    assert watched(model) == (
        Watched("@score", "numeric", "score"),
        Watched("@prediction", "categorical", "class"),
        Watched("note", "numeric", "number", 0),
        Watched("country", "categorical", "code", 0),
        Watched("amount", "numeric", "number", 1),
        Watched("returning", "categorical", "code", 1, boolean=True),
    )
    assert numeric_names(model) == ("note", "amount")
    assert categorical_names(model) == ("country", "returning")
    assert embedding_names(model) == ("vector",)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("multiclass", [("@prediction", "categorical", "class")]),
        ("regression", [("@prediction", "numeric", "value")]),
        ("ranking", []),
        ("text", []),
    ],
)
def test_what_is_watched_of_answers_depends_on_the_task(task: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(w.name, w.kind, w.source) for w in watched(Model("m", task, (Channel("c"),)))] == expected
