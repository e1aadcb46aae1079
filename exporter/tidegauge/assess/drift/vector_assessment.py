"""What one feature of vectors was like in a window: its state, and how far it is from each reference.

As `assessment` does it for features that have bins. Reads sums and gives plain values; it knows nothing of files, HTTP
or metric families.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.drift import quality
from tidegauge.assess.drift.assessment import COVERED
from tidegauge.assess.drift.multivariate import discrepancy
from tidegauge.assess.drift.vector_watch import Held, VectorWatch
from tidegauge.assess.drift.watch import PREVIOUS_VERSION
from tidegauge.config.settings import HOUR, Model
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.families import vectors as vector_family
from tidegauge.tally.features.embedding import CONDITIONS, INVALID, MISSING, NON_FINITE, VALID
from tidegauge.tally.panes import Window
from tidegauge.tally.tally import Tally

PLACES: Final = {
    VALID: quality.VALID,
    MISSING: quality.MISSING,
    INVALID: quality.INVALID,
    NON_FINITE: quality.NON_FINITE,
}
"""Of a cell's first columns among the conditions of features."""
OF_FEATURES: Final = 6  # conditions


@dataclass(frozen=True, slots=True)
class VectorComparison:
    """One version's window against one reference. NaN: unknown."""

    reference: str
    records: float  # effective size of the reference; 0: there is none yet
    threshold_log: float
    distance: float = math.nan  # squared maximum mean discrepancy
    excess: float = math.nan
    effect: float = math.nan  # on the scale of excess PSI
    p_value: float = math.nan
    log_evidence: float = math.nan
    start: int = 0  # ms; of the run, 0: none
    detected: bool = False


@dataclass(frozen=True, slots=True)
class VectorStanding:
    """One feature of one version in one window."""

    name: str
    version: str
    window: int  # ms
    records: int
    conditions: NDArray[np.int64]  # (6,), see `schema.CONDITIONS`
    state: str  # one of `quality.STATES`
    design_effect: float
    comparisons: tuple[VectorComparison, ...]


@dataclass(frozen=True, slots=True)
class _Now:
    """A version's window."""

    sums: Integers  # (columns,)
    stretches: Mapping[int, Integers]  # (columns,) by start (ms)
    design_effect: float


def assess_vectors(
    model: Model,
    tally: Tally,
    watches: Mapping[str, VectorWatch],
    versions: Mapping[int, str],
    baselines: Mapping[int, int],
    clock: int,
) -> Iterator[VectorStanding]:
    """These versions (by code) in every window of the model's drift at this clock (ms).

    `baselines` gives the code of what a live release is compared with.
    """
    for window in tally.ladder.windows if watches else ():
        if window.width not in model.drift.windows:
            continue
        bounds = window.bounds(clock, 0)
        units = _by_series(*tally.window(unit_family.NAME, *bounds))
        codes = {*versions, *(baselines[code] for code in versions if code in baselines)}
        for name, watch in watches.items():
            found = _all_now(tally, name, watch, codes, units, window, bounds)
            for code, version in versions.items():
                yield _standing(model, name, watch, version, window, found[code], found.get(baselines.get(code, -1)))


def _by_series(series: Integers, sums: Integers) -> dict[int, Integers]:
    return dict(zip(series.tolist(), sums, strict=True))


def _all_now(
    tally: Tally,
    name: str,
    watch: VectorWatch,
    codes: set[int],
    units: Mapping[int, Integers],
    window: Window,
    bounds: tuple[int, int],
) -> dict[int, _Now]:
    family = vector_family.name_of(name)
    sums = _by_series(*tally.window(family, *bounds))
    series, starts, parts = tally.stretches(family, *bounds, max(HOUR, window.pane))
    nothing = np.zeros(watch.fixed.projection.columns, dtype=np.int64)
    nobody = np.zeros(unit_family.GROUPS, dtype=np.int64)
    found = {}
    for code in codes:
        number = tally.series.number(code)
        own = np.flatnonzero(series == number)
        found[code] = _Now(
            sums.get(number, nothing),
            dict(zip(starts[own].tolist(), parts[own], strict=True)),
            watch.design_effect_of(units.get(number, nobody)),
        )
    return found


