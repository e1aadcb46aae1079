"""From the tally's integer sums to the counts that metrics are functions of.

Series are those that have any prediction in the window, and those asked for; a family without counts for one reads as
zeros.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np

from tidegauge.assess.counts import (
    ClassificationCounts,
    FeedbackCounts,
    Floats,
    Integers,
    LabelMoments,
    Moments,
    PairMoments,
    RankingCounts,
    RegressionCounts,
    TextCounts,
)
from tidegauge.config.settings import Channel, Model, Signal
from tidegauge.tally.families import classes as class_family
from tidegauge.tally.families import confusion, losses, ranking, regression, scores, signals, text, traffic
from tidegauge.tally.families import feedback as feedback_family
from tidegauge.tally.fixed import DIGIT_BITS, PROBABILITY_BITS, UNIT, WHOLE, WIDE, FixedPoint
from tidegauge.tally.moments import plain_columns, weighted_terms
from tidegauge.tally.tally import Tally
from tidegauge.tally.weights import WEIGHT

LABEL_ROUNDING = Fraction(1, 1 << 46)
"""Squares of labels are rounded before they are added up; a smaller spread, by their own size, is only that."""


class FamilySums(Protocol):
    """Sums by family over some series."""

    series: Integers

    def family(self, name: str) -> Integers | None:
        """Sums of shape (series, columns); None if there are none."""


class WindowSums:
    """All families of one tally over panes that start in [start, end), for whole versions or for slices."""

    def __init__(self, tally: Tally, start: int, end: int, *, sliced: bool, include: Integers) -> None:
        self._tally = tally
        self._bounds = (start, end)
        self._sliced = sliced
        found, sums = self._read(traffic.NAME)
        self.series = np.union1d(found, include)
        self.predictions = np.zeros(len(self.series), dtype=np.int64)
        self.predictions[np.searchsorted(self.series, found)] = sums[:, 0]

    def _read(self, family: str) -> tuple[Integers, Integers]:
        read = self._tally.window_slices if self._sliced else self._tally.window
        return read(family, *self._bounds)

    def family(self, name: str) -> Integers | None:
        """Sums of shape (series, columns); None if the model keeps no such family here or nothing was counted."""
        if name not in self._tally.names:
            return None
        series, sums = self._read(name)
        if not len(series):
            return None
        aligned = np.zeros((len(self.series), sums.shape[1]), dtype=np.int64)
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        known = self.series[place] == series
        aligned[place[known]] = sums[known]
        return aligned


def feedback_counts(sums: WindowSums, channel: Channel) -> FeedbackCounts:
    """Predictions, labelled ones and reported mistakes."""
    found = sums.family(feedback_family.name(channel.name))
    if found is None:
        found = np.zeros((len(sums.series), 2), dtype=np.int64)
    labeled = found[:, feedback_family.LABELED].astype(np.float64)
    bad = found[:, feedback_family.BAD].astype(np.float64)
    return FeedbackCounts(sums.predictions.astype(np.float64), labeled, bad)


def classification_counts(
    sums: WindowSums, model: Model, channel: Channel, texts: tuple[str, ...], room: int
) -> ClassificationCounts:
    """Counts of a classifier on one scored channel."""
    size, width = len(sums.series), max(len(texts), 1)
    found = sums.family(confusion.name(channel.name))
    matrix = np.zeros((size, room, room), dtype=np.int64) if found is None else found.reshape(size, room, room)
    n = matrix[:, :width, :width]
    w, w2 = n.astype(np.float64), n.astype(np.float64)
    excess = sums.family(confusion.weighted_name(channel.name))
    if excess is not None:
        terms = WEIGHT.decode(excess.reshape(size, room, room, 2, WEIGHT.limbs))[:, :width, :width]
        w, w2 = w + terms[..., 0], w2 + terms[..., 1]
    brier, log_loss = _losses(sums, channel, size)
    bins_n = bins = class_bins = class_n = None
    score_sum: Floats | None = None
    found = sums.family(scores.name(channel.name))
    if found is not None:
        shaped = found.reshape(size, -1, scores.PER_BIN)
        bins_n = shaped[:, :, :2].transpose(0, 2, 1)
        bins = bins_n.astype(np.float64)
        sums_of_scores: Floats = shaped[:, :, 2].astype(np.float64) * 2.0**-PROBABILITY_BITS
        excess = sums.family(scores.weighted_name(channel.name))
        if excess is not None:
            terms = WEIGHT.decode(excess.reshape(size, -1, scores.PER_BIN, WEIGHT.limbs))
            bins = bins + terms[:, :, :2].transpose(0, 2, 1)
            sums_of_scores = sums_of_scores + terms[:, :, 2]
        score_sum = sums_of_scores
    found = sums.family(class_family.name(channel.name))
    if found is not None:
        class_n = class_family.with_zeros(found.reshape(size, room, 2, class_family.BINS)[:, :width])
        rows, total, squares = (matrices.sum(axis=(1, 2)) for matrices in (n, w, w2))
        # These histograms know no weights. Where rows weigh differently (by the inequality of Cauchy and Schwarz the
        # weights are equal just where these agree) an area under them would mislead.
        class_n[rows * squares > total**2 * (1 + 1e-9)] = 0
        class_bins = class_n.astype(np.float64)
    return ClassificationCounts(
        classes=texts or ("",),
        positive=1 if model.task == "binary" else None,
        n=n,
        w=w,
        w2=w2,
        brier=brier,
        log_loss=log_loss,
        score_bins=bins,
        score_bins_n=bins_n,
        score_sum=score_sum,
        class_bins=class_bins,
        class_bins_n=class_n,
    )


def _losses(sums: WindowSums, channel: Channel, size: int) -> tuple[Moments | None, Moments | None]:
    names = losses.name(channel.name), losses.weighted_name(channel.name)
    if sums.family(names[0]) is None:
        return None, None
    brier, log_loss = moments_of(sums, *names, len(losses.LOSSES), UNIT, WEIGHT)
    return brier, log_loss


def moments_of(
    sums: FamilySums, name: str, weighted_name: str, quantities: int, form: FixedPoint, weighted: FixedPoint
) -> list[Moments]:
    """Moments of each quantity of two families made by `tally.moments`."""
    size = len(sums.series)
    found = sums.family(name)
    if found is None:
        found = np.zeros((size, plain_columns(quantities, form)), dtype=np.int64)
    n = found[:, 0]
    plain = form.decode(found[:, 1:].reshape(size, quantities, 2, form.limbs))
    excess = sums.family(weighted_name)
    terms = np.zeros((size, weighted_terms(quantities)))
    if excess is not None:
        terms = weighted.decode(excess.reshape(size, weighted_terms(quantities), weighted.limbs))
    built = []
    for number in range(quantities):
        first, second = plain[:, number, 0], plain[:, number, 1]
        over = terms[:, 2 + 3 * number : 5 + 3 * number]
        built.append(
            Moments(
                n=n,
                w=n + terms[:, 0],
                wl=first + over[:, 0],
                w2=n + terms[:, 1],
                w2l=first + over[:, 1],
                w2l2=second + over[:, 2],
            )
        )
    return built


def ranking_counts(sums: FamilySums, channel: Channel) -> RankingCounts:
    """Counts of a ranking model on one scored channel."""
    names = ranking.name(channel.name), ranking.weighted_name(channel.name)
    return RankingCounts(*moments_of(sums, *names, len(ranking.QUANTITIES), UNIT, WEIGHT))


def text_counts(sums: FamilySums, channel: Channel) -> TextCounts:
    """Counts of a text model on one scored channel."""
    names = text.name(channel.name), text.weighted_name(channel.name)
    found = moments_of(sums, *names, text.PER_UNIT * len(text.UNITS), WHOLE, WIDE)
    pairs = []
    for first in range(0, len(found), text.PER_UNIT):
        e, n, both = found[first : first + text.PER_UNIT]
        product = (both.w2l2 - e.w2l2 - n.w2l2) / 2
        pairs.append(PairMoments(e.n, e.w, e.w2, e.wl, n.wl, e.w2l2, n.w2l2, product))
    return TextCounts(*pairs)


def signal_moments(sums: FamilySums, signal: Signal) -> Moments:
    """Moments of a signal's values."""
    plain, weighted = (UNIT, WEIGHT) if signal.type == "boolean" else (WIDE, WIDE)
    (found,) = moments_of(sums, signals.name(signal.name), signals.weighted_name(signal.name), 1, plain, weighted)
    return found


