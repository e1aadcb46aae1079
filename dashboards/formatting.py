"""Long PromQL over several lines, as people would write it: for those who open a panel to see what it asks.

Only whitespace is added, and none within quotes, so that the query stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 100
STEP = "  "
_OPERATORS = tuple(
    re.compile(rf" (?=(?:{operators}) )") for operators in (r"or", r"and|unless", r"==|!=|<=|>=|<|>", r"\+|-", r"\*|/")
)
"""From the loosest to the tightest; a match is the space before one."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def lines(query: str, indent: str = "") -> str:
    """The query on one line if it fits, else broken at its loosest operators, and within its brackets."""
    if len(indent) + len(query) <= WIDTH:
        return indent + query
    outside = _outside(query)
    for operator in _OPERATORS:
        breaks = [found.start() for found in operator.finditer(outside)]
        if breaks:
            return "\n".join(lines(part.strip(), indent) for part in _split(query, breaks))
    if not outside.endswith(")"):
        return indent + query
    opening = outside.rindex("(")
    inner = query[opening + 1 : -1]
    commas = [found.start() for found in re.finditer(",", _outside(inner))]
    arguments = [lines(part.strip(" ,"), indent + STEP) for part in _split(inner, commas)]
    return "\n".join([indent + query[: opening + 1], ",\n".join(arguments), indent + ")"])


def _outside(text: str) -> str:
    """The text with all that is within quotes or brackets blanked out, the outermost brackets left."""
    plain = _QUOTED.sub(lambda found: "_" * len(found[0]), text)
    kept = []
    depth = 0
    for sign in plain:
        depth -= sign in ")]}"
        kept.append(sign if depth == 0 else "_")
        depth += sign in "([{"
    return "".join(kept)


def _split(text: str, places: list[int]) -> Iterator[str]:
    begin = 0
    for place in [*places, len(text)]:
        yield text[begin:place]
        begin = place
