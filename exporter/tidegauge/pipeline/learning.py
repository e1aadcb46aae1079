"""Holds the first predictions of a model until there are enough to learn the bins of its features from.

All of them are kept whole for that while, so that none is missing from the counts when the bins are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.join.rows import MISSING_VECTOR, Codes, FeatureValues, Rows, VectorValues
from tidegauge.pipeline.saved_states import pack_array, unpack_array

MOST: Final = 10
"""Times the predictions needed: with so many held, bins are learned of what is there, sealed or not."""
MOST_BYTES: Final = 64 << 20
"""The same of vectors."""


class LearningBuffer:
    """Rows as they arrive; `needed` of them within sealed time are enough."""

    def __init__(self, needed: int, saved: bytes = b"") -> None:
        self._needed = needed
        self._rows: list[Rows] = []
        self._units: list[NDArray[np.uint64]] = []
        self._bytes = 0  # of vectors
        self._earliest = np.zeros(0, dtype=np.int64)  # times of the first predictions, as many as are needed
        if saved:
            rows, units = _unpack(saved)
            self._hold(rows, units)

    def __len__(self) -> int:
        return sum(map(len, self._rows))

    def add(self, rows: Rows, units: NDArray[np.uint64] | None) -> None:
        """`units` are the hashes of unit ids (0: none); None where no row has one."""
        self._hold(_slim(rows), np.zeros(len(rows), dtype=np.uint64) if units is None else units)

    def _hold(self, rows: Rows, units: NDArray[np.uint64]) -> None:
        self._rows.append(rows)
        self._units.append(units)
        self._bytes += _vector_bytes(rows)
        times = np.concatenate([self._earliest, rows.time])
        self._earliest = np.partition(times, self._needed - 1)[: self._needed] if len(times) > self._needed else times

    def enough_until(self, block: int) -> int | None:
        """The end (ms) of the first block up to which there are enough predictions; None: there are not yet."""
        if len(self._earliest) < self._needed:
            return None
        return int(self._earliest.max()) // block * block + block

    def ripe(self, sealed_until: int, block: int) -> int | None:
        """The end (ms) of the time that is enough to learn from; None: wait."""
        end = self.enough_until(block)
        if end is not None and end <= sealed_until:
            return end
        full = len(self) >= MOST * self._needed or self._bytes >= MOST_BYTES
        return max(int(rows.time.max()) for rows in self._rows) + 1 if full else None

    def parts(self) -> Sequence[Rows]:
        """Everything held, in order of arrival."""
        return self._rows

    def before(self, until: int) -> tuple[Rows, NDArray[np.uint64]]:
        """What is held of the time before `until` (ms), by time and then in order of arrival, with its units."""
        some = [np.flatnonzero(rows.time < until) for rows in self._rows]
        rows = joined([rows.take(index) for rows, index in zip(self._rows, some, strict=True)])
        units = np.concatenate([unit[index] for unit, index in zip(self._units, some, strict=True)])
        order = np.argsort(rows.time, kind="stable")
        return rows.take(order), units[order]

    def save(self) -> bytes:
        """What the constructor takes."""
        return _pack(joined(self._rows), np.concatenate(self._units)) if len(self) else b""


def _vector_bytes(rows: Rows) -> int:
    return 0 if rows.features is None else sum(one.numbers.nbytes for one in rows.features.vectors if one is not None)


def _slim(rows: Rows) -> Rows:
    """What features are counted from."""
    return Rows(
        time=rows.time,
        version=rows.version,
        slices=(),
        predicted=rows.predicted,
        score=rows.score,
        value=rows.value,
        labels=(),
        count=rows.count,
        unit=rows.unit,
        features=rows.features,
    )


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows that were held, one after the other."""
    counts = None if all(rows.count is None for rows in parts) else np.concatenate([rows.counts() for rows in parts])
    units = [rows.unit for rows in parts if rows.unit is not None]
    values = [rows.features for rows in parts if rows.features is not None]
    return Rows(
        time=np.concatenate([rows.time for rows in parts]),
        version=np.concatenate([rows.version for rows in parts]),
        slices=(),
        predicted=np.concatenate([rows.predicted for rows in parts]),
        score=np.concatenate([rows.score for rows in parts]),
        value=np.concatenate([rows.value for rows in parts]),
        labels=(),
        count=counts,
        unit=np.concatenate(units) if len(units) == len(parts) else None,
        features=_joined_values(values) if len(values) == len(parts) else None,
    )


def _joined_values(parts: Sequence[FeatureValues]) -> FeatureValues:
    return FeatureValues(
        numbers=np.concatenate([part.numbers for part in parts], axis=1),
        codes=tuple(_joined_codes(columns) for columns in zip(*(part.codes for part in parts), strict=True)),
        vectors=tuple(
            _joined_vectors(columns, [part.numbers.shape[1] for part in parts])
            for columns in zip(*(part.vectors for part in parts), strict=True)
        ),
    )


def _joined_codes(columns: Sequence[Codes]) -> Codes:
    known: dict[str, int] = {}
    codes = []
    for column in columns:
        table = np.array([*(known.setdefault(text, len(known)) for text in column.values), 0, 0], dtype=np.int32)
        codes.append(np.where(column.codes < 0, column.codes, table[column.codes]))
    return Codes(np.concatenate(codes), list(known))


def _joined_vectors(columns: Sequence[VectorValues | None], rows: Sequence[int]) -> VectorValues | None:
    given = [column for column in columns if column is not None]
    if not given:
        return None
    lengths = [
        np.full(size, MISSING_VECTOR, dtype=np.int32) if column is None else column.lengths
        for column, size in zip(columns, rows, strict=True)
    ]
    return VectorValues(np.concatenate(lengths), np.concatenate([column.numbers for column in given]))


def _pack(rows: Rows, units: NDArray[np.uint64]) -> bytes:
    values = rows.features
    arrays: dict[str, NDArray[Any] | None] = {
        "time": rows.time,
        "version": rows.version,
        "predicted": rows.predicted,
        "score": rows.score,
        "value": rows.value,
        "count": rows.count,
        "unit": rows.unit,
        "units": units,
        "numbers": None if values is None else values.numbers,
    }
    return msgspec.msgpack.encode(
        {
            "arrays": {name: pack_array(array) for name, array in arrays.items() if array is not None},
            "codes": [] if values is None else [[pack_array(column.codes), column.values] for column in values.codes],
            "vectors": []
            if values is None
            else [
                None if one is None else [pack_array(one.lengths), pack_array(one.numbers)] for one in values.vectors
            ],
        }
    )


def _unpack(saved: bytes) -> tuple[Rows, NDArray[np.uint64]]:
    content = msgspec.msgpack.decode(saved)
    arrays = {name: unpack_array(packed) for name, packed in content["arrays"].items()}
    values = None
    if "numbers" in arrays:
        values = FeatureValues(
            numbers=arrays["numbers"],
            codes=tuple(Codes(unpack_array(codes), texts) for codes, texts in content["codes"]),
            vectors=tuple(None if one is None else VectorValues(*map(unpack_array, one)) for one in content["vectors"]),
        )
    rows = Rows(
        time=arrays["time"],
        version=arrays["version"],
        slices=(),
        predicted=arrays["predicted"],
        score=arrays["score"],
        value=arrays["value"],
        labels=(),
        count=arrays.get("count"),
        unit=arrays.get("unit"),
        features=values,
    )
    return rows, arrays["units"]
