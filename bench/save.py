"""What saving costs: ten million waiting predictions, then ten thousand changed and ten thousand new ones.

Prints each figure beside its bar and exits 1 if one is missed. It needs about 1 GB of memory and of disk in a temporary
directory; name another with --directory to measure another disk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tidegauge.state.store import Store
from tidegauge.state.table import Table

ROW = np.dtype(
    [("key", "<u8"), ("time", "<i8"), ("score", "<f8"), ("series", "<i4"), ("label", "<i4"), ("flags", "u1")]
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures the saving and restoring of a large state.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--saves", type=int, default=60, help="saves before the state is restored")
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        return measure(Path(directory) / "state", options.rows, options.changes, options.saves)


def measure(directory: Path, count: int, changes: int, saves: int) -> int:
    generator = np.random.default_rng(1)
    store = Store.open(directory, schema=1)
    store.load()
    table = Table("pending", ROW, count + saves * changes)
    fill(table, table.allocate(count), generator)
    started = time.perf_counter()
    capture = store.capture({"positions": b"0"}, [table])
    stall = time.perf_counter() - started
    report = store.commit(capture)
    print(
        f"first save of {count:,} rows: {report.bytes / 1e6:.0f} MB, stall {stall * 1e3:.0f} ms, {report.seconds:.2f} s"
    )
    del capture
    worst_bytes, worst_stall, worst_seconds = 0, 0.0, 0.0
    for save in range(saves):
        changed = generator.choice(table.high_water, changes, replace=False)
        table.rows["label"][changed] = save
        table.touch(changed)
        fill(table, table.allocate(changes), generator)
        started = time.perf_counter()
        capture = store.capture({"positions": str(save).encode()}, [table])
        worst_stall = max(worst_stall, time.perf_counter() - started)
        report = store.commit(capture)
        worst_bytes, worst_seconds = max(worst_bytes, report.bytes), max(worst_seconds, report.seconds)
    store.close()
    on_disk = sum(path.stat().st_size for path in directory.iterdir())
    started = time.perf_counter()
    again = Store.open(directory, schema=1)
    again.load()
    restored = again.restore_table("pending", ROW, table.capacity)
    seconds = time.perf_counter() - started
    again.close()
    same = restored is not None and bool((restored.raw[: table.high_water] == table.raw[: table.high_water]).all())
    print(
        f"save: {worst_seconds:.3f} s at worst; on disk {on_disk / 1e6:.0f} MB for {table.nbytes / 1e6:.0f} MB of rows"
    )
    overhead = table.nbytes / table.high_water - ROW.itemsize
    bars = [
        ("bytes written by a save (MB)", worst_bytes / 1e6, 10.0),
        ("stall of a save (ms)", worst_stall * 1e3, 100.0),
        ("restoring (s)", seconds, 5.0),
        ("memory beside the rows (bytes a row)", overhead, 0.3),
        ("rows that came back different", 0.0 if same else 1.0, 0.0),
    ]
    for name, value, bar in bars:
        print(f"{name:40} {value:8.3f}   at most {bar:g}   {'ok' if value <= bar else 'MISSED'}")
    return int(any(value > bar for _, value, bar in bars))


def fill(table: Table, numbers: np.ndarray, generator: np.random.Generator) -> None:
    rows = np.zeros(len(numbers), ROW)
    rows["key"] = generator.integers(1, 2**63, len(numbers))
    rows["time"] = numbers
    rows["score"] = generator.random(len(numbers))
    table.raw[numbers] = rows.view(table.raw.dtype)


if __name__ == "__main__":
    sys.exit(main())
