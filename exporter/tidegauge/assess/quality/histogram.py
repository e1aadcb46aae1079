"""What score histograms of two sides (negatives and positives) hold besides their bins: squared weights, sizes.

Assumes bins of shape (..., 2, B) with rows of axis -2 negatives and positives, higher scores in later bins.
"""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import kish, ratio


def sides(bins: Floats) -> tuple[Floats, Floats]:
    """Negatives and positives, each (..., B)."""
    return bins[..., 0, :], bins[..., 1, :]


def squared_weights(bins: Floats, rows: Integers | None, inefficiency: Floats) -> Floats:
    """Sum of w**2 by bin, of the shape of the bins, from sums of w and row counts.

    Exact where the weights within a bin are equal, else too small; so each side is scaled up until its own design
    effect n * sum w**2 / (sum w)**2 reaches the known one, inefficiency, of shape (..., 2). rows None: every weight is
    1.
    """
    if rows is None:
        return bins
    within = np.nan_to_num(ratio(bins**2, rows))
    weight, n = bins.sum(axis=-1), rows.sum(axis=-1)
    found = ratio(n * within.sum(axis=-1), weight**2)
    scale = np.maximum(np.nan_to_num(ratio(inefficiency, found), nan=1.0), 1.0)
    return within * scale[..., None]


def inefficiency(n: Floats, w: Floats, w2: Floats) -> Floats:
    """Design effect of unequal weights (Kish): n * sum w**2 / (sum w)**2, 1 where there is nothing."""
    return np.nan_to_num(ratio(n, kish(w, w2)), nan=1.0)
