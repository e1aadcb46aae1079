"""A scenario in real time: its logs grow as those of a service would."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tidegauge.simulate.files import FEEDBACK, PREDICTIONS
from tidegauge.simulate.scenarios import find
from tidegauge.simulate.traffic import Traffic


class Live:
    """Appends a scenario's traffic to the logs in `output` in real time, from its own thread, until stopped.

    `start` first writes `history` ms of the past, so that there is something to see at once; the curves run over
    `duration` from there and then hold or, if `repeating`, begin again. A log larger than `rotate_bytes` is renamed to
    `.1`, as logrotate would.
    Times in ms.
    """

    def __init__(
        self,
        scenario: str,
        output: Path,
        *,
        seed: int = 0,
        rate: float = 100.0,
        delay: int = 2_000,
        history: int = 120_000,
        duration: int = 900_000,
        interval: float = 0.5,
        rotate_bytes: int = 16 << 20,
        repeating: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`rate` in predictions a second, `interval` between writes in seconds, `clock` in seconds since the epoch."""
        self._clock = clock
        self._output = output
        self._interval = interval
        self._rotate_bytes = rotate_bytes
        begin = self._milliseconds() - history
        self._traffic = Traffic(
            find(scenario), seed=seed, start=begin, duration=duration, rate=rate, delay=delay, repeating=repeating
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-traffic", daemon=True)

    def start(self) -> None:
        """Writes the history, then returns and leaves the rest to the thread. Raises OSError if it cannot write."""
        self._output.mkdir(parents=True, exist_ok=True)
        self._write()
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is being written: it ends by itself where it cannot, for instance on a full disk."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends the traffic; when this returns nothing more is written."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Live:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self._write()

    def _write(self) -> None:
        predictions, feedback = self._traffic.step(self._milliseconds())
        # Feedback is written last: a reader that sees it can already have seen its prediction.
        self._append(PREDICTIONS, predictions)
        self._append(FEEDBACK, feedback)

    def _append(self, name: str, data: bytes) -> None:
        path = self._output / name
        if path.exists() and path.stat().st_size > self._rotate_bytes:
            path.replace(path.with_name(f"{name}.1"))
        with path.open("ab") as file:
            file.write(data)

    def _milliseconds(self) -> int:
        return int(self._clock() * 1000)


def follow(scenario: str, output: Path, *, seed: int = 0, duration: int = 3_600_000) -> int:
    """Writes the scenario's logs in real time, again and again, until SIGINT or SIGTERM; the exit status.

    Logs that are there already are continued. `duration` of one run in ms. Raises ValueError for an unknown scenario,
    OSError if the logs cannot be written.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with Live(scenario, output, seed=seed, history=0, duration=duration, repeating=True) as live:
        while not stopping.wait(1):
            if not live.running:
                return 1  # why, the thread has said
    return 0
