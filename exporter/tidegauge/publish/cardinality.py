"""The cap on the series of a model.

Samples come in the order of their worth; counters and histograms, whose absence would falsify rates, always stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tidegauge.publish.samples import AnySamples, Samples


def limit_series(samples: Sequence[AnySamples], limit: int) -> tuple[list[AnySamples], int]:
    """Keeps at most `limit` series and tells how many were dropped.

    Counters and histograms are kept whatever the limit is; gauges fill the rest in the order given, the last family
    that fits partly keeping its first rows. With rows in a stable order the same series stay from refresh to refresh.
    """
    room = limit - sum(part.series for part in samples if not _may_drop(part))
    kept: list[AnySamples] = []
    dropped = 0
    for part in samples:
        if not isinstance(part, Samples) or not _may_drop(part):
            kept.append(part)
            continue
        fitting = min(part.series, max(room, 0))
        room -= fitting
        dropped += part.series - fitting
        if fitting == part.series:
            kept.append(part)
        elif fitting:
            kept.append(replace(part, rows=part.rows[:fitting], values=part.values[:fitting]))
    return kept, dropped


def _may_drop(part: AnySamples) -> bool:
    return part.family.kind == "gauge"
