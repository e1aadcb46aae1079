"""How a Python service logs for Tidegauge: standard library only.

    python3 python_service.py DIRECTORY [REQUESTS]

answers so many requests from two processes of four threads each, and writes DIRECTORY/predictions.jsonl and
DIRECTORY/feedback.jsonl. Copy `LineLog` and `now`; the rest stands in for your service.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SAMPLED = 0.5
"""The share of requests that are logged. Log all of them if you can; if not, say so in `weight`."""


class LineLog:
    """Appends records to a file, one JSON object a line; threads and processes may share the file.

    A line goes out in one write to a descriptor opened with O_APPEND, so that lines of several writers never mix, and a
    crash tears the last one at most. There is no buffer to flush. No fsync: a lost second of log is cheaper than a slow
    answer. When rotation has renamed the file, the next line begins a new one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file = -1

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record. Raises OSError if the disk is full, ValueError for NaN and infinity."""
        line = (json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n").encode()
        with self._lock:
            if not self._still_there():
                if self._file >= 0:
                    os.close(self._file)
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            if os.write(self._file, line) != len(line):
                raise OSError(f"the disk is full: a line of {self._path} is torn")

    def _still_there(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file >= 0 and os.path.samestat(there, os.fstat(self._file))


def now() -> str:
    """RFC 3339 in UTC, with the Z that says so."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(amount: float) -> float:
    """Stands in for a model: the probability of fraud, or an exception."""
    time.sleep(0.001)
    if amount > 990:
        raise TimeoutError("the feature store did not answer")
    return min(1.0, amount / 1000)


def serve(log: LineLog) -> str:
    """Answers one request and logs it; the id under which feedback will come."""
    identifier = str(uuid.uuid4())  # one id a prediction, made here, handed out with the answer
    amount = random.uniform(0, 1000)
    asked, started = now(), time.perf_counter()
    record: dict[str, Any] = {
        "prediction_id": identifier,
        "timestamp": asked,
        "model": "fraud",
        "version": "v1",
        # Only what is worth watching: never names, card numbers, tokens or free text of users.
        "features": {"amount": round(amount, 2), "shop": 'Käthe\'s "Eck" \\ 角\t'},
    }
    try:
        score = answer(amount)
        record |= {"prediction": str(int(score >= 0.5)), "score": round(score, 6)}
    except TimeoutError as error:
        record["error"] = str(error)  # a failed request is logged too: without an answer, with the reason
    record["latency_ms"] = round((time.perf_counter() - started) * 1000, 3)
    if random.random() < SAMPLED or "error" in record:
        record["weight"] = 1.0 if "error" in record else 1 / SAMPLED
        log.write(record)
    return identifier


def learn(log: LineLog, identifier: str) -> None:
    """Logs the truth when it arrives, minutes or weeks later; here at once. Nobody need know what was sampled."""
    log.write({"prediction_id": identifier, "timestamp": now(), "label": str(random.randint(0, 1))})


def work(directory: Path, requests: int) -> None:
    """One process of the service: its threads share its two logs."""
    predictions, feedback = LineLog(directory / "predictions.jsonl"), LineLog(directory / "feedback.jsonl")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(lambda: learn(feedback, serve(predictions))) for _ in range(requests)]:
            done.result()


def main() -> None:
    directory = Path(sys.argv[1])
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    workers = [multiprocessing.Process(target=work, args=(directory, requests // 2)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(max(worker.exitcode or 0 for worker in workers))


if __name__ == "__main__":
    main()
