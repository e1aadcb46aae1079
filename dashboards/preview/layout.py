"""Where panels come to lie once those that repeat for each value of a variable are laid out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dashboards.board import COLUMNS
from dashboards.preview.grafana import ALL, Json, View, options


@dataclass(frozen=True, slots=True)
class Place:
    """A panel or heading, seen with its own value of a repeated variable; position in grid units."""

    panel: Json
    view: View
    x: int
    y: int
    width: int
    height: int

    @property
    def title(self) -> str:
        return self.view.fill(self.panel["title"])


def laid_out(view: View) -> Iterator[Place]:
    """Every panel and heading of the board in its order. Rows of repeated panels move what is below them down."""
    moved = 0
    for panel in view.board["panels"]:
        at = panel["gridPos"]
        if "repeat" not in panel:
            yield Place(panel, view, at["x"], at["y"] + moved, at["w"], at["h"])
            continue
        name = panel["repeat"]
        values = options(view, name) if list(view.values[name]) == [ALL] else list(view.values[name])
        across = min(panel["maxPerRow"], max(1, len(values)))
        width = COLUMNS // across
        for number, value in enumerate(values):
            alone = replace(view, values={**view.values, name: [value]})
            down, right = divmod(number, across)
            yield Place(panel, alone, right * width, at["y"] + moved + down * at["h"], width, at["h"])
        moved += at["h"] * max(0, -(-len(values) // across) - 1)
