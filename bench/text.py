"""What comparing texts and rankings costs: the whole job against the library's bare distances, and rankings a second.

The bare rate is that of rapidfuzz over texts that are Python strings, and lists of words, already: the distances in
words and in characters of each pair, call by call. jiwer, which is built upon it, is timed as most people would use
it. The whole job reads real logs of answers and labels and ends with a rendered page and a state on disk. Every case
is a process of its own on one core, and the cases take turns. Run as: python -m bench.text
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.speed import Run, medians, run, whole_job
from tidegauge.pipeline.memory import keep_freed_memory

WORDS = 20
VOCABULARY = 5_000
MISHEARD = 0.1
"""Share of the words that are said wrong."""
ITEMS, RELEVANT = 20, 3
PART = 20_000
DELAYS = {"soon": 2_000.0, "late": 3_600_000.0}
"""ms from an answer to its label, in the mean: within a block of the log mostly, or long after it has been read."""
INTERVAL = 5.0  # ms between predictions
BAR = 0.5
JIWER_PAIRS = 20_000
START = 1_767_225_600_000  # ms: 2026-01-01T00:00:00Z
CONFIGURATION = """state: state
clock: log
sources:
  - predictions: predictions.jsonl
  - feedback: feedback.jsonl
models:
  - name: bench
    task: {task}
    feedback: {{outcome: {{maturity: 12h}}}}
    windows: [1h, 24h]
"""


# -------------------------------------------------------------------- the logs


def pairs(count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """(answer, label): twenty words of English lengths, of which one in ten is misheard in the answer."""
    generator = np.random.default_rng(seed)
    lengths = np.maximum(1, generator.poisson(4.7, VOCABULARY))
    letters = generator.choice(list("abcdefghijklmnopqrstuvwxyz"), (VOCABULARY, int(lengths.max())))
    words = np.array(["".join(row[:length]) for row, length in zip(letters, lengths, strict=True)])
    for start in range(0, count, PART):
        shape = (min(PART, count - start), WORDS)
        meant = generator.integers(0, VOCABULARY, shape)
        said = np.where(generator.random(shape) < MISHEARD, generator.integers(0, VOCABULARY, shape), meant)
        for answer, label in zip(words[said].tolist(), words[meant].tolist(), strict=True):
            yield " ".join(answer), " ".join(label)


def rankings(count: int, seed: int = 1) -> Iterator[tuple[list[str], list[str]]]:
    """(ranked items, relevant items)."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        items = [f"sku-{number}" for number in generator.integers(0, 1_000_000, ITEMS).tolist()]
        yield items, [items[place] for place in generator.integers(0, ITEMS, RELEVANT).tolist()]


def make_logs(directory: Path, task: str, count: int, delay: float) -> Path:
    """Both logs and their configuration in a new directory; feedback lies in the order of its timestamps."""
    directory.mkdir()
    (directory / "tidegauge.yml").write_text(CONFIGURATION.format(task=task))
    generator = np.random.default_rng(2)
    delays = generator.exponential(delay, count)
    told: list[tuple[int, str]] = []
    with (directory / "predictions.jsonl").open("w") as asked:
        for number, (answer, label) in enumerate(pairs(count) if task == "text" else rankings(count)):
            when = START + int(number * INTERVAL)
            record = {"prediction_id": f"{number:032x}", "timestamp": when, "version": "v1", "prediction": answer}
            asked.write(json.dumps(record) + "\n")
            heard = when + int(delays[number])
            told.append((heard, json.dumps({"prediction_id": f"{number:032x}", "timestamp": heard, "label": label})))
    told.sort()
    with (directory / "feedback.jsonl").open("w") as log:
        log.writelines(line + "\n" for _, line in told)
    return directory


# -------------------------------------------------------------------- the cases, each in its own process


