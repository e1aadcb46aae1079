"""The state of every feature in a window: is it there, of its type, alive? From counts of the window and a reference.

Assumes whole counts of one version. Every function takes any number of leading axes; the last one is the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tidegauge.assess.counts import Floats, Integers
from tidegauge.assess.numeric import floats, ratio

Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]

VALID, MISSING, UNSEEN, OUT_OF_RANGE, INVALID, NON_FINITE = range(6)
"""Columns of conditions, as a schema of bins gives them."""

STATES: Final = (
    "ok",
    "learning",
    "insufficient_samples",
    "vanished",
    "invalid",
    "constant",
    "stuck",
    "missing",
    "unseen",
    "out_of_range",
)
"""What `states` gives are places in this."""
BROKEN: Final = ("vanished", "invalid", "constant", "stuck")
"""In these a feature tells the model nothing any more, or garbage."""

LEAST_ROWS: Final = 30  # below, nothing is said of a window; a reference with fewer is none
MARGIN: Final = 0.01  # a share has to rise by more than this to matter
WRONG: Final = 1e-3  # at most so many windows in which a share is called too high without being so, over all features
CHANCE: Final = 1e-6  # a feature is dead or constant only if chance would do it less often
TESTED: Final = 4  # shares tested of a feature: bad, missing, unseen, out of range
UNUSABLE: Final = 0.1  # a larger share of values of no use breaks a feature; a smaller one is missing in effect
MOST_BAD: Final = LEAST_ROWS // 2  # so many values of the wrong type, and more than half of all: it is another type now


@dataclass(frozen=True, slots=True)
class Seen:
    """What one window, or a reference, holds of each feature."""

    rows: Integers  # (..., F): all rows, whatever the condition of their value
    conditions: Integers  # (..., F, 6): valid, missing, unseen, out_of_range, invalid, non_finite
    varied: Flags  # (..., F): whether two different values were seen
    design_effect: Floats  # (..., F): rows over the independent rows that they are worth, at least 1

    @property
    def bad(self) -> Integers:
        """Values of the wrong type, or not finite."""
        return self.conditions[..., INVALID] + self.conditions[..., NON_FINITE]

    @property
    def values(self) -> Integers:
        """Rows that have a value of the right type, known or not, in range or not."""
        return self.rows - self.conditions[..., MISSING] - self.bad


@dataclass(frozen=True, slots=True)
class Reference:
    """What a window is compared with."""

    seen: Seen
    largest: Floats  # (..., F): share of the values in the most frequent bin, see `largest_share`
    singletons: Integers  # (..., F): rows whose category occurs in the reference once; 0 where that is not known


@dataclass(frozen=True, slots=True)
class Recent:
    """The panes up to now, newest first, back to a little before the window; they may differ in width."""

    panes: Seen  # (P, ..., F); a pane that begins with another value than the one before ended with has varied
    before: Seen | None = None  # (H, ..., F): these hours of the day and of the week before
    awake: Flags | None = None  # (..., F): features that do not sleep at this hour, for all that is known; None: all


def largest_share(compared: ArrayLike, real: ArrayLike) -> Floats:
    """Share of the values in the most frequent bin, (..., F), NaN without values.

    compared (..., F, W): counts or proportions by bin; real (F, W): which places are bins, the last of which ("none")
    holds the rows without a value.
    """
    bins = np.asarray(real, dtype=np.bool_)
    without = np.flip(np.cumsum(np.flip(bins, axis=-1), axis=-1), axis=-1) > 1
    held = np.where(without, floats(compared), 0.0)
    return ratio(held.max(axis=-1), held.sum(axis=-1))


def lower_bound(count: ArrayLike, rows: ArrayLike, level: ArrayLike) -> Floats:
    """The share that count of rows surely exceeds, but for `level` (Clopper and Pearson 1934); 0 without rows.

    Takes parts of rows too, as a design effect makes them.
    """
    k, n = floats(count), floats(rows)
    some = (k > 0) & (n > 0)
    bound = special.betaincinv(np.where(some, k, 1.0), np.where(some, np.maximum(n - k, 0.0) + 1, 1.0), level)
    return np.where(some, bound, 0.0)


def upper_bound(count: ArrayLike, rows: ArrayLike, level: ArrayLike) -> Floats:
    """The share that count of rows surely stays below, but for `level`; 1 without rows or where all count."""
    return 1 - lower_bound(floats(rows) - floats(count), rows, level)


def risen(
    count: ArrayLike, rows: ArrayLike, reference_count: ArrayLike, reference_rows: ArrayLike, level: float
) -> Flags:
    """Whether a share is above the reference's by more than MARGIN, surely but for `level`.

    The lower bound of the difference combines the exact bounds of both shares (MOVER; Zou and Donner 2008, Stat Med
    27:1693), so a small reference is uncertain too. With an endless reference it is the exact bound of the share.
    """
    share, before = ratio(count, rows), ratio(reference_count, reference_rows)
    below = share - lower_bound(count, rows, level)
    above = upper_bound(reference_count, reference_rows, level) - before
    known: Flags = share - before - np.hypot(below, above) > MARGIN  # False where either is NaN: no rows
    return known


def states(current: Seen, reference: Reference | None, recent: Recent | None = None) -> Codes:
    """The worst state of each feature, (..., F), as a place in STATES.

    Without a reference (or one of fewer than LEAST_ROWS) only what needs none is said: vanished, or of another type.
    recent is the same window by panes: what has died is told from its latest ones, before the whole window is so.
    """
    rows, values, bad = current.rows, current.values, current.bad
    missing = current.conditions[..., MISSING]
    none_there = np.zeros(rows.shape, dtype=np.bool_)
    gone = missing == rows
    retyped = (2 * bad > rows - missing) & (bad >= MOST_BAD)
    found: dict[str, Flags] = {"vanished": gone, "invalid": retyped}
    known = none_there
    if reference is not None:
        seen = reference.seen
        known = np.broadcast_to(seen.rows >= LEAST_ROWS, rows.shape)
        level = WRONG / (TESTED * rows.shape[-1])
        spread, before = floats(current.design_effect), floats(seen.design_effect)
        size, reference_size = rows / spread, seen.rows / before

        def more(count: Integers, reference_count: Integers) -> Flags:
            return risen(count / spread, size, reference_count / before, reference_size, level) & known

        absent = upper_bound(seen.conditions[..., MISSING] / before, reference_size, level)
        never = seen.conditions[..., MISSING] == seen.rows
        found["vanished"] = gone & (~known | never | _unlikely(absent, size))
        found["invalid"] = retyped | (more(bad, seen.bad) & (bad >= UNUSABLE * rows))
        alive = known & seen.varied
        reference_values = seen.values / before
        likeliest = upper_bound(np.nan_to_num(reference.largest) * reference_values, reference_values, level)
        single = ~current.varied & (values > 0)
        found["constant"] = alive & single & _unlikely(likeliest, values / spread)
        if recent is not None:
            awake = known if recent.awake is None else known & recent.awake
            absences, rests = _latest_absences(recent), _latest_rests(recent)
            found["vanished"] |= awake & (absences >= LEAST_ROWS) & _unlikely(absent, absences / spread)
            found["stuck"] = awake & alive & ~single & (rests >= LEAST_ROWS) & _unlikely(likeliest, rests / spread)
            useless, given = _latest_useless(recent)
            usual = upper_bound(seen.bad / before, (seen.rows - seen.conditions[..., MISSING]) / before, level)
            found["invalid"] |= awake & (useless >= LEAST_ROWS) & _too_many(useless / spread, given / spread, usual)
        found["missing"] = more(missing, seen.conditions[..., MISSING]) | more(bad, seen.bad)
        # What was met once in the reference says how much there is that it did not meet (Good 1953, Biometrika 40:237).
        unseen = np.maximum(seen.conditions[..., UNSEEN], reference.singletons)
        found["unseen"] = more(current.conditions[..., UNSEEN], unseen)
        # The range ends at two of the reference's own rows, so what lies beyond is as uncertain as if one row did.
        beyond = np.minimum(seen.conditions[..., OUT_OF_RANGE] + 1, seen.rows)
        found["out_of_range"] = more(current.conditions[..., OUT_OF_RANGE], beyond)
    worst = np.where(known, _code("ok"), _code("learning")).astype(np.int8)
    for state in reversed(STATES):
        worst = np.where(found.get(state, none_there), _code(state), worst).astype(np.int8)
    return np.where(rows < LEAST_ROWS, _code("insufficient_samples"), worst).astype(np.int8)


def _code(state: str) -> int:
    return STATES.index(state)


def _unlikely(share: Floats, rows: Floats) -> Flags:
    """Whether rows that all fall where only this share of them should are too unlikely to be chance."""
    with np.errstate(divide="ignore"):
        unlikely: Flags = rows * np.log(share) < np.log(CHANCE)
    return unlikely


def _too_many(count: Floats, rows: Floats, share: Floats) -> Flags:
    """Whether at least count of rows, of which this share should be so, are too unlikely to be chance."""
    some: Flags = (count > 0) & (share < 1)
    chance = special.betainc(np.where(some, count, 1.0), np.where(some, rows - count + 1, 1.0), np.minimum(share, 1.0))
    unlikely: Flags = some & (chance < CHANCE)
    return unlikely


def lasting(recent: Recent, codes: Codes) -> Integers:
    """For how many of the newest panes a feature (..., F) has been broken as its state says; 0 where it is not."""
    panes = recent.panes
    holds = {"vanished": _is_gone(panes), "invalid": _is_useless(panes), "constant": ~panes.varied}
    holds["stuck"] = holds["constant"]
    found = np.zeros(codes.shape, dtype=np.int64)
    for state, flags in holds.items():
        length = np.logical_and.accumulate(flags, axis=0).sum(axis=0)
        found = np.where(codes == _code(state), length, found)
    return found


def _is_gone(seen: Seen) -> Flags:
    gone: Flags = seen.conditions[..., MISSING] == seen.rows
    return gone


def _is_useless(seen: Seen) -> Flags:
    """Most of what is there; or nothing is there."""
    useless: Flags = 2 * seen.bad >= seen.rows - seen.conditions[..., MISSING]
    return useless


def _latest_useless(recent: Recent) -> tuple[Integers, Integers]:
    """(values of no use since most have been so, all that are given since then); 0 where that is not news."""
    panes, before = recent.panes, recent.before
    given = panes.rows - panes.conditions[..., MISSING]
    latest, length = _since(_is_useless(panes), given)
    if before is not None:
        length = np.where((_is_useless(before) & (before.bad >= MOST_BAD)).any(axis=0), 0, length)
    return np.where(length > 0, np.where(latest, panes.bad, 0).sum(axis=0), 0), length


def _latest_absences(recent: Recent) -> Integers:
    """Rows since a feature last had any value; 0 where that is not news: see `_since`."""
    panes, before = recent.panes, recent.before
    _, length = _since(_is_gone(panes), panes.rows)
    if before is not None:
        length = np.where((_is_gone(before) & (before.rows >= LEAST_ROWS)).any(axis=0), 0, length)
    return length


def _latest_rests(recent: Recent) -> Integers:
    """Values since a feature last varied; 0 where that is not news: see `_since`.

    At least two panes before varied, and most of those with two values: a feature that changes once a day rests for
    hours, and is well.
    """
    panes, before = recent.panes, recent.before
    values = panes.values
    resting, length = _since(~panes.varied, values)
    earlier = ~resting & (values > 1)
    varied = (earlier & panes.varied).sum(axis=0)
    length = np.where((varied >= 2) & (2 * varied > earlier.sum(axis=0)), length, 0)
    if before is not None:
        length = np.where((~before.varied & (before.values >= LEAST_ROWS)).any(axis=0), 0, length)
    return length


def _since(holds: Flags, rows: Integers) -> tuple[Flags, Integers]:
    """(the newest panes in a row of which it holds, rows in them); no rows unless two of these panes have any.

    What held throughout the same hour a day or a week ago is a habit, and no news: some features sleep at night.
    """
    latest = np.logical_and.accumulate(holds, axis=0)
    filled = (latest & (rows > 0)).sum(axis=0)
    return latest, np.where(filled >= 2, np.where(latest, rows, 0).sum(axis=0), 0)
