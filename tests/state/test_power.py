"""Whatever step of saving fails or is cut off, the directory holds the last committed save or the one under way."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tidegauge.state import table as table_module
from tidegauge.state.store import Store
from tidegauge.state.table import Table

if TYPE_CHECKING:
    from tests.state.conftest import Disk

WIDE = np.dtype([("key", "<u8"), ("body", "V56")])
SAVES = 5

State = tuple[bytes, dict[int, int]] | None


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen rows a page: many pages in a state so small that thousands of cuts are quickly tried."""
    monkeypatch.setattr(table_module, "PAGE_BYTES", 1024)


class Run:
    """A store, a table and what a correct directory may hold after each attempt to save."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root, schema=1)
        self.store.load()
        self.table = Table("wide", WIDE, 400)
        self.committed: State = None
        self.attempted: State = None

    def content(self) -> dict[int, int]:
        numbers = self.table.live_numbers()
        return dict(zip(numbers.tolist(), self.table.rows["key"][numbers].tolist(), strict=True))

    def save(self, step: int) -> None:
        numbers = self.table.allocate(40)
        self.table.rows["key"][numbers] = step
        changed = np.array([0, 33 % self.table.high_water, step])
        self.table.rows["key"][changed] = 100 + step
        self.table.touch(changed)
        self.table.free(numbers[10:13])
        self.attempted = str(step).encode(), self.content()
        self.store.commit(self.store.capture({"step": str(step).encode()}, [self.table]))
        self.committed = self.attempted


def found(directory: Path) -> State:
    store = Store.open(directory, schema=1)
    try:
        restored = store.load()
        if restored is None:
            return None
        assert restored.notes == () or "previous save" in restored.notes[-1]
        table = store.restore_table("wide", WIDE)
        assert table is not None
        numbers = table.live_numbers()
        return restored.blobs["step"], dict(zip(numbers.tolist(), table.rows["key"][numbers].tolist(), strict=True))
    finally:
        store.close()


def steps_of_a_whole_run(make_disk: Callable[[], Disk]) -> int:
    disk = make_disk()
    run = Run(disk.root)
    for step in range(SAVES):
        run.save(step)
    run.store.close()
    return disk.steps


def test_a_power_cut_at_any_step_leaves_the_last_save_or_the_one_under_way(
    make_disk: Callable[[], Disk], tmp_path: Path
) -> None:
    total = steps_of_a_whole_run(make_disk)
    assert total > 60
    for cut in range(1, total + 1):
        disk = make_disk()
        disk.arm(cut, None)
        run: Run | None = None
        try:
            run = Run(disk.root)
            for step in range(SAVES):
                run.save(step)
        except BaseException as stop:
            assert type(stop).__name__ == "PowerCut"
        if run is None:
            continue
        for variant in range(4):
            survivor = tmp_path / f"{cut}-{variant}"
            disk.cut_power(random.Random(cut * 10 + variant), survivor)
            assert found(survivor) in (run.committed, run.attempted)
            carries_on(survivor)
        run.store.close()


def carries_on(directory: Path) -> None:
    store = Store.open(directory, schema=1)
    table = store.restore_table("wide", WIDE) if store.load() else Table("wide", WIDE)
    assert table is not None
    numbers = table.allocate(3)
    table.rows["key"][numbers] = 777
    store.commit(store.capture({"step": b"later"}, [table]))
    store.close()
    state = found(directory)
    shutil.rmtree(directory)
    assert state is not None
    assert state[0] == b"later"
    assert {key for number, key in state[1].items() if number in numbers.tolist()} == {777}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_after_a_failure_at_any_step_the_next_save_contains_everything(
    make_disk: Callable[[], Disk], error: int, tmp_path: Path
) -> None:
    total = steps_of_a_whole_run(make_disk)
    opening = 1
    for failing in range(opening + 1, total + 1):
        disk = make_disk()
        run = Run(disk.root)
        disk.arm(failing - disk.steps, error)
        failures = 0
        for step in range(SAVES):
            try:
                run.save(step)
            except OSError as failure:
                assert failure.errno == error
                failures += 1
                survivor = tmp_path / f"{failing}-{step}"
                disk.cut_power(random.Random(failing), survivor)
                assert found(survivor) in (run.committed, run.attempted)
                shutil.rmtree(survivor)
        assert failures <= 1
        if run.committed != run.attempted:
            run.store.commit(run.store.capture({"step": str(SAVES - 1).encode()}, [run.table]))
        run.store.close()
        assert found(disk.root) == (str(SAVES - 1).encode(), run.content())


def test_a_disk_that_stays_full_loses_nothing_once_it_has_room_again(
    make_disk: Callable[[], Disk], tmp_path: Path
) -> None:
    disk = make_disk()
    run = Run(disk.root)
    run.save(0)
    for step in range(1, 6):
        disk.arm(1 + 2 * step % 5, errno.ENOSPC)
        with pytest.raises(OSError, match="No space left"):
            run.save(step)
    assert len(list(disk.root.glob("segment-*"))) <= 3
    run.save(6)
    run.store.close()
    assert found(disk.root) == (b"6", run.content())
