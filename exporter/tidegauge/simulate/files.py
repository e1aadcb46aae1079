"""The configuration that fits a scenario's logs, and the names of the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import indent

from tidegauge.simulate.scenario import Scenario

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
    extra: str = "",
) -> str:
    """A configuration file that reads the scenario's logs from its own directory; durations as YAML spells them.

    `links` are those of the page: URL templates by name; `release_duration`, how long a release is compared, "" for
    the default; `extra`, further lines of the model, as YAML without indentation.
    """
    release = [f"margins: {{accuracy: {scenario.margin:g}}}"] if scenario.margin is not None else []
    release += [f"duration: {release_duration}"] if release_duration else []
    if release:
        extra = "".join(["release:\n", *(f"  {line}\n" for line in release), extra])
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
      accuracy: {scenario.objective:g}
{indent(extra, "    ")}"""
