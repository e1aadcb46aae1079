"""`python -m alerts.demo`, or `make demo`: the whole chain on this machine, in a scenario that breaks.

Simulated traffic, exporter, Prometheus with the repository's rules at a faster pace, Alertmanager with its routes, and
a receiver that prints. Everything listens on loopback, writes below one temporary directory, and ends together.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote
from urllib.request import urlopen

from alerts.generator import trial
from alerts.generator.parameters import Parameters
from alerts.receiver import Receiver
from tidegauge.config.durations import parse_duration
from tidegauge.demo import SHORT_WINDOW, Plan, demo
from tidegauge.simulate import BREAKS, ROLLED_BACK

LOOPBACK = "127.0.0.1"
FASTER = 30.0
SCENARIO = "broken-release"
SHOWN_EVERY = 15.0
MOST = 2_000
"""Characters of a program's log that are shown once it has ended by itself."""
PATIENCE = 30.0
"""Seconds that a program may take to become ready, and then to end."""
MEMORY = "400MiB"
"""What Go's runtime tries to stay below, in each of the two programs; the demo takes about a quarter of it."""
USUAL_PORTS = {"exporter": 8433, "prometheus": 9090, "alertmanager": 9093, "receiver": 9095}


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two servers are."""

    prometheus: str
    alertmanager: str


def find_programs() -> Programs | None:
    """Both from the path, or None if one is not there."""
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")  # Debian's name first
    return Programs(prometheus, alertmanager) if prometheus and alertmanager else None


def choose_ports() -> dict[str, int]:
    """The usual port of each part where it is free, else any that is."""
    found = {}
    with ExitStack() as held:  # together, so that no port is chosen twice
        for name, usual in USUAL_PORTS.items():
            server = held.enter_context(_listening(usual))
            found[name] = server.getsockname()[1]
    return found


def _listening(port: int) -> socket.socket:
    with suppress(OSError):
        return socket.create_server((LOOPBACK, port))
    return socket.create_server((LOOPBACK, 0))


@contextmanager
def program(name: str, command: Sequence[str], port: int, log: Path) -> Iterator[Callable[[], str]]:
    """A server that runs while the block does; gives what tells why it has ended by itself, "" while it runs.

    Raises RuntimeError, with what it said, if it does not become ready.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "GOMEMLIMIT": MEMORY},
            process_group=0,  # Ctrl-C is for the demo, which then ends them
        )

    def ended() -> str:
        status = process.poll()
        if status is None:
            return ""
        return f"{name} has ended by itself, with status {status}. It said:\n{log.read_text(errors='replace')[-MOST:]}"

    try:
        deadline = time.monotonic() + PATIENCE
        while not _ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
        yield ended
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://{LOOPBACK}:{port}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def prometheus_command(path: str, configuration: Path, port: int) -> list[str]:
    """Memory is bounded by the time that is kept; a few minutes are looked at."""
    return [
        path,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={configuration.parent / 'data'}",
        "--storage.tsdb.retention.time=3h",
        "--storage.tsdb.retention.size=512MB",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--web.external-url=http://{LOOPBACK}:{port}/",
        "--log.level=warn",
        *trial.ARGUMENTS,
    ]


