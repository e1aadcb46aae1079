"""Which versions are releases, from blocks of arriving predictions."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.detectors.detector import ARRIVALS, Context, Detector, Reading, View
from tidegauge.assess.releases import lifecycle
from tidegauge.assess.releases.lifecycle import NOTHING, Lifecycle
from tidegauge.join.vocabulary import OTHER
from tidegauge.tally.blocks import SealedBlock
from tidegauge.tally.families import service


def _advance(state: Lifecycle, block: SealedBlock, context: Context) -> Lifecycle:
    found = block.counts.get(service.NAME)
    primary: dict[str, int] = {}
    if found is not None:
        series, sums = found
        version, key, _ = context.split(series)
        for row in np.flatnonzero(key < 0):
            primary[context.versions[int(version[row])]] = int(sums[row, service.ROWS])
    primary.pop(OTHER, None)  # many versions under one name
    return lifecycle.advance(state, block.start, block.end, primary, context.model.release.duration)


def _readings(state: Lifecycle, view: View) -> list[Reading]:
    readings = []
    for release in state.releases:
        labels = (("version", release.candidate), ("baseline_version", release.baseline))
        if view.published(release):
            readings.append(Reading("model_release_start_timestamp_seconds", labels, release.start / 1000))
            readings.append(Reading("model_release_end_timestamp_seconds", labels, release.end / 1000))
    return readings


DETECTOR = Detector(
    "lifecycle",
    lambda: NOTHING,
    _advance,
    _readings,
    forget=lifecycle.forget,
    streams=frozenset((ARRIVALS,)),
    save=lifecycle.save,
    load=lifecycle.load,
)
