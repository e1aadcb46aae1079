"""The logs that the benchmarks read: two versions of a fraud model, a canary that grows from 10 to 50 % of the traffic.

A prediction has an id of 32 hex digits, ten numeric and two categorical features, an answer, a score, a latency and a
user: about 390 bytes. Six predictions in ten get feedback, after an exponential delay, in order of arrival. The same
seed and shape write the same bytes; with more features the first twelve have the same values.
Run as: python bench/workload.py DIRECTORY [--predictions N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Generator = np.random.Generator

PREDICTIONS = "predictions.jsonl"
FEEDBACK = "feedback.jsonl"
START = 1_767_225_600_000  # ms: 2026-01-01T00:00:00Z
PART = 50_000  # predictions made at a time, so that memory does not grow with the log

COUNTRIES = ("BR", "CA", "DE", "DK", "ES", "FR", "GB", "IE", "IT", "MX", "PT", "US")
DEVICES = ("android", "ios", "partner-api", "web")
# How each numeric feature is drawn, with the digits after the point that its service writes.
NUMERIC: dict[str, tuple[Callable[[Generator, int], Floats], int]] = {
    "f0": (lambda g, n: g.lognormal(3.0, 0.8, n), 6),
    "f1": (lambda g, n: g.normal(100.0, 15.0, n), 6),
    "f2": (lambda g, n: g.normal(0.0, 1.0, n), 6),
    "f3": (lambda g, n: g.gamma(2.0, 10.0, n), 6),
    "f4": (lambda g, n: g.integers(18, 90, n).astype(np.float64), 1),
    "f5": (lambda g, n: g.exponential(30.0, n), 6),
    "f6": (lambda g, n: g.random(n), 8),
    "f7": (lambda g, n: g.beta(2.0, 5.0, n), 8),
    "f8": (lambda g, n: g.poisson(3.0, n).astype(np.float64), 1),
    "f9": (lambda g, n: g.normal(-5.0, 2.0, n), 6),
}
CATEGORICAL = {"country": COUNTRIES, "device": DEVICES}
FEATURES = {**dict.fromkeys(NUMERIC, "numeric"), **dict.fromkeys(CATEGORICAL, "categorical")}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the logs look like besides their length."""

    interval: float = 3.0  # ms between predictions, in the mean
    delay: float = 300_000.0  # ms from a prediction to its feedback, in the mean
    answered: float = 0.6  # share of the predictions that get feedback
    canary: tuple[float, float] = (0.1, 0.5)  # share of the last version at the beginning and at the end
    versions: int = 2
    models: int = 1
    segments: int = 0  # values of a `segment` in the record's slices; 0: none
    features: int = len(FEATURES)  # beyond those of FEATURES come others of the same kinds, by turns


def features(shape: Shape = Shape()) -> dict[str, str]:
    """What each feature of the records is: numeric or categorical."""
    return {name: FEATURES[kind] for name, kind in _kinds(shape).items()}


