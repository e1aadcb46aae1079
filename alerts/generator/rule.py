"""What rules are made of: records, alerts and groups as plain values, and the few shapes that all alerts share.

Expressions and texts are written with <name> for a parameter of that name, so that PromQL's own braces stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from textwrap import dedent, indent

from alerts.generator.durations import Duration
from alerts.generator.parameters import Parameters

JOB = ("job",)
"""What is never added up over: the job keeps installations apart."""
EXPORTER = (*JOB, "instance")
MODEL = (*JOB, "model")
VERSION = (*MODEL, "version")
BOARDS = ("fleet", "model", "slices", "release", "drift", "pipeline")
_PLACE = re.compile(r"<([a-z_]+)>")


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule; named level:metric:operation."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. `board` and `linked` make its link: which board, and the labels that become its variables;
    `linked_with_channel` become variables where the alert has a channel: what comes with a prediction has none."""

    name: str
    severity: str  # critical: somebody gets up; warning: somebody looks today; info; none: for other alerts' sake
    expression: str
    lasting: Duration
    summary: str  # a sentence that is the same for every instance of the alert
    description: str
    board: str
    linked: tuple[str, ...]
    owner: str | None = None  # None: the expression brings it, from model_info
    keep_firing: Duration | None = None
    linked_with_channel: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in this order."""

    name: str
    interval: Duration
    rules: tuple[Record | Alert, ...]


def fill(text: str, parameters: Parameters, **more: object) -> str:
    """The text with every <name> replaced by the parameter of that name, or by one of `more`. Raises KeyError."""
    known = {one.name: getattr(parameters, one.name) for one in fields(parameters)} | more

    def value(found: re.Match[str]) -> str:
        return _spelled(known[found[1]])

    return _PLACE.sub(value, dedent(text).strip())


def labels(names: Sequence[str]) -> str:
    """Label names as they stand in `by (...)` and `on (...)`."""
    return ", ".join(names)


def held(
    alert: str,
    verdict: str,
    by: Sequence[str],
    *,
    condition: str = "",
    ended: str = "",
    ended_by: Sequence[str] = (),
) -> str:
    """The expression of an alert about a model: a verdict series (1 bad, 0 good, absent unknown) that is 1.

    Not knowing changes nothing. Verdicts are made of what each exporter said within <bridge>, or of increases over
    longer, so that a missed scrape leaves no gap; and a firing alert goes by the last known verdict for <hold>: a score
    that vanishes does not resolve its alert. `condition` must hold too for the alert to begin; what `ended` gives (a
    vector that is matched on `ended_by`) is over for certain.
    """
    over = f"\nunless on ({labels(ended_by)})\n{indent(dedent(ended).strip(), '  ')}" if ended else ""
    begins = f"\n  {dedent(condition).strip()}" if condition else ""
    inner = f"""\
(
  {verdict} == 1{begins}
or
  last_over_time({verdict}[<hold>]) == 1
    and on ({labels(by)}) ALERTS{{alertname="{alert}", alertstate="firing"}}
){over}"""
    return f"(\n{indent(inner, '  ')}\n)\n* on ({labels(MODEL)}) group_left (owner) model:owner:info"


def ask(query: str, by: Sequence[str]) -> str:
    """Template text: the pipeline that runs a query; <labels> in it stands for matchers of the alert's labels `by`."""
    matchers = ",".join(f"{name}=%q" for name in by)
    values = " ".join([f"$labels.{name}" for name in by] * query.count("<labels>"))
    return f"printf `{query.replace('<labels>', matchers)}` {values} | query"


def shown(query: str, by: Sequence[str], how: str) -> str:
    """Template text: the first value that a query (see `ask`) gives; `how` is a template function."""
    return f"{{{{ with {ask(query, by)} }}}}{{{{ . | first | value | {how} }}}}{{{{ else }}}}unknown{{{{ end }}}}"


def by_window(query: str, by: Sequence[str]) -> str:
    """Template text: "0.9 over the last 1h, 0.92 over the last 24h", from a query (see `ask`) of every window."""
    each = f'{{{{ $score | value | {NUMBER} }}}} over the last {{{{ $score | label "window" }}}}'
    return (
        f'{{{{ range $number, $score := {ask(query, by)} | sortByLabel "window" }}}}{{{{ if $number }}}}, {{{{ end }}}}'
        f"{each}{{{{ else }}}}unknown{{{{ end }}}}"
    )


def look(series: str, by: Sequence[str], shown: str, *, over: str = "last_over_time") -> str:
    """Template text: the last known value of a series that has the alert's labels `by`; `shown` is a template function.

    `over` is another function of the last <hold>: the maximum, say, of a level that adapts while the alert fires.
    """
    matchers = ",".join(f"{name}=%q" for name in by)
    values = " ".join(f"$labels.{name}" for name in by)
    query = f"printf `{over}({series}{{{matchers}}}[<hold>])` {values} | query"
    return f"{{{{ with {query} }}}}{{{{ . | first | value | {shown} }}}}{{{{ else }}}}unknown{{{{ end }}}}"


def objective(series: str, by: Sequence[str]) -> str:
    """Template text: "at least 0.9", from a series that has a label `direction`."""
    matchers, values = ",".join(f"{name}=%q" for name in by), " ".join(f"$labels.{name}" for name in by)
    shown = '{{ . | first | label "direction" | reReplaceAll "_" " " }} {{ . | first | value | printf "%.4g" }}'
    query = f"printf `last_over_time({series}{{{matchers}}}[<hold>])` {values} | query"
    return f"{{{{ with {query} }}}}{shown}{{{{ else }}}}unknown{{{{ end }}}}"


NUMBER = 'printf "%.4g"'
COUNT = 'printf "%.0f"'
PERCENT = "humanizePercentage"
SECONDS = "humanizeDuration"
TIME = "humanizeTimestamp"
MEASURE = "{{ $labels.metric }}{{ with $labels.channel }} on channel {{ . }}{{ end }}"
"""Template text: what is compared or watched."""


def links(alert: Alert, parameters: Parameters) -> dict[str, str]:
    """The annotations that lead on: runbook, and board with its variables set."""
    assert alert.board in BOARDS, alert.board
    variables = "&".join(map(_variable, alert.linked))
    if alert.linked_with_channel:
        more = "".join(f"&{_variable(name)}" for name in alert.linked_with_channel)
        variables += f"{{{{ if $labels.channel }}}}{more}{{{{ end }}}}"
    return {
        "runbook_url": f"{parameters.runbooks}/{alert.name}.md",
        "dashboard_url": f"{parameters.grafana}/d/tidegauge-{alert.board}" + (f"?{variables}" if variables else ""),
    }


def _variable(name: str) -> str:
    return f"var-{name}={{{{ $labels.{name} | urlquery }}}}"


def _spelled(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
