"""Which features have moved: their evidence judged together, and only where it is enough to matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats

LEVEL: Final = 0.1  # share of false ones among the features detected, at most (e-BH)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is published of the features of one reference."""

    detected: NDArray[np.bool_]  # (F,)
    threshold_log: float  # what a feature's log evidence has to reach, among these features


def discover(log_evidence: Floats, excess: Floats, minimum_effect: float, needed_log: float) -> Discovery:
    """The features (F,) whose evidence passes e-BH and whose excess PSI in the window is at least minimum_effect.

    needed_log is the log threshold of one feature alone (evidence.threshold_log with the references and versions as
    streams, not the features). NaN evidence or excess (nothing known) is never detected.
    """
    raise NotImplementedError
