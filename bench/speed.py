"""How fast logs are read: the whole job against the fastest parse alone, spoilt lines, long logs, and mtail.

Every case is a process of its own on one core, and the cases take turns. What is compared are medians of CPU seconds,
user and system: of the work once the program is loaded, or, with mtail, of whole processes. mtail, from Debian's
package, takes part where it is on PATH. Run as: python -m bench.speed
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import workload
from tidegauge.pipeline.memory import keep_freed_memory

PARSE_BYTES = (1 << 16, 1 << 17)
SPOILT_EVERY = 100
LENGTHS = (1, 10)  # of the log, in units of the usual one; each is compared with a tenth of it
MTAIL_PROGRAM = r"""
counter predictions by version, class
counter feedback by class
/"version":"(?P<version>[^"]+)".*"prediction":"(?P<class>[^"]+)"/ {
  predictions[$version][$class]++
} else {
  /"label":"(?P<class>[^"]+)"/ {
    feedback[$class]++
  }
}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, in seconds; `records` is what it says it has seen."""

    work: float  # CPU, without loading the program
    process: float  # CPU, with it
    wall: float
    records: int


# -------------------------------------------------------------------- the cases, each in its own process


def parse_alone(directory: Path, block: int, features: Mapping[str, str] = workload.FEATURES) -> int:
    """Parses the needed fields of both logs with msgspec and drops the result; returns the number of records."""
    kinds = [(name, (float if kind == "numeric" else str) | None, None) for name, kind in features.items()]
    inner = msgspec.defstruct("Features", kinds, gc=False)
    texts = ("prediction_id", "timestamp", "model", "version", "prediction", "unit_id")
    fields = [*((name, str) for name in texts), ("score", float), ("latency_ms", float), ("features", inner)]
    prediction = msgspec.defstruct("Prediction", fields, gc=False)
    feedback = msgspec.defstruct(
        "Feedback", [(name, str) for name in ("prediction_id", "timestamp", "label")], gc=False
    )
    predictions = _parse(directory / workload.PREDICTIONS, prediction, block)
    return predictions + _parse(directory / workload.FEEDBACK, feedback, block)


def _parse(path: Path, record: type[msgspec.Struct], block: int) -> int:
    decode = msgspec.json.Decoder(record).decode_lines
    buffer = bytearray(2 * block)
    view, kept, records = memoryview(buffer), 0, 0
    with path.open("rb", buffering=0) as file:
        while got := file.readinto(view[kept : kept + block]):
            end = kept + got
            cut = buffer.rfind(b"\n", 0, end) + 1
            records += len(decode(view[:cut]))
            kept = end - cut
            buffer[:kept] = buffer[cut:end]
    return records


def whole_job(directory: Path, every: int | None = None) -> int:
    """Reads both logs as the exporter does, up to a rendered page and a durable state; returns the accepted records.

    A page is also rendered whenever the clock of the logs has moved on by `every` ms.
    """
    from tidegauge.config.load import load
    from tidegauge.pipeline.pipeline import SCHEMA, Pipeline
    from tidegauge.pipeline.publication import view
    from tidegauge.pipeline.reference import References
    from tidegauge.publish.render import LabelCache, render_lines
    from tidegauge.state.store import Store

    settings = load(directory / "tidegauge.yml")
    references = References().updated(settings)
    store = Store.open(settings.state, schema=SCHEMA)
    pipeline = Pipeline(settings, store, store.load(), references.all)
    labels = LabelCache()

    def publish() -> None:
        pipeline.advance()
        views = [view(one, references.scores(name), pipeline.clock) for name, one in pipeline.engines.items()]
        render_lines([part for one in views for part in one.samples], labels).page(openmetrics=False)

    pipeline.poll()
    published = None
    while pipeline.step():
        if every is not None and pipeline.clock // every != published:
            published = pipeline.clock // every
            publish()
    publish()
    pipeline.commit(*pipeline.capture())
    pipeline.close()
    store.close()
    return sum(count for (_, result), count in pipeline.records.items() if result == "accepted")


def child(case: str, directory: Path) -> None:
    """Does one case, and prints what it took."""
    if case == "job":
        # Loading the program is no part of the work.
        import tidegauge.pipeline.pipeline
        import tidegauge.pipeline.publication  # noqa: F401
    logging.disable()
    keep_freed_memory()  # as the exporter does; the bare parse shall have it too
    started = time.process_time()
    records = whole_job(directory) if case == "job" else parse_alone(directory, int(case))
    print(json.dumps({"work": time.process_time() - started, "records": records}))


# -------------------------------------------------------------------- running them


def run(
    command: Sequence[str | Path], core: int, environment: Mapping[str, str] | None = None
) -> tuple[float, float, bytes]:
    """Seconds on the clock and on the core, and what the process printed. Raises RuntimeError if it fails."""
    started = time.perf_counter()
    with subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env=None if environment is None else {**os.environ, **environment},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, printed


def run_child(case: str, directory: Path, core: int) -> Run:
    """One case on one set of logs, from a fresh state."""
    shutil.rmtree(directory / "state", ignore_errors=True)
    wall, cpu, printed = run([sys.executable, "-m", "bench.speed", "--child", case, directory], core)
    said = json.loads(printed)
    return Run(said["work"], cpu, wall, said["records"])


def run_mtail(program: Path, directory: Path, core: int) -> Run:
    """mtail counting predictions by version and class, and feedback by class."""
    logs = [f"--logs={directory / name}" for name in (workload.PREDICTIONS, workload.FEEDBACK)]
    command = [
        "mtail",
        "--one_shot",
        "--one_shot_format=prometheus",
        "--logtostderr=false",
        f"--log_dir={program.parent}",
        f"--progs={program}",
        *logs,
    ]
    wall, cpu, printed = run(command, core)
    samples = (line.split() for line in printed.decode().splitlines() if not line.startswith("#"))
    return Run(cpu, cpu, wall, sum(int(sample[-1]) for sample in samples if sample))


def medians(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    return Run(
        statistics.median(one.work for one in runs),
        statistics.median(one.process for one in runs),
        statistics.median(one.wall for one in runs),
        runs[-1].records,
    )


# -------------------------------------------------------------------- the logs


def make_logs(directory: Path, predictions: int, *, slices: str = "") -> Path:
    """Logs and configuration in a new directory."""
    directory.mkdir()
    workload.write(directory, predictions)
    (directory / "tidegauge.yml").write_text(workload.configuration(slices=slices))
    return directory


def spoil(logs: Path, directory: Path) -> Path:
    """The same logs with some lines spoilt."""
    directory.mkdir()
    for name in (workload.PREDICTIONS, workload.FEEDBACK):
        workload.damage(logs / name, directory / name, every=SPOILT_EVERY)
    shutil.copy(logs / "tidegauge.yml", directory)
    return directory


def drifted(logs: Path, directory: Path) -> Path:
    """The same logs with every score written as a string."""
    directory.mkdir()
    score = re.compile(rb'("score":)([-0-9.e]+)')
    with (logs / workload.PREDICTIONS).open("rb") as before, (directory / workload.PREDICTIONS).open("wb") as after:
        after.writelines(score.sub(rb'\1"\2"', line, count=1) for line in before)
    (directory / workload.FEEDBACK).hardlink_to(logs / workload.FEEDBACK)
    shutil.copy(logs / "tidegauge.yml", directory)
    return directory


def with_slices(logs: Path, directory: Path) -> Path:
    """The same logs, counted by country too."""
    directory.mkdir()
    for name in (workload.PREDICTIONS, workload.FEEDBACK):
        (directory / name).hardlink_to(logs / name)
    (directory / "tidegauge.yml").write_text(workload.configuration(slices="country"))
    return directory


# -------------------------------------------------------------------- the whole benchmark


def measure(directory: Path, predictions: int, rounds: int, full: bool) -> list[str]:
    """Prints the tables; returns the bars that are missed."""
    core = max(os.sched_getaffinity(0))
    small = make_logs(directory / "small", predictions // 10)
    logs = make_logs(directory / "logs", predictions)
    cases: dict[str, Callable[[], Run]] = {
        **{f"parse alone, {block >> 10} KB blocks": _case(str(block), logs, core) for block in PARSE_BYTES},
        job_on(predictions): _case("job", logs, core),
        "whole job, 1 % bad lines": _case("job", spoil(logs, directory / "spoilt"), core),
        "whole job, every score a string": _case("job", drifted(logs, directory / "drifted"), core),
        "whole job, by country too": _case("job", with_slices(logs, directory / "sliced"), core),
        job_on(predictions // 10): _case("job", small, core),
    }
    if shutil.which("mtail"):
        program = directory / "count.mtail"
        program.write_text(MTAIL_PROGRAM)
        cases["mtail"] = lambda: run_mtail(program, logs, core)
    runs: dict[str, list[Run]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            runs[name].append(case())
    found = {name: medians(some) for name, some in runs.items()}
    if full:
        large = make_logs(directory / "large", predictions * 10)
        found[job_on(predictions * 10)] = run_child("job", large, core)

    print(f"{predictions:,} predictions and their feedback; medians of {rounds} rounds; seconds\n")
    print("| case | CPU: work | CPU: process | on the clock | records | records/s of work |\n|---|---|---|---|---|---|")
    for name, one in found.items():
        rate = f"{one.records / one.work:,.0f}"
        print(f"| {name} | {one.work:.2f} | {one.process:.2f} | {one.wall:.2f} | {one.records:,} | {rate} |")
    return report(found, predictions)


def _case(case: str, logs: Path, core: int) -> Callable[[], Run]:
    return lambda: run_child(case, logs, core)


def job_on(predictions: int) -> str:
    """What the case is called that reads so many predictions and their feedback."""
    return f"whole job, {predictions:,} predictions"


def report(found: dict[str, Run], predictions: int) -> list[str]:
    """Prints the ratios beside their bars; returns those that are missed."""
    job = found[job_on(predictions)]
    parse = min((one for name, one in found.items() if name.startswith("parse")), key=lambda one: one.work)
    rows: list[tuple[str, float, float, bool]] = [
        ("whole job / parse alone", job.work / parse.work, 2.5, False),
        ("the same with loading the programs", job.process / parse.process, math.nan, False),
        ("1 % bad lines / none", found["whole job, 1 % bad lines"].work / job.work, 1.25, False),
        ("every score a string / a number", found["whole job, every score a string"].work / job.work, math.nan, False),
        ("by country too / not", found["whole job, by country too"].work / job.work, math.nan, False),
    ]
    for length in LENGTHS:
        shorter, longer = (found.get(job_on(int(predictions * part))) for part in (length / 10, length))
        if shorter and longer:
            ratio = (longer.work / longer.records) / (shorter.work / shorter.records)
            name = f"a record of {int(predictions * length):,} predictions / of {int(predictions * length / 10):,}"
            rows.append((name, ratio, 1.25, False))
    if "mtail" in found:
        rows.append(("mtail / whole job, with loading the programs", found["mtail"].process / job.process, 3.5, True))
    print("\n| ratio | measured | bar | |\n|---|---|---|---|")
    missed = []
    for name, value, bar, at_least in rows:
        known = not math.isnan(bar)
        good = not known or (value >= bar if at_least else value <= bar)
        verdict = "" if not known else "ok" if good else "MISSED"
        limit = f"{'at least' if at_least else 'at most'} {bar:g}" if known else "none"
        print(f"| {name} | {value:.2f} | {limit} | {verdict} |")
        missed += [] if good else [name]
    if "mtail" not in found:
        print("\nmtail is not on PATH (Debian package mtail): no comparison with it.")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures how fast logs are read.")
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="ten times as many predictions too (5 GB of disk)")
    parser.add_argument("--directory", type=Path, help="where the logs go for the while; default: a temporary place")
    parser.add_argument("--child", nargs=2, metavar=("CASE", "DIRECTORY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return 0
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        return int(bool(measure(Path(directory), options.predictions, options.rounds, options.full)))


if __name__ == "__main__":
    sys.exit(main())
