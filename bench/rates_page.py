"""The page of measured error rates: each benchmark of the statistics writes its own section."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = """# Measured error rates

Written by `make bench-statistics`. Simulations with fixed seeds; what is simulated are the functions that the
exporter calls. Each figure comes with its Monte-Carlo standard error. What the figures mean is in
[statistics.md](statistics.md).
"""


def write_section(path: Path, title: str, body: str) -> None:
    """Puts the section there, in place of the one of that title if there is one."""
    page = path.read_text(encoding="utf-8") if path.exists() else HEAD
    section = f"## {title}\n\n{body.strip()}\n"
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.M | re.S)
    if old.search(page):
        page = old.sub(lambda _: section + "\n", page).rstrip() + "\n"
    else:
        page = f"{page.rstrip()}\n\n{section}"
    path.write_text(page, encoding="utf-8")
