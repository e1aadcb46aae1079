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
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench import workload
from bench.drift_peers import CURRENT, REFERENCE
from bench.memory import MB, measure_exporter
from bench.speed import PARSE_BYTES, parse_alone, run, whole_job
from tidegauge.config.settings import DAY, DRIFT_STATISTICS, MINUTE, PREVIOUS_VERSION, TRAILING, TRAINING
from tidegauge.pipeline.memory import keep_freed_memory

RELEASE: Final = workload.Shape(canary=(-0.1, 0.5))
TWELVE: Final = len(workload.FEATURES)
MANY: Final = 50
TRAINED_ON: Final = 100_000
BLOCK: Final = 5 * MINUTE
MONTH: Final = 30 * DAY
REFERENCES: Final = (TRAINING, PREVIOUS_VERSION, TRAILING)
ROOT: Final = Path(__file__).parents[1]
PEERS: Final = ROOT / ".tools" / "peers" / "bin" / "python"
PANDAS: Final = "pandas with scipy"
NAMES: Final = {"pandas_scipy": PANDAS, "nannyml": "NannyML's drift", "alibi_detect": "alibi-detect"}
FROM_LOGS: Final = f"{PANDAS}, from the logs"
JOB, PAGES, NONE = "whole job, 12 features", "the same, a page every block", "whole job, no features"
WIDE, SOME, WIDE_PARSE = f"whole job, {MANY} features", f"whole job, 12 of {MANY} features", f"parse alone, {MANY} features"
WEEKS: Final = "whole job, 12 features, over 30 days"
WEEKS_NONE: Final = "whole job, no features, over 30 days"
ONE_THREAD: Final = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
BARS: Final = {"pandas_scipy": 2.3, "nannyml": 2.7, "alibi_detect": 1.9}


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
    told = map(json.loads, (directory / workload.FEEDBACK).open())
    labels = {one["prediction_id"]: one["label"] for one in told}
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
    wall, cpu, printed = run([python, "-W", "ignore", "-m", "bench.drift_peers", case, directory], core, ONE_THREAD)
    said = json.loads(printed.splitlines()[-1])
    return Run(said["work"], cpu, wall, said)


def to_be_had(python: Path, case: str) -> bool:
    """Whether a peer can be loaded."""
    module = {"pandas_scipy": "pandas, scipy, pyarrow"}.get(case, case)
    try:
        done = subprocess.run([python, "-W", "ignore", "-c", f"import {module}"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    child(sys.argv[2], Path(sys.argv[3]))
