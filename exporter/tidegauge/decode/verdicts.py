"""Which rows of a batch are turned away, each for one reason: the first that applies."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.columns import REASONS, Rejection
from tidegauge.decode.lines import LineTable, Offsets

Item = TypeVar("Item")
Column = TypeVar("Column", bound=np.generic)


class Keep:
    """Picks the rows that stay out of the columns of a batch; a batch that stays whole is not copied."""

    __slots__ = ("_mask",)

    def __init__(self, mask: NDArray[np.bool_] | None) -> None:
        self._mask = mask

    def of(self, column: NDArray[Column]) -> NDArray[Column]:
        """The kept elements of an array."""
        return column if self._mask is None else column[self._mask]

    def of_columns(self, columns: NDArray[Column]) -> NDArray[Column]:
        """The kept elements of each row of an array, C-contiguous."""
        return columns if self._mask is None else columns.compress(self._mask, axis=1)

    def of_list(self, column: list[Item]) -> list[Item]:
        """The kept elements of a list."""
        if self._mask is None:
            return column
        return [item for item, kept in zip(column, self._mask.tolist(), strict=True) if kept]


class Verdicts:
    """Collects the reasons against the rows of one batch."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._reason: NDArray[np.int8] | None = None  # index in REASONS, -1: none; made when first needed

    def reject(self, mask: NDArray[np.bool_], reason: str) -> None:
        """Turns away the rows of the mask that still stand."""
        if mask.any():
            self.reject_rows(np.flatnonzero(mask), reason)

    def reject_rows(self, rows: NDArray[np.int64], reason: str) -> None:
        """Turns away these rows if they still stand."""
        if not len(rows):
            return
        if self._reason is None:
            self._reason = np.full(self._rows, -1, np.int8)
        rows = rows[self._reason[rows] < 0]
        self._reason[rows] = REASONS.index(reason)

    def standing(self) -> NDArray[np.bool_]:
        """The rows that nothing speaks against so far."""
        return np.ones(self._rows, np.bool_) if self._reason is None else self._reason < 0

    def settle(
        self, offsets: Offsets, table: LineTable, rejections: list[Rejection], drop: NDArray[Any] | None = None
    ) -> Keep:
        """Reports the rejected rows and gives what picks the others, less those of `drop`."""
        if self._reason is None and drop is None:
            return Keep(None)
        if self._reason is not None:
            for row in np.flatnonzero(self._reason >= 0).tolist():
                rejections.append(table.rejection(REASONS[self._reason[row]], int(offsets[row])))
        mask = self.standing()
        return Keep(mask if drop is None else mask & ~drop)
