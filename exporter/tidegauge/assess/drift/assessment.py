"""What a version saw and answered in a window: the state of each feature, and how far it is from each reference.

Reads sums and gives plain values by version and place; it knows nothing of files, HTTP or metric families.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.drift import noise, quality
from tidegauge.assess.drift.contributions import contributions
from tidegauge.assess.drift.design_effect import design_effect
from tidegauge.assess.drift.discovery import discover
from tidegauge.assess.drift.distances import Axes, Sample, distance
from tidegauge.assess.drift.watch import FIRST, PREVIOUS_VERSION, TRAILING, TRAINING, Watch
from tidegauge.assess.numeric import ratio
from tidegauge.config.settings import DAY, HOUR, Model
from tidegauge.tally.families import units as unit_family
from tidegauge.tally.features.schema import Schema
from tidegauge.tally.history import WEEK_HOURS
from tidegauge.tally.panes import Window
from tidegauge.tally.tally import Tally

Flags = NDArray[np.bool_]

PSI: Final = "psi"
COVERED: Final = 0.5
"""A reference by hours has to know at least this share of the window's rows."""
RECENT: Final = 24
"""Blocks up to now that are looked at one by one for features that have died; the rest of the window by its panes."""
SAME_HOURS: Final = (24, WEEK_HOURS)
"""Hours ago that a feature may have been as it is now, every day or every week."""
OWN: Final = "@"
"""What Tidegauge watches of itself is called so; the other features are the inputs."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One version's window against one reference; arrays over features. NaN: unknown."""

    reference: str
    records: float  # effective size of the reference; 0: there is none yet
    distance: Mapping[str, Floats]  # by statistic
    excess: Mapping[str, Floats]
    effect: Floats  # excess PSI
    p_value: Floats
    log_evidence: Floats
    threshold_log: float
    start: Integers  # ms; of the run of each feature, 0: none
    detected: Flags
    contribution: Floats
    proportions: Floats  # (F, W)


@dataclass(frozen=True, slots=True)
class Standing:
    """One version in one window."""

    version: str
    window: int  # ms
    records: int
    compared: Floats  # (F, W)
    conditions: Integers  # (F, 6), see `schema.CONDITIONS`
    states: Sequence[str]  # (F,), of `quality.STATES`
    broken_since: Sequence[int]  # (F,): ms, 0: not broken, or for longer than the window
    design_effect: Floats  # (F,)
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class _Now:
    """A version's window."""

    code: int
    counts: Integers  # (columns,)
    stretches: Mapping[int, Integers]  # (columns,) by start (ms)
    design_effect: Floats  # (F,)


@dataclass(frozen=True, slots=True)
class _Against:
    """Rows of a window that have something to be held against, and that."""

    name: str
    current: Sample
    reference: Sample
    design_effect: Floats  # of the reference, (F,)


def assess_drift(
    model: Model, tally: Tally, watch: Watch, versions: Mapping[int, str], baselines: Mapping[int, int], clock: int
) -> Iterator[Standing]:
    """These versions (by code) in every window of the model's drift at this clock (ms).

    `baselines` gives the code of what a live release is compared with.
    """
    for window in tally.ladder.windows:
        if window.width not in model.drift.windows:
            continue
        bounds = window.bounds(clock, watch.fixed.maturity)
        codes = {*versions, *(baselines[code] for code in versions if code in baselines)}
        found = _now(tally, watch, sorted(codes), bounds, max(HOUR, window.pane))
        for code, version in versions.items():
            baseline = found.get(baselines.get(code, -1))
            panes = _panes(tally, watch, found[code], baseline, window, clock)
            yield _standing(model, watch, version, found[code], baseline, window, bounds[0], panes)


def axes_of(schema: Schema) -> Axes:
    """The schema's bins as statistics take them."""
    return Axes(schema.real, schema.ordered, schema.bounds)


