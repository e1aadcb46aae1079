"""What a comparison says: the difference with its interval, the evidence both ways, and one of three verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats
from tidegauge.assess.sequential.mixtures import variance_needed

VERDICTS: Final = ("keep_watching", "promote", "roll_back")
KEEP_WATCHING, PROMOTE, ROLL_BACK = range(len(VERDICTS))

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Result:
    """Scalars of numpy for one comparison, arrays for many. Losses: more is worse, candidate minus baseline.

    difference, lower and upper are NaN until there are enough rows to give them.
    """

    difference: Floats
    lower: Floats  # the interval holds the difference at all looks together with probability 1 - alpha_harm
    upper: Floats
    log_evidence_harm: Floats  # log e-value against "no worse than the baseline", now
    log_evidence_harm_peak: Floats  # and the largest so far, by which the verdict goes
    log_evidence_non_inferiority: Floats  # log e-value against "worse by the margin or more"
    samples_candidate: Floats
    samples_baseline: Floats
    samples_needed: Floats  # more rows of the candidate until a verdict, if the difference stays; 0 once there is one
    verdict: str | NDArray[np.str_]  # of VERDICTS


def decide(
    verdict: Codes, harm: Floats, non_inferiority: Floats, ready: ArrayLike, alpha_harm: float, alpha_promote: float
) -> Codes:
    """The verdict after a block, from the one before it and the log evidence now.

    Evidence of harm rolls back, and that stays. Evidence that the difference is within the margin promotes, even where
    a smaller harm is proven too. A promotion gives way only when that evidence has gone and harm is proven.
    """
    within = np.asarray(ready) & (non_inferiority >= math.log(1 / alpha_promote))
    harmful = np.asarray(ready) & (harm >= math.log(1 / alpha_harm))
    now = np.where(within, PROMOTE, np.where(harmful, ROLL_BACK, verdict))
    latched: Codes = np.where(verdict == ROLL_BACK, ROLL_BACK, now).astype(np.int8)
    return latched


def named(verdict: Codes) -> str | NDArray[np.str_]:
    """The verdicts' names."""
    names: str | NDArray[np.str_] = np.array(VERDICTS)[verdict]
    return names


def more_variance(effect: ArrayLike, row_variance: ArrayLike, seen: ArrayLike, rho: float, alpha: float) -> Floats:
    """Variance of the sum still to come until a one-sided test at alpha ends; NaN where it never will.

    effect is how far the difference lies from the null hypothesis, row_variance the sum's variance over its weight,
    seen the variance so far.
    """
    speed = floats(effect) / floats(row_variance)
    comes = speed > 0
    needed = variance_needed(np.where(comes, speed, 1.0), rho, 2 * alpha)
    return np.where(comes, np.maximum(needed - floats(seen), 0.0), np.nan)
