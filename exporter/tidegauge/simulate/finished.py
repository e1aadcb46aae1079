"""A finished run of a scenario, written at once."""

from __future__ import annotations

import time
from pathlib import Path

from tidegauge.config.durations import format_duration
from tidegauge.simulate.files import CONFIGURATION, FEEDBACK, PREDICTIONS, configuration
from tidegauge.simulate.scenarios import find
from tidegauge.simulate.traffic import Traffic

_ROWS = 3_000
"""Predictions written at a time: this bounds memory whatever the duration."""


def simulate(
    scenario: str,
    output: Path,
    *,
    seed: int = 0,
    start: int | None = None,
    duration: int | None = None,
    rate: float | None = None,
    delay: int | None = None,
    extra: str = "",
) -> None:
    """Writes a finished run into the directory `output`: both logs, and a configuration that reads them (`clock: log`).

    `start` (ms since the epoch; None: so that the run ends now), `duration` and `delay` (the feedback's mean) in ms,
    `rate` in predictions a second; None for the last three: as the scenario is made for. `extra` are further lines of
    the model in the configuration. Feedback due after the end is not in the logs. Raises ValueError for an unknown
    scenario and FileExistsError where logs already are.
    """
    chosen = find(scenario)
    duration = chosen.duration if duration is None else duration
    rate = chosen.rate if rate is None else rate
    delay = chosen.delay if delay is None else delay
    begin = int(time.time() * 1000) - duration if start is None else start
    traffic = Traffic(chosen, seed=seed, start=begin, duration=duration, rate=rate, delay=delay)
    output.mkdir(parents=True, exist_ok=True)
    with (output / PREDICTIONS).open("xb") as predictions, (output / FEEDBACK).open("xb") as feedback:
        step = max(60_000, int(1000 * _ROWS / rate))
        for until in [*range(begin + step, begin + duration, step), begin + duration]:
            asked, answered = traffic.step(until)
            predictions.write(asked)
            feedback.write(answered)
    maturity = format_duration(max(1, 5 * delay // 1000) * 1000)
    text = configuration(chosen, maturity=maturity, windows=chosen.windows, clock="log", extra=extra)
    (output / CONFIGURATION).write_text(text)
