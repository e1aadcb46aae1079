"""Each of the ported linter rules finds what it is there for: a board that breaks it is caught, and by it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.linter import RULES, panels
from tests.dashboards.test_boards import committed

Json = dict[str, Any]
Harm = Callable[[Json], None]


def variable(board: Json, name: str) -> Json:
    found: Json = next(one for one in board["templating"]["list"] if one["name"] == name)
    return found


def with_query(expr: str) -> Harm:
    def harm(board: Json) -> None:
        next(panels(board))["targets"][0]["expr"] = expr

    return harm


def with_variable(which: str, **properties: object) -> Harm:
    return lambda board: variable(board, which).update(properties)


def with_panel(**properties: object) -> Harm:
    return lambda board: next(panels(board)).update(properties)


def asking_loki(expr: str) -> Harm:
    def harm(board: Json) -> None:
        target = next(panels(board))["targets"][0]
        target |= {"datasource": {"type": "loki", "uid": "${datasource}"}, "expr": expr}

    return harm


BROKEN: list[tuple[str, Harm]] = [
    ("template-datasource-rule", with_variable("datasource", name="prom")),
    ("template-datasource-rule", with_variable("datasource", label="Source")),
    ("template-datasource-rule", lambda board: board["templating"]["list"].pop(0)),
    ("template-job-rule", with_variable("job", multi=False)),
    ("template-job-rule", with_variable("job", allValue=".*")),
    ("template-job-rule", with_variable("job", datasource={"type": "prometheus", "uid": "abc"})),
    ("template-instance-rule", with_variable("instance", label="Host")),
    ("template-instance-rule", with_variable("instance", name="host")),
    ("template-label-promql-rule", with_variable("model", query={"query": "label_values(model_info{, model)"})),
    ("template-label-promql-rule", with_variable("model", query={"query": "values(model_info, model)"})),
    ("template-on-time-change-reload-rule", with_variable("model", refresh=1)),
    ("panel-datasource-rule", with_panel(datasource={"type": "prometheus", "uid": "abc"})),
    ("panel-title-description-rule", with_panel(description="")),
    ("panel-title-description-rule", with_panel(title="")),
    ("panel-units-rule", with_panel(fieldConfig={"defaults": {}, "overrides": []})),
    ("panel-units-rule", with_panel(fieldConfig={"defaults": {"unit": "furlong"}, "overrides": []})),
    ("panel-no-targets-rule", with_panel(targets=[])),
    ("target-logql-rule", asking_loki('{job="x"}')),
    ("target-logql-auto-rule", asking_loki('rate({job="x"}[5m])')),
    ("target-promql-rule", with_query("sum(")),
    ("target-rate-interval-rule", with_query('rate(x_total{job=~"$job", instance=~"$instance"}[5m])')),
    ("target-job-rule", with_query('x{instance=~"$instance"}')),
    ("target-job-rule", with_query('x{job="$job", instance=~"$instance"}')),
    ("target-instance-rule", with_query('x{job=~"$job"} / x{job=~"$job", instance=~"$instance"}')),
    ("target-counter-agg-rule", with_query('sum(x_total{job=~"$job", instance=~"$instance"})')),
    ("target-counter-agg-rule", with_query('delta(x_total{job=~"$job", instance=~"$instance"}[$__rate_interval])')),
    ("uneditable-dashboard", lambda board: board.update(editable=True)),
]


@pytest.mark.parametrize(("rule", "harm"), BROKEN, ids=[f"{number}-{rule}" for number, (rule, _) in enumerate(BROKEN)])
def test_a_board_that_breaks_a_rule_is_caught_by_it(rule: str, harm: Harm) -> None:
    board = copy.deepcopy(committed("fleet"))
    assert list(RULES[rule](board)) == []
    harm(board)
    assert list(RULES[rule](board))


def test_all_seventeen_rules_are_here_and_each_is_seen_to_catch_something() -> None:
    assert len(RULES) == 17
    assert {rule for rule, _ in BROKEN} == set(RULES)
