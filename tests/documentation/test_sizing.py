"""The formulas of the sizing table in docs/operations.md give the series that are served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import sizing

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
FORMULA = re.compile(
    r"^\| (\w+)(?:, 4 classes)? \| v x \((\d+) \+ w x \((\d+) \+ (\d+) s\)\) \| ([\d,]+) \| ([\d,]+) \|$", re.M
)


@pytest.mark.parametrize(("task", "model", "window", "value", "small", "large"), FORMULA.findall(PAGE))
def test_series_are_as_many_as_planned(
    task: str, model: str, window: str, value: str, small: str, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "ROWS", 5_000)
    base, by_window, by_value = int(model), int(window), int(value)
    first, _, *further = (int(cell.replace(",", "")) for cell in sizing.coefficients(task)[1:5])
    assert first == base + by_window
    assert further == [by_window, by_value]
    for shown, windows, values in ((small, 2, 0), (large, 3, 20)):
        assert int(shown.replace(",", "")) == 2 * (base + windows * (by_window + values * by_value))


def test_three_tasks_have_formulas() -> None:
    assert [row[0] for row in FORMULA.findall(PAGE)] == ["binary", "multiclass", "regression"]
