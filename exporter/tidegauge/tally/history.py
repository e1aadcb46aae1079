"""Sums of sealed blocks by version and hour, some weeks back: what a version was like at this hour of the week.

Unlike the panes of a tally these are final, so that what is compared with them replays to the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import HOUR
from tidegauge.state.table import Table

WEEK_HOURS = 168
MOST_SPARE = 16
"""Rows that are kept for hours to come."""
_COUNT_LIMIT = (1 << 32) - 1


class HourlyHistory:
    """One model's hours. `columns` sums of which the first `counts` (by `is_count`) are counts, the others large.

    Counts are kept as 32-bit integers and the other sums as 32-bit floats: at 12 features an hour takes about 2 kB.
    """

    def __init__(self, name: str, is_count: NDArray[np.bool_], depth: int, table: Table | None = None) -> None:
        """`depth` in ms: hours older than that are given up."""
        self._counts = np.flatnonzero(is_count)
        self._others = np.flatnonzero(~is_count)
        self._columns = len(is_count)
        self._depth = depth // HOUR
        self.table = Table(name, dtype_of(is_count)) if table is None else table
        live = self.table.live_numbers(0, self.table.high_water)
        rows = self.table.rows[live]
        self._directory: dict[int, dict[int, int]] = {}  # row by hour and version
        for version, hour, number in zip(rows["version"].tolist(), rows["hour"].tolist(), live.tolist(), strict=True):
            self._directory.setdefault(hour, {})[version] = number
        self._newest = max(self._directory, default=0)
        self._oldest = min(self._directory, default=0)
        self._spare: list[int] = []  # rows of hours that are over, for those to come: quicker than to free them
        self._expire(self._newest - self._depth)

    def add(self, version: int, time: int, sums: NDArray[np.int64]) -> None:
        """Adds a block's sums, shape (columns,), to the hour of `time` (ms)."""
        hour = time // HOUR
        number = self._directory.get(hour, {}).get(version)
        if number is None:
            number = self._begin(version, hour)
        row = self.table.rows[number]
        row["counts"][:] = np.minimum(row["counts"].astype(np.int64) + sums[self._counts], _COUNT_LIMIT)
        if len(self._others):
            row["sums"][:] += sums[self._others]
        self.table.touch(np.array([number], dtype=np.int64))
        if hour > self._newest:
            self._newest = hour
            self._expire(hour - self._depth)

    def _begin(self, version: int, hour: int) -> int:
        number = self._spare.pop() if self._spare else int(self.table.allocate(1)[0])
        row = self.table.rows[number : number + 1]
        row[:] = np.zeros((), self.table.dtype)
        row["version"], row["hour"] = version, hour
        self._oldest = min(self._oldest, hour) if self._directory else hour
        self._directory.setdefault(hour, {})[version] = number
        return number

    def at(self, version: int, hours: Sequence[int]) -> NDArray[np.int64]:
        """The sums of these hours (since 1970) together, shape (columns,); zeros where there is nothing."""
        found = np.zeros(self._columns, dtype=np.int64)
        known = [versions[version] for hour in hours if version in (versions := self._directory.get(hour, {}))]
        if known:
            rows = self.table.rows[np.array(known)]
            found[self._counts] = rows["counts"].sum(axis=0, dtype=np.int64)
            if len(self._others):
                found[self._others] = np.rint(rows["sums"].sum(axis=0, dtype=np.float64)).astype(np.int64)
        return found

    def same_hours(self, hour: int, before: int) -> list[int]:
        """The hours of earlier weeks that are the same of the week as `hour`, earlier than `before`."""
        weeks = range(1, self._depth // WEEK_HOURS + 1)
        return [then for week in weeks if (then := hour - week * WEEK_HOURS) < before]

    def forget(self, version: int) -> None:
        """Drops what there is of a version."""
        self._drop([versions.pop(version) for versions in self._directory.values() if version in versions])
        # When this is read again it must be clear from the hours that are left which rows are spare.
        self._drop(self._spare)
        self._spare.clear()

    def _expire(self, before: int) -> None:
        # Hour by hour: to look at all that there are whenever one begins would cost more than all else here.
        while self._oldest < before and self._directory:
            self._spare += self._directory.pop(self._oldest, {}).values()
            self._oldest = self._oldest + 1 if self._oldest + 1 in self._directory else min(self._directory, default=0)
        self._drop(self._spare[MOST_SPARE:])
        del self._spare[MOST_SPARE:]

    def _drop(self, numbers: Sequence[int]) -> None:
        if numbers:
            self.table.free(np.array(numbers, dtype=np.int64))


def dtype_of(is_count: NDArray[np.bool_]) -> np.dtype[np.void]:
    """Of the table's rows."""
    counts = int(is_count.sum())
    fields = [("version", "u1"), ("hour", "<i4"), ("counts", "<u4", (counts,))]
    return np.dtype(fields + ([("sums", "<f4", (len(is_count) - counts,))] if counts < len(is_count) else []))
