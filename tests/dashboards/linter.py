"""The rules of Grafana's dashboard-linter (v0.2.0), by their names, for every panel and target of a board.

They are stricter here in two ways: most panel rules upstream look only at stat, gauge and time series panels, and it
knows counters only where they have no matchers. A rule yields what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import promql_parser as promql

Json = dict[str, Any]
Rule = Callable[[Json], Iterator[str]]

RATE_INTERVAL = "1777s"
"""What stands for $__rate_interval, so that no other range is taken for it."""
_STAND_INS = {"__rate_interval": RATE_INTERVAL, "__interval": "1333s", "__range": "7919s", "__from": "1"}
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")
_FILLED = re.compile(r"(label_values|label_names|metrics|query_result)\((.+?)(?:, *(\w+))?\)")

UNITS = {
    *("none", "short", "percent", "percentunit", "string", "bytes", "decbytes", "bits", "Bps", "binBps"),
    *("s", "ms", "m", "h", "d", "dtdurations", "dateTimeAsIso", "dateTimeFromNow"),
    *("cps", "ops", "reqps", "rps", "wps", "iops", "cpm", "bool", "bool_yes_no", "bool_on_off"),
}
"""Of the linter's list of units, those that a board about models may want."""
_QUERIED = "row", "text"


def panels(board: Json) -> Iterator[Json]:
    """Every panel that is no heading, nested ones included."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from (inner for inner in panel.get("panels", ()))


def targets(board: Json) -> Iterator[tuple[Json, Json]]:
    for panel in panels(board):
        for target in panel.get("targets", ()):
            yield panel, target


def parsed(expr: str) -> Any:
    """The query's syntax tree, with variables outside of strings replaced. Raises ValueError where it is not PromQL."""
    parts = expr.split('"')
    parts[::2] = [_VARIABLE.sub(lambda found: _STAND_INS[found[1] or found[2]], part) for part in parts[::2]]
    return promql.parse('"'.join(parts))


