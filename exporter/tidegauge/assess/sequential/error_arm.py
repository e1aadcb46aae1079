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

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import floats

GRID: Final = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
"""How many times worse the candidate may be; non-inferiority takes 1 / GRID: how many times better than the null."""


def steps(
    errors_candidate: ArrayLike, errors_baseline: ArrayLike, share: ArrayLike, null_ratio: ArrayLike, grid: Floats
) -> Floats:
    """What a block adds to the log e-values: [..., J]. share is the candidate's, in (0, 1).

    Log likelihood ratio of null_ratio * grid against null_ratio, given the errors of the block.
    """
    candidate, baseline, part, null = (
        floats(values)[..., None] for values in (errors_candidate, errors_baseline, share, null_ratio)
    )
    other = 1 - part
    total = np.log((part * null * grid + other) / (part * null + other))
    added: Floats = candidate * np.log(grid) - (candidate + baseline) * total
    return added
