"""What a score says about its objective, by its interval and never by the point alone.

Pointwise intervals on rolling windows are for looking at, not for paging: a verdict here is a description of now.
"""

from __future__ import annotations

from collections.abc import Iterable

MISSED = "missed"
"""The whole interval lies on the bad side of the target."""
SILENT = "silent"
"""Labels used to come, or should come, and do not."""
IDLE = "idle"
"""No predictions in any window."""
UNCERTAIN = "uncertain"
"""The interval holds the target."""
UNKNOWN = "unknown"
"""There is no score that could be judged; its state says why."""
NO_OBJECTIVE = "no_objective"
MET = "met"
"""The whole interval lies on the good side."""

VERDICTS = (MISSED, SILENT, IDLE, UNCERTAIN, UNKNOWN, NO_OBJECTIVE, MET)
"""All, in the order in which somebody on call wants to see them."""
_TOGETHER = (MISSED, SILENT, UNCERTAIN, MET, UNKNOWN, NO_OBJECTIVE, IDLE)
SILENCE_EVENTS = 10.0
"""So many labels must be missing before it is called silence: by chance that happens five times in 100,000."""


def judge(state: str, lower: float | None, upper: float | None, target: float | None, direction: str | None) -> str:
    """The verdict of one score; an interval that touches the target has met it."""
    if target is None:
        return NO_OBJECTIVE
    if state != "ok" or lower is None or upper is None:
        return UNKNOWN
    if direction == "at_most":
        lower, upper, target = -upper, -lower, -target
    if upper < target:
        return MISSED
    return MET if lower >= target else UNCERTAIN


def together(verdicts: Iterable[str]) -> str:
    """The verdict of a whole from those of its parts: a part that is not known or idle does not hide the others.

    A whole without parts is idle.
    """
    found = set(verdicts)
    return next((verdict for verdict in _TOGETHER if verdict in found), IDLE)


def is_silent(predictions: int, coverage: float | None, minimum: int) -> bool:
    """Whether so many mature predictions in a row without a label are a silence.

    `coverage` is the share that had labels before; where there never was one, `minimum` predictions are enough.
    """
    if not coverage:
        return predictions >= minimum
    return predictions * coverage >= SILENCE_EVENTS
