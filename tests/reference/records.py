"""Reference records for tests, written in each format that can be read, and a configuration that watches them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegauge.config.load import load
from tidegauge.config.settings import Model, Settings

FEATURES = {
    "amount": "numeric",
    "visits": "numeric",
    "country": "categorical",
    "device": "categorical",
    "member": "boolean",
    "message": "text_length",
}
Record = dict[str, Any]


def configured(
    folder: Path, features: Mapping[str, str] = FEATURES, *, task: str = "binary", more: str = ""
) -> tuple[Model, Settings]:
    """A model called fraud with these features, in folder/tidegauge.yml."""
    path = folder / "tidegauge.yml"
    lines = [
        "sources: [{predictions: p/*.jsonl}, {feedback: f/*.jsonl}]",
        "models:",
        "  - name: fraud",
        f"    task: {task}",
        "    feedback: {outcome: {maturity: 1h}}",
        f"    features: {json.dumps(dict(features))}",
        *([f"    {more}"] if more else []),
    ]
    path.write_text("\n".join(lines) + "\n")
    settings = load(path, references=False)
    return settings.models[0], settings


def generate(number: int, seed: int = 1) -> list[Record]:
    """Flat records; None is what is missing."""
    rng = random.Random(seed)
    records = []
    for _ in range(number):
        score = round(rng.random(), 6)
        amount: float | None = rng.lognormvariate(3, 1)
        if rng.random() < 0.1:
            amount = None
        elif rng.random() < 0.02:
            amount = rng.choice([float("inf"), float("-inf")])
        records.append(
            {
                "unit_id": f"u{rng.randrange(number // 4 + 1)}",
                "amount": amount,
                "visits": rng.choice([0, 0, 0, 1, 2, 3]),
                "country": rng.choice(["de", "fr", "us", "ça", None]),
                "device": f"d{int(rng.paretovariate(0.7)) % 60}",
                "member": rng.choice([True, False, None]),
                "message": rng.choice(["hello", "good morning", "x" * 40, None]),
                "score": score,
                "prediction": int(score >= 0.5),
                "label": int(rng.random() < score) if rng.random() < 0.9 else None,
            }
        )
    return records


def write_csv(path: Path, records: Sequence[Record], *, missing: str = "", columns: Mapping[str, str] = {}) -> Path:
    """`missing` stands for missing numbers and booleans; `columns` renames."""
    names = list(records[0])
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow([columns.get(name, name) for name in names])
        for record in records:
            lines.writerow([_cell(name, record[name], missing) for name in names])
    return path


def _cell(name: str, value: Any, missing: str) -> str:
    if value is None:
        return missing if FEATURES.get(name) in ("numeric", "boolean") else ""
    return repr(value) if isinstance(value, float) else str(value)


def write_json_lines(path: Path, records: Iterable[Record], *, nested: bool = True) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            shown = record
            if nested:
                shown = {name: value for name, value in record.items() if name not in FEATURES}
                shown["features"] = {name: record[name] for name in FEATURES if name in record}
            file.write(json.dumps(shown) + "\n")
    return path


def write_parquet(path: Path, records: Sequence[Record], *, nested: bool = False) -> Path:
    import pyarrow
    from pyarrow import parquet

    held = list(records)
    if nested:
        held = [
            {
                **{name: value for name, value in record.items() if name not in FEATURES},
                "features": {name: record[name] for name in FEATURES},
            }
            for record in records
        ]
    parquet.write_table(pyarrow.Table.from_pylist(held), path, row_group_size=700)
    return path
