"""What watching features for drift costs, with every statistic and reference: the whole job, and what others take.

The logs are the core's (bench/workload.py), but that the second version begins after a sixth of them: it is a release
then, and is compared with the first. The references are a prepared file of 100,000 rows, the previous version, and the
version's own past, which is known where the logs last for weeks. Every case is a process of its own on one core, the
cases take turns, and ratios are of cases of the same turn. Run as: python -m bench.drift
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from bench import workload
from bench.drift_peers import CASES, CURRENT, REFERENCE
from bench.memory import MB, measure_exporter
from bench.speed import PARSE_BYTES, parse_alone, run, whole_job
from tidegauge.config.settings import DAY, DRIFT_STATISTICS, MINUTE, PREVIOUS_VERSION, TRAILING, TRAINING
from tidegauge.pipeline.memory import keep_freed_memory

if TYPE_CHECKING:
    from tidegauge.assess.detectors.detector import Context
    from tidegauge.pipeline.pipeline import Pipeline

RELEASE: Final = workload.Shape(canary=(-0.1, 0.5))
TWELVE: Final = len(workload.FEATURES)
MANY: Final = 50
TRAINED_ON: Final = 100_000
BLOCK: Final = 5 * MINUTE
MONTH: Final = 30 * DAY
REFERENCES: Final = (TRAINING, PREVIOUS_VERSION, TRAILING)
ROOT: Final = Path(__file__).parents[1]
THEIR_PYTHON: Final = ROOT / ".tools" / "peers" / "bin" / "python"
PANDAS, NANNYML, ALIBI, LOGS = (
    "pandas with scipy",
    "NannyML's drift",
    "alibi-detect",
    "pandas with scipy, from the logs",
)
PEERS: Final = {PANDAS: "pandas_scipy", NANNYML: "nannyml", ALIBI: "alibi_detect", LOGS: "pandas_scipy_logs"}
JOB, PAGES, NONE = "whole job, 12 features", "the same, a page every block", "whole job, no features"
WIDE, SOME = f"whole job, {MANY} features", f"whole job, 12 of {MANY} features"
PARSE, WIDE_PARSE = "parse alone", f"parse alone, {MANY} features"
ONE_THREAD: Final = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "ARROW")}
QUIET: Final = {"TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
PAGES_TIMED: Final = 7
AHEAD: Final = {PANDAS: 2.3, NANNYML: 2.7, ALIBI: 1.9}
"""How many times as long as the whole job they should take."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, in seconds; `said` is all that it says."""

    work: float  # CPU, without loading the program
    process: float  # CPU, with it
    wall: float
    said: Mapping[str, Any]


# -------------------------------------------------------------------- logs and configurations


def make_logs(directory: Path, predictions: int, shape: workload.Shape, trained_on: int = TRAINED_ON) -> Path:
    """Logs, and the prepared reference of a model that was trained on rows of the same kind, in a new directory."""
    directory.mkdir()
    workload.write(directory, predictions, shape=shape)
    rows = directory / "training"
    rows.mkdir()
    workload.write(rows, trained_on, seed=2, shape=replace(shape, canary=(0.0, 0.0)))
    configure(directory, shape)
    prepare(directory, labelled(rows))
    return directory


def labelled(directory: Path) -> Path:
    """The predictions of a log with their labels beside them, as training data has them."""
    with (directory / workload.FEEDBACK).open() as told:
        labels = {one["prediction_id"]: one["label"] for one in map(json.loads, told)}
    rows = directory / "rows.jsonl"
    with (directory / workload.PREDICTIONS).open() as asked, rows.open("w") as file:
        for line in asked:
            label = labels.get(line[len('{"prediction_id":"') :].partition('"')[0])
            file.write(line if label is None else f'{line[:-2]},"label":"{label}"}}\n')
    return rows


def configure(directory: Path, shape: workload.Shape, refresh: str = "") -> None:
    """Writes a configuration that watches the features of the shape, by every statistic."""
    more = (
        "    reference: reference.yml\n"
        f"    drift: {{statistics: [{', '.join(DRIFT_STATISTICS)}], references: [{', '.join(REFERENCES)}]}}\n"
        "    max_series: 100000\n"
    )
    (directory / "tidegauge.yml").write_text(refresh + workload.configuration(shape=shape, more=more))


