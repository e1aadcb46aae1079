"""A reference always means the bytes it was given for, or nothing: after restarts, crashes, expiry and damage."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegauge.state.spool import Spool
from tidegauge.state.store import StateUnusable


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False))
def test_random_use_with_crashes_agrees_with_a_dict(tmp_path: Path, chance: random.Random) -> None:
    directory = tmp_path / "spool"
    shutil.rmtree(directory, ignore_errors=True)
    spool = Spool(directory, "scores", max_bytes=20_000, file_ms=chance.choice([0, 60]))
    items: dict[int, tuple[bytes, int]] = {}  # reference -> item, time
    saved: tuple[dict[str, Any], dict[int, tuple[bytes, int]], int] = (spool.positions(), {}, 0)
    now = 0
    for _ in range(chance.randrange(1, 30)):
        action = chance.choice(["append", "append", "roll", "expire", "save", "crash"])
        if action == "append":
            new = [chance.randbytes(chance.choice([0, 1, 50, 5000])) for _ in range(chance.randrange(5))]
            references = spool.append(new).tolist()
            assert all(reference not in items for reference in references)
            items.update({key: (item, now) for key, item in zip(references, new, strict=True) if key})
        elif action == "roll":
            now += chance.randrange(1, 100)
            spool.roll(now)
        elif action == "expire":
            spool.expire(now - 50)
            for key in [key for key, (_, time) in items.items() if time < now - 400]:
                assert spool.read(np.array([key], np.uint64)) == [None]
        elif action == "save":
            spool.sync()
            positions = json.loads(json.dumps(spool.positions()))
            saved = positions, dict(items), now
            spool.committed(positions)
        elif action == "crash":
            spool.close()
            spool = Spool(directory, "scores", saved[0], max_bytes=20_000, file_ms=chance.choice([0, 60]))
            items, now = dict(saved[1]), saved[2]
        assert spool.nbytes <= 20_000
        keys = chance.sample(sorted(items), len(items))
        found = spool.read(np.array(keys, np.uint64))
        for key, item in zip(keys, found, strict=True):
            expected, time = items[key]
            assert item == expected or (item is None and time < now)
            if item is None:
                del items[key]
    spool.close()


def test_what_expires_after_a_save_is_there_again_when_that_save_is_restored(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    references = spool.append([b"kept for the restart"])
    spool.roll(10)
    spool.sync()
    before = spool.positions()
    spool.committed(before)
    spool.expire(11)
    assert spool.read(references) == [None]
    spool.committed(before)
    spool.close()
    again = Spool(tmp_path, "scores", before)
    assert again.read(references) == [b"kept for the restart"]
    again.close()


def test_expired_files_go_once_two_saves_do_without_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    spool.append([b"old"])
    spool.roll(10)
    spool.committed(spool.positions())
    spool.expire(11)
    spool.committed(spool.positions())
    assert len(list(tmp_path.iterdir())) == 1
    spool.committed(spool.positions())
    assert list(tmp_path.iterdir()) == []
    assert spool.nbytes == 0
    spool.close()


def test_rolling_often_makes_few_files_and_what_is_due_still_expires(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", file_ms=3_600_000)
    first = spool.append([b"first"])
    for minute in range(24 * 60):
        spool.append([b"item"])
        spool.roll(minute * 60_000)
    assert 23 <= len(spool.positions()["files"]) <= 25
    spool.expire(3_600_001)
    assert spool.read(first) == [None]
    spool.close()


def test_what_does_not_fit_gets_reference_zero_and_zero_reads_as_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", max_bytes=40)
    references = spool.append([b"0123456789", b"0123456789", b"0123456789"])
    assert (references == 0).tolist() == [False, False, True]
    assert spool.read(references) == [b"0123456789", b"0123456789", None]
    assert spool.append([b"more"]).tolist() == [0] or spool.nbytes <= 40
    spool.close()


def test_a_disk_that_refuses_gives_reference_zero_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    first = spool.append([b"first"])
    real = os.pwrite

    def half(descriptor: int, data: Any, offset: int) -> int:
        if len(data) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) // 2], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        assert spool.append([b"lost"]).tolist() == [0]
    second = spool.append([b"second"])
    assert spool.read(np.concatenate((first, second))) == [b"first", b"second"]
    spool.close()


@pytest.mark.parametrize("damage", ["zeroed", "halved", "removed"])
def test_damaged_items_read_as_nothing(tmp_path: Path, damage: str) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    references = spool.append([b"a" * 10_000, b"b" * 10_000])
    positions = spool.positions()
    spool.close()
    path = next(tmp_path.iterdir())
    size = path.stat().st_size
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(bytes(size) if damage == "zeroed" else path.read_bytes()[: size // 2])
    again = Spool(tmp_path, "scores", positions)
    assert again.read(references)[1] is None
    assert again.read(references)[0] in ([b"a" * 10_000] if damage == "halved" else [None])
    again.close()


def test_a_restart_gives_back_the_disk_that_unsaved_items_took(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    references = spool.append([b"saved"])
    positions = spool.positions()
    spool.append([b"unsaved" * 1000])
    spool.close()
    again = Spool(tmp_path, "scores", positions)
    assert next(tmp_path.iterdir()).stat().st_size == again.nbytes == 13
    assert again.read(references) == [b"saved"]
    again.close()


def test_other_files_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    for name in ("scores-1.spool", "texts-0000001.spool", "notes.txt"):
        (tmp_path / name).write_text("not this spool's")
    (tmp_path / "scores-0000009.spool").write_text("left by a run that saved nothing")
    Spool(tmp_path, "scores", file_ms=0).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "scores-1.spool", "texts-0000001.spool"]


def test_many_files_are_read_with_few_descriptors(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    references = []
    for number in range(100):
        references.append(spool.append([str(number).encode()]))
        spool.roll(number)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert spool.read(np.concatenate(references)) == [str(number).encode() for number in range(100)]
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 17
    spool.close()


def test_a_failed_sync_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    spool.append([b"item"])
    synced: list[int] = []

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
    monkeypatch.setattr(os, "fsync", synced.append)
    spool.sync()
    assert len(synced) == 2
    spool.sync()
    assert len(synced) == 2
    spool.close()


def test_a_save_may_go_on_while_items_are_appended_and_expire(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "scores", file_ms=0)
    stop = threading.Event()
    failures: list[Exception] = []

    latest = [spool.positions()]

    def keep_saving() -> None:
        while not stop.is_set():
            try:
                positions = latest[-1]
                spool.sync()
                spool.committed(positions)
            except Exception as error:
                failures.append(error)

    saver = threading.Thread(target=keep_saving)
    saver.start()
    references = []
    for number in range(300):
        references.append(spool.append([str(number).encode()] * 3))
        latest.append(spool.positions())
        if number % 10 == 0:
            spool.roll(number)
            spool.expire(number - 50)
    stop.set()
    saver.join()
    assert failures == []
    assert spool.read(references[-1]) == [b"299"] * 3
    spool.close()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="cannot be used for the scores spool"):
        Spool(tmp_path / "file", "scores")