def bare(count: int) -> float:
    """CPU seconds of the distances of so many pairs, call by call; splitting is no part of it."""
    from rapidfuzz.distance import Levenshtein

    texts = list(pairs(count))
    words = [(answer.split(), label.split()) for answer, label in texts]
    distance = Levenshtein.distance
    started = time.process_time()
    for (answer, label), (said, meant) in zip(texts, words, strict=True):
        distance(meant, said)
        distance(label, answer)
    return time.process_time() - started


def bare_jiwer(count: int) -> float:
    """CPU seconds of jiwer's two error rates over so many pairs at once."""
    import jiwer

    answers, labels = map(list, zip(*pairs(count), strict=True))
    started = time.process_time()
    jiwer.wer(labels, answers)
    jiwer.cer(labels, answers)
    return time.process_time() - started


def child(case: str, argument: str) -> None:
    """Does one case, and prints what it took."""
    keep_freed_memory()
    if case == "bare":
        records, work = int(argument), bare(int(argument))
    elif case == "jiwer":
        records, work = int(argument), bare_jiwer(int(argument))
    else:
        # Loading the program is no part of the work.
        import rapidfuzz.distance  # noqa: F401

        import tidegauge.pipeline.pipeline
        import tidegauge.pipeline.publication  # noqa: F401

        logging.disable()
        started = time.process_time()
        records = whole_job(Path(argument)) // 2
        work = time.process_time() - started
    print(json.dumps({"work": work, "records": records}))


def run_child(case: str, argument: str | Path, core: int) -> Run:
    """One case from a fresh state; `records` are pairs."""
    if isinstance(argument, Path):
        shutil.rmtree(argument / "state", ignore_errors=True)
    wall, cpu, printed = run([sys.executable, "-m", "bench.text", "--child", case, str(argument)], core)
    said = json.loads(printed)
    return Run(said["work"], cpu, wall, said["records"])


# -------------------------------------------------------------------- the whole benchmark


def measure(directory: Path, count: int, rounds: int) -> list[str]:
    """Prints the tables; returns the bars that are missed."""
    core = max(os.sched_getaffinity(0))
    cases: dict[str, tuple[str, str | Path]] = {
        "bare distances": ("bare", str(count)),
        "jiwer": ("jiwer", str(min(count, JIWER_PAIRS))),
    }
    for name, delay in DELAYS.items():
        cases[f"texts, labels {name}"] = ("job", make_logs(directory / f"text-{name}", "text", count, delay))
    for name, delay in DELAYS.items():
        cases[f"rankings, labels {name}"] = ("job", make_logs(directory / f"ranking-{name}", "ranking", count, delay))
    runs: dict[str, list[Run]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (case, argument) in cases.items():
            runs[name].append(run_child(case, argument, core))
    found = {name: medians(some) for name, some in runs.items()}
    print(f"{count:,} pairs of {WORDS} words, {ITEMS} items ranked; medians of {rounds} rounds; seconds\n")
    print("| case | CPU: work | pairs | µs a pair | pairs a second |\n|---|---|---|---|---|")
    for name, one in found.items():
        print(
            f"| {name} | {one.work:.2f} | {one.records:,} | {1e6 * one.work / one.records:.2f} "
            f"| {one.records / one.work:,.0f} |"
        )
    print("\n| ratio of rates | measured | bar | |\n|---|---|---|---|")
    missed = []
    for name in DELAYS:
        for library, bar in (("bare distances", BAR), ("jiwer", BAR)):
            job, alone = found[f"texts, labels {name}"], found[library]
            value = (job.records / job.work) / (alone.records / alone.work)
            print(
                f"| labels {name} / {library} | {value:.2f} | at least {bar:g} | {'ok' if value >= bar else 'MISSED'} |"
            )
            missed += [] if value >= bar else [f"{name} / {library}"]
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures how fast texts and rankings are compared.")
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where the logs go for the while; default: a temporary place")
    parser.add_argument("--child", nargs=2, metavar=("CASE", "ARGUMENT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return 0
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        return int(bool(measure(Path(directory), options.pairs, options.rounds)))


if __name__ == "__main__":
    sys.exit(main())
