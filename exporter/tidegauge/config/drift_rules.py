"""Rules between the keys of `drift`, and between them and their model.

Takes what the walker left, as `rules` does, and passes over whatever was refused already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegauge.config.durations import describe_duration, format_duration
from tidegauge.config.problems import Place, listed, quote
from tidegauge.config.settings import DAY, DRIFT_REFERENCES, TRAINING, WEEK, Drift, Model
from tidegauge.config.walk import INVALID, Findings

_WINDOWS = Model.__dataclass_fields__["windows"].default
_LEARNING, _FIRST = (Drift.__dataclass_fields__[name].default for name in ("learning", "first"))


def default_windows(windows: tuple[int, ...]) -> tuple[int, ...]:
    """The one window (ms) that drift is published for where none is named: a day shows every hour of it."""
    return (max((window for window in windows if window <= DAY), default=min(windows)),)


def check_drift(model: Mapping[str, Any], place: Place, findings: Findings) -> None:
    """Notes what of a model's `drift` does not fit together."""
    drift = model.get("drift", INVALID)
    if drift is INVALID:
        return
    here: Place = (*place, "drift")
    _check_windows(model.get("windows", _WINDOWS), drift.get("windows", INVALID), here, findings)
    first, learning = drift.get("first", _FIRST), drift.get("learning", _LEARNING)
    if INVALID not in (first, learning) and first < learning:
        key, found, allowed = ("first", first, f"at least {learning} (learning)")
        if "first" not in drift:
            key, found, allowed = ("learning", learning, f"at most {first} (first)")
        findings.add((*here, key), f"{found}", allowed)
    trailing = drift.get("trailing", INVALID)
    if trailing is not INVALID and trailing % WEEK:
        allowed = listed(format_duration(weeks * WEEK) for weeks in range(1, 9))
        findings.add((*here, "trailing"), quote(describe_duration(trailing)), f"whole weeks: {allowed}")
    if drift.get("references") == [TRAINING] and "reference" not in model:
        found = f"{TRAINING} alone, and the model names no reference"
        allowed = f"one of {listed(DRIFT_REFERENCES[1:])} besides, or a `reference` of the model"
        findings.add((*here, "references"), found, allowed)


def _check_windows(configured: Any, asked: Any, here: Place, findings: Findings) -> None:
    if INVALID in (configured, asked) or INVALID in configured:
        return
    for index, window in enumerate(asked):
        if window is not INVALID and window not in configured:
            allowed = f"a window of the model: {listed(map(format_duration, sorted(configured)))}"
            findings.add((*here, "windows", index), quote(format_duration(window)), allowed)
