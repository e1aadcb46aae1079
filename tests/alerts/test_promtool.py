"""promtool runs the tests beside the rules; every alert has one that fires, one that stays quiet, one that resolves."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from alerts.generator.render import RULES, alerts
from alerts.generator.rule import Alert
from tests.alerts.queries import PARAMETERS
from tests.processes import tool
from tidegauge.config.durations import parse_duration

FILES = sorted(RULES.with_name("tests").glob("*.yml"))
ALERTS = alerts(PARAMETERS)
_FIRING = re.compile(r'count\(ALERTS\{alertname="(\w+)", alertstate="firing"\}\)')
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)

Check = tuple[int, bool]  # when, in ms; whether it was to fire


def groups() -> Iterator[dict[str, Any]]:
    for path in FILES:
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]


def checks(group: dict[str, Any]) -> dict[str, list[Check]]:
    """What a group of tests expects of each alert, by time."""
    found: dict[str, list[Check]] = defaultdict(list)
    for test in group.get("alert_rule_test", ()):
        found[test["alertname"]].append((parse_duration(test["eval_time"]), bool(test["exp_alerts"])))
    for test in group.get("promql_expr_test", ()):
        name = _FIRING.fullmatch(test["expr"])
        assert name, f"{test['expr']}: expected {_FIRING.pattern}"
        found[name[1]].append((parse_duration(test["eval_time"]), bool(test["exp_samples"])))
    return {name: sorted(each) for name, each in found.items()}


@pytest.fixture(scope="module")
def runs() -> dict[str, subprocess.CompletedProcess[str]]:
    """Every file's run; promtool uses one core each."""

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [tool("promtool"), "test", "rules", name]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=FILES[0].parent, timeout=600)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip((path.name for path in FILES), pool.map(run, [path.name for path in FILES]), strict=True))


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_promtool_finds_the_alerts_to_fire_and_to_rest_as_expected(
    runs: dict[str, subprocess.CompletedProcess[str]], name: str
) -> None:
    assert runs[name].returncode == 0, runs[name].stdout + runs[name].stderr


@every_alert
def test_every_alert_is_tested_for_firing_with_its_texts(alert: Alert) -> None:
    fired = [
        expected
        for group in groups()
        for test in group.get("alert_rule_test", ())
        if test["alertname"] == alert.name
        for expected in test["exp_alerts"]
    ]
    assert fired
    for expected in fired:
        texts = expected["exp_annotations"]
        assert set(texts) == {"summary", "description", "runbook_url", "dashboard_url"}
        for text in texts.values():
            assert "<no value>" not in text
            assert "error expanding" not in text
            assert "unknown" not in text.replace("unknown_model", "")
            assert not re.search(r"=(&|$)", text), "a link with an empty variable"


@every_alert
def test_every_alert_is_tested_for_staying_quiet(alert: Alert) -> None:
    if alert.name == "Watchdog":
        return
    quiet = [
        group["name"] for group in groups() if not any(fires for _, fires in checks(group).get(alert.name, [(0, True)]))
    ]
    assert quiet


@every_alert
def test_every_alert_is_tested_for_resolving(alert: Alert) -> None:
    if alert.name == "Watchdog":
        return
    assert any(
        fires and not any(later for _, later in expected[number + 1 :]) and len(expected) > number + 1
        for group in groups()
        for expected in [checks(group).get(alert.name, [])]
        for number, (_, fires) in enumerate(expected)
    )


@every_alert
def test_every_alert_is_tested_over_missed_scrapes(alert: Alert) -> None:
    """Samples go stale and come back in some group about the alert."""
    if alert.name == "Watchdog":
        return
    assert any(
        re.search(r"stale [^s]*\d", series["values"]) or " 0 1" in series["values"] or " 0+0x2 1" in series["values"]
        for group in groups()
        if alert.name in checks(group)
        for series in group["input_series"]
    )
