"""Every test of this directory starts from logs that are as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.logs import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
