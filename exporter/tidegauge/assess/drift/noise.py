"""What a distance is where nothing has moved, and how improbable one as large would be then.

Pure functions of counts (..., F, W), as in distances.py; n rows are held against a reference of m rows. A design effect
d says that n rows tell as much as n / d independent ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tidegauge.assess.counts import Floats
from tidegauge.assess.drift.distances import Axes, Sample


def floor(
    statistic: str,
    current: Sample,
    reference: Sample,
    axes: Axes,
    design_effect: ArrayLike = 1.0,
    reference_design_effect: ArrayLike = 1.0,
) -> Floats:
    """Mean of the statistic (..., F) between samples of these sizes of one distribution, the pooled one.

    NaN where a side has no rows or the statistic is not for such a feature; KeyError for an unknown name.
    """
    raise NotImplementedError


def p_value(
    current: Floats,
    reference: Floats,
    design_effect: ArrayLike = 1.0,
    reference_design_effect: ArrayLike = 1.0,
) -> Floats:
    """Probability (..., F) of a Pearson statistic at least as large between two samples of one distribution.

    NaN where a side has no rows; 1 where there are too few to tell anything.
    """
    raise NotImplementedError
