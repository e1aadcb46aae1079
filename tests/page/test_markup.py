"""Nothing that a log, a file name or the configuration says can become markup, mislead the eye or break the page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.page.reports import NOW, model, report, version
from tidegauge.publish.markup import name, text, visible
from tidegauge.publish.page import render_page
from tidegauge.publish.report import Report

VOID = {"meta", "br"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "&lt;b&gt;&amp;",
    "</style></title><svg onload=alert(1)>",
    "<!-- --> ]]> <![CDATA[",
    "\ud800 lone",
    "javascript:alert(1)",
    "{{7*7}}${7*7}`",
)


class Reader(HTMLParser):
    """The page as a browser takes it apart: tags with their attributes, and text. Fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.said: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.links.extend(value or "" for name, value in attrs if name == "href")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)


def read(shown: Report) -> Reader:
    reader = Reader()
    reader.feed(render_page(shown, NOW).decode("utf-8"))
    reader.close()
    assert not reader.open
    return reader


def spoiled(value: Any, hostile: str, kind: type) -> Any:
    """The report with every free text replaced; the words that Tidegauge itself chooses stay."""
    chosen = {"verdict", "severity", "about", "clock", "dashboard", "runbook"}
    if not hasattr(value, "__dataclass_fields__"):
        return tuple(spoiled(one, hostile, kind) for one in value) if isinstance(value, tuple) else value
    changed = {}
    for field in value.__dataclass_fields__:
        old = getattr(value, field)
        if field in chosen:
            continue
        changed[field] = hostile if isinstance(old, str) else spoiled(old, hostile, kind)
    return replace(value, **changed)


@given(st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_hostile_text_stays_text_wherever_it_stands(hostile: str) -> None:
    plain = read(spoiled(report(), "x", Report))
    reader = read(spoiled(report(), hostile, Report))
    # A backtick pair in advice becomes <code>; nothing else may come from a text.
    wanted = [one for one in plain.tags if one[0] != "code"]
    assert [one for one in reader.tags if one[0] != "code"] == wanted
    assert reader.links == plain.links


def test_every_attribute_is_one_of_a_harmless_few() -> None:
    harmless = {"lang", "charset", "name", "content", "class", "id", "href", "rel", "role", "tabindex", "scope", "open"}
    harmless |= {"datetime", "viewbox", "preserveaspectratio", "d", "x", "y", "width", "height"}
    used = {attribute for _, attributes in read(report()).tags for attribute in attributes}
    assert {one for one in used if not one.startswith("aria-")} <= harmless


@pytest.mark.parametrize(
    "mark", ["\u202e", "\u2066", "\u200f", "\u200b", "\x07", "\x00", "\ufeff", "\U000e0041", "\x9b"]
)
def test_what_cannot_be_seen_or_turns_the_writing_is_spelled_out(mark: str) -> None:
    assert visible(f"a{mark}b") == f"a\\u{ord(mark):04x}b"
    page = render_page(report(model(f"a{mark}b", version(f"c{mark}d"))), NOW).decode()
    assert mark not in page
    assert f"\\u{ord(mark):04x}" in page


def test_names_are_isolated_and_cut() -> None:
    assert name("v<1>") == "<bdi>v&lt;1&gt;</bdi>"
    assert name("") == '<span class="q">(no name)</span>'
    assert len(text("x" * 10_240)) < 200
    assert "(10,240 characters)" in text("x" * 10_240)
    heap = visible("a" + "\u0301" * 300)
    assert heap.count("\u0301") == 3


def test_letters_of_every_script_stay_as_they_are() -> None:
    for ordinary in ("Übersetzung", "модель-2", "模型", "مدل", "नमूना", "v1.2.3-rc1+build.5", "naïve"):
        assert visible(ordinary) == ordinary


def test_the_page_is_the_same_for_the_same_report() -> None:
    assert render_page(report(), NOW) == render_page(report(), NOW)
    assert msgspec.to_builtins(report()) == msgspec.to_builtins(report())
