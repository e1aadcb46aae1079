"""Samples to the bytes of a /metrics page, in Prometheus text 0.0.4 or OpenMetrics 1.0.

Both formats share their sample lines and differ in the lines around them, so a page is rendered once and put together
twice. Assumes that no two rows of a family are equal; guards against hostile label values and unknown numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.publish.samples import AnySamples, Family, HistogramSamples, Samples

_EXACT_INTEGERS = 2.0**53
_SPARE_ENTRIES = 64
# Backslash, quote, line feed, NUL and lone surrogates.
_UNSAFE = re.compile('[\\\\"\n\0\ud800-\udfff]')


class LabelCache:
    """Escaped label text by family and row, kept from one rendering to the next.

    Holds at most about twice the rows of the last rendering, so it needs no configured bound. One owner: the renderings
    of one page that use it must not overlap.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[tuple[str, ...], str]] = {}

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables.values())

    def texts(self, key: str, rows: Sequence[tuple[str, ...]], text: Callable[[tuple[str, ...]], str]) -> list[str]:
        """The text of each row; `text` makes it where the cache of `key` has none."""
        table = self._tables.setdefault(key, {})
        found = list(map(table.get, rows))
        missing = found.count(None)
        if missing:
            for number, known in enumerate(found):
                if known is None:
                    found[number] = table[rows[number]] = text(rows[number])
        texts: list[str] = found  # type: ignore[assignment]  # the loop above filled every gap
        if len(table) > 2 * len(rows) + _SPARE_ENTRIES:
            self._tables[key] = dict(zip(rows, texts, strict=True))
        return texts

    def keep(self, keys: Iterable[str]) -> None:
        """Forgets everything but these keys."""
        kept = set(keys)
        self._tables = {key: table for key, table in self._tables.items() if key in kept}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The sample lines of a page by family, from which either format is put together at the cost of a copy."""

    families: tuple[tuple[Family, bytes], ...]

    def page(self, *, openmetrics: bool) -> bytes:
        """The whole page: text 0.0.4, or OpenMetrics 1.0."""
        parts: list[bytes] = []
        for family, lines in self.families:
            parts.append(_header(family, openmetrics))
            parts.append(lines)
        if openmetrics:
            parts.append(b"# EOF\n")
        return b"".join(parts)


def render(samples: Sequence[AnySamples], *, openmetrics: bool, cache: LabelCache) -> bytes:
    """The page of these samples; see `render_lines` for what may be given."""
    return render_lines(samples, cache).page(openmetrics=openmetrics)


def render_lines(samples: Sequence[AnySamples], cache: LabelCache) -> Rendered:
    """Renders the sample lines of a page.

    A family may come in several parts (say, one a model): its lines are gathered where it came first. Values that are
    NaN are left out, and families without any value too.

    Raises ValueError if a part's rows and values differ in number, or parts of one histogram in their bounds.
    """
    gathered: dict[str, list[AnySamples]] = {}
    for part in samples:
        gathered.setdefault(part.family.name, []).append(part)
    families: list[tuple[Family, bytes]] = []
    for parts in gathered.values():
        lines = "".join(_lines(parts, cache))
        if lines:
            families.append((parts[0].family, lines.encode()))
    cache.keep(gathered)
    return Rendered(tuple(families))


def escape_label(value: str) -> str:
    """A label value as it stands between quotes: backslash, quote and line feed escaped.

    NUL (which ends the text for some readers) becomes U+FFFD, and lone surrogates (which UTF-8 cannot hold) their
    escape sequence.
    """
    if not _UNSAFE.search(value):
        return value
    value = value.encode("utf-8", "backslashreplace").decode()
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\0", "\ufffd")


def number_texts(values: Sequence[float] | NDArray[Any]) -> list[str]:
    """Each number (not NaN) as both formats spell it: whole ones as integers, others so that they read back exactly."""
    array = np.asarray(values)
    if not len(array):
        return []
    if array.dtype.kind in "iub":
        return _json_texts(array.astype(np.int64, copy=False).tolist())
    array = array.astype(np.float64, copy=False)
    whole = (np.abs(array) < _EXACT_INTEGERS) & (array == np.trunc(array))
    if whole.all():
        return _json_texts(array.astype(np.int64).tolist())
    numbers: list[float] = array.tolist()
    places = np.flatnonzero(whole)
    for place, integer in zip(places.tolist(), array[places].astype(np.int64).tolist(), strict=True):
        numbers[place] = integer
    texts = _json_texts(numbers)
    for place in np.flatnonzero(np.isinf(array)).tolist():
        texts[place] = "+Inf" if array[place] > 0 else "-Inf"
    return texts


def _json_texts(numbers: list[float]) -> list[str]:
    # One call that writes them all as JSON costs a fifth of a repr each, and finite JSON numbers are valid here.
    return msgspec.json.encode(numbers).decode()[1:-1].split(",")


def _lines(parts: list[AnySamples], cache: LabelCache) -> list[str]:
    first = parts[0]
    if isinstance(first, Samples):
        return _plain_lines(first.family, [part for part in parts if isinstance(part, Samples)], cache)
    return _histogram_lines(first, [part for part in parts if isinstance(part, HistogramSamples)], cache)


def _plain_lines(family: Family, parts: list[Samples], cache: LabelCache) -> list[str]:
    rows: list[tuple[str, ...]] = []
    arrays: list[NDArray[Any]] = []
    for part in parts:
        values = np.asarray(part.values)
        if values.shape != (len(part.rows),):
            raise ValueError(f"{family.name}: {len(part.rows)} rows, but values of shape {values.shape}")
        rows.extend(part.rows)
        arrays.append(values)
    values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    if values.dtype.kind == "f":
        unknown = np.isnan(values)
        if unknown.any():
            known = np.flatnonzero(~unknown)
            values = values[known]
            rows = [rows[number] for number in known.tolist()]
    texts = number_texts(values)
    template = family.name + _template(family) + " "
    prefixes = cache.texts(family.name, rows, lambda row: template % _escaped(family, row))
    lines: list[str] = ["\n"] * (3 * len(rows))
    lines[0::3] = prefixes
    lines[1::3] = texts
    return lines


def _histogram_lines(first: HistogramSamples, parts: list[HistogramSamples], cache: LabelCache) -> list[str]:
    family = first.family
    ends = [repr(float(bound)) for bound in first.bounds] + ["+Inf"]
    cumulative: list[NDArray[np.int64]] = []
    sums: list[NDArray[np.float64]] = []
    rows: list[tuple[str, ...]] = []
    for part in parts:
        if part.bounds != first.bounds:
            raise ValueError(f"{family.name}: parts with different bounds")
        if part.counts.shape != (len(part.rows), len(ends)) or part.sums.shape != (len(part.rows),):
            raise ValueError(
                f"{family.name}: {len(part.rows)} rows of {len(ends)} buckets, but counts of shape {part.counts.shape} "
                f"and sums of shape {part.sums.shape}"
            )
        known = np.flatnonzero(~np.isnan(part.sums.astype(np.float64)))
        rows.extend(part.rows[number] for number in known.tolist())
        cumulative.append(np.cumsum(part.counts[known], axis=1, dtype=np.int64))
        sums.append(part.sums[known].astype(np.float64))
    template = _template(family)
    labels = cache.texts(family.name, rows, lambda row: template % _escaped(family, row))
    bucket_texts = number_texts(np.concatenate(cumulative).ravel())
    sum_texts = number_texts(np.concatenate(sums))
    lines: list[str] = []
    for number, label in enumerate(labels):
        counts = bucket_texts[number * len(ends) : (number + 1) * len(ends)]
        opening = f"{family.name}_bucket{label[:-1]}," if label else f"{family.name}_bucket{{"
        lines.extend(f'{opening}le="{end}"}} {count}\n' for end, count in zip(ends, counts, strict=True))
        lines.append(f"{family.name}_count{label} {counts[-1]}\n{family.name}_sum{label} {sum_texts[number]}\n")
    return lines


def _template(family: Family) -> str:
    return "{" + ",".join(f'{name}="%s"' for name in family.labels) + "}" if family.labels else ""


def _escaped(family: Family, row: tuple[str, ...]) -> tuple[str, ...]:
    if len(row) != len(family.labels):
        raise ValueError(f"{family.name}: a row of {len(row)} values for labels {family.labels}")
    return tuple(map(escape_label, row)) if _UNSAFE.search("".join(row)) else row


def _header(family: Family, openmetrics: bool) -> bytes:
    name, text = family.name, family.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
        if family.kind == "counter":
            name = name.removesuffix("_total")
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n".encode()
