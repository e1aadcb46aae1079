"""Every hostile file, and everything in a directory that is no file, has the outcome that is stated for it."""

from __future__ import annotations

import os
import resource
import socket
import time
from pathlib import Path

import pytest

from tests.corpus import recipes
from tests.corpus.recipes import LINE
from tests.sources.following import Follower
from tidegauge.sources.block import LINE_TOO_LONG, NUL_BYTES, TORN_LINE

MAX_LINE_BYTES = 65536
PATIENCE = 20.0
MOST_MEMORY = 96 << 20


def rest(follower: Follower) -> int:
    """Polls until nothing moves any more; how many lines were handed out. Blocks are not kept."""
    lines = 0
    for _ in range(10):
        follower.poll()
        while (block := follower.source.read(1 << 20)) is not None:
            assert not block.data or block.data[-1] == ord("\n")
            lines += bytes(block.data).count(b"\n")
            follower.blocks += [block] if block.dropped else []
    return lines


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(("name", "make", "expected"), recipes.FILES, ids=[name for name, _, _ in recipes.FILES])
def test_a_hostile_file_has_its_outcome(tmp_path: Path, name: str, make: recipes.Make, expected: str) -> None:
    lines, dropped, problem = expected.split(";", 2)
    (tmp_path / name).write_bytes(make())
    follower = Follower(tmp_path / "*.jsonl", max_line_bytes=MAX_LINE_BYTES)
    before, started = peak_memory(), time.process_time()  # whatever else the machine does
    found = rest(follower)
    assert time.process_time() - started < PATIENCE
    assert peak_memory() - before < MOST_MEMORY
    if lines != "*":
        assert found == int(lines)
    reasons = {reason for reason, _, _ in follower.dropped}
    if dropped != "*":
        assert reasons == {one for one in dropped.split(",") if one}
    assert reasons <= {LINE_TOO_LONG, NUL_BYTES, TORN_LINE}
    assert problem in follower.problems
    assert bool(follower.problems) == bool(problem)
    follower.source.close()


def test_a_quarter_of_a_gigabyte_of_nothing_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    log = tmp_path / "sparse.jsonl"
    log.write_bytes(LINE)
    os.truncate(log, 1 << 28)
    with log.open("ab") as file:
        file.write(LINE)
    follower = Follower(log)
    before = peak_memory()
    assert rest(follower) == 2
    assert [(reason, length) for reason, _, length in follower.dropped] == [(NUL_BYTES, (1 << 28) - len(LINE))]
    assert peak_memory() - before < MOST_MEMORY
    follower.source.close()


def test_what_is_no_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "directory.jsonl").mkdir()
    os.mkfifo(tmp_path / "fifo.jsonl")
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "there.jsonl").symlink_to("back.jsonl")
    (tmp_path / "back.jsonl").symlink_to("there.jsonl")
    (tmp_path / "dangling.jsonl").symlink_to("nowhere")
    (tmp_path / "endless.jsonl").symlink_to("/dev/zero")
    (tmp_path / "up.jsonl").symlink_to("..")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # a socket's path is short
        listener.bind("socket.jsonl")
        follower = Follower(tmp_path / "*.jsonl")
        assert rest(follower) == 0
        assert "no file matches" in follower.problems
        (tmp_path / "good.jsonl").write_bytes(LINE)
        assert rest(follower) == 1
        assert follower.problems == ""
        follower.source.close()


@pytest.mark.parametrize(
    "name",
    [
        "new\nline",
        "tab\t",
        'quo"te',
        "apo'strophe",
        "back\\slash",
        "[glob]*?",
        "bidi\u202e",
        "<b>",
        "%s%n",
        " ",
        "-rf",
        "x" * 240,
    ],
    ids=ascii,
)
def test_a_peculiar_name_is_a_name(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.jsonl").write_bytes(LINE * 2)
    follower = Follower(tmp_path / "*.jsonl")
    assert rest(follower) == 2
    follower = follower.restart()
    with (tmp_path / f"{name}.jsonl").open("ab") as file:
        file.write(LINE)
    assert rest(follower) == 1
    assert follower.problems == ""
    follower.source.close()


def test_a_name_that_is_no_utf8_is_not_read_and_said(tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path)
    for name in (b"\xff.jsonl", b"good.jsonl", b"good.jsonl.1\xff"):
        Path(os.fsdecode(directory + b"/" + name)).write_bytes(LINE * 2)
    (tmp_path / "link.jsonl").symlink_to(os.fsdecode(b"\xff.jsonl"))
    follower = Follower(tmp_path / "*.jsonl")
    assert rest(follower) == 4 - 2  # the link has the same content as the good file
    assert follower.problems == f"{tmp_path}/\\udcff.jsonl is not read: its name is not UTF-8"
    follower.problems.encode()
    str(follower.source.position()).encode()
    follower.restart().source.close()