def prepare(directory: Path, rows: Path) -> None:
    """`tidegauge reference`."""
    command = [sys.executable, "-m", "tidegauge", "reference", "--config.file", directory / "tidegauge.yml"]
    command += ["--model", "fraud", "--from", rows, "-o", directory / "reference.yml"]
    # The configuration names the file that is made here.
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def other(logs: Path, directory: Path, shape: workload.Shape, refresh: str = "") -> Path:
    """The same logs under another configuration."""
    directory.mkdir()
    for name in (workload.PREDICTIONS, workload.FEEDBACK, "reference.yml"):
        (directory / name).hardlink_to(logs / name)
    configure(directory, shape, refresh)
    return directory


def parquet(log: Path, target: Path) -> None:
    """The features and versions of a prediction log, as the peers read them."""
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet

    table = pa.json.read_json(log)
    features = table.column("features").combine_chunks()
    columns = {kind.name: features.field(number) for number, kind in enumerate(features.type)}
    pa.parquet.write_table(pa.table({"version": table.column("version"), **columns}), target)


# -------------------------------------------------------------------- the cases, each in its own process


def child(case: str, directory: Path) -> None:
    """Does one case, and prints what it took."""
    if not case.startswith("parse"):
        # Loading the program is no part of the work.
        import tidegauge.pipeline.pipeline
        import tidegauge.pipeline.publication  # noqa: F401
    logging.disable()
    keep_freed_memory()  # as the exporter does; the bare parse shall have it too
    name, _, argument = case.partition(" ")
    started = time.process_time()
    if name == "held":
        print(json.dumps(held(directory)))
        return
    if name == "parse":
        block, features = map(int, argument.split())
        records = parse_alone(directory, block, workload.features(workload.Shape(features=features)))
    else:
        records = whole_job(directory, BLOCK if argument == "pages" else None)
    print(json.dumps({"work": time.process_time() - started, "records": records}))


def ours(case: str, directory: Path, core: int) -> Run:
    """One case from a fresh state."""
    shutil.rmtree(directory / "state", ignore_errors=True)
    wall, cpu, printed = run([sys.executable, "-m", "bench.drift", "--child", case, directory], core)
    said = json.loads(printed)
    return Run(said["work"], cpu, wall, said)


def theirs(case: str, directory: Path, python: Path, core: int) -> Run:
    """One peer, held to one thread as it is to one core."""
    wall, cpu, printed = run(
        [python, "-W", "ignore", "-m", "bench.drift_peers", case, directory], core, ONE_THREAD | QUIET
    )
    said = json.loads(printed.splitlines()[-1])
    return Run(said["work"], cpu, wall, said)


def to_be_had(python: Path, case: str) -> bool:
    """Whether what a peer needs can be loaded."""
    modules = ", ".join(CASES[case].modules)
    try:
        done = subprocess.run([python, "-W", "ignore", "-c", f"import {modules}"], capture_output=True, cwd=ROOT)
    except OSError:
        return False
    return done.returncode == 0


# -------------------------------------------------------------------- the whole benchmark


def speed_cases(directory: Path, predictions: int, python: Path, core: int) -> dict[str, Callable[[], Run]]:
    """By name, what takes turns."""
    logs = make_logs(directory / "logs", predictions, RELEASE)
    wide = make_logs(directory / "wide", predictions, replace(RELEASE, features=MANY))
    none = other(logs, directory / "none", replace(RELEASE, features=0))
    some = other(wide, directory / "some", RELEASE)
    for log, target in ((logs / workload.PREDICTIONS, CURRENT), (logs / "training" / "rows.jsonl", REFERENCE)):
        parquet(log, logs / target)
    cases: dict[str, Callable[[], Run]] = {}
    for block in PARSE_BYTES:
        cases[f"{PARSE}, {block >> 10} KB blocks"] = partial(ours, f"parse {block} {TWELVE}", logs, core)
    cases |= {
        JOB: partial(ours, "job", logs, core),
        PAGES: partial(ours, "job pages", logs, core),
        NONE: partial(ours, "job", none, core),
        WIDE_PARSE: partial(ours, f"parse {PARSE_BYTES[0]} {MANY}", wide, core),
        WIDE: partial(ours, "job", wide, core),
        SOME: partial(ours, "job", some, core),
    }
    for name, case in PEERS.items():
        place = Path(sys.executable) if name in (PANDAS, LOGS) else python
        if to_be_had(place, case):
            cases[name] = partial(theirs, case, logs, place, core)
        else:
            print(f"{name} is not to be had here (make .tools/.peers-looked-for): no comparison with it.\n")
    return cases