def _now(tally: Tally, watch: Watch, codes: Sequence[int], bounds: tuple[int, int], width: int) -> dict[int, _Now]:
    """The window of each of these versions, in stretches of this width (ms)."""
    schema, family = watch.fixed.schema, watch.fixed.family
    numbers = [tally.series.number(code) for code in codes]
    counts = _of_series(*tally.window(family, *bounds), numbers, schema.columns)
    units = np.zeros((len(codes), unit_family.GROUPS), dtype=np.int64)
    if unit_family.NAME in tally.names:  # labels may be known before features are
        units = _of_series(*tally.window(unit_family.NAME, *bounds), numbers, unit_family.GROUPS)
    repeated = design_effect(units, watch.fixed.icc)
    series, starts, sums = tally.stretches(family, *bounds, width)
    found = {}
    for place, (code, number) in enumerate(zip(codes, numbers, strict=True)):
        own = np.flatnonzero(series == number)
        stretches = dict(zip(starts[own].tolist(), sums[own], strict=True))
        found[code] = _Now(code, counts[place], stretches, repeated[place])
    return found


def _of_series(series: Integers, sums: Integers, wanted: Sequence[int], columns: int) -> Integers:
    """Sums (wanted, columns), zeros where there are none."""
    found = np.zeros((len(wanted), columns), dtype=np.int64)
    places = {one: place for place, one in enumerate(series.tolist())}
    for row, one in enumerate(wanted):
        if one in places:
            found[row] = sums[places[one]]
    return found


def _standing(
    model: Model,
    watch: Watch,
    version: str,
    now: _Now,
    baseline: _Now | None,
    window: Window,
    start: int,
    recent: _Latest,
) -> Standing:
    schema = watch.fixed.schema
    compared = schema.compared(now.counts)
    against = [
        *_lasting(watch, now),
        *_by_stretch(watch, PREVIOUS_VERSION, now, _concurrent(now, baseline)),
        *_by_stretch(watch, TRAILING, now, _past(watch, now, start, max(HOUR, window.pane))),
    ]
    known = {one.reference: one for one in _compare(model, watch, version, now, against)}
    codes = _states(watch, now, recent.panes)
    names = [name for name in _references(watch) if name != PREVIOUS_VERSION or baseline is not None]
    return Standing(
        version,
        window.width,
        int(compared.sum(axis=-1).max(initial=0)),
        compared,
        schema.conditions(now.counts),
        [quality.STATES[code] for code in codes.tolist()],
        _broken_since(recent, codes),
        now.design_effect,
        tuple(known.get(name) or _unknown(name, watch) for name in names),
    )


# -------------------------------------------------------------------- references


def _references(watch: Watch) -> list[str]:
    """Those in use, in the configuration's order."""
    absent = FIRST if watch.fixed.training is not None else TRAINING
    return [name for name in watch.fixed.drift.references if name != absent]


def _lasting(watch: Watch, now: _Now) -> Iterator[_Against]:
    found = watch.lasting_reference()
    if found is not None:
        name, counts, repeated = found
        schema = watch.fixed.schema
        yield _Against(name, _sample(schema, now.counts), _sample(schema, counts), repeated)


def _concurrent(now: _Now, baseline: _Now | None) -> Mapping[int, Integers]:
    return {} if baseline is None else baseline.stretches


