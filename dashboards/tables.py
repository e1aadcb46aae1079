"""Builders of panels that show rows: tables, matrices and bars, each row a combination of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from dashboards.panels import (
    CLEAR,
    TOOLTIP,
    Json,
    Mapped,
    Panel,
    Query,
    Steps,
    by_name,
    by_pattern,
    mappings,
    thresholds,
)

MINIMUM_COLUMN = 60
"""Pixels; Grafana would make no column of a table narrower than 150, and its tables wider than the screen."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a label of all queries, (with `expr`) a value, or (with both) a label of its own query."""

    title: str
    label: str = ""
    expr: str = ""
    unit: str = "none"
    decimals: int | None = None
    texts: Mapped | None = None
    steps: Steps = ()
    links: tuple[Json, ...] = ()
    gauge: bool = False
    width: int | None = None
    absent: str = "–"  # what a cell without a value says

    def override(self) -> Json:
        properties: Json = {"noValue": self.absent}
        if self.expr and not self.label:
            properties["unit"] = self.unit
        if self.decimals is not None:
            properties["decimals"] = self.decimals
        if self.texts:
            properties["mappings"] = mappings(self.texts)
        if self.steps:
            properties["thresholds"] = thresholds(self.steps)
            properties["color"] = {"mode": "thresholds"}
        if self.gauge:
            properties |= {"custom_cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}}
            properties |= {"min": 0, "max": 1}
        elif self.texts or self.steps:
            properties["custom_cellOptions"] = {"type": "color-background", "mode": "basic"}
        if self.links:
            properties["links"] = list(self.links)
        if self.width is not None:
            properties["custom_width"] = self.width
        return by_name(self.title, **properties)


def bars(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    x: str,
    unit: str,
    empty: str,
    width: int = 12,
    maximum: float | None = None,
    links: Sequence[Json] = (),
) -> Panel:
    """Bars side by side for each value of the label `x`, as it is now."""
    defaults: Json = {
        "color": {"mode": "palette-classic-by-name"},
        "custom": {"fillOpacity": 70, "lineWidth": 1},
        "min": 0,
    }
    if maximum is not None:
        defaults["max"] = maximum
    if links:
        defaults["links"] = list(links)
    options: Json = {
        "barRadius": 0,
        "barWidth": 0.9,
        "groupWidth": 0.75,
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "orientation": "auto",
        "showValue": "never",
        "stacking": "none",
        "tooltip": TOOLTIP,
        "xField": x,
        "xTickLabelRotation": 0,
        "xTickLabelSpacing": 100,
    }
    queries, transformations = _columns(columns)
    order: Json = {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": x}]}}
    return Panel(
        "barchart", title, description, unit, queries, empty, width, 8, defaults, options,
        transformations=(*transformations, order),
    )  # fmt: skip


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    unit: str,
    empty: str,
    width: int = 24,
    height: int = 8,
    sort: str = "",
    descending: bool = False,
) -> Panel:
    """A row for each combination of the label columns, as it is now; every query has just these labels."""
    queries, transformations = _columns(columns)
    options: Json = {"cellHeight": "sm", "footer": {"show": False}, "showHeader": True}
    if sort:
        options["sortBy"] = [{"displayName": sort, "desc": descending}]
    overrides = tuple(column.override() for column in columns)
    return Panel(
        "table", title, description, unit, queries, empty, width, height, _table_defaults(), options, overrides,
        transformations,
    )  # fmt: skip


def matrix(
    title: str, description: str, expr: str, *, rows: str, columns: str, unit: str, empty: str, width: int = 12
) -> Panel:
    """A table of one value by two labels, its cells coloured by the value (0 to 1)."""
    transformations: tuple[Json, ...] = (
        {"id": "groupingToMatrix", "options": {"columnField": columns, "rowField": rows, "valueField": "Value"}},
    )
    defaults = _table_defaults() | {"color": {"mode": "continuous-blues"}, "min": 0, "max": 1, "decimals": 1}
    defaults["custom"] = defaults["custom"] | {"cellOptions": {"type": "color-background", "mode": "basic"}}
    cells = by_pattern(".*", noValue="–")
    corner = by_name(f"{rows}\\{columns}", custom_cellOptions={"type": "auto"})
    options: Json = {"cellHeight": "sm", "footer": {"show": False}, "showHeader": True}
    query = Query(expr, instant=True, format="table")
    return Panel(
        "table",
        title,
        description,
        unit,
        (query,),
        empty,
        width,
        8,
        defaults,
        options,
        (cells, corner),
        transformations,
    )


def _table_defaults() -> Json:
    return {
        "custom": {
            "align": "auto",
            "cellOptions": {"type": "auto"},
            "filterable": False,
            "inspect": False,
            "minWidth": MINIMUM_COLUMN,
        },
        "thresholds": thresholds(((None, CLEAR),)),
    }


def _columns(columns: Sequence[Column]) -> tuple[tuple[Query, ...], tuple[Json, ...]]:
    """The queries of the value columns, and what makes one table of their answers with the columns in this order."""
    asked = [column for column in columns if column.expr]
    queries = tuple(Query(column.expr, instant=True, format="table") for column in asked)
    values = {column.title: f"Value #{ref}" for ref, column in zip(ascii_uppercase, asked, strict=False)}
    if len(asked) == 1:
        values = {asked[0].title: "Value"}
    fields = {column.title: column.label or values[column.title] for column in columns}
    dropped = ["Time", *(values[column.title] for column in asked if column.label)]
    organize: Json = {
        "id": "organize",
        "options": {
            "excludeByName": dict.fromkeys(dropped, True),
            "indexByName": {field: index for index, field in enumerate(fields.values())},
            "renameByName": {field: title for title, field in fields.items()},
        },
    }
    return queries, ({"id": "merge", "options": {}}, organize)
