"""A whole board as an SVG file, 1280 pixels wide, which says of itself that it is no screenshot of Grafana."""

from __future__ import annotations

from datetime import UTC, datetime

from dashboards.board import COLUMNS
from dashboards.preview.draw import Mark, draw
from dashboards.preview.grafana import ALL, View
from dashboards.preview.layout import Place, laid_out
from dashboards.preview.style import Box, Palette
from dashboards.preview.svg import Canvas, Theme, length

WIDTH = 1280
HEAD = 84
FOOT = 26
UNIT = 38
"""Pixels of a grid unit downwards, the gap between panels included."""
GAP = 8
HONEST = "Drawn by Tidegauge's own docs tooling from demo data queried through Prometheus. Not a screenshot of Grafana."


def picture(view: View, theme: Theme, *, sections: int | None = None) -> str:
    """The board, or its first few sections."""
    canvas = Canvas(theme)
    places = _first(list(laid_out(view)), sections)
    height = HEAD + max(place.y + place.height for place in places) * UNIT + FOOT
    canvas.rect(0, 0, WIDTH, height, theme.page)
    _head(canvas, view)
    marks = _marks(view)
    palette = Palette(theme.lines, {})
    column = (WIDTH - 2 * GAP) / COLUMNS
    for place in places:
        x, y = GAP + place.x * column, HEAD + place.y * UNIT
        if place.panel["type"] == "row":
            canvas.text(x + 4, y + 22, place.title, size=15, bold=True)
            continue
        width, tall = place.width * column - GAP, place.height * UNIT - GAP
        canvas.rect(x, y, width, tall, theme.panel, stroke=theme.border, round_by=3)
        canvas.text(x + 8, y + 19, place.title, size=13, room=width - 16, bold=True)
        draw(canvas, place, Box(x, y + 28, width, tall - 32), marks, palette)
    canvas.text(GAP + 4, height - 9, HONEST, size=11, fill=theme.faint)
    return canvas.whole(WIDTH, height, f"{view.board['title']}: {view.board['description']}")


def _first(places: list[Place], sections: int | None) -> list[Place]:
    kept: list[Place] = []
    seen = 0
    for place in places:
        seen += place.panel["type"] == "row"
        if sections is not None and seen > sections:
            break
        kept.append(place)
    return kept


def _head(canvas: Canvas, view: View) -> None:
    theme = canvas.theme
    canvas.text(GAP + 4, 30, view.board["title"], size=19, bold=True)
    start, end = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (view.start, view.end))
    canvas.text(WIDTH - GAP - 4, 30, f"{start} to {end} UTC", size=12, fill=theme.faint, anchor="end")
    x = GAP + 4.0
    for variable in view.board["templating"]["list"]:
        if variable["hide"] == 2:
            continue
        values = view.values[variable["name"]]
        words = "All" if list(values) == [ALL] else " + ".join(values)
        label = variable["label"]
        canvas.text(x, 62, label, size=12, fill=theme.faint)
        x += length(label, 12) + 6
        canvas.rect(x, 47, length(words, 12) + 14, 22, theme.panel, stroke=theme.border, round_by=2)
        canvas.text(x + 7, 62, words, size=12)
        x += length(words, 12) + 28


def _marks(view: View) -> list[Mark]:
    marks: list[Mark] = []
    for annotation in view.board["annotations"]["list"]:
        for series in view.range(annotation["expr"]):
            times = [float(at) for at, _ in series["values"]]
            if annotation["useValueForTime"]:
                at = float(series["values"][-1][1]) / 1000
                marks.append(Mark(at, at, annotation["iconColor"]))
            else:
                marks.append(Mark(times[0], times[-1], annotation["iconColor"]))
    return marks
