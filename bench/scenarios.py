"""Every long scenario through the real exporter and the real rules: when the alert came, and what it said.

Run as: python -m bench.scenarios --output docs/scenarios.md
Ends with status 1 where an alert that a scenario must raise has not come, or another one has. With --directory the
scrapes are kept there and used again. Takes about an hour; the logs need up to 250 MB.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "exporter"))

from bench.scenario_feed import Concerned, Scrapes, run
from bench.scenario_rules import EVALUATED, Firing, evaluate, families
from tidegauge.simulate import Scenario, find

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SEED = 1
NEVER = (
    "ModelReleaseRegressed",
    "ModelDegrading",
    "ModelSliceDegrading",
    "ModelObjectiveMissed",
    "ModelFeatureBroken",
    "ModelInputDrift",
    "ModelScoreDrift",
)
ABOUT = ("version", "metric", "slice_value", "feature", "subject", "reference", "change", "window")
"""Labels that tell an alert from others of its name, the last one aside."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario and what happens in it; the scenario itself says which alert should tell."""

    name: str
    step: int  # ms of log time between two scrapes
    happens: str
    since: int  # ms after the start
    version: str | None = None  # whose labels are counted
    country: str | None = None

    @property
    def scenario(self) -> Scenario:
        return find(self.name)

    @property
    def awaited(self) -> str:
        """The alert that should tell; "": none is due."""
        return next(iter(self.scenario.fires), "")

    @property
    def concerned(self) -> Concerned:
        return Concerned(self.since, self.version, self.country)


CASES = (
    Case(
        "bad-release",
        30 * MINUTE,
        "day 2: v2 gets 1 % of the traffic, 5 % from day 3, 50 % from day 4; it is wrong 7.5 times in 100, v1 5 times",
        2 * DAY,
        version="v2",
    ),
    Case(
        "harmless-release",
        30 * MINUTE,
        "the same, but v2 is as right as v1",
        2 * DAY,
        version="v2",
    ),
    Case(
        "busy-users",
        30 * MINUTE,
        "the same harmless release, asked by users whose answers resemble each other",
        2 * DAY,
        version="v2",
    ),
    Case(
        "hard-switch",
        HOUR,
        "day 8: v2 replaces v1 at once; it is wrong 7.5 times in 100, v1 was 5 times",
        8 * DAY,
        version="v2",
    ),
    Case(
        "slow-rot",
        HOUR,
        "from day 14 the model is wrong more and more often: 5 times in 100, and 10 on day 42; the objective of 0.92 "
        "is missed from about day 29",
        14 * DAY,
    ),
    Case(
        "failing-slice",
        HOUR,
        "day 9: answers for New Zealand, 5 % of the traffic, are wrong 20 times in 100, before and elsewhere 5 times",
        9 * DAY,
        country="NZ",
    ),
    Case(
        "label-delay",
        HOUR,
        "day 9: labels come six hours later than usual, for a day; the model is as right as ever",
        9 * DAY,
    ),
    Case(
        "harmless-drift",
        HOUR,
        "day 9: a campaign brings other customers, with younger accounts, who buy more games; the model is as right as "
        "ever",
        9 * DAY,
    ),
    Case(
        "harmful-drift",
        HOUR,
        "day 9: the same campaign, but the model does not know such customers: it is wrong 9 times in 100, before 5 "
        "times",
        9 * DAY,
    ),
    Case(
        "more-fraud",
        HOUR,
        "day 9: 30 answers in 100 are fraud, before 20, and rightly so",
        9 * DAY,
    ),
    Case(
        "dead-feature",
        30 * MINUTE,
        "day 3: device_risk is always 0; the model is wrong 8 times in 100, before 5 times",
        3 * DAY,
    ),
    Case(
        "missing-values",
        30 * MINUTE,
        "day 3: device_risk is missing in 5 of 100 predictions; the model is as right as ever",
        3 * DAY,
    ),
    Case(
        "renamed-field",
        30 * MINUTE,
        "day 3: the log calls merchant merchant_kind; the model is as right as ever",
        3 * DAY,
    ),
    Case(
        "weekends",
        HOUR,
        "three weeks; on weekends traffic is 30 % less, 30 % more answers are fraud, and customers are others; from "
        "day 7 on features are held against the same hours of the weeks before",
        7 * DAY,
    ),
)

