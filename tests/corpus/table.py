"""The tables beside the corpus: what is expected of each entry. One entry a line: its name, a tab, the outcome."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def outcomes(table: str) -> dict[str, str]:
    """Expected outcome by entry, in the table's order. Raises ValueError for an entry that is there twice."""
    found: dict[str, str] = {}
    for line in (HERE / f"{table}.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, _, outcome = line.partition("\t")
        if name in found:
            raise ValueError(f"{table}: {name} is there twice")
        found[name] = outcome
    return found
