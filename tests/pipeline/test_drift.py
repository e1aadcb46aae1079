"""What is told of features, over written logs: each number can be counted again, and no restart changes a bit."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.drift_logs import (
    FEATURES,
    MOVED,
    PRICE,
    SHOP,
    Record,
    counted,
    lines,
    moved,
    page_of,
    records,
    recounted,
    running,
    shown,
    states,
    write,
)
from tests.pipeline.production import START
from tests.recount.driver import Run
from tidegauge.config.settings import HOUR, MINUTE, WEEK, Feature, Model, Source
from tidegauge.pipeline.features import Features
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference.build import build, fitted
from tidegauge.reference.format import dump, load
from tidegauge.reference.value import Reference


def features_of(run: Run) -> Features:
    (engine,) = run.pipeline.engines.values()
    return engine.features


def known(run: Run) -> Any:
    """Everything that is to be the same whatever the way to it: bins, counts, evidence and the past."""
    (engine,) = run.pipeline.engines.values()
    features, labels = engine.features, engine.labels
    assert features.schema is not None and features.watch is not None
    assert labels.watch is not None
    flags = [spot.varied for spot in features.schema.layout.spots]
    sums = {}
    for family in ("features", "units", labels.family):
        series, starts, found = engine.tally.stretches(family, START, START + 60 * HOUR, HOUR)
        if family == "features":
            found = found.copy()
            found[:, flags] = 0
        sums[family] = sorted(zip(series.tolist(), starts.tolist(), found.tolist(), strict=True))
    past = []
    for watch, without in ((features.watch, flags), (labels.watch, [])):
        table = watch.history.table
        rows = table.rows[table.live_numbers()]
        counts = rows["counts"].copy()
        # The flags come after no count that is kept, so that their places are those of the columns.
        kept = [number for number, column in enumerate(watch.history._counts.tolist()) if column not in without]
        others = rows["sums"].tolist() if "sums" in (rows.dtype.names or ()) else []
        past.append((rows["version"].tolist(), rows["hour"].tolist(), counts[:, kept].tolist(), others))
    first = features.watch.to_json()
    for one in (first["first"], *(now for _, now in first["waiting"])):
        for flag in flags:
            one["counts"][flag] = 0
    fixed = features.schema, features.watch.fixed.icc.tolist()
    return fixed, sums, first, labels.watch.to_json(), past


def reference_of(folder: Path, seed: int = 90, model: Model = SHOP) -> Reference:
    """Made of records like the first ones, written and read again."""
    folder.mkdir(parents=True, exist_ok=True)
    path, prepared = folder / "training.jsonl", folder / "reference.yml"
    predictions, feedback = records(seed, hours=20, model=model)
    if model is PRICE:  # whose labels need bins of their own
        for record, told in zip(predictions, feedback, strict=True):
            record["label"] = told["label"]
    path.write_bytes(b"".join(line for _, line in lines(predictions)))
    with running(folder / "only for its settings", model) as run:
        prepared.write_text(dump(build(model, run.settings, path, Scoring)), encoding="utf-8")
    return fitted(load(prepared), model, prepared)


# --- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [9.0, 20.0])
def test_every_count_of_a_window_is_that_of_a_plain_recount(tmp_path: Path, until: float) -> None:
    predictions, _ = records(1, hours=until, messy=True)
    with running(tmp_path) as run:
        write(run, lines(predictions), until=until, step=0.7)
        schema = features_of(run).schema
        assert schema is not None and schema.names == ("@score", "@prediction", *FEATURES)
        (engine,) = run.pipeline.engines.values()
        start, end = engine.tally.ladder.windows[1].bounds(run.pipeline.clock, 0)
        held = [one for one in predictions if start <= one["timestamp"] < end]
        expected = recounted(schema, held)
        found = counted(run.page())
        found = {key: value for key, value in found.items() if key[1] != "@label"}
        assert found == expected
        strange = {"missing", "invalid", "non_finite", "out_of_range"} | ({"unseen"} if until > 12 else set())
        assert strange <= {key[2] for key, value in expected.items() if value and key[0] == "condition"}
        if until < 12:  # the window goes back to before anything was learned
            assert expected["condition", "@score", "valid"] > 0.98 * len(predictions)


# --- the same whatever the way ----------------------------------------------------------------------------------------


def test_restarts_at_random_places_change_no_bit(tmp_path: Path) -> None:
    def shifted(record: Record, hour: float) -> None:
        if hour > 10 and record["prediction_id"] % 3 == 0:
            record["version"] = "v2"
        if hour > 20 and "amount" in record["features"] and isinstance(record["features"]["amount"], float):
            record["features"]["amount"] *= 1.5

    made = records(2, hours=34, change=shifted, messy=True, users=500)
    predictions, feedback = lines(made[0]), lines(made[1])
    with running(tmp_path / "whole") as run:
        write(run, predictions, feedback, until=34)
        expected, page = known(run), run.page()
    chance = random.Random(3)
    cuts = sorted([0.6, 1.7, 2.6, *(chance.uniform(3, 34) for _ in range(5))])
    with running(tmp_path / "parts") as run:
        since = 0.0
        learning = []
        for until in (*cuts, 34.0):
            write(run, predictions, feedback, since=since, until=until, step=chance.uniform(0.8, 5))
            run.reopen()  # what was not saved is lost, and read again
            run.settle()
            run.save()
            learning.append(features_of(run).learning)
            run.reopen()
            since = until
        assert learning[:2] == [True, True] and not learning[-1]
        assert run.pipeline.notes == []
        assert known(run) == expected
        assert run.page() == page


def test_a_backlog_read_at_once_gives_the_same_bits_also_where_a_release_began_in_it(tmp_path: Path) -> None:
    def released(record: Record, hour: float) -> None:
        if hour >= 10 and record["prediction_id"] % 3 == 0:
            record["version"] = "v2"

    made = records(17, hours=15, change=released, users=300)
    found = []
    for name, step in (("at once", 15.0), ("bit by bit", 0.5)):
        with running(tmp_path / name) as run:
            write(run, lines(made[0]), lines(made[1]), until=15, step=step)
            watch = features_of(run).watch
            assert watch is not None and ("v2", "previous_version") in watch.streams
            found.append(known(run))
    assert found[0] == found[1]


def test_two_sources_or_another_order_within_the_grace_give_the_same_bits(tmp_path: Path) -> None:
    model = replace(SHOP, grace=30 * MINUTE)

    def shifted(record: Record, hour: float) -> None:
        if hour > 15:
            record["features"]["items"] += 1

    made = records(4, hours=32, change=shifted)
    predictions = lines(made[0])
    feedback = [one for one in lines(made[1]) if one[0] < START + 32 * HOUR]
    with running(tmp_path / "one", model) as run:
        write(run, predictions, feedback, until=32)
        expected = known(run)
    chance = random.Random(5)
    mixed = sorted(((time + chance.randrange(25 * MINUTE), line) for time, line in predictions), key=lambda one: one[0])
    with running(tmp_path / "mixed", model) as run:
        write(run, mixed, feedback, until=33, step=0.9)
        assert known(run) == expected
    with running(tmp_path / "two", model) as run:
        run.close()
        second = tmp_path / "two" / "more.jsonl"
        sources = (*run.settings.sources, Source("more", "predictions", str(second)))
        run.settings = replace(run.settings, sources=sources)
        run.reopen()
        half = {id(one): chance.random() < 0.5 for one in predictions}
        for begin in range(32):
            part = [one for one in predictions if START + begin * HOUR <= one[0] < START + (begin + 1) * HOUR]
            with second.open("ab") as log:
                log.write(b"".join(one[1] for one in part if half[id(one)]))
            run.write("predictions", b"".join(one[1] for one in part if not half[id(one)]))
            told = [line for time, line in feedback if START + begin * HOUR <= time < START + (begin + 1) * HOUR]
            run.write("feedback", b"".join(told))
            run.settle()
        assert known(run) == expected


def test_two_exporters_with_the_same_reference_add_up_to_one(tmp_path: Path) -> None:
    references = {"shop": reference_of(tmp_path)}
    model = replace(SHOP, reference=tmp_path / "reference.yml")
    predictions = records(6, hours=9, messy=True)[0]
    pages = []
    for name, some in (("all", predictions), ("even", predictions[::2]), ("odd", predictions[1::2])):
        with running(tmp_path / name, model, references) as run:
            write(run, lines(some), until=9)
            # The clock of each is that of its own log; the same end for all.
            run.write(
                "predictions", lines([dict(predictions[-1], prediction_id="end", timestamp=START + 9 * HOUR)])[0][1]
            )
            run.settle()
            assert features_of(run).schema is not None
            pages.append(counted(run.page()))
    assert pages[0].keys() == pages[1].keys() == pages[2].keys()
    assert {key: pages[1][key] + pages[2][key] for key in pages[0]} == pages[0]
    assert pages[0]["condition", "@score", "valid"] > 1700


# --- what is found ----------------------------------------------------------------------------------------------------


def test_a_feature_that_shifts_is_found_by_name_and_recovers(tmp_path: Path) -> None:
    back = MOVED + 13

    def shifted(record: Record, hour: float) -> None:
        if MOVED <= hour < back:
            record["features"]["amount"] *= 1.4

    made = records(7, hours=back + 26, change=shifted)
    predictions, feedback = lines(made[0]), lines(made[1])
    with running(tmp_path) as run:
        write(run, predictions, feedback, until=MOVED)
        assert moved(run.page()) == set()
        write(run, predictions, feedback, since=MOVED, until=back)
        page = run.page()
        assert moved(page) == {"amount"}
        shares = shown(page, "model_drift_contribution_ratio", "v1", "first")
        assert shares["amount"] == max(shares[name] for name in FEATURES) > 0.9
        started = page["model_drift_start_timestamp_seconds", ("shop", "v1", "amount", "first")] * 1000 - START
        assert abs(started / HOUR - MOVED) < 2
        assert page["model_drift_features_detected", ("shop", "v1", "first", "12h")] == 1
        assert set(states(page).values()) == {"ok"}
        write(run, predictions, feedback, since=back, until=back + 26)
        assert moved(run.page()) == set()
        assert ("model_drift_start_timestamp_seconds", ("shop", "v1", "amount", "first")) not in run.page()


@pytest.mark.parametrize("reference", ["training", "first"])
def test_identifiers_and_long_tails_are_neither_broken_nor_drift(tmp_path: Path, reference: str) -> None:
    """100,000 users, 1,500 pages that are alike, towns of which most are rare: there are always new ones."""
    names = ("user", "page", "town")
    model = replace(SHOP, features=tuple(Feature(name, "categorical") for name in names))

    def made(seed: int, hours: float) -> tuple[list[Record], list[Record]]:
        chance = np.random.default_rng(seed)

        def change(record: Record, hour: float) -> None:
            town = min(int(chance.pareto(0.9) * 3), 5000)
            values = (f"u{chance.integers(100_000)}", f"p{chance.integers(1500)}", f"t{town}")
            record["features"] = dict(zip(names, values, strict=True))

        return records(seed, hours=hours, change=change)

    references = None
    if reference == "training":
        path = tmp_path / "training.jsonl"
        path.write_bytes(b"".join(line for _, line in lines(made(19, 12)[0])))
        with running(tmp_path / "only for its settings", model) as run:
            references = {"shop": build(model, run.settings, path, Scoring)}
        model = replace(model, reference=path)
    page = page_of(tmp_path / "run", made(20, 40), model, references, until=40)
    assert states(page) == dict.fromkeys(("@score", "@prediction", "@label", *names), "ok")
    assert moved(page, reference) == set()
    excess = shown(page, "model_drift_excess", "v1", reference)
    assert max(excess[name] for name in names) < 0.015
    unseen = shown(page, "model_feature_records", "v1", "unseen")
    assert unseen["user"] == unseen["page"] == 0 and unseen["town"] > 20


def broken(name: str, value: Any) -> Any:
    def change(record: Record, hour: float) -> None:
        if hour >= MOVED:
            record["features"][name] = value
            if value is None:
                del record["features"][name]

    return change


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("amount", None, "vanished"),
        ("country", None, "vanished"),
        ("amount", "12.5", "invalid"),
        ("country", ["de"], "invalid"),
        ("amount", 3.25, "constant"),
        ("country", "de", "constant"),
        ("country", "xx", "unseen"),
        ("amount", 1e7, "constant"),
    ],
)
def test_a_broken_feature_has_its_state_within_a_window(tmp_path: Path, name: str, value: Any, state: str) -> None:
    made = records(8, hours=MOVED + 13, rate=150, change=broken(name, value))
    found = states(page_of(tmp_path, made, until=MOVED + 13))
    expected = dict.fromkeys(("@score", "@prediction", *FEATURES, "@label"), "ok") | {name: state}
    if state == "unseen":
        assert found.pop(name) in ("unseen", "constant")
        expected.pop(name)
    assert found == expected


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("amount", None, "vanished"),
        ("amount", 3.25, "stuck"),
        ("country", "de", "stuck"),
        ("amount", "12.5", "invalid"),
    ],
)
def test_a_feature_that_dies_is_named_within_half_an_hour_and_until_it_is_back(
    tmp_path: Path, name: str, value: Any, state: str
) -> None:
    back = MOVED + 14
    with running(tmp_path) as run:
        change = broken(name, value)

        def until_it_is_back(record: Record, hour: float) -> None:
            if hour < back:
                change(record, hour)

        made = lines(records(21, hours=back + 1, change=until_it_is_back)[0])
        write(run, made, until=MOVED)
        assert states(run.page())[name] == "ok"
        since, found = MOVED, []
        for step in (0.25, 0.25, *[0.5] * 27):
            write(run, made, since=since, until=since + step, step=step)
            since += step
            found.append(states(run.page())[name])
        assert found[1] == state
        at_last = "constant" if state == "stuck" else state
        assert set(found[1:]) == {state, at_last} and found[-1] == at_last
        write(run, made, since=back, until=back + 1)
        assert states(run.page())[name] not in ("vanished", "stuck", "constant")


@pytest.mark.parametrize(("released", "state"), [(True, "stuck"), (False, "ok")])
def test_on_the_first_day_only_a_baseline_tells_that_a_feature_does_not_sleep(
    tmp_path: Path, released: bool, state: str
) -> None:
    def change(record: Record, hour: float) -> None:
        if hour >= 3 and (record["prediction_id"] % 2 or not released):
            record["version"] = "v2" if released else "v1"
            if hour >= 6:
                record["features"]["amount"] = 3.25

    page = page_of(tmp_path, records(22, hours=8, rate=400, change=change), until=8)
    assert states(page, "v2" if released else "v1")["amount"] == state
    assert states(page, "v1")["items"] == "ok"


def test_what_is_wrong_with_three_in_a_hundred_values_moves_the_feature(tmp_path: Path) -> None:
    """So that an alert tells of every state, though most have none of their own."""
    chance = np.random.default_rng(22)

    def spoiled(record: Record, hour: float) -> None:
        if hour >= MOVED:
            for name, value in (("amount", 1e7), ("items", "3"), ("country", "xx"), ("member", None)):
                if chance.random() < 0.03:
                    record["features"][name] = value

    page = page_of(tmp_path, records(23, hours=MOVED + 13, change=spoiled), until=MOVED + 13)
    assert moved(page) == {"amount", "items", "country", "member"}
    found = states(page)
    assert [found[name] for name in FEATURES] == ["out_of_range", "missing", "unseen", "missing", "ok"]


def test_a_feature_that_is_renamed_vanishes_and_appears(tmp_path: Path) -> None:
    def renamed(record: Record, hour: float) -> None:
        if hour >= MOVED:
            record["features"]["total"] = record["features"].pop("amount")

    page = page_of(tmp_path, records(9, hours=MOVED + 13, change=renamed), until=MOVED + 13)
    changed = {row[1:]: value for (name, row), value in page.items() if name == "model_schema_changed"}
    assert {row for row, value in changed.items() if value} == {("amount", "vanished"), ("total", "appeared")}
    assert states(page)["amount"] == "vanished"
    assert moved(page) == {"amount"}


def test_a_release_with_a_broken_feature_is_shown_against_its_baseline(tmp_path: Path) -> None:
    def released(record: Record, hour: float) -> None:
        if hour >= MOVED and record["prediction_id"] % 2:
            record["version"] = "v2"
            record["features"]["amount"] *= 100

    made = records(10, hours=MOVED + 3, change=released)
    page = page_of(tmp_path, made, until=MOVED + 3)
    assert moved(page, "previous_version", "v2") == {"amount"}
    assert moved(page, "first", "v1") == set()
    shares = shown(page, "model_drift_contribution_ratio", "v2", "previous_version")
    assert shares["amount"] == max(shares[name] for name in FEATURES)
    assert states(page, "v2")["amount"] == "out_of_range" and states(page)["amount"] == "ok"
    size = page["model_drift_reference_records", ("shop", "v2", "previous_version", "12h")]
    assert 150 < size < 450


def test_a_weekly_cycle_is_nothing_new_to_the_weeks_before(tmp_path: Path) -> None:
    references = ("trailing", "first")
    model = replace(SHOP, horizon=2 * HOUR, drift=replace(SHOP.drift, references=references, trailing=4 * WEEK))

    def weekly(record: Record, hour: float) -> None:
        if hour // 24 % 7 >= 5:
            record["features"]["items"] += 2
        record["features"]["amount"] *= 1 + 0.5 * np.sin(2 * np.pi * hour / 24)

    hours = 21 * 24
    made = records(11, hours=hours, rate=30, change=weekly)
    predictions = lines(made[0])
    trailing, first = set(), set()
    with running(tmp_path, model) as run:
        for since in range(0, hours, 24):
            write(run, predictions, since=since, until=since + 24, step=12)
            page = run.page()
            trailing |= {(since, name) for name in moved(page, "trailing")}
            first |= moved(page, "first")
        assert shown(page, "model_drift_p_value", "v1", "trailing").keys() >= set(FEATURES)
    assert trailing == set()
    assert "items" in first


# --- labels -----------------------------------------------------------------------------------------------------------


def test_labels_that_come_in_other_shares_are_found(tmp_path: Path) -> None:
    page = page_of(tmp_path / "binary", records(12, positive=(0.2, 0.4)))
    assert moved(page) == {"@label"}
    page = page_of(tmp_path / "number", records(13, shift=8.0, model=PRICE), PRICE)
    assert "@label" in moved(page) and moved(page) <= {"@label", "@prediction"}


@pytest.mark.parametrize("model", [SHOP, PRICE], ids=["binary", "regression"])
def test_labels_are_counted_as_they_are_after_late_corrections(tmp_path: Path, model: Any) -> None:
    predictions, feedback = records(14, hours=16, model=model)
    chance = random.Random(15)
    told = list(feedback)
    for one in feedback:
        if chance.random() < 0.2:
            corrected = dict(one, timestamp=one["timestamp"] + chance.randrange(10 * HOUR))
            corrected["label"] = 1 - one["label"] if model.task == "binary" else one["label"] + 25
            told.append(corrected)
        elif chance.random() < 0.05:
            withdrawn = dict(one, timestamp=one["timestamp"] + chance.randrange(10 * HOUR), retract=True)
            del withdrawn["label"]
            told.append(withdrawn)
    told = [one for one in told if one["timestamp"] < START + 16 * HOUR]
    told.sort(key=lambda one: int(one["timestamp"]))
    with running(tmp_path, model) as run:
        write(run, lines(predictions), lines(told), until=16, step=0.9)
        (engine,) = run.pipeline.engines.values()
        start, end = engine.tally.ladder.windows[1].bounds(run.pipeline.clock, HOUR)
        last = {one["prediction_id"]: one for one in told}
        held = [
            last[one["prediction_id"]]
            for one in predictions
            if start <= one["timestamp"] < end
            if "label" in last.get(one["prediction_id"], {})
        ]
        assert engine.labels.schema is not None
        found = {key: value for key, value in counted(run.page()).items() if key[1] == "@label"}
        assert found == recounted(engine.labels.schema, held, labels=True)
        assert len(held) > 1000


# --- another configuration --------------------------------------------------------------------------------------------


def test_other_features_or_another_reference_start_the_bins_anew_and_lose_nothing_else(tmp_path: Path) -> None:
    made = records(16, hours=12)
    one, other = reference_of(tmp_path / "one", 91), reference_of(tmp_path / "other", 92)
    model = replace(SHOP, reference=tmp_path / "one" / "reference.yml")
    more = replace(model, features=(*SHOP.features, Feature("extra", "numeric")))
    with running(tmp_path / "run", model, {"shop": one}) as run:
        write(run, lines(made[0]), lines(made[1]), until=12)
        run.save()
        before = run.page()
        for used, reference in ((more, one), (more, other)):
            run.settings = replace(run.settings, models=(used,))
            run.references = {"shop": fitted(reference, used, tmp_path / "reference.yml")}
            run.reopen()
            run.settle()
            assert any("bins of features" in note for note in run.pipeline.notes)
            assert not any("lifetime" in note for note in run.pipeline.notes)
            page = run.page()
            assert {key: value for key, value in page.items() if _of_quality(key[0])} == {
                key: value for key, value in before.items() if _of_quality(key[0])
            }
            counted_now = shown(page, "model_feature_records", "v1", "valid")
            # The same bins of the same file go on; those of another begin.
            assert (counted_now["amount"] > 2000) == (reference is one)
            assert set(shown(page, "model_drift_detected").values()) == {0.0}
            run.save()
            run.reopen()
            assert run.pipeline.notes == []


def test_labels_of_another_reference_or_channel_start_anew_and_say_so(tmp_path: Path) -> None:
    made = records(18, hours=12, model=PRICE)
    one, other = reference_of(tmp_path / "one", 93, PRICE), reference_of(tmp_path / "other", 94, PRICE)
    model = replace(PRICE, reference=tmp_path / "one" / "reference.yml")
    with running(tmp_path / "run", model, {"price": one}) as run:
        write(run, lines(made[0]), lines(made[1]), until=12)
        run.save()
        before = run.page()
        run.references = {"price": other}
        run.reopen()
        run.settle()
        assert any("the bins of labels: those of the reference data have changed" in one for one in run.pipeline.notes)
        assert not any("lifetime" in note for note in run.pipeline.notes)
        page = run.page()
        assert {key: value for key, value in page.items() if _of_quality(key[0])} == {
            key: value for key, value in before.items() if _of_quality(key[0])
        }
        # What still waits for corrections is counted in the new bins.
        assert shown(page, "model_feature_records", "v1", "valid")["@label"] > 2000
        run.save()
        other_channel = replace(model.channels[0], name="audit")
        run.settings = replace(run.settings, models=(replace(model, channels=(other_channel,)),))
        run.reopen()
        assert any(
            "the bins of labels: the channel that they come from has changed" in one for one in run.pipeline.notes
        )
        run.save()
        run.reopen()
        assert run.pipeline.notes == []


def _of_quality(family: str) -> bool:
    return not family.startswith(("model_drift", "model_feature", "model_schema"))
