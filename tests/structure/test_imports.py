"""Imports point one way: what comes early on the way of the data knows nothing of what comes later."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidegauge

ROOT = Path(tidegauge.__file__).parent
LEAVES = {"config", "state"}
"""What all may use; they use each other, and nothing else."""
MAY_USE = {
    "config": LEAVES,
    "state": LEAVES,
    "sources": LEAVES,
    "simulate": LEAVES,
    "join": LEAVES,
    "decode": LEAVES | {"join"},  # the rows that it fills
    "tally": LEAVES | {"decode", "join"},
    "assess": LEAVES | {"decode", "join", "tally"},
    "reference": LEAVES | {"decode", "join", "tally"},  # made of what logs are counted by, before any is
    "publish": LEAVES,
}
"""By package; those that are not here, `pipeline` above all, may know everything."""


def used(package: str) -> Iterator[tuple[str, str]]:
    """(file, package of this project that it imports from)."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ImportFrom(module="tidegauge", names=names):
                    modules = [f"tidegauge.{one.name}" for one in names]
                case ast.ImportFrom(module=str(module)):
                    modules = [module]
                case ast.Import(names=names):
                    modules = [one.name for one in names]
                case _:
                    continue
            for module in modules:
                if module.startswith("tidegauge."):
                    yield str(path.relative_to(ROOT)), module.split(".")[1]


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_uses_only_what_comes_before_it(package: str) -> None:
    found = set(used(package))
    assert found
    assert {one for one in found if one[1] not in MAY_USE[package] | {package}} == set()


def test_every_package_has_its_place() -> None:
    knows_all = {"pipeline", "check"}
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(MAY_USE) | knows_all
