"""Recounts, with plain pandas and scikit-learn, what the exporter must publish for the flights' logs.

Shares no code with the exporter; the window arithmetic is written out from its documentation. Reads the whole logs into
memory. Needs the `examples` extra: pandas, scikit-learn.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xxhash
from sklearn import metrics

HOUR = pd.Timedelta(hours=1)
MATURITY = 12 * HOUR
GRACE = HOUR / 12
BLOCK = HOUR / 2  # prediction time is sealed in blocks of the narrowest pane
# window: (width, width of the panes it is made of); a window ends at the last pane edge that is mature
WINDOWS = {
    "24h": (24 * HOUR, HOUR / 2),
    "7d": (7 * 24 * HOUR, 2 * HOUR),
    "30d": (30 * 24 * HOUR, 12 * HOUR),
}
NUMBERS = ("dep_delay", "distance", "hour", "temp", "wind_speed", "precip", "visib")
CATEGORIES = ("carrier", "origin", "dest")
INPUTS = (*NUMBERS, *CATEGORIES)
# Per cent of the training data that lie below the edges of bins, but for the least and the greatest.
QUANTILES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
FEW_VALUES, NAMED, BUCKETS = 20, 30, 16
FEATURE_SLICES = ("carrier", "origin")
SLICES = (*FEATURE_SLICES, "departure")
EPOCH = pd.Timestamp(0, tz="UTC")

Scores = dict[str, float]
Place = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """What must be published about one version of one model in one window, in total or for one slice."""

    model: str
    version: str
    window: str
    slice_key: str  # "" for the total
    slice_value: str
    predictions: int
    labeled: int
    scores: Scores  # a metric that these rows do not define (no positives, say) is left out


def read(logs: Path) -> pd.DataFrame:
    """One row a prediction: id, time (UTC), model, version, prediction, score, inputs, slice, label (NaN: none)."""
    fields = ["prediction_id", "timestamp", "model", "version", "prediction", "score"]
    with (logs / "predictions.jsonl").open() as file:
        predictions = pd.DataFrame.from_records(
            (
                [*map(r.get, fields), *map(r["features"].get, INPUTS), r["slices"]["departure"]]
                for r in map(json.loads, file)
            ),
            columns=[*fields, *INPUTS, "departure"],
        )
    with (logs / "feedback.jsonl").open() as file:
        feedback = pd.DataFrame.from_records(
            ((r["prediction_id"], r["label"]) for r in map(json.loads, file)), columns=["prediction_id", "label"]
        )
    predictions["time"] = pd.to_datetime(predictions["timestamp"], utc=True)
    return predictions.merge(feedback, on="prediction_id", how="left", validate="one_to_one")


def training(directory: Path, model: str) -> pd.DataFrame:
    """What a model was trained on: its inputs, the answers of v1, the label."""
    return pd.read_csv(directory / f"training-{model}.csv", dtype=dict.fromkeys(CATEGORIES, "string"))


def drift(rows: pd.DataFrame, trained: pd.DataFrame) -> dict[str, float]:
    """The population stability index of each input, of these rows against what was trained on."""
    return {name: stability_index(*shared_bins(name, rows[name], trained[name])) for name in INPUTS}


def shared_bins(name: str, now: pd.Series, trained: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Rows in each bin, of both; the last bin is of rows without a value."""
    if name in NUMBERS:
        inner = edges(trained.dropna().to_numpy(float))[1:-1]
        both = [inner.searchsorted(one.dropna().to_numpy(float), side="right") for one in (now, trained)]
        bins = len(inner) + 1
    else:
        place = category_bins(trained.dropna())
        bins = NAMED + BUCKETS + 1  # the last one: never seen
        both = [one.dropna().astype(str).map(lambda text: place.get(text, bins - 1)) for one in (now, trained)]
    counts = [np.bincount(np.asarray(one, dtype=int), minlength=bins) for one in both]
    current, reference = (np.append(n, len(one) - n.sum()) for n, one in zip(counts, (now, trained), strict=True))
    if name in CATEGORIES:
        expect_new(reference, trained.dropna())
    return current, reference


