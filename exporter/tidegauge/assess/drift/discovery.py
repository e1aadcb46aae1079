"""Which features have moved: their evidence judged together, and only where it is enough to matter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats
from tidegauge.assess.sequential import e_bh

LEVEL: Final = 0.1  # share of false ones among the features detected, where many are
LARGEST: Final = 300.0  # log of an e-value; exp of it is finite, and no threshold is as high


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is published of the features that are judged together."""

    detected: NDArray[np.bool_]  # (F,)
    threshold_log: float  # what a feature's log evidence has to reach, among these features


def discover(log_evidence: Floats, excess: Floats, minimum_effect: float, needed_log: float) -> Discovery:
    """The features (F,) whose evidence is enough, and whose excess PSI in the window is at least minimum_effect.

    needed_log is the log threshold of one feature alone: evidence.threshold_log with the references (and versions) as
    streams, the features not among them; evidence over it is an e-value. It is enough if it is F times that, or if
    e-BH detects it. Either way the mean evidence of the features is at least that threshold, so that where nothing
    moves there is one false alarm in an interval at most, whatever the features have to do with each other. Unknown
    (NaN) evidence or excess is never detected; features whose evidence is unknown are not judged.
    """
    judged = np.isfinite(log_evidence)
    values = np.exp(np.minimum(log_evidence[judged] - needed_log, LARGEST))
    together = needed_log + math.log(e_bh.floor(values, LEVEL))
    threshold = min(together, strictest_log(needed_log, values.size))
    enough = np.nan_to_num(excess, nan=-np.inf) >= minimum_effect
    return Discovery(judged & (np.nan_to_num(log_evidence, nan=-np.inf) >= threshold) & enough, threshold)


def strictest_log(needed_log: float, features: int) -> float:
    """What a feature's log evidence has to reach where few others have moved: the highest threshold there can be."""
    return needed_log + math.log(max(features, 1))
