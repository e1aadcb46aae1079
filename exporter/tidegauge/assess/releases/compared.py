"""One measure of one release: what was frozen before it, and both ways of comparing since.

Blocks in which both versions answered go to the concurrent comparison; those in which only the new one did are held
against what the baseline's past lets expect of that hour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from tidegauge.assess.releases.arms import Side
from tidegauge.assess.sequential import before_after, comparison
from tidegauge.assess.sequential.before_after import BeforeAfterPlan, BeforeAfterState
from tidegauge.assess.sequential.clusters import Buckets
from tidegauge.assess.sequential.comparison import Plan, State
from tidegauge.assess.sequential.history import HOUR_MS, hour_of_week
from tidegauge.assess.sequential.verdict import ROLL_BACK, VERDICTS, Result

CONCURRENT, BEFORE_AFTER = "concurrent", "before_after"
FEW: Final = 0.2  # of the new version's rows: with fewer at the same time as the baseline, the other design decides


def speaking(results: Mapping[str, Result]) -> str:
    """The design that most rows speak for; one that few speak for is heard only if it is alone."""
    if len(results) == 1:
        return next(iter(results))
    at_once = float(results[CONCURRENT].samples_candidate)
    after = float(results[BEFORE_AFTER].samples_candidate)
    return BEFORE_AFTER if at_once < FEW * (at_once + after) else CONCURRENT


@dataclass(frozen=True, slots=True)
class Frozen:
    """What is fixed when the comparison of a measure begins; losses, the more the worse."""

    plan: Plan
    margin: float
    cap: float | None  # losses above it are held there
    switch: BeforeAfterPlan | None  # None: too little of the baseline's past is known
    expected: tuple[float, ...]  # by hour of the week, where there is a switch plan


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison so far."""

    frozen: Frozen
    concurrent: State
    after: BeforeAfterState | None
    clipped: float = 0.0
    rows: float = 0.0  # of both versions, that could be clipped
    rolled_back: bool = False  # that was the verdict once

    @classmethod
    def begin(cls, frozen: Frozen) -> Compared:
        """Before the first block."""
        after = None if frozen.switch is None else BeforeAfterState.empty(frozen.switch)
        return cls(frozen, State.empty(frozen.plan), after)

    @property
    def cap(self) -> float:
        """Losses above it are held there; inf where there is none."""
        return math.inf if self.frozen.cap is None else self.frozen.cap

    def advance(self, start: int, candidate: Side, baseline: Side) -> Compared:
        """After one more block that starts at `start` (ms)."""
        if candidate.arm.n <= 0:
            return self
        counted = replace(
            self,
            clipped=self.clipped + candidate.clipped + baseline.clipped,
            rows=self.rows + float(candidate.arm.n) + float(baseline.arm.n),
        )
        if baseline.arm.n > 0:
            buckets = None
            if self.frozen.plan.clustered:
                assert candidate.bucket_n is not None and candidate.bucket_s1 is not None
                assert baseline.bucket_n is not None and baseline.bucket_s1 is not None
                buckets = Buckets(candidate.bucket_n, candidate.bucket_s1, baseline.bucket_n, baseline.bucket_s1)
            state = comparison.advance(self.concurrent, self.frozen.plan, candidate.arm, baseline.arm, buckets)
            return replace(counted, concurrent=state)._latched()
        if self.after is None or self.frozen.switch is None:
            return counted
        expected = self.frozen.expected[hour_of_week(start)]
        hour = start // HOUR_MS
        after = before_after.advance(self.after, self.frozen.switch, candidate.arm, expected, hour)
        return replace(counted, after=after)._latched()

    def results(self) -> dict[str, Result]:
        """By design, those that have anything."""
        found = {}
        if self.concurrent.candidate_n > 0:
            found[CONCURRENT] = comparison.read(self.concurrent, self.frozen.plan)
        if self.after is not None and self.frozen.switch is not None and self.after.candidate_n > 0:
            found[BEFORE_AFTER] = before_after.read(self.after, self.frozen.switch)
        return found

    def verdict(self) -> str:
        """Of the design that most rows speak for; a verdict to roll back stays, whatever comes after it."""
        return VERDICTS[ROLL_BACK if self.rolled_back else self._code()]

    def _code(self) -> int:
        at_once = float(self.concurrent.candidate_n)
        if self.after is None or not at_once + float(self.after.candidate_n) > 0:
            return int(self.concurrent.verdict)
        few = at_once < FEW * (at_once + float(self.after.candidate_n))
        return int(self.after.verdict if few else self.concurrent.verdict)

    def _latched(self) -> Compared:
        return replace(self, rolled_back=True) if not self.rolled_back and self._code() == ROLL_BACK else self

    def save(self) -> dict[str, Any]:
        """JSON values."""
        frozen = self.frozen
        return {
            "plan": asdict(frozen.plan),
            "margin": frozen.margin,
            "cap": frozen.cap,
            "switch": None if frozen.switch is None else asdict(frozen.switch),
            "expected": list(frozen.expected),
            "concurrent": self.concurrent.to_json(),
            "after": None if self.after is None else self.after.to_json(),
            "clipped": self.clipped,
            "rows": self.rows,
            "rolled_back": self.rolled_back,
        }

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Compared:
        """What `save` gave."""
        switch = None if saved["switch"] is None else BeforeAfterPlan(**saved["switch"])
        frozen = Frozen(Plan(**saved["plan"]), saved["margin"], saved["cap"], switch, tuple(saved["expected"]))
        after = None if saved["after"] is None else BeforeAfterState.from_json(saved["after"])
        return cls(
            frozen, State.from_json(saved["concurrent"]), after, saved["clipped"], saved["rows"], saved["rolled_back"]
        )