HEAD = f"""# Scenarios

Stories that models live through, as simulated logs, and what Tidegauge made of them. Measured, and written by
`python -m bench.scenarios --output docs/scenarios.md`. How verdicts are reached is in [statistics.md](statistics.md),
what drift and broken data are in [drift.md](drift.md). Each scenario says which alerts must come and which may follow
from them; where one is missing, or another one comes, that command fails.

## Run one by hand

    tidegauge simulate --scenario bad-release --output run
    tidegauge run --config.file run/tidegauge.yml

The first command writes both logs of the whole run, which ends now, and a configuration with `clock: log`: the exporter
takes the time from the logs, reads them at full speed, and stands where they end. Then <http://localhost:8433/> says
what is wrong, and <http://localhost:8433/metrics> has the numbers:

    model_release_verdict{{metric="overall",verdict="roll_back"}}     1: roll it back
    model_release_difference, with _lower and _upper                what the new version changes
    model_change_detected, model_slice_change_detected              1: worse than it was
    model_objective_breach_timestamp_seconds                        when the objective will be missed
    model_drift_detected, with _excess and _contribution_ratio      what has moved, how far, and what most of all
    model_feature_state, model_schema_changed                       what is broken: gone, frozen, of another name

`tidegauge simulate --help` lists all scenarios. `make demo` shows a broken release in minutes, with the notifications.

## What was measured

The real exporter process reads logs that grow by a step of log time: 30 minutes, or an hour where the scenario lasts
longer than six days. After every step, once all has been read and saved, /metrics is scraped. Prometheus' own engine
(`promtool test rules`) then evaluates the rules of [alerts/](../alerts/README.md) over these scrapes, every
{EVALUATED // MINUTE} minutes of log time; what it gives is what Prometheus sends to Alertmanager. Alertmanager's own
waits add less than a minute; there, a critical alert mutes the warnings of its model.

- A gauge stays as scraped until the next scrape; a counter runs evenly up to its next value, as it does in production.
- The time of a scrape is the exporter's own clock (`tidegauge_clock_timestamp_seconds`), rounded up to the step. So an
  alert is up to a step later here than where Prometheus scrapes every 15 seconds.
- `up` is 1. Rules about the exporter itself (`rules/exporter.yml`) are left out: its process lives by the wall clock.
- The logs begin on Thursday, 1 January 2015, 00:00 UTC, which is day 0. "Labels" are those that had come when the alert
  fired, of predictions since the event: of the new version, of the slice, or of all.

"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, its scrapes and what fired."""

    case: Case
    scrapes: Scrapes
    firings: Sequence[Firing]

    def labels_at(self, at: int) -> int:
        """Labels of those concerned that were there at the last scrape by then."""
        there = [labels for time, labels in zip(self.scrapes.times, self.scrapes.labels, strict=True) if time <= at]
        return there[-1] if there else 0

    def surprises(self) -> list[str]:
        """Where the alerts are not those that the scenario says."""
        scenario, came = self.case.scenario, {one.name for one in self.firings}
        return [
            *(f"{scenario.name}: {name} has not come" for name in scenario.fires if name not in came),
            *(f"{scenario.name}: {name} has come" for name in sorted(came - {*scenario.fires, *scenario.may_fire})),
        ]


def measure(case: Case, directory: Path) -> Outcome:
    """Runs the case in `directory`, or takes the scrapes that are there."""
    kept = directory / case.name / "scrapes.json"
    if kept.exists():
        scrapes = Scrapes.load(kept)
    else:
        scrapes = run(
            case.scenario, kept.parent, step=case.step, families=families(), concerned=case.concerned, seed=SEED
        )
        scrapes.save(kept)
        for log in kept.parent.glob("*.jsonl"):
            log.unlink()
    return Outcome(case, scrapes, evaluate(scrapes.times, scrapes.series, kept.parent))


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    rows = [
        "| scenario | what happens | the alert | after | labels | what else fired | what never fired |",
        "|---|---|---|---|---|---|---|",
        *map(_row, outcomes),
    ]
    return HEAD + "\n".join(rows) + "\n\n## What was said\n\n" + "\n".join(map(_section, outcomes)).rstrip() + "\n"


