"""Measures from labels: the metrics that are means over predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.counts import Floats, Integers, Moments, PairMoments
from tidegauge.assess.measures.measure import (
    BOUNDED,
    PROPORTION,
    RATIO,
    UNBOUNDED,
    BlockSums,
    LossSums,
    Measure,
    RowLosses,
    of_moments,
    of_proportion,
)
from tidegauge.assess.numeric import kish, ratio
from tidegauge.assess.sums import absolute_errors, moments_of, ranking_counts, relative_errors, text_counts
from tidegauge.config.metrics import tested
from tidegauge.config.settings import Channel, Model
from tidegauge.join.measures import is_wrong
from tidegauge.join.rows import NONE, Rows
from tidegauge.tally.families import confusion, feedback, losses, ranking, text, traffic
from tidegauge.tally.families.losses import row_losses
from tidegauge.tally.families.regression import row_terms
from tidegauge.tally.fixed import UNIT
from tidegauge.tally.weights import WEIGHT

Cells = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Form:
    """How one metric is measured: its kind, whether more is better, and both ways to its losses."""

    kind: str
    better: bool
    sums: Callable[[BlockSums, Channel], LossSums | None]
    rows: Callable[[Rows, int], RowLosses]


def measures(model: Model) -> Iterator[Measure]:
    """Of each channel the first metric of its task, or reports; and the comparable ones with an objective or margin."""
    asked = {objective.metric for objective in model.objectives} | {name for name, _ in model.release.margins}
    margins = dict(model.release.margins)
    for number, channel in enumerate(model.channels):
        for metric in tested(model.task, channel.kind, asked):
            form = _FORMS[metric]
            if metric == "reported_error_rate":
                form = _reports(channel, model.task)
            yield Measure(
                stream=channel.key,
                channel=channel.name,
                metric=metric,
                kind=form.kind,
                sign=-1.0 if form.better else 1.0,
                offset=1.0 if form.better else 0.0,
                sums=_of_channel(form, channel),
                rows=_of_slot(form, number),
                margin=margins.get(metric),
            )


def _of_channel(form: _Form, channel: Channel) -> Callable[[BlockSums], LossSums | None]:
    return lambda block: form.sums(block, channel)


def _of_slot(form: _Form, number: int) -> Callable[[Rows], RowLosses]:
    return lambda rows: form.rows(rows, number)


def _share(
    wrong: Callable[[int], Cells], among: Callable[[int], Cells]
) -> Callable[[BlockSums, Channel], LossSums | None]:
    """The share of the cells of the confusion matrix that are wrong, among some of them."""

    def sums(block: BlockSums, channel: Channel) -> LossSums | None:
        matrix = block.family(confusion.name(channel.name))
        if matrix is None:
            return None
        counts = matrix.astype(np.float64)
        squares = counts
        excess = block.family(confusion.weighted_name(channel.name))
        if excess is not None:
            terms = WEIGHT.decode(excess.reshape(len(counts), -1, 2, WEIGHT.limbs))
            counts, squares = counts + terms[..., 0], counts + terms[..., 1]
        bad, all_of_them = wrong(block.room).reshape(-1), among(block.room).reshape(-1)
        return of_proportion(
            block.series,
            counts[:, bad].sum(axis=1),
            squares[:, bad].sum(axis=1),
            counts[:, all_of_them].sum(axis=1),
            squares[:, all_of_them].sum(axis=1),
        )

    return sums


def _off_diagonal(room: int) -> Cells:
    return ~np.eye(room, dtype=np.bool_)


def _everywhere(room: int) -> Cells:
    return np.ones((room, room), dtype=np.bool_)


def _where(actual: int | None = None, predicted: int | None = None) -> Callable[[int], Cells]:
    def cells(room: int) -> Cells:
        found = np.ones((room, room), dtype=np.bool_)
        if actual is not None:
            found &= (np.arange(room) == actual)[:, None]
        if predicted is not None:
            found &= np.arange(room) == predicted
        return found

    return cells


def _judged(rows: Rows, channel: int, actual: int | None = None, predicted: int | None = None) -> RowLosses:
    """1 where the answer is not the label, of the rows with this label or this answer."""
    label = rows.labels[channel]
    wanted = label.answered & (rows.predicted != NONE)
    if actual is not None:
        wanted &= label.code == actual
    if predicted is not None:
        wanted &= rows.predicted == predicted
    index = np.flatnonzero(wanted)
    return RowLosses(index, (label.code[index] != rows.predicted[index]).astype(np.float64))


def _probability(place: int) -> _Form:
    def sums(block: BlockSums, channel: Channel) -> LossSums | None:
        names = losses.name(channel.name), losses.weighted_name(channel.name)
        if block.family(names[0]) is None:
            return None
        return of_moments(block.series, moments_of(block, *names, len(losses.LOSSES), UNIT, WEIGHT)[place])

    def rows(rows: Rows, channel: int) -> RowLosses:
        index, found = row_losses(rows, channel)
        return RowLosses(index, found[place])

    return _Form(BOUNDED if losses.LOSSES[place] == "brier" else UNBOUNDED, False, sums, rows)


def _regression(term: str, moments: Callable[[BlockSums, Channel], Moments]) -> _Form:
    def rows(rows: Rows, channel: int) -> RowLosses:
        index, terms, relative = row_terms(rows, channel)
        if term == "p":
            return RowLosses(index[relative], terms[term][relative])
        return RowLosses(index, terms[term])

    return _Form(UNBOUNDED, False, lambda block, channel: of_moments(block.series, moments(block, channel)), rows)


def _ranking(place: int) -> _Form:
    def sums(block: BlockSums, channel: Channel) -> LossSums | None:
        if block.family(ranking.name(channel.name)) is None:
            return None
        counts = ranking_counts(block, channel)
        found = (counts.ndcg, counts.reciprocal_rank, counts.hit)[place]
        return of_moments(block.series, found, upside_down=1.0)

    def rows(rows: Rows, channel: int) -> RowLosses:
        index, values = ranking.quantities(rows, channel)
        return RowLosses(index, 1.0 - values[place])

    return _Form(PROPORTION if ranking.QUANTITIES[place] == "hit_rate" else BOUNDED, True, sums, rows)


def _text(unit: int) -> _Form:
    def sums(block: BlockSums, channel: Channel) -> LossSums | None:
        if block.family(text.name(channel.name)) is None:
            return None
        counts = text_counts(block, channel)
        return _of_pairs(block.series, (counts.words, counts.characters)[unit])

    def rows(rows: Rows, channel: int) -> RowLosses:
        index, values = text.quantities(rows, channel)
        return RowLosses(index, values[text.PER_UNIT * unit], length=values[text.PER_UNIT * unit + 1])

    return _Form(RATIO, False, sums, rows)


def _of_pairs(series: Integers, pairs: PairMoments) -> LossSums:
    """Pseudo losses (see there), and beside them the edits alone, both in units of the mean length."""
    n = kish(pairs.w, pairs.w2)
    rate = np.nan_to_num(ratio(pairs.we, pairs.wn))
    length = np.nan_to_num(ratio(pairs.wn, pairs.w))
    around: Floats = np.maximum(pairs.w2e2 - 2 * rate * pairs.w2en + rate**2 * pairs.w2n2, 0.0)
    spread = np.nan_to_num(ratio(ratio(around, pairs.w2), length**2))
    edits = np.nan_to_num(ratio(ratio(pairs.w2e2, pairs.w2), length**2))
    return LossSums(series, n, rate * n, (rate**2 + spread) * n, edits * n)


def _reports(channel: Channel, task: str) -> _Form:
    """Predictions reported as wrong, of all mature ones."""

    def sums(block: BlockSums, channel: Channel) -> LossSums | None:
        made = block.family(traffic.NAME)
        if made is None:
            return None
        n = made[:, 0].astype(np.float64)
        found = block.family(feedback.name(channel.name))
        bad = np.zeros(len(n)) if found is None else np.minimum(found[:, feedback.BAD], n)
        return LossSums(block.series, n, bad, bad)

    def rows(rows: Rows, channel: int) -> RowLosses:
        label = rows.labels[channel]
        if label.measures is not None:
            bad = label.present & is_wrong(task, label.measures)
        elif task == "regression":
            bad = label.present & (rows.value != label.value) & ~np.isnan(rows.value)
        else:
            bad = label.present & (rows.predicted != label.code) & (rows.predicted != NONE)
        return RowLosses(np.arange(len(rows)), bad.astype(np.float64), logged=True)

    return _Form(PROPORTION, False, sums, rows)


_POSITIVE, _NEGATIVE = 1, 0
_FORMS = {
    "accuracy": _Form(PROPORTION, True, _share(_off_diagonal, _everywhere), _judged),
    "precision": _Form(
        PROPORTION,
        True,
        _share(_where(actual=_NEGATIVE, predicted=_POSITIVE), _where(predicted=_POSITIVE)),
        partial(_judged, predicted=_POSITIVE),
    ),
    "recall": _Form(
        PROPORTION,
        True,
        _share(_where(actual=_POSITIVE, predicted=_NEGATIVE), _where(actual=_POSITIVE)),
        partial(_judged, actual=_POSITIVE),
    ),
    "specificity": _Form(
        PROPORTION,
        True,
        _share(_where(actual=_NEGATIVE, predicted=_POSITIVE), _where(actual=_NEGATIVE)),
        partial(_judged, actual=_NEGATIVE),
    ),
    "brier": _probability(losses.LOSSES.index("brier")),
    "log_loss": _probability(losses.LOSSES.index("log_loss")),
    "mae": _regression("|e|", absolute_errors),
    "mape": _regression("p", relative_errors),
    "ndcg": _ranking(ranking.QUANTITIES.index("ndcg")),
    "mrr": _ranking(ranking.QUANTITIES.index("mrr")),
    "hit_rate": _ranking(ranking.QUANTITIES.index("hit_rate")),
    "word_error_rate": _text(text.UNITS.index("word")),
    "character_error_rate": _text(text.UNITS.index("character")),
    "reported_error_rate": _reports(Channel(""), ""),
}
