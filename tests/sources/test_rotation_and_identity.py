"""Rotated, copied, truncated, replaced, deleted: a file is known by its content, and each line is handed out once.

The numbers are those of the table in docs/following-files.md.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.sources.following import MAX_LINE_BYTES, Follower, append, compress, line, lines, numbers


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_f01_the_unread_end_of_a_renamed_file_comes_before_its_successor(log: Path) -> None:
    append(log, lines(1, 2))
    follower = Follower(log)
    assert numbers(follower.step()) == [1, 2]
    append(log, lines(3))
    log.rename(f"{log}.1")
    append(log, lines(4))
    assert numbers(follower.step()) == [3, 4]
    assert follower.events("rotations") == 1


def test_f01_renamed_to_any_name_it_is_read_to_its_end(log: Path, tmp_path: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    (tmp_path / "elsewhere").mkdir()
    log.rename(tmp_path / "elsewhere" / "unheard-of")
    append(log, lines(3))
    assert numbers(follower.step()) == [2, 3]


def test_f02_what_is_still_written_to_the_renamed_file_is_read(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    with log.open("ab") as writer:
        log.rename(f"{log}.1")
        append(log, lines(2))
        assert numbers(follower.step()) == [2]
        follower.rest()
        writer.write(lines(3))
        writer.flush()
        assert numbers(follower.step()) == [3]


@pytest.mark.parametrize("down", [False, True])
def test_f03_two_rotations_between_two_looks_lose_nothing(log: Path, down: bool) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    log.rename(f"{log}.2")
    append(log, lines(3, 4))
    log.rename(f"{log}.1")
    append(log, lines(5))
    if down:
        follower = follower.restart()
    assert numbers(follower.step()) == [2, 3, 4, 5]
    assert follower.events("missed_generations") == 1


def test_f03_a_generation_missed_and_compressed_is_read_once_it_rests(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    follower.source.close()
    compress(log.rename(f"{log}.2"))
    append(log, lines(2, 3))
    compress(log.rename(f"{log}.1"))
    append(log, lines(4))
    follower = follower.restart()
    assert sorted(numbers(follower.rest())) == [2, 3, 4]


def test_f03_rotated_files_that_lay_there_at_the_first_start_are_left_alone_whatever_becomes_of_them(log: Path) -> None:
    append(Path(f"{log}.1"), lines(1, 2, 3))
    append(log, lines(4))
    follower = Follower(log)
    assert numbers(follower.rest()) == [4]
    Path(f"{log}.1").rename(f"{log}.2")
    log.rename(f"{log}.1")
    append(log, lines(5))
    follower = follower.restart()
    assert numbers(follower.rest()) == [5]
    os.utime(f"{log}.2")
    assert numbers(follower.rest()) == []
    compress(Path(f"{log}.2"))
    append(log, lines(6))
    log.rename(f"{log}.3")
    assert numbers(follower.rest()) == [6]


def test_f03_a_whole_life_between_two_looks_is_read(log: Path) -> None:
    follower = Follower(log)
    follower.step()
    append(log, lines(1))
    log.rename(f"{log}.1")
    assert numbers(follower.step()) == [1]


def test_f03_rotated_files_kept_in_another_folder_are_found(log: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    append(log, lines(1))
    follower = Follower(log, rotated=(str(tmp_path / "old" / "*"),))
    follower.step()
    append(log, lines(2))
    log.rename(tmp_path / "old" / "first")
    append(log, lines(3))
    follower = follower.restart()
    assert numbers(follower.step()) == [2, 3]


def test_f04_copytruncate_reads_the_rest_from_the_copy(log: Path) -> None:
    append(log, lines(1, 2))
    follower = Follower(log)
    follower.step()
    append(log, lines(3))
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, lines(4))
    assert numbers(follower.rest()) == [3, 4]
    assert follower.events("truncations") == 1
    assert follower.events("lost_unknown") == 0


def test_f04_truncation_without_a_copy_is_counted_as_loss(log: Path) -> None:
    append(log, lines(1, 2))
    follower = Follower(log)
    follower.step()
    append(log, lines(3))
    follower.poll()
    os.truncate(log, 0)
    append(log, lines(4))
    assert numbers(follower.rest()) == [4]
    assert follower.events("truncations") == 1
    assert follower.events("lost_bytes") == len(line(3))
    os.truncate(log, 0)
    append(log, lines(5))
    os.truncate(log, 0)
    follower.rest()
    assert follower.events("lost_unknown") == 1


@pytest.mark.parametrize("down", [False, True])
def test_f05_a_file_truncated_and_grown_beyond_the_old_place_is_seen_by_its_content(log: Path, down: bool) -> None:
    append(log, lines(*range(10)))
    follower = Follower(log)
    follower.step()
    append(log, lines(10))
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, lines(*range(11, 40)))
    if down:
        follower = follower.restart()
    assert numbers(follower.rest()) == list(range(10, 40))


def test_f05_also_when_it_is_truncated_between_looking_and_reading(log: Path) -> None:
    append(log, lines(*range(10)))
    follower = Follower(log)
    follower.step()
    append(log, lines(10))
    follower.poll()
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, lines(*range(11, 40)))
    assert numbers(follower.read()) == []
    assert numbers(follower.rest()) == list(range(10, 40))


def test_f05_and_before_anything_of_it_was_read(log: Path) -> None:
    append(log, lines(*range(10)))
    follower = Follower(log)
    follower.poll()
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, lines(*range(10, 50)))
    assert numbers(follower.read()) == []
    assert numbers(follower.rest()) == list(range(50))


def test_f06_lines_written_between_copying_and_truncating_are_gone_and_the_truncation_is_counted(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    shutil.copy(log, f"{log}.1")
    append(log, lines(3))
    os.truncate(log, 0)
    append(log, lines(4))
    assert numbers(follower.rest()) == [2, 4]
    assert follower.events("truncations") == 1


def test_f06_lines_read_in_that_gap_are_not_read_again_from_the_shorter_copy(log: Path) -> None:
    append(log, lines(*range(50)))
    follower = Follower(f"{log}*")
    follower.step()
    shutil.copy(log, f"{log}.1")
    append(log, lines(50))
    assert numbers(follower.step()) == [50]
    os.truncate(log, 0)
    append(log, lines(51))
    assert numbers(follower.rest()) == [51]


def test_f06_even_if_the_copy_is_seen_only_after_the_truncation(log: Path) -> None:
    append(log, lines(*range(50)))
    copied = log.read_bytes()
    follower = Follower(f"{log}*")
    follower.step()
    append(log, lines(50))
    follower.step()
    append(Path(f"{log}.1"), copied)
    os.truncate(log, 0)
    append(log, lines(51))
    assert numbers(follower.rest()) == [51]
    assert numbers(follower.restart().rest()) == []


def test_f07_a_copy_beside_its_original_is_read_once_also_while_it_is_being_made(log: Path) -> None:
    append(log, lines(*range(100)))
    follower = Follower(f"{log}*")
    follower.step()
    data = log.read_bytes()
    for end in (10, 700, 3000, len(data)):
        Path(f"{log}.1").write_bytes(data[:end])
        assert follower.step() == []
    append(log, lines(100))
    assert numbers(follower.step()) == [100]
    assert numbers(follower.restart().rest()) == []


def test_f09_a_new_file_with_an_old_inode_is_read_from_its_start(log: Path) -> None:
    append(log, lines(*range(10)))
    follower = Follower(log)
    follower.step()
    position = follower.source.position()
    # What inode reuse looks like to a process that starts: the saved inode belongs to other content.
    other = log.with_name("other")
    append(other, lines(*range(10, 40)))
    other.rename(log)
    position["parts"][0]["stat"][0] = log.stat().st_ino
    follower = Follower(log, position)
    assert numbers(follower.rest()) == list(range(10, 40))


def test_f10_a_file_that_lost_its_end_is_read_on_from_the_last_place_known_for_sure(log: Path) -> None:
    append(log, lines(*range(300)))
    follower = Follower(log)
    follower.step()
    os.truncate(log, len(lines(*range(290))) - 5)
    follower = follower.restart()
    again = follower.step()
    append(log, b"\n" + lines(300))
    assert numbers(follower.rest()[-1:]) == [300]
    assert follower.events("shrunk") == 1
    assert set(numbers(again)) < set(range(260, 290))


@pytest.mark.parametrize("left", [18, 100, 300, 700])
def test_f10_a_file_of_which_only_the_first_bytes_are_left_goes_on_or_begins_anew(log: Path, left: int) -> None:
    append(log, lines(*range(300)))
    for position_saved in (False, True):
        follower = Follower(log)
        follower.poll()
        if position_saved:
            follower.read()
        content = log.read_bytes()
        os.truncate(log, left)
        follower.rest()
        append(log, b"\n" + lines(300))
        assert numbers(follower.rest()[-1:]) == [300]
        log.write_bytes(content)


def test_f10_a_file_smaller_than_the_saved_place_with_other_content_is_new(log: Path) -> None:
    append(log, lines(*range(30)))
    follower = Follower(log)
    follower.step()
    os.truncate(log, 0)
    append(log, lines(30, 31))
    assert numbers(follower.restart().rest()) == [30, 31]


def test_f11_files_that_begin_alike_are_told_apart(log: Path, tmp_path: Path) -> None:
    header = line(0, filler=2000)
    other = tmp_path / "other.jsonl"
    append(log, header + lines(1))
    append(other, header + lines(2))
    follower = Follower(tmp_path / "*.jsonl")
    assert sorted(numbers(follower.rest())) == [0, 0, 1, 2]
    follower = follower.restart()
    log.rename(f"{log}.1")
    append(log, header + lines(3))
    append(other, lines(4))
    assert sorted(numbers(follower.rest())) == [0, 3, 4]


def test_f11_a_truncated_file_that_begins_alike_again_is_new(log: Path) -> None:
    header = line(0, filler=2000)
    append(log, header + lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, header)
    assert numbers(follower.step()) == [2]
    append(log, lines(3))
    assert numbers(follower.rest()) == [0, 3]


def test_f12_a_file_of_a_few_bytes_is_read_at_once_and_known_again(log: Path) -> None:
    append(log, b"{}\n")
    follower = Follower(log)
    assert follower.step() == [b"{}\n"]
    append(log, lines(1))
    follower = follower.restart()
    assert follower.step() == [line(1)]
    log.rename(f"{log}.1")
    append(Path(f"{log}.1"), lines(2))
    assert follower.restart().step() == [line(2)]


@pytest.mark.parametrize("down", [False, True])
def test_f13_an_atomic_replacement_with_the_same_content_goes_on_where_it_was(log: Path, down: bool) -> None:
    append(log, lines(1, 2))
    follower = Follower(log)
    follower.step()
    temporary = log.with_name(".tmp")
    temporary.write_bytes(log.read_bytes() + line(3))
    temporary.rename(log)
    if down:
        follower = follower.restart()
    assert numbers(follower.rest()) == [3]


def test_f13_an_atomic_replacement_with_new_content_is_read_whole(log: Path) -> None:
    append(log, lines(1, 2))
    follower = Follower(log)
    follower.step()
    append(log, lines(3))
    temporary = log.with_name(".tmp")
    temporary.write_bytes(lines(4, 5, 6))
    temporary.rename(log)
    assert numbers(follower.rest()) == [3, 4, 5, 6]


def test_f14_a_symbolic_link_that_is_turned_to_another_file_is_followed_and_the_old_file_finished(
    tmp_path: Path,
) -> None:
    link, first, second = tmp_path / "links" / "app.jsonl", tmp_path / "pod" / "0.jsonl", tmp_path / "pod" / "1.jsonl"
    link.parent.mkdir()
    first.parent.mkdir()
    append(first, lines(1))
    link.symlink_to(first)
    follower = Follower(link)
    assert numbers(follower.step()) == [1]
    append(first, lines(2))
    append(second, lines(3))
    link.unlink()
    link.symlink_to(second)
    append(second, lines(4))
    follower = follower.restart()
    assert numbers(follower.rest()) == [2, 3, 4]


def test_f14_a_dangling_link_is_waited_for(tmp_path: Path) -> None:
    link, target = tmp_path / "app.jsonl", tmp_path / "pod.jsonl"
    link.symlink_to(target)
    follower = Follower(link)
    assert follower.step() == []
    append(target, lines(1))
    assert numbers(follower.step()) == [1]


def test_f15_a_single_mounted_file_that_was_replaced_outside_is_reported(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    append(log, lines(1))
    # A deleted file that still has a path is what such a mount looks like from inside; /proc gives one without a mount.
    with log.open("rb") as held:
        link = tmp_path / "link.jsonl"
        link.symlink_to(f"/proc/self/fd/{held.fileno()}")
        log.unlink()
        follower = Follower(link)
        follower.step()
        assert "mount its directory" in follower.problems


def test_f15_a_single_mounted_file_is_reported_before_anything_happens(tmp_path: Path) -> None:
    from tidegauge.sources.folders import mounted_files

    mounts = tmp_path / "mountinfo"
    mounts.write_text("36 35 98:0 /log.jsonl /logs/my\\040log.jsonl rw,noatime master:1 - ext3 /dev/root rw\n")
    assert mounted_files(str(mounts)) == {"/logs/my log.jsonl"}


def test_f16_a_deleted_file_is_read_to_its_end_and_then_let_go(log: Path) -> None:
    append(log, lines(*range(1000)))
    follower = Follower(log)
    follower.poll()
    log.unlink()
    assert numbers(follower.rest()) == list(range(1000))
    assert follower.source.status().open_files == 0
    assert follower.source.status().files == 0
    assert follower.events("lost_bytes") == 0


def test_f16_what_was_deleted_unread_while_nobody_looked_is_counted(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    follower.poll()
    follower = follower.restart()
    log.unlink()
    follower.rest()
    assert follower.events("deleted_unread") == 1
    assert follower.events("lost_bytes") == len(line(2))


def test_f16_a_directory_that_goes_away_for_a_while_costs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    append(folder / "log.jsonl", lines(1))
    follower = Follower(folder / "log.jsonl")
    follower.step()
    follower = follower.restart()
    folder.rename(tmp_path / "away")
    follower.rest()
    assert "no directory" in follower.problems
    append(tmp_path / "away" / "log.jsonl", lines(2))
    (tmp_path / "away").rename(folder)
    assert numbers(follower.rest()) == [2]


def test_f17_a_file_without_permission_is_reported_and_read_once_it_may_be(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    with pytest.MonkeyPatch.context() as patch:
        real_open = os.open

        def deny(path: str, *arguments: int, **options: int) -> int:
            if path == str(log):
                raise PermissionError(13, "Permission denied")
            return real_open(path, *arguments, **options)

        patch.setattr(os, "open", deny)
        assert follower.step() == []
        follower.step()
        assert f"cannot read {log}: Permission denied" in follower.problems
        assert follower.events("permission_denied") == 1
        assert follower.unreadable == 1
    assert numbers(follower.step()) == [1]
    assert follower.problems == ""
    assert follower.unreadable == 0


def test_f17_a_place_is_kept_while_its_file_may_not_be_read(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    follower = follower.restart()
    with pytest.MonkeyPatch.context() as patch:

        def deny(path: str, *_: int, **__: int) -> int:
            raise PermissionError(13, "Permission denied", path)

        patch.setattr(os, "open", deny)
        assert follower.rest() == []
    assert numbers(follower.rest()) == [2]


def test_f18_the_moment_between_rename_and_create_is_nothing_special(log: Path) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    log.rename(f"{log}.1")
    assert follower.step() == []
    append(log, lines(2))
    assert numbers(follower.rest()) == [2]
    assert follower.problems == ""


def test_f26_a_compressed_copy_that_matches_the_glob_is_not_read_again(log: Path) -> None:
    append(log, lines(*range(500)))
    follower = Follower(f"{log}*")
    assert len(follower.rest()) == 500
    log.rename(f"{log}.1")
    append(log, lines(500))
    assert numbers(follower.rest()) == [500]
    packed = compress(Path(f"{log}.1"))
    assert follower.rest() == []
    follower = follower.restart()
    assert follower.rest() == []
    packed.rename(f"{log}.2.gz")
    assert follower.restart().rest() == []


def test_f26_a_file_compressed_while_it_is_being_read_is_read_once(log: Path) -> None:
    append(log, lines(*range(2000)))
    follower = Follower(log)
    follower.poll()
    block = follower.source.read(10_000)
    assert block is not None
    half = numbers(bytes(block.data).splitlines())
    compress(log.rename(f"{log}.1"))
    append(log, lines(2000))
    assert half + numbers(follower.restart().rest()) == list(range(2001))
    assert half + numbers(follower.rest()) == list(range(2001))


def test_f27_rotated_names_that_match_the_glob_are_not_read_again(log: Path) -> None:
    follower = Follower(f"{log}*")
    for number in range(6):
        append(log, lines(number))
        assert numbers(follower.step()) == [number]
        for old in range(number, 0, -1):
            Path(f"{log}.{old}").rename(f"{log}.{old + 1}")
        log.rename(f"{log}.1")
        follower = follower.restart()
    assert follower.rest() == []


@pytest.mark.parametrize(
    "name", ["log.jsonl-20240131", "log-20240131.jsonl", "log.jsonl.2024-01-31T10:00", "log.1.jsonl"]
)
def test_f27_dated_and_numbered_names_are_found_beside_the_live_file(log: Path, name: str) -> None:
    append(log, lines(1))
    follower = Follower(log)
    follower.step()
    append(log, lines(2))
    log.rename(log.with_name(name))
    append(log, lines(3))
    assert numbers(follower.restart().rest()) == [2, 3]


def test_f38_hard_links_and_two_names_of_one_file_are_read_once(log: Path, tmp_path: Path) -> None:
    append(log, lines(1))
    os.link(log, tmp_path / "same.jsonl")
    (tmp_path / "link.jsonl").symlink_to(log)
    follower = Follower(tmp_path / "*.jsonl")
    assert numbers(follower.rest()) == [1]
    append(log, lines(2))
    assert numbers(follower.rest()) == [2]
    log.unlink()
    (tmp_path / "link.jsonl").unlink()
    append(tmp_path / "same.jsonl", lines(3))
    assert numbers(follower.rest()) == [3]
    assert numbers(follower.restart().rest()) == []


def test_f20_an_unfinished_line_is_not_glued_to_the_next_file(log: Path) -> None:
    append(log, lines(1) + b'{"prediction_id": 2, "fil')
    follower = Follower(log)
    assert numbers(follower.step()) == [1]
    log.rename(f"{log}.1")
    append(log, lines(3))
    assert numbers(follower.rest()) == [3]
    assert follower.dropped == [("torn_line", len(line(1)), 25)]
    append(Path(f"{log}.1"), b'ler": ""}\n' + line(4))
    assert numbers(follower.rest()) == [4]


def test_f21_a_last_line_without_newline_is_taken_if_it_is_whole(log: Path) -> None:
    append(log, lines(1) + line(2).rstrip())
    follower = Follower(log)
    assert numbers(follower.rest()) == [1]
    log.rename(f"{log}.1")
    append(log, lines(3))
    assert sorted(numbers(follower.rest())) == [2, 3]
    assert follower.dropped == []
    assert numbers(follower.restart().rest()) == []


def test_f22_an_over_long_unfinished_last_line_is_dropped_as_such(log: Path) -> None:
    append(log, lines(1) + b"x" * (MAX_LINE_BYTES + 100))
    follower = Follower(log)
    follower.step()
    log.rename(f"{log}.1")
    append(log, lines(2))
    follower.rest()
    assert follower.dropped == [("line_too_long", len(line(1)), MAX_LINE_BYTES + 100)]