def _row(outcome: Outcome) -> str:
    case, found = outcome.case, _told(outcome)
    if found is None:
        told, after, labels = (f"{case.awaited} never came", "-", "-") if case.awaited else ("none is due", "-", "-")
    else:
        told, after, labels = found.name, _hours(found.since - case.since), f"{outcome.labels_at(found.since):,}"
    others = [one for one in outcome.firings if one is not found]
    never = [name for name in NEVER if name not in {one.name for one in outcome.firings}]
    texts = (
        f"[{case.name}](#{case.name})",
        case.happens,
        told,
        after,
        labels,
        "; ".join(_brief(one, case.since) for one in _first_of_each(others)) or "nothing",
        ", ".join(never) or "-",
    )
    return f"| {' | '.join(texts)} |"


def _section(outcome: Outcome) -> str:
    case = outcome.case
    lines = [f"### {case.name}", "", f"{case.happens[0].upper()}{case.happens[1:]}.", ""]
    for one in _first_of_each(outcome.firings):
        ended = "at the end it still fires" if one.until is None else f"over after {_hours(one.until - one.since)}"
        lines += [f"**{_brief(one, case.since)}** ({one.labels['severity']}; {ended}):", ""]
        lines += [f"> {one.summary}", ">", f"> {one.description}", ""]
    if not outcome.firings:
        lines += ["Nothing fired.", ""]
    lines += _release(outcome)
    return "\n".join(lines)


def _release(outcome: Outcome) -> list[str]:
    """What the exporter said of the release, if there is one."""
    case, series = outcome.case, outcome.scrapes.series
    if case.version is None:
        return []
    said = []
    for verdict, words in (("promote", "said *promote*"), ("roll_back", "said *roll back*")):
        name = _find(series, "model_release_verdict", metric="overall", verdict=verdict)
        first = next((n for n, value in enumerate(series.get(name, ())) if value == 1), None)
        if first is not None:
            at = outcome.scrapes.times[first]
            labels = f"{outcome.labels_at(at):,} labels of {case.version}"
            said.append(f"The exporter {words} {_hours(at - case.since)} after it, with {labels}.")
    ends = [
        series[_find(series, f"model_release_difference{end}", metric="accuracy")][-1]
        for end in ("", "_lower", "_upper")
    ]
    if None not in ends:
        difference, lower, upper = (f"{value:+.4f}" for value in ends)
        said.append(f"At the end the difference in accuracy was {difference}, surely between {lower} and {upper}.")
    return [" ".join(said or ["The exporter kept watching to the end."]), ""]


def _find(series: Mapping[str, object], family: str, **labels: str) -> str:
    """The name of the family's sample with these labels; "" if there is none."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return next((one for one in series if one.startswith(f"{family}{{") and all(pair in one for pair in wanted)), "")


def _told(outcome: Outcome) -> Firing | None:
    return next((one for one in outcome.firings if one.name == outcome.case.awaited), None)


def _first_of_each(firings: Sequence[Firing]) -> list[Firing]:
    """The first firing for each alert, version, measure and slice; windows and repetitions are not told apart."""
    told: dict[tuple[str | None, ...], Firing] = {}
    for one in firings:
        key = (one.name, *map(one.labels.get, (*ABOUT[:-1], "channel", "slice_key")))
        told.setdefault(key, one)
    return list(told.values())


def _brief(one: Firing, event: int) -> str:
    about = [one.labels[name] for name in ABOUT if one.labels.get(name)]
    when = f"{_hours(one.since - event)} after" if one.since >= event else f"{_hours(event - one.since)} before"
    return f"{one.name} ({', '.join(about)}) {when}" if about else f"{one.name} {when}"


def _hours(milliseconds: int) -> str:
    if milliseconds < 48 * HOUR:
        return f"{milliseconds / HOUR:.1f} h"
    return f"{milliseconds / DAY:.1f} days"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the scenarios asked for, two at a time, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="the page; by default it is printed")
    parser.add_argument("--directory", type=Path, help="where scrapes are kept, and used again")
    parser.add_argument("--scenario", action="append", help="only these; by default all")
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if not options.scenario or case.name in options.scenario]
    with TemporaryDirectory(prefix="tidegauge-scenarios-") as temporary, ThreadPoolExecutor(2) as pool:
        directory = options.directory or Path(temporary)
        outcomes = list(pool.map(lambda case: measure(case, directory), cases))
    text = page(outcomes)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    surprises = [one for outcome in outcomes for one in outcome.surprises()]
    if surprises:
        sys.exit("\n".join(surprises))


if __name__ == "__main__":
    main()
