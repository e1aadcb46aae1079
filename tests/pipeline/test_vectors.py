"""Embeddings, all inputs together and their reconstruction are watched as other features are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.production import START
from tests.pipeline.vector_logs import (
    CHANGE,
    END,
    MODEL,
    WINDOW,
    Lines,
    Record,
    lines,
    moved,
    shop,
    shown,
    states,
    write,
)
from tests.pipeline.vector_logs import records as records_of
from tests.recount.driver import Page, Run
from tidegauge.config.settings import HOUR, Feature, Model
from tidegauge.join.rows import FeatureValues, Rows, VectorValues
from tidegauge.pipeline.learning import MOST_BYTES, LearningBuffer
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference.build import build, fitted
from tidegauge.reference.format import dump, load
from tidegauge.reference.value import Reference
from tidegauge.tally.features.embedding import VectorCounter

TOGETHER = {"@inputs", "@reconstruction"}


@contextmanager
def running(folder: Path, model: Model = MODEL, references: Any = None) -> Iterator[Run]:
    run = shop(folder, model, references)
    try:
        yield run
    finally:
        run.close()


def page_of(folder: Path, written: Lines, model: Model = MODEL, references: Any = None) -> Page:
    with running(folder, model, references) as run:
        write(run, written)
        return run.page()


def reference_of(folder: Path, model: Model = MODEL, seed: int = 90) -> Reference:
    """Made of records like the first ones, written and read again."""
    path = folder / "training.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records_of(seed, hours=10)))
    with running(folder / "only for its settings", model) as run:
        prepared = folder / "reference.yml"
        prepared.write_text(dump(build(model, run.settings, path, Scoring)), encoding="utf-8")
    return fitted(load(prepared), model, prepared)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_an_embedding_that_moves_is_found_and_nothing_else_is(tmp_path: Path) -> None:
    page = page_of(tmp_path, lines(1, text=0.4))
    assert moved(page) == {"text"}
    assert page["model_drift_features_detected", ("shop", "v1", "first", "12h")] == 1
    started = page["model_drift_start_timestamp_seconds", ("shop", "v1", "text", "first")] * 1000 - START
    assert CHANGE - 2 * HOUR <= started <= CHANGE + 2 * HOUR
    distance = shown(page, "model_drift_distance", statistic="mmd")
    excess = shown(page, "model_drift_excess", statistic="mmd")
    assert distance.keys() == excess.keys() == {"text", "image", "@inputs"}
    assert distance["text"] > excess["text"] > 10 * abs(excess["image"])
    assert distance["image"] > 0 and abs(excess["image"]) < distance["image"]
    p_values = shown(page, "model_drift_p_value")
    assert p_values["text"] < 1e-10 and p_values["image"] > 0.001 and p_values["@inputs"] > 0.001
    assert set(states(page).values()) <= {"ok", "insufficient_samples"}  # no labels have come
    assert shown(page, "model_feature_records", condition="valid")["text"] > 200 * WINDOW / HOUR


def test_numbers_that_go_together_otherwise_are_found_by_what_is_made_of_all_and_by_no_single_one(
    tmp_path: Path,
) -> None:
    page = page_of(tmp_path, lines(2, correlation=0.0))
    assert moved(page) == TOGETHER
    assert page["model_drift_features_detected", ("shop", "v1", "first", "12h")] == 0


def test_vectors_of_units_that_come_back_are_fewer_than_they_seem(tmp_path: Path) -> None:
    page = page_of(tmp_path, lines(3, users=150))
    assert moved(page) == set()
    effect = shown(page, "model_drift_design_effect")
    assert 14 < effect["text"] < 28  # about 3,000 predictions of 150 users, all alike
    assert effect["image"] < 1.5


def test_another_version_is_held_against_the_one_before_over_the_same_time(tmp_path: Path) -> None:
    def released(record: Record, late: bool) -> None:
        if late and record["prediction_id"] % 2:
            record["version"] = "v2"
            record["features"]["text"] = [number * 1.3 for number in record["features"]["text"]]

    page = page_of(tmp_path, lines(4, change=released))
    assert moved(page, "previous_version", "v2") == {"text"}
    assert moved(page) == set()
    size = page["model_drift_reference_records", ("shop", "v2", "previous_version", "12h")]
    assert 1000 < size < 2000


@pytest.mark.parametrize(
    ("value", "state", "condition"),
    [(None, "vanished", "missing"), ([1.0, 2.0], "invalid", "invalid"), ("x", "invalid", "invalid")],
)
def test_vectors_that_are_gone_or_something_else_are_broken_data(
    tmp_path: Path, value: Any, state: str, condition: str
) -> None:
    def broken(record: Record, late: bool) -> None:
        if late:
            record["features"]["text"] = value
        if late and value is None:
            del record["features"]["text"]

    page = page_of(tmp_path, lines(5, change=broken))
    assert states(page)["text"] == state and states(page)["image"] == states(page)["@inputs"] == "ok"
    assert shown(page, "model_feature_records", condition="valid")["text"] < 1000
    assert shown(page, "model_feature_records", condition=condition)["text"] > 2500
    if state == "vanished":
        assert page["model_schema_changed", ("shop", "text", "vanished")] == 1


def test_vectors_that_nobody_has_seen_yet_are_being_learned(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        write(run, lines(6, hours=1), until=2 * HOUR)
        assert set((states(run.page()) | {"@label": "learning"}).values()) == {"learning"}
        assert {"text", "image", "@inputs", "@reconstruction"} <= states(run.page()).keys()


# --- references from a file -------------------------------------------------------------------------------------------


def test_a_reference_file_tells_from_the_first_window_on(tmp_path: Path) -> None:
    reference = reference_of(tmp_path)
    model = replace(MODEL, reference=tmp_path / "reference.yml")
    references = {"shop": reference}
    page = page_of(tmp_path / "same", lines(7), model, references)
    assert moved(page, "training") == set()
    assert shown(page, "model_drift_distance", reference="training", statistic="mmd").keys() == {
        "text",
        "image",
        "@inputs",
    }
    assert "@reconstruction" in shown(page, "model_drift_distance", reference="training", statistic="psi")
    page = page_of(tmp_path / "other", lines(8, text=0.4, correlation=0.0), model, references)
    assert moved(page, "training") == {"text", *TOGETHER}


def test_what_the_file_lacks_is_learned_from_the_first_predictions(tmp_path: Path) -> None:
    fewer = replace(MODEL, features=tuple(one for one in MODEL.features if one.name != "text"))
    reference_of(tmp_path, fewer)
    reference = fitted(load(tmp_path / "reference.yml"), MODEL, tmp_path / "reference.yml")
    model = replace(MODEL, reference=tmp_path / "reference.yml")
    page = page_of(tmp_path / "run", lines(9, text=0.4), model, {"shop": reference})
    assert moved(page, "training") == set() and moved(page, "first") == {"text"}
    assert "image" in shown(page, "model_drift_distance", reference="training")


def test_components_of_other_numbers_are_not_used(tmp_path: Path) -> None:
    reference_of(tmp_path)
    model = replace(MODEL, features=(*MODEL.features, Feature("third", "numeric")))
    reference = fitted(load(tmp_path / "reference.yml"), model, tmp_path / "reference.yml")
    assert "@reconstruction" not in reference.schema.names and "left" in reference.schema.names
    assert {"inputs", "reconstruction"}.isdisjoint(reference.projections)


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [False, True])
def test_saving_dying_and_reading_in_other_parts_change_no_bit(tmp_path: Path, file: bool) -> None:
    model, references = MODEL, None
    if file:
        references = {"shop": reference_of(tmp_path)}
        model = replace(MODEL, reference=tmp_path / "reference.yml")
    written = lines(10, text=0.4, correlation=0.3, users=2000)
    expected = page_of(tmp_path / "whole", written, model, references)
    with running(tmp_path / "parts", model, references) as run:
        saved = 0
        for until in (40 * 60_000, 2 * HOUR, 9 * HOUR, 31 * HOUR, END):
            write(run, written, until, saved, step=50 * 60_000)
            run.reopen()  # from what was saved last; the logs are read again from there
            run.settle()
            run.save()
            run.reopen()
            saved = until
        assert run.pipeline.notes == []
        assert run.page() == expected


def test_another_configuration_starts_anew_and_says_so(tmp_path: Path) -> None:
    written = lines(11)
    with running(tmp_path) as run:
        write(run, written)
        run.save()
        fewer = replace(MODEL, features=MODEL.features[:3])
        run.settings = replace(run.settings, models=(fewer,))
        run.reopen()
        assert any("what is watched" in note for note in run.pipeline.notes)
        assert any("vectors/image" in note for note in run.pipeline.notes)
        assert set(states(run.page())) >= {"text", "@inputs"} and "image" not in states(run.page())
        assert states(run.page())["text"] == "learning"


def test_sums_of_two_exporters_add_up_to_those_of_one(tmp_path: Path) -> None:
    references = {"shop": reference_of(tmp_path)}
    model = replace(MODEL, reference=tmp_path / "reference.yml")
    written = lines(12, hours=8)
    sums = []
    for name, some in (("all", written), ("even", written[::2]), ("odd", written[1::2])):
        with running(tmp_path / name, model, references) as run:
            write(run, some, until=8 * HOUR)
            tally = run.pipeline.engines["shop"].tally
            families = [family.name for family in tally.families if family.name.startswith("vectors/")]
            assert families == ["vectors/text", "vectors/image", "vectors/@inputs"]
            found = [tally.window(family, START, START + 9 * HOUR)[1] for family in families]
            sums.append(np.concatenate(found))
    assert np.array_equal(sums[0], sums[1] + sums[2])
    assert sums[0][:, 0].tolist() == [len(written)] * 3


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_without_embeddings_and_multivariate_nothing_is_done(tmp_path: Path) -> None:
    plain = replace(
        MODEL, features=MODEL.features[:2], drift=replace(MODEL.drift, multivariate=False, learning=100, first=100)
    )
    with running(tmp_path, plain) as run:
        write(run, lines(13, hours=3), until=3 * HOUR)
        engine = run.pipeline.engines["shop"]
        assert not engine.features.learning
        assert {family.name for family in engine.tally.families} & {"features", "units"} == {"features", "units"}
        assert not any(family.name.startswith("vectors/") for family in engine.tally.families)
        assert not any("vectors" in table.name for table in engine.tables())
        values = FeatureValues(np.zeros((2, 5)), (), ())
        assert engine.features.complete(values) is values
        assert not {"@inputs", "@reconstruction"} & states(run.page()).keys()


def test_vectors_do_not_fill_the_memory_while_they_are_learned() -> None:
    buffer = LearningBuffer(10_000)
    rows = 1 + MOST_BYTES // (4096 * 8)
    nothing = np.zeros(rows)
    values = FeatureValues(
        np.zeros((0, rows)), (), (VectorValues(np.full(rows, 4096, dtype=np.int32), np.zeros(rows * 4096)),)
    )
    codes = np.zeros(rows, dtype=np.uint8)
    times = np.arange(rows)
    part = Rows(times, codes, (), codes, nothing, nothing, (), features=values)
    buffer.add(part.take(np.arange(rows // 2)), None)
    assert buffer.ripe(0, 60_000) is None
    buffer.add(part.take(np.arange(rows // 2, rows)), None)
    assert buffer.ripe(0, 60_000) == rows  # of what is there, with far fewer than are wanted


def test_versions_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        write(run, lines(14))
        vectors = run.pipeline.engines["shop"].features.vectors
        watch = vectors.known["text"].watch
        assert watch.streams and len(watch.units) == 1
        vectors.forget(["v1"])
        assert not watch.streams and not len(watch.units)


def test_a_projection_is_the_same_whatever_is_watched_beside_it(tmp_path: Path) -> None:
    alone = replace(MODEL, features=MODEL.features[2:3], drift=replace(MODEL.drift, multivariate=False))
    found = []
    for name, model in (("all", MODEL), ("alone", alone)):
        with running(tmp_path / name, model) as run:
            write(run, lines(15, hours=4), until=4 * HOUR)
            known = run.pipeline.engines["shop"].features.vectors.known["text"]
            assert isinstance(known.counter, VectorCounter)
            found.append(known.vector.projection)
    assert found[0] == found[1]
