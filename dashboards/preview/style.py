"""What the drawings share: room, colours of series, and what a panel's configuration says of a name or a value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.preview.frames import Cell
from dashboards.preview.grafana import Json
from dashboards.preview.svg import Canvas, fitting, length


@dataclass(frozen=True, slots=True)
class Box:
    """Room inside a panel, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Palette:
    """The colour of each series by its name, the same on every panel of a board."""

    colours: tuple[str, ...]
    given: dict[str, str]

    def of(self, name: str) -> str:
        return self.given.setdefault(name, self.colours[len(self.given) % len(self.colours)])


def mapped(config: Json, value: Cell) -> Json | None:
    """The mapping's text and colour for a value, if there is one."""
    key = f"{value:g}" if isinstance(value, float) else str(value)
    for mapping in config.get("mappings", ()):
        if key in mapping["options"]:
            found: Json = mapping["options"][key]
            return found
    return None


def step_colour(config: Json, value: float) -> str:
    """The name of the colour that the thresholds give a value."""
    name = "text"
    for step in config.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            name = step["color"]
    return name


def overrides(panel: Json, name: str) -> Json:
    """What the panel says of the field of that name beyond its defaults."""
    found: Json = {}
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        by_name = matcher["id"] == "byName" and matcher["options"] == name
        by_pattern = matcher["id"] == "byRegexp" and re.search(matcher["options"].strip("/"), name)
        if by_name or by_pattern:
            found |= {one["id"]: one["value"] for one in override["properties"]}
    return found


def legend(canvas: Canvas, box: Box, entries: Mapping[str, str], dashed: Sequence[str] = ()) -> Box:
    """Names of the series along the bottom, two rows at most; the room that is left."""
    x, row, placed = box.x + 8, 0, []
    for name, colour in entries.items():
        words = fitting(name, 11, 220)
        wide = length(words, 11) + 28
        if x + wide > box.x + box.width and x > box.x + 8:
            x, row = box.x + 8, row + 1
        if row == 2:
            break
        placed.append((x, row, words, colour, name in dashed))
        x += wide
    used = placed[-1][1] + 1 if placed else 0
    for x, row, words, colour, dash in placed:
        y = box.y + box.height - 16 * (used - row) + 8
        canvas.line([(x, y - 4), (x + 14, y - 4)], colour, width=3, dash="4 3" if dash else "")
        canvas.text(x + 18, y, words, size=11)
    return Box(box.x, box.y, box.width, box.height - 16 * used - 4)
