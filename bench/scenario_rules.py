"""The alert rules over scrapes, by Prometheus' own engine: `promtool test rules` with the scrapes as its input.

The engine evaluates every rule of the repository about models at every EVALUATED of log time, in order, with what the
rules themselves recorded and with the alerts that fire; each alert is then asked for at every evaluation, and what
promtool says it got is what Prometheus would have sent to Alertmanager.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from alerts.generator.parameters import Parameters
from alerts.generator.render import files, write
from alerts.generator.rule import Alert, Record
from bench.scenario_feed import START

EVALUATED = 300_000
"""ms; a divisor of every step, and no longer than what bridges missed scrapes in the rules."""
TARGET = 'job="tidegauge",instance="localhost:8433"'
LEFT_OUT = "exporter.yml"
"""Rules about the exporter itself: its process lives by the wall clock."""
_COUNTERS = ("_total", "_bucket", "_count", "_sum")
_FAMILY = re.compile(r"\bmodel_[a-z0-9_]+\b")
_ASKED = re.compile(r"alertname: (\w+), time: (\w+),")
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')
_LIFETIME = 'window="lifetime"'  # no rule asks for it
_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_LENGTH = re.compile(r"(\d+)([wdhms])")
_ENGINE_YEAR, _YEAR = "1970-", f"{time.gmtime(START / 1000).tm_year}-"


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert from when it began to fire until it was over; the texts are those that were sent first."""

    name: str
    labels: Mapping[str, str]
    summary: str
    description: str
    since: int  # ms after the start
    until: int | None  # None: still firing at the end


def families() -> frozenset[str]:
    """The exporter's families that the rules and the texts ask for."""
    rules = [rule for name in files(Parameters()) for rule in _rules(name)]
    text = " ".join(f"{one.expression} {one.description if isinstance(one, Alert) else ''}" for one in rules)
    return frozenset(_FAMILY.findall(text))


def evaluate(times: Sequence[int], series: Mapping[str, Sequence[float | None]], directory: Path) -> list[Firing]:
    """Every alert that fired over the scrapes at `times` (ms, evenly apart), in the order in which they began.

    `directory`, made here, holds what promtool read and said. Raises RuntimeError where promtool does not understand.
    """
    write(directory / "rules")
    kept = [name for name in files(Parameters()) if name != LEFT_OUT]
    groups = [group.name for name in kept for group in files(Parameters())[name]]
    each = times[0] // EVALUATED
    header = {"rule_files": [f"rules/{name}" for name in kept], "evaluation_interval": f"{EVALUATED // 1000}s"}
    test = directory / "test.yml"
    with test.open("w", encoding="utf-8") as file:
        yaml.safe_dump({**header, "group_eval_order": groups}, file)
        file.write(f"tests:\n- interval: {EVALUATED // 1000}s\n  input_series:\n")
        for name, values in _with_target(times, series):
            counter = name.partition("{")[0].endswith(_COUNTERS)
            file.write(f"  - {{series: {json.dumps(name)}, values: '{_values(values, each, counter)}'}}\n")
        file.write("  alert_rule_test:\n")
        asked = sorted({rule.name for name in kept for rule in _rules(name) if isinstance(rule, Alert)})
        for at in range(0, times[-1] + 1, EVALUATED):
            for name in asked:
                file.write(f"  - {{alertname: {name}, eval_time: {at // 1000}s, exp_alerts: []}}\n")
    done = subprocess.run(
        ["promtool", "test", "rules", test.name],
        cwd=directory,
        capture_output=True,
        text=True,
        env={**os.environ, "GOGC": "800"},  # half the time for twice the memory
    )
    (directory / "said.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode and "FAILED" not in done.stdout + done.stderr:
        raise RuntimeError(f"promtool: {(done.stdout + done.stderr)[-2000:]}")
    return _firings(_notices((done.stdout + done.stderr).splitlines()), times[-1])


def _rules(name: str) -> Iterator[Record | Alert]:
    for group in files(Parameters())[name]:
        yield from group.rules


def _with_target(
    times: Sequence[int], series: Mapping[str, Sequence[float | None]]
) -> Iterator[tuple[str, Sequence[float | None]]]:
    """The series as Prometheus stores them: with the target's labels, and `up`."""
    yield f"up{{{TARGET}}}", [1.0] * len(times)
    for name, values in series.items():
        if _LIFETIME in name:
            continue
        family, _, labels = name.partition("{")
        yield f"{family}{{{TARGET}{',' if labels else ''}{labels.removesuffix('}')}}}", values


def _values(values: Sequence[float | None], each: int, counter: bool) -> str:
    """In promtool's notation: every value is held until the next scrape, `each` evaluations later, but a counter runs
    evenly up to it, from 0 where it appears; one that vanishes is marked stale."""
    parts: list[str] = [f"_x{each}"]  # before the first scrape
    held: float | None = None
    count = 0

    def flush() -> None:
        if not count:
            return
        if held is not None:
            parts.append(f"{held!r}x{count - 1}")
        elif len(parts) == 1:
            parts.append(f"_x{count}")
        else:
            parts.extend(["stale", f"_x{count - 1}"] if count > 1 else ["stale"])

    for number, value in enumerate(values):
        last = number == len(values) - 1
        follows = None if last else values[number + 1]
        if counter and follows is not None and follows > (value or 0.0):
            flush()
            parts.append(f"{value or 0.0!r}+{(follows - (value or 0.0)) / each!r}x{each - 1}")
            count = 0
            continue
        if count and value != held:
            flush()
            count = 0
        held = value
        count += 1 if last else each
    flush()
    return " ".join(parts)


def _notices(lines: Sequence[str]) -> Iterator[tuple[int, str, Mapping[str, str], Mapping[str, str]]]:
    """What promtool got: when (ms after the start), which alert, its labels and annotations."""
    at, name, labels = 0, "", {}
    for line in lines:
        if found := _ASKED.search(line):
            name, at = found[1], sum(int(count) * _UNITS[unit] for count, unit in _LENGTH.findall(found[2]))
        elif line.lstrip().startswith("Labels:"):
            labels = _pairs(line)
        elif line.lstrip().startswith("Annotations:"):
            yield at, name, labels, _pairs(line)


def _pairs(line: str) -> dict[str, str]:
    return {name: json.loads(text) for name, text in _PAIR.findall(line)}


def _firings(notices: Iterator[tuple[int, str, Mapping[str, str], Mapping[str, str]]], end: int) -> list[Firing]:
    begun: dict[str, Firing] = {}
    seen: dict[str, int] = {}
    over: list[Firing] = []
    for at, name, labels, texts in sorted(notices, key=lambda one: one[0]):
        which = json.dumps(labels, sort_keys=True)
        if which in begun and at > seen[which] + EVALUATED:
            over.append(replace(begun.pop(which), until=seen[which] + EVALUATED))
        if which not in begun:
            summary, description = (texts[part].replace(_ENGINE_YEAR, _YEAR) for part in ("summary", "description"))
            begun[which] = Firing(name, labels, summary, description, at, None)
        seen[which] = at
    for which, firing in begun.items():
        over.append(firing if seen[which] > end - EVALUATED else replace(firing, until=seen[which] + EVALUATED))
    return sorted(over, key=lambda one: one.since)
