"""What channels that do not answer every prediction support: how much is reported, and how much of it as wrong.

Neither is an error rate or an accuracy: those who report are not a sample of all.
"""

from __future__ import annotations

import numpy as np

from tidegauge.assess.counts import Estimates, FeedbackCounts, Floats
from tidegauge.assess.estimates import estimate
from tidegauge.assess.intervals import wilson
from tidegauge.assess.numeric import kish, ratio


def _share(part: Floats, counts: FeedbackCounts) -> Estimates:
    samples = kish(counts.predictions, counts.predictions if counts.squares is None else counts.squares)
    score = np.minimum(ratio(part, counts.predictions), 1.0)
    lower, upper = wilson(score, samples)
    return estimate(score, lower, upper, samples, part, counts.predictions)


def reported_error_rate(counts: FeedbackCounts) -> Estimates:
    """Predictions reported as wrong over all mature ones: if reports are true, a lower bound of the error rate."""
    return _share(counts.bad, counts)


def response_rate(counts: FeedbackCounts) -> Estimates:
    """Predictions with any feedback on the channel over all mature predictions."""
    return _share(counts.labeled, counts)
