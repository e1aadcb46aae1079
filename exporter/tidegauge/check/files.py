"""Globs that match nothing and files that cannot be read: which part of the path is the trouble."""

from __future__ import annotations

import glob
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from tidegauge.check.findings import Finding, names
from tidegauge.check.sample import Sample
from tidegauge.config.problems import suggest


def files(sample: Sample) -> Iterator[Finding]:
    """What keeps the source's files from being found or read."""
    about = f"source {sample.source.name}"
    if not sample.files:
        yield Finding(about, *_why_nothing_matches(sample.source.pattern))
    for problem in sample.problems:
        advice = "Have somebody repair or move the file."
        if "Permission denied" in problem:
            advice = f"Let this user ({_user()}) read it: by group membership, chmod, or setfacl -m u:{_user()}:r FILE."
        elif "mounted" in problem:
            advice = "Mount the directory that holds the log."
        elif "UTF-16" in problem:
            advice = "Have the logs written in UTF-8."
        elif "compressed with" in problem:
            advice = "Compress with gzip, or leave compression to a time after the file has been read."
        yield Finding(about, f"{problem}.", advice)


def _why_nothing_matches(pattern: str) -> tuple[str, str]:
    """Walks down the pattern as far as the disk goes."""
    fact = f"No file matches {pattern}"
    here = [Path("/")]
    parts = Path(pattern).parts[1:]
    for number, part in enumerate(parts):
        last = number + 1 == len(parts)
        barred = next((place for place in here if not os.access(place, os.R_OK | os.X_OK)), None)
        if barred is not None:
            fact += f": the directory {barred} ({_owner(barred)}) may not be listed by this user ({_user()})."
            return fact, f"Let {_user()} list it: chmod o+rx, group membership, or setfacl -m u:{_user()}:rx {barred}."
        if part == "**":
            below = f"{fact}: nothing below {here[0]} fits {_unescaped('/'.join(parts[number:]))}."
            return below, "Correct the glob in the configuration, or start the service that writes there."
        there = _step(here, part)
        if last and there:
            return _no_file(fact, there[0])
        if not there:
            break
        folders = [place for place in there if place.is_dir()]
        if not folders:
            return f"{fact}: {there[0]} is a file, not a directory.", "Correct the path in the configuration."
        here = folders
    inside = sorted(entry.name for place in here for entry in _entries(place))
    shown = str(here[0]) if len(here) == 1 else f"each of {len(here)} directories such as {here[0]}"
    wanted = parts[number]
    missing = "directory" if number + 1 < len(parts) else "file"
    fact += f": {shown} exists and holds no {missing} {_unescaped(wanted)}"
    fact += f"; it holds {names(inside)}." if inside else "; it is empty."
    hint = suggest(_unescaped(wanted), inside)
    same = [name for name in inside if Path(name).stem == Path(_unescaped(wanted)).stem]
    if not hint and same:
        hint = f'did you mean "{same[0]}"?'
    advice = "Correct the glob in the configuration"
    return fact, (f"{advice} ({hint})." if hint else f"{advice}, or start the service that writes there.")


def _no_file(fact: str, place: Path) -> tuple[str, str]:
    """What is said of something that the glob names and that is no regular file."""
    if place.is_dir():
        return f"{fact}: {place} is a directory.", f"Name the files in it: {place}/*.jsonl, for example."
    if place.is_symlink():
        return f"{fact}: {place} is a link to {place.readlink()}, which is not there.", "Mend the link."
    return f"{fact}: {place} is neither a file nor a directory.", "Write the log to a file."


def _step(here: list[Path], part: str) -> list[Path]:
    if not glob.has_magic(part):
        return [place / part for place in here if os.path.lexists(place / part)]
    return [Path(found) for place in here for found in sorted(glob.glob(f"{glob.escape(str(place))}/{part}"))]  # noqa: PTH207


def _entries(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except OSError:
        return []


def _unescaped(part: str) -> str:
    """A part of a glob as it was written: the directory of the configuration is escaped when it is put in front."""
    for char in "[*?":
        part = part.replace(f"[{char}]", char)
    return part


def _owner(place: Path) -> str:
    try:
        found = place.stat()
    except OSError:
        return "unknown owner"
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    return f"{stat.filemode(found.st_mode)}, owned by {owner}"


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
