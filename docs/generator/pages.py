"""Pages that are written by hand around generated parts, and the Markdown that both kinds of reference share.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`, which no reader sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: str, parts: Mapping[str, str]) -> str:
    """The page with its parts as they should be. Raises KeyError where page and parts do not know each other."""
    wanted = [name for _, name, _ in _PART.findall(page)]
    if sorted(wanted) != sorted(parts):
        raise KeyError(f"the page has the parts {sorted(wanted)}, generated were {sorted(parts)}")
    return _PART.sub(lambda match: f"{match[1]}\n{parts[match[2]].strip()}\n\n{match[3]}", page)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
