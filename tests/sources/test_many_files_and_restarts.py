"""Many files, long backlogs, crashes, odd clocks: fair, bounded and exactly once.

The numbers are those of the table in docs/following-files.md.
"""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from tests.sources.following import Follower, append, line, lines, numbers
from tidegauge.sources.files import FileSource
from tidegauge.sources.readers import PlainReader


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_f28_after_a_crash_everything_since_the_saved_position_comes_again_and_nothing_else(log: Path) -> None:
    append(log, lines(*range(100)))
    follower = Follower(log)
    follower.poll()
    first = follower.source.read(1500)
    assert first is not None
    saved = json.dumps(follower.source.position())
    lost_in_the_crash = follower.read()
    follower.source.close()
    append(log, lines(100))
    after = Follower(log, json.loads(saved))
    again = after.step()
    assert again[: len(lost_in_the_crash)] == lost_in_the_crash
    assert numbers(bytes(first.data).splitlines() + again) == list(range(101))


def test_f29_a_position_of_another_form_is_refused_and_not_taken_for_a_first_start(log: Path) -> None:
    with pytest.raises(ValueError, match="found format 99, expected 1"):
        Follower(log, {"format": 99})


def test_f30_following_files_writes_nothing_to_disk(log: Path) -> None:
    append(log, lines(1))
    before = [(path.name, path.stat().st_mtime_ns) for path in log.parent.iterdir()]
    follower = Follower(log)
    follower.rest()
    follower.source.position()
    assert [(path.name, path.stat().st_mtime_ns) for path in log.parent.iterdir()] == before


def test_f31_two_readers_of_one_file_do_not_disturb_each_other(log: Path) -> None:
    append(log, lines(1))
    first, second = Follower(log), Follower(log)
    assert numbers(first.step()) == numbers(second.step()) == [1]
    append(log, lines(2))
    assert numbers(first.step()) == numbers(second.step()) == [2]


