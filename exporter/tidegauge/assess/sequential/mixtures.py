"""The normal mixture: evidence and intervals that hold at every look, from a sum and its variance.

S is a sum with mean zero under the null hypothesis, V its variance so far (both grow with the data). Everything works
elementwise on arrays. Logarithms are natural.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw, log_ndtr

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats

FIXED_POINT_STEPS = 40  # each at least halves the error


def best_ratio(alpha: float) -> float:
    """k(alpha): the two-sided bound at level alpha is narrowest at V = k * rho (Howard et al. 2021, prop. 3).

    k = -W_{-1}(-alpha**2 / e) - 1, with the lower branch of Lambert's W. A one-sided test at alpha takes k(2 * alpha).
    """
    return float(-lambertw(-(alpha**2) / math.e, -1).real - 1)


def standard_errors(alpha: float) -> float:
    """Radius of the two-sided bound at level alpha, in standard errors, where it is narrowest: 3.04 at alpha = 0.05."""
    k = best_ratio(alpha)
    return math.sqrt((1 + 1 / k) * (math.log1p(k) + 2 * math.log(1 / alpha)))


def two_sided(S: ArrayLike, V: ArrayLike, rho: float) -> Floats:
    """Log e-value against mean zero (Robbins 1970; Howard et al. 2021, Ann. Stat. 49:1055, section 3.2)."""
    total, variance = floats(S), floats(V)
    evidence: Floats = 0.5 * np.log(rho / (variance + rho)) + total**2 / (2 * (variance + rho))
    return evidence


def one_sided(S: ArrayLike, V: ArrayLike, rho: float) -> Floats:
    """Log e-value against a mean of at most zero (Howard et al. 2021, Ann. Stat. 49:1055, section 3.2)."""
    total, variance = floats(S), floats(V)
    evidence: Floats = (
        0.5 * np.log(4 * rho / (variance + rho))
        + total**2 / (2 * (variance + rho))
        + log_ndtr(total / np.sqrt(variance + rho))
    )
    return evidence


def radius(V: ArrayLike, rho: float, alpha: float) -> Floats:
    """|S| beyond which the two-sided e-value exceeds 1 / alpha; a one-sided one does, nearly, at radius(2 * alpha)."""
    scale = floats(V) + rho
    bound: Floats = np.sqrt(scale * (np.log(scale / rho) + 2 * math.log(1 / alpha)))
    return bound


def variance_needed(drift: ArrayLike, rho: float, alpha: float) -> Floats:
    """V at which S = drift * V reaches radius(V); the fixed point of V = radius(V) / drift, for drift > 0."""
    speed = floats(drift)
    variance = np.full(speed.shape, rho)
    for _ in range(FIXED_POINT_STEPS):
        variance = radius(variance, rho, alpha) / speed
    return variance


def mean_of(log_evidence: ArrayLike) -> Floats:
    """Log of the mean over the last axis; a mean of e-values is one (Vovk and Wang 2021, Ann. Stat. 49:1736)."""
    logs = floats(log_evidence)
    highest = logs.max(axis=-1, keepdims=True)
    mean: Floats = highest[..., 0] + np.log(np.exp(logs - highest).mean(axis=-1))
    return mean
