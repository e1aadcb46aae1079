"""Gives codes of versions and slice values back, so that junk in the logs does not take them for ever.

Only when a vocabulary is full, and only of what has expired: as long as there is room, whoever returns finds everything
as it was. A version's counters outlive its code, so they go on if it returns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegauge.join.join import Join
from tidegauge.join.vocabulary import OTHER, Vocabulary
from tidegauge.tally.tally import Tally
from tidegauge.tally.totals import Totals

ARCHIVED = 200
"""Versions whose counters are kept after their code has gone to another; of older ones they start anew."""

Archive = dict[str, dict[str, Any]]
"""Counters by version, the latest to go last; JSON values."""


def recycle_versions(
    versions: Vocabulary, join: Join, tally: Tally, totals: Totals, archive: Archive, before: int
) -> list[str]:
    """Frees the codes of versions without a prediction since `before` (ms) and with nothing pending.

    Returns the versions of which now nothing at all is kept.
    """
    if not versions.full:
        return []
    quiet = np.flatnonzero(totals.last[: len(versions)] < before)
    gone = np.array([code for code in quiet.tolist() if versions.texts[code] != OTHER], dtype=np.int64)
    if not len(gone):
        return []
    gone = gone[~join.codes_in_use("version")[gone]]
    own = tally.series.per_version
    tally.forget((gone[:, None] * own + np.arange(own)).reshape(-1))
    for code in gone.tolist():
        archive[versions.texts[code]] = totals.take_out(code)
        versions.free(code)
    forgotten = list(archive)[: max(0, len(archive) - ARCHIVED)]
    for version in forgotten:
        del archive[version]
    return forgotten


def recycle_slice(key: int, values: Vocabulary, versions: int, join: Join, tally: Tally) -> None:
    """Frees the codes of a slice's values that no pane and no pending prediction has any more."""
    if not values.full:
        return
    _, keys, codes = tally.series.split(tally.series_in_panes())
    kept = set(codes[keys == key].tolist())
    if OTHER in values.texts:
        kept.add(values.texts.index(OTHER))
    gone = [code for code in range(len(values)) if code not in kept]
    if not gone:
        return  # a slice of many values is always full; what waits is looked through only when that can help
    pending = join.codes_in_use(f"slice{key}")
    gone = [code for code in gone if not pending[code]]
    tally.forget(
        np.array([tally.series.number(version, key, code) for version in range(versions) for code in gone], np.int64)
    )
    for code in gone:
        values.free(code)
