"""A board: its question, variables, links, annotations, and its panels put into place.

Boards are classic JSON that Grafana 10 to 13 read; their uids are what links and alerts point to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.panels import DATASOURCE, Json, Panel
from dashboards.promql import Scope

SCHEMA_VERSION = 39
COLUMNS = 24
TAG = "tidegauge"
KEPT = ("datasource", "job", "instance", "model", "version", "channel", "metric", "window")
"""Variables that every board has, shown or not, so that links between boards lose none of them."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable filled from label values. `several`: more than one value, and All."""

    name: str
    label: str
    family: str
    follows: tuple[str, ...] = ()
    several: bool = False
    hidden: bool = False
    first: str = ""
    label_of: str = ""  # where it is not named like the label that fills it

    def json(self, scope: Scope) -> Json:
        if self.name in ("job", "instance"):
            selector = self.family + ('{job=~"$job"}' if self.name == "instance" else "")
        else:
            selector = scope.select(self.family, *self.follows)
        query = f"label_values({selector}, {self.label_of or self.name})"
        variable: Json = {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": "StandardVariableQuery"},
            "refresh": 2,
            "sort": 1,
            "regex": "",
            "hide": 2 if self.hidden else 0,
            "skipUrlSync": False,
            "options": [],
            "multi": self.several,
            "includeAll": self.several,
            "current": {},
        }
        if self.several:
            variable["allValue"] = ".+"
            variable["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
        elif self.first:
            variable["current"] = {"selected": True, "text": self.first, "value": self.first}
        return variable


JOB = Variable("job", "Job", "tidegauge_build_info", several=True)
INSTANCE = Variable("instance", "Instance", "tidegauge_build_info", several=True)
DATA_SOURCE: Json = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
    "hide": 0,
    "skipUrlSync": False,
    "options": [],
    "multi": False,
    "includeAll": False,
    "current": {},
}


def scope_of(variables: Sequence[Variable]) -> Scope:
    return Scope(frozenset(variable.name for variable in variables if variable.several))


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a heading, in reading order; they flow from left to right and wrap at the width of the board."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One board; `question` is the reason that it exists."""

    uid: str
    title: str
    question: str
    variables: tuple[Variable, ...]
    annotations: tuple[Json, ...]
    sections: tuple[Section, ...]
    since: str = "now-6h"

    def json(self) -> Json:
        scope = scope_of(self.variables)
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.question,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "fiscalYearStartMonth": 0,
            "liveNow": False,
            "refresh": "30s",
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "timezone": "",
            "weekStart": "",
            "templating": {"list": [DATA_SOURCE, *(variable.json(scope) for variable in self.variables)]},
            "annotations": {"list": list(self.annotations)},
            "links": [_between_boards()],
            "panels": self._placed(),
        }

    def _placed(self) -> list[Json]:
        placed: list[Json] = []
        y = 0
        for section in self.sections:
            placed.append(_heading(section.title, len(placed) + 1, y))
            y += 1
            x = shelf = 0
            for panel in section.panels:
                if x + panel.width > COLUMNS:
                    x, y, shelf = 0, y + shelf, 0
                placed.append(panel.json(len(placed) + 1, x, y))
                x, shelf = x + panel.width, max(shelf, panel.height)
            y += shelf
        return placed


def _heading(title: str, number: int, y: int) -> Json:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _between_boards() -> Json:
    return {
        "type": "dashboards",
        "title": "Tidegauge",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def drill(title: str, uid: str, kept: Sequence[str] = KEPT, **chosen: str) -> Json:
    """A data link to another board: these variables take what was clicked, the others and the time range stay."""
    words = [f"var-{name}={value}" for name, value in chosen.items()]
    words += [f"${{{name}:queryparam}}" for name in kept if name not in chosen]
    return {"title": title, "url": f"/d/{uid}?{'&'.join([*words, '${__url_time_range}'])}", "targetBlank": False}


def cell(column: str) -> str:
    """In a data link: what the clicked row has in that column."""
    return f"${{__data.fields[{column!r}]}}" if " " in column else f"${{__data.fields.{column}}}"


def series(label: str) -> str:
    """In a data link: what the clicked series has as that label."""
    return f"${{__field.labels.{label}}}"


def releases(scope: Scope) -> Json:
    """A mark where a version was first seen."""
    first = scope.select("model_version_first_prediction_timestamp_seconds", "model", "version")
    return _annotation(
        "Releases",
        f"max by (model, version) ({first}) * 1000 >= ${{__from}}",
        colour="blue",
        title="{{model}} {{version}}: first prediction",
        text="First sight of the version",
        tags="version",
        at_value=True,
    )


def firing(which: str) -> Json:
    """Marks while alerts fire; `which` adds matchers. Alerts are about all exporters, so have no job or instance."""
    return _annotation(
        "Alerts",
        f'ALERTS{{alertstate="firing", severity!="none", {which}}}',
        colour="red",
        title="{{alertname}} {{model}} {{version}}",
        text="{{severity}} {{channel}} {{metric}}",
        tags="severity",
        at_value=False,
    )


def _annotation(name: str, expr: str, *, colour: str, title: str, text: str, tags: str, at_value: bool) -> Json:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": expr,
        "step": "60s",
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": tags,
        "useValueForTime": at_value,
    }