def _past(watch: Watch, now: _Now, start: int, width: int) -> Mapping[int, Integers]:
    """For each stretch of the window what the version was like at this time of earlier weeks, before the window."""
    before = start // HOUR
    found = {}
    for stretch in now.stretches:
        hours = [
            then
            for hour in range(stretch // HOUR, (stretch + width) // HOUR)
            for then in watch.history.same_hours(hour, before)
        ]
        found[stretch] = watch.history.at(now.code, hours)
    return found


def _by_stretch(watch: Watch, name: str, now: _Now, then: Mapping[int, Integers]) -> Iterator[_Against]:
    """Stretch by stretch, so that a daily cycle or a ramp of the traffic is no difference.

    The reference of the window is the mean of those of its stretches, each weighing as many rows as the window has in
    it; its size is that of a sample with the same variance.
    """
    schema = watch.fixed.schema
    if name not in _references(watch) or not then:
        return
    compared = schema.compared(np.array(list(now.stretches.values())))  # (T, F, W)
    rows = compared.sum(axis=-1)
    pairs = [(counts, then[stretch]) for stretch, counts in now.stretches.items() if stretch in then]
    if not pairs:
        return
    places = [place for place, stretch in enumerate(now.stretches) if stretch in then]
    current, reference = (_sample(schema, np.array(side)) for side in zip(*pairs, strict=True))
    size = reference.size()
    share = np.nan_to_num(ratio(rows[places], size))  # the same bins: a feature has as many rows as the others
    known = (size > 0)[..., None]
    here = np.where(known, current.counts, 0.0).sum(axis=0)
    sums = np.where(known, current.sums, 0.0).sum(axis=0)
    expected = (reference.counts * share[..., None]).sum(axis=0)
    expected_sums = (reference.sums * share[..., None]).sum(axis=0)
    variance = (rows[places] * share).sum(axis=0)
    total, covered = rows.sum(axis=0), here.sum(axis=-1)
    if not covered.any() or covered.max() < COVERED * total.max():
        return
    scale = ratio(covered, variance)[:, None]  # to the effective size: rows**2 / variance, over rows
    held = Sample(np.nan_to_num(expected * scale), np.nan_to_num(expected_sums * scale))
    yield _Against(name, Sample(here, sums), held, now.design_effect)


def _sample(schema: Schema, counts: Integers) -> Sample:
    return Sample(schema.compared(counts), schema.sums(counts))


# -------------------------------------------------------------------- what is said of them


def _compare(model: Model, watch: Watch, version: str, now: _Now, against: Sequence[_Against]) -> Iterator[Comparison]:
    """With all that the window is held against at once: arrays are (R, F, W) here."""
    if not against:
        return
    schema = watch.fixed.schema
    axes, features = axes_of(schema), len(schema.features)
    current, reference = (
        Sample(np.array([one.counts for one in side]), np.array([one.sums for one in side]))
        for side in ([one.current for one in against], [one.reference for one in against])
    )
    repeated = now.design_effect, np.array([one.design_effect for one in against])
    wanted = dict.fromkeys((PSI, *model.drift.statistics))
    distances = {name: distance(name, current, reference, axes) for name in wanted}
    excess = {
        name: value
        - np.array(
            [
                noise.floor(name, one.current, one.reference, axes, now.design_effect, one.design_effect)
                for one in against
            ]
        )
        if name in noise.DRAWN
        else value - noise.floor(name, current, reference, axes, *repeated)
        for name, value in distances.items()
    }
    p_values = noise.p_value(current.counts, reference.counts, *repeated)
    sizes = reference.size()
    proportions = ratio(reference.counts, sizes[..., None])
    inputs = np.array([not name.startswith(OWN) for name in schema.names])
    importance = {feature.name: share for feature, share in zip(model.features, model.importances, strict=True)}
    weights = np.array([importance.get(name, 0.0) for name in schema.names])
    needed = watch.threshold_log()
    for place, one in enumerate(against):
        state = watch.streams.get((version, one.name))
        log = np.zeros(features) if state is None else state.log
        effect = excess[PSI][place]
        found = discover(log, effect, model.drift.minimum_effect, needed)
        shares = contributions(np.where(inputs, effect, 0.0), weights)
        yield Comparison(
            one.name,
            float(sizes[place].max(initial=0.0)),
            {name: distances[name][place] for name in model.drift.statistics},
            {name: excess[name][place] for name in model.drift.statistics},
            effect,
            p_values[place],
            log,
            found.threshold_log,
            np.zeros(features, dtype=np.int64) if state is None else state.start,
            found.detected,
            np.where(inputs, shares, np.nan),
            proportions[place],
        )


def _unknown(name: str, watch: Watch) -> Comparison:
    """A reference that is not there yet."""
    shape = watch.fixed.schema.real.shape
    nothing = np.full(shape[0], np.nan)
    never = np.zeros(shape[0], dtype=np.int64)
    return Comparison(
        name,
        0.0,
        {},
        {},
        nothing,
        nothing,
        nothing,
        watch.threshold_log(),
        never,
        never.astype(np.bool_),
        nothing,
        np.full(shape, np.nan),
    )


@dataclass(frozen=True, slots=True)
class _Latest:
    """A version's window by panes."""

    panes: quality.Recent
    starts: Integers  # ms, newest first


def _broken_since(latest: _Latest, codes: quality.Codes) -> list[int]:
    """When each feature broke (ms)."""
    length = quality.lasting(latest.panes, codes)
    within = (length > 0) & (length < len(latest.starts))
    since: list[int] = np.where(within, np.append(latest.starts, 0)[length - 1], 0).tolist()
    return since


def _states(watch: Watch, now: _Now, recent: quality.Recent) -> quality.Codes:
    schema = watch.fixed.schema
    found = watch.lasting_reference(complete=False)
    reference = None
    if found is not None:
        _, counts, repeated = found
        compared = schema.compared(counts)
        seen = _seen(schema, counts, repeated)
        once = np.rint(schema.new * seen.values).astype(np.int64)
        reference = quality.Reference(seen, quality.largest_share(compared, schema.real), once)
    return quality.states(_seen(schema, now.counts, now.design_effect), reference, recent)


def _panes(tally: Tally, watch: Watch, now: _Now, baseline: _Now | None, window: Window, clock: int) -> _Latest:
    """What is known up to now, in blocks as far as these go and then in panes of the window."""
    schema, block = watch.fixed.schema, tally.ladder.block
    end = (clock - watch.fixed.maturity) // block * block
    middle = (end - RECENT * block) // window.pane * window.pane
    # Two panes from before the window: until it holds nothing else they tell that a feature varied.
    first = window.bounds(clock, watch.fixed.maturity)[0] - 2 * window.pane
    parts, when = [], []
    for start, stop, width in ((max(middle, first), end, block), (first, middle, window.pane)):
        series, starts, sums = tally.stretches(watch.fixed.family, start, max(start, stop), width)
        own = np.flatnonzero(series == tally.series.number(now.code))
        own = own[np.argsort(-starts[own])]
        parts.append(sums[own])
        when.append(starts[own])
    hour = (end - 1) // HOUR
    before = [
        watch.history.at(code, [hour + later - ago])
        for code in {now.code, now.code if baseline is None else baseline.code}
        for ago in SAME_HOURS
        for later in (0, 1)  # of what begins within this hour only the next one was wholly so
    ]
    panes, then = (_seen(schema, sums, now.design_effect) for sums in (np.concatenate(parts), np.stack(before)))
    awake = None if _knows_a_day(watch) else _varies(tally, watch, baseline, end - 2 * block, end)
    return _Latest(quality.Recent(panes, then, awake), np.concatenate(when))


def _knows_a_day(watch: Watch) -> bool:
    """Whether there is a reference of a day: before, it is not known how features are at night."""
    return watch.fixed.training is not None or watch.first.end - watch.first.start >= DAY


def _varies(tally: Tally, watch: Watch, version: _Now | None, start: int, end: int) -> Flags:
    """Which features (F,) have varied in a version from start to end (ms)."""
    series, _, sums = tally.stretches(watch.fixed.family, start, end, tally.ladder.block)
    own = np.zeros(len(series), dtype=np.bool_) if version is None else series == tally.series.number(version.code)
    varied: Flags = np.logical_or.reduce(watch.fixed.schema.varied(sums[own]), axis=0)
    return varied


def _seen(schema: Schema, counts: Integers, repeated: Floats) -> quality.Seen:
    conditions = schema.conditions(counts)
    rows = conditions.sum(axis=-1) - conditions[..., quality.OUT_OF_RANGE]  # which is valid, too
    return quality.Seen(rows, conditions, schema.varied(counts), repeated)
