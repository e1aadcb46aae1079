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
from tests.recount.logs import HORIZON, SPAN, START, Feedback, Prediction, generate, models, settings_for
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
    @settings(max_examples=12, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, actions=ACTIONS, implied=st.booleans(), weighted=st.booleans())
    def test_logs_in_order(self, seed: int, actions: list[str], implied: bool, weighted: bool) -> None:
        used = models(implied=implied, minimum=1 if weighted else 5)
        predictions, feedback = generate(seed, used, size=300, disorder=False, weighted=weighted)
        with exporter(used, block_bytes=[300, 2000, 20_000][seed % 3]) as run:
            play(run, predictions, feedback, actions, seed)

    @settings(max_examples=12, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, actions=ACTIONS, implied=st.booleans(), weighted=st.booleans())
    def test_logs_in_random_order(self, seed: int, actions: list[str], implied: bool, weighted: bool) -> None:
        used = models(implied=implied, minimum=1 if weighted else 5, block=HOUR)
        predictions, feedback = generate(seed, used, size=300, disorder=True, weighted=weighted)
        with exporter(used, block_bytes=[2000, 5000, 20_000][seed % 3]) as run:
            play(run, predictions, feedback, actions, seed)

    @settings(max_examples=6, phases=PHASES, suppress_health_check=SLOW)
    @given(seed=SEEDS, which=st.integers(0, 2))
    def test_one_model_that_no_feedback_names(self, seed: int, which: int) -> None:
        used = (models()[which],)
        predictions, feedback = generate(seed, used, size=150, disorder=False)
        with exporter(used) as run:
            # A single model takes all feedback, named or not.
            play(run, predictions, [replace(one, named=True) for one in feedback], ["read", "check"], seed)
