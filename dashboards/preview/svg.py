"""Drawing in SVG: a few shapes, text that fits, and the colours of Grafana's two themes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

LETTER = 0.56
"""Mean width of a letter, as a share of the font's size."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a theme; `named` are those that boards call by name."""

    page: str
    panel: str
    border: str
    text: str
    faint: str
    grid: str
    named: dict[str, str]
    lines: tuple[str, ...]


DARK = Theme(
    page="#111217",
    panel="#181b1f",
    border="#2a2d33",
    text="#ccccdc",
    faint="#8e8e99",
    grid="#2b2e34",
    named={
        "green": "#73bf69",
        "yellow": "#e0b400",
        "red": "#f2495c",
        "blue": "#5794f2",
        "orange": "#ff9830",
        "purple": "#b877d9",
        "text": "#9a9aa6",
    },
    lines=(
        "#73bf69",
        "#f2cc0c",
        "#8ab8ff",
        "#ff780a",
        "#b877d9",
        "#5794f2",
        "#f2495c",
        "#37872d",
        "#fa6400",
        "#447ebc",
    ),
)
LIGHT = Theme(
    page="#f4f5f5",
    panel="#ffffff",
    border="#d8d9dd",
    text="#24292e",
    faint="#6b7078",
    grid="#e7e8ea",
    named={
        "green": "#3f9142",
        "yellow": "#d9a900",
        "red": "#d1293d",
        "blue": "#3274d9",
        "orange": "#f07000",
        "purple": "#a352cc",
        "text": "#7b8087",
    },
    lines=(
        "#3f9142",
        "#d9a900",
        "#3274d9",
        "#f07000",
        "#8f3bb8",
        "#1f60c4",
        "#d1293d",
        "#37872d",
        "#c15c17",
        "#0a437c",
    ),
)
THEMES = {"dark": DARK, "light": LIGHT}


@dataclass(slots=True)
class Canvas:
    """SVG in the making; lengths in pixels."""

    theme: Theme
    parts: list[str] = field(default_factory=list)

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, *, stroke: str = "none", opacity: float = 1,
        round_by: float = 0,
    ) -> None:  # fmt: skip
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" height="{max(0, height):.1f}" fill="{fill}"'
            f' stroke="{stroke}"' + (f' fill-opacity="{opacity:g}"' if opacity < 1 else "")
            + (f' rx="{round_by:g}"' if round_by else "") + "/>"
        )  # fmt: skip

    def line(self, points: Sequence[tuple[float, float]], stroke: str, *, width: float = 1, dash: str = "") -> None:
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        more = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{stroke}" stroke-width="{width:g}"{more}'
            ' stroke-linejoin="round"/>'
        )

    def area(self, points: Iterable[tuple[float, float]], fill: str, opacity: float) -> None:
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon points="{drawn}" fill="{fill}" fill-opacity="{opacity:g}"/>')

    def text(
        self, x: float, y: float, words: str, *, size: float = 12, fill: str = "", anchor: str = "start",
        room: float | None = None, bold: bool = False,
    ) -> None:  # fmt: skip
        """Words on the base line `y`, cut short with an ellipsis where there is no room."""
        if room is not None:
            words = fitting(words, size, room)
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill or self.theme.text}"'
            f' text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def whole(self, width: float, height: float, title: str) -> str:
        """The finished file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} '
            f'{height:g}" font-family="Inter, Roboto, Helvetica, Arial, sans-serif" role="img">'
            f"<title>{escape(title)}</title>"
        )
        return "\n".join([head, *self.parts, "</svg>"]) + "\n"


def length(words: str, size: float) -> float:
    return len(words) * size * LETTER


def fitting(words: str, size: float, room: float) -> str:
    letters = max(1, int(room / (size * LETTER)))
    return words if len(words) <= letters else words[: letters - 1] + "…"
