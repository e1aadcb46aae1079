"""Draws one panel, each type in its own function, from what its queries answer.

An approximation of Grafana that shows the same data, texts, colours and places; it is not Grafana.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from dashboards.preview.draw_rows import draw_bars, draw_table
from dashboards.preview.frames import Line, Row, lines, rows
from dashboards.preview.grafana import Json
from dashboards.preview.layout import Place
from dashboards.preview.style import Box, Palette, legend, mapped, overrides, step_colour
from dashboards.preview.svg import Canvas, length
from dashboards.preview.units import decades, ticks, written

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation: from one time to another, in seconds since the epoch."""

    start: float
    end: float
    colour: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a series is drawn: its own overrides on the panel's defaults."""

    colour: str
    width: float
    dash: str
    fill_to: str
    fill: float


def draw(canvas: Canvas, place: Place, box: Box, marks: Sequence[Mark], palette: Palette) -> None:
    """The inside of a panel; its words for being empty where there is nothing."""
    panel = place.panel
    is_table = "transformations" in panel
    table = rows(place.view, panel) if is_table else []
    found = [] if is_table else lines(place.view, panel)
    if not table and not found:
        words = panel["fieldConfig"]["defaults"]["noValue"]
        room = box.width - 16
        canvas.text(
            box.x + box.width / 2, box.y + box.height / 2, words, fill=canvas.theme.faint, anchor="middle", room=room
        )
        return
    if is_table:
        _TABLES[panel["type"]](canvas, panel, box, table, palette)
    elif panel["type"] == "stat":
        _stat(canvas, panel, box, found)
    else:
        _OVER_TIME[panel["type"]](canvas, place, box, found, marks, palette)


# --- one number -------------------------------------------------------------------------------------------------------


def _stat(canvas: Canvas, panel: Json, box: Box, found: Sequence[Line]) -> None:
    value = found[0].points[-1][1]
    config = panel["fieldConfig"]["defaults"]
    option = mapped(config, value)
    words = option["text"] if option else written(value, config["unit"], config.get("decimals"))
    name = option["color"] if option else step_colour(config, value)
    colour = canvas.theme.text if name == "text" else canvas.theme.named[name]
    size = min(40.0, (box.width - 16) / max(1, len(words)) / 0.6)
    canvas.text(
        box.x + box.width / 2, box.y + box.height / 2 + size * 0.3, words, size=size, fill=colour, anchor="middle"
    )


# --- over time --------------------------------------------------------------------------------------------------------


def _style(canvas: Canvas, panel: Json, name: str, palette: Palette) -> Style:
    custom = panel["fieldConfig"]["defaults"]["custom"]
    own = overrides(panel, name)
    colour = own.get("color", {}).get("fixedColor")
    return Style(
        canvas.theme.named[colour] if colour else palette.of(name),
        own.get("custom.lineWidth", custom["lineWidth"]),
        "6 4" if "custom.lineStyle" in own else "",
        own.get("custom.fillBelowTo", ""),
        own.get("custom.fillOpacity", custom["fillOpacity"]) / 100,
    )


def _timeseries(
    canvas: Canvas, place: Place, box: Box, found: Sequence[Line], marks: Sequence[Mark], palette: Palette
) -> None:
    panel = place.panel
    styles = {line.name: _style(canvas, panel, line.name, palette) for line in found}
    shown = {name: style.colour for name, style in styles.items() if style.width}
    inner = legend(canvas, box, shown, [name for name in shown if styles[name].dash])
    stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    paths = _stacked(found) if stacked else {line.name: line.points for line in found}
    plot, across, up = _axes(canvas, place, inner, [value for path in paths.values() for _, value in path], marks)
    beneath: Sequence[Point] = ()
    for line in found:
        style = styles[line.name]
        points = [(across(at), up(value)) for at, value in paths[line.name]]
        if style.fill_to and style.fill_to in paths:
            low = [(across(at), up(value)) for at, value in paths[style.fill_to]]
            canvas.area([*points, *reversed(low)], style.colour, style.fill)
        elif stacked:
            floor = list(beneath) or [(points[0][0], plot.y + plot.height), (points[-1][0], plot.y + plot.height)]
            canvas.area([*points, *reversed(floor)], style.colour, style.fill)
            beneath = points
        if style.width:
            for run in _runs(points, across(paths[line.name][0][0] + 3 * place.view.interval()) - points[0][0]):
                canvas.line(run, style.colour, width=style.width * 0.8, dash=style.dash)


