"""Nothing that is published of windows depends on the order in which records arrive, nor on who read which of them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.recount.driver import Page, Run
from tests.recount.logs import CLASSES, Feedback, Prediction, generate, line, models, settings_for
from tests.recount.oracle import Recount
from tidegauge.config.settings import HOUR, Model
from tidegauge.join.layout import read_time
from tidegauge.join.rows import NONE, RETRACTED
from tidegauge.pipeline import pipeline
from tidegauge.pipeline.engine import Engine

BY_ARRIVAL = ("model_feedback_total", "model_feedback_delay_seconds")
"""What became of a record depends on what was there before it; what holds in the end does not."""


def read_all(
    folder: Path, used: tuple[Model, ...], predictions: list[Prediction], feedback: list[Feedback], seed: int
) -> Run:
    """Everything is in the logs before the first look."""
    folder.mkdir()
    run = Run(settings_for(folder, used))
    chance = random.Random(seed)
    run.write("predictions", b"".join(line(one, chance) for one in predictions))
    run.write("feedback", b"".join(line(one, chance) for one in feedback))
    run.settle()
    return run


def final_labels(engine: Engine) -> dict[tuple[int, str], tuple[int, str | float]]:
    """By prediction and channel: time and label of what holds."""
    join = engine.join
    packed = join._gather(join.table.live_numbers(0, join.table.high_water))
    labels: dict[tuple[int, str], tuple[int, str | float]] = {}
    for number, channel in enumerate(engine.model.channels):
        held = packed[packed[f"label{number}"] != NONE]
        assert join.base is not None
        times = read_time(held, f"low{number}", f"high{number}", join.base)
        for row, time in zip(held, times.tolist(), strict=True):
            code = int(row[f"label{number}"])
            value: str | float = "withdrawn"
            if code != RETRACTED and engine.model.task == "regression":
                value = float(row[f"number{number}"])
            elif code != RETRACTED and channel.kind in ("mistakes", "voluntary"):
                value = "right" if code == int(row["predicted"]) else "wrong"
            elif code != RETRACTED:
                value = engine.classes.texts[code]
            labels[int(row["key"]), channel.name] = (time, value)
    return labels


def sums(engine: Engine) -> dict[tuple[object, ...], list[int]]:
    """Every sum by names instead of codes; families laid out by class only where the classes have fixed codes."""
    tally = engine.tally
    named: dict[tuple[object, ...], list[int]] = {}
    for number, family in enumerate(tally.families):
        live = tally.cells.live_numbers(0, tally.cells.high_water)
        for cell in tally.cells.rows[live]:
            row = int(cell["counts"][number]) - 1
            version, key, value = (
                int(part[0]) for part in tally.series.split(np.array([cell["series"]], dtype=np.int64))
            )
            if row >= 0:
                text = engine.slices[key].texts[value] if key >= 0 else ""
                counts = tally._counts[number][key >= 0].rows["counts"][row].tolist()
                if any(counts):
                    place = (family.name, engine.versions.texts[version], key, text, int(cell["pane"]))
                    named[place] = counts
    return named


def scores_of(page: Page) -> Page:
    return {key: value for key, value in page.items() if not key[0].startswith(BY_ARRIVAL)}


@pytest.mark.parametrize(("seed", "learn"), [(0, False), (1, True), (2, True), (3, False)])
def test_two_orders_give_the_same_sums_windows_and_labels(
    tmp_path: Path, seed: int, learn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = models(learn=learn, implied=seed % 2 == 1)
    predictions, feedback = generate(seed, used, size=400, disorder=True, weighted=seed > 1)
    # Of repeated ids the first wins, and what is older than the longest window by its maturity comes too late.
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
        # Scores add up classes in the order in which they were met; the sums that they are made of are equal.
        exact = scores_of(first.page())
        assert scores_of(second.page()) == (pytest.approx(exact, rel=1e-12, abs=1e-12) if learn else exact)
        for name, engine in first.pipeline.engines.items():
            other = second.pipeline.engines[name]
            assert final_labels(engine) == final_labels(other)
            if name != "topic" or not learn:
                assert sums(engine) == sums(other)
    finally:
        first.close()
        second.close()


def test_feedback_that_is_read_before_any_prediction_is_judged_as_after(tmp_path: Path) -> None:
    used = models()
    predictions, feedback = generate(11, used, size=300, disorder=False)
    predictions = [one for one in predictions if one.fate == "accepted"]
    pages = []
    for order in (("predictions", "feedback"), ("feedback", "predictions")):
        folder = tmp_path / order[0]
        folder.mkdir()
        run = Run(settings_for(folder, used))
        chance = random.Random(1)
        for kind in order:
            records = predictions if kind == "predictions" else feedback
            run.write(kind, b"".join(line(one, chance) for one in records))
            run.read()
        run.settle()
        pages.append(run.page())
        run.close()
    # Feedback that comes after the sealing of its block is not in it; everything else is equal.
    sealed = ("model_outcomes_total", "model_confusion_total")
    kept = [{k: v for k, v in scores_of(page).items() if not k[0].startswith(sealed)} for page in pages]
    assert kept[0] == pytest.approx(kept[1], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_the_sums_of_two_exporters_are_those_of_one_that_reads_everything(tmp_path: Path, seed: int) -> None:
    used = models(learn=False)
    predictions, feedback = generate(seed, used, size=400, disorder=False, weighted=seed == 1)
    predictions = [one for one in predictions if one.fate == "accepted"]
    feedback = [one for one in feedback if not one.key.startswith("nobody")]
    end = max(one.time for one in predictions) // 60_000 * 60_000 + 60_000
    # They share a clock.
    predictions += [Prediction(model.name, None, end, "v1", end, _any_answer(model)) for model in used]

    def share(which: int) -> tuple[list[Prediction], list[Feedback]]:
        last = [one for one in predictions if one.time == end]
        mine = [one for one in predictions if one.key is not None and hash_of(one.key) == which]
        return [*mine, *last], [one for one in feedback if hash_of(one.key) == which]

    everything = [one for one in predictions if one.key is not None or one.time == end]
    runs = [read_all(tmp_path / "all", used, everything, feedback, seed)]
    runs += [read_all(tmp_path / f"share-{which}", used, *share(which), seed) for which in (0, 1)]
    whole, *parts = (run.page() for run in runs)
    for run in runs:
        run.close()
    summed: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for part in parts:
        summed.update(part)
    additive = (
        "model_quality_numerator",
        "model_quality_denominator",
        "model_slice_quality_numerator",
        "model_slice_quality_denominator",
        "model_window_mature_predictions",
        "model_window_labeled_predictions",
        "model_window_confusion",
        "model_outcomes_total",
        "model_confusion_total",
        "model_feedback_total",
        "model_calibration_bin",
    )
    compared = 0
    for key, value in whole.items():
        if key[0].startswith(additive):
            assert summed[key] == pytest.approx(value, rel=1e-12, abs=1e-12), key
            compared += 1
    assert compared > 1000


def hash_of(key: str) -> int:
    return sum(key.encode()) % 2


def _any_answer(model: Model) -> str | float:
    if model.task == "regression":
        return 1.0
    return "0" if model.task == "binary" else CLASSES[0]


def test_the_recount_itself_is_not_empty() -> None:
    used = models()
    predictions, feedback = generate(3, used, size=400, disorder=False)
    clock = max(one.time for one in predictions if one.fate == "accepted")
    for model in used:
        one = Recount(model, predictions, feedback, clock)
        results = {result for _, _, result in one.results}
        assert results >= {"joined", "replaced", "duplicate", "superseded", "retracted", "late"}
        assert (
            sum(value for (family, _), value in one.page.items() if family == "model_window_labeled_predictions") > 50
        )
