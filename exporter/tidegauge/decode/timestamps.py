"""Timestamps of the record contract as int64 milliseconds since the epoch.

Accepted: RFC 3339 (any fraction, any offset; `T`, `t` or a space; offsets also as +HHMM or +HH), the same without an
offset (read in the source's zone, the first of two in a DST fold), and epoch numbers in s, ms, us or ns by magnitude,
also as text. What is finer than a millisecond is cut. Everything else is INVALID; None is MISSING. Only 1990 to 2200.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from types import NoneType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.decode.words import grid_of, word_at

Times = NDArray[np.int64]
Bytes = NDArray[np.uint8]

INVALID: Final = int(np.iinfo(np.int64).min)
MISSING: Final = INVALID + 1

FIRST_YEAR, LAST_YEAR = 1990, 2200
_FIRST_MS = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1000
_END_MS = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()) * 1000
_EPOCH = datetime(1970, 1, 1)
_MINUTE, _DAY = 60_000, 86_400_000
_DATE = 11  # characters of "2006-01-02T"

# By month since January of FIRST_YEAR: the day number (1970-01-01 is 0) of its first day, and its number of days.
_MONTHS = [(year, month) for year in range(FIRST_YEAR, LAST_YEAR + 1) for month in range(1, 13)]
_MONTH_START: Final = np.array([(datetime(y, m, 1) - _EPOCH).days for y, m in _MONTHS], np.int64)
_MONTH_DAYS: Final = np.array([calendar.monthrange(y, m)[1] for y, m in _MONTHS], np.int64)

_TEXT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d+))?"
    r"(?:(?P<zulu>[Zz])|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?",
    re.ASCII,
)
_EPOCH_TEXT = re.compile(r"\d{1,19}(\.\d*)?", re.ASCII)
_HIGHEST_BITS: Final = np.uint64(0x8080808080808080)
_TEMPLATES = 8  # layouts tried as arrays before the rest goes one by one
_FEW = 16


def parse(values: Sequence[str | int | float | None], zone: tzinfo = UTC) -> Times:
    """Milliseconds of each timestamp; `zone` is for those without an offset."""
    kinds = set(map(type, values))
    if kinds == {str}:
        joined = "\n".join(values)  # type: ignore[arg-type]
        if joined.count("\n") == len(values) - 1:
            return parse_joined(joined.encode(), len(values), zone)
    elif kinds == {int}:
        try:
            return _from_integers(np.array(values, np.int64))
        except OverflowError:
            pass
    elif kinds == {float}:
        return _from_floats(np.array(values, np.float64))
    elif kinds == {NoneType}:
        return np.full(len(values), MISSING, np.int64)
    elif str in kinds:
        return _parse_mixed(values, zone)
    return np.array([parse_one(value, zone) for value in values], np.int64)


def _parse_mixed(values: Sequence[str | int | float | None], zone: tzinfo) -> Times:
    """Where most are texts, they go together."""
    simple = [type(value) is str and "\n" not in value for value in values]
    texts = [value if is_simple else "" for value, is_simple in zip(values, simple, strict=True)]
    times = parse_joined("\n".join(texts).encode(), len(texts), zone)  # type: ignore[arg-type]
    for row, (value, is_simple) in enumerate(zip(values, simple, strict=True)):
        if not is_simple:
            times[row] = parse_one(value, zone)
    return times


def parse_one(value: str | int | float | None, zone: tzinfo = UTC) -> int:
    """Milliseconds of one timestamp, INVALID or MISSING."""
    if value is None:
        return MISSING
    if isinstance(value, str):
        return _parse_text(value, zone)
    if isinstance(value, bool):
        return INVALID
    if isinstance(value, int):
        return int(_from_integers(np.array([value], np.int64))[0]) if 0 <= value < 1 << 63 else INVALID
    return int(_from_floats(np.array([value], np.float64))[0])


def parse_joined(joined: bytes, n: int, zone: tzinfo = UTC) -> Times:
    """Milliseconds of `n` >= 1 texts joined by newlines, none of which holds one."""
    grid = grid_of(joined, n) if n >= _FEW else None
    if grid is not None:
        return _parse_grid(grid, zone)
    buffer = np.frombuffer(joined + b"\n", np.uint8)
    ends = np.flatnonzero(buffer == 10)
    starts = np.concatenate(([0], ends[:-1] + 1))
    widths = ends - starts
    times = np.full(n, INVALID, np.int64)
    for length in np.unique(widths).tolist():
        alike = widths == length
        rows = np.flatnonzero(alike)
        if len(rows) < _FEW or length == 0:
            for row in rows.tolist():
                times[row] = _parse_text(joined[starts[row] : ends[row]].decode(), zone)
        else:
            grid = buffer[np.repeat(alike, widths + 1)].reshape(len(rows), length + 1)
            times[rows] = _parse_grid(grid[:, :length], zone)
    return times


def _parse_grid(grid: Bytes, zone: tzinfo) -> Times:
    """Texts of one length, by the layout of the first that is left, as often as that pays."""
    times = np.full(len(grid), INVALID, np.int64)
    left = np.arange(len(grid))
    for _ in range(_TEMPLATES):
        rows = grid if len(left) == len(grid) else grid[left]
        first = rows[0].tobytes()
        layout = _TEXT.fullmatch(first.decode("latin-1"))
        if layout is None:
            times[left[0]] = _parse_text(first.decode("utf-8", "replace"), zone)
            left = left[1:]
        else:
            digits, unlike = _digits(rows, first)
            if not unlike.any():
                parsed = _from_layout(digits, layout, zone)
                if len(left) == len(grid):
                    return parsed
                times[left] = parsed
                return times
            alike = unlike == 0
            some = {column: digit[alike] if len(digit) > 1 else digit for column, digit in digits.items()}
            parsed = _from_layout(some, layout, zone)
            times[left[alike]] = parsed
            left = left[~alike]
        if not len(left):
            return times
    for row in left:
        times[row] = _parse_text(grid[row].tobytes().decode("utf-8", "replace"), zone)
    return times


def _digits(rows: Bytes, first: bytes) -> tuple[dict[int, Bytes], NDArray[np.uint64]]:
    """The digits of each column where `first` has one, and a nonzero for rows that have other separators or no digits.

    Columns of a date that all rows share are digits of one row.
    """
    heads = word_at(rows, 0), word_at(rows, _DATE - 8)
    shared = _DATE if all((word == word[0]).all() for word in heads) else 0
    is_digit = [48 <= byte <= 57 for byte in first]
    digits = {column: np.array([first[column] - 48], np.uint8) for column in range(shared) if is_digit[column]}
    unlike = np.zeros(len(rows), np.uint64)
    for start in (*range(shared, len(first) - 8, 8), len(first) - 8):
        kinds = is_digit[start : start + 8]
        # Eight characters at once: a digit becomes 0 to 9, the right separator 0. What is added to each sets its
        # highest bit if it is more; what overflows into the next one has that bit set itself.
        pattern = bytes(48 if digit else byte for digit, byte in zip(kinds, first[start:], strict=False))
        word = word_at(rows, start) ^ np.uint64(int.from_bytes(pattern, "little"))
        room = bytes(0x7F - 9 if digit else 0x7F for digit in kinds)
        unlike |= ((word + np.uint64(int.from_bytes(room, "little"))) | word) & _HIGHEST_BITS
        characters = word.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
        digits |= {start + place: characters[:, place] for place, digit in enumerate(kinds) if digit}
    return digits, unlike


def _from_layout(digits: dict[int, Bytes], layout: re.Match[str], zone: tzinfo) -> Times:
    """The times of rows from their digits, which stand where those of `layout` do."""

    def pair(start: int) -> Bytes:
        return digits[start] * np.uint8(10) + digits[start + 1]

    year = pair(0).astype(np.int64) * 100 + pair(2)
    month, day, hour, minute, second = pair(5), pair(8), pair(11), pair(14), pair(17)
    index = (year - FIRST_YEAR) * 12 + month - 1
    valid = (month >= 1) & (month <= 12) & (index >= 0) & (index < len(_MONTHS))
    index[~valid] = 0
    valid = valid & (day >= 1) & (day <= _MONTH_DAYS[index])
    valid = valid & ((hour <= 23) & (minute <= 59) & (second <= 60))
    within = ((hour.astype(np.int32) * 60 + minute) * 60 + second) * 1000
    if layout["fraction"]:
        start, length = layout.start("fraction"), min(3, len(layout["fraction"]))
        for column, unit in zip(range(start, start + length), (100, 10, 1), strict=False):
            within += digits[column].astype(np.int32) * unit
    times: Times = (_MONTH_START[index] + day - 1) * _DAY + within
    if layout["sign"]:
        hours = pair(layout.start("hours"))
        minutes = pair(layout.start("minutes")) if layout["minutes"] else np.zeros_like(hours)
        valid = valid & (hours <= 23) & (minutes <= 59)
        times -= (hours.astype(np.int64) * 60 + minutes) * (_MINUTE if layout["sign"] == "+" else -_MINUTE)
    elif not layout["zulu"] and zone is not UTC:
        local_minutes, which = np.unique(np.where(valid, times, 0) // _MINUTE, return_inverse=True)
        times -= np.array([_shift(int(minute), zone) for minute in local_minutes], np.int64)[which]
    valid = valid & (times >= _FIRST_MS) & (times < _END_MS)
    if not valid.all():
        times[~valid] = INVALID
    return times


def _shift(local_minute: int, zone: tzinfo) -> int:
    """Milliseconds by which the zone is ahead of UTC at a local time (the first of two in a fold)."""
    offset = zone.utcoffset(_EPOCH + timedelta(minutes=local_minute))
    return 0 if offset is None else offset // timedelta(milliseconds=1)


def _parse_text(text: str, zone: tzinfo) -> int:
    match = _TEXT.fullmatch(text)
    if match is None:
        if not _EPOCH_TEXT.fullmatch(text):
            return INVALID
        return parse_one(float(text) if "." in text else int(text), zone)
    year, month, day = map(int, match["date"].split("-"))
    hour, minute, second = map(int, match["clock"].split(":"))
    if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and hour <= 23 and minute <= 59 and second <= 60):
        return INVALID
    index = (year - FIRST_YEAR) * 12 + month - 1
    if not 1 <= day <= _MONTH_DAYS[index]:
        return INVALID
    time = (int(_MONTH_START[index]) + day - 1) * _DAY + (hour * 60 + minute) * _MINUTE + second * 1000
    time += int((match["fraction"] or "")[:3].ljust(3, "0"))
    if match["sign"]:
        hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
        if hours > 23 or minutes > 59:
            return INVALID
        time -= (hours * 60 + minutes) * (_MINUTE if match["sign"] == "+" else -_MINUTE)
    elif not match["zulu"]:
        time -= _shift(time // _MINUTE, zone)
    return time if _FIRST_MS <= time < _END_MS else INVALID


def _from_integers(numbers: Times) -> Times:
    times = np.full(len(numbers), INVALID, np.int64)
    for multiply, divide in ((1000, 1), (1, 1), (1, 1000), (1, 1_000_000)):
        fits = (numbers >= _FIRST_MS * divide // multiply) & (numbers < _END_MS * divide // multiply)
        if fits.any():
            times[fits] = numbers[fits] * multiply // divide
    return times


def _from_floats(numbers: NDArray[np.float64]) -> Times:
    # Through microseconds: 1700000000.123 is stored a hair below, and cutting it at once would lose a millisecond.
    times = np.full(len(numbers), INVALID, np.int64)
    for to_micros in (1e6, 1e3, 1.0, 1e-3):
        fits = (numbers >= _FIRST_MS * 1000 / to_micros) & (numbers < _END_MS * 1000 / to_micros)
        if fits.any():
            times[fits] = np.rint(numbers[fits] * to_micros).astype(np.int64) // 1000
    return times
