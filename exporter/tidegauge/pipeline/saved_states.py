"""What detectors hold, as bytes in a table: they are written anew when a block has changed them, not at every save."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.state.table import Table

SHEET: Final = 4096
SHEETS: Final = np.dtype([("bytes", "u1", (SHEET,))])
_LENGTH: Final = 8  # bytes at the beginning that say how many follow


def name_of(model: str) -> str:
    """The table's name."""
    return f"{model}/detectors"


def pack_array(array: NDArray[Any]) -> list[Any]:
    """An array as plain values and bytes."""
    return [array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes()]


def unpack_array(packed: Sequence[Any]) -> NDArray[Any]:
    """The inverse of pack_array, read-only."""
    dtype, shape, content = packed
    return np.frombuffer(content, dtype=dtype).reshape(shape)


class SavedBytes:
    """The table of one content. It only grows."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def write(self, content: bytes) -> None:
        """Puts this in the place of what was there."""
        whole = len(content).to_bytes(_LENGTH, "little") + content
        sheets = -(-len(whole) // SHEET)
        if sheets > self.table.high_water:
            self.table.allocate(sheets - self.table.high_water)
        padded = np.zeros(sheets * SHEET, dtype=np.uint8)
        padded[: len(whole)] = np.frombuffer(whole, dtype=np.uint8)
        self.table.rows["bytes"][:sheets] = padded.reshape(sheets, SHEET)
        self.table.touch(np.arange(sheets, dtype=np.int64))

    def read(self) -> bytes:
        """What was written last; nothing where nothing was."""
        if not self.table.high_water:
            return b""
        whole = self.table.rows["bytes"][: self.table.high_water].tobytes()
        length = int.from_bytes(whole[:_LENGTH], "little")
        return whole[_LENGTH : _LENGTH + length]


class SavedStates:
    """States as JSON values, compressed."""

    def __init__(self, table: Table) -> None:
        self._saved = SavedBytes(table)

    @property
    def table(self) -> Table:
        """What they rest in."""
        return self._saved.table

    def write(self, states: Mapping[str, Any]) -> None:
        """Puts JSON values in the place of those before."""
        self._saved.write(zlib.compress(msgspec.json.encode(states), level=1))

    def read(self) -> dict[str, Any]:
        """What was written last; nothing where nothing was."""
        content = self._saved.read()
        states: dict[str, Any] = msgspec.json.decode(zlib.decompress(content)) if content else {}
        return states