def _kinds(shape: Shape) -> dict[str, str]:
    """By the name of each feature that of FEATURES whose values it has the like of."""
    rounds = range(-(-shape.features // len(FEATURES)))
    names = {name + (f"_{number}" if number else ""): name for number in rounds for name in FEATURES}
    return dict(list(names.items())[: shape.features])


def write(directory: Path, predictions: int, *, seed: int = 1, shape: Shape = Shape()) -> int:
    """Writes both logs into a directory that exists; returns the number of feedback records."""
    generator = np.random.default_rng(seed)
    time, waiting, answers = float(START), _no_feedback(), 0
    with (directory / PREDICTIONS).open("w") as asked, (directory / FEEDBACK).open("w") as told:
        for begin in range(0, predictions, PART):
            count = min(PART, predictions - begin)
            times = time + np.cumsum(generator.exponential(shape.interval, count))
            time = float(times[-1])
            progress = (begin + np.arange(count)) / predictions
            made = _predictions(generator, times.astype(np.int64), progress, shape)
            asked.writelines(made.lines)
            waiting = np.concatenate([waiting, made.feedback])
            waiting = waiting[np.argsort(waiting["time"], kind="stable")]
            due = int(np.searchsorted(waiting["time"], time)) if begin + count < predictions else len(waiting)
            told.writelines(_feedback_lines(waiting[:due]))
            answers, waiting = answers + due, waiting[due:]
    return answers


def configuration(
    *,
    shape: Shape = Shape(),
    windows: str = "1h, 24h",
    slices: str = "",
    maturity: str = "5m",
    state: str = "state",
    more: str = "",
) -> str:
    """A configuration file that reads the logs beside it; `more` are further lines of each model, indented by four."""
    watched = ", ".join(f"{name}: {kind}" for name, kind in features(shape).items())
    models = "".join(
        f"  - name: {name}\n"
        "    task: binary\n"
        f"    feedback: {{outcome: {{kind: complete, maturity: {maturity}}}}}\n"
        f"    features: {{{watched}}}\n"
        f"    slices: [{slices}]\n"
        f"    windows: [{windows}]\n{more}"
        for name in model_names(shape)
    )
    return (
        f"state: {state}\nclock: log\nsources:\n"
        f"  - predictions: {PREDICTIONS}\n  - feedback: {FEEDBACK}\n    channel: outcome\nmodels:\n{models}"
    )


def model_names(shape: Shape) -> list[str]:
    """How the models of the logs are called."""
    return ["fraud"] if shape.models == 1 else [f"fraud-{number}" for number in range(shape.models)]


def damage(log: Path, target: Path, *, every: int) -> int:
    """Copies a log and spoils one line in so many, in four ways by turns; returns how many."""
    spoilt = 0
    with log.open("rb") as lines, target.open("wb") as copy:
        for number, line in enumerate(lines):
            if number % every == every // 2:
                line = _SPOILERS[spoilt % len(_SPOILERS)](line)
                spoilt += 1
            copy.write(line)
    return spoilt


_SPOILERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda line: line[: len(line) // 2] + b"\n",  # torn
    lambda line: b"WARNING: disk almost full\n",  # somebody else's line
    lambda line: line.replace(b'"timestamp":"2', b'"timestamp":"x2'),  # JSON, but no time
    lambda line: line.replace(b'"prediction_id":"', b'"prediction_id":["').replace(b'","timestamp"', b'"],"timestamp"'),
)


@dataclass(frozen=True, slots=True)
class _Part:
    lines: Iterator[str]
    feedback: np.ndarray


def _no_feedback() -> np.ndarray:
    return np.zeros(0, [("high", "u8"), ("low", "u8"), ("time", "i8"), ("label", "u1")])


def _predictions(generator: Generator, times: Integers, progress: Floats, shape: Shape) -> _Part:
    count = len(times)
    numeric = {name: draw(generator, count) for name, (draw, _) in NUMERIC.items()}
    first, last = shape.canary
    canary = generator.random(count) < first + (last - first) * progress
    version = np.where(canary, shape.versions, 1 + generator.integers(0, max(1, shape.versions - 1), count))
    score = 1.0 / (1.0 + np.exp(1.0 - numeric["f2"] - (numeric["f1"] - 100.0) / 50.0))
    # The canary believes too much in its answers.
    label = generator.random(count) < np.where(canary, 0.1 + 0.8 * score, score)
    high, low = (generator.integers(0, 1 << 64, count, dtype=np.uint64) for _ in range(2))
    names = np.array(model_names(shape))[generator.integers(0, shape.models, count)]
    columns: list[np.ndarray] = [high, low, _instants(times), names, version, *numeric.values()]
    columns += [_drawn(name, generator, count) for name in CATEGORICAL]
    if shape.segments:
        columns.append(generator.integers(0, shape.segments, count))
    columns += [score > 0.5, score, generator.gamma(4.0, 3.0, count), generator.integers(0, 200_000, count)]

    told = generator.random(count) < shape.answered
    feedback = np.zeros(int(told.sum()), _no_feedback().dtype)
    feedback["high"], feedback["low"], feedback["label"] = high[told], low[told], label[told]
    feedback["time"] = times[told] + generator.exponential(shape.delay, len(feedback)).astype(np.int64)
    # What further features need is drawn last: all else is the same with and without them.
    place = 5 + len(FEATURES)
    columns[place:place] = [_drawn(kind, generator, count) for kind in list(_kinds(shape).values())[len(FEATURES) :]]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return _Part((_template(shape) % row for row in rows), feedback)


def _drawn(kind: str, generator: Generator, count: int) -> np.ndarray:
    if kind in NUMERIC:
        return NUMERIC[kind][0](generator, count)
    words = CATEGORICAL[kind]
    return np.array(words)[generator.integers(0, len(words), count)]


def _template(shape: Shape) -> str:
    shown = {name: f"%.{digits}f" for name, (_, digits) in NUMERIC.items()} | dict.fromkeys(CATEGORICAL, '"%s"')
    fields = [f'"{name}":{shown[kind]}' for name, kind in _kinds(shape).items()]
    slices = '"slices":{"segment":"segment-%d"},' if shape.segments else ""
    return (
        '{"prediction_id":"%016x%016x","timestamp":"%s","model":"%s","version":"v%d","features":{'
        + ",".join(fields)
        + "},"
        + slices
        + '"prediction":"%d","score":%.6f,"latency_ms":%.3f,"unit_id":"user-%06d"}\n'
    )


_FEEDBACK_LINE = '{"prediction_id":"%016x%016x","timestamp":"%s","label":"%d"}\n'


def _feedback_lines(feedback: np.ndarray) -> Iterator[str]:
    columns = (feedback["high"], feedback["low"], _instants(feedback["time"]), feedback["label"])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return (_FEEDBACK_LINE % row for row in rows)


def _instants(times: Integers) -> NDArray[np.str_]:
    return np.char.add(np.datetime_as_string(times.astype("M8[ms]")), "Z")


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the logs that the benchmarks read, and a configuration.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    answers = write(options.directory, options.predictions, seed=options.seed)
    (options.directory / "tidegauge.yml").write_text(configuration())
    for name, records in ((PREDICTIONS, options.predictions), (FEEDBACK, answers)):
        size = (options.directory / name).stat().st_size
        print(f"{name}: {records:,} records, {size:,} bytes, {size / records:.0f} a record")


if __name__ == "__main__":
    main()
