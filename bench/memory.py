"""What memory a waiting prediction takes, and what an exporter takes: idle, with many series, and reading flat out.

Waiting predictions are put into a model's engine in a process of their own; bytes are what its arrays say (counted) and
by how much the process grew at its peak from a tenth of them to all (resident). Exporters are real processes, on
Linux. Run as: python -m bench.memory
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import workload
from tidegauge.config.settings import DAY, HOUR, MINUTE, Channel, Model
from tidegauge.decode.columns import Categorical, FeedbackColumns, PredictionColumns
from tidegauge.pipeline.engine import Engine, fresh_parts

ROOT = Path(__file__).parents[1]
PART = 1 << 16
BARS = {"binary": 40.0, "multiclass": 40.0, "regression": 48.0}
CLASSES = ("cat", "dog", "bird", "fish")
MANY = workload.Shape(interval=8 * DAY / 500_000, versions=3, models=10, segments=20)
LARGE = 10_000_000
MB = 1e6

Keys = NDArray[np.uint64]


def memory_of(process: str) -> dict[str, int]:
    """Bytes in the memory of a process: "VmRSS" now, "VmHWM" at most so far."""
    lines = (line.split() for line in Path("/proc", process, "status").read_text().splitlines())
    return {words[0][:-1]: int(words[1]) * 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}


# -------------------------------------------------------------------- waiting predictions


def empty_engine(task: str, count: int) -> Engine:
    """An engine whose predictions all wait."""
    model = Model(
        "model",
        task,
        (Channel("outcome", maturity=HOUR),),
        classes=CLASSES if task == "multiclass" else (),
        horizon=30 * DAY,
        max_pending=count,
    )
    return Engine(model, fresh_parts(model), None)


def fill(engine: Engine, begin: int, end: int) -> None:
    """Puts predictions of these numbers in, one a ms, and a label for six in ten; time moves on with them."""
    generator = np.random.default_rng(begin)
    for start in range(begin, end, PART):
        number = np.arange(start, min(start + PART, end))
        time_ms = workload.START + number
        key = _mixed(number)
        clock = int(time_ms[-1])
        engine.accept_predictions(_predictions(engine.model, key, time_ms, generator), clock, clock)
        told = generator.random(len(key)) < 0.6
        engine.accept_feedback(_feedback(engine.model, key[told], time_ms[told] + MINUTE, generator), clock)
        engine.advance(clock, clock)


def _mixed(number: NDArray[np.int64]) -> Keys:
    """Distinct keys that look like hashes (splitmix64's finaliser, which is one to one)."""
    key = (number + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def _predictions(
    model: Model, key: Keys, time_ms: NDArray[np.int64], generator: np.random.Generator
) -> PredictionColumns:
    n = len(key)
    no, absent = np.zeros(n, dtype=np.bool_), np.full(n, np.nan)
    return PredictionColumns(
        model=model.name,
        key=key,
        time=time_ms,
        version=Categorical(generator.integers(0, 2, n, dtype=np.int32), ["v1", "v2"]),
        label=_answers(model, n, generator),
        value=generator.normal(size=n) if model.task == "regression" else absent,
        score=generator.random(n) if model.task == "binary" else absent,
        scores=None,
        latency_ms=absent,
        error=no,
        shadow=no,
        weight=None,
        count=None,
        slices={},
        unit=None,
        offset=np.zeros(n, dtype=np.int64),
    )


def _feedback(model: Model, key: Keys, time_ms: NDArray[np.int64], generator: np.random.Generator) -> FeedbackColumns:
    n = len(key)
    return FeedbackColumns(
        model=model.name,
        key=key,
        time=time_ms,
        channel=Categorical(np.zeros(n, dtype=np.int32), ["outcome"]),
        label=_answers(model, n, generator),
        value=generator.normal(size=n),
        retract=np.zeros(n, dtype=np.bool_),
        propensity=np.full(n, np.nan),
        offset=np.zeros(n, dtype=np.int64),
    )


def _answers(model: Model, n: int, generator: np.random.Generator) -> Categorical:
    words = {"binary": ["0", "1"], "multiclass": list(CLASSES), "regression": []}[model.task]
    codes = generator.integers(0, len(words), n, dtype=np.int32) if words else np.full(n, -1, dtype=np.int32)
    return Categorical(codes, words)


def measure_waiting(task: str, count: int) -> dict[str, float]:
    """Bytes a waiting prediction, and the seconds it took to put all of them there."""
    started = time.perf_counter()
    engine = empty_engine(task, count)
    fill(engine, 0, count // 10)
    # Scratch memory comes and goes within a batch; peaks contain it on both sides.
    before = memory_of("self")["VmHWM"]
    fill(engine, count // 10, count)
    after = memory_of("self")["VmHWM"]
    table = engine.join.table
    assert table.live == count
    counted = engine.join.nbytes - table.high_water * table.dtype.itemsize + table.nbytes
    return {
        "counted": counted / count,
        "resident": (after - before) / (count - count // 10),
        "total": after,
        "seconds": time.perf_counter() - started,
    }


# -------------------------------------------------------------------- exporters


@contextmanager
def exporter(directory: Path) -> Iterator[tuple[str, str]]:
    """A running exporter on the configuration in the directory: process id and address."""
    log = directory / "exporter.log"
    command = [sys.executable, "-m", "tidegauge", "run", "--config.file", str(directory / "tidegauge.yml")]
    command += ["--web.listen-address", "127.0.0.1:0", "--log.format", "json"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT) as process:
        try:
            while not (port := _port(log)):
                if process.poll() is not None:
                    raise RuntimeError(f"the exporter ended: {log.read_text()}")
                time.sleep(0.1)
            yield str(process.pid), f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _port(log: Path) -> int:
    said = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}"))
    return next((line["port"] for line in said if "port" in line), 0)


def measure_exporter(directory: Path, refreshes: int = 3) -> tuple[dict[str, int], int]:
    """Memory once everything has been read and a few refreshes have passed, and the number of series served."""
    with exporter(directory) as (process, address):
        while not _ready(address):
            time.sleep(0.2)
        seen: set[bytes] = set()
        while True:
            page = urllib.request.urlopen(f"{address}/metrics").read()
            lines = [line for line in page.splitlines() if not line.startswith(b"#")]
            seen |= {line for line in lines if line.startswith(b"tidegauge_last_refresh_timestamp_seconds")}
            if len(seen) >= refreshes:
                return memory_of(process), len(lines)
            time.sleep(0.5)


def _ready(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/-/ready").close()
    except urllib.error.HTTPError:
        return False
    return True


def many_series(directory: Path, predictions: int) -> Path:
    """Ten models, three versions, twenty slices, eight days; windows of 1 h, 24 h and 7 d."""
    directory.mkdir()
    workload.write(directory, predictions, shape=MANY)
    text = workload.configuration(shape=MANY, windows="1h, 24h, 7d", slices="segment", maturity="1h")
    (directory / "tidegauge.yml").write_text(f"refresh_interval: 2s\n{text}")
    return directory


def one_model(directory: Path, predictions: int) -> Path:
    """The usual logs and configuration."""
    directory.mkdir()
    workload.write(directory, predictions)
    (directory / "tidegauge.yml").write_text(f"refresh_interval: 2s\n{workload.configuration()}")
    return directory


# -------------------------------------------------------------------- the whole benchmark


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what memory the exporter takes.")
    parser.add_argument("--full", action="store_true", help="100 million waiting predictions too (6 GB of memory)")
    parser.add_argument("--directory", type=Path, help="where the logs go for the while; default: a temporary place")
    parser.add_argument("--child", nargs=2, metavar=("TASK", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure_waiting(options.child[0], int(options.child[1]))))
        return 0
    missed = waiting_table(options.full)
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        missed += exporter_table(Path(directory))
    return int(missed > 0)


def waiting_table(full: bool) -> int:
    """Prints bytes a waiting prediction; returns how many bars are missed."""
    print("Bytes a waiting prediction, one channel's label included\n")
    print("| task | predictions | counted | resident | whole process (MB) | bar | | put in, a second |")
    print("|---|---|---|---|---|---|---|---|")
    missed = 0
    sizes = (1_000_000, 10_000_000, *((100_000_000,) if full else ()))
    for count in sizes:
        for task in BARS if count < 100_000_000 else ("binary",):
            command = [sys.executable, "-m", "bench.memory", "--child", task, str(count)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
            # Some megabytes of scratch memory more or less would decide about the growth of a small process.
            judged = found["counted"] if count < LARGE else max(found["counted"], found["resident"])
            verdict = _verdict(judged, BARS[task])
            missed += verdict == "MISSED"
            print(
                f"| {task} | {count:,} | {found['counted']:.1f} | {found['resident']:.1f} | {found['total'] / MB:,.0f} "
                f"| at most {BARS[task]:g} | {verdict} | {count / found['seconds']:,.0f} |"
            )
            if count == 100_000_000:
                gigabytes = found["total"] / 1e9
                missed += gigabytes > 4.5
                print(f"\n{count:,} waiting: {gigabytes:.2f} GB, at most 4.5: {_verdict(gigabytes, 4.5)}")
    return missed


def exporter_table(directory: Path) -> int:
    """Prints the memory of exporters; returns how many bars are missed."""
    idle = directory / "idle"
    idle.mkdir()
    (idle / "tidegauge.yml").write_text(f"refresh_interval: 2s\n{workload.configuration()}")
    print("\nMemory of an exporter (MB)\n")
    print("| exporter | resident | at its peak | series | bar | |\n|---|---|---|---|---|---|")
    missed = 0
    for name, place, bar in (
        ("idle", idle, 75.0),
        ("10 models, 3 versions, 20 slices; 1h, 24h, 7d", many_series(directory / "many", 500_000), 400.0),
        ("1,000,000 predictions read flat out", one_model(directory / "one", 1_000_000), None),
    ):
        memory, series = measure_exporter(place)
        resident, peak = memory["VmRSS"] / MB, memory["VmHWM"] / MB
        verdict = "" if bar is None else _verdict(resident, bar)
        missed += verdict == "MISSED"
        limit = "none" if bar is None else f"at most {bar:g}"
        print(f"| {name} | {resident:.0f} | {peak:.0f} | {series:,} | {limit} | {verdict} |")
    return missed


def _verdict(value: float, bar: float) -> str:
    return "ok" if value <= bar else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
