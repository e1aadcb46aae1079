"""Builders of panels: small values that know how they become Grafana's JSON.

A panel's place on the board is the board's business. Colours are Grafana's named ones, which suit both themes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from dashboards.formatting import lines
from dashboards.promql import STATES

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE, ORANGE, PURPLE = "green", "yellow", "red", "blue", "orange", "purple"
PLAIN = "text"
"""The colour of the theme's text."""
CLEAR = "transparent"
"""For the ground of a cell that should not stand out."""

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: from this value on (None: from the lowest), this colour."""
Mapped = Mapping[str, tuple[str, str]]
"""Value as text -> what is shown and its colour."""

STATE_TEXTS: Mapped = {
    "ok": ("ok", GREEN),
    "immature": ("waiting for maturity", BLUE),
    "no_feedback": ("no feedback", ORANGE),
    "insufficient_samples": ("too few samples", YELLOW),
    "unsupported": ("not supported", PURPLE),
}
STATE_CODES: Mapped = {str(code): STATE_TEXTS[state] for code, state in enumerate(STATES)}
SEVERITIES: Mapped = {"critical": ("critical", RED), "warning": ("warning", YELLOW), "info": ("info", BLUE)}
VERDICTS: Mapped = {"0": ("missed", RED), "1": ("undecided", YELLOW), "2": ("met", GREEN)}
RELEASE_VERDICTS: Mapped = {"0": ("promote", GREEN), "1": ("keep watching", BLUE), "2": ("roll back", RED)}
CHANGE_STATES: Mapped = {"0": ("learning", BLUE), "1": ("watching", GREEN), "2": ("worse", RED)}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel."""

    expr: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"

    def json(self, ref: str) -> Json:
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": lines(self.expr),
            "format": self.format,
            "instant": self.instant,
            "legendFormat": self.legend,
            "range": not self.instant,
            "refId": ref,
        }


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel without its place. `empty` is what it says instead of "No data": why there may be nothing to show."""

    type: str
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    empty: str
    width: int
    height: int
    defaults: Json
    options: Json
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    repeat: str = ""

    def json(self, number: int, x: int, y: int) -> Json:
        panel: Json = {
            "id": number,
            "type": self.type,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [query.json(ref) for ref, query in zip(ascii_uppercase, self.queries, strict=False)],
            "fieldConfig": {
                "defaults": {"unit": self.unit, "noValue": self.empty, **self.defaults},
                "overrides": list(self.overrides),
            },
            "options": self.options,
        }
        if self.transformations:
            panel["transformations"] = list(self.transformations)
        if self.repeat:
            panel |= {"repeat": self.repeat, "repeatDirection": "h", "maxPerRow": 2}
        return panel


def thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def mappings(texts: Mapped) -> list[Json]:
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def by_name(name: str, **properties: Any) -> Json:
    """An override of the fields of that name; underscores in property names stand for dots."""
    return _override("byName", name, properties)


def by_pattern(pattern: str, **properties: Any) -> Json:
    """An override of the fields whose name matches the regular expression."""
    return _override("byRegexp", f"/{pattern}/", properties)


def _override(matcher: str, options: str, properties: Mapping[str, Any]) -> Json:
    listed = [{"id": name.replace("_", "."), "value": value} for name, value in properties.items()]
    return {"matcher": {"id": matcher, "options": options}, "properties": listed}


def colour(name: str) -> Json:
    return {"mode": "fixed", "fixedColor": name}


DASHED: Json = {"dash": [8, 6], "fill": "dash"}
TOOLTIP: Json = {"mode": "multi", "sort": "desc"}


def timeseries(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    empty: str,
    width: int = 8,
    height: int = 8,
    minimum: float | None = None,
    maximum: float | None = None,
    decimals: int | None = None,
    stacked: bool = False,
    logarithmic: bool = False,
    overrides: Sequence[Json] = (),
    links: Sequence[Json] = (),
    repeat: str = "",
) -> Panel:
    """Lines over time. A series keeps its colour on every panel that calls it by the same name."""
    custom: Json = {
        "drawStyle": "line",
        "fillOpacity": 25 if stacked else 0,
        "insertNulls": False,
        "lineInterpolation": "linear",
        "lineWidth": 1 if stacked else 2,
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    if logarithmic:
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    defaults: Json = {"color": {"mode": "palette-classic-by-name"}, "custom": custom}
    defaults |= {
        key: value for key, value in (("min", minimum), ("max", maximum), ("decimals", decimals)) if value is not None
    }
    if links:
        defaults["links"] = list(links)
    options = {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": TOOLTIP,
    }
    return Panel(
        "timeseries", title, description, unit, queries, empty, width, height, defaults, options, tuple(overrides),
        repeat=repeat,
    )  # fmt: skip


def stat(
    title: str,
    description: str,
    expr: str,
    *,
    unit: str,
    empty: str,
    steps: Steps = ((None, PLAIN),),
    texts: Mapped | None = None,
    decimals: int | None = None,
    width: int = 4,
) -> Panel:
    """One number, as it is now."""
    defaults: Json = {"color": {"mode": "thresholds"}, "thresholds": thresholds(steps)}
    if texts:
        defaults["mappings"] = mappings(texts)
    if decimals is not None:
        defaults["decimals"] = decimals
    options: Json = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "value",
        "wideLayout": True,
    }
    return Panel("stat", title, description, unit, (Query(expr, instant=True),), empty, width, 3, defaults, options)


def state_timeline(
    title: str, description: str, *queries: Query, texts: Mapped, empty: str, width: int = 12, height: int = 6
) -> Panel:
    """Which state each thing was in, over time."""
    defaults: Json = {
        "color": {"mode": "thresholds"},
        "custom": {"fillOpacity": 70, "lineWidth": 0, "spanNulls": False, "insertNulls": False},
        "mappings": mappings(texts),
        "thresholds": thresholds(((None, PLAIN),)),
    }
    options: Json = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel("state-timeline", title, description, "none", queries, empty, width, height, defaults, options)


def heatmap(title: str, description: str, query: Query, *, unit: str, empty: str, width: int = 12) -> Panel:
    """A histogram over time: the darker, the more."""
    scheme: Json = {"mode": "scheme", "scheme": "Blues", "steps": 32, "exponent": 0.5, "fill": "blue", "reverse": False}
    options: Json = {
        "calculate": False,
        "cellGap": 1,
        "color": scheme,
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    defaults: Json = {"custom": {"scaleDistribution": {"type": "linear"}}}
    return Panel("heatmap", title, description, unit, (query,), empty, width, 8, defaults, options)
