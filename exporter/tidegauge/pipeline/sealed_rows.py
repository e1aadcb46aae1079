"""What sealed blocks tell of each version, as drift reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.detectors.detector import Context
from tidegauge.assess.drift.watch import Rows as BlockRows
from tidegauge.assess.releases.lifecycle import Release
from tidegauge.join.rows import Rows
from tidegauge.join.vocabulary import OTHER
from tidegauge.tally.blocks import SealedBlock
from tidegauge.tally.families import traffic
from tidegauge.tally.families import units as unit_family

Integers = NDArray[np.int64]
Sums = Callable[[Rows, Integers, Integers], Integers]
"""(rows, cell of each row, version of each cell) -> sums (cells, columns)."""


def of_block(block: SealedBlock, family: str, now: Context, versions: Sequence[str]) -> dict[str, BlockRows] | None:
    """What the block has of a family, by version; None: nothing. `versions` are texts by code."""
    found = block.counts.get(family)
    if found is None:
        return None
    series, sums = found
    codes, _, _ = now.split(series)
    units = _aligned(series, block.counts.get(unit_family.NAME), unit_family.GROUPS)
    predictions = _aligned(series, block.counts.get(traffic.NAME), 1)[:, 0]
    rows = {
        versions[code]: BlockRows(code, sums[row], units[row], int(predictions[row]))
        for row, code in enumerate(codes.tolist())
    }
    rows.pop(OTHER, None)  # many versions under one name
    return rows


def of_rows(
    rows: Rows, until: int, block: int, versions: Sequence[str], sums: Sums
) -> Iterator[tuple[int, dict[str, BlockRows]]]:
    """(start, the same) of each block before `until` (ms), in order, counted from the rows themselves."""
    sealed = rows.take(np.flatnonzero(rows.time < until))
    if not len(sealed):
        return
    place = sealed.time // block * 256 + sealed.version
    cells, local = np.unique(place, return_inverse=True)
    codes = cells % 256
    counts = sums(sealed, local, codes)
    units = unit_family.sums(sealed, local, codes)
    predictions = np.bincount(local, weights=sealed.counts(), minlength=len(cells)).astype(np.int64)
    for start in np.unique(cells // 256).tolist():
        here = np.flatnonzero(cells // 256 == start).tolist()
        found = {
            versions[codes[cell]]: BlockRows(int(codes[cell]), counts[cell], units[cell], int(predictions[cell]))
            for cell in here
        }
        found.pop(OTHER, None)
        yield start * block, found


def live_baselines(releases: Iterable[Release], time: int) -> dict[str, str]:
    """What each release that is compared at this time (ms) is compared with."""
    return {one.candidate: one.baseline for one in releases if one.start <= time < one.end}


def _aligned(series: Integers, found: tuple[Integers, Integers] | None, columns: int) -> Integers:
    """Sums of a family for these series, zeros where it has none."""
    aligned = np.zeros((len(series), columns), dtype=np.int64)
    if found is not None:
        theirs, sums = found
        place = {one: number for number, one in enumerate(theirs.tolist())}
        for row, one in enumerate(series.tolist()):
            if one in place:
                aligned[row] = sums[place[one]]
    return aligned
