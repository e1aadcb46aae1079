"""Whatever the logs hold and whatever happens on the way, what is published is what a plain recount gives."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.recount.comparison import check
from tests.recount.driver import Run
from tests.recount.logs import (
    HORIZON,
    LATENESS,
    SPAN,
    START,
    Feedback,
    Prediction,
    generate,
    models,
    settings_for,
    wordy_models,
)
from tests.recount.oracle import Recount
from tidegauge.config.settings import HOUR, Model
from tidegauge.pipeline import pipeline

SEEDS = st.integers(0, 2**32 - 1)
PHASES = (Phase.explicit, Phase.generate)  # logs come from seeds, which do not shrink
SLOW = (HealthCheck.too_slow,)
ACTIONS = st.lists(
    st.sampled_from(["read", "rotate", "compress", "restart", "crash", "save", "check"]), min_size=3, max_size=12
)


@contextmanager
def exporter(used: tuple[Model, ...], block_bytes: int | None = None) -> Iterator[Run]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if block_bytes is not None:
            patch.setattr(pipeline, "BLOCK_BYTES", {"predictions": block_bytes, "feedback": block_bytes})
        run = Run(settings_for(Path(folder), used))
        try:
            yield run
        finally:
            run.close()


def play(run: Run, predictions: list[Prediction], feedback: list[Feedback], actions: list[str], seed: int) -> None:
    """Writes both logs in as many stages as there are actions; each stage ends in its action."""
    chance = random.Random(seed)
    # No stage is so long that blocks are sealed within it: only then may its records lie in any order.
    cuts = [START + SPAN * (number + 1) / len(actions) for number in range(len(actions) - 1)] + [float("inf")]
    done_p = done_f = 0
    for action, cut in zip(actions, cuts, strict=True):
        stage_p = [one for one in predictions[done_p:] if one.place < cut]
        stage_f = [one for one in feedback[done_f:] if one.place < cut]
        done_p, done_f = done_p + len(stage_p), done_f + len(stage_f)
        run.write_records([*stage_p, *stage_f], chance)
        if action == "crash":
            run.read(chance.randrange(30))
            if chance.random() < 0.5:
                run.save()
            run.read(chance.randrange(10))
            run.reopen()
        run.settle()
        if action in ("save", "restart"):
            run.save()
        if action == "restart":
            run.reopen()
            run.settle()
        if action in ("rotate", "compress"):
            run.save()  # an exporter that has no memory reads what the glob names, and no more
            run.rotate(chance.choice(["predictions", "feedback"]), compress=action == "compress")
        if action == "check":
            check(run, predictions[:done_p], feedback[:done_f])
    run.settle()
    check(run, predictions, feedback)


class TestEveryCounterAndWindowEqualsTheRecount:
    @settings(max_examples=10, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, actions=ACTIONS, implied=st.booleans(), weighted=st.booleans())
    def test_logs_in_order(self, seed: int, actions: list[str], implied: bool, weighted: bool) -> None:
        used = models(implied=implied, minimum=1 if weighted else 5)
        predictions, feedback = generate(seed, used, size=220, disorder=False, weighted=weighted)
        with exporter(used, block_bytes=[300, 2000, 20_000][seed % 3]) as run:
            play(run, predictions, feedback, actions, seed)

    @settings(max_examples=10, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, actions=ACTIONS, implied=st.booleans(), weighted=st.booleans())
    def test_logs_in_random_order(self, seed: int, actions: list[str], implied: bool, weighted: bool) -> None:
        used = models(implied=implied, minimum=1 if weighted else 5, block=HOUR)
        predictions, feedback = generate(seed, used, size=220, disorder=True, weighted=weighted)
        with exporter(used, block_bytes=[2000, 5000, 20_000][seed % 3]) as run:
            play(run, predictions, feedback, actions, seed)

    @settings(max_examples=5, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, which=st.integers(0, 2))
    def test_one_model_that_no_feedback_names(self, seed: int, which: int) -> None:
        used = (models()[which],)
        predictions, feedback = generate(seed, used, size=150, disorder=False)
        with exporter(used) as run:
            # A single model takes all feedback, named or not.
            play(run, predictions, [replace(one, named=True) for one in feedback], ["read", "check"], seed)


class TestRankingsTextsAndSignals:
    """Three of five models at a time, one of each task, each with signals."""

    @settings(max_examples=2, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, actions=ACTIONS, implied=st.booleans(), weighted=st.booleans())
    def test_logs_in_order(self, seed: int, actions: list[str], implied: bool, weighted: bool) -> None:
        used = wordy_models(implied=implied, minimum=1 if weighted else 5)
        used = tuple(random.Random(seed).sample(used, 3))
        predictions, feedback = generate(seed, used, size=120, disorder=False, weighted=weighted)
        with exporter(used, block_bytes=[300, 2000, 20_000][seed % 3]) as run:
            play(run, predictions, feedback, actions, seed)

    @settings(max_examples=2, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, actions=ACTIONS, implied=st.booleans(), weighted=st.booleans())
    def test_logs_in_random_order(self, seed: int, actions: list[str], implied: bool, weighted: bool) -> None:
        # A block must not be sealed while predictions of it may still come.
        used = wordy_models(implied=implied, minimum=1 if weighted else 5, block=HOUR, delay=LATENESS)
        used = tuple(random.Random(seed).sample(used, 3))
        predictions, feedback = generate(seed, used, size=120, disorder=True, weighted=weighted)
        with exporter(used, block_bytes=[2000, 5000, 20_000][seed % 3]) as run:
            play(run, predictions, feedback, actions, seed)

    @pytest.mark.parametrize("which", range(2))
    def test_one_model_that_no_feedback_names(self, which: int) -> None:
        used = (wordy_models()[which],)
        predictions, feedback = generate(which, used, size=150, disorder=False)
        with exporter(used) as run:
            play(run, predictions, [replace(one, named=True) for one in feedback], ["read", "restart", "check"], which)

    def test_the_logs_hold_what_they_should(self) -> None:
        used = wordy_models()
        predictions, feedback = generate(3, used, size=400, disorder=False)
        clock = max(one.time for one in predictions if one.fate == "accepted")
        for model in used:
            one = Recount(model, predictions, feedback, clock)
            assert {result for _, _, result in one.results} >= {"joined", "replaced", "duplicate", "retracted", "late"}
            for signal in model.signals:
                total = sum(
                    value
                    for (family, row), value in one.page.items()
                    if family == "model_proxy_numerator" and signal.name in row
                )
                assert total != 0, (model.name, signal.name)
            quality = [value for (family, _), value in one.page.items() if family == "model_quality_score"]
            assert len(set(quality)) > 20


class TestBeyondTheHorizon:
    def test_what_nobody_claims_is_orphaned_and_the_old_is_late(self) -> None:
        used = models()
        predictions, feedback = generate(17, used, size=220, disorder=False)
        with exporter(used) as run:
            play(run, predictions, feedback, ["read", "save", "read"], 17)
            clock = START + SPAN + HORIZON + HOUR
            for step, model in enumerate(used):
                answer: str | float = 1.0 if model.task == "regression" else "1" if model.task == "binary" else "cat"
                new = Prediction(model.name, f"new-{model.name}", clock + step, "v1", clock, answer)
                old = replace(new, key=f"old-{model.name}", time=START, fate="late")
                predictions += [new]
                run.write_records([new], random.Random(1))
                run.settle()
                predictions += [old]
                run.write_records([old], random.Random(1))
            run.settle()
            assert all(engine.join.table.live <= 1 for engine in run.pipeline.engines.values())
            assert all(len(engine.join.waiting) == 0 for engine in run.pipeline.engines.values())
            check(run, predictions, feedback)
            # Feedback on predictions that have been let go of, from before the horizon, need not wait.
            vain = [
                Feedback(model.name, True, one.key, "outcome", one.time, clock, one.label)
                for model in used
                for one in feedback
                if one.model == model.name and one.channel == "outcome" and one.label is not None
            ][:20]
            before = orphaned(run)
            run.write_records(vain, random.Random(1))
            run.settle()
            assert orphaned(run) == before + len(vain)


def orphaned(run: Run) -> float:
    return sum(
        value
        for (family, row), value in run.page().items()
        if family == "model_feedback_total" and row[3] == "orphaned" and row[0]
    )


class TestWhatOnceWentWrong:
    """Small logs, each of which was once published wrong."""

    def test_one_label_has_no_r_squared(self) -> None:
        used = models()[2:]
        with exporter(used) as run:
            predictions = [
                Prediction("price", f"{n}", START + n, "v1", 0, answer) for n, answer in enumerate((47.13, 52.2, 49.9))
            ]
            feedback = [Feedback("price", True, one.key or "", "outcome", START, 0, 47.13) for one in predictions]
            predictions.append(Prediction("price", None, START + HOUR, "v1", 0, 1.0))
            run.write_records([*predictions, *feedback], random.Random(0))
            run.settle()
            check(run, predictions, feedback)
            page = run.page()
            assert page["model_quality_state", ("price", "v1", "outcome", "r2", "1h", "unsupported")] == 1

    def test_a_class_met_later_takes_nothing_away_from_rows_that_came_before(self) -> None:
        used = models(slices=())[1:2]
        with exporter(used) as run:
            first = [
                Prediction("topic", f"{n}", START + n, "v1", 0, "cat", scores={"cat": 0.755, "dog": 0.245})
                for n in range(4)
            ]
            labels = [
                Feedback("topic", True, f"{n}", "outcome", START + n, 0, "cd"[n % 2 : n % 2 + 1]) for n in range(4)
            ]
            labels = [replace(one, label={"c": "cat", "d": "dog"}[str(one.label)]) for one in labels]
            run.write_records([*first, *labels], random.Random(0))
            run.settle()
            later = [Prediction("topic", "late", START + HOUR, "v1", 0, "elk", scores={"elk": 0.505, "cat": 0.495})]
            corrected = [
                Feedback("topic", True, "0", "outcome", START + 10, 0, "elk"),
                Feedback("topic", True, "1", "outcome", START + 10, 0, None),
            ]
            run.write_records([*later, *corrected], random.Random(0))
            run.settle()
            check(run, [*first, *later], [*labels, *corrected])

    @pytest.mark.parametrize("kind", ["mistakes", "voluntary"])
    def test_a_vote_for_a_class_that_is_predicted_only_later_is_right(self, kind: str) -> None:
        model = models(slices=())[1]
        model = replace(model, channels=(model.channels[0], replace(model.channels[1], kind=kind)))
        with exporter((model,)) as run:
            feedback = [Feedback("topic", True, "a", "votes", START, 0, "owl")]
            predictions = [
                Prediction("topic", "a", START, "v1", 0, "owl"),
                Prediction("topic", None, START + HOUR, "v1", 0, "cat"),
            ]
            run.write_records(feedback, random.Random(0))
            run.settle()
            run.save()
            run.reopen()
            run.write_records(predictions, random.Random(0))
            run.settle()
            page = run.page()
            assert page["model_quality_numerator", ("topic", "v1", "votes", "reported_error_rate", "1h")] == 0
            assert page["model_quality_numerator", ("topic", "v1", "votes", "response_rate", "1h")] == 1
