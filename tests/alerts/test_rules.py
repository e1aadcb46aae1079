"""The rules load, are what the generator writes, and keep the house rules of Prometheus' linters (pint's, where they
can be told without a server)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from promql_parser import AggregateExpr, BinaryExpr, Call, LabelModifierType, MatchOp, MatrixSelector, NumberLiteral

from alerts.generator.durations import Duration, minutes
from alerts.generator.parameters import Parameters
from alerts.generator.render import RULES, alerts, files, render, write
from alerts.generator.rule import Alert
from tests.alerts.queries import (
    COMPARISONS,
    PARAMETERS,
    RECORDS,
    SET_OPERATORS,
    bare,
    counters,
    existing,
    metrics,
    nodes,
    parse,
    selectors,
)
from tests.processes import tool

ALERTS = alerts(PARAMETERS)
EXPRESSIONS = {f"{rule.name} {sorted(rule.labels.items())}": rule.expression for rule in RECORDS} | {
    rule.name: rule.expression for rule in ALERTS
}
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
every_expression = pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=list(EXPRESSIONS))


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120
    )


def test_the_committed_rules_are_what_the_generator_writes() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in RULES.iterdir()}
    assert written == render(PARAMETERS), "run `make alerts`"


@pytest.mark.parametrize("factor", [1, 60, 600])
def test_promtool_accepts_the_rules_at_every_speed(tmp_path: Path, factor: float) -> None:
    paths = write(tmp_path, Parameters().faster(factor))
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *paths)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_promtool_accepts_the_configuration() -> None:
    checked = promtool("check", "config", RULES.with_name("prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@every_alert
def test_an_alert_says_what_why_whom_and_where_to_look(alert: Alert) -> None:
    rendered = next(
        rule
        for text in render(PARAMETERS).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if rule.get("alert") == alert.name
    )
    about, labels = rendered["annotations"], rendered["labels"]
    assert re.fullmatch(r"(Model|Tidegauge)([A-Z][a-z]+)+|Watchdog", alert.name)
    assert labels["severity"] in ("critical", "warning", "info", "none")
    assert "owner" in labels or "group_left (owner) model:owner:info" in rendered["expr"]
    assert re.fullmatch(r"[A-Z][^{}]*\.", about["summary"]), "a static sentence with its full stop"
    assert about["description"] != about["summary"]
    assert "{{" in about["description"] or alert.name == "Watchdog"
    assert about["runbook_url"] == f"{PARAMETERS.runbooks}/{alert.name}.md"
    assert about["dashboard_url"].startswith(f"{PARAMETERS.grafana}/d/tidegauge-")


@every_alert
def test_labels_of_an_alert_do_not_change_with_its_value(alert: Alert) -> None:
    assert "{" not in alert.severity + (alert.owner or "")


@every_alert
def test_an_alert_compares_something_with_something(alert: Alert) -> None:
    found = {str(node.op) for node in nodes(parse(alert.expression)) if isinstance(node, BinaryExpr)}
    if alert.name != "Watchdog":
        assert found & (COMPARISONS | {"unless"}), "it would fire for every value"


@every_alert
def test_an_alert_waits_for_more_than_one_scrape(alert: Alert) -> None:
    if alert.name != "Watchdog":
        assert alert.lasting >= minutes(1)


@every_alert
def test_an_alert_does_not_depend_on_which_series_come_first(alert: Alert) -> None:
    operators = {str(node.op) for node in nodes(parse(alert.expression)) if isinstance(node, AggregateExpr)}
    assert not operators & {"topk", "bottomk", "limitk", "limit_ratio"}


@every_expression
def test_every_metric_exists(expression: str) -> None:
    assert metrics(parse(expression)) <= existing()


@every_expression
def test_aggregation_and_matching_keep_the_job(expression: str) -> None:
    for node in nodes(parse(expression)):
        if isinstance(node, AggregateExpr):
            assert node.modifier is not None
            assert "job" in node.modifier.labels
        if isinstance(node, BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            assert node.modifier.matching.type == LabelModifierType.Include
            assert "job" in node.modifier.matching.labels


@every_expression
def test_rates_are_of_counters_over_more_than_one_scrape_and_counters_are_read_no_other_way(expression: str) -> None:
    counting = counters()
    inside = set[str]()
    for node in nodes(parse(expression)):
        if isinstance(node, Call) and node.func.name in ("rate", "increase"):
            (matrix,) = node.args
            assert isinstance(matrix, MatrixSelector)
            assert matrix.vector_selector.name in counting
            assert matrix.range.total_seconds() >= 4 * 15
            inside.add(str(matrix.vector_selector.name))
    read = metrics(parse(expression)) & counting
    assert read <= inside


@every_expression
def test_a_regular_expression_is_used_only_where_there_is_something_to_match(expression: str) -> None:
    for selector in selectors(parse(expression)):
        for matcher in selector.matchers.matchers:
            if matcher.op in (MatchOp.Re, MatchOp.NotRe):
                assert re.search(r"[|.*+?\[(]", matcher.value), matcher


# Divisions whose denominator is never 0: the exporter publishes no score that rests on nothing.
_SAFE = {"model_quality_denominator"}
# 1 - objective: an objective of 1 allows no error, and any error then burns infinitely fast.
_INFINITE = {"model:error_budget:ratio"}


@every_expression
def test_no_division_by_zero(expression: str) -> None:
    for node in nodes(parse(expression)):
        if isinstance(node, BinaryExpr) and str(node.op) == "/":
            divisor = bare(node.rhs)
            guarded = isinstance(divisor, BinaryExpr) and str(divisor.op) in (">", ">=")
            assert guarded or metrics(divisor) <= _SAFE | _INFINITE, node


@every_expression
def test_no_offset_is_negative_and_no_comparison_is_of_two_numbers(expression: str) -> None:
    for node in nodes(parse(expression)):
        if isinstance(node, BinaryExpr) and str(node.op) not in SET_OPERATORS:
            assert not (isinstance(bare(node.lhs), NumberLiteral) and isinstance(bare(node.rhs), NumberLiteral))
    for selector in selectors(parse(expression)):
        assert selector.offset is None or selector.offset.total_seconds() > 0


def test_no_lookback_is_shorter_than_what_it_looks_at() -> None:
    for groups in files(PARAMETERS).values():
        for group in groups:
            assert minutes(0) < group.interval < PARAMETERS.bridge, "an instant vector looks back five minutes"
    waits = [alert.lasting for alert in ALERTS if alert.name.startswith("Model") and alert.name != "ModelUnobserved"]
    assert min(waits) > PARAMETERS.bridge, "one evaluation, bridged, must not be enough"


def test_a_recorded_series_is_named_by_level_metric_and_operation() -> None:
    level = r"(instance_)?(instance|model|model_owner|model_version|instance_model_version)"
    for record in RECORDS:
        assert re.fullmatch(level + r":[a-z0-9_]+:[a-z0-9]+", record.name), record.name


def test_everything_recorded_is_used() -> None:
    read = set[str]()
    for expression in EXPRESSIONS.values():
        read |= metrics(parse(expression))
    texts = " ".join(alert.description for alert in ALERTS)
    for record in RECORDS:
        assert record.name in read or record.name in texts, record.name


def test_a_faster_trial_has_the_same_rules_with_shorter_durations() -> None:
    fast = Parameters().faster(60)
    assert (fast.missed_for, fast.hold, fast.fast_burns[0].long) == (
        Duration(10_000),
        Duration(24 * 60_000),
        Duration(60_000),
    )
    assert [alert.name for alert in alerts(fast)] == [alert.name for alert in ALERTS]
    assert Parameters().faster(1) == PARAMETERS
    with pytest.raises(ValueError, match="must be positive"):
        Parameters().faster(0)
