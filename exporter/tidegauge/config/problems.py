"""What is wrong with a configuration file, in words: where, what was found, what is allowed.

A leaf: knows nothing of YAML or of the schema. Problems are collected, never raised one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

Place = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_*-]+")
_LONGEST_QUOTE = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` counts from 1; 0 means that no line can be named (the file is missing)."""

    path: str  # dotted place in the file: models[0].feedback.outcome.kind; empty: the file as a whole
    line: int
    found: str
    allowed: str
    hint: str = ""
    file: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        place = f"{where}: {self.path}" if self.path else where
        return f"{place}: found {self.found}; allowed: {self.allowed}" + (f" ({self.hint})" if self.hint else "")


class ConfigurationError(Exception):
    """A configuration was refused. `problems` holds everything that is wrong with it, in the file's order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def dotted(place: Place) -> str:
    """`models[0].feedback.outcome`; keys that would be ambiguous are quoted: `models[0].features["a.b"]`."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quote(step)}]"
    return text


def quote(text: str) -> str:
    """Text in double quotes on one line, with control characters escaped and cut to a readable length."""
    shown = text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
    quoted = json.dumps(shown, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in quoted)


def suggest(text: str, options: Iterable[str]) -> str:
    """`did you mean "binary"?`, or nothing if no option is near."""
    by_folded = {option.casefold(): option for option in options}
    near = get_close_matches(text.casefold(), by_folded, n=1, cutoff=0.7)
    return f"did you mean {quote(by_folded[near[0]])}?" if near else ""


def listed(options: Iterable[str]) -> str:
    """Options for a person to read, as they would be written in the file."""
    return ", ".join(options) or "nothing"
