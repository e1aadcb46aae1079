"""Runs fuzz targets, each in a process of its own, and says what came of it.

    python -m tests.fuzz [--seconds 600] [--target NAME] [--engine hypothesis|atheris] [--jobs 1] [--seed 1]
    python -m tests.fuzz --target NAME --replay FILE

What the engines remember, and inputs that failed, lie in .fuzz/.
"""

from __future__ import annotations

import argparse
import logging
import re
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from tests.fuzz import engine, watch
from tests.fuzz.targets import TARGETS

HOME = Path(__file__).parents[2] / ".fuzz"
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--target", choices=sorted(TARGETS))
    parser.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, help="run the target on this file's bytes")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay is not None:
        return _replay(options)
    if options.here:
        return _hypothesis(options)
    names = [options.target] if options.target else list(TARGETS)
    run = _atheris if options.engine == "atheris" else _in_a_process
    with ThreadPoolExecutor(options.jobs) as jobs:
        return max(jobs.map(lambda name: run(name, options), names))


def _replay(options: argparse.Namespace) -> int:
    if options.target is None:
        print("--replay needs --target", file=sys.stderr)
        return 2
    data = options.replay.read_bytes()
    with watch.watched(TARGETS[options.target], len(data)):
        TARGETS[options.target].check(data)
    print(f"{options.target}: holds for the {len(data)} bytes of {options.replay}")
    return 0


def _in_a_process(name: str, options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "tests.fuzz", "--here", "--target", name]
    command += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
    return subprocess.run(command, check=False).returncode


def _hypothesis(options: argparse.Namespace) -> int:
    logging.disable()
    watch.cap_addresses()
    target = TARGETS[options.target]
    outcome = engine.run(target, options.seconds, options.seed, HOME / "examples" / target.name)
    _report(target.name, outcome.executions, outcome.seconds, outcome.grown / 1e6, "")
    if outcome.failure is None:
        return 0
    data, error = outcome.failure
    HOME.mkdir(exist_ok=True)
    file = HOME / f"failure-{target.name}-{sha256(data).hexdigest()[:12]}"
    file.write_bytes(data)
    traceback.print_exception(error)
    _how_to_replay(target.name, file)
    return 1


def _atheris(name: str, options: argparse.Namespace) -> int:
    directory = HOME / "coverage" / name
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", name, str(int(options.seconds)), str(directory)]
    with (directory / "log").open("w+", errors="replace") as log:
        status = subprocess.run(command, check=False, stdout=log, stderr=subprocess.STDOUT).returncode
        log.seek(0)
        said = log.read()
    found = {key: int(value) for key, value in _STATISTIC.findall(said)}
    coverage = (_COVERAGE.findall(said) or [("?", "?")])[-1]
    runs = found.get("number_of_executed_units", 0)
    seconds = runs / max(1, found.get("average_exec_per_sec", 1))
    _report(
        name,
        runs,
        seconds,
        found.get("peak_rss_mb", 0),
        f", peak in all; coverage {coverage[0]} edges, {coverage[1]} features",
    )
    if status:
        print(said[-4000:])
        newest = max(directory.glob("failure-*"), key=lambda path: path.stat().st_mtime, default=None)
        if newest is not None:
            _how_to_replay(name, newest)
    return int(status != 0)


def _report(name: str, executions: int, seconds: float, megabytes: float, more: str) -> None:
    rate = executions / max(seconds, 1e-9)
    print(
        f"{name}: {executions} inputs in {seconds:.0f} s, {rate:.0f} a second, {megabytes:.0f} MB of memory{more}",
        flush=True,
    )


def _how_to_replay(name: str, file: Path) -> None:
    print(f"{name}: FAILED; replay it with\n  make fuzz TARGET={name} REPLAY={file}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