def _standing(
    model: Model, name: str, watch: VectorWatch, version: str, window: Window, now: _Now, baseline: _Now | None
) -> VectorStanding:
    comparisons = []
    lasting = watch.lasting()
    for reference in watch.references():
        if reference == PREVIOUS_VERSION:
            if baseline is None:
                continue
            against = _concurrent(watch, now, baseline)
        else:
            known = lasting is not None and lasting[0] == reference
            against = (now.sums, lasting[1]) if known and lasting is not None else None
        comparisons.append(_compare(model, watch, version, reference, now, against))
    return VectorStanding(
        name,
        version,
        window.width,
        int(now.sums[:CONDITIONS].sum()),
        _conditions(now.sums),
        _state(watch, now),
        now.design_effect,
        tuple(comparisons),
    )


def _concurrent(watch: VectorWatch, now: _Now, then: _Now) -> tuple[Integers, Held] | None:
    """(what is compared, with what): stretch by stretch, so that a daily cycle is no difference.

    The reference is the mean of the baseline's stretches, each weighing as many rows as the window has in it; its size
    is that of a sample with the same variance.
    """
    sums = np.zeros_like(now.sums)
    mean: Floats = np.zeros(len(watch.fixed.projection.mean))
    variance = 0.0
    for stretch, part in now.stretches.items():
        other = then.stretches.get(stretch)
        if other is None or not other[VALID] or not part[VALID]:
            continue
        sums += part
        mean += float(part[VALID]) * watch.fixed.projection.means(other)
        variance += float(part[VALID]) ** 2 / float(other[VALID])
    rows = float(sums[VALID])
    if not rows or rows < COVERED * float(now.sums[VALID]):
        return None
    return sums, Held(mean / rows, rows**2 / variance, then.design_effect)


def _compare(
    model: Model,
    watch: VectorWatch,
    version: str,
    reference: str,
    now: _Now,
    against: tuple[Integers, Held] | None,
) -> VectorComparison:
    needed = watch.needed_log()
    if against is None:
        return VectorComparison(reference, 0.0, needed)
    sums, held = against
    projection = watch.fixed.projection
    if not sums[VALID]:
        return VectorComparison(reference, held.rows, needed)
    found = discrepancy(
        projection.means(sums),
        float(sums[VALID]),
        held.mean,
        held.rows,
        projection.spectrum,
        now.design_effect,
        held.design_effect,
    )
    state = watch.streams.get((version, reference))
    log = 0.0 if state is None else max(0.0, float(state.evidence()))  # 0: no run
    effect = float(found.effect)
    return VectorComparison(
        reference,
        held.rows,
        needed,
        float(found.distance),
        float(found.excess),
        effect,
        float(found.p_value),
        log,
        0 if state is None else int(state.started(needed)),
        log >= needed and effect >= model.drift.minimum_effect,
    )


def _conditions(sums: Integers) -> Integers:
    found = np.zeros(OF_FEATURES, dtype=np.int64)
    for column, place in PLACES.items():
        found[place] = sums[column]
    return found


def _state(watch: VectorWatch, now: _Now) -> str:
    """Of the data; held against the model's first predictions, as reference data tell only of valid vectors."""
    first = watch.first
    before = _seen(first.counts, watch.design_effect_of(first.units))
    one = np.ones(1)
    reference = quality.Reference(before, one, np.zeros(1, dtype=np.int64))
    code = int(quality.states(_seen(now.sums, now.design_effect), reference)[0])
    return quality.STATES[code]


def _seen(sums: Integers, design_effect: float) -> quality.Seen:
    rows = np.array([sums[:CONDITIONS].sum()])
    # That vectors are all the same is not looked for.
    return quality.Seen(rows, _conditions(sums)[None], np.ones(1, dtype=np.bool_), np.array([design_effect]))
