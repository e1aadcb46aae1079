"""What keeps others out of a state directory: its mode, and the lock against a second exporter.

The lock is the kernel's lock on an open file, so it ends with the process, however that ends. The file itself stays
and says nothing about whether the lock is held.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

LOCK_NAME = "tidegauge.lock"


class StateError(Exception):
    """The state directory cannot be used; the message says why and what to do."""


class StateLocked(StateError):
    """Another process holds the state directory."""


class StateUnusable(StateError):
    """The state directory cannot be created, entered or told apart from somebody else's."""


class StateUnreadable(StateError):
    """A state is there, and it cannot be read. Starting without it would silently forget what was counted."""


def _close_to_others(directory: Path) -> None:
    """Takes away what group and others may do with a directory that is our own; its files are 0600 in any case.

    Service managers and container volumes make directories that all may read. A shared one (/tmp) is left as it is.
    """
    with suppress(OSError):
        found = directory.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077 and not found.st_mode & stat.S_ISVTX:
            directory.chmod(0o700)


class DirectoryLock:
    """Holds a state directory from construction to `close`, and closes it to other users.

    Raises StateLocked if another holds it, StateUnusable if no lock can be had there at all.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK_NAME
        self._descriptor = _open(path)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise StateLocked(
                    f"{directory} is in use by another tidegauge process{f' ({holder})' if holder else ''}; "
                    "stop it, or give this one a state directory of its own"
                ) from error
            raise StateUnusable(f"{directory} cannot be locked: {error.strerror}") from error
        self._write_holder()
        _close_to_others(directory)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_holder(self) -> None:
        # Only a help for whoever reads the refusal: a full or read-only disk must not prevent the lock.
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"pid {os.getpid()}\n".encode(), 0)
        except OSError:
            return


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StateUnusable(f"{path} cannot be created: {error.strerror}") from error
    try:
        # A directory that has become read-only can still be locked, read and served from.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StateUnusable(f"{path} cannot be created or opened: {error.strerror}") from error
