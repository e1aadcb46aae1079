"""How a waiting prediction is packed.

A row holds what its contributions are made of and nothing else; there may be a hundred million of them. Times are
40-bit offsets from a base that lies 17 years before the model's first prediction, so they reach 17 years both ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import DAY, Model

REACH = 1 << 40
"""ms that a packed time can span."""
BASE_LEAD = 17 * 365 * DAY
SAMPLING_SHIFT = 2
"""Bits 2 to 6 of `flags` hold the exponent k of the sampling rate 2**-k under which a row was kept."""
SHADOW = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The packed form of one model's rows."""

    dtype: np.dtype[np.void]
    task: str
    slices: int
    channels: int
    weighted: bool

    @classmethod
    def of(cls, model: Model, *, weighted: bool) -> Layout:
        """The layout for a model; `weighted` once a record has carried a weight or count other than 1."""
        fields: list[tuple[str, str]] = [
            ("key", "<u8"),
            ("time_low", "<u4"),
            ("time_high", "u1"),
            ("version", "u1"),
            ("flags", "u1"),
        ]
        if model.task == "regression":
            fields.append(("value", "<f8"))
        else:
            fields.append(("predicted", "u1"))
            fields.append(("score", "<f8") if model.task == "binary" else ("vector", "<u8"))
        fields.extend((f"slice{number}", "u1") for number in range(len(model.slices)))
        for number, channel in enumerate(model.channels):
            fields.append((f"label{number}", "u1"))
            if model.task == "regression":
                fields.append((f"number{number}", "<f8"))
            fields.extend([(f"low{number}", "<u4"), (f"high{number}", "u1")])
            if channel.kind == "sample":
                fields.append((f"propensity{number}", "<f8"))
        if weighted:
            fields.extend([("weight", "<f8"), ("count", "<u4")])
        return cls(np.dtype(fields), model.task, len(model.slices), len(model.channels), weighted)


def write_time(
    rows: np.ndarray, low: str, high: str, time: NDArray[np.int64], base: int, where: NDArray[np.bool_] | None = None
) -> None:
    """Packs times (ms) into two fields of the rows; times beyond the reach are held at its ends."""
    offset = np.clip(time - base, 0, REACH - 1)
    if where is None:
        rows[low] = offset & 0xFFFFFFFF
        rows[high] = offset >> 32
    else:
        rows[low][where] = offset[where] & 0xFFFFFFFF
        rows[high][where] = offset[where] >> 32


def read_time(rows: np.ndarray, low: str, high: str, base: int) -> NDArray[np.int64]:
    """The times (ms) packed in two fields of the rows."""
    times: NDArray[np.int64] = (rows[high].astype(np.int64) << 32) + rows[low] + base
    return times
