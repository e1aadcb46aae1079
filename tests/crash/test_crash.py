"""Whatever happens to the process and to the files, every record counts exactly once.

A round is a short random sequence of actions (three to six) on the log files and on the real process, then a comparison
of everything published with a plain recount. A pier is one process with its logs, over ROUNDS_EACH rounds; several
piers run at once. What must be equal, and what the driver leaves out because nobody could count it, is said in
recount.py and pier.py. The seeds fix the actions; the moments at which they hit the process are the machine's.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.pier import Pier

ROUNDS = int(os.environ.get("TIDEGAUGE_CRASH_ROUNDS", "200"))
SEED = int(os.environ.get("TIDEGAUGE_CRASH_SEED", "1"))
ROUNDS_EACH = 25
AT_ONCE = 8


def _run(directory: Path, seed: int, rounds: int) -> list[str]:
    directory.mkdir()
    pier = Pier(directory, seed)
    try:
        pier.begin()
        for _ in range(rounds):
            pier.round()
    except AssertionError as error:
        return [f"seed {seed}: {error}"]
    finally:
        pier.close()
    return []


def test_every_record_counts_once_whatever_happens(tmp_path: Path) -> None:
    piers = -(-ROUNDS // ROUNDS_EACH)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rounds = [min(ROUNDS_EACH, ROUNDS - number * ROUNDS_EACH) for number in range(piers)]
        runs = [pool.submit(_run, tmp_path / str(SEED + n), SEED + n, rounds[n]) for n in range(piers)]
        failures = [failure for run in runs for failure in run.result()]
    assert not failures, "\n\n".join(failures)
