"""Codes of joined texts of one length, found by comparing machine words instead of looking each text up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.text import Coder

_MAX_WIDTH = 32  # bytes
_MAX_VALUES = 8


def joined_codes(joined: bytes, n: int, coder: Coder) -> NDArray[np.int32] | None:
    """Codes of `n` >= 1 texts joined by newlines, none of which holds one.

    None if the texts have several lengths, are long, or are of more than a few kinds: then looking them up is better.
    """
    width = (len(joined) + 1) // n - 1
    if not 0 < width <= _MAX_WIDTH or len(joined) != n * (width + 1) - 1:
        return None
    grid = np.frombuffer(joined + b"\n", np.uint8).reshape(n, width + 1)
    # n - 1 newlines are known to exist: with one at the end of each row there is none elsewhere
    if not (grid[:, width] == 10).all():
        return None
    words = _words(grid, width)
    codes = np.full(n, -1, np.int32)
    left = n
    first = 0
    for _ in range(_MAX_VALUES):
        same = words[0] == words[0][first]
        for word in words[1:]:
            same &= word == word[first]
        code = coder.code(grid[first, :width].tobytes().decode())
        codes += np.multiply(same, np.int32(code + 1), dtype=np.int32)  # from -1; twice as fast as picking rows
        left -= int(np.count_nonzero(same))
        if not left:
            return codes
        first = int((codes == -1).argmax())
    return None


def _words(grid: NDArray[np.uint8], width: int) -> list[NDArray[np.unsignedinteger]]:
    """The bytes of each row as few words, overlapping where the width asks for it."""
    size = 8 if width >= 8 else 4 if width >= 4 else 2 if width >= 2 else 1
    starts = [*range(0, width - size, size), width - size]
    return [np.ascontiguousarray(grid[:, start : start + size]).view(f"<u{size}")[:, 0] for start in starts]
