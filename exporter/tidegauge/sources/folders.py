"""Looks at the disk: which files the glob names, and which lie beside them as rotation leaves them.

Keeps nothing; every answer is of the moment.
"""

from __future__ import annotations

import glob
import os
import stat as stat_module
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tidegauge.sources import names


@dataclass(frozen=True, slots=True)
class Glance:
    """The regular files that a glob names, with what they are now."""

    live: dict[str, os.stat_result]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """A file that is not named by the glob and may be a rotated part of a stream."""

    path: str
    stat: os.stat_result
    stream: str | None  # the live name it surely comes from; None: only its content can tell


def stat_regular(path: str) -> os.stat_result | None:
    """The file's status (links followed), or None if there is no regular file."""
    if not is_utf8(path):
        return None
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found if stat_module.S_ISREG(found.st_mode) else None


def is_utf8(path: str) -> bool:
    """Whether the name can be written as text: positions are saved and labels taken from it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def glance(pattern: str) -> Glance:
    live: dict[str, os.stat_result] = {}
    problems: list[str] = []
    for path in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207
        found = stat_regular(path)
        if found is None:
            if not is_utf8(path):
                shown = path.encode(errors="backslashreplace").decode()
                problems.append(f"{shown} is not read: its name is not UTF-8")
            continue
        live[path] = found
        if found.st_nlink == 0:
            problems.append(f"{path} was replaced where it is mounted from: mount its directory, not the single file")
    if not live:
        problems.append(f"no file matches {pattern}{_why_empty(pattern)}")
    return Glance(live, tuple(problems))


def _why_empty(pattern: str) -> str:
    fixed = Path(pattern)
    while glob.has_magic(str(fixed)) or (str(fixed) == pattern and fixed != fixed.parent):
        fixed = fixed.parent
    try:
        with os.scandir(fixed):
            return ""
    except FileNotFoundError:
        return f": there is no directory {fixed}"
    except OSError as error:
        return f": cannot list {fixed}: {error.strerror}"


def mounted_files(mountinfo: str = "/proc/self/mountinfo") -> frozenset[str]:
    """Mount points of this process. A log file among them is mounted singly: nobody here can see its rotation."""
    try:
        lines = Path(mountinfo).read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    points = (fields[4] for fields in (line.split(" ") for line in lines) if len(fields) > 4)
    return frozenset(point.encode().decode("unicode_escape") if "\\" in point else point for point in points)


def rotated(streams: Iterable[str], sought: Iterable[str], globs: Iterable[str]) -> list[Rotated]:
    """Files beside the live names `streams` that are named as their rotated parts, files beside the names `sought` that
    begin like them, and the files of `globs`."""
    live: dict[str, dict[str, str]] = {}
    for stream in streams:
        for place in {stream, os.path.realpath(stream)}:
            live.setdefault(os.path.dirname(place), {})[os.path.basename(place)] = stream  # noqa: PTH119, PTH120
    stems: dict[str, set[str]] = {}
    for path in sought:
        for place in {path, os.path.realpath(path)}:
            stems.setdefault(os.path.dirname(place), set()).add(names.stem(os.path.basename(place)))  # noqa: PTH119, PTH120
    found: dict[str, Rotated] = {}
    for directory in {*live, *stems}:
        beside, prefixes = live.get(directory, {}), tuple(start for start in stems.get(directory, ()) if start)
        try:
            listed = os.listdir(directory)  # noqa: PTH208
        except OSError:
            continue
        for name in listed:
            base = next((beside[old] for old in names.live_names(name) if old in beside), None)
            if base is None and not (prefixes and name.lstrip(".").startswith(prefixes)):
                continue
            path = f"{directory}/{name}" if directory != "/" else f"/{name}"
            stat = stat_regular(path)
            if stat is not None:
                found[path] = Rotated(path, stat, base)
    by_name = {name: stream for beside in live.values() for name, stream in beside.items()}
    for pattern in globs:
        for path in glob.glob(pattern, recursive=True):  # noqa: PTH207
            stat = stat_regular(path)
            if stat is not None:
                old_names = names.live_names(os.path.basename(path))  # noqa: PTH119
                found[path] = Rotated(path, stat, next((by_name[old] for old in old_names if old in by_name), path))
    return list(found.values())
