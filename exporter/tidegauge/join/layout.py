"""How a waiting prediction is packed.

A row holds what its contributions are made of and nothing else; there may be a hundred million of them. Times are
40-bit offsets from a base that lies 17 years before the model's first prediction, so they reach 17 years both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import DAY, WORDY, Channel, Model
from tidegauge.join.measures import COUNT

REACH = 1 << 40
"""ms that a packed time can span."""
BASE_LEAD = 17 * 365 * DAY
SAMPLING_SHIFT = 2
"""Bits 2 to 6 of `flags` hold the exponent k of the sampling rate 2**-k under which a row was kept."""
SHADOW = 1


CLASS, TRUTH, NUMBER, CONTENT = "class", "truth", "number", "content"


def form_of(model: Model, slot: Channel) -> str:
    """What is kept of a slot's label: a class code, a truth value (as code 0 or 1), a number, or of rankings and texts
    what comparing it with the answer gave, and a hash of it as number.
    """
    if slot.carries != "label":
        return TRUTH if slot.carries == "boolean" else NUMBER
    if model.task in WORDY:
        return CONTENT
    return NUMBER if model.task == "regression" else CLASS


@dataclass(frozen=True, slots=True)
class Layout:
    """The packed form of one model's rows."""

    dtype: np.dtype[np.void]
    task: str
    slices: int
    forms: tuple[str, ...]  # what each slot keeps: see `form_of`
    weighted: bool

    @classmethod
    def of(cls, model: Model, *, weighted: bool) -> Layout:
        """The layout for a model; `weighted` once a record has carried a weight or count other than 1."""
        fields: list[Any] = [
            ("key", "<u8"),
            ("time_low", "<u4"),
            ("time_high", "u1"),
            ("version", "u1"),
            ("flags", "u1"),
            ("unit", "u1"),
        ]
        match model.task:
            case "regression":
                fields.append(("value", "<f8"))
            case "binary":
                fields.extend([("predicted", "u1"), ("score", "<f8")])
            case "multiclass":
                fields.extend([("predicted", "u1"), ("vector", "<u8")])
            case _:
                fields.extend([("predicted", "u1"), ("content", "<u8")])
        forms = tuple(form_of(model, slot) for slot in model.slots)
        fields.extend((f"slice{number}", "u1") for number in range(len(model.slices)))
        for number, (form, channel) in enumerate(zip(forms, model.slots, strict=True)):
            fields.append((f"label{number}", "u1"))
            if form in (NUMBER, CONTENT):
                fields.append((f"number{number}", "<f8"))
            if form == CONTENT:
                fields.append((f"measures{number}", "<f8" if model.task == "ranking" else "<f4", (COUNT[model.task],)))
            fields.extend([(f"low{number}", "<u4"), (f"high{number}", "u1")])
            if channel.kind == "sample":
                fields.append((f"propensity{number}", "<f8"))
        if weighted:
            fields.extend([("weight", "<f8"), ("count", "<u4")])
        return cls(np.dtype(fields), model.task, len(model.slices), forms, weighted)


def unit_buckets(unit: NDArray[np.uint64] | None, key: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The bucket, of 256, that each prediction's unit falls into; a prediction without a unit (0) is one of its own.

    Mixed (MurmurHash3's 64-bit finaliser), as the hash sample leaves only keys whose lowest bits are 0.
    """
    mixed = key.copy() if unit is None else np.where(unit == 0, key, unit)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed.astype(np.uint8)


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