def regression_counts(sums: WindowSums, channel: Channel) -> RegressionCounts:
    """Counts of a regression on one scored channel."""
    digits = _regression_digits(sums, channel)
    return RegressionCounts(
        error=_regression_moments(digits, "e", "e2"),
        absolute_error=_regression_moments(digits, "|e|", "e2"),
        squared_error=_regression_moments(digits, "e2", "e4"),
        percentage_error=_regression_moments(digits, "p", "p2", "_p"),
        label=_centred(digits, len(sums.series)),
    )


def absolute_errors(sums: FamilySums, channel: Channel) -> Moments:
    """Moments of a regression's absolute error."""
    return _regression_moments(_regression_digits(sums, channel), "|e|", "e2")


def relative_errors(sums: FamilySums, channel: Channel) -> Moments:
    """Moments of a regression's error relative to the label."""
    return _regression_moments(_regression_digits(sums, channel), "p", "p2", "_p")


def _regression_digits(sums: FamilySums, channel: Channel) -> dict[str, Integers]:
    """Sums of each term weighted by w and by w**2, as digits, and the rows under "n" and "n_p"."""
    size = len(sums.series)
    found = sums.family(regression.name(channel.name))
    if found is None:
        found = np.zeros((size, regression.PLAIN_COLUMNS), dtype=np.int64)
    rows, rows_p = found[:, regression.ROWS], found[:, regression.ROWS_P]
    plain = found[:, 2:].reshape(size, len(regression.PLAIN), WIDE.limbs)
    digits = {
        f"{weight}{term}": plain[:, place] for weight in ("w", "w2") for place, term in enumerate(regression.PLAIN)
    }
    unit = -WIDE.lowest // DIGIT_BITS  # the digit that counts ones
    for weight in ("w", "w2"):
        for suffix, count in (("", rows), ("_p", rows_p)):
            digits[weight + suffix] = np.zeros((size, WIDE.limbs), dtype=np.int64)
            digits[weight + suffix][:, unit] = count
    excess = sums.family(regression.weighted_name(channel.name))
    if excess is not None:
        terms = excess.reshape(size, len(regression.WEIGHTED), WIDE.limbs)
        for place, name in enumerate(regression.WEIGHTED):
            digits[name] = digits[name] + terms[:, place]
    return {**digits, "n": rows, "n_p": rows_p}