def _stacked(found: Sequence[Line]) -> dict[str, tuple[Point, ...]]:
    """Each series on top of those before it, at all times that any of them has."""
    times = sorted({at for line in found for at, _ in line.points})
    below = dict.fromkeys(times, 0.0)
    paths: dict[str, tuple[Point, ...]] = {}
    for line in found:
        own = dict(line.points)
        below = {at: below[at] + own.get(at, 0.0) for at in times}
        paths[line.name] = tuple(below.items())
    return paths


def _runs(points: Sequence[Point], gap: float) -> list[list[Point]]:
    """Stretches without a gap: where samples are missing there is no line."""
    runs: list[list[Point]] = [[points[0]]]
    for before, after in pairwise(points):
        if after[0] - before[0] > gap:
            runs.append([])
        runs[-1].append(after)
    return runs


def _axes(
    canvas: Canvas, place: Place, box: Box, values: Sequence[float], marks: Sequence[Mark]
) -> tuple[Box, Callable[[float], float], Callable[[float], float]]:
    """Draws axes, grid and annotations; the plot's room, and what maps time and value to pixels."""
    theme, config, view = canvas.theme, place.panel["fieldConfig"]["defaults"], place.view
    low, high = float(config.get("min", min(values))), float(config.get("max", max(values)))
    logarithmic = config["custom"].get("scaleDistribution", {}).get("type") == "log"
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    if high <= low:
        low, high = (
            (low, low + 1) if "min" in config else (low - abs(low) * 0.1 - 0.5e-3, low + abs(low) * 0.1 + 0.5e-3)
        )
    pad = (high - low) * 0.06
    low, high = low - (0 if "min" in config else pad), high + (0 if "max" in config else pad)
    wanted = max(2, int(box.height / 38))
    marked = decades(low, high, wanted) if logarithmic else ticks(low, high, wanted)
    decimals = None if logarithmic else _tick_decimals(marked, config["unit"])
    labels = [written(tick, config["unit"], decimals) for tick in marked]
    left = max(length(label, 11) for label in labels) + 8
    plot = Box(box.x + left, box.y + 4, box.width - left - 8, box.height - 22)

    def across(at: float) -> float:
        return plot.x + (at - view.start) / (view.end - view.start) * plot.width

    def up(value: float) -> float:
        if logarithmic:
            value = math.log10(value) if value > 0 else low
        return plot.y + plot.height - (min(max(value, low), high) - low) / (high - low) * plot.height

    for tick, label in zip(marked, labels, strict=True):
        canvas.line([(plot.x, up(tick)), (plot.x + plot.width, up(tick))], theme.grid)
        canvas.text(plot.x - 6, up(tick) + 4, label, size=11, fill=theme.faint, anchor="end")
    _clock(canvas, plot, view.start, view.end, across)
    for mark in marks:
        colour = theme.named[mark.colour]
        if mark.end > mark.start:
            canvas.rect(
                across(mark.start), plot.y, across(mark.end) - across(mark.start), plot.height, colour, opacity=0.1
            )
        canvas.line([(across(mark.start), plot.y), (across(mark.start), plot.y + plot.height)], colour, dash="3 3")
        x, y = across(mark.start), plot.y + plot.height
        canvas.area([(x - 4, y + 5), (x + 4, y + 5), (x, y)], colour, 1)
    return plot, across, up


def _tick_decimals(marked: Sequence[float], unit: str) -> int | None:
    if unit not in ("none", "percentunit") or len(marked) < 2:
        return None
    step = (marked[1] - marked[0]) * (100 if unit == "percentunit" else 1)
    return next((places for places in range(6) if abs(step * 10**places - round(step * 10**places)) < 1e-6), 6)


