"""Simulated traffic: the prediction and feedback logs of a scenario, as a service would write them.

A scenario is data (`SCENARIOS`). Only the log format is shared with the exporter; nothing here is used to read logs.
The same seed, start and scenario write the same bytes.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Points (progress of the run from 0 to 1, value), linear between them, constant outside.
Curve = tuple[tuple[float, float], ...]

PREDICTIONS = "predictions.jsonl"
FEEDBACK = "feedback.jsonl"
CONFIGURATION = "tidegauge.yml"

# When the version of the scenario "broken-release" breaks, and when it is repaired; progress of the run.
BREAKS = 0.2
REPAIRED = 0.6


@dataclass(frozen=True, slots=True)
class Version:
    """How one version of the simulated model behaves."""

    name: str
    accuracy: Curve  # probability that the answer is right
    confidence: float  # what the version believes its accuracy to be; its scores are calibrated where the two agree
    share: Curve  # weight in the traffic, relative to the other versions
    latency_ms: float  # median
    error_ratio: float  # requests that get no answer


@dataclass(frozen=True, slots=True)
class Scenario:
    """A binary classifier in production: who asks, which versions answer, when the truth becomes known."""

    name: str
    description: str
    model: str
    versions: tuple[Version, ...]
    countries: tuple[tuple[str, float], ...]  # (slice value, share of the traffic)
    positive_ratio: float = 0.2  # predictions that say "1"
    feedback_ratio: float = 0.9  # predictions whose truth ever becomes known
    feedback_delay: float = 1.0  # mean of the exponential delay, in units of the run's `delay`


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="two-versions",
        description="v1 is right 93 times in 100; v2, released as a growing canary, only 88, and slower",
        model="fraud",
        versions=(
            Version("v1", ((0, 0.93),), 0.93, ((0, 0.9), (1, 0.5)), latency_ms=12.0, error_ratio=0.002),
            Version("v2", ((0, 0.88),), 0.93, ((0, 0.1), (1, 0.5)), latency_ms=18.0, error_ratio=0.01),
        ),
        countries=(("US", 0.4), ("DE", 0.25), ("BR", 0.2), ("JP", 0.1), ("NZ", 0.05)),
    ),
    Scenario(
        name="broken-release",
        description="v2 is as good as v1, 94 times in 100, until it breaks: 70 in 100; later it is repaired",
        model="fraud",
        versions=(
            Version("v1", ((0, 0.94),), 0.94, ((0, 1.0), (0.03, 1.0), (0.05, 0.6)), latency_ms=12.0, error_ratio=0.002),
            Version(
                "v2",
                ((BREAKS, 0.94), (BREAKS + 0.01, 0.7), (REPAIRED, 0.7), (REPAIRED + 0.01, 0.94)),
                0.94,
                ((0, 0.0), (0.03, 0.0), (0.05, 0.4)),
                latency_ms=13.0,
                error_ratio=0.002,
            ),
        ),
        countries=(("US", 0.4), ("DE", 0.25), ("BR", 0.2), ("JP", 0.1), ("NZ", 0.05)),
    ),
)


def find(name: str) -> Scenario:
    """The scenario of that name. Raises ValueError, naming those that exist."""
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    raise ValueError(f'no scenario "{name}"; there are: {", ".join(scenario.name for scenario in SCENARIOS)}')


def configuration(
    scenario: Scenario,
    *,
    maturity: str,
    windows: tuple[str, ...],
    clock: str = "wall",
    refresh_interval: str = "10s",
    poll_interval: str = "1s",
    block: str = "5m",
    grace: str = "5m",
    links: Mapping[str, str] | None = None,
) -> str:
    """A configuration file that reads the scenario's logs from its own directory; durations as YAML spells them.

    `links` are those of the page: URL templates by name.
    """
    leading = "".join(f"  {name}: {json.dumps(template)}\n" for name, template in (links or {}).items())
    return f"""\
# {scenario.description}
state: state
clock: {clock}
refresh_interval: {refresh_interval}
poll_interval: {poll_interval}
{"links:" + chr(10) + leading if leading else ""}sources:
  - predictions: {PREDICTIONS}
  - feedback: {FEEDBACK}
    channel: outcome
models:
  - name: {scenario.model}
    task: binary
    positive_label: "1"
    feedback:
      outcome:
        kind: complete
        maturity: {maturity}
    features:
      amount: numeric
      country: categorical
    signals:
      confidence: {{from: confidence}}  # it can tell of a change before labels do
    slices: [country]
    windows: [{", ".join(windows)}]
    block: {block}
    grace: {grace}
    objectives:
      accuracy: 0.9