def alertmanager_command(path: str, configuration: Path, port: int) -> list[str]:
    """Alone: it looks for no others."""
    return [
        path,
        f"--config.file={configuration}",
        f"--storage.path={configuration.parent / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--web.external-url=http://{LOOPBACK}:{port}/",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def pages(port: int) -> str:
    """Where Prometheus' pages are: Debian builds it with the classic ones alone, which have a path of their own."""
    base = f"http://{LOOPBACK}:{port}"
    with suppress(OSError), urlopen(f"{base}/alerts", timeout=5):
        return base
    return f"{base}/classic"


def page_links(prometheus: str, receiver: str) -> dict[str, str]:
    """Where the exporter's page leads: models to a graph in Prometheus, what is wrong to its runbook."""
    selector = f'{{model="MODEL",metric="accuracy",window="{SHORT_WINDOW}"}}'
    shown = [f"model_quality_score{end}{selector}" for end in ("", "_lower", "_upper")]
    graph = "&".join(
        f"g{number}.expr={quote(expression)}&g{number}.tab=0&g{number}.range_input=10m"
        for number, expression in enumerate(shown)
    )
    return {
        "dashboard": f"{prometheus}/graph?{graph}".replace("MODEL", "{model}"),
        "runbook": f"{receiver}/runbooks/{{alert}}",
        "alerts": f"{prometheus}/alerts",
    }


def notes(prometheus: str, alertmanager: str, plan: Plan, faster: float, now: float) -> str:
    """What to look at, and what will happen when."""

    def at(progress: float) -> str:
        return time.strftime("%H:%M:%S", time.localtime(now + (progress * plan.duration - plan.history) / 1000))

    slow = Parameters()
    hurried = slow.faster(faster)
    return f"""\
  {prometheus}/alerts   the rules of alerts/rules/, every duration {faster:g} times shorter
  {alertmanager}/   Alertmanager, with the routes of alerts/alertmanager.yml; Debian's has no pages, but
      amtool --alertmanager.url={alertmanager} alert

What will happen:
  {at(BREAKS)}  v2 breaks: its feature device_risk freezes at 0, and 70 of 100 answers are right, from 94. About
            a minute later it is told here:
            ModelFeatureBroken: device_risk of v2 is stuck. No label is needed to know that. It waits
            {hurried.broken_for} (in production: {slow.broken_for}).
            ModelReleaseRegressed: v2 is worse than v1 at the same time, beyond chance however often one looks; roll
            it back. It waits {hurried.regressed_for} (in production: {slow.regressed_for}).
            ModelObjectiveMissed: the whole interval of v2 is below the objective of 0.9. It waits
            {hurried.missed_for} (in production: {slow.missed_for}).
  {at(ROLLED_BACK)}  v2 is rolled back: v1 answers everything. Two minutes later all are resolved. Till then
            the verdict stays, whatever v2 does: only what is no longer asked can do no harm.
The runbook in a notification can be opened; boards need Grafana, so that here they lead to the exporter's page.
"""


def chain(programs: Programs, *, faster: float, duration: int) -> int:
    """Runs everything until interrupted, or until a part ends by itself; the exit status.

    `duration` is the scenario's, in ms.
    """
    ports = choose_ports()
    with ExitStack() as running:
        directory = Path(running.enter_context(TemporaryDirectory(prefix="tidegauge-chain-")))
        receiver = Receiver(
            (LOOPBACK, ports["receiver"]),
            say=lambda words: print(f"\n{words}\n", flush=True),
            runbooks=trial.HERE / "runbooks",
            board=f"http://{LOOPBACK}:{ports['exporter']}/",
        )
        here = f"http://{LOOPBACK}:{running.enter_context(receiver).port}"
        managing = trial.alertmanager(directory / "alertmanager", receiver=here, faster=faster)
        asking = trial.prometheus(
            directory / "prometheus",
            exporter=f"{LOOPBACK}:{ports['exporter']}",
            alertmanager=f"{LOOPBACK}:{ports['alertmanager']}",
            faster=faster,
            links_to=here,
        )
        print("Starting Alertmanager and Prometheus ...", flush=True)
        watched = []
        for name, command, configuration in (
            ("alertmanager", alertmanager_command(programs.alertmanager, managing, ports["alertmanager"]), managing),
            ("prometheus", prometheus_command(programs.prometheus, asking, ports["prometheus"]), asking),
        ):
            log = configuration.with_name(f"{name}.log")
            watched.append(running.enter_context(program(name, command, ports[name], log)))
        prometheus, alertmanager = pages(ports["prometheus"]), f"http://{LOOPBACK}:{ports['alertmanager']}"
        plan = Plan(
            SCENARIO,
            duration,
            SHOWN_EVERY,
            page_links(prometheus, here),
            trouble=lambda: next(filter(None, (ended() for ended in watched)), ""),
        )
        plan = replace(plan, notes=notes(prometheus, alertmanager, plan, faster, time.time()))
        status = demo(f"{LOOPBACK}:{ports['exporter']}", plan=plan)
    print("Prometheus and Alertmanager have ended; their directory is gone, too.", flush=True)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 once it is interrupted, 1 if a part ended by itself, 2 where one could not be started."""
    parser = argparse.ArgumentParser(prog="python -m alerts.demo", description="The whole chain, until Ctrl-C.")
    parser.add_argument("--faster", type=float, default=FASTER, help="how many times shorter the rules' durations are")
    parser.add_argument("--duration", default="15m", help="of the scenario; it begins two fifteenths before the demo")
    options = parser.parse_args(arguments)
    programs = find_programs()
    if programs is None:
        print(
            "Prometheus and Alertmanager are not on the path (Debian: prometheus, prometheus-alertmanager), so that\n"
            "no alert can fire; this is the exporter alone.\n",
            flush=True,
        )
        return demo(f"{LOOPBACK}:{choose_ports()['exporter']}")
    try:
        return chain(programs, faster=options.faster, duration=parse_duration(options.duration))
    except KeyboardInterrupt:
        print("\nStopped before it began.", flush=True)
        return 0
    except (RuntimeError, OSError, ValueError) as error:
        print(f"tidegauge: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
