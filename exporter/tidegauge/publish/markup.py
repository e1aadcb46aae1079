"""The one way from text to HTML. Everything that comes from logs, files or the configuration passes through `text`.

Escaping alone is not enough for names that somebody hostile chose: characters that turn the direction of writing or
that nobody can see are shown as what they are, and very long texts are cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

LONGEST = 80
"""Characters of a text that are shown; messages may have more."""
LONGEST_MESSAGE = 2000
# Controls, marks and overrides of direction, invisible separators, lone surrogates, non-characters, tags.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_UNIT = re.compile(r"(?<=\d) (?=(?:min|[hsd%MGT]|[kMGT]?B)(?![\w-]))")
_CODE = re.compile("`([^`]+)`")
_COMBINING = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


def visible(value: str, longest: int = LONGEST) -> str:
    """The text as it may be shown: cut, with unseen characters spelled out. Not markup yet."""
    shown = value
    if len(value) > longest:
        shown = f"{value[: longest - 1]}… ({len(value):,} characters)"
    if shown.isascii() and shown.isprintable():
        return shown
    shown = _COMBINING.sub(r"\1", shown)
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", shown)


def text(value: str, longest: int = LONGEST) -> str:
    """A text as HTML, for elements and for quoted attributes."""
    return escape(visible(value, longest), quote=True)


def name(value: str) -> str:
    """A name out of the logs, set apart so that its direction of writing changes nothing around it."""
    return f"<bdi>{text(value)}</bdi>" if value else '<span class="q">(no name)</span>'


def sentence(value: str) -> str:
    """A sentence that may hold names; numbers stay on the line of their units."""
    return tight(text(value, LONGEST_MESSAGE))


def tight(markup: str) -> str:
    """The same with spaces between numbers and units that do not break."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", markup)


def advice(value: str) -> str:
    """A sentence in which `keys` and `commands` stand between backticks."""
    return _CODE.sub(r"<code>\1</code>", sentence(value))


def link(target: str, label: str, hidden: str = "") -> str:
    """A link that leads away from the page; `hidden` is said to those who only hear it."""
    more = f'<span class="h"> {text(hidden)}</span>' if hidden else ""
    return f'<a href="{escape(target, quote=True)}" rel="noreferrer">{text(label)}{more}</a>'


def table(caption: str, titles: list[str], rows: list[list[str]], numeric: Callable[[int], bool]) -> str:
    """A table whose cells are markup already, in a box of its own that scrolls; the first cell heads its row."""
    classes = [' class="n"' if numeric(column) else "" for column in range(len(titles))]
    head = "".join(f'<th scope="col"{kind}>{title}</th>' for title, kind in zip(titles, classes, strict=True))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row[1:], classes[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="t" tabindex="0" role="region" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
