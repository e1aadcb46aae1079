"""The names that log rotation gives to files.

A rotated name says which live name it came from; what the file is, its content says (see fingerprint).
"""

from __future__ import annotations

import re

_SUFFIX = re.compile(r"(.+?)[-._](?:(\d[\dTZ:_.+-]*)|old|prev|previous)")
_INFIX = re.compile(r"(.+?)[-._](\d[\dTZ:_.+-]*)(\.[A-Za-z][A-Za-z0-9]*)")


def live_names(name: str) -> tuple[str, ...]:
    """Names that a file may have had before rotation: app.log.1, app.log-20240131.gz, app-2.log give app.log."""
    plain = name.removesuffix(".gz")
    found = [plain] if plain != name else []
    suffix = _SUFFIX.fullmatch(plain)
    if suffix:
        found.append(suffix[1])
    infix = _INFIX.fullmatch(plain)
    if infix:
        found.append(infix[1] + infix[3])
    return tuple(found)


def rotation_number(name: str) -> int:
    """The 2 of app.log.2.gz; 0 where the number is a date or there is none. Higher numbers are older."""
    plain = name.removesuffix(".gz")
    match = _SUFFIX.fullmatch(plain) or _INFIX.fullmatch(plain)
    digits = match[2] if match else None
    return int(digits) if digits and digits.isdigit() and len(digits) < 5 else 0


def stem(name: str) -> str:
    """The part of a live name that any rotated name of it begins with."""
    return name.lstrip(".").split(".", 1)[0]
