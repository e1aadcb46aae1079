"""What Grafana does between a board and Prometheus: chooses values for variables and writes them into queries.

After Grafana's documentation of variables, their formats and the global variables, for Prometheus data sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

Json = dict[str, Any]

PATIENCE = 30
ALL = "$__all"
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_VARIABLE = re.compile(r"\$(?P<plain>\w+)|\$\{(?P<braced>[\w.]+)(?::(?P<format>\w+))?\}")
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), *(?P<label>\w+)\)")
_MEANINGFUL = re.compile(r"[\\^$*+?.()|{}\[\]]")


class Refused(Exception):
    """Prometheus would not answer a query; says which and why."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The query API of a Prometheus at a base address."""

    url: str

    def vector(self, query: str, at: float) -> list[Json]:
        """Series with one (time, value) each."""
        return self._ask("query", {"query": query, "time": f"{at:.3f}"})

    def matrix(self, query: str, start: float, end: float, step: float) -> list[Json]:
        """Series with their (time, value) pairs."""
        asked = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return self._ask("query_range", asked)

    def label_values(self, selector: str, label: str, start: float, end: float) -> list[str]:
        asked = {"match[]": selector, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        values: list[str] = self._data(f"label/{label}/values", asked)
        return sorted(values)

    def _ask(self, what: str, asked: Mapping[str, str]) -> list[Json]:
        result: list[Json] = self._data(what, asked)["result"]
        return result

    def _data(self, what: str, asked: Mapping[str, str]) -> Any:
        response = requests.get(f"{self.url}/api/v1/{what}", params=dict(asked), timeout=PATIENCE)
        if not response.ok:
            raise Refused(f"{asked}: {response.text}")
        return response.json()["data"]


@dataclass(frozen=True, slots=True)
class View:
    """A board as somebody looks at it: a time range in seconds since the epoch, and a value for each variable."""

    board: Json
    prometheus: Prometheus
    start: float
    end: float
    scrape_interval: int
    values: Mapping[str, Sequence[str]]  # [ALL] stands for all of them

    def interval(self, points: int = 600) -> int:
        """The step, in seconds, of a panel that has room for so many points."""
        wanted = (self.end - self.start) / points
        return max(self.scrape_interval, next((step for step in STEPS if step >= wanted), STEPS[-1]))

    def fill(self, text: str) -> str:
        """A query with every variable replaced."""
        return _VARIABLE.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        name = found["plain"] or found["braced"]
        interval = self.interval()
        special = {
            "__interval": f"{interval}s",
            "__rate_interval": f"{max(interval + self.scrape_interval, 4 * self.scrape_interval)}s",
            "__range": f"{round(self.end - self.start)}s",
            "__from": f"{round(self.start * 1000)}",
            "__to": f"{round(self.end * 1000)}",
        }
        if name in special:
            return special[name]
        if name not in self.values:
            return found[0]
        variable = definition(self.board, name)
        values = self.values[name]
        if found["format"] == "queryparam":
            return "&".join(f"var-{name}={quote(value)}" for value in values)
        if not variable["multi"]:
            return values[0].replace("\\", "\\\\").replace('"', '\\"')
        if list(values) == [ALL]:
            return str(variable["allValue"])
        escaped = [_escaped(value) for value in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    def range(self, expr: str) -> list[Json]:
        """A range query with the panel's step, on multiples of it, as Grafana asks."""
        step = self.interval()
        return self.prometheus.matrix(self.fill(expr), self.start // step * step, self.end // step * step, step)

    def instant(self, expr: str) -> list[Json]:
        return self.prometheus.vector(self.fill(expr), self.end)


def _escaped(value: str) -> str:
    """A value as a regular expression that matches just it, within a quoted string of PromQL."""
    literal = _MEANINGFUL.sub(lambda sign: "\\" + sign[0], value)
    return literal.replace("\\", "\\\\").replace('"', '\\"')


def definition(board: Json, name: str) -> Json:
    """The variable of that name. Raises KeyError if the board has none."""
    for variable in board["templating"]["list"]:
        if variable["name"] == name:
            found: Json = variable
            return found
    raise KeyError(f"the board {board['uid']} has no variable {name}")


def options(view: View, name: str) -> list[str]:
    """The values that a query variable offers, given those chosen before it."""
    query = definition(view.board, name)["query"]["query"]
    found = _LABEL_VALUES.fullmatch(query)
    assert found, query
    return view.prometheus.label_values(view.fill(found["selector"]), found["label"], view.start, view.end)


def look(
    board: Json, prometheus: Prometheus, *, start: float, end: float, scrape_interval: int, **chosen: Sequence[str]
) -> View:
    """The board with `chosen` values; the other variables take All, their default, or the first that there is."""
    values: dict[str, Sequence[str]] = {}
    view = View(board, prometheus, start, end, scrape_interval, values)
    for variable in board["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "datasource":
            values[name] = ["prometheus"]
        elif name in chosen:
            values[name] = chosen[name]
        elif variable["multi"]:
            values[name] = [ALL]
        else:
            offered = options(view, name)
            preset = variable["current"].get("value")
            values[name] = [preset if preset in offered else offered[0] if offered else ""]
    return view
