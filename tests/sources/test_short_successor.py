"""A new file that is shorter than the one before it, and begins as every line of the program begins, is a new file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tidegauge.config.settings import Source
from tidegauge.sources.files import FileSource


def line(identifier: str, length: int) -> bytes:
    start = f'{{"prediction_id": "{identifier}", "filler": "'
    return f'{start}{"x" * (length - len(start) - 3)}"}}\n'.encode()


# Marks stay at powers of 4 times 256 bytes before the offset reached, so these lengths leave one near the beginning.
@pytest.mark.parametrize("length", [268, 1024 + 12, 1024 + 200, 4096 + 12])
@pytest.mark.parametrize("restarted", [False, True])
def test_it_is_read_from_its_beginning(tmp_path: Path, length: int, restarted: bool) -> None:
    log = tmp_path / "predictions.jsonl"
    settings = Source("predictions", "predictions", str(log))
    source = FileSource(settings, max_line_bytes=1 << 20)
    log.write_bytes(line("p1", length))
    source.poll(0)
    block = source.read()
    assert block is not None and len(block.data) == length
    if restarted:
        position = json.loads(json.dumps(source.position()))
        source.close()
        source = FileSource(settings, max_line_bytes=1 << 20, position=position)
    log.unlink()
    log.write_bytes(line("p2", 111))
    read = b""
    for seconds in range(1, 12):
        source.poll(seconds * 1000)
        while (block := source.read()) is not None:
            read += block.data
    source.close()
    assert read == line("p2", 111)
