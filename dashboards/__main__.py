"""`python -m dashboards`: writes the boards' JSON beside this file. The same source writes the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards.board import Board
from dashboards.boards import BOARDS

HERE = Path(__file__).parent


def written(board: Board) -> str:
    """The board's file."""
    return json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for name, board in BOARDS.items():
        (HERE / f"{name}.json").write_text(written(board), encoding="utf-8")


if __name__ == "__main__":
    main()