def _clock(canvas: Canvas, plot: Box, start: float, end: float, across: Callable[[float], float]) -> None:
    wanted = max(2, int(plot.width / 80))
    step = next((one for one in (300, 900, 1800, 3600, 7200, 21_600) if (end - start) / one <= wanted), 43_200)
    for at in range(int(-(-start // step) * step), int(end) + 1, step):
        words = datetime.fromtimestamp(at, UTC).strftime("%H:%M")
        if across(at) + length(words, 11) / 2 < plot.x + plot.width + 8:
            canvas.text(across(at), plot.y + plot.height + 15, words, size=11, fill=canvas.theme.faint, anchor="middle")


def _state_timeline(
    canvas: Canvas, place: Place, box: Box, found: Sequence[Line], marks: Sequence[Mark], palette: Palette
) -> None:
    config, view, theme = place.panel["fieldConfig"]["defaults"], place.view, canvas.theme
    seen = {
        option["text"]: option["color"]
        for line in found
        for _, value in line.points
        if (option := mapped(config, value))
    }
    inner = legend(canvas, box, {words: theme.named[colour] for words, colour in seen.items()})
    left = min(box.width * 0.4, max(length(line.name, 11) for line in found) + 16)
    plot = Box(inner.x + left, inner.y + 4, inner.width - left - 8, inner.height - 22)
    tall = plot.height / len(found)

    def across(at: float) -> float:
        return plot.x + (at - view.start) / (view.end - view.start) * plot.width

    _clock(canvas, plot, view.start, view.end, across)
    for number, line in enumerate(found):
        y = plot.y + number * tall
        canvas.text(plot.x - 8, y + tall / 2 + 4, line.name, size=11, anchor="end", room=left - 10)
        for start, end, value in _merged(line.points, view.interval()):
            option = mapped(config, value)
            colour = theme.named[option["color"] if option else "text"]
            x = max(plot.x, across(start))
            canvas.rect(x, y + tall * 0.1, min(across(end), plot.x + plot.width) - x, tall * 0.8, colour, opacity=0.75)


def _merged(points: Sequence[Point], step: float) -> list[tuple[float, float, float]]:
    """Stretches of the same value as (start, end, value)."""
    merged: list[tuple[float, float, float]] = []
    for at, value in points:
        if merged and merged[-1][2] == value and at <= merged[-1][1]:
            merged[-1] = (merged[-1][0], at + step, value)
        else:
            merged.append((at, at + step, value))
    return merged


def _heatmap(
    canvas: Canvas, place: Place, box: Box, found: Sequence[Line], marks: Sequence[Mark], palette: Palette
) -> None:
    ordered = sorted(found, key=lambda line: float(line.labels["le"]))
    view, unit = place.view, place.panel["fieldConfig"]["defaults"]["unit"]
    below: dict[float, float] = {}
    cells: list[dict[float, float]] = []
    for line in ordered:
        cells.append({at: max(0.0, value - below.get(at, 0.0)) for at, value in line.points})
        below = dict(line.points)
    while cells and not any(cells[-1].values()):
        cells.pop()
    while cells and not any(cells[0].values()):
        del cells[0], ordered[0]
    names = [written(float(line.labels["le"]), unit) for line in ordered[: len(cells)]]
    left = max(length(name, 11) for name in names) + 12
    plot = Box(box.x + left, box.y + 4, box.width - left - 8, box.height - 22)
    most = max(value for row in cells for value in row.values())
    tall = plot.height / len(cells)

    def across(at: float) -> float:
        return plot.x + (at - view.start) / (view.end - view.start) * plot.width

    _clock(canvas, plot, view.start, view.end, across)
    for number, row in enumerate(cells):
        y = plot.y + plot.height - (number + 1) * tall
        canvas.text(plot.x - 6, y + tall / 2 + 4, names[number], size=11, fill=canvas.theme.faint, anchor="end")
        for at, value in row.items():
            x = max(plot.x, across(at - view.interval()))
            if value > 0:
                shade = 0.08 + 0.92 * (value / most) ** 0.5
                canvas.rect(
                    x, y + 0.5, across(at) - x - 0.5, tall - 1, canvas.theme.named["blue"], opacity=round(shade, 2)
                )


_OVER_TIME: Mapping[str, Callable[[Canvas, Place, Box, Sequence[Line], Sequence[Mark], Palette], None]] = {
    "timeseries": _timeseries,
    "state-timeline": _state_timeline,
    "heatmap": _heatmap,
}
_TABLES: Mapping[str, Callable[[Canvas, Json, Box, Sequence[Row], Palette], None]] = {
    "table": draw_table,
    "barchart": draw_bars,
}