"""


class Traffic:
    """The scenario's two logs as streams of bytes, produced step by step. Owned by one thread."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int,
        start: int,
        duration: int,
        rate: float,
        delay: int,
        repeating: bool = False,
    ) -> None:
        """`start`, `duration` (over which the curves run) and `delay` in ms; `rate` in predictions a second.

        After `duration` the curves hold their last value or, if `repeating`, begin again.
        """
        self.scenario = scenario
        self.now = start
        self._start = start
        self._duration = duration
        self._rate = rate
        self._repeating = repeating
        self._delay = delay * scenario.feedback_delay
        self._random = np.random.default_rng(seed)
        self._count = 0
        self._due: Integers = np.empty(0, np.int64)
        self._due_number: Integers = np.empty(0, np.int64)
        self._due_label: Integers = np.empty(0, np.int64)

    def step(self, until: int) -> tuple[bytes, bytes]:
        """Lines of the prediction log and of the feedback log between the last step and `until` (ms, exclusive)."""
        predictions = self._predict(until) if until > self.now else b""
        self.now = max(self.now, until)
        return predictions, self._feed_back()

    def _predict(self, until: int) -> bytes:
        random, scenario = self._random, self.scenario
        n = int(random.poisson(self._rate * (until - self.now) / 1000))
        times = np.sort(random.integers(self.now, until, n))
        progress = (times - self._start) / self._duration
        if self._repeating:
            progress %= 1
        version = _choose(random, np.stack([_at(v.share, progress) for v in scenario.versions], axis=1))
        country = _choose(
            random, np.broadcast_to([share for _, share in scenario.countries], (n, len(scenario.countries)))
        )

        accuracy = np.stack([_at(v.accuracy, progress) for v in scenario.versions], axis=1)[np.arange(n), version]
        believed = np.array([v.confidence for v in scenario.versions])[version]
        confidence = 0.5 + 0.5 * random.beta(6 * (2 * believed - 1), 6 * (2 - 2 * believed))
        right = random.random(n) < accuracy + confidence - believed
        answer = (random.random(n) < scenario.positive_ratio).astype(np.int64)
        score = np.where(answer == 1, confidence, 1 - confidence)
        label = np.where(right, answer, 1 - answer)
        failed = random.random(n) < np.array([v.error_ratio for v in scenario.versions])[version]
        latency = np.array([v.latency_ms for v in scenario.versions])[version] * random.lognormal(0, 0.5, n)
        amount = random.lognormal(3 + 0.8 * answer, 0.9)

        numbers = np.arange(self._count, self._count + n)
        self._count += n
        known = ~failed & (random.random(n) < scenario.feedback_ratio)
        due = times + random.exponential(self._delay, n).astype(np.int64)
        self._due = np.concatenate([self._due, due[known]])
        self._due_number = np.concatenate([self._due_number, numbers[known]])
        self._due_label = np.concatenate([self._due_label, label[known]])

        names = [v.name for v in scenario.versions]
        countries = [name for name, _ in scenario.countries]
        columns = (numbers, version, amount, country, answer, score, latency, failed)
        head = f'{{"prediction_id":"{self._start:x}-%d","timestamp":"%s","model":"{scenario.model}","version":"%s",'
        head += '"features":{"amount":%.2f,"country":"%s"},'
        lines = [
            head % (number, at, names[v], spent, countries[c])
            + ('"error":"timeout",' if lost else f'"prediction":"{said}","score":{sure:.6f},')
            + f'"latency_ms":{took:.3f}}}\n'
            for at, number, v, spent, c, said, sure, took, lost in zip(
                _iso(times), *(column.tolist() for column in columns), strict=True
            )
        ]
        return "".join(lines).encode()

    def _feed_back(self) -> bytes:
        ripe = np.flatnonzero(self._due < self.now)
        ripe = ripe[np.argsort(self._due[ripe], kind="stable")]
        line = f'{{"prediction_id":"{self._start:x}-%d","timestamp":"%s","label":"%d"}}\n'
        rows = zip(self._due_number[ripe].tolist(), _iso(self._due[ripe]), self._due_label[ripe].tolist(), strict=True)
        text = "".join([line % row for row in rows])
        self._due, self._due_number, self._due_label = (
            np.delete(column, ripe) for column in (self._due, self._due_number, self._due_label)
        )
        return text.encode()


def simulate(
    scenario: str,
    output: Path,
    *,
    seed: int = 0,
    start: int | None = None,
    duration: int = 3_600_000,
    rate: float = 50.0,
    delay: int = 60_000,
) -> None:
    """Writes a finished run into the directory `output`: both logs, and a configuration that reads them (`clock: log`).

    `start` (ms since the epoch; None: so that the run ends now), `duration` and `delay` (the feedback's mean) in ms,
    `rate` in predictions a second. Feedback due after the end is not in the logs. Raises ValueError for an unknown
    scenario and FileExistsError where logs already are.
    """
    chosen = find(scenario)
    begin = int(time.time() * 1000) - duration if start is None else start
    traffic = Traffic(chosen, seed=seed, start=begin, duration=duration, rate=rate, delay=delay)
    output.mkdir(parents=True, exist_ok=True)
    with (output / PREDICTIONS).open("xb") as predictions, (output / FEEDBACK).open("xb") as feedback:
        # A minute at a time bounds memory whatever the duration.
        for until in [*range(begin + 60_000, begin + duration, 60_000), begin + duration]:
            asked, answered = traffic.step(until)
            predictions.write(asked)
            feedback.write(answered)
    text = configuration(chosen, maturity=f"{max(1, 5 * delay // 1000)}s", windows=("5m", "1h"), clock="log")
    (output / CONFIGURATION).write_text(text)


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


def _at(curve: Curve, progress: Floats) -> Floats:
    return np.interp(progress, [x for x, _ in curve], [y for _, y in curve])


def _choose(random: np.random.Generator, weights: NDArray[np.float64]) -> Integers:
    """One column index for each row of `weights` (n, k), with probability proportional to the weight."""
    edges = np.cumsum(weights, axis=1)
    drawn = random.random(len(weights)) * edges[:, -1]
    chosen: Integers = (drawn[:, None] >= edges[:, :-1]).sum(axis=1)
    return chosen


def _iso(times: Integers) -> list[str]:
    text: list[str] = np.datetime_as_string(times.astype("datetime64[ms]"), timezone="UTC").tolist()
    return text
