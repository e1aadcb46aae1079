"""Every alert has its page, in the same four parts, and the queries on it can be run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerts.generator.render import RULES, alerts
from tests.alerts.queries import PARAMETERS, existing, metrics, nodes, parse, selectors
from tidegauge.assess.verdicts import MISSED, SILENT
from tidegauge.pipeline.runbooks import ALERTS as BY_CODE
from tidegauge.pipeline.runbooks import DUPLICATE, RECORDS, REFUSED, alert

RUNBOOKS = RULES.with_name("runbooks")
PAGES = sorted(RUNBOOKS.glob("*.md"))
NAMES = sorted({alert.name for alert in alerts(PARAMETERS)})
_QUERY = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_there_is_one_page_an_alert_and_none_without() -> None:
    assert [page.stem for page in PAGES] == NAMES


def test_links_of_the_exporters_page_lead_to_alerts_that_have_a_page() -> None:
    assert {*BY_CODE.values(), REFUSED} <= set(NAMES)
    # What is left out of the refused records is what the alert leaves out.
    (refused,) = [one for one in alerts(PARAMETERS) if one.name == REFUSED]
    unused = DUPLICATE.removeprefix(RECORDS)
    assert f'result!~"accepted|{unused}"' in refused.expression
    assert (alert(DUPLICATE), alert(f"{RECORDS}late")) == (None, REFUSED)


def test_the_table_of_problems_names_the_alert_that_each_leads_to() -> None:
    section = (RULES.parents[1] / "docs" / "page.md").read_text(encoding="utf-8").split("## Problems")[1]
    rows = re.findall(r"^\| (`.+?`[^|]*) \|[^|]*\| (.+?) \|$", section.split("\n## ")[0], re.MULTILINE)
    names = {name: re.sub(r"^\[(\w+)\]\(.+/\1\.md\)$", r"\1", name) for _, name in rows}
    told = {code: names[name] for codes, name in rows for code in re.findall(r"`(\w+)`", codes)}
    assert told.keys() >= BY_CODE.keys() - {MISSED, SILENT}
    assert told == {code: alert(f"{code}late" if code == RECORDS else code) or "none" for code in told}
    for verdict in (MISSED, SILENT):
        assert re.search(rf"`{verdict}`\s(leads\s)?to\s\[{BY_CODE[verdict]}\]", section)


@pytest.mark.parametrize("page", ["drift", "page", "operations", "how-it-works", "concepts", "guarantees"])
def test_where_a_page_names_an_alert_it_leads_to_its_runbook(page: str) -> None:
    text = (RULES.parents[1] / "docs" / f"{page}.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    links = re.sub(r"\[(\w+)\]\(\.\./alerts/runbooks/\1\.md\)", "", prose)
    assert [name for name in NAMES if re.search(rf"\b{name}\b", links)] == []


@every_page
def test_a_page_has_its_parts_in_order_and_none_is_empty(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)
    assert parts[1::2] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert all(part.strip() for part in parts[2::2])


@every_page
def test_the_queries_of_a_page_parse_and_read_metrics_that_exist(page: Path) -> None:
    queries = _QUERY.findall(page.read_text(encoding="utf-8"))
    assert queries
    for query in queries:
        expression = parse(query)
        assert metrics(expression) <= existing(), query
        assert selectors(expression), query
        assert all(node is not None for node in nodes(expression))


@every_page
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        assert (RUNBOOKS / target).is_file(), target
