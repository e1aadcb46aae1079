"""What assess reads and what it answers: sums in, estimates out, both as arrays over series.

Every array has a leading axis S, one entry per series (a version, a slice, a window); K is the number of classes, B the
number of score bins. A row of weight w that stands for c identical predictions adds c to n, c*w to every sum of w and
c*w**2 to every sum of w**2. Sums arrive finite; nothing else is assumed about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STATE_MEANINGS: Mapping[str, str] = {
    "ok": "There is a score of enough samples.",
    "immature": "No prediction of the window is old enough to be scored yet; also when there was no traffic.",
    "no_feedback": "There are mature predictions, and none of them has a label of this channel.",
    "insufficient_samples": "There is a score, of fewer effective samples than minimum_samples.",
    "unsupported": "There are labels, and they do not give this metric: one class only, no scores recorded, no weight.",
}
"""Why there is a score or none, in words; the order of `Estimates.state`."""

STATES: tuple[str, ...] = tuple(STATE_MEANINGS)
OK, IMMATURE, NO_FEEDBACK, INSUFFICIENT_SAMPLES, UNSUPPORTED = range(len(STATES))

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimates:
    """A metric's values, shape (S,), or (S, K) where given per class. NaN means "nothing to publish", never a value.

    numerator and denominator are the sums that a mergeable ratio is made of (NaN for what cannot be merged by adding);
    samples is the effective number of rows (Kish: the square of the sum of weights over the sum of squared weights)
    that the score rests on; state indexes STATES. "unsupported": these counts give the metric no value (one class
    only, no positives, no scores, zero weight). With "insufficient_samples" the score and its wide interval are still
    there.
    """

    score: Floats
    lower: Floats
    upper: Floats
    numerator: Floats
    denominator: Floats
    samples: Floats
    state: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Moments:
    """Weighted moments of one quantity l per row, each of shape (S,); rows where l is unknown are in none of them."""

    n: Integers  # rows
    w: Floats  # sum of w
    wl: Floats  # sum of w * l
    w2: Floats  # sum of w**2
    w2l: Floats  # sum of w**2 * l
    w2l2: Floats  # sum of w**2 * l**2


@dataclass(frozen=True, slots=True)
class ClassificationCounts:
    """Confusion counts [actual, predicted] and, where rows had scores, sums of losses and score histograms.

    Bins are of equal width on [0, 1], closed at their lower edge, the last at both; B is a multiple of 15. Where
    classes are capped, the last one may stand for all others.

    Binary: positive is 1, classes are (negative, positive); the bins hold the score, rows of axis 1 are actual
    negatives and positives. Multiclass: positive is None; the bins hold the probability of the predicted class, rows
    of axis 1 are wrong and correct answers; class_bins holds each class's probability against "is not / is that
    class". The Brier loss of a multiclass row is the sum over classes of (probability - indicator)**2, of a binary row
    (score - indicator)**2.
    """

    classes: tuple[str, ...]
    positive: int | None
    n: Integers  # (S, K, K) rows
    w: Floats  # (S, K, K) sum of w
    w2: Floats  # (S, K, K) sum of w**2
    brier: Moments | None = None
    log_loss: Moments | None = None
    score_bins: Floats | None = None  # (S, 2, B) sum of w
    score_bins_n: Integers | None = None  # (S, 2, B) rows
    score_sum: Floats | None = None  # (S, B) sum of w * score
    class_bins: Floats | None = None  # (S, K, 2, B) sum of w, multiclass only
    class_bins_n: Integers | None = None  # (S, K, 2, B) rows


@dataclass(frozen=True, slots=True)
class LabelMoments:
    """Sums of powers of the label y and of the squared error e**2, each (S,), over the rows of `error`.

    y may be measured from any fixed origin (the same for all rows): everything made of these does not change with it,
    and an origin near the labels' mean keeps more digits.
    """

    wy: Floats  # sum of w * y
    wy2: Floats  # sum of w * y**2
    w2y: Floats  # sum of w**2 * y
    w2y2: Floats  # sum of w**2 * y**2
    w2y3: Floats  # sum of w**2 * y**3
    w2y4: Floats  # sum of w**2 * y**4
    w2e2y: Floats  # sum of w**2 * e**2 * y
    w2e2y2: Floats  # sum of w**2 * e**2 * y**2


@dataclass(frozen=True, slots=True)
class RegressionCounts:
    """Moments of e = prediction - label over the rows that have both; percentage_error where the label is not 0."""

    error: Moments  # l = e
    absolute_error: Moments  # l = |e|
    squared_error: Moments  # l = e**2
    percentage_error: Moments  # l = |e| / |label|
    label: LabelMoments


@dataclass(frozen=True, slots=True)
class RankingCounts:
    """Moments over the rankings that have a label."""

    ndcg: Moments
    reciprocal_rank: Moments
    hit: Moments  # 1 where a relevant item was among the first k


@dataclass(frozen=True, slots=True)
class PairMoments:
    """Weighted moments of two quantities e and n a row, each (S,), for the ratio of their sums."""

    rows: Integers
    w: Floats  # sum of w
    w2: Floats  # sum of w**2
    we: Floats  # sum of w * e
    wn: Floats  # sum of w * n
    w2e2: Floats  # sum of w**2 * e**2
    w2n2: Floats  # sum of w**2 * n**2
    w2en: Floats  # sum of w**2 * e * n


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Edits e and label lengths n over the texts that have a label, in words and in characters."""

    words: PairMoments
    characters: PairMoments


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """How many mature predictions were answered by a channel that does not answer all, each (S,), sums of w."""

    predictions: Floats
    labeled: Floats  # of those, with a label on this channel
    bad: Floats  # of those, with a label that says "wrong"
    squares: Floats | None = None  # sum of w**2 over the predictions; None: every weight is 1
