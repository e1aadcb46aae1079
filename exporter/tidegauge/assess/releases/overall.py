"""The verdict about a release, from those about its measures."""

from __future__ import annotations

from collections.abc import Iterable


def overall(verdicts: Iterable[str]) -> str:
    """Of the measures that decide: roll back if one says so, promote if all do, else keep watching.

    Each may roll back wrongly with a share of alpha, so that together they do with alpha at most (Bonferroni); to
    promote all must agree, so each may use the whole of it (intersection-union: Berger 1982, Technometrics 24:295).
    """
    found = list(verdicts)
    if "roll_back" in found:
        return "roll_back"
    return "promote" if found and all(verdict == "promote" for verdict in found) else "keep_watching"
