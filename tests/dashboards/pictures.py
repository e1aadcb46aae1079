"""`make pictures`: fills Prometheus with the demo and draws the boards for the docs into docs/images/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dashboards.preview.grafana import Prometheus, look
from dashboards.preview.picture import picture
from dashboards.preview.svg import DARK, LIGHT, Theme
from tests.dashboards.demo_data import SCRAPE_INTERVAL, Filled, filled_prometheus
from tests.dashboards.test_boards import committed

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SCRAPES = 60
PICTURES: dict[str, tuple[str, Theme, int | None, dict[str, Sequence[str]]]] = {
    "board-fleet": ("fleet", DARK, None, {}),
    "board-model": ("model", DARK, 3, {"model": ["fraud"]}),
    "board-release": ("release", DARK, None, {"model": ["fraud"]}),
    "board-slices": ("slices", LIGHT, 3, {"model": ["delivery-time"], "metric": ["mae"]}),
    "board-drift": (
        "drift",
        DARK,
        3,
        {
            "model": ["fraud"],
            "version": ["v1"],
            "metric": ["accuracy"],
            "reference": ["trailing"],
            "feature": ["amount"],
        },
    ),
    "board-pipeline": ("pipeline", LIGHT, 3, {}),
}
"""File name -> board, theme, how many of its sections, and what is chosen."""


def draw_all(demo: Filled, folder: Path) -> None:
    """Draws every picture into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (board, theme, sections, chosen) in PICTURES.items():
        view = look(
            committed(board),
            Prometheus(demo.server.url),
            start=demo.start,
            end=demo.end,
            scrape_interval=SCRAPE_INTERVAL,
            **chosen,
        )
        (folder / f"{name}.svg").write_text(picture(view, theme, sections=sections), encoding="utf-8")


def main() -> None:
    with TemporaryDirectory() as scratch, filled_prometheus(Path(scratch), scrapes=SCRAPES) as demo:
        draw_all(demo, IMAGES)


if __name__ == "__main__":
    main()
