"""Every alert has its page, in the same four parts, and the queries on it can be run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerts.generator.render import RULES, alerts
from tests.alerts.queries import PARAMETERS, existing, metrics, nodes, parse, selectors

RUNBOOKS = RULES.with_name("runbooks")
PAGES = sorted(RUNBOOKS.glob("*.md"))
NAMES = sorted({alert.name for alert in alerts(PARAMETERS)})
_QUERY = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_there_is_one_page_an_alert_and_none_without() -> None:
    assert [page.stem for page in PAGES] == NAMES


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
