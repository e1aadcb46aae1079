"""What is compared between versions and watched over time, for each model.

A new measure is a form in `scored`, or an entry in `early`.
"""

from __future__ import annotations

from tidegauge.assess.measures import early, scored
from tidegauge.assess.measures.measure import Measure
from tidegauge.config.settings import Model


def measures_of(model: Model) -> tuple[Measure, ...]:
    """All measures of a model, those from labels first."""
    return (*scored.measures(model), *early.measures(model))
