"""What to plan for: series by versions, windows, slices and classes, the time to compute them, and bytes on disk.

Series are counted as they would be served, of engines that are fed directly; the coefficients are differences between
them. Bytes on disk are those of a real exporter's state directory. Run as: python -m bench.sizing
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import workload
from bench.memory import measure_exporter
from tidegauge.config.settings import DAY, HOUR, MINUTE, Channel, Model
from tidegauge.decode.columns import Categorical, FeedbackColumns, PredictionColumns
from tidegauge.pipeline.engine import Engine, fresh_parts
from tidegauge.pipeline.publication import view

ROWS = 40_000
DRIFT = ("model_drift_", "model_feature_", "model_schema_")
CLASSES = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")


def fed(model: Model, versions: int, values: int) -> Engine:
    """An engine with a day of predictions, spread evenly over versions and values of its slice, all with a label."""
    engine = Engine(model, fresh_parts(model), None)
    number = np.arange(ROWS)
    moment = workload.START + number * (2 * DAY // ROWS)
    key = (number + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    generator = np.random.default_rng(1)
    words = {"binary": ["0", "1"], "multiclass": list(model.classes), "regression": []}[model.task]
    drawn = [generator.integers(0, max(1, len(words)), ROWS, dtype=np.int32) for _ in range(2)]
    answers, labels = (np.where(bool(words), codes, -1).astype(np.int32) for codes in drawn)
    absent, no = np.full(ROWS, np.nan), np.zeros(ROWS, dtype=np.bool_)
    score = generator.random(ROWS)
    slices = {
        name: Categorical((number % values).astype(np.int32), [f"s{n}" for n in range(values)]) for name in model.slices
    }
    clock = int(moment[-1]) + HOUR
    engine.accept_predictions(
        PredictionColumns(
            model=model.name,
            key=key,
            time=moment,
            version=Categorical((number // values % versions).astype(np.int32), [f"v{n}" for n in range(versions)]),
            label=Categorical(answers, words),
            value=generator.normal(size=ROWS) if model.task == "regression" else absent,
            score=score if model.task == "binary" else absent,
            scores=None,
            latency_ms=np.full(ROWS, 5.0),
            error=no,
            shadow=no,
            weight=None,
            count=None,
            slices=slices,
            unit=None,
            offset=np.zeros(ROWS, dtype=np.int64),
        ),
        clock,
        clock,
    )
    engine.accept_feedback(
        FeedbackColumns(
            model=model.name,
            key=key,
            time=moment + MINUTE,
            channel=Categorical(np.zeros(ROWS, dtype=np.int32), ["outcome"]),
            label=Categorical(labels, words),
            value=generator.normal(size=ROWS),
            retract=no,
            propensity=absent,
            offset=np.zeros(ROWS, dtype=np.int64),
        ),
        clock,
    )
    engine.advance(clock, clock)
    return engine


def series(model: Model, versions: int = 1, values: int = 1) -> tuple[int, float]:
    """Series served about the model, but for drift (docs/drift.md), and the seconds it takes to compute all of them."""
    engine = fed(model, versions, values)
    clock = workload.START + 2 * DAY + HOUR
    started = time.perf_counter()
    samples = view(engine, {}, clock).samples
    quality = [one for one in samples if not one.family.name.startswith(DRIFT)]
    return sum(one.series for one in quality), time.perf_counter() - started


def coefficients(task: str) -> list[str]:
    """The row of a task: what each further version, window, slice value and class adds."""
    model = Model(
        "model",
        task,
        (Channel("outcome", maturity=HOUR),),
        classes=CLASSES[:4] if task == "multiclass" else (),
        windows=(DAY,),
        horizon=3 * DAY,
        max_series=10_000_000,
    )
    one, _ = series(model)
    two, _ = series(model, versions=2)
    window = series(replace(model, windows=(DAY, 12 * HOUR)))[0] - one
    sliced = replace(model, slices=("slice",))
    value = series(sliced, values=5)[0] - series(sliced, values=4)[0]
    cells = [task, f"{one:,}", f"{two - one:,}", f"{window:,}", f"{value:,}"]
    if task != "multiclass":
        return [*cells, "none"]
    return [*cells, f"{series(replace(model, classes=CLASSES[:5]))[0] - one:,} (the fifth)"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what to plan for.")
    parser.add_argument("--predictions", type=int, default=300_000, help="for the bytes on disk")
    options = parser.parse_args()
    print("Series of a model with one version, one window and one channel, and what more of each adds\n")
    print("| task | first version, one window | each version more | each window more | each slice value | each class |")
    print("|---|---|---|---|---|---|")
    for task in ("binary", "multiclass", "regression"):
        print("| " + " | ".join(coefficients(task)) + " |")
    wide = Model("model", "binary", (Channel("outcome"),), slices=("slice",), windows=(HOUR, DAY), horizon=3 * DAY)
    number, seconds = series(wide, versions=4, values=40)
    print(f"\nComputing {number:,} series: {seconds * 1e3:.0f} ms, {seconds / number * 1e6:.1f} us each\n")
    with tempfile.TemporaryDirectory() as directory:
        print(disk(Path(directory), options.predictions))
    return 0


def disk(directory: Path, predictions: int) -> str:
    """Bytes of the state directory by waiting prediction, once all of them wait."""
    workload.write(directory, predictions)
    (directory / "tidegauge.yml").write_text(f"refresh_interval: 1s\n{workload.configuration()}")
    measure_exporter(directory)
    size = sum(path.stat().st_size for path in (directory / "state").rglob("*") if path.is_file())
    each = size / predictions
    return f"State directory: {size / 1e6:.1f} MB for {predictions:,} waiting predictions, {each:.0f} bytes each"


if __name__ == "__main__":
    sys.exit(main())
