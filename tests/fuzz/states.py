"""Target: a state directory that accidents, or somebody, have changed.

The input is a program of damages. Some of them forge: they change numbers or names in a manifest, an index or what the
pipeline saved, and make every checksum right again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import xxhash

from tests.fuzz.target import Target
from tidegauge.config.load import load
from tidegauge.config.settings import Settings
from tidegauge.pipeline import runner
from tidegauge.pipeline.pipeline import SCHEMA, Pipeline
from tidegauge.state import segments
from tidegauge.state.store import StateError, Store, TableChanged
from tidegauge.state.table import Table

_DTYPE = np.dtype([("key", "<u8"), ("flag", "u1")])
_FOOTER = struct.Struct("<QQ16s8s")
_CONFIGURATION = """\
clock: log
sources: [{predictions: p.jsonl}, {feedback: f.jsonl}]
models:
- name: fraud
  task: binary
  slices: [country]
  feedback: {outcome: {maturity: 5m}, audit: {maturity: 5m}}
  max_pending: &few 1000  # room for more is reserved at once
- {name: delay, task: regression, feedback: {outcome: {maturity: 5m}}, max_pending: *few}
- {name: animal, task: multiclass, feedback: {outcome: {maturity: 5m}}, max_pending: *few}
"""
Files = dict[str, bytes]
Content = tuple[bytes, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Origin:
    """A state as it was saved: its files, and what each of its generations held."""

    files: Files
    generations: dict[int, Content]


@cache
def _parent() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tidegauge-fuzz-")


def _files(directory: Path) -> Files:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix in (".json", ".seg")}


@cache
def stored() -> Origin:
    """A store of one growing table and a blob, five saves long."""
    directory = Path(_parent().name) / "stored"
    store = Store.open(directory, schema=SCHEMA)
    store.load()
    table = Table("numbers", _DTYPE)
    generations = {}
    for save in range(1, 6):
        numbers = table.allocate(40)
        table.rows["key"][numbers] = save
        table.free(numbers[:7])
        blob = b"blob of save %d" % save
        generation = store.commit(store.capture({"blob": blob}, [table])).generation
        generations[generation] = (blob, _content(table))
    store.close()
    return Origin(_files(directory), generations)


def _content(table: Table) -> tuple[tuple[int, int], ...]:
    live = table.live_numbers()
    return tuple(zip(live.tolist(), table.rows["key"][live].tolist(), strict=True))


@cache
def configured() -> Settings:
    """The configuration of the pipeline whose state is damaged."""
    base = Path(_parent().name) / "configured"
    base.mkdir()
    (base / "tidegauge.yml").write_text(_CONFIGURATION)
    return load(base / "tidegauge.yml")


@cache
def piped() -> Origin:
    """The state of a pipeline that has read predictions and feedback of three models; saved twice."""
    settings = configured()
    base = settings.path.parent
    store = Store.open(settings.state, schema=SCHEMA)
    pipeline = Pipeline(settings, store, store.load())
    for turn in range(2):
        with (base / "p.jsonl").open("a") as predictions, (base / "f.jsonl").open("a") as feedback:
            for number in range(30):
                for model, answer in (("fraud", "1"), ("delay", 2.5), ("animal", "cat")):
                    key = f"{model}{turn}{number}"
                    about = {
                        "prediction_id": key,
                        "timestamp": f"2024-05-01T10:{turn}{number % 10}:00Z",
                        "model": model,
                    }
                    predictions.write(json.dumps({**about, "prediction": answer, "slices": {"country": "SE"}}) + "\n")
                    feedback.write(json.dumps({**about, "label": answer, "channel": "outcome"}) + "\n")
        pipeline.poll()
        while pipeline.step():
            pass
        pipeline.advance()
        pipeline.commit(*pipeline.capture())
    pipeline.close()
    store.close()
    return Origin(_files(settings.state), {})


# ---------------------------------------------------------------- damages


def _cut(data: bytes, at: int, value: int) -> bytes:
    return data[:at]


def _flip(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << value % 8]) + data[at + 1 :] if data else data


def _zero(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes(len(data[at : at + 16 * value])) + data[at + 16 * value :]


def _grow(data: bytes, at: int, value: int) -> bytes:
    return data + bytes(value + 1)


def _insert(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at:]


ACCIDENTS: tuple[Callable[[bytes, int, int], bytes], ...] = (_cut, _flip, _zero, _grow, _insert)
VALUES = (
    *(b"-1", b"0", b"1", b"7", b"999999999999", b"9223372036854775807", b"9223372036854775808", b"1" * 400, b"1e308"),
    *(
        b"null",
        b"true",
        b'""',
        b"[]",
        b"{}",
        b'"x"',
        b'"\\u0000"',
        b"0.5",
        b"NaN",
        b'"\xff"',
        b"[[[[1]]]]",
        b"-99999999",
    ),
    b"[" * 5000,
)
_ATOM = re.compile(rb'-?\d+(?:\.\d+)?|"[^"\\]*"|null|true|false|\[\]|\{\}')


def _forge_json(text: bytes, at: int, value: int) -> bytes:
    """The document with one of its values replaced."""
    places = list(_ATOM.finditer(text))
    if not places:
        return text
    place = places[at % len(places)]
    key = text[place.end() : place.end() + 1] == b":"
    return text[: place.start()] + (b'"other"' if key else VALUES[value % len(VALUES)]) + text[place.end() :]


def forge_manifest(files: Files, at: int, value: int) -> None:
    """Changes a value of the newest manifest and signs it again, where that can be."""
    _sign(files, _forge_json(files[segments.MANIFEST_NAME], at, value))


def forge_index(files: Files, at: int, value: int) -> None:
    """Changes a value in the newest segment's index, and signs it and the manifest again."""
    _with_newest(files, lambda body, index: (body, _forge_json(index, at, value)))


