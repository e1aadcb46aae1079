"""The landing page shows what it is given, and nothing that it is given can become markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.publish.page import PageModel, QualityRow, SourceRow, render_page

ROW = QualityRow("fraud", "v2", "outcome", "accuracy", "24h", 0.93125, 0.91, 0.95, 12345.0, "ok")
SOURCE = SourceRow("predictions", "/var/log/*.jsonl", 2, 1048576, 3.2)
PAGE = PageModel("0.1.0", True, 1_700_000_000_000, 1_700_000_000_000, [ROW], [SOURCE], ["state: no space left"])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "meta":
            return
        self._open.append(tag)
        if tag in ("td", "li"):
            self.cells.append("")
        self.links.extend(value or "" for name, value in attrs if name == "href")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "li"} & set(self._open):
            self.cells[-1] += data


def _read(page: PageModel) -> _Reader:
    reader = _Reader()
    reader.feed(render_page(page).decode("utf-8"))
    reader.close()
    assert not reader._open
    return reader


def test_scores_sources_and_problems_are_shown() -> None:
    reader = _read(PAGE)
    assert reader.cells == [
        "state: no space left",
        *("fraud", "v2", "outcome", "accuracy", "24h", "0.9313", "0.91 – 0.95", "12,345", ""),
        *("predictions", "/var/log/*.jsonl", "2", "1,048,576", "3"),
    ]
    assert reader.links == ["/metrics", "/-/healthy", "/-/ready"]
    assert "2023-11-14 22:13:20 UTC" in render_page(PAGE).decode()


def test_an_unknown_score_is_left_blank_and_its_state_named() -> None:
    row = replace(ROW, score=None, lower=None, upper=None, samples=0.0, state="no_feedback")
    assert _read(replace(PAGE, quality=[row])).cells[6:10] == ["", "", "0", "no feedback"]


def test_before_the_first_refresh_the_page_says_so() -> None:
    text = render_page(PageModel("0.1.0", False, None, None)).decode()
    assert "Still reading" in text
    assert "No predictions yet" in text
    assert "Problems" not in text


@given(
    st.text() | st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;b&gt;", "\ud800", "]]>"])
)
def test_hostile_text_stays_text(hostile: str) -> None:
    plain = _read(PAGE)
    row = replace(ROW, model=hostile, version=hostile, channel=hostile, metric=hostile, window=hostile, state=hostile)
    reader = _read(
        PageModel(
            hostile,
            True,
            PAGE.refreshed_ms,
            PAGE.clock_ms,
            [row],
            [replace(SOURCE, name=hostile, pattern=hostile)],
            [hostile],
        )
    )
    assert reader.tags == plain.tags
    assert reader.links == plain.links
    expected = hostile.encode("utf-8", "backslashreplace").decode()
    if not set(expected) & set("\r\0"):
        assert reader.cells[1] == expected


def test_every_text_of_a_row_reaches_the_page() -> None:
    row = QualityRow("a-model", "a-version", "a-channel", "a-metric", "a-window", 1.0, 0.5, 2.0, 7.0, "a-state")
    cells = _read(replace(PAGE, quality=[row])).cells
    assert cells[1:10] == ["a-model", "a-version", "a-channel", "a-metric", "a-window", "1", "0.5 – 2", "7", "a-state"]
