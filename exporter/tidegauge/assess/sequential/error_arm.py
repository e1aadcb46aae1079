"""The error-arm test: which arm does an error come from? Exact, whatever the error rate does meanwhile.

While both arms get traffic, an error comes from the candidate with probability s r / (s r + 1 - s), s being the
candidate's share of the rows of the block and r the ratio of the error rates, whatever the rates are (Lindon and Malek
2022, NeurIPS 35). With the share that was observed, the candidate's errors are hypergeometric under r = 1; the
binomial ratio used here is then an e-value all the more, because g**x is convex in x (Hoeffding 1963, JASA 58:13,
theorem 4). Logs of the e-values of a grid of alternatives are additive over blocks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats

GRID: Final = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
"""Alternatives of harm: how many times worse the candidate may be."""

POWERS: Final = np.array([0.5, 1.0, 2.0, 4.0])
"""Alternatives of non-inferiority: the candidate is better than a null ratio r0 by r0**power; 1 is "no difference"."""

NEWTON_STEPS: Final = 10


def steps(
    errors_candidate: ArrayLike, errors_baseline: ArrayLike, share: ArrayLike, null_ratio: ArrayLike, grid: ArrayLike
) -> Floats:
    """What a block adds to the log e-values: [..., J]. share is the candidate's, in (0, 1).

    Log likelihood ratio of null_ratio * grid against null_ratio, given the errors of the block; the null ratio and the
    grid may be new in every block, if they do not depend on what it holds.
    """
    candidate, baseline, part, null = (
        floats(values)[..., None] for values in (errors_candidate, errors_baseline, share, null_ratio)
    )
    other, times = 1 - part, floats(grid)
    total = np.log((part * null * times + other) / (part * null + other))
    added: Floats = candidate * np.log(times) - (candidate + baseline) * total
    return added


def times_until(log_evidence: Floats, threshold: float) -> Floats:
    """By how much the data must grow for the mean of the grid's e-values to reach exp(threshold), if all else stays.

    Log e-values grow in proportion. NaN where none grows.
    """
    largest = log_evidence.max(axis=-1)
    grows = largest > 0
    logs = np.where(grows[..., None], log_evidence, 1.0)
    needed = threshold + np.log(logs.shape[-1])
    # The logarithm of the sum is convex, so that Newton's method comes down from the largest term's own answer.
    times = needed / logs.max(axis=-1)
    for _ in range(NEWTON_STEPS):
        scaled = logs * times[..., None]
        times = times - (logsumexp(scaled, axis=-1) - needed) / (softmax(scaled, axis=-1) * logs).sum(axis=-1)
    return np.where(grows, times, np.nan)