def forge_entry(files: Files, at: int, value: int) -> None:
    """Changes bytes of an entry of the newest segment, and its checksum with it."""

    def forged(body: bytes, index: bytes) -> tuple[bytes, bytes]:
        found = msgspec.json.decode(index)
        entry = found["entries"][at % len(found["entries"])]
        start, end = entry["offset"], entry["offset"] + entry["length"]
        if start == end:
            return body, index
        data = body[start:end]
        if entry["kind"] == "blob":
            data = _forge_json(data, at // 7, value).ljust(end - start)[: end - start]
        else:
            data = _flip(data, at % len(data), value)
        entry["checksum"] = xxhash.xxh3_128_hexdigest(data)
        return body[:start] + data + body[end:], msgspec.json.encode(found)

    _with_newest(files, forged)


def forge_blob(files: Files, at: int, value: int) -> None:
    """Changes a value of what the pipeline saved, whatever its length, and signs everything again."""

    def forged(body: bytes, index: bytes) -> tuple[bytes, bytes]:
        found = msgspec.json.decode(index)
        blob = next(entry for entry in found["entries"] if entry["kind"] == "blob")
        start, end = blob["offset"], blob["offset"] + blob["length"]
        data = _forge_json(body[start:end], at, value)
        blob["checksum"], blob["length"] = xxhash.xxh3_128_hexdigest(data), len(data)
        for entry in found["entries"]:
            entry["offset"] += len(data) - (end - start) if entry["offset"] >= end else 0
        return body[:start] + data + body[end:], msgspec.json.encode(found)

    _with_newest(files, forged)


# Files that an earlier damage left in no form that could be signed.
_NOT_TO_BE_FORGED = (
    *(KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, StopIteration),
    *(struct.error, msgspec.DecodeError),
)
FORGERIES: tuple[Callable[[Files, int, int], None], ...] = (forge_manifest, forge_index, forge_entry, forge_blob)


def _with_newest(files: Files, change: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> None:
    name = max(name for name in files if name.endswith(".seg"))
    data = files[name]
    offset, length, _, header = _FOOTER.unpack(data[-_FOOTER.size :])
    body, index = change(data[:offset], data[offset : offset + length])
    checksum = xxhash.xxh3_128(index)
    files[name] = body + index + _FOOTER.pack(len(body), len(index), checksum.digest(), header)
    manifest = msgspec.json.decode(files[segments.MANIFEST_NAME])
    manifest["segments"][-1] |= {"size": len(files[name]), "checksum": checksum.hexdigest()}
    _sign(files, msgspec.json.encode(manifest))


def _sign(files: Files, manifest: bytes) -> None:
    try:
        files[segments.MANIFEST_NAME] = segments.encode_manifest(msgspec.json.decode(manifest, type=segments.Manifest))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        files[segments.MANIFEST_NAME] = manifest  # a form that no checksum can be right of


def damaged(origin: Files, program: bytes) -> tuple[Files, bool]:
    """The files after a program of damages, five bytes each; whether one of them was forged."""
    files, forged = dict(origin), False
    for start in range(0, min(len(program) - 4, 40), 5):
        kind, which, high, low, value = program[start : start + 5]
        names = sorted(files)
        if not names:
            break
        name, at = names[which % len(names)], high << 8 | low
        if kind < 128:
            how = ACCIDENTS[kind % len(ACCIDENTS)]
            files[name] = how(files[name], at % max(1, len(files[name])), value)
        elif kind < 144:
            del files[name]
        elif kind < 160:
            other = names[high % len(names)]
            files[name], files[other] = files[other], files[name]
        elif kind < 170:
            files[f"segment-{at:012d}.seg"] = files[name]
        else:
            forged = True
            with suppress(*_NOT_TO_BE_FORGED):
                FORGERIES[kind % len(FORGERIES)](files, at, value)
    return files, forged


# ---------------------------------------------------------------- the claims


def check_store(data: bytes) -> None:
    """A generation as it was, or a refusal that says why; never a silent beginning, never another content."""
    origin = stored()
    files, forged = damaged(origin.files, data)
    directory = Path(tempfile.mkdtemp(dir=_parent().name))
    try:
        for name, content in files.items():
            (directory / name).write_bytes(content)
        outcome = load_store(directory)
        if isinstance(outcome, TableChanged):
            assert forged, "columns changed by themselves"
        elif isinstance(outcome, StateError):
            assert str(directory) in str(outcome), "a refusal that names no directory"
        elif outcome is None:
            assert not files, "a state was forgotten in silence"
        elif not forged:
            assert outcome[1] == origin.generations[outcome[0]], "a generation with another content"
            assert outcome[0] >= max(origin.generations) - 1
    finally:
        shutil.rmtree(directory)


def load_store(directory: Path) -> tuple[int, Content] | StateError | None:
    """(generation, what it holds), the refusal, or None for a new state."""
    try:
        store = Store.open(directory, schema=SCHEMA)
    except StateError as refusal:
        return refusal
    try:
        restored = store.load()
        if restored is None:
            return None
        table = store.restore_table("numbers", _DTYPE)
        return restored.generation, (restored.blobs.get("blob", b""), () if table is None else _content(table))
    except StateError as refusal:
        return refusal
    finally:
        store.close()


def check_pipeline(data: bytes) -> None:
    """A pipeline that was given the state takes it up or refuses it."""
    origin = piped()
    files, _ = damaged(origin.files, data)
    settings = configured()
    for name in os.listdir(settings.state):  # noqa: PTH208
        if name.endswith((".json", ".seg")):
            (settings.state / name).unlink()
    for name, content in files.items():
        (settings.state / name).write_bytes(content)
    try:
        store, pipeline = runner._open(settings)
    except StateError as refusal:
        assert str(settings.state) in str(refusal)
        return
    pipeline.close()
    store.close()


def step(kind: int, which: int, at: int, value: int) -> bytes:
    """The bytes of one damage."""
    return bytes((kind, which, at >> 8 & 255, at & 255, value))


_SEEDS = [
    b"",
    *(step(kind, which, 40, 3) for kind in range(len(ACCIDENTS)) for which in range(4)),
    *(step(130, which, 0, 0) for which in range(4)),
    step(150, 0, 1 << 8, 0),
    step(150, 2, 3 << 8, 0),
    step(165, 2, 900, 0),
    *(step(200 + kind, 0, at, value) for kind in range(4) for at, value in ((0, 0), (3, 4), (11, 21), (40, 7))),
]
_TOKENS = [
    step(kind, which, at, value)
    for kind in (0, 1, 2, 130, 150, 165, 200, 201, 202, 203)
    for which, at, value in ((0, 0, 0), (1, 20, 3), (2, 300, 200), (3, 5, 21))
]

TARGETS = (
    Target(
        "state_store",
        "a damaged state gives a generation as it was saved, or a refusal; never a beginning anew",
        check_store,
        _SEEDS,
        _TOKENS,
    ),
    Target(
        "state_pipeline",
        "a pipeline takes up a state, whatever is in it, or refuses it",
        check_pipeline,
        _SEEDS,
        _TOKENS,
        quick=100,
    ),
)