def speed_table(directory: Path, predictions: int, rounds: int, python: Path) -> list[str]:
    """Prints what the cases take, and their ratios; returns the bars that are missed."""
    core = max(os.sched_getaffinity(0))
    cases = speed_cases(directory, predictions, python, core)
    runs: dict[str, list[Run]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, case in cases.items():
            if name != LOGS or not number:  # it takes as long as all others together
                runs[name].append(case())
    print(f"{predictions:,} predictions and their feedback; medians of {rounds} rounds; seconds\n")
    print("| case | CPU: work | CPU: process | on the clock |\n|---|---|---|---|")
    for name, some in runs.items():
        figures = (statistics.median(getattr(one, part) for one in some) for part in ("work", "process", "wall"))
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
    for name in (name for name in PEERS if name in runs):
        said = runs[name][0].said
        values, fit = len(said["found"]), f"{said['fit']:.2f} s of the work on the reference"
        print(f"\n{name}: {', '.join(said['versions'])}; {values} values, {fit}")
    return ratios(runs)


def ratios(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Prints the ratios of runs of the same round beside their bars; returns those that are missed."""
    parse = min((name for name in runs if name.startswith(f"{PARSE}, ") and "KB" in name), key=lambda n: work(runs[n]))
    rows: list[tuple[str, str, str, str, float, bool]] = [
        ("whole job / parse alone", JOB, parse, "work", 3.2, False),
        ("a page every block / parse alone", PAGES, parse, "work", math.nan, False),
        ("no features / parse alone", NONE, parse, "work", math.nan, False),
        (f"{MANY} features / 12", WIDE, JOB, "work", 2.0, False),
        (f"{MANY} features / 12 of the same {MANY}", WIDE, SOME, "work", math.nan, False),
        (f"{MANY} features / parse alone of {MANY}", WIDE, WIDE_PARSE, "work", math.nan, False),
    ]
    for name in PEERS:
        if name in runs:
            bar = AHEAD.get(name, math.nan)
            rows.append((f"{name} / whole job, with loading the programs", name, JOB, "process", bar, True))
            rows.append((f"{name} / whole job, without", name, JOB, "work", math.nan, True))
    print("\n| ratio | median | range | bar | |\n|---|---|---|---|---|")
    missed = []
    for text, above, below, part, bar, at_least in rows:
        found = [getattr(a, part) / getattr(b, part) for a, b in zip(runs[above], runs[below], strict=False)]
        value = statistics.median(found)
        known = not math.isnan(bar)
        good = not known or (value >= bar if at_least else value <= bar)
        verdict = "" if not known else "ok" if good else "MISSED"
        limit = f"{'at least' if at_least else 'at most'} {bar:g}" if known else "none"
        print(f"| {text} | {value:.2f} | {min(found):.2f} to {max(found):.2f} | {limit} | {verdict} |")
        missed += [] if good else [text]
    return missed


def work(runs: Sequence[Run]) -> float:
    """Median of CPU seconds, without loading the program."""
    return statistics.median(one.work for one in runs)


# -------------------------------------------------------------------- memory, series, blocks and refreshes


def held_table(directory: Path, predictions: int) -> None:
    """Prints what exporters hold whose logs last a month, so that all references are known, and what they serve."""
    month = replace(RELEASE, interval=MONTH / predictions, canary=(-1.0, 0.5))  # the release is of the last ten days
    wide = make_logs(directory / "month", predictions, replace(month, features=MANY))
    print(f"\nExporters on {predictions:,} predictions of 30 days with {MANY} features, two versions, all statistics\n")
    print("| features watched | resident (MB) | counted (kB) | series | a block (ms) | a page (ms) |")
    print("|---|---|---|---|---|---|")
    found = {}
    for features in (0, TWELVE, MANY):
        place = other(
            wide, directory / f"month-{features}", replace(month, features=features), "refresh_interval: 2s\n"
        )
        memory, series = measure_exporter(place)
        printed = subprocess.run(
            [sys.executable, "-m", "bench.drift", "--child", "held", place],
            check=True,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        ).stdout
        said = json.loads(printed.splitlines()[-1])
        found[features] = memory["VmRSS"], said["counted"], series, said["block"], said["page"]
        resident, counted, _, block, page = found[features]
        print(
            f"| {features or 'none'} | {resident / MB:.0f} | {counted / 1e3:,.0f} | {series:,} "
            f"| {block * 1e3:.2f} | {page * 1e3:.1f} |"
        )
    more = [(b - a) / (MANY - TWELVE) / 2 for a, b in zip(found[TWELVE], found[MANY], strict=True)]
    print(
        f"\nEach feature more, a version: {more[0] / 1e3:.0f} kB resident, {more[1] / 1e3:.0f} kB counted, "
        f"{more[2]:.0f} series, {more[3] * 1e6:.0f} µs a block, {more[4] * 1e6:.0f} µs a page"
    )


def held(directory: Path) -> dict[str, float]:
    """Of the whole job and its state: bytes of all tables of features, CPU seconds of a sealed block and of a page."""
    from tidegauge.pipeline.features import Features
    from tidegauge.pipeline.publication import view
    from tidegauge.publish.render import LabelCache, render_lines
    from tidegauge.tally.blocks import ARRIVALS, SealedBlock

    shutil.rmtree(directory / "state", ignore_errors=True)
    sealed: list[float] = []
    seal = Features.seal

    def timed(features: Features, block: SealedBlock, now: Context) -> None:
        started = time.process_time()
        seal(features, block, now)
        if block.channel == ARRIVALS:
            sealed.append(time.process_time() - started)

    with mock.patch.object(Features, "seal", timed):
        whole_job(directory)
    with reopened(directory) as (pipeline, scores):
        tables = [table for engine in pipeline.engines.values() for table in engine.tables()]
        counted = sum(table.nbytes for table in tables if table.name.startswith("fraud/features"))
        labels, pages = LabelCache(), []
        for _ in range(PAGES_TIMED):
            started = time.process_time()
            parts = [view(one, scores(name), pipeline.clock) for name, one in pipeline.engines.items()]
            render_lines([sample for part in parts for sample in part.samples], labels).page(openmetrics=False)
            pages.append(time.process_time() - started)
    return {"counted": counted, "block": statistics.fmean(sealed), "page": statistics.median(pages)}


@contextmanager
def reopened(directory: Path) -> Iterator[tuple[Pipeline, Callable[[str], Mapping[str, float]]]]:
    """What a whole job has saved, at work again, and what gives the scores of a model on its reference."""
    from tidegauge.config.load import load
    from tidegauge.pipeline.pipeline import SCHEMA, Pipeline
    from tidegauge.pipeline.reference import References
    from tidegauge.state.store import Store

    settings = load(directory / "tidegauge.yml")
    references = References().updated(settings)
    with (
        closing(Store.open(settings.state, schema=SCHEMA)) as store,
        closing(Pipeline(settings, store, store.load(), references.all)) as pipeline,
    ):
        yield pipeline, references.scores


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what watching features for drift costs.")
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--month", type=int, default=200_000, help="predictions of the logs that last a month")
    parser.add_argument("--peers", type=Path, default=THEIR_PYTHON, help="the Python of NannyML and alibi-detect")
    parser.add_argument("--directory", type=Path, help="where the logs go for the while; default: a temporary place")
    parser.add_argument("--child", nargs=2, metavar=("CASE", "DIRECTORY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return 0
    missed: list[str] = []
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        if options.rounds:
            missed = speed_table(Path(directory), options.predictions, options.rounds, options.peers)
        if options.month:
            held_table(Path(directory), options.month)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
