"""At the cap of waiting predictions a hash sample stands for all: bounded, unbiased, the same however it came about."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import pytest

from tests.recount.driver import Page, Run
from tests.recount.logs import START, settings_for
from tidegauge.config.settings import DAY, HOUR, MINUTE, SECOND, Channel, Model
from tidegauge.pipeline import pipeline
from tidegauge.state.table import Table

CAP = 200
MODEL = Model(
    "fraud",
    "binary",
    (Channel("outcome", "complete", 30 * MINUTE),),
    windows=(HOUR, 6 * HOUR),
    horizon=DAY,
    slices=("country",),
)
ROWS = 1500
SAMPLED = ("model_feedback_total", "model_outcomes_total", "model_confusion_total")


@contextmanager
def exporter(model: Model, monkeypatch: pytest.MonkeyPatch, block_bytes: int = 4000) -> Iterator[Run]:
    monkeypatch.setattr(pipeline, "BLOCK_BYTES", {"predictions": block_bytes, "feedback": block_bytes})
    with tempfile.TemporaryDirectory() as folder:
        run = Run(settings_for(Path(folder), (model,)))
        try:
            yield run
        finally:
            run.close()


def logs(seed: int, rows: int = ROWS) -> tuple[list[bytes], list[bytes]]:
    """Every third answer is wrong, every other prediction labelled; only the ids depend on the seed."""
    predictions, feedback = [], []
    for number in range(rows):
        time = START + number * 2 * SECOND
        key = f"{seed}-{number}"
        answer = number % 2
        truth = answer if number % 3 else 1 - answer
        prediction = {"prediction_id": key, "timestamp": time, "version": "v1", "prediction": answer}
        prediction |= {"slices": {"country": "de" if number % 5 else "fr"}, "score": (number % 300 + 0.5) / 300}
        predictions.append(json.dumps(prediction).encode() + b"\n")
        if number % 2 == 0 or number % 7 == 0:
            feedback.append(
                json.dumps({"prediction_id": key, "timestamp": time + MINUTE, "label": truth}).encode() + b"\n"
            )
    # Time goes on until everything is mature.
    end = {"timestamp": START + rows * 2 * SECOND + 2 * HOUR, "version": "v1", "prediction": 0}
    predictions.append(json.dumps(end).encode() + b"\n")
    return predictions, feedback


def replay(run: Run, predictions: Sequence[bytes], feedback: Sequence[bytes], parts: int = 5) -> None:
    for part in range(parts):
        for kind, lines in (("predictions", predictions), ("feedback", feedback)):
            run.write(kind, b"".join(lines[len(lines) * part // parts : len(lines) * (part + 1) // parts]))
        run.pipeline.poll()
        while run.pipeline.step():
            assert run.pipeline.engines["fraud"].join.table.live <= CAP
            assert len(run.pipeline.engines["fraud"].join.waiting) <= CAP
    run.settle()


def windows_of(page: Page) -> Page:
    """Everything but what counts records by what became of them."""
    return {key: value for key, value in page.items() if not key[0].startswith((*SAMPLED, "model_feedback_delay"))}


def sums_of(run: Run) -> dict[tuple[str, int, int], list[int]]:
    """Every counted sum by family, series and pane; cells that count nothing any more are as good as none."""
    tally = run.pipeline.engines["fraud"].tally
    live = tally.cells.live_numbers(0, tally.cells.high_water)
    sums = {}
    for cell in tally.cells.rows[live]:
        for number, family in enumerate(tally.families):
            row = int(cell["counts"][number]) - 1
            if row >= 0:
                sliced = bool(cell["series"] % tally.series.per_version)
                table: Table = tally._counts[number][sliced]
                counts = table.rows["counts"][row].tolist()
                if any(counts):
                    sums[family.name, int(cell["series"]), int(cell["pane"])] = counts
    return sums


class TestTheHashSample:
    def test_waiting_predictions_stay_within_the_cap_and_nothing_is_dropped_unsaid(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        predictions, feedback = logs(0)
        with exporter(replace(MODEL, max_pending=CAP), monkeypatch) as run:
            replay(run, predictions, feedback)
            page = run.page()
            exponent = run.pipeline.engines["fraud"].join.exponent
        assert exponent == math.ceil(math.log2(ROWS / CAP))
        assert page["model_predictions_total", ("fraud", "v1", "primary")] == ROWS + 1
        assert page["model_window_mature_predictions", ("fraud", "v1", "outcome", "lifetime")] == ROWS
        assert page["model_feedback_received_total", ("fraud", "outcome")] == len(feedback)
        results = {key[1]: value for key, value in page.items() if key[0] == "model_feedback_total"}
        assert sum(results.values()) == len(feedback)
        lost = results["fraud", "", "outcome", "sampled_out"]
        assert 0 < lost < len(feedback)
        assert sum(value for row, value in results.items() if row[3] == "joined") == len(feedback) - lost

    def test_scaled_counts_are_unbiased_over_many_sets_of_ids(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows, seeds = 400, 40
        labelled, right, scores = [], [], []
        exact = sum(number % 2 == 0 or number % 7 == 0 for number in range(rows))
        exact_right = sum((number % 2 == 0 or number % 7 == 0) and number % 3 > 0 for number in range(rows))
        for seed in range(seeds):
            predictions, feedback = logs(seed, rows)
            with exporter(replace(MODEL, max_pending=80), monkeypatch, block_bytes=1 << 20) as run:
                for kind, lines in (("predictions", predictions), ("feedback", feedback)):
                    run.write(kind, b"".join(lines))
                run.settle()
                page = run.page()
            place = ("fraud", "v1", "outcome")
            labelled.append(page["model_window_labeled_predictions", (*place, "lifetime")])
            right.append(page["model_quality_numerator", (*place, "accuracy", "lifetime")])
            scores.append(page["model_quality_score", (*place, "accuracy", "lifetime")])
        for found, truth in ((labelled, exact), (right, exact_right), (scores, exact_right / exact)):
            assert stdev(found) > 0
            assert abs(mean(found) - truth) < 3.5 * stdev(found) / math.sqrt(seeds)

    def test_the_state_is_that_of_a_run_with_the_final_rate_from_the_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        predictions, feedback = logs(1)
        with exporter(replace(MODEL, max_pending=CAP), monkeypatch) as run:
            replay(run, predictions, feedback)
            grown, page = sums_of(run), run.page()
            exponent = run.pipeline.engines["fraud"].join.exponent
        with exporter(replace(MODEL, max_pending=10 * CAP), monkeypatch) as run:
            join = run.pipeline.engines["fraud"].join
            join.exponent, join.thinned_at = exponent, START
            replay(run, predictions, feedback)
            assert run.pipeline.engines["fraud"].join.exponent == exponent
            assert sums_of(run) == grown
            assert windows_of(run.page()) == windows_of(page)

    def test_the_result_does_not_depend_on_blocks_or_restarts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictions, feedback = logs(2)
        model = replace(MODEL, max_pending=CAP)
        with exporter(model, monkeypatch) as run:
            replay(run, predictions, feedback)
            plain = sums_of(run)
        with exporter(model, monkeypatch, block_bytes=700) as run:
            for part in range(6):
                for kind, lines in (("predictions", predictions), ("feedback", feedback)):
                    run.write(kind, b"".join(lines[len(lines) * part // 6 : len(lines) * (part + 1) // 6]))
                run.read(20)
                run.save()
                run.read(10)
                run.reopen()  # without the last ten blocks
            run.settle()
            assert sums_of(run) == plain

    def test_a_batch_larger_than_the_cap_is_sampled_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = 100_000
        lines = b"".join(b'{"prediction_id":%d,"timestamp":%d,"prediction":1}\n' % (n, START) for n in range(rows))
        with exporter(replace(MODEL, max_pending=10), monkeypatch, block_bytes=1 << 24) as run:
            run.write("predictions", lines)
            run.settle()
            engine = run.pipeline.engines["fraud"]
            assert engine.join.table.live <= 10
            assert run.pipeline.records["predictions", "accepted"] == rows
