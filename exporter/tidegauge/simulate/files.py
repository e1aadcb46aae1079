"""The configuration that fits a scenario's logs, and the names of the files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from textwrap import indent

from tidegauge.simulate.scenario import Number, Scenario

PREDICTIONS = "predictions.jsonl"
FEEDBACK = "feedback.jsonl"
CONFIGURATION = "tidegauge.yml"


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
    release_duration: str = "",
    drift_alarm_interval: str = "",
    extra: str = "",
) -> str:
    """A configuration file that reads the scenario's logs from its own directory; durations as YAML spells them.

    `links` are those of the page: URL templates by name. `release_duration` is how long a release is compared,
    `drift_alarm_interval` how seldom drift is a false alarm; "": the default. `extra` are further lines of the model,
    as YAML without indentation.
    """
    release = [f"margins: {{accuracy: {scenario.margin:g}}}"] if scenario.margin is not None else []
    release += [f"duration: {release_duration}"] if release_duration else []
    drift = [f"references: [{', '.join(scenario.references)}]"] if scenario.references else []
    drift += [f"false_alarm_interval: {drift_alarm_interval}"] if drift_alarm_interval else []
    extra = _section("release", release) + _section("drift", drift) + extra
    kinds = {one.name: "numeric" if isinstance(one, Number) else "categorical" for one in scenario.features}
    features = "".join(f"      {name}: {kind}\n" for name, kind in kinds.items())
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
{features}    signals:
      confidence: {{from: confidence}}  # it can tell of a change before labels do
    slices: [country]
    windows: [{", ".join(windows)}]
    block: {block}
    grace: {grace}
    objectives:
      accuracy: {scenario.objective:g}
{indent(extra, "    ")}"""


def _section(name: str, lines: Sequence[str]) -> str:
    return "".join([f"{name}:\n", *(f"  {line}\n" for line in lines)]) if lines else ""
