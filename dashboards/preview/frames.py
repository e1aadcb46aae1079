"""What a panel's queries answer, as lines or as rows, after the transformations that the boards use.

A row is a mapping from column to text or number; a line has a name and (time, value) pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboards.preview.grafana import Json, View

Cell = str | float | None
Row = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


def lines(view: View, panel: Json) -> list[Line]:
    """The series of a panel that draws over time, or of a stat (one point each)."""
    found: list[Line] = []
    for target in panel["targets"]:
        for series in view.instant(target["expr"]) if target["instant"] else view.range(target["expr"]):
            pairs = series.get("values") or [series["value"]]
            points = tuple((float(at), float(value)) for at, value in pairs)
            found.append(Line(_legend(target["legendFormat"], series["metric"]), series["metric"], points))
    return found


def rows(view: View, panel: Json) -> list[Row]:
    """The rows of a panel that shows a table."""
    frames: list[list[Row]] = []
    for target in panel["targets"]:
        value = "Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}"
        answer = view.instant(target["expr"])
        frames.append([{**one["metric"], value: float(one["value"][1])} for one in answer])
    transformed = frames
    for step in panel["transformations"]:
        transformed = [_transform(step["id"], step["options"], transformed)]
    return transformed[0]


def _transform(name: str, options: Json, frames: list[list[Row]]) -> list[Row]:
    if name == "merge":
        return _merge(frames)
    (only,) = frames
    if name == "organize":
        return _organize(only, options["indexByName"], options["excludeByName"], options["renameByName"])
    if name == "sortBy":
        field = options["sort"][0]["field"]
        return sorted(only, key=lambda row: str(row[field]))
    if name == "groupingToMatrix":
        return _matrix(only, options["rowField"], options["columnField"], options["valueField"])
    raise ValueError(f"no board uses the transformation {name}")


def _merge(frames: list[list[Row]]) -> list[Row]:
    """Rows that agree in the columns which all frames have become one."""
    filled = [frame for frame in frames if frame]
    if not filled:
        return []
    shared = sorted(set.intersection(*(set().union(*frame) for frame in filled)))
    merged: dict[tuple[Cell, ...], Row] = {}
    for frame in filled:
        for row in frame:
            merged.setdefault(tuple(row.get(column) for column in shared), {}).update(row)
    return list(merged.values())


def _organize(
    table: Iterable[Row], order: Mapping[str, int], excluded: Mapping[str, bool], titles: Mapping[str, str]
) -> list[Row]:
    """The columns that any row has, those that nobody spoke of last, under their titles."""
    listed = list(table)
    fields = sorted(dict.fromkeys(field for row in listed for field in row), key=lambda field: order.get(field, 1000))
    kept = [field for field in fields if not excluded.get(field)]
    return [{titles.get(field, field): row.get(field) for field in kept} for row in listed]


def _matrix(cells: Iterable[Row], row: str, column: str, value: str) -> list[Row]:
    listed = list(cells)
    columns = sorted({str(cell[column]) for cell in listed})
    known = {(str(cell[row]), str(cell[column])): cell[value] for cell in listed}
    return [
        {f"{row}\\{column}": name, **{other: known.get((name, other)) for other in columns}}
        for name in sorted({str(cell[row]) for cell in listed})
    ]


def _legend(form: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda found: labels.get(found[1], ""), form).strip()
