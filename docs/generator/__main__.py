"""`python -m docs.generator` writes every generated part; `generated()` is what it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from docs.generator import configuration, metrics
from docs.generator.json_schema import json_schema
from docs.generator.pages import fill

DOCS = Path(__file__).parents[1]
SCHEMA = DOCS / "tidegauge.schema.json"


def generated() -> Mapping[Path, str]:
    """The files and what they should hold."""
    pages = {
        DOCS / "configuration.md": configuration.parts(),
        DOCS / "logging.md": configuration.record_parts(),
        DOCS / "metrics.md": metrics.parts(),
    }
    texts = {path: fill(path.read_text(encoding="utf-8"), parts) for path, parts in pages.items()}
    return {SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", **texts}


def main() -> None:
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
