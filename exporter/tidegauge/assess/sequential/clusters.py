"""Rows of one unit are alike: the variance of a difference when units, not rows, are independent.

Units are hashed into buckets, and the bucket is taken for the cluster: buckets are independent where units are, so no
list of units is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegauge.assess.counts import Floats
from tidegauge.assess.numeric import ratio

BUCKETS = 256


@dataclass(frozen=True, slots=True)
class Buckets:
    """Rows and sums of loss of a block by bucket of the unit's hash, each [..., 256]."""

    candidate_n: Floats
    candidate_s1: Floats
    baseline_n: Floats
    baseline_s1: Floats


def residuals(n: Floats, s1: Floats, mean: Floats, weight: Floats) -> Floats:
    """What each bucket adds to the weighted mean of its arm, less what it would at the pooled mean: [..., 256].

    weight is the block's weight over the arm's rows.
    """
    added: Floats = weight[..., None] * (s1 - mean[..., None] * n)
    return added


def variance(candidate: Floats, baseline: Floats, independent: Floats, independent_baseline: Floats) -> Floats:
    """Variance of the weighted difference from each bucket's residuals, summed over blocks, [..., 256] each.

    The larger of two. The sandwich estimate (Liang and Zeger 1986, Biometrika 73:13) with the pooled mean: units that
    hop between the arms and units that stay are both right in it, but few units in the candidate make it too small.
    And the variance as if rows were independent times the design effect seen in the baseline, where there are many.
    independent: that variance of the difference, and of the baseline's part of it.
    """
    buckets = candidate.shape[-1]
    correction = buckets / (buckets - 1)
    sandwich = correction * ((candidate - baseline) ** 2).sum(axis=-1)
    effect = np.nan_to_num(ratio(correction * (baseline**2).sum(axis=-1), independent_baseline))
    larger: Floats = np.maximum(sandwich, independent * np.maximum(effect, 1.0))
    return larger
