"""Every metric on reference data: records go through the same joining, counting and metrics as the logs do.

Bounded memory: what is joined is let go of after some hundred thousand records; their sums stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidegauge.assess.assessment import count
from tidegauge.assess.quality import metrics_for
from tidegauge.assess.sums import WindowSums
from tidegauge.config.settings import DAY, Channel, Model
from tidegauge.decode.columns import FeedbackColumns, PredictionColumns
from tidegauge.pipeline.engine import Engine, Parts, fresh_parts
from tidegauge.reference.rows import CHANNEL, TIME
from tidegauge.tally.panes import FOREVER

_AT_ONCE = 1 << 18
_CLOCK = TIME * 1000
_LATER = 1 << 61


def scored(model: Model) -> Model:
    """The model with one channel, whose labels hold at once, and nothing but its quality measured."""
    return replace(
        model,
        channels=(Channel(CHANNEL, maturity=0),),
        signals=(),
        slices=(),
        features=(),
        drift=replace(model.drift, learning=0),
        windows=(DAY,),
        max_pending=_AT_ONCE,
        minimum_samples=1,
    )


class Scoring:
    """The scores of one model on records that are added batch by batch. Owned by one builder."""

    def __init__(self, model: Model) -> None:
        self._model = scored(model)
        self._engine = Engine(self._model, fresh_parts(self._model), None)
        self._joined = 0

    def add_predictions(self, columns: PredictionColumns) -> None:
        """A batch of the file, before the labels of its records."""
        if self._joined + len(columns.key) > _AT_ONCE:
            self._let_go()
        self._joined += len(columns.key)
        self._engine.accept_predictions(replace(columns, scores=None, features=None), _CLOCK, _CLOCK)

    def add_labels(self, columns: FeedbackColumns) -> None:
        """The labels of the batch."""
        self._engine.accept_feedback(columns, _CLOCK)

    def result(self) -> tuple[dict[str, float], dict[str, int]]:
        """Scores by metric, and how many labelled predictions each rests on; metrics without a value are not there."""
        model, engine = self._model, self._engine
        everything = WindowSums(engine.tally, FOREVER, _LATER, sliced=False, include=np.zeros(0, dtype=np.int64))
        counts = count(model, model.channels[0], everything, tuple(engine.classes.texts), engine.room)
        scores, samples = {}, {}
        for metric in metrics_for(model.task, "complete"):
            estimates = metric.value(counts)
            if np.isfinite(estimates.score[0]):
                scores[metric.name] = float(estimates.score[0])
                samples[metric.name] = int(estimates.samples[0])
        return scores, samples

    def _let_go(self) -> None:
        """A join that knows no record any more; the sums and the classes go on."""
        old = self._engine
        parts = Parts(
            versions=old.versions,
            classes=old.classes,
            slices=old.slices,
            totals=old.totals,
            tally=old.tally,
            weighted=old.join.layout.weighted,
        )
        self._engine, self._joined = Engine(self._model, parts, None), 0
