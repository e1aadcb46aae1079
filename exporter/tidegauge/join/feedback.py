"""Feedback on its way: one packed record a label, and the two places where it may have to wait.

`Waiting` holds feedback whose prediction has not been seen. `Deferred` holds feedback that came too late for the
sealed block of its prediction while that block is not sealed yet; it is applied afterwards, so that a sealed block
depends only on what the logs say and never on how far ahead one of them was read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.index import HashIndex
from tidegauge.state.table import Table

FEEDBACK = np.dtype(
    [
        ("key", "<u8"),
        ("time", "<i8"),  # ms; the feedback's own timestamp
        ("since", "<i8"),  # ms; how far the clock was when it came, for expiry
        ("sequence", "<u8"),  # order of arrival
        ("number", "<f8"),  # label of a regression, value of a signal, hash of a ranking or text
        ("propensity", "<f8"),  # NaN: not given
        ("content", "<u8"),  # rankings and texts: reference of the label
        ("release", "<i8"),  # deferred: end of the block that must be sealed first
        ("next", "<u4"),  # waiting: next record of the same prediction, as row number + 1
        ("label", "<u2"),  # class code
        ("channel", "u1"),
        ("retract", "u1"),
    ]
)
SCAN = 1 << 20


class Waiting:
    """Feedback by prediction id, in order of arrival."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._index = HashIndex(lambda numbers: self.table.rows["key"][numbers])
        self._cursor = 0
        numbers = table.live_numbers(0, table.high_water)
        if len(numbers):
            table.rows["next"][numbers] = 0
            self._link(numbers[np.argsort(table.rows["sequence"][numbers], kind="stable")])

    def __len__(self) -> int:
        return self.table.live

    def add(self, feedback: NDArray[np.void]) -> None:
        """Keeps records until their prediction comes."""
        numbers = self.table.allocate(len(feedback))
        self.table.rows[numbers] = feedback
        self.table.rows["next"][numbers] = 0
        self._link(numbers)

    def _link(self, numbers: NDArray[np.int64]) -> None:
        """The first record of an id is in the index; the others hang behind it."""
        rows = self.table.rows
        while len(numbers):
            first = self._index.lookup(rows["key"][numbers])
            fresh = numbers[first < 0]
            added = self._index.insert(rows["key"][fresh], fresh)
            repeated = fresh[~added]
            behind, anchors = numbers[first >= 0], first[first >= 0]
            _, once = np.unique(anchors, return_index=True)
            anchor = anchors[once]
            rows["next"][behind[once]] = rows["next"][anchor]
            rows["next"][anchor] = behind[once] + 1
            self.table.touch(anchor)
            rest = np.ones(len(behind), dtype=np.bool_)
            rest[once] = False
            numbers = np.sort(np.concatenate([repeated, behind[rest]]))

    def take(self, keys: NDArray[np.uint64]) -> NDArray[np.void]:
        """Removes and returns everything that waits for these predictions, in order of arrival."""
        if not self.table.live:
            return np.zeros(0, dtype=FEEDBACK)
        head = self._index.lookup(keys)
        head = head[head >= 0]
        if not len(head):
            return np.zeros(0, dtype=FEEDBACK)
        head = np.unique(head)
        chain = [head]
        while True:
            following = self.table.rows["next"][chain[-1]].astype(np.int64)
            following = following[following > 0] - 1
            if not len(following):
                break
            chain.append(following)
        numbers = np.concatenate(chain)
        taken: NDArray[np.void] = self.table.rows[numbers].copy()
        self._index.remove(self.table.rows["key"][head])
        self.table.free(numbers)
        return taken[np.argsort(taken["sequence"], kind="stable")]

    def expire(self, before: int) -> NDArray[np.void]:
        """Removes and returns records that have waited since before this time; one part of the table a call."""
        start, self._cursor = self._cursor, self._cursor + SCAN
        if self._cursor >= self.table.high_water:
            self._cursor = 0
        numbers = self.table.live_numbers(start, min(start + SCAN, self.table.high_water))
        old = numbers[self.table.rows["since"][numbers] < before]
        return self._remove_where(self.table.rows["key"][old], lambda rows: rows["since"] < before)

    def thin(self, mask: int) -> NDArray[np.void]:
        """Removes and returns records whose prediction is not in the hash sample."""
        numbers = self.table.live_numbers(0, self.table.high_water)
        keys = self.table.rows["key"][numbers]
        return self._remove_where(keys[(keys & np.uint64(mask)) != 0], lambda rows: np.ones(len(rows), dtype=np.bool_))

    def _remove_where(
        self, keys: NDArray[np.uint64], condition: Callable[[NDArray[np.void]], NDArray[np.bool_]]
    ) -> NDArray[np.void]:
        taken = self.take(keys)
        gone = condition(taken)
        if not gone.all():
            self.add(taken[~gone])
        return taken[gone]


class Deferred:
    """Late feedback that is held until its prediction's block is sealed."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def add(self, feedback: NDArray[np.void], release: NDArray[np.int64]) -> None:
        """Holds records until the blocks that end at `release` (ms) are sealed."""
        numbers = self.table.allocate(len(feedback))
        self.table.rows[numbers] = feedback
        self.table.rows["release"][numbers] = release

    def __len__(self) -> int:
        return self.table.live

    def thin(self, mask: int) -> NDArray[np.void]:
        """Removes and returns records whose prediction is not in the hash sample."""
        numbers = self.table.live_numbers(0, self.table.high_water)
        outside = numbers[(self.table.rows["key"][numbers] & np.uint64(mask)) != 0]
        taken: NDArray[np.void] = self.table.rows[outside].copy()
        self.table.free(outside)
        return taken

    def take(self, sealed_until: NDArray[np.int64]) -> NDArray[np.void]:
        """Removes and returns what waits for blocks sealed by now, by channel, in order of arrival."""
        numbers = self.table.live_numbers(0, self.table.high_water)
        if not len(numbers):
            return np.zeros(0, dtype=FEEDBACK)
        rows = self.table.rows
        due = numbers[rows["release"][numbers] <= sealed_until[rows["channel"][numbers]]]
        taken: NDArray[np.void] = rows[due].copy()
        self.table.free(due)
        return taken[np.argsort(taken["sequence"], kind="stable")]
