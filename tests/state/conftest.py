"""A disk that fails or loses power at a chosen step, for tests of what is on it afterwards."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class PowerCut(BaseException):
    """The machine stopped. Not an Exception, so that no handler of the program can run on."""


class Disk:
    """Watches every change below `root` and remembers what a power cut would leave.

    Only fsynced bytes and only names whose directory was fsynced are sure to survive; of the rest any part may, in any
    combination. `fail_at` counts the changes: that one fails with `error`, or cuts the power if `error` is None.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.steps = 0
        self.fail_at: int | None = None
        self.error: int | None = None
        self._dead = False
        self._names: dict[str, int] = {}
        self._durable_names: dict[str, int] = {}
        self._pending: list[tuple[str, str, Any]] = []
        self._synced: dict[int, bytes] = {}
        self._last: dict[int, bytes] = {}
        self._descriptors: dict[int, str] = {}
        self._next = 0
        for name in ("open", "close", "write", "fsync", "replace", "unlink"):
            monkeypatch.setattr(os, name, self._wrap(getattr(os, name), getattr(self, f"_{name}")))

    def arm(self, after: int, error: int | None) -> None:
        self.fail_at, self.error = self.steps + after, error

    def cut_power(self, chance: random.Random, target: Path) -> None:
        """Writes to `target` one directory that the machine may find when it comes up again."""
        names = dict(self._durable_names)
        for operation, name, argument in self._pending:
            if chance.random() < 0.5:
                continue
            if operation == "create":
                names[name] = argument
            elif operation == "unlink":
                names.pop(name, None)
            elif name in names:
                names[argument] = names.pop(name)
        target.mkdir()
        for name, inode in names.items():
            (target / name).write_bytes(self._survivor(chance, inode))

    def _survivor(self, chance: random.Random, inode: int) -> bytes:
        current = self._content(inode)
        if inode in self._synced and self._synced[inode] == current:
            return current
        torn = current[: chance.randrange(len(current) + 1)]
        return chance.choice([self._synced.get(inode, b""), b"", current, torn, bytes(len(current))])

    def _content(self, inode: int) -> bytes:
        for name, number in self._names.items():
            if number == inode:
                return (self.root / name).read_bytes()
        return self._last.get(inode, b"")

    def _inside(self, path: Any) -> str | None:
        path = Path(os.fspath(path)) if isinstance(path, str | os.PathLike) else None
        return path.name if path is not None and path.parent == self.root else None

    def _wrap(self, real: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **options: ours(real, *arguments, **options)

    def _step(self) -> bool:
        if self._dead:
            raise PowerCut
        self.steps += 1
        if self.steps != self.fail_at:
            return False
        if self.error is None:
            self._dead = True
            raise PowerCut
        return True

    def _fail(self) -> None:
        assert self.error is not None
        raise OSError(self.error, os.strerror(self.error))

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **options: Any) -> int:
        name = self._inside(path)
        if name is not None and flags & os.O_CREAT:
            if self._step():
                self._fail()
            if name not in self._names:
                self._next += 1
                self._names[name] = self._next
                self._pending.append(("create", name, self._next))
        descriptor = real(path, flags, *rest, **options)
        if name is not None or path == self.root:
            self._descriptors[descriptor] = "" if name is None else name
        return descriptor

    def _close(self, real: Callable[..., None], descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)
        real(descriptor)

    def _write(self, real: Callable[..., int], descriptor: int, data: Any) -> int:
        if descriptor in self._descriptors and self._step():
            # A full disk takes what still fits, then refuses.
            real(descriptor, memoryview(data)[: len(data) // 2])
            self._fail()
        return real(descriptor, data)

    def _fsync(self, _: Callable[..., None], descriptor: int) -> None:
        # What is durable is decided here, so the real disk need not be waited for.
        name = self._descriptors.get(descriptor)
        if name is None:
            return
        if self._step():
            self._fail()
        if name == "":
            self._durable_names = dict(self._names)
            self._pending.clear()
        else:
            self._synced[self._names[name]] = (self.root / name).read_bytes()

    def _replace(self, real: Callable[..., None], source: Any, target: Any, **options: Any) -> None:
        old, new = self._inside(source), self._inside(target)
        if old is not None and new is not None:
            if self._step():
                self._fail()
            if new in self._names:
                self._last[self._names[new]] = (self.root / new).read_bytes()
            real(source, target, **options)
            self._names[new] = self._names.pop(old)
            self._pending.append(("replace", old, new))
            return
        real(source, target, **options)

    def _unlink(self, real: Callable[..., None], path: Any, **options: Any) -> None:
        name = self._inside(path)
        if name is not None and name in self._names:
            if self._step():
                self._fail()
            self._last[self._names[name]] = (self.root / name).read_bytes()
            self._names.pop(name)
            self._pending.append(("unlink", name, None))
        real(path, **options)


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[[], Disk]]:
    """Makes watched, empty directories; the last one made is watched until the test ends."""
    patches: list[pytest.MonkeyPatch] = []

    def make() -> Disk:
        for patch in patches:
            patch.undo()
        patches[:] = [pytest.MonkeyPatch()]
        root = tmp_path / "disk"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        return Disk(root, patches[0])

    yield make
    for patch in patches:
        patch.undo()
