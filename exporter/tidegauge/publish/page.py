"""The landing page for people: what runs, how right the models are, what is wrong.

Plain HTML without scripts, pictures or links elsewhere. Everything shown may be hostile and is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

_LINKS = (("/metrics", "metrics"), ("/-/healthy", "healthy"), ("/-/ready", "ready"))
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;"
    "color:#1b2733;background:#fff}"
    "h1{margin-bottom:0}h2{margin-top:2rem;font-size:1.1rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d7dee5;overflow-wrap:anywhere}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}li{overflow-wrap:anywhere}"
    ".muted{color:#5b6b7a}.bad{color:#a3261b}"
    "@media(prefers-color-scheme:dark){body{color:#dbe4ec;background:#12181f}th,td{border-color:#2c3844}"
    "a{color:#7db8ee}.muted{color:#8fa0b0}.bad{color:#f08a7f}}"
)


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One score of one model version, as the page shows it; a state other than "ok" is named beside the score."""

    model: str
    version: str
    channel: str
    metric: str
    window: str
    score: float | None
    lower: float | None
    upper: float | None
    samples: float
    state: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source and how far behind reading it is."""

    name: str
    pattern: str
    files: int
    lag_bytes: int
    lag_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PageModel:
    """All that the page shows."""

    version: str  # of the exporter
    ready: bool
    refreshed_ms: int | None  # wall time of the last refresh, ms since the epoch
    clock_ms: int | None  # what windows end by
    quality: Sequence[QualityRow] = ()
    sources: Sequence[SourceRow] = ()
    problems: Sequence[str] = ()  # plain sentences


def render_page(page: PageModel) -> bytes:
    """The page as UTF-8 HTML."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Tidegauge</title><style>{_STYLE}</style></head><body>",
        f'<h1>Tidegauge</h1><p class="muted">Version {escape(page.version)}. {_status(page)}</p><p>',
        " · ".join(f'<a href="{target}">{name}</a>' for target, name in _LINKS),
        "</p>",
        _problems(page.problems),
        "<h2>Models</h2>",
        _quality(page.quality),
        "<h2>Sources</h2>",
        _sources(page.sources),
        "</body></html>\n",
    ]
    return "".join(parts).encode("utf-8", "backslashreplace")


def _status(page: PageModel) -> str:
    parts = ["Ready." if page.ready else "Still reading what the logs held at start; scores come after that."]
    if page.refreshed_ms is not None:
        parts.append(f"Refreshed {_time(page.refreshed_ms)}.")
    if page.clock_ms is not None:
        parts.append(f"Windows end by {_time(page.clock_ms)}, less each channel's maturity.")
    return " ".join(parts)


def _problems(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<h2 class="bad">Problems</h2><ul class="bad">{items}</ul>'


def _quality(rows: Sequence[QualityRow]) -> str:
    if not rows:
        return '<p class="muted">No predictions yet.</p>'
    cells = (
        (
            escape(row.model),
            escape(row.version),
            escape(row.channel),
            escape(row.metric),
            escape(row.window),
            _number(row.score),
            _interval(row.lower, row.upper),
            f"{row.samples:,.0f}",
            "" if row.state == "ok" else escape(row.state.replace("_", " ")),
        )
        for row in rows
    )
    titles = ("Model", "Version", "Channel", "Metric", "Window", "Score", "95 % interval", "Samples", "State")
    return _table(titles, (5, 6, 7), cells)


def _sources(rows: Sequence[SourceRow]) -> str:
    cells = (
        (
            escape(row.name),
            f"<code>{escape(row.pattern)}</code>",
            f"{row.files:,}",
            f"{row.lag_bytes:,}",
            "" if row.lag_seconds is None else f"{row.lag_seconds:,.0f}",
        )
        for row in rows
    )
    return _table(("Source", "Files", "Followed", "Bytes behind", "Seconds behind"), (2, 3, 4), cells)


def _table(titles: Sequence[str], numeric: Sequence[int], rows: Iterable[Sequence[str]]) -> str:
    attributes = [' class="n"' if column in numeric else "" for column in range(len(titles))]

    def line(tag: str, cells: Sequence[str]) -> str:
        inner = (f"<{tag}{attribute}>{cell}</{tag}>" for attribute, cell in zip(attributes, cells, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line("td", cells) for cells in rows)
    return f"<table><thead>{line('th', titles)}</thead><tbody>{body}</tbody></table>"


def _interval(lower: float | None, upper: float | None) -> str:
    return "" if lower is None or upper is None else f"{_number(lower)} – {_number(upper)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