def test_f32_a_stale_handle_is_opened_again(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    with pytest.MonkeyPatch.context() as patch:

        def stale(*_: object) -> int:
            raise OSError(116, "Stale file handle")

        patch.setattr(PlainReader, "read", stale)
        assert follower.step() == []
        assert "Stale file handle" in follower.problems or follower.events("read_errors") == 1
        assert follower.unreadable == 1
    assert numbers(follower.rest()) == [2]
    assert follower.problems == ""
    assert follower.unreadable == 0


def test_f32_no_device_number_is_part_of_an_identity(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    saved = json.dumps(follower.source.position())
    assert str(log.stat().st_dev) not in json.loads(saved)["parts"][0]["stat"]
    # And another inode, as after a restored backup, changes nothing either.
    copy = log.with_name("copy")
    copy.write_bytes(log.read_bytes() + line(2))
    copy.rename(log)
    assert numbers(Follower(log, json.loads(saved)).step()) == [2]


def test_f33_changes_are_found_by_looking_not_by_events(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "*" / "*.jsonl")
    follower.step()
    for number in range(300):
        path = tmp_path / f"folder{number % 7}" / f"{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        append(path, lines(number))
    assert sorted(numbers(follower.step())) == list(range(300))
    assert follower.source.status().files == 300


def test_f34_files_take_turns_so_that_a_big_one_starves_nobody(tmp_path: Path) -> None:
    append(tmp_path / "a.jsonl", lines(*[0] * 5000))
    append(tmp_path / "b.jsonl", lines(*[1] * 50))
    append(tmp_path / "c.jsonl", lines(*[2] * 50))
    follower = Follower(tmp_path / "*.jsonl")
    follower.poll()
    first = [follower.source.read(4000) for _ in range(3)]
    assert [Path(block.path).name for block in first if block] == ["a.jsonl", "b.jsonl", "c.jsonl"]


def test_f34_rotated_parts_come_before_their_successors(log: Path) -> None:
    for age, name in enumerate(["log.jsonl.3", "log.jsonl.2.gz", "log.jsonl.1", "log.jsonl"]):
        path = log.with_name(name)
        rows = lines(*range(age * 100, age * 100 + 100))
        path.write_bytes(gzip.compress(rows) if name.endswith(".gz") else rows)
        os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
    follower = Follower(f"{log}*")
    follower.poll()
    assert numbers(follower.read(limit=500)) == list(range(400))


def test_f34_many_compressed_files_are_each_inflated_once(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"part-{number}.jsonl.gz").write_bytes(gzip.compress(lines(*[number] * 300)))
    follower = Follower(tmp_path / "*.gz", max_open_files=8)
    inflated = 0
    with pytest.MonkeyPatch.context() as patch:
        from tidegauge.sources.readers import GzipReader

        rewind = GzipReader._rewind

        def count(reader: GzipReader) -> None:
            nonlocal inflated
            inflated += 1
            rewind(reader)

        patch.setattr(GzipReader, "_rewind", count)
        follower.poll()
        rows = follower.read(limit=2000)
    assert Counter(numbers(rows)) == dict.fromkeys(range(40), 300)
    # Once to look at the first bytes, once or twice to read.
    assert inflated <= 40 * 4


def test_f35_more_files_than_may_be_open_are_all_followed(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jsonl" for number in range(50)]
    follower = Follower(tmp_path / "*.jsonl", max_open_files=5)
    for step in range(4):
        for number, path in enumerate(paths):
            append(path, lines(step * 100 + number))
        assert sorted(numbers(follower.step())) == [step * 100 + number for number in range(50)]
        assert follower.source.status().open_files <= 5


def test_f35_a_deleted_file_that_had_to_be_closed_is_counted(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "*.jsonl", max_open_files=2)
    for number in range(4):
        append(tmp_path / f"{number}.jsonl", lines(number))
    follower.poll()
    for number in range(4):
        (tmp_path / f"{number}.jsonl").unlink()
    rows = follower.rest()
    assert len(rows) == 2
    assert follower.events("deleted_unread") == 2
    assert follower.events("lost_bytes") == 2 * len(line(0))


def test_f36_a_backlog_is_read_in_bounded_memory_and_lag_says_how_much_is_left(log: Path) -> None:
    row = line(1, filler=990)
    with log.open("wb") as writer:
        for _ in range(64):
            writer.write(row * 1000)
    size = log.stat().st_size
    follower = Follower(log)
    follower.poll()
    assert not follower.source.status().first_pass_done
    assert follower.source.status().lag_bytes == size
    tracemalloc.start()
    read = 0
    while (block := follower.source.read(1 << 20)) is not None:
        read += len(block.data)
        assert follower.source.status().lag_bytes == size - read
        assert follower.source.status().read_bytes_total == read
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == size
    assert peak < 6 << 20
    assert follower.source.status().first_pass_done


def test_f36_the_first_pass_is_over_when_what_lay_there_at_start_is_read_whatever_came_since(log: Path) -> None:
    append(log, lines(*range(100)) + b'{"unfinished')
    follower = Follower(log)
    assert not follower.source.status().first_pass_done
    follower.poll()
    block = follower.source.read(500)
    append(log, b'": 1}\n' + lines(*range(100)))
    follower.poll()
    assert block is not None
    assert not follower.source.status().first_pass_done
    follower.read(500)
    assert follower.source.status().first_pass_done
    append(log, lines(*range(100)))
    follower.poll()
    assert follower.source.status().first_pass_done


def test_f36_nothing_to_read_is_a_first_pass_too_and_is_said(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "nowhere" / "*.jsonl")
    follower.step()
    assert follower.source.status().first_pass_done
    assert follower.problems == (
        f"no file matches {tmp_path}/nowhere/*.jsonl: there is no directory {tmp_path}/nowhere"
    )


def test_f37_a_stop_in_the_middle_of_a_line_goes_on_at_its_beginning(log: Path) -> None:
    append(log, lines(1) + line(2)[:11])
    follower = Follower(log)
    follower.step()
    follower = follower.restart()
    append(log, line(2)[11:] + line(3))
    assert follower.step() == [line(2), line(3)]


def test_f39_neither_a_clock_nor_a_file_time_going_backwards_changes_what_is_read(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    os.utime(log, (1, 1))
    follower.now -= 10**9
    assert numbers(follower.step()) == [2]
    os.utime(log)
    assert follower.rest() == []
    log.rename(f"{log}.1")
    os.utime(f"{log}.1", (5, 5))
    follower.now -= 10**9
    append(log, lines(3))
    os.utime(log, (3, 3))
    assert numbers(follower.restart().rest()) == [3]


def test_f40_a_malformed_line_stalls_nothing(log: Path) -> None:
    rows = [line(1), b"not json\n", b"{\n", line(2)]
    append(log, b"".join(rows))
    assert Follower(log).step() == rows


def test_every_block_says_where_its_bytes_are(log: Path) -> None:
    append(log, lines(*range(200)))
    follower = Follower(log)
    follower.poll()
    follower.read(limit=1500)
    content = log.read_bytes()
    assert len(follower.blocks) > 3
    for block in follower.blocks:
        assert content[block.offset : block.offset + len(block.data)] == block.data


def test_a_rotated_file_keeps_the_name_the_glob_gave_it_and_says_where_it_is(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    log.rename(f"{log}.1")
    follower.step()
    assert [(block.path, block.place) for block in follower.blocks] == [(str(log), str(log)), (str(log), f"{log}.1")]


def test_the_position_is_small_however_long_the_file(log: Path) -> None:
    follower = Follower(log)
    for _ in range(200):
        append(log, lines(1, filler=3000) * 20)
        follower.step()
    assert len(json.dumps(follower.source.position())) < 2000


def test_what_went_away_is_remembered_only_so_far(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "*.jsonl")
    for number in range(600):
        append(tmp_path / f"{number}.jsonl", lines(number))
    follower.rest()
    for path in tmp_path.glob("*.jsonl"):
        path.unlink()
    follower.rest()
    position = follower.source.position()
    assert position["parts"] == []
    assert len(position["gone"]) == 500


def test_counts_go_on_after_a_restart(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    log.rename(f"{log}.1")
    append(log, lines(3))
    follower.step()
    status = follower.source.status()
    again = follower.restart()
    assert again.source.status().events == status.events
    assert again.source.status().read_bytes_total == status.read_bytes_total == len(lines(1, 2, 3))


def test_a_source_that_was_closed_still_knows_its_position(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    follower.source.close()
    assert isinstance(follower.source, FileSource)
    append(log, lines(2))
    assert numbers(Follower(log, follower.source.position()).step()) == [2]
