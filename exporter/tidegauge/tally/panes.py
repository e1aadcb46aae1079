"""The ladder of pane widths: fine panes for recent time, coarse ones for old time, one cell for all that came before.

Every width divides the next one, panes are aligned to UTC, and a window of width w is made of whole panes of the
width that belongs to w or of finer ones, so sums of panes are sums of windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.panes import MOST_PANES, PANE_WIDTHS, pane_width
from tidegauge.config.settings import Model

FOREVER = -(1 << 62)
"""Pane start of the cell that holds everything older than the ladder."""


@dataclass(frozen=True, slots=True)
class Window:
    """One rolling window and the width its edges are floored to, both in ms."""

    width: int
    pane: int

    def bounds(self, clock: int, maturity: int) -> tuple[int, int]:
        """[start, end) of the window of mature predictions at this clock."""
        end = (clock - maturity) // self.pane * self.pane
        return end - self.width, end


@dataclass(frozen=True, slots=True)
class Ladder:
    """Pane widths from fine to coarse, each with the age up to which it is used."""

    widths: tuple[int, ...]  # ms
    depths: tuple[int, ...]  # ms of age behind the clock that each width must still cover
    windows: tuple[Window, ...]
    block: int  # ms; width of a sealed block, a multiple of the finest pane

    def edges(self, clock: int, sealed_until: int) -> tuple[int, ...]:
        """Where each width ends: panes that start before edges[i] are no longer of width widths[i].

        Unsealed time stays in the finest panes, because a block is made of them. Edges never cut a coarser pane.
        """
        edges = []
        bound = sealed_until
        for level, depth in enumerate(self.depths):
            coarser = self.widths[min(level + 1, len(self.widths) - 1)]
            bound = min(bound, clock - depth) // coarser * coarser
            edges.append(bound)
        return tuple(edges)

    def place(self, time: NDArray[np.int64], edges: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(pane start, level) of each prediction time; level len(widths) is the cell of everything older."""
        pane = time // self.widths[0] * self.widths[0]
        level = np.zeros(len(time), dtype=np.int64)
        for number, edge in enumerate(edges):
            older = time < edge
            if not older.any():
                break
            if number + 1 == len(self.widths):
                pane[older] = FOREVER
            else:
                width = self.widths[number + 1]
                pane[older] = time[older] // width * width
            level[older] = number + 1
        return pane, level


def ladder_of(model: Model) -> Ladder:
    """The ladder that a model's windows and maturities need.

    A short window far behind the clock (a long maturity) would need very many fine panes: there a pane may grow to a
    sixth of its window. Widths come from one chain in which each divides the next, so a shorter window never has the
    wider pane.
    """
    maturity = max(slot.maturity for slot in model.slots)
    widths_wanted = [_pane(width, maturity) for width in sorted(model.windows)]
    for number in range(len(widths_wanted) - 2, -1, -1):
        widths_wanted[number] = min(widths_wanted[number], widths_wanted[number + 1])
    windows = tuple(Window(width, pane) for width, pane in zip(sorted(model.windows), widths_wanted, strict=True))
    widths: list[int] = []
    depths: list[int] = []
    for window in windows:
        depth = maturity + window.width + 2 * window.pane
        if widths and widths[-1] == window.pane:
            depths[-1] = depth
        else:
            widths.append(window.pane)
            depths.append(depth)
    block = widths[0] * max(1, model.block // widths[0])
    sealing = maturity + model.grace + 2 * block
    return Ladder(tuple(widths), tuple(max(depth, sealing) for depth in depths), windows, block)


def _pane(window: int, maturity: int) -> int:
    pane = pane_width(window)
    for wider in PANE_WIDTHS:
        if (window + maturity) // pane <= MOST_PANES:
            break
        if wider > pane and window % wider == 0 and wider * 6 <= window:
            pane = wider
    return pane