def _regression_moments(digits: dict[str, Integers], term: str, square: str, suffix: str = "") -> Moments:
    names = ("w" + suffix, f"w{term}", "w2" + suffix, f"w2{term}", f"w2{square}")
    return Moments(digits["n" + suffix], *(WIDE.decode(digits[name]) for name in names))


def _centred(digits: dict[str, Integers], size: int) -> LabelMoments:
    """Moments of the labels from an origin near their mean.

    Labels that lie far from zero would lose their spread to rounding; the digits are exact, so the origin is moved
    exactly.
    """
    names = ("wy", "wy2", "w2y", "w2y2", "w2y3", "w2y4", "w2e2y", "w2e2y2")
    columns = {name: np.zeros(size) for name in names}
    for row in range(size):

        def exact(name: str, row: int = row) -> Fraction:
            return _exact(digits[name][row], WIDE)

        w = exact("w")
        if not w:
            continue
        origin = Fraction(float(exact("wy") / w))
        o1, o2, o3, o4 = origin, origin**2, origin**3, origin**4
        w2, y1, y2, y3, y4 = (exact(name) for name in ("w2", "w2y", "w2y2", "w2y3", "w2y4"))
        e2, e2y, e2y2 = (exact(name) for name in ("w2e2", "w2e2y", "w2e2y2"))
        spread = exact("wy2") - 2 * o1 * exact("wy") + o2 * w
        if spread <= exact("wy2") * LABEL_ROUNDING:
            spread = Fraction(0)
        values = (
            exact("wy") - o1 * w,
            spread,
            y1 - o1 * w2,
            y2 - 2 * o1 * y1 + o2 * w2,
            y3 - 3 * o1 * y2 + 3 * o2 * y1 - o3 * w2,
            y4 - 4 * o1 * y3 + 6 * o2 * y2 - 4 * o3 * y1 + o4 * w2,
            e2y - o1 * e2,
            e2y2 - 2 * o1 * e2y + o2 * e2,
        )
        for name, number in zip(names, values, strict=True):
            columns[name][row] = float(number)
    return LabelMoments(**columns)


def _exact(digits: Integers, form: FixedPoint) -> Fraction:
    total = sum(int(digit) << (DIGIT_BITS * limb) for limb, digit in enumerate(digits.tolist()))
    return Fraction(total << form.lowest) if form.lowest >= 0 else Fraction(total, 1 << -form.lowest)
