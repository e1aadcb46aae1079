"""The quality detector between configurations: what it knows goes on only where losses stay what they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegauge.assess.detectors.detector import ARRIVING, Context
from tidegauge.assess.detectors.quality import DETECTOR
from tidegauge.assess.measures import measures_of
from tidegauge.assess.releases import lifecycle
from tidegauge.config.settings import DAY, HOUR, Channel, Model, Release, Signal
from tidegauge.join.rows import Rows
from tidegauge.tally import moments
from tidegauge.tally.blocks import ARRIVALS, SealedBlock
from tidegauge.tally.families import signals
from tidegauge.tally.fixed import UNIT

BLOCK = 300_000
MODEL = Model("fraud", "binary", (Channel("outcome", maturity=HOUR),))


def signal(better: str | None, field: str = "rule") -> Model:
    return replace(MODEL, signals=(Signal("ruled", "boolean", "disagreement", field=field, better=better),))


def no_rows() -> Rows:
    raise AssertionError("nobody asks for rows")


def block(number: int, agreed: int, disagreed: int, version: int) -> SealedBlock:
    sums = np.zeros((1, moments.plain_columns(1, UNIT)), dtype=np.int64)
    values = UNIT.encode(np.array([float(disagreed)]))[:, 0]
    sums[0] = [agreed + disagreed, *values, *values]
    counts = {signals.name("ruled"): (np.full(1, version, dtype=np.int64), sums)}
    return SealedBlock(ARRIVALS, number * BLOCK, (number + 1) * BLOCK, counts, no_rows)


def after(state: Any, model: Model, number: int, version: int = 0, releases: tuple[lifecycle.Release, ...] = ()) -> Any:
    whole = np.full(1, -1)
    context = Context(
        model,
        ARRIVING,
        ("v1", "v2"),
        ("0", "1"),
        2,
        lambda series: (series, whole, series),
        measures=measures_of(model),
        releases=releases,
    )
    return DETECTOR.advance(state, block(number, 90, 10, version), context)


def known(state: Any) -> tuple[float, float]:
    history = state.measures["signal:ruled"].versions.history
    return float(history.n()[0]), float(history.total()[0])


def test_what_is_known_of_a_signal_goes_on_over_a_restart_and_ends_where_the_signal_becomes_another() -> None:
    state = after(after(DETECTOR.initial(), signal("lower"), 0), signal("lower"), 1)
    assert known(state) == (200, 20)
    state = DETECTOR.load(DETECTOR.save(state))
    state = after(state, signal("lower"), 2)
    assert known(state) == (300, 30)
    turned = after(DETECTOR.load(DETECTOR.save(state)), signal("higher"), 3)
    assert known(turned) == (100, 90), "what is missing to agreement on all is the loss now"
    assert known(after(state, signal("lower", field="other"), 3)) == (100, 10)


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_a_margin_of_nothing_holds_beside_the_baseline_and_after_it(margin: float) -> None:
    """v1 disagrees 10 times in 100 for eight days; v2, after it, just as often: no worse, and no better."""
    model = replace(signal("lower"), release=Release((("signal:ruled", margin),)))
    start = 8 * DAY // BLOCK
    releases = (lifecycle.Release("v2", "v1", start * BLOCK, (start + 10_000) * BLOCK),)
    state = DETECTOR.initial()
    for number in range(0, start + 600, 3):
        state = after(state, model, number, version=int(number >= start), releases=releases)
    compared = state.measures["signal:ruled"].compared["v2"]
    assert compared.frozen.margin == margin
    assert set(compared.results()) == {"before_after"}
    assert compared.verdict() == ("promote" if margin else "keep_watching")
