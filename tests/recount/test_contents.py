"""Rankings, texts and signals over reloads, damage and bounds: what fits stays, what is lost is said and counted."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from tests.recount.driver import Page, Run
from tests.recount.logs import generate, settings_for, wordy_models
from tests.recount.test_order import read_all, scores_of, sums
from tidegauge.config.settings import DAY, HOUR, MINUTE, SECOND, Channel, Model, Signal
from tidegauge.decode.content import MAX_BYTES
from tidegauge.pipeline import pipeline

START = 1_714_557_600_000
OUTCOME = Channel("outcome", "complete", 10 * MINUTE)
DWELL, BOUGHT = Signal("dwell", "numeric", maturity=5 * MINUTE), Signal("bought", "boolean", maturity=5 * MINUTE)
SURE, LENGTH = Signal("sure", "numeric", "confidence"), Signal("length", "numeric", "answer_length")
NONE = Signal("none", "boolean", "abstention", labels=("?",))
COMMON: dict[str, Any] = {"windows": (HOUR, 6 * HOUR), "horizon": DAY, "slices": ("country",), "minimum_samples": 1}
SEARCH = Model("search", "ranking", (OUTCOME,), k=3, signals=(DWELL, BOUGHT, SURE, LENGTH), **COMMON)
SPEECH = Model("speech", "text", (OUTCOME,), signals=(DWELL, NONE, LENGTH), **COMMON)
ROWS = 200


@contextmanager
def exporter(folder: Path, *used: Model) -> Iterator[Run]:
    run = Run(settings_for(folder, used))
    try:
        yield run
    finally:
        run.close()


def write(run: Run, kind: str, records: Sequence[dict[str, Any]]) -> None:
    run.write(kind, b"".join(json.dumps(record).encode() + b"\n" for record in records))


def answers(first: int, model: str, rows: int = ROWS, ids: str = "") -> list[dict[str, Any]]:
    """A prediction every ten seconds."""
    chance = random.Random(first)
    return [
        {
            "prediction_id": f"{model}{ids}{number}",
            "timestamp": START + number * 10 * SECOND,
            "model": model,
            "version": "v1",
            "prediction": chance.sample("abcdefgh", 5)
            if model == "search"
            else " ".join(chance.choice(["on", "off", "Up", "?"]) for _ in range(chance.randrange(4))),
            "score": chance.random(),
            "slices": {"country": chance.choice(["de", "fr"])},
        }
        for number in range(first, first + rows)
    ]


def labels(first: int, model: str, rows: int = ROWS, ids: str = "") -> list[dict[str, Any]]:
    chance = random.Random(first + 1)
    records: list[dict[str, Any]] = []
    for number in range(first, first + rows):
        record = {"prediction_id": f"{model}{ids}{number}", "timestamp": START + number * 10 * SECOND, "model": model}
        label = chance.sample("abcdefgh", 2) if model == "search" else "on off up"
        records += [record | {"label": label}, record | {"signal": "dwell", "value": chance.randrange(9)}]
        if model == "search" and chance.random() < 0.5:
            records.append(record | {"signal": "bought", "value": True})
    return records


def later(run: Run, model: str, hours: float) -> None:
    """Moves the clock on."""
    time = START + ROWS * 10 * SECOND + int(hours * HOUR)
    write(run, "predictions", [{"timestamp": time, "model": model, "version": "v1", "prediction": []}])
    run.settle()


def change(run: Run, *used: Model) -> list[str]:
    """A restart under another configuration; returns what it says."""
    run.save()
    run.settings = replace(run.settings, models=used)
    run.reopen()
    notes = list(run.pipeline.notes)
    run.settle()
    return notes


def of(page: Page, *words: str) -> Page:
    """The samples whose family begins with the first word and whose labels hold the others."""
    return {key: value for key, value in page.items() if key[0].startswith(words[0]) and set(words[1:]) <= set(key[1])}


def fill(run: Run, *used: Model) -> Page:
    for model in used:
        write(run, "predictions", answers(0, model.name))
        write(run, "feedback", labels(0, model.name))
    run.settle()
    for model in used:
        if model.task == "ranking":
            later(run, model.name, 0.5)
        else:
            time = START + ROWS * 10 * SECOND + HOUR // 2
            write(run, "predictions", [{"timestamp": time, "model": model.name, "version": "v1", "prediction": "on"}])
            run.settle()
    return run.page()


class TestAChangedConfiguration:
    @pytest.mark.parametrize(
        ("old", "new"), [(SEARCH, replace(SEARCH, k=1)), (SPEECH, replace(SPEECH, normalize=("lowercase",)))]
    )
    def test_another_way_of_comparing_drops_labels_and_says_so(self, tmp_path: Path, old: Model, new: Model) -> None:
        with exporter(tmp_path, old) as run:
            before = fill(run, old)
            assert of(before, "model_quality_score", "1h")
            notes = change(run, new)
            assert any("compared with answers in another way" in note for note in notes)
            after = run.page()
            assert not of(after, "model_quality_score")
            assert all(value == 0 for value in of(after, "model_window_labeled_predictions").values())
            # Nothing else has changed its meaning.
            assert of(after, "model_proxy") == of(before, "model_proxy")
            assert of(after, "model_window_mature_predictions", "1h") == of(
                before, "model_window_mature_predictions", "1h"
            )
            again = [record | {"timestamp": record["timestamp"] + 1} for record in labels(0, old.name)]
            write(run, "feedback", [record for record in again if "label" in record])
            run.settle()
            anew = of(run.page(), "model_quality_score", "1h")
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        with exporter(fresh, new) as run:
            assert of(fill(run, new), "model_quality_score", "1h") == anew

    def test_a_signal_is_added_and_the_others_stay(self, tmp_path: Path) -> None:
        few = replace(SEARCH, signals=(BOUGHT, LENGTH))
        with exporter(tmp_path, few) as run:
            before = fill(run, few)
            change(run, SEARCH)
            after = run.page()
            for family in ("model_proxy", "model_slice_proxy", "model_quality"):
                for key, value in of(before, family).items():
                    if "lifetime" not in key[1]:
                        assert after[key] == value, key
            assert of(after, "model_proxy_samples", "sure", "1h") == {
                ("model_proxy_samples", ("search", "v1", "sure", "1h")): 0
            }
            extra = [record | {"timestamp": record["timestamp"] + 1} for record in labels(0, "search")]
            write(run, "feedback", extra)
            run.settle()
            assert of(run.page(), "model_proxy_samples", "dwell", "1h") != {}
            assert sum(of(run.page(), "model_proxy_samples", "dwell", "6h").values()) == ROWS

    def test_a_signal_is_removed_and_that_is_said(self, tmp_path: Path) -> None:
        with exporter(tmp_path, SEARCH) as run:
            before = fill(run, SEARCH)
            notes = change(run, replace(SEARCH, signals=(BOUGHT, LENGTH)))
            assert any("dwell" in note for note in notes)
            assert any("sure" in note for note in notes)
            after = run.page()
            assert not of(after, "model_proxy", "dwell")
            for name in ("bought", "length"):
                assert of(after, "model_proxy", name) == of(before, "model_proxy", name) != {}

    @pytest.mark.parametrize(
        "other",
        [
            Signal("dwell", "boolean", maturity=5 * MINUTE),
            Signal("dwell", "numeric", "answer_length"),
            Signal("dwell", "numeric", "confidence"),
        ],
    )
    def test_a_signal_that_means_something_else_starts_anew(self, tmp_path: Path, other: Signal) -> None:
        with exporter(tmp_path, SEARCH) as run:
            before = fill(run, SEARCH)
            assert any("dwell" in note for note in change(run, replace(SEARCH, signals=(other, BOUGHT, SURE, LENGTH))))
            after = run.page()
            assert set(of(after, "model_proxy_samples", "dwell").values()) == {0}
            assert of(after, "model_proxy", "sure") == of(before, "model_proxy", "sure") != {}

    def test_derived_signals_of_another_origin_do_not_add_up(self, tmp_path: Path) -> None:
        with exporter(tmp_path, SEARCH) as run:
            fill(run, SEARCH)
            change(run, replace(SEARCH, signals=(DWELL, BOUGHT, replace(SURE, origin="answer_length"), LENGTH)))
            assert set(of(run.page(), "model_proxy_samples", "sure").values()) == {0}
            write(run, "predictions", answers(ROWS, "search"))
            run.settle()
            assert set(of(run.page(), "model_proxy_score", "sure").values()) == {5}

    def test_other_words_for_no_answer_are_another_signal(self, tmp_path: Path) -> None:
        with exporter(tmp_path, SPEECH) as run:
            fill(run, SPEECH)
            assert sum(of(run.page(), "model_proxy_numerator", "none", "6h").values()) > 0
            change(run, replace(SPEECH, signals=(DWELL, replace(NONE, labels=("off",)), LENGTH)))
            assert set(of(run.page(), "model_proxy_samples", "none").values()) == {0}

    def test_another_task_begins_anew_and_the_old_contents_go(self, tmp_path: Path) -> None:
        binary = Model("search", "binary", (OUTCOME,), **COMMON)
        with exporter(tmp_path, SEARCH) as run:
            fill(run, SEARCH)
            run.save()
            spool = run.settings.state / "spool"
            assert list(spool.iterdir())
            notes = change(run, binary)
            assert any("its task" in note for note in notes)
            assert not of(run.page(), "model_quality_score")
            for _ in range(4):
                run.save()
            assert not list(spool.iterdir())


class TestContentsThatAreLost:
    @pytest.mark.parametrize("damage", ["cut", "gone", "noise"])
    def test_what_cannot_be_read_back_is_counted_and_scored_without(self, tmp_path: Path, damage: str) -> None:
        with exporter(tmp_path, SEARCH, SPEECH) as run:
            for model in (SEARCH, SPEECH):
                write(run, "predictions", answers(0, model.name))
            run.settle()
            run.save()
            run.close()
            chance = random.Random(1)
            for path in (run.settings.state / "spool").iterdir():
                data = bytearray(path.read_bytes())
                if damage == "cut":
                    path.write_bytes(data[: len(data) // 2])
                elif damage == "gone":
                    path.unlink()
                else:
                    for place in range(0, len(data), 50):
                        data[place] = chance.randrange(256)
                    path.write_bytes(data)
            run.reopen()
            for model in (SEARCH, SPEECH):
                write(run, "feedback", labels(0, model.name))
            run.settle()
            later(run, "search", 0.5)
            page = run.page()
            for model, metric in ((SEARCH, "ndcg"), (SPEECH, "word_error_rate")):
                lost = run.pipeline.engines[model.name].join.contents.dropped
                assert lost == ROWS if damage == "gone" else 0 < lost <= ROWS
                scored = page["model_quality_samples", (model.name, "v1", "outcome", metric, "lifetime")]
                assert scored + lost <= ROWS
                if model is SEARCH:
                    labeled = page["model_window_labeled_predictions", (model.name, "v1", "outcome", "lifetime")]
                    assert (labeled, scored) == (ROWS, ROWS - lost)
                assert not any(math.isnan(value) for value in page.values())

    def test_a_full_spool_and_a_long_answer_are_counted(self, tmp_path: Path) -> None:
        with exporter(tmp_path, SEARCH, SPEECH) as run:
            run.pipeline.spools["search"].max_bytes = 5_000
            write(run, "predictions", answers(0, "search"))
            long = answers(0, "speech", 3)
            long[0]["prediction"] = "a" * (MAX_BYTES + 1)
            long[1]["prediction"] = "b" * (MAX_BYTES - 2)
            write(run, "predictions", long)
            run.settle()
            dropped = run.pipeline.engines["search"].join.contents.dropped
            assert 0 < dropped < ROWS
            assert run.pipeline.spools["search"].nbytes <= 5_000
            assert run.pipeline.engines["speech"].join.contents.dropped == 1
            write(run, "feedback", labels(0, "search"))
            too_long = {"prediction_id": "speech2", "timestamp": START, "model": "speech", "label": "c" * MAX_BYTES}
            kept = {"prediction_id": "speech1", "timestamp": START, "model": "speech", "label": "b"}
            write(run, "feedback", [too_long, kept])
            run.settle()
            later(run, "search", 0.5)
            time = START + ROWS * 10 * SECOND + HOUR
            write(run, "predictions", [{"timestamp": time, "model": "speech", "version": "v1", "prediction": ""}])
            run.settle()
            page = run.page()
            assert page["model_quality_samples", ("search", "v1", "outcome", "ndcg", "lifetime")] == ROWS - dropped
            assert run.pipeline.engines["speech"].join.contents.dropped == 2
            place = ("speech", "v1", "outcome", "character_error_rate", "lifetime")
            assert page["model_quality_numerator", place] == MAX_BYTES - 3

    def test_files_go_when_the_horizon_has_passed(self, tmp_path: Path) -> None:
        model = replace(SEARCH, windows=(10 * MINUTE,), horizon=HOUR)
        most = 0
        with exporter(tmp_path, model) as run:
            for part in range(20):
                write(run, "predictions", answers(part * 100, "search", 100))
                run.settle()
                run.save()
                most = max(most, run.pipeline.spools["search"].nbytes)
            one = run.pipeline.spools["search"].nbytes
            # Each part is 17 minutes long: no more than an hour's worth and what is not yet ended is there.
            assert one <= most < 7 * 100 * 60
            for hours in (40, 42):
                later(run, "search", hours)
                run.save()
            run.save()
            kept = sum(path.stat().st_size for path in (run.settings.state / "spool").iterdir())
            assert kept < 100


class TestTheOrderOfArrival:
    @pytest.mark.parametrize("seed", range(2))
    def test_does_not_change_a_bit_of_any_sum(self, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        used = wordy_models(implied=seed == 1)
        predictions, feedback = generate(seed, used, size=300, disorder=True, weighted=seed == 1)
        newest = max(one.time for one in predictions if one.fate == "accepted")
        predictions = [one for one in predictions if one.fate == "accepted" and one.time > newest - 6.5 * HOUR]
        known = {one.key for one in predictions}
        feedback = [one for one in feedback if one.key in known]
        first = read_all(tmp_path / "first", used, predictions, feedback, seed)
        chance = random.Random(seed)
        chance.shuffle(predictions)
        chance.shuffle(feedback)
        monkeypatch.setattr(pipeline, "BLOCK_BYTES", {"predictions": 3000, "feedback": 3000})
        second = read_all(tmp_path / "second", used, predictions, feedback, seed + 1)
        try:
            assert scores_of(second.page()) == scores_of(first.page())
            for name, engine in first.pipeline.engines.items():
                assert sums(engine) == sums(second.pipeline.engines[name])
        finally:
            first.close()
            second.close()


class TestTheHashSample:
    def test_scores_and_given_signals_stay_unbiased_and_derived_ones_exact(self, tmp_path: Path) -> None:
        rows, cap, seeds = 240, 60, 40
        found: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        whole: list[tuple[str, tuple[str, ...]]]
        whole = [("quality", ("speech", "v1", "outcome", f"{unit}_error_rate", "6h")) for unit in ("word", "character")]
        whole.append(("proxy", ("speech", "v1", "dwell", "6h")))
        exact: Page = {}
        for seed in range(seeds + 1):
            folder = tmp_path / str(seed)
            folder.mkdir()
            model = replace(SPEECH, max_pending=10_000_000 if seed == 0 else cap)
            with exporter(folder, model) as run:
                write(run, "predictions", answers(0, "speech", rows, ids=f"/{seed}/"))
                write(run, "feedback", labels(0, "speech", rows, ids=f"/{seed}/"))
                time = START + rows * 10 * SECOND + HOUR // 2
                write(run, "predictions", [{"timestamp": time, "model": "speech", "version": "v1", "prediction": ""}])
                run.settle()
                join, page = run.pipeline.engines["speech"].join, run.page()
            if seed == 0:
                exact = page
                continue
            assert join.exponent > 0
            for name in ("length", "none"):
                assert of(page, "model_proxy", name) == of(exact, "model_proxy", name) != {}
            for kind, place in whole:
                for part in ("score", "numerator", "denominator"):
                    key = (f"model_{kind}_{part}", place)
                    found.setdefault(key, []).append(page[key])
        assert len(found) == 9
        for key, values in found.items():
            if stdev(values):  # every label has the same length
                error = stdev(values) / math.sqrt(seeds)
                assert abs(mean(values) - exact[key]) < 3.5 * error, (key, mean(values), exact[key])


class TestLabelsThatNameNoModel:
    """Where several models are configured, what a label is can be told only when its prediction is known."""

    @pytest.mark.parametrize("predictions_first", [True, False])
    def test_a_list_is_no_class_and_a_value_is_of_the_type_of_its_model(
        self, tmp_path: Path, *, predictions_first: bool
    ) -> None:
        used = (
            replace(SEARCH, signals=(Signal("tap", "numeric"),)),
            replace(SPEECH, signals=(Signal("tap", "boolean"),)),
            Model("fraud", "binary", (OUTCOME,), **COMMON),
            Model("topic", "multiclass", (OUTCOME,), **COMMON),
            Model("price", "regression", (OUTCOME,), **COMMON),
        )
        given: dict[str, Any] = {"search": ["a", "b"], "speech": "a b", "fraud": "1", "topic": "a", "price": 2}
        asked, told = [], []
        for model, answer in given.items():
            for number in range(4):
                key = f"{model}{number}"
                asked.append({"prediction_id": key, "timestamp": START, "model": model, "prediction": answer})
            asked.append({"timestamp": START + HOUR, "model": model, "prediction": answer})
            for number, label in enumerate((["a", "x"], "a", "", 2)):
                record = {"prediction_id": f"{model}{number}", "timestamp": START + 1, "channel": "outcome"}
                told.append(record | {"label": label})
        for number, value in enumerate((None, True, 3, 0)):
            for model in ("search", "speech"):
                record = {"prediction_id": f"{model}{number}", "timestamp": START + 1, "signal": "tap"}
                told.append(record if value is None else record | {"value": value})
        with exporter(tmp_path, *used) as run:
            for kind in ("predictions", "feedback") if predictions_first else ("feedback", "predictions"):
                write(run, kind, asked if kind == "predictions" else told)
                run.settle()
            page = run.page()
            labeled = {
                name: sum(of(page, "model_window_labeled_predictions", name, "lifetime").values()) for name in given
            }
            lost = 7 + 2
            # A list is a ranking's alone; no text is a class or a number that is empty, and none but 2 is a number.
            assert labeled == {"search": 4, "speech": 3, "fraud": 2, "topic": 2, "price": 1}
            taps = {name: of(page, "model_proxy_numerator", name, "tap", "6h") for name in ("search", "speech")}
            assert [sum(one.values()) for one in taps.values()] == [4, 2]
            assert sum(of(page, "model_proxy_samples", "search", "6h").values()) == 3
            assert sum(of(page, "model_proxy_samples", "speech", "6h").values()) == 3
            records = run.pipeline.records
            if predictions_first:
                assert records["feedback", "invalid_label"] == lost + 1
                assert records["feedback", "accepted"] == len(told) - lost - 1
            else:
                assert records["feedback", "accepted"] == len(told)
                assert run.pipeline.lost_feedback["", "orphaned"] == lost + 1
