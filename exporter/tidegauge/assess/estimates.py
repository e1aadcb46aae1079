"""Making Estimates: one place decides how a value, its interval and its state fit together.

Assumes arrays of one shape; knows no metric.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import (
    IMMATURE,
    INSUFFICIENT_SAMPLES,
    NO_FEEDBACK,
    OK,
    UNSUPPORTED,
    Estimates,
    Floats,
)
from tidegauge.assess.numeric import ROUNDING, floats


def estimate(
    score: Floats,
    lower: Floats,
    upper: Floats,
    samples: Floats,
    numerator: ArrayLike = np.nan,
    denominator: ArrayLike = np.nan,
) -> Estimates:
    """Estimates with state ok where the score is finite and unsupported elsewhere.

    The interval is widened to hold the score where rounding left it outside. numerator and denominator stay away (NaN)
    for metrics that are no ratio of sums, and where the metric has no value.
    """
    known = np.isfinite(score)

    def where_known(values: ArrayLike) -> Floats:
        return np.where(known, floats(values), np.nan)

    return Estimates(
        score=where_known(score),
        lower=where_known(np.minimum(lower, score)),
        upper=where_known(np.maximum(upper, score)),
        numerator=where_known(numerator),
        denominator=where_known(denominator),
        samples=floats(np.broadcast_to(samples, score.shape)),
        state=np.where(known, OK, UNSUPPORTED).astype(np.int8),
    )


def unsupported(shape: tuple[int, ...]) -> Estimates:
    """Estimates of a metric that these counts cannot give at all (no scores recorded, one class configured)."""
    nothing = np.full(shape, np.nan)
    return estimate(nothing, nothing, nothing, np.zeros(shape))


def insufficient(samples: Floats, minimum: float) -> NDArray[np.bool_]:
    """Whether a score rests on fewer effective rows than the minimum (a hair of rounding forgiven)."""
    return samples < minimum * (1 - ROUNDING)


def settle(estimates: Estimates, *, minimum: float, mature: ArrayLike, labeled: ArrayLike) -> Estimates:
    """The state to publish, from what the window holds: weights or numbers of mature and of labelled predictions.

    In this order: nothing mature is immature; nothing labelled is no_feedback; no value is unsupported; too few
    effective rows is insufficient_samples (score and interval stay); else ok. mature and labeled have the estimates'
    shape, or one that broadcasts to it.
    """
    is_mature = np.broadcast_to(floats(mature) > 0, estimates.state.shape)
    is_labeled = np.broadcast_to(floats(labeled) > 0, estimates.state.shape)
    state = np.select(
        [~is_mature, ~is_labeled, estimates.state == UNSUPPORTED, insufficient(estimates.samples, minimum)],
        [IMMATURE, NO_FEEDBACK, UNSUPPORTED, INSUFFICIENT_SAMPLES],
        OK,
    )
    shown = (state == OK) | (state == INSUFFICIENT_SAMPLES)

    def where_shown(values: Floats) -> Floats:
        return np.where(shown, values, np.nan)

    return replace(
        estimates,
        score=where_shown(estimates.score),
        lower=where_shown(estimates.lower),
        upper=where_shown(estimates.upper),
        numerator=where_shown(estimates.numerator),
        denominator=where_shown(estimates.denominator),
        state=state.astype(np.int8),
    )
