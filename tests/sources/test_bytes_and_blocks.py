"""From bytes to blocks of whole lines: what is no line is cut out and counted, in bounded memory.

The numbers are those of the table in docs/following-files.md.
"""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.following import MAX_LINE_BYTES, Follower, append, line, lines, numbers
from tidegauge.sources.lines import Cut, take


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_f08_leading_nul_bytes_after_a_truncation_are_cut_out_and_counted(log: Path) -> None:
    append(log, lines(*range(10)))
    follower = Follower(log)
    follower.step()
    size = log.stat().st_size
    # A writer without O_APPEND goes on at its old place after the truncation.
    os.truncate(log, 0)
    with log.open("r+b") as writer:
        writer.seek(size)
        writer.write(lines(10))
    assert numbers(follower.rest()) == [10]
    assert follower.dropped == [("nul_bytes", 0, size)]
    assert follower.events("truncations") == 1


def test_f08_gigabytes_of_nul_bytes_take_bounded_memory(log: Path) -> None:
    with log.open("wb") as writer:
        writer.truncate(1 << 28)
        writer.seek(1 << 28)
        writer.write(lines(1))
    follower = Follower(log)
    tracemalloc.start()
    assert numbers(follower.step()) == [1]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20
    assert follower.dropped == [("nul_bytes", 0, 1 << 28)]


def test_f19_an_unfinished_line_waits_for_its_newline(log: Path) -> None:
    whole = line(2)
    append(log, lines(1) + whole[:9])
    follower = Follower(log)
    assert numbers(follower.step()) == [1]
    for byte in whole[9:-1]:
        append(log, bytes([byte]))
        assert follower.step() == []
    follower = follower.restart()
    assert follower.rest() == []
    append(log, b"\n")
    assert follower.step() == [whole]
    assert follower.source.status().lag_bytes == 0


def test_f22_an_over_long_line_costs_only_itself(log: Path) -> None:
    long = b"x" * (MAX_LINE_BYTES + 1) + b"\n"
    fits = b"y" * MAX_LINE_BYTES + b"\n"
    append(log, lines(1) + long + lines(2) + fits + long + long + lines(3))
    follower = Follower(log)
    assert follower.step() == [line(1), line(2), fits, line(3)]
    assert [(reason, length) for reason, _, length in follower.dropped] == [("line_too_long", len(long))] * 3


def test_f22_a_line_that_never_ends_takes_bounded_memory_and_its_rest_is_not_a_line(log: Path) -> None:
    follower = Follower(log)
    for _ in range(50):
        append(log, b"x" * 1000)
        assert follower.step() == []
    follower = follower.restart()
    append(log, b"x" * 1000 + b"\n" + line(1))
    assert follower.step() == [line(1)]
    assert follower.dropped == [("line_too_long", 0, 51_001)]


def test_f23_bytes_are_handed_out_as_they_are_invalid_utf8_included(log: Path) -> None:
    rows = [b'{"a": "\xff\xfe"}\n', '{"a": "é€😀"}\n'.encode(), b"\xe2\x82\n"]
    append(log, b"".join(rows))
    follower = Follower(log)
    follower.poll()
    assert follower.read(limit=1) == rows


def test_f24_crlf_blank_lines_byte_order_marks_and_inner_nul_bytes_stay_for_the_decoder(log: Path) -> None:
    rows = [b"\xef\xbb\xbf{}\r\n", b"\r\n", b"\n", b'{"a": "\0"}\n']
    append(log, b"".join(rows))
    follower = Follower(log)
    assert follower.step() == rows
    assert follower.dropped == []


def test_f24_nul_bytes_before_a_line_are_cut_out(log: Path) -> None:
    append(log, line(1) + b"\0" * 7 + line(2) + b"\0" * 5)
    follower = Follower(log)
    assert follower.step() == [line(1), line(2)]
    append(log, b"\0" * 3 + line(3))
    assert follower.step() == [line(3)]
    place = len(line(1))
    assert follower.dropped == [("nul_bytes", place, 7), ("nul_bytes", place + 7 + len(line(2)), 8)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}\n".encode("utf-16"), "is UTF-16"),
        (b"\x28\xb5\x2f\xfd\0\0", "is compressed with zstd"),
        (b"BZh91AY", "is compressed with bzip2"),
    ],
)
def test_f24_files_in_another_encoding_are_reported_not_read(log: Path, content: bytes, words: str) -> None:
    append(log, content)
    follower = Follower(log)
    assert follower.rest() == []
    assert f"{log} {words}" in follower.problems
    assert follower.events("unsupported_files") == 1
    log.write_bytes(line(1))
    assert numbers(follower.rest()) == [1]
    assert follower.problems == ""