def expect_new(counts: np.ndarray, values: pd.Series) -> None:
    """Categories met once say how many rows are to be expected with one that was never met: these are rare ones too."""
    buckets, once = slice(NAMED, NAMED + BUCKETS), int((values.value_counts() == 1).sum())
    held = counts[buckets].cumsum()
    if held[-1]:
        counts[buckets] -= np.diff(held * once // held[-1], prepend=0)
        counts[NAMED + BUCKETS] += once


def edges(values: np.ndarray) -> np.ndarray:
    """Of the bins of a number: half way between its values if they are few, else at its quantiles.

    A value that is several quantiles has a bin of its own.
    """
    distinct = np.unique(values)
    if len(distinct) <= FEW_VALUES:
        return np.array([distinct[0], *((distinct[1:] + distinct[:-1]) / 2), distinct[-1]])
    ordered = np.sort(values)
    marks = [distinct[0], distinct[-1], *(ordered[-(-share * len(ordered) // 100) - 1] for share in QUANTILES)]
    found, times = np.unique(marks, return_counts=True)
    lower = np.minimum(distinct.searchsorted(found[times > 1]), len(distinct) - 2)
    return np.unique([*found, *((distinct[lower] + distinct[lower + 1]) / 2)])


def category_bins(values: pd.Series) -> dict[str, int]:
    """The bin of each category: one of its own for the most frequent, a bucket by its hash for the others."""
    counts = values.astype(str).value_counts()
    ordered = sorted(counts.index, key=lambda text: (-counts[text], text))
    named = {text: place for place, text in enumerate(ordered[:NAMED])}
    return named | {text: NAMED + xxhash.xxh3_64_intdigest(text.encode()) % BUCKETS for text in ordered[NAMED:]}


def stability_index(current: np.ndarray, reference: np.ndarray) -> float:
    """The sum of (p - q) ln(p / q); 1/2 is added to every bin where one side alone has an empty one."""
    more = 0.5 * ((current > 0) | (reference > 0)) * ((current > 0) != (reference > 0)).any()
    p, q = ((side + more)[(current + reference) > 0] for side in (current, reference))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def arrived(rows: pd.DataFrame, clock: pd.Timestamp, window: str) -> pd.DataFrame:
    """The rows of a window of what is known when a prediction is made, which needs no maturity."""
    width, pane = WINDOWS[window]
    end = EPOCH + (clock - EPOCH) // pane * pane
    return rows[(rows["time"] >= end - width) & (rows["time"] < end)]


def seasons(rows: pd.DataFrame, directory: Path) -> pd.DataFrame:
    """By month (UTC) of departure: how far the inputs of `late` are from its training data."""
    mine, trained = rows[rows["model"] == "late"], training(directory, "late")
    found = {month: drift(part, trained) for month, part in mine.groupby(mine["time"].dt.strftime("%Y-%m"))}
    return pd.DataFrame(found).T


def recount(rows: pd.DataFrame, clock: pd.Timestamp) -> Iterator[Cell]:
    """Every cell that has a prediction, at `clock` (the exporter's is the highest timestamp of a prediction)."""
    for place, group in cohorts(rows, clock):
        yield _cell(*place, group)


def cohorts(rows: pd.DataFrame, clock: pd.Timestamp) -> Iterator[tuple[Place, pd.DataFrame]]:
    """The rows of every cell, with its model, version, window, slice key and slice value ("" for the total)."""
    for window, (width, pane) in WINDOWS.items():
        end = EPOCH + (clock - MATURITY - EPOCH) // pane * pane
        inside = rows[(rows["time"] >= end - width) & (rows["time"] < end)]
        for (model, version), group in inside.groupby(["model", "version"]):
            yield (str(model), str(version), window, "", ""), group
            for key in SLICES:
                for value, part in group.groupby(key):
                    yield (str(model), str(version), window, key, str(value)), part


def sealed(rows: pd.DataFrame, clock: pd.Timestamp) -> pd.DataFrame:
    """The rows that no longer change their mind: blocks that ended a maturity and a grace ago, with their feedback."""
    return rows[rows["time"] < EPOCH + (clock - MATURITY - GRACE - EPOCH) // BLOCK * BLOCK]


def _cell(model: str, version: str, window: str, key: str, value: str, rows: pd.DataFrame) -> Cell:
    known = rows[rows["label"].notna()]
    actual = known["label"].to_numpy(float)
    answer = known["prediction"].to_numpy(float)
    if known.empty:
        scores = {}
    elif model == "late":
        scores = binary(actual.astype(int), answer.astype(int), known["score"].to_numpy(float))
    else:
        scores = regression(actual, answer)
    return Cell(model, version, window, key, value, len(rows), len(known), scores)


def months(rows: pd.DataFrame) -> pd.DataFrame:
    """By month (UTC) of departure: the share of late flights, and the accuracy of each version of `late`."""
    known = rows[(rows["model"] == "late") & rows["label"].notna()]
    right = (known["prediction"] == known["label"]).groupby([known["time"].dt.strftime("%Y-%m"), known["version"]])
    return right.mean().unstack().assign(late=known["label"].groupby(known["time"].dt.strftime("%Y-%m")).mean())


def binary(actual: np.ndarray, answer: np.ndarray, score: np.ndarray) -> Scores:
    """scikit-learn's values of everything that these rows define."""
    scores: Scores = {
        "accuracy": metrics.accuracy_score(actual, answer),
        "log_loss": metrics.log_loss(actual, score, labels=[0, 1]),
        "brier": metrics.brier_score_loss(actual, score, pos_label=1),
    }
    positives, negatives = actual.sum(), (1 - actual).sum()
    optional: dict[str, tuple[bool, Callable[[], float]]] = {
        "precision": (answer.sum() > 0, lambda: metrics.precision_score(actual, answer)),
        "recall": (positives > 0, lambda: metrics.recall_score(actual, answer)),
        "f1": (positives + answer.sum() > 0, lambda: metrics.f1_score(actual, answer)),
        "specificity": (negatives > 0, lambda: metrics.recall_score(actual, answer, pos_label=0)),
        "balanced_accuracy": (
            min(positives, negatives) > 0,
            lambda: metrics.balanced_accuracy_score(actual, answer),
        ),
        "mcc": (min(positives, negatives) > 0, lambda: metrics.matthews_corrcoef(actual, answer)),
        "roc_auc": (min(positives, negatives) > 0, lambda: metrics.roc_auc_score(actual, score)),
        "pr_auc": (positives > 0, lambda: metrics.average_precision_score(actual, score)),
    }
    scores.update({name: value() for name, (defined, value) in optional.items() if defined})
    return {name: float(value) for name, value in scores.items()}


def regression(actual: np.ndarray, answer: np.ndarray) -> Scores:
    """scikit-learn's values of everything that these rows define; the error is answer minus actual."""
    scores: Scores = {
        "mae": metrics.mean_absolute_error(actual, answer),
        "rmse": metrics.root_mean_squared_error(actual, answer),
        "mean_error": np.mean(answer - actual),
    }
    nonzero = actual != 0
    if nonzero.any():
        scores["mape"] = metrics.mean_absolute_percentage_error(actual[nonzero], answer[nonzero])
    if np.ptp(actual) > 0:
        scores["r2"] = metrics.r2_score(actual, answer)
    return {name: float(value) for name, value in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=Path, default=Path(__file__).parent / "logs")
    parser.add_argument("--clock", help="RFC 3339; default: the highest timestamp of a prediction")
    parser.add_argument("--slices", action="store_true", help="print the slices too")
    parser.add_argument("--months", action="store_true", help="print the year by month instead")
    parser.add_argument("--drift", action="store_true", help="print by month how far the inputs are from the training")
    options = parser.parse_args()
    rows = read(options.logs)
    if options.months:
        print(months(rows).to_string(float_format="{:.4f}".format))
        return
    if options.drift:
        print(seasons(rows, options.logs).to_string(float_format="{:.3f}".format))
        return
    clock = rows["time"].max() if options.clock is None else pd.Timestamp(options.clock)
    for cell in recount(rows, clock):
        if options.slices or not cell.slice_key:
            place = " ".join(filter(None, [cell.model, cell.version, cell.window, cell.slice_key, cell.slice_value]))
            scores = " ".join(f"{name}={value:.6g}" for name, value in cell.scores.items())
            print(f"{place}: predictions={cell.predictions} labeled={cell.labeled} {scores}")


if __name__ == "__main__":
    main()
