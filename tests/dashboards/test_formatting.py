"""Queries over several lines are the queries that they were on one, and can be read."""

from __future__ import annotations

import re

import pytest

from dashboards.boards import BOARDS
from dashboards.formatting import WIDTH, lines
from tests.dashboards.linter import parsed

QUERIES = sorted(
    {
        query.expr
        for board in BOARDS.values()
        for section in board.sections
        for panel in section.panels
        for query in panel.queries
    }
)


def test_what_fits_stays_on_its_line() -> None:
    assert lines("sum by (model) (up) or 0") == "sum by (model) (up) or 0"


def test_a_long_query_is_broken_at_its_loosest_operators_and_then_within_its_brackets() -> None:
    long, longer = "a" * 50, "b" * 90
    assert lines(f'{long} * 2 or on (model) max by (x) ({longer}{{y=" or ("}}) > 0').splitlines() == [
        f"{long} * 2",
        "or on (model) max by (x) (",
        f'  {longer}{{y=" or ("}}',
        ")",
        "> 0",
    ]
    assert lines(f"histogram_quantile(0.5, {longer})").splitlines() == [
        "histogram_quantile(",
        "  0.5,",
        f"  {longer}",
        ")",
    ]


@pytest.mark.parametrize("query", QUERIES, ids=[str(number) for number, _ in enumerate(QUERIES)])
def test_a_query_of_the_boards_says_the_same_in_short_lines(query: str) -> None:
    written = lines(query)
    assert str(parsed(written)) == str(parsed(query))
    assert re.findall(r'"[^"]*"', written) == re.findall(r'"[^"]*"', query)
    for line in written.splitlines():
        # A selector is one line however long it is; an operator and what it matches on may lead it.
        assert len(line) <= WIDTH or re.fullmatch(r"[^{]*\{[^{]*\}(\[\S+\])?\S*( [<>=!]+ \S+)?", line), line
