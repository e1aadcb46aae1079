"""Measures that come before the labels: errors and latency of each request, and signals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tidegauge.assess import service
from tidegauge.assess.counts import Floats
from tidegauge.assess.measures.measure import (
    PROPORTION,
    UNBOUNDED,
    BlockSums,
    CappedSums,
    LossSums,
    Measure,
    RowLosses,
    of_moments,
)
from tidegauge.assess.sequential.history import BINS
from tidegauge.assess.sequential.history import LARGEST as ZERO
from tidegauge.assess.sums import signal_moments
from tidegauge.config.settings import ERROR_RATIO, LATENCY, SIGNAL_PREFIX, Model, Signal
from tidegauge.join.rows import Rows
from tidegauge.tally.families import service as service_family
from tidegauge.tally.families import signals
from tidegauge.tally.families.regression import LARGEST


def measures(model: Model) -> Iterator[Measure]:
    """Errors, latency and every signal. They decide about a release only where a margin names them."""
    margins = dict(model.release.margins)
    yield Measure(
        "", "", ERROR_RATIO, PROPORTION, 1.0, 0.0, _errors, watched=False, deciding=ERROR_RATIO in margins,
        margin=margins.get(ERROR_RATIO),
    )  # fmt: skip
    yield Measure(
        "", "", LATENCY, UNBOUNDED, 1.0, 0.0, _latency, capped=_capped_latency, sizes=_latency_sizes,
        watched=False,
        deciding=LATENCY in margins, margin=margins.get(LATENCY),
    )  # fmt: skip
    slots = {slot.key: number for number, slot in enumerate(model.slots)}
    for signal in model.signals:
        name = f"{SIGNAL_PREFIX}{signal.name}"
        key = f"signal/{signal.name}"
        place = slots.get(key)
        truth = signal.type == "boolean"
        better = signal.better == "higher"
        yield Measure(
            stream="" if place is None else key,
            channel="",
            metric=name,
            kind=PROPORTION if truth else UNBOUNDED,
            sign=-1.0 if better else 1.0,
            offset=float(truth and better),
            sums=partial(_signal, signal=signal, better=better),
            rows=None if place is None else partial(_given, slot=place, truth=truth, better=better),
            watched=False,
            judged=signal.better is not None,
            deciding=name in margins,
            margin=margins.get(name),
            definition=" ".join((signal.origin, signal.field, *signal.labels)),
        )


def _errors(block: BlockSums) -> LossSums | None:
    sums = block.family(service_family.NAME)
    return None if sums is None else LossSums(block.series, *service.errors(sums))


def _latency(block: BlockSums) -> LossSums | None:
    capped = _capped_latency(block, np.inf)
    return None if capped is None else capped.sums


def _capped_latency(block: BlockSums, cap: float) -> CappedSums | None:
    """Held at the first edge of a bin that is not below the cap."""
    sums = block.family(service_family.NAME)
    if sums is None:
        return None
    edge = min(int(np.searchsorted(service_family.EDGES, cap)), len(service_family.EDGES) - 1)
    found = service.latency(sums, edge)
    return CappedSums(LossSums(block.series, found.n, found.s1, found.s2), found.clipped)


def _latency_sizes(block: BlockSums) -> Floats | None:
    """Bins of both are half octaves."""
    sums = block.family(service_family.NAME)
    if sums is None:
        return None
    counts = np.zeros((len(block.series), BINS))
    first = ZERO + 2 * service_family.LOWEST
    counts[:, first : first + service_family.BINS] = sums[
        :, service_family.COUNT : service_family.COUNT + service_family.BINS
    ]
    return counts


def _signal(block: BlockSums, signal: Signal, better: bool) -> LossSums | None:
    if block.family(signals.name(signal.name)) is None:
        return None
    # Where more is better the loss is what is missing to 1, or the value below nothing.
    upside_down = (1.0 if signal.type == "boolean" else 0.0) if better else None
    return of_moments(block.series, signal_moments(block, signal), upside_down)


def _given(rows: Rows, slot: int, *, truth: bool, better: bool) -> RowLosses:
    label = rows.labels[slot]
    value = label.code.astype(np.float64) if truth else label.value
    index = np.flatnonzero(label.answered & (np.abs(value) <= LARGEST))
    loss = value[index]
    return RowLosses(index, (float(truth) - loss) if better else loss)
