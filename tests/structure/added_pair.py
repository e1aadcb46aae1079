"""A family that reads two channels of one row: predictions both audited and reported, and those where the two agree."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tidegauge.config.settings import Model
from tidegauge.join.rows import Rows
from tidegauge.tally.family import Contribution, Family

NAME = "audited-and-reported"


def bind(model: Model, classes: int) -> Iterable[Family]:
    places = {channel.name: number for number, channel in enumerate(model.channels)}
    if not {"audit", "report"} <= set(places):
        return
    audit, report = places["audit"], places["report"]

    def contribution(rows: Rows) -> list[Contribution]:
        audited, reported = rows.labels[audit], rows.labels[report]
        both = np.flatnonzero(audited.present & reported.present)
        same = both[audited.code[both] == reported.code[both]]
        count = rows.counts()
        return [
            Contribution(both, np.zeros(len(both), dtype=np.int64), count[both]),
            Contribution(same, np.ones(len(same), dtype=np.int64), count[same]),
        ]

    yield Family(NAME, 2, contribution, channels=(audit, report))
