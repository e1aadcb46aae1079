"""Every measure of every task: a block's sums are those of a recount of its rows, one by one in plain Python."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tidegauge.assess.counts import PairMoments
from tidegauge.assess.measures import measures_of
from tidegauge.assess.measures.measure import PROPORTION, UNBOUNDED, BlockSums, Measure
from tidegauge.assess.measures.scored import _of_pairs
from tidegauge.assess.releases import arms
from tidegauge.config.metrics import comparable_names
from tidegauge.config.settings import Channel, Model, Release, Signal
from tidegauge.join.rows import NONE, Labels, Rows, Service, Vectors
from tidegauge.pipeline.engine import empty_tally
from tidegauge.tally.blocks import ARRIVALS, seal

START = 1_714_557_600_000
BLOCK = 300_000
TASKS = ("binary", "multiclass", "regression", "ranking", "text")
ROOM = {"binary": 2, "multiclass": 8}
VERSIONS = 3
CHANNELS = (
    Channel("outcome"),
    Channel("audit", "sample"),
    Channel("report", "mistakes"),
    Channel("votes", "voluntary"),
)
SIGNALS = (
    Signal("dwell", "numeric", better="higher"),
    Signal("cost", "numeric", better="lower"),
    Signal("stars", "numeric"),
    Signal("bought", "boolean", better="higher"),
    Signal("asked", "boolean", better="lower"),
    Signal("sure", "numeric", "confidence", better="higher"),
    Signal("none", "boolean", "abstention", labels=("0",), better="lower"),
)


def model_of(task: str) -> Model:
    """With a margin for everything that can be compared, so that all of it is."""
    margins = tuple((name, 0.01) for name in comparable_names(task))
    return Model("m", task, CHANNELS, signals=SIGNALS, slices=("country",), release=Release(margins))


def rows_of(task: str, seed: int, *, size: int = 400, weighted: bool = False, units: bool = False) -> Rows:
    """Random rows of one block, in time order, with everything that rows may have and may lack."""
    chance = np.random.default_rng(seed)
    classes = {"binary": 2, "multiclass": 5}.get(task, 1)
    predicted = chance.integers(0, classes, size).astype(np.uint8)
    predicted[chance.random(size) < 0.05] = NONE
    value = chance.normal(50, 20, size) if task == "regression" else np.full(size, np.nan)
    value[chance.random(size) < 0.05] = np.nan
    score = chance.random(size) if task == "binary" else np.full(size, np.nan)
    score[chance.random(size) < 0.1] = np.nan
    probability = chance.dirichlet(np.ones(5), size)
    given = chance.random(size) < 0.8
    probability[~given] = 0.0
    labels = []
    for channel in CHANNELS:
        answered = chance.random(size) < 0.7
        code = chance.integers(0, classes, size).astype(np.uint8)
        number = np.where(chance.random(size) < 0.1, 0.0, chance.normal(50, 20, size))
        factor = chance.choice([1.0, 2.0, 10 / 3], size) if weighted and channel.kind == "sample" else None
        labels.append(Labels(answered, answered, code, number, factor, _compared(task, chance, size, answered)))
    for _ in SIGNALS[:5]:
        answered = chance.random(size) < 0.6
        truth = (chance.random(size) < 0.3).astype(np.uint8)
        labels.append(Labels(answered, answered, truth, chance.normal(2, 3, size)))
    rate = chance.choice([1, 4], size) if weighted else None
    return Rows(
        time=np.sort(START + chance.integers(0, BLOCK, size)),
        version=chance.integers(0, VERSIONS, size).astype(np.uint8),
        slices=(chance.integers(0, 4, size).astype(np.uint8),),
        predicted=predicted,
        score=score,
        value=value,
        labels=tuple(labels),
        weight=chance.choice([0.5, 1.0, 1.0, 3.25], size) * rate if rate is not None else None,
        count=chance.choice([1, 1, 2, 5], size) if weighted else None,
        rate=rate,
        vectors=Vectors(given, probability) if task == "multiclass" else None,
        signals={
            "sure": np.where(chance.random(size) < 0.9, chance.random(size), np.nan),
            "none": np.where(chance.random(size) < 0.9, chance.integers(0, 2, size), np.nan).astype(np.float64),
        },
        unit=chance.integers(0, 256, size).astype(np.uint8) if units else None,
        service=Service(
            chance.random(size) < 0.1,
            chance.random(size) < 0.2,
            np.where(chance.random(size) < 0.9, chance.lognormal(-2, 2, size), np.nan),
        ),
    )


def _compared(task: str, chance: np.random.Generator, size: int, known: NDArray[np.bool_]) -> Any:
    """What a ranking or text has beside its label: NDCG and reciprocal rank, or edits and lengths."""
    if task == "ranking":
        first = chance.choice([0.0, 0.25, 0.5, 1.0], size)
        found = np.stack([np.where(first > 0, chance.random(size), 0.0), first], axis=1)
    elif task == "text":
        words, letters = chance.integers(1, 12, size), chance.integers(4, 60, size)
        edits = [np.where(chance.random(size) < 0.4, 0, chance.integers(0, top, size)) for top in (6, 20)]
        found = np.stack([edits[0], words, edits[1], letters], axis=1).astype(np.float64)
    else:
        return None
    return np.where((known & (chance.random(size) < 0.95))[:, None], found, np.nan)


def block_of(model: Model, rows: Rows, stream: int) -> tuple[BlockSums, Any]:
    """The sealed block of a stream, and how its series split."""
    tally = empty_tally(model, ROOM.get(model.task, 2))
    tally.add(rows, 1, None)
    tally.add(rows, 1, range(len(model.slots)))
    (block,) = seal(tally, stream, START, START + BLOCK, lambda start, end: rows)
    return BlockSums(block.counts, ROOM.get(model.task, 2)), tally.series.split


def number_of(model: Model, measure: Measure) -> int:
    keys = [slot.key for slot in model.slots]
    return keys.index(measure.stream) if measure.stream else ARRIVALS


# ------------------------------------------------------------------ the recount, without any code of the product


def loss_of(model: Model, measure: Measure, rows: Rows, i: int) -> float | tuple[float, float] | None:
    """The loss of row i, more is worse; edits and length of an error rate; None where the row is none of its."""
    metric = measure.metric
    if not measure.stream:
        return _early(metric, rows, i)
    label = rows.labels[number_of(model, measure)]
    if metric == "reported_error_rate":
        return float(bool(label.present[i]) and _contradicts(model.task, rows, label, i))
    if not label.answered[i]:
        return None
    said, truth = int(rows.predicted[i]), int(label.code[i])
    if metric.startswith("signal:"):
        signal = next(one for one in SIGNALS if metric == f"signal:{one.name}")
        value = float(truth) if signal.type == "boolean" else float(label.value[i])
        if signal.better == "higher":
            return 1.0 - value if signal.type == "boolean" else -value
        return value
    if metric in ("accuracy", "precision", "recall", "specificity"):
        wanted = {"accuracy": True, "precision": said == 1, "recall": truth == 1, "specificity": truth == 0}[metric]
        return float(said != truth) if wanted and said != NONE else None
    if metric in ("brier", "log_loss"):
        return _probabilistic(metric, rows, truth, i)
    if metric in ("mae", "mape"):
        error, actual = abs(rows.value[i] - label.value[i]), abs(label.value[i])
        if math.isnan(error) or (metric == "mape" and actual == 0):
            return None
        return float(error if metric == "mae" else error / actual)
    assert label.measures is not None
    compared: list[float] = label.measures[i].tolist()
    if math.isnan(compared[0]):
        return None
    if model.task == "ranking":
        return {"ndcg": 1 - compared[0], "mrr": 1 - compared[1], "hit_rate": float(compared[1] == 0)}[metric]
    return (compared[0], compared[1]) if metric == "word_error_rate" else (compared[2], compared[3])


def _early(metric: str, rows: Rows, i: int) -> float | None:
    assert rows.service is not None
    if metric.startswith("signal:"):
        signal = next(one for one in SIGNALS if metric == f"signal:{one.name}")
        value = float(rows.signals[signal.name][i])
        if math.isnan(value):
            return None
        return -value if signal.better == "higher" else value
    if rows.service.shadow[i]:
        return None
    if metric == "error_ratio":
        return float(rows.service.failed[i])
    seconds = float(rows.service.latency[i])
    return None if math.isnan(seconds) else min(seconds, 128.0)


def _contradicts(task: str, rows: Rows, label: Labels, i: int) -> bool:
    if task == "regression":
        return not math.isnan(rows.value[i]) and rows.value[i] != label.value[i]
    if label.measures is not None:
        compared = label.measures[i].tolist()
        return bool(compared[1] == 0 if task == "ranking" else compared[2] > 0)
    return bool(rows.predicted[i] != NONE and rows.predicted[i] != label.code[i])


def _probabilistic(metric: str, rows: Rows, truth: int, i: int) -> float | None:
    if rows.vectors is None:
        if math.isnan(rows.score[i]):
            return None
        probabilities = [1 - rows.score[i], rows.score[i]]
        if metric == "brier":
            return float((rows.score[i] - truth) ** 2)
    else:
        if not rows.vectors.given[i]:
            return None
        probabilities = rows.vectors.probability[i].tolist()
        if metric == "brier":
            return float(sum((p - (k == truth)) ** 2 for k, p in enumerate(probabilities)))
    return -math.log(max(probabilities[truth], 1e-15))


def weight_of(model: Model, measure: Measure, rows: Rows, i: int) -> float:
    """Errors, latency and reports are counted as they are logged; reports make up for what the join left out."""
    if measure.metric in ("error_ratio", "latency_seconds"):
        return 1.0
    if measure.metric == "reported_error_rate":
        return 1.0 if rows.rate is None else float(rows.rate[i])
    weight = 1.0 if rows.weight is None else float(rows.weight[i])
    factor = rows.labels[number_of(model, measure)].factor if measure.stream else None
    return weight if factor is None else weight * float(factor[i])


def recount(model: Model, measure: Measure, rows: Rows, chosen: NDArray[np.bool_]) -> tuple[float, float, float]:
    """n (Kish), total and squares of the chosen rows, from the definitions."""
    found = [
        (loss, i) for i in np.flatnonzero(chosen).tolist() if (loss := loss_of(model, measure, rows, i)) is not None
    ]
    if not found:
        return 0.0, 0.0, 0.0
    counts = [1 if rows.count is None else int(rows.count[i]) for _, i in found]
    weights = [weight_of(model, measure, rows, i) for _, i in found]
    w = math.fsum(c * x for c, x in zip(counts, weights, strict=True))
    w2 = math.fsum(c * x * x for c, x in zip(counts, weights, strict=True))
    if isinstance(found[0][0], tuple):
        pairs = [loss for loss, _ in found if isinstance(loss, tuple)]
        rate = math.fsum(c * x * e for c, x, (e, _) in zip(counts, weights, pairs, strict=True)) / math.fsum(
            c * x * n for c, x, (_, n) in zip(counts, weights, pairs, strict=True)
        )
        length = math.fsum(c * x * n for c, x, (_, n) in zip(counts, weights, pairs, strict=True)) / w
        losses = [rate + (e - rate * n) / length for e, n in pairs]
    else:
        losses = [loss for loss, _ in found if not isinstance(loss, tuple)]
    mean = math.fsum(c * x * y for c, x, y in zip(counts, weights, losses, strict=True)) / w
    square = math.fsum(c * x * x * y * y for c, x, y in zip(counts, weights, losses, strict=True)) / w2
    return w * w / w2, mean * w * w / w2, square * w * w / w2


CASES = [
    (task, measure.stream, measure.metric)
    for task in TASKS
    for measure in measures_of(model_of(task))
]  # fmt: skip


def measure_of(task: str, stream: str, metric: str) -> tuple[Model, Measure]:
    model = model_of(task)
    (found,) = (one for one in measures_of(model) if (one.stream, one.metric) == (stream, metric))
    return model, found


def test_everything_that_can_be_compared_is_a_measure() -> None:
    for task in TASKS:
        found = {(one.channel, one.metric) for one in measures_of(model_of(task))}
        scored = set(comparable_names(task)) - {"reported_error_rate"}
        expected = {(channel, metric) for channel in ("outcome", "audit") for metric in scored}
        expected |= {(channel, "reported_error_rate") for channel in ("report", "votes")}
        expected |= {("", name) for name in ("error_ratio", "latency_seconds")}
        assert found == expected | {("", f"signal:{signal.name}") for signal in SIGNALS}


def test_without_margins_or_objectives_each_channel_has_its_first_metric_alone() -> None:
    first = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae", "ranking": "ndcg"}
    first |= {"text": "word_error_rate"}
    for task in TASKS:
        model = replace(model_of(task), release=Release())
        expected = {("outcome", first[task]), ("audit", first[task])}
        expected |= {("report", "reported_error_rate"), ("votes", "reported_error_rate")}
        assert {(one.channel, one.metric) for one in measures_of(model) if one.channel} == expected
        assert all(one.deciding == bool(one.channel) for one in measures_of(model))


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize(("task", "stream", "metric"), CASES)
def test_the_sums_of_a_block_are_a_plain_recount_of_its_rows(
    task: str, stream: str, metric: str, weighted: bool
) -> None:
    model, measure = measure_of(task, stream, metric)
    rows = rows_of(task, 3 + weighted, weighted=weighted)
    block, split = block_of(model, rows, number_of(model, measure))
    sums = measure.sums(block)
    assert sums is not None
    seen = 0
    for row, series in enumerate(sums.series.tolist()):
        version, key, value = (int(part[0]) for part in split(np.array([series])))
        chosen = rows.version == version
        if key >= 0:
            if metric in ("error_ratio", "latency_seconds"):
                continue  # are not kept by slice
            chosen &= rows.slices[key] == value
        n, total, squares = recount(model, measure, rows, chosen)
        if metric == "reported_error_rate" and weighted:
            # The traffic knows how many there were without the sample; of the reports it gives the number.
            n = float(rows.counts()[chosen].sum())
            total = min(n, float(sum(
                weight_of(model, measure, rows, i) * rows.counts()[i]
                for i in np.flatnonzero(chosen).tolist() if loss_of(model, measure, rows, i)
            )))  # fmt: skip
            squares = total
        elif weighted and measure.kind == PROPORTION and stream and not metric.startswith("signal:"):
            squares = n * (total / n) if n else 0.0  # the square of a 0 or 1 is itself
            if metric == "hit_rate":
                squares = recount(model, measure, rows, chosen)[2]
        elif weighted and isinstance(loss_of(model, measure, rows, _first(model, measure, rows)), tuple):
            squares = _spread_of_ratio(model, measure, rows, chosen)
        close = pytest.approx((n, total, squares), rel=1e-6 if metric == "latency_seconds" else 1e-9, abs=1e-7)
        assert (sums.n[row], sums.total[row], sums.squares[row]) == close
        seen += n > 0
    assert seen >= VERSIONS


def _first(model: Model, measure: Measure, rows: Rows) -> int:
    return next(i for i in range(len(rows)) if loss_of(model, measure, rows, i) is not None)


def _spread_of_ratio(model: Model, measure: Measure, rows: Rows, chosen: NDArray[np.bool_]) -> float:
    """n times the squared ratio plus its variance by the delta method, of rows that weigh differently."""
    found = [(loss_of(model, measure, rows, i), i) for i in np.flatnonzero(chosen).tolist()]
    pairs = [(*loss, i) for loss, i in found if isinstance(loss, tuple)]
    c = np.array([1 if rows.count is None else rows.count[i] for _, _, i in pairs], float)
    w = np.array([weight_of(model, measure, rows, i) for _, _, i in pairs])
    e, length = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    rate = (c * w * e).sum() / (c * w * length).sum()
    mean = (c * w * length).sum() / (c * w).sum()
    n = (c * w).sum() ** 2 / (c * w * w).sum()
    spread = (c * w * w * (e - rate * length) ** 2).sum() / (c * w * w).sum() / mean**2
    return float(n * (rate**2 + spread))


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize(("task", "stream", "metric"), [case for case in CASES if case[1]])
def test_the_rows_of_a_block_say_what_its_sums_say(task: str, stream: str, metric: str, weighted: bool) -> None:
    model, measure = measure_of(task, stream, metric)
    rows = rows_of(task, 5 + weighted, weighted=weighted)
    slot = number_of(model, measure)
    block, split = block_of(model, rows, slot)
    sums = measure.sums(block)
    assert measure.rows is not None
    for version in range(VERSIONS):
        (series,) = (
            one for one in block.series if [int(part[0]) for part in split(np.array([one]))][:2] == [version, -1]
        )
        from_sums = arms.of_sums(measure, sums, block, int(series), math.inf).arm
        from_rows = arms.of_rows(measure, rows, slot, version, math.inf).arm
        expected = recount(model, measure, rows, rows.version == version)
        assert (from_rows.n, from_rows.s1, from_rows.s2) == pytest.approx(expected, rel=1e-9)
        if not weighted:
            assert (from_sums.n, from_sums.s1, from_sums.s2) == pytest.approx(expected, rel=1e-9, abs=1e-7)
        elif metric != "reported_error_rate":
            assert (from_sums.n, from_sums.s1) == pytest.approx(expected[:2], rel=1e-9, abs=1e-7)


def test_a_version_without_rows_is_nothing_either_way() -> None:
    model, measure = measure_of("binary", "outcome", "accuracy")
    rows = rows_of("binary", 9)
    block, _ = block_of(model, rows, 0)
    nobody = arms.of_rows(measure, rows, 0, 200, math.inf)
    assert nobody.arm == arms.NO_ROWS == arms.of_sums(measure, measure.sums(block), block, 10**6, math.inf).arm
    assert nobody.bucket_n is not None and nobody.bucket_n.shape == (256,) and not nobody.bucket_n.any()


@pytest.mark.parametrize(
    ("task", "metric"), [("regression", "mae"), ("binary", "log_loss"), ("text", "word_error_rate")]
)
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_rows_are_held_at_the_cap_and_counted_by_unit(task: str, metric: str, weighted: bool) -> None:
    model, measure = measure_of(task, "outcome", metric)
    rows = rows_of(task, 6, weighted=weighted, units=True)
    chosen = rows.version == 1
    plain = arms.of_rows(measure, rows, 0, 1, math.inf)
    found = [(loss_of(model, measure, rows, i), i) for i in np.flatnonzero(chosen).tolist()]
    kept = [i for loss, i in found if loss is not None]
    c = np.array([1 if rows.count is None else rows.count[i] for i in kept], float)
    w = np.array([weight_of(model, measure, rows, i) for i in kept])
    if task == "text":
        e, length = np.array([loss for loss, _ in found if loss is not None], float).T
        rate = (c * w * e).sum() / (c * w * length).sum()
        y = rate + (e - rate * length) / ((c * w * length).sum() / (c * w).sum())
    else:
        y = np.array([loss for loss, _ in found if loss is not None], float)
    cap = float(np.quantile(y, 0.9))
    side = arms.of_rows(measure, rows, 0, 1, cap)
    held = np.minimum(y, cap)
    n = (c * w).sum() ** 2 / (c * w * w).sum()
    share = c * w / (c * w).sum()
    assert side.arm.n == pytest.approx(n, rel=1e-9) == plain.arm.n
    assert side.arm.s1 == pytest.approx(n * (share * held).sum(), rel=1e-9)
    assert side.arm.s2 == pytest.approx(n * (c * w * w * held**2).sum() / (c * w * w).sum(), rel=1e-9)
    assert side.clipped == pytest.approx(n * share[y > cap].sum(), rel=1e-9)
    assert plain.clipped == 0
    assert side.bucket_n is not None and side.bucket_s1 is not None and rows.unit is not None
    for bucket in range(256):
        own = rows.unit[kept] == bucket
        assert side.bucket_n[bucket] == pytest.approx(n * share[own].sum(), rel=1e-9)
        assert side.bucket_s1[bucket] == pytest.approx(n * (share * held)[own].sum(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("cap", [2.0**-6.5, 0.25, 0.3, 2.0**0.5, 64.0, math.inf])
def test_latency_is_held_at_the_first_edge_not_below_the_cap(cap: float) -> None:
    model, measure = measure_of("binary", "", "latency_seconds")
    rows = rows_of("binary", 7, size=2000)
    block, split = block_of(model, rows, ARRIVALS)
    edges = [2.0 ** (half / 2) for half in range(-28, 15)]
    edge = next((one for one in edges if one >= cap * (1 - 1e-12)), edges[-1])
    assert measure.capped is not None and rows.service is not None
    found = measure.capped(block, cap)
    assert found is not None
    for row, series in enumerate(block.series.tolist()):
        version, key, _ = (int(part[0]) for part in split(np.array([series])))
        if key >= 0:
            continue
        own = (rows.version == version) & ~rows.service.shadow & ~np.isnan(rows.service.latency)
        seconds = rows.service.latency[own]
        assert found.sums.n[row] == own.sum()
        assert found.sums.total[row] == pytest.approx(np.minimum(seconds, edge).sum(), rel=1e-6)
        assert found.sums.squares[row] == pytest.approx((np.minimum(seconds, edge) ** 2).sum(), rel=1e-6)
        assert found.clipped[row] == (seconds >= edge).sum()
        side = arms.of_sums(measure, measure.sums(block), block, series, cap)
        if math.isfinite(cap):
            assert (side.arm.s1, side.clipped) == (found.sums.total[row], found.clipped[row])


def test_the_sizes_of_latencies_are_those_of_half_octaves() -> None:
    from tidegauge.assess.sequential.history import quantile

    model, measure = measure_of("binary", "", "latency_seconds")
    rows = rows_of("binary", 8, size=3000)
    assert measure.sizes is not None and rows.service is not None
    block, split = block_of(model, rows, ARRIVALS)
    sizes = measure.sizes(block)
    assert sizes is not None
    for row, series in enumerate(block.series.tolist()):
        version, key, _ = (int(part[0]) for part in split(np.array([series])))
        if key >= 0:
            continue
        own = (rows.version == version) & ~rows.service.shadow & ~np.isnan(rows.service.latency)
        seconds = np.sort(rows.service.latency[own])
        for share in (0.1, 0.5, 0.9, 0.999):
            edge = quantile(sizes[row], share)
            exact = seconds[math.ceil(share * len(seconds)) - 1]
            assert edge is not None
            assert exact <= edge <= max(exact * math.sqrt(2), 2.0**-14) * (1 + 1e-12)


def test_values_are_in_the_metrics_own_units() -> None:
    signs = {}
    for task in TASKS:
        for measure in measures_of(model_of(task)):
            signs[measure.metric] = (measure.value(0.0), measure.value(0.25))
            assert (measure.kind == UNBOUNDED) == (
                measure.metric in ("log_loss", "mae", "mape", "latency_seconds")
                or any(measure.metric == f"signal:{one.name}" and one.type == "numeric" for one in SIGNALS)
            )
    assert signs["accuracy"] == signs["ndcg"] == signs["signal:bought"] == (1.0, 0.75)
    assert signs["mae"] == signs["error_ratio"] == signs["word_error_rate"] == signs["signal:cost"] == (0.0, 0.25)
    assert signs["signal:dwell"] == signs["signal:sure"] == (0.0, -0.25)


def test_error_rates_of_texts_are_watched_by_edits_which_are_never_negative() -> None:
    """Detectors bet on losses with a lowest value; what the ratio's spread is made of has none."""
    one = np.ones(1)
    pairs = PairMoments(
        np.array([3]), 3 * one, 3 * one, we=6 * one, wn=30 * one, w2e2=(0 + 1 + 25) * one, w2n2=(400 + 25 + 25) * one,
        w2en=(0 + 5 + 25) * one,
    )  # fmt: skip
    sums = _of_pairs(np.array([0]), pairs)  # edits 0, 1, 5 on 20, 5 and 5 words
    edits, words = np.array([0.0, 1.0, 5.0]), np.array([20.0, 5.0, 5.0])
    pseudo = 0.2 + (edits - 0.2 * words) / 10
    assert pseudo.min() < 0
    assert sums.total == pytest.approx(pseudo.sum()) == pytest.approx((edits / 10).sum())
    assert sums.squares == pytest.approx((pseudo**2).sum())
    assert sums.plain_squares == pytest.approx(((edits / 10) ** 2).sum())
