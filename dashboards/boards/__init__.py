"""The boards, one a module; `BOARDS` is what `python -m dashboards` writes."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.boards import drift, fleet, model, pipeline, release, slices

BOARDS: dict[str, Board] = {
    "fleet": fleet.BOARD,
    "model": model.BOARD,
    "release": release.BOARD,
    "slices": slices.BOARD,
    "drift": drift.BOARD,
    "pipeline": pipeline.BOARD,
}
"""By the name of the file."""
