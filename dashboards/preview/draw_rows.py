"""Draws what shows rows: tables, matrices and bars."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.preview.frames import Cell, Row
from dashboards.preview.grafana import Json
from dashboards.preview.style import Box, Palette, legend, mapped, overrides, step_colour
from dashboards.preview.svg import Canvas, length
from dashboards.preview.units import ticks, written

LINE = 27
"""Pixels of a row."""


def draw_table(canvas: Canvas, panel: Json, box: Box, table: Sequence[Row], palette: Palette) -> None:
    theme = canvas.theme
    table = _sorted(panel, table)
    names = list(dict.fromkeys(name for row in table for name in row))
    config = {name: panel["fieldConfig"]["defaults"] | overrides(panel, name) for name in names}
    fixed = {name: float(config[name]["custom.width"]) for name in names if "custom.width" in config[name]}
    share = (box.width - 16 - sum(fixed.values())) / max(1, len(names) - len(fixed))
    x = box.x + 8
    for name in names:
        wide = fixed.get(name, share)
        numeric = all(isinstance(row.get(name), float) or row.get(name) is None for row in table)
        right = numeric and not config[name].get("mappings")
        anchor, at = ("end", x + wide - 8) if right else ("start", x + 6)
        canvas.text(at, box.y + 16, name, fill=theme.named["blue"], anchor=anchor, room=wide - 10, bold=True)
        for number, row in enumerate(table):
            y = box.y + 26 + LINE * number
            if y + 24 > box.y + box.height:
                break
            _cell(canvas, config[name], row.get(name), Box(x, y, wide, 25), anchor, at)
        x += wide
    for number in range(min(len(table) + 1, int((box.height - 26) / LINE) + 1)):
        y = box.y + 25 + LINE * number
        canvas.line([(box.x + 8, y), (box.x + box.width - 8, y)], theme.grid)


def _cell(canvas: Canvas, config: Json, value: Cell, box: Box, anchor: str, at: float) -> None:
    if value is None:
        canvas.text(at, box.y + 17, config["noValue"], fill=canvas.theme.faint, anchor=anchor, room=box.width - 8)
        return
    option = mapped(config, value)
    words = value if isinstance(value, str) else written(value, config["unit"], config.get("decimals"))
    kind = config.get("custom.cellOptions", config["custom"]["cellOptions"])["type"]
    fill = canvas.theme.text
    if option:
        words = option["text"]
    if kind == "color-background":
        if config.get("color", {}).get("mode") == "continuous-blues" and isinstance(value, float):
            canvas.rect(
                box.x + 1, box.y + 1, box.width - 2, box.height - 2, canvas.theme.named["blue"], opacity=round(value, 2)
            )
        else:
            name = (
                option["color"] if option else step_colour(config, value) if isinstance(value, float) else "transparent"
            )
            if name != "transparent":
                canvas.rect(box.x + 1, box.y + 1, box.width - 2, box.height - 2, canvas.theme.named[name], opacity=0.85)
                fill = "#ffffff" if name not in ("yellow",) else "#1a1a1a"
    if kind == "gauge" and isinstance(value, float):
        track = box.width * 0.55
        canvas.rect(box.x + 6, box.y + 6, track, box.height - 12, canvas.theme.grid)
        canvas.rect(box.x + 6, box.y + 6, track * min(1, value), box.height - 12, canvas.theme.named["blue"])
    canvas.text(at, box.y + 17, words, fill=fill, anchor=anchor, room=box.width - 8)


def draw_bars(canvas: Canvas, panel: Json, box: Box, table: Sequence[Row], palette: Palette) -> None:
    x_field = panel["options"]["xField"]
    series = [name for name in table[0] if name != x_field]
    config = panel["fieldConfig"]["defaults"]
    inner = legend(canvas, box, {name: palette.of(name) for name in series})
    numbers = [value for row in table for name in series if isinstance(value := row[name], float)]
    high = config.get("max") or max(numbers) * 1.05
    marked = ticks(0, high, 4)
    labels = [written(tick, config["unit"]) for tick in marked]
    left = max(length(label, 11) for label in labels) + 10
    plot = Box(inner.x + left, inner.y + 4, inner.width - left - 8, inner.height - 22)
    for tick, label in zip(marked, labels, strict=True):
        y = plot.y + plot.height * (1 - tick / high)
        canvas.line([(plot.x, y), (plot.x + plot.width, y)], canvas.theme.grid)
        canvas.text(plot.x - 6, y + 4, label, size=11, fill=canvas.theme.faint, anchor="end")
    group = plot.width / len(table)
    every = max(1, int(40 / group) + 1)
    for number, row in enumerate(table):
        x = plot.x + number * group
        for place, name in enumerate(series):
            value = row[name]
            if isinstance(value, float):
                tall = plot.height * min(value, high) / high
                wide = group * 0.75 / len(series)
                start = x + group * 0.125 + place * wide
                canvas.rect(start, plot.y + plot.height - tall, wide * 0.9, tall, palette.of(name), opacity=0.8)
        if number % every == 0:
            middle = x + group / 2
            words = str(row[x_field])
            canvas.text(middle, plot.y + plot.height + 15, words, size=11, fill=canvas.theme.faint, anchor="middle")


def _sorted(panel: Json, table: Sequence[Row]) -> list[Row]:
    """Rows in the panel's order; those without a value come last."""
    rows = list(table)
    for order in panel["options"].get("sortBy", ()):

        def key(row: Row, name: str = order["displayName"]) -> tuple[float, str]:
            value = row[name]
            return (value, "") if isinstance(value, float) else (0.0, value or "")

        known = sorted((row for row in rows if row[order["displayName"]] is not None), key=key, reverse=order["desc"])
        rows = known + [row for row in rows if row[order["displayName"]] is None]
    return rows