def walk(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node of the tree with those above it, the nearest last."""
    yield node, above
    below: list[Any] = []
    if isinstance(node, promql.Call):
        below = list(node.args)
    elif isinstance(node, promql.BinaryExpr):
        below = [node.lhs, node.rhs]
    elif isinstance(node, promql.MatrixSelector):
        below = [node.vector_selector]
    elif isinstance(node, promql.AggregateExpr):
        below = [node.expr, *([node.param] if node.param is not None else [])]
    elif isinstance(node, (promql.ParenExpr, promql.UnaryExpr, promql.SubqueryExpr)):
        below = [node.expr]
    for child in below:
        yield from walk(child, (*above, node))


def selectors(expr: str) -> Iterator[Any]:
    for node, _ in walk(parsed(expr)):
        if isinstance(node, promql.VectorSelector):
            yield node


def _variables(board: Json, kind: str) -> list[Json]:
    return [variable for variable in board["templating"]["list"] if variable["type"] == kind]


def template_datasource(board: Json) -> Iterator[str]:
    found = _variables(board, "datasource")
    if len(found) != 1:
        yield f"{len(found)} data source variables"
    for variable in found:
        if variable["name"] not in ("datasource", f"{variable['query']}_datasource"):
            yield f"the data source variable is named {variable['name']}"
        if variable["label"] not in ("Data source", "Prometheus data source"):
            yield f"the data source variable is labelled {variable['label']}"


def _template(name: str) -> Rule:
    def rule(board: Json) -> Iterator[str]:
        found = [variable for variable in board["templating"]["list"] if variable["name"] == name]
        if not found:
            yield f"no variable {name}"
        for variable in found:
            wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
            yield from (
                f"{name}: {key} is {variable.get(key)}" for key, value in wanted.items() if variable.get(key) != value
            )
            if variable["datasource"]["uid"] not in ("$datasource", "${datasource}"):
                yield f"{name}: data source {variable['datasource']['uid']}"

    return rule


def template_label_promql(board: Json) -> Iterator[str]:
    for variable in _variables(board, "query"):
        query = variable["query"]["query"]
        found = _FILLED.fullmatch(query)
        if not found:
            yield f"{variable['name']}: {query}"
            continue
        try:
            parsed(found[2])
        except ValueError as error:
            yield f"{variable['name']}: {error}"


def template_on_time_change_reload(board: Json) -> Iterator[str]:
    for variable in _variables(board, "query"):
        if variable["refresh"] != 2:
            yield f"{variable['name']} refreshes on {variable['refresh']}"


def panel_datasource(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["datasource"]["uid"] not in ("$datasource", "${datasource}"):
            yield f"{panel['title']}: {panel['datasource']}"


def panel_title_description(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']}"


def panel_units(board: Json) -> Iterator[str]:
    for panel in panels(board):
        config = panel["fieldConfig"]
        given = [config["defaults"].get("unit")]
        given += [
            chosen["value"]
            for override in config["overrides"]
            for chosen in override["properties"]
            if chosen["id"] == "unit"
        ]
        yield from (f"{panel['title']}: unit {unit}" for unit in given if unit not in UNITS)


def panel_no_targets(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("targets"):
            yield str(panel["title"])


def _is_loki(board: Json, target: Json) -> bool:
    kinds = [variable["query"] for variable in _variables(board, "datasource")]
    return "loki" in kinds or target["datasource"]["type"] == "loki"


def target_logql(board: Json) -> Iterator[str]:
    """There are no logs on these boards: a target that asks Loki is wrong whatever it asks."""
    for panel, target in targets(board):
        if _is_loki(board, target):
            yield f"{panel['title']}: asks Loki"


def target_logql_auto(board: Json) -> Iterator[str]:
    for panel, target in targets(board):
        if _is_loki(board, target) and re.search(r"\[\d", target["expr"]):
            yield f"{panel['title']}: should use $__auto"


def target_promql(board: Json) -> Iterator[str]:
    for panel, target in targets(board):
        try:
            parsed(target["expr"])
        except (ValueError, KeyError) as error:
            yield f"{panel['title']} {target['refId']}: {error!r}: {target['expr']}"


def target_rate_interval(board: Json) -> Iterator[str]:
    wanted = parsed(f"x[{RATE_INTERVAL}]").range
    for panel, target in targets(board):
        for node, above in walk(parsed(target["expr"])):
            called = above[-1].func.name if above and isinstance(above[-1], promql.Call) else ""
            if isinstance(node, promql.MatrixSelector) and called in ("rate", "irate") and node.range != wanted:
                yield f"{panel['title']} {target['refId']}: {node}"


def _target_matcher(label: str) -> Rule:
    def rule(board: Json) -> Iterator[str]:
        for panel, target in targets(board):
            for selector in selectors(target["expr"]):
                found = {(one.name, one.op == promql.MatchOp.Re, one.value) for one in selector.matchers.matchers}
                if (label, True, f"${label}") not in found and selector.name not in ABOUT_ALL_EXPORTERS:
                    yield f"{panel['title']} {target['refId']}: {selector}"

    return rule


ABOUT_ALL_EXPORTERS = ("ALERTS",)
"""The one place where two rules would harm: alerts are decided over all exporters, so their series have no instance and
need no job. A matcher would leave all of them out."""


def target_counter_agg(board: Json) -> Iterator[str]:
    for panel, target in targets(board):
        for node, above in walk(parsed(target["expr"])):
            if not isinstance(node, promql.VectorSelector) or not str(node.name).endswith("_total"):
                continue
            called = above[-2].func.name if len(above) > 1 and isinstance(above[-2], promql.Call) else ""
            if called not in ("rate", "irate", "increase"):
                yield f"{panel['title']} {target['refId']}: {node}"


def uneditable(board: Json) -> Iterator[str]:
    if board["editable"]:
        yield "the board is editable"


RULES: Mapping[str, Rule] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": _template("job"),
    "template-instance-rule": _template("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-logql-rule": target_logql,
    "target-logql-auto-rule": target_logql_auto,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": _target_matcher("job"),
    "target-instance-rule": _target_matcher("instance"),
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard": uneditable,
}
