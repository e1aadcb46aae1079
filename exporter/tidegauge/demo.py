"""`tidegauge demo`: simulated traffic in real log files, read by the real exporter with short windows.

Everything is in a temporary directory that is gone afterwards; the terminal says what to look at.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tidegauge.config.durations import format_duration
from tidegauge.config.load import ConfigurationError
from tidegauge.config.settings import Change, Drift, Release
from tidegauge.pipeline import log
from tidegauge.pipeline.runner import Runner
from tidegauge.publish import catalogue
from tidegauge.publish.listener import parse_address
from tidegauge.publish.samples import AnySamples, Family, Samples
from tidegauge.simulate import CONFIGURATION, Live, configuration, find

WINDOW = "5m"
SHORT_WINDOW = "1m"
FASTER = 30
"""How many times shorter than by default is what is not to be seen in the demo: its block is of 10 s, not of 5 min."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo shows; the default is what `tidegauge demo` shows by itself."""

    scenario: str = "two-versions"
    duration: int = 900_000  # ms over which the scenario runs; it begins before the demo does
    shown_every: float = 5.0  # s between two tables in the terminal
    links: Mapping[str, str] = field(default_factory=dict)  # of the page, by the names of the configuration
    trouble: Callable[[], str] = str  # asked at every refresh: why the demo must end; "" while it can go on
    notes: str = (
        "Only the exporter runs here. In a checkout, `make demo` adds Prometheus with the alert rules, and\n"
        "Alertmanager with a receiver that prints its notifications.\n"
    )

    @property
    def history(self) -> int:
        """How much of the scenario, in ms, lies before the demo's start."""
        return self.duration * 2 // 15


def demo(listen: str, web_config: Path | None = None, plan: Plan | None = None) -> int:
    """Runs until SIGINT, SIGTERM or SIGHUP, or until there is trouble; the exit status. `listen` is "host:port"."""
    plan = plan or Plan()
    trouble = ""
    log.configure("warning", "logfmt")
    with TemporaryDirectory(prefix="tidegauge-demo-") as name:
        directory = Path(name)
        scenario = find(plan.scenario)
        (directory / CONFIGURATION).write_text(
            configuration(
                scenario,
                maturity="15s",
                windows=(SHORT_WINDOW, WINDOW),
                refresh_interval="1s",
                poll_interval="250ms",
                block="10s",
                grace="10s",
                links=plan.links,
                release_duration=_faster(Release().duration),
                drift_alarm_interval=_faster(Drift().false_alarm_interval),
                extra=f"change:\n  false_alarm_interval: {_faster(Change().false_alarm_interval)}\n"
                f"  learning: {_faster(Change().learning)}\n",
            )
        )
        terminal = _Terminal(plan.shown_every)

        def refreshed(samples: Sequence[AnySamples]) -> None:
            nonlocal trouble
            terminal.show(samples)
            trouble = trouble or plan.trouble()
            if trouble:
                runner.stop()

        try:
            runner = Runner(directory / CONFIGURATION, listen=listen, web_config=web_config, on_refresh=refreshed)
        except (ConfigurationError, OSError, ValueError) as error:
            print(f"tidegauge: {_refusal(listen, error)}", file=sys.stderr)
            return 2
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: runner.stop())
        address = f"{runner.scheme}://{parse_address(listen)[0] or 'localhost'}:{runner.port}"
        print(_welcome(scenario.description, address, directory, plan.notes), flush=True)
        with Live(plan.scenario, directory, duration=plan.duration, history=plan.history):
            runner.run()
    if trouble:
        print(f"\ntidegauge: {trouble}", file=sys.stderr, flush=True)
    print("\nStopped; the temporary directory is gone.", flush=True)
    return 1 if trouble else 0


def _faster(duration: int) -> str:
    return format_duration(duration // FASTER // 1000 * 1000)


def _refusal(listen: str, error: Exception) -> str:
    if isinstance(error, ConfigurationError | ValueError):
        return str(error)
    return (
        f"{error}\nAnother port: tidegauge demo --web.listen-address {parse_address(listen)[0]}:0 (0 picks a free one)"
    )


def _welcome(description: str, address: str, directory: Path, notes: str) -> str:
    return f"""\
Tidegauge demo. Simulated: {description}.
The truth about a prediction comes a few seconds after it; a prediction is scored when it is 15 s old.

  {address}/          the page
  {address}/metrics   what Prometheus scrapes
  {directory}   the logs and the configuration

{notes}
Ctrl-C stops it and removes the directory.
"""


def _hints(better: str, worse: str) -> str:
    return f"""
  The intervals of {better} and {worse} do not overlap: {worse} is less accurate, beyond what chance explains.
  In the metrics, for instance:
    model_quality_score{{version="{worse}",metric="accuracy",window="{WINDOW}"}}   with _lower, _upper and _samples
    model_slice_quality_score{{slice_key="country"}}                 the same by country
    model_feedback_coverage_ratio                                  how much of the truth is known
    model_prediction_latency_seconds, model_prediction_errors_total   service quality beside it
"""


class _Terminal:
    """Prints a table of the versions now and then; called from the exporter's saver thread alone."""

    def __init__(self, every: float) -> None:
        """`every` in seconds."""
        self._every = every
        self._next = 0.0
        self._explained = False

    def show(self, samples: Sequence[AnySamples]) -> None:
        if time.monotonic() < self._next:
            return
        scores = _by_version(samples, catalogue.MODEL_QUALITY_SCORE)
        if not scores:
            return
        self._next = time.monotonic() + self._every
        lower = _by_version(samples, catalogue.MODEL_QUALITY_SCORE_LOWER)
        upper = _by_version(samples, catalogue.MODEL_QUALITY_SCORE_UPPER)
        labeled = _by_version(samples, catalogue.MODEL_QUALITY_SAMPLES)
        made = _by_version(samples, catalogue.MODEL_PREDICTIONS_TOTAL)
        now = time.strftime("%H:%M:%S")
        print(f"{now}  version  predictions  labelled in {WINDOW}  accuracy  95 % interval")
        for version in sorted(scores):
            print(
                f"          {version:<7}  {made[version]:>11,.0f}  {labeled[version]:>14,.0f}"
                f"  {scores[version]:>8.3f}  {lower[version]:.3f} to {upper[version]:.3f}"
            )
        ranked = sorted(scores, key=scores.__getitem__)
        if not self._explained and len(ranked) > 1 and upper[ranked[0]] < lower[ranked[-1]]:
            self._explained = True
            print(_hints(ranked[-1], ranked[0]))
        sys.stdout.flush()


def _by_version(samples: Sequence[AnySamples], family: Family) -> dict[str, float]:
    """The family's values by version: of accuracy and of WINDOW, where the family has such labels."""
    found: dict[str, float] = {}
    for part in samples:
        if not isinstance(part, Samples) or part.family is not family:
            continue
        for row, value in zip(part.rows, part.values, strict=True):
            labels = dict(zip(family.labels, row, strict=True))
            if labels.get("metric", "accuracy") == "accuracy" and labels.get("window", WINDOW) == WINDOW:
                found[labels["version"]] = float(value)
    return found
