"""What people see: the status page's content from the pipeline and the views of its models."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegauge import __version__
from tidegauge.assess.counts import STATES
from tidegauge.pipeline.clock import wall_now
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.pipeline import Pipeline
from tidegauge.pipeline.publication import ModelView, window_label
from tidegauge.publish.page import PageModel, QualityRow, SourceRow

LEADING = ("accuracy", "f1", "roc_auc", "log_loss", "mae", "rmse", "r2", "reported_error_rate", "response_rate")
"""Metrics shown beside those with an objective."""


def page_model(pipeline: Pipeline, views: Sequence[ModelView], *, ready: bool, refreshed: int | None) -> PageModel:
    """Everything that the page shows now."""
    rows = [row for engine, view in zip(pipeline.engines.values(), views, strict=False) for row in _rows(engine, view)]
    sources: list[SourceRow] = []
    problems: list[str] = []
    for reader in pipeline.readers:
        status = reader.files.status()
        behind = 0.0 if reader.exhausted else (wall_now() - reader.caught_up_at) / 1000
        sources.append(SourceRow(reader.source.name, reader.source.pattern, status.files, status.lag_bytes, behind))
        problems.extend(status.problems)
    clock = pipeline.clock
    return PageModel(
        version=__version__,
        ready=ready,
        refreshed_ms=refreshed,
        clock_ms=clock if clock >= 0 else None,
        quality=rows,
        sources=sources,
        problems=problems,
    )


def _rows(engine: Engine, view: ModelView) -> list[QualityRow]:
    model = engine.model
    wanted = {objective.metric for objective in model.objectives} | set(LEADING)
    rows = []
    for assessment in view.assessments:
        if assessment.sliced:
            continue
        codes = engine.tally.series.split(assessment.series)[0].tolist()
        for position, code in enumerate(codes):
            if code not in view.versions:
                continue
            for metric, estimates in assessment.estimates.items():
                if metric not in wanted:
                    continue
                rows.append(
                    QualityRow(
                        model=model.name,
                        version=view.versions[code],
                        channel=model.channels[assessment.channel].name,
                        metric=metric,
                        window=window_label(assessment.window),
                        score=_known(estimates.score[position]),
                        lower=_known(estimates.lower[position]),
                        upper=_known(estimates.upper[position]),
                        samples=float(estimates.samples[position]),
                        state=STATES[int(estimates.state[position])],
                    )
                )
    return sorted(rows, key=lambda row: (row.model, row.version, row.channel, row.metric))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