@given(
    rows=st.lists(st.binary(max_size=40).map(lambda row: row.replace(b"\n", b"").lstrip(b"\0") + b"\n"), max_size=20),
    limit=st.integers(1, 60),
)
def test_f25_wherever_a_chunk_ends_the_lines_are_the_same(rows: list[bytes], limit: int) -> None:
    data, at, cut, found = b"".join(rows), 0, None, []
    size = limit
    while at < len(data):
        chunk = data[at : at + size]
        taken = take(chunk, 0, at, 1000, cut)
        found += [row + b"\n" for row in chunk[taken.start : taken.end].split(b"\n")[:-1]]
        size = limit if taken.end else size + 1
        at, cut = at + taken.end, taken.cut
    assert found == rows


@given(
    data=st.lists(st.sampled_from([b"\0", b"\n", b"x", b"xx", b"\n\n"]), max_size=60).map(b"".join),
    limit=st.integers(1, 30),
)
def test_f25_what_is_cut_out_does_not_depend_on_chunks_either(data: bytes, limit: int) -> None:
    def follow(step: int) -> tuple[list[bytes], list[tuple[str, int, int]], Cut | None]:
        rows: list[bytes] = []
        dropped: list[tuple[str, int, int]] = []
        at, cut = 0, None
        size = step
        while at < len(data):
            chunk = data[at : at + size]
            taken = take(chunk, 0, at, 3, cut)
            rows += [row + b"\n" for row in chunk[taken.start : taken.end].split(b"\n")[:-1]]
            dropped += taken.dropped
            at, cut = at + taken.end, taken.cut
            if taken.end or taken.more:
                size = step
            elif size > len(data):
                break
            else:
                size += 1
        return rows, dropped, cut

    assert follow(limit) == follow(len(data) + 1)


def test_gzip_is_known_by_its_magic_and_read_like_any_file(tmp_path: Path) -> None:
    log = tmp_path / "named-anyhow"
    log.write_bytes(gzip.compress(lines(1, 2)) + gzip.compress(lines(3)) + b"\0" * 10)
    follower = Follower(log)
    assert numbers(follower.rest()) == [1, 2, 3]
    append(log, gzip.compress(lines(4)))
    assert numbers(follower.rest()) == [4]
    append(log, gzip.compress(lines(5)))
    assert numbers(follower.restart().rest()) == [5]


def test_a_gzip_file_that_is_still_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    rows = lines(*range(5000))
    packed = gzip.compress(rows, compresslevel=0)
    log.write_bytes(packed[: len(packed) // 2])
    follower = Follower(log)
    first = numbers(follower.rest())
    assert 0 < len(first) < 5000
    assert follower.events("truncated_gzip") == 1
    assert "ends in the middle" in follower.problems
    assert follower.unreadable == 1
    follower = follower.restart()
    follower.step()
    assert follower.unreadable == 1, "as before the restart"
    append(log, packed[len(packed) // 2 :])
    assert first + numbers(follower.rest()) == list(range(5000))
    assert follower.unreadable == 0
    assert follower.problems == ""


def test_a_damaged_gzip_file_is_read_up_to_the_damage_and_reported(tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    packed = bytearray(gzip.compress(lines(*range(5000)), compresslevel=1))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = b"\xff" * 50
    log.write_bytes(packed)
    follower = Follower(log)
    follower.rest()
    assert follower.events("corrupt_gzip") == 1
    assert "is damaged" in follower.problems
    follower = follower.restart()
    follower.rest()
    assert follower.unreadable == 1
    assert follower.events("corrupt_gzip") == 1, "counted once"
    assert "is damaged" in follower.problems
    log.unlink()
    follower.rest()
    assert (follower.unreadable, follower.problems) == (0, f"no file matches {log}")


def test_a_big_gzip_file_takes_bounded_memory_also_when_skipping_to_a_place(tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    log.write_bytes(gzip.compress(line(1, filler=3000) * 20_000, compresslevel=1))
    follower = Follower(log)
    follower.poll()
    for _ in range(50):
        assert follower.source.read(1 << 20) is not None
    follower = follower.restart()
    follower.poll()
    tracemalloc.start()
    assert follower.source.read(1 << 20) is not None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20
