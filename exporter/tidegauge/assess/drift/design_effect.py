"""How much less rows say because units (users, entities) come back."""

from __future__ import annotations

from typing import Final

from numpy.typing import ArrayLike

from tidegauge.assess.counts import Floats

GROUPS: Final = 128
"""Hash buckets of units whose rows are counted."""


def multiplicity(unit_counts: ArrayLike) -> Floats:
    """Rows of the unit of a row, on average (...,), at least 1; from rows by bucket of units (..., G)."""
    raise NotImplementedError


def design_effect(unit_counts: ArrayLike, icc: ArrayLike) -> Floats:
    """Variance of a share over that of as many independent rows (..., F), at least 1 (Kish 1965).

    unit_counts (..., G) rows by bucket of units; icc (F,) intraclass correlation of bin membership, in [0, 1].
    """
    raise NotImplementedError
