"""Texts of one length as machine words: arrays work on eight characters of all rows at once.

The rows of a grid are the bytes of texts; they may lie apart, but the bytes of one row lie side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def word_at(grid: NDArray[np.uint8], start: int, size: int = 8) -> NDArray[np.unsignedinteger[Any]]:
    """`size` bytes (1, 2, 4 or 8) of each row from there on, as little-endian integers side by side."""
    # Copied as words: numpy takes ten times as long to copy them byte by byte.
    return grid[:, start : start + size].view(f"<u{size}")[:, 0].copy()


def grid_of(joined: bytes, n: int) -> NDArray[np.uint8] | None:
    """The bytes of `n` >= 1 texts joined by newlines, none of which holds one, a row a text; None if lengths differ."""
    width = (len(joined) + 1) // n - 1
    if width <= 0 or len(joined) != n * (width + 1) - 1:
        return None
    grid = np.frombuffer(joined + b"\n", np.uint8).reshape(n, width + 1)
    # n - 1 newlines are known to exist: with one at the end of each row there is none elsewhere.
    return grid[:, :width] if (grid[:, width] == 10).all() else None
