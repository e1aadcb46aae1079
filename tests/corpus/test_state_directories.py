"""Every damaged state directory gives the generation that is expected, or a refusal that says why."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.fuzz import states
from tidegauge.pipeline import runner
from tidegauge.pipeline.pipeline import SCHEMA
from tidegauge.state import segments
from tidegauge.state.segments import MANIFEST_NAME, PREVIOUS_NAME
from tidegauge.state.store import StateError, StateUnreadable, Store

NEWEST, BEFORE = 5, 4
MOST_MEMORY = 64 << 20
Damage = Callable[[Path], object]


def newest(directory: Path) -> Path:
    return max(directory.glob("*.seg"))


def oldest(directory: Path) -> Path:
    return min(directory.glob("*.seg"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x80
    path.write_bytes(data)


def cut(path: Path, size: int) -> None:
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def both(damage: Damage) -> Damage:
    """The same done to both manifests; `damage` gets the file."""

    def done(directory: Path) -> None:
        for name in (MANIFEST_NAME, PREVIOUS_NAME):
            damage(directory / name)

    return done


def signed(**changes: object) -> Damage:
    """The newest manifest with other values and the right checksum."""

    def done(directory: Path) -> None:
        manifest = segments.decode_manifest((directory / MANIFEST_NAME).read_bytes(), MANIFEST_NAME)
        (directory / MANIFEST_NAME).write_bytes(segments.encode_manifest(msgspec.structs.replace(manifest, **changes)))

    return done


def in_index(old: bytes, new: bytes, times: int = 1) -> Damage:
    """Replaces bytes of the newest segment's index, every checksum being made right again."""

    def done(directory: Path) -> None:
        files = {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix in (".seg", ".json")}

        def change(body: bytes, index: bytes) -> tuple[bytes, bytes]:
            assert old in index, index
            return body, index.replace(old, new, times)

        states._with_newest(files, change)
        for name, content in files.items():
            (directory / name).write_bytes(content)

    return done


def drop_segments(directory: Path) -> None:
    for path in directory.glob("*.seg"):
        path.unlink()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_huge(path: Path) -> None:
    os.truncate(path, 1 << 33)


UNREADABLE = "holds a state that cannot be read"
# (name, damage of the directory, the generation that is loaded or what the refusal says)
DAMAGES: list[tuple[str, Damage, int | str]] = [
    ("nothing", lambda d: None, NEWEST),
    ("a temporary file left over", lambda d: (d / f"{MANIFEST_NAME}.tmp").write_bytes(b"{"), NEWEST),
    ("a segment nobody names", lambda d: (d / "segment-000000000009.seg").write_bytes(b"x"), NEWEST),
    ("manifest empty", lambda d: cut(d / MANIFEST_NAME, 0), BEFORE),
    ("manifest half", lambda d: cut(d / MANIFEST_NAME, 60), BEFORE),
    ("manifest without its last byte", lambda d: cut(d / MANIFEST_NAME, -2), BEFORE),
    ("manifest zeroed", lambda d: (d / MANIFEST_NAME).write_bytes(bytes(200)), BEFORE),
    ("manifest absent", lambda d: (d / MANIFEST_NAME).unlink(), BEFORE),
    ("manifest broken utf-8", lambda d: flip(d / MANIFEST_NAME, -10), BEFORE),
    ("manifest broken utf-8 in a key", lambda d: flip(d / MANIFEST_NAME, 3), BEFORE),
    ("manifest nested", lambda d: (d / MANIFEST_NAME).write_bytes(b'{"x":' * 100_000), BEFORE),
    ("manifest a fifo", lambda d: become_fifo(d / MANIFEST_NAME), BEFORE),
    ("manifest a directory", lambda d: become_directory(d / MANIFEST_NAME), BEFORE),
    ("manifest of eight gigabytes", lambda d: become_huge(d / MANIFEST_NAME), BEFORE),
    ("manifest an array", lambda d: (d / MANIFEST_NAME).write_bytes(b"[]"), BEFORE),
    ("manifest null", lambda d: (d / MANIFEST_NAME).write_bytes(b"null"), BEFORE),
    ("manifest utf-16", lambda d: (d / MANIFEST_NAME).write_bytes("{}".encode("utf-16")), BEFORE),
    ("manifests swapped", lambda d: swap(d / MANIFEST_NAME, d / PREVIOUS_NAME), BEFORE),
    ("previous manifest absent", lambda d: (d / PREVIOUS_NAME).unlink(), NEWEST),
    ("previous manifest broken", lambda d: flip(d / PREVIOUS_NAME, 9), NEWEST),
    ("both manifests absent", both(Path.unlink), UNREADABLE),
    ("both manifests empty", both(lambda path: cut(path, 0)), UNREADABLE),
    ("both manifests broken utf-8", both(lambda path: flip(path, -10)), UNREADABLE),
    ("both manifests fifos", both(become_fifo), UNREADABLE),
    ("manifest of a later format", signed(format=segments.FORMAT + 1), "newer version"),
    ("manifest of a later schema", signed(schema=SCHEMA + 1), "newer version"),
    ("manifest of generation 0", signed(generation=0), BEFORE),
    ("manifest of a negative generation", signed(generation=-1), BEFORE),
    ("manifest of a later generation", signed(generation=77), BEFORE),
    ("manifest of a generation of 400 digits", signed(generation=10**15), BEFORE),
    ("manifest naming no segment", signed(segments=()), BEFORE),
    ("segment empty", lambda d: cut(newest(d), 0), BEFORE),
    ("segment header only", lambda d: cut(newest(d), 8), BEFORE),
    ("segment half", lambda d: cut(newest(d), newest(d).stat().st_size // 2), BEFORE),
    ("segment without its last byte", lambda d: cut(newest(d), -1), BEFORE),
    ("segment longer by a byte", lambda d: cut(newest(d), newest(d).stat().st_size + 1), BEFORE),
    ("segment of eight gigabytes", lambda d: become_huge(newest(d)), BEFORE),
    ("segment absent", lambda d: newest(d).unlink(), BEFORE),
    ("segment a directory", lambda d: become_directory(newest(d)), BEFORE),
    ("segment a fifo", lambda d: become_fifo(newest(d)), BEFORE),
    ("segment flipped in its blob", lambda d: flip(newest(d), 12), BEFORE),
    ("segment flipped in its rows", lambda d: flip(newest(d), 300), BEFORE),
    ("segment flipped in its index", lambda d: flip(newest(d), -100), BEFORE),
    ("segment flipped in its footer", lambda d: flip(newest(d), -3), BEFORE),
    ("segment footer with absurd sizes", lambda d: flip(newest(d), -33), BEFORE),
    ("segments swapped", lambda d: swap(newest(d), oldest(d)), UNREADABLE),
    ("a segment absent that only the previous save needs", lambda d: oldest(d).unlink(), NEWEST),
    ("all segments absent", drop_segments, UNREADABLE),
    ("index nested", in_index(b'"tables":', b'"x":' + b"[" * 5000 + b"]" * 5000 + b',"tables":'), BEFORE),
    ("index broken utf-8", in_index(b'"blob"', b'"bl\xffb"'), BEFORE),
    ("index with a negative length", in_index(b'"length":', b'"length":-'), BEFORE),
    ("index with a length of an exabyte", in_index(b'"length":', b'"length":999999999999999'), BEFORE),
    ("index with a negative offset", in_index(b'"offset":', b'"offset":-'), BEFORE),
    ("index with an offset beyond", in_index(b'"offset":', b'"offset":99999999'), BEFORE),
    ("table of a trillion rows", in_index(b'"high_water":', b'"high_water":999999999999'), "cannot have"),
    ("table of negative rows", in_index(b'"high_water":', b'"high_water":-'), BEFORE),
    ("table of other columns", in_index(b"<u8", b"<u4"), "has columns"),
    ("table of columns of objects", in_index(b"<u8", b"|O"), "has columns"),
    ("table of columns that are none", in_index(b"[('key'", b"__import__('os')"), "columns that are none"),
    ("table of other pages", in_index(b'"rows_per_page":', b'"rows_per_page":1'), "pages of"),
    ("table of more rows in use", in_index(b'"live":', b'"live":9'), "rows in use instead of"),
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    for name, content in states.stored().files.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.parametrize(("damage", "expected"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_a_damaged_state_has_its_outcome(state: Path, damage: Damage, expected: int | str) -> None:
    damage(state)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    outcome = states.load_store(state)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MOST_MEMORY
    if isinstance(expected, str):
        assert isinstance(outcome, StateError)
        assert expected in str(outcome)
    else:
        assert isinstance(outcome, tuple)
        assert outcome == (expected, states.stored().generations[expected])


@pytest.mark.parametrize("name", sorted(states.stored().files))
def test_a_file_cut_anywhere_is_never_believed_and_nothing_begins_anew(state: Path, name: str) -> None:
    """Every 97th place, every place near the ends."""
    content = (state / name).read_bytes()
    newest_first = sorted(states.stored().generations, reverse=True)
    for size in {*range(0, len(content), 97), *range(40), *range(len(content) - 60, len(content) - 1)}:
        (state / name).write_bytes(content[: max(0, size)])
        outcome = states.load_store(state)
        assert isinstance(outcome, StateUnreadable) or (
            isinstance(outcome, tuple) and outcome[1] == states.stored().generations[outcome[0]]
        )
        if isinstance(outcome, tuple):
            assert outcome[0] in newest_first[:2]


@pytest.mark.parametrize("name", sorted(states.stored().files))
def test_any_flipped_bit_is_noticed(state: Path, name: str) -> None:
    """One bit of every byte of the manifests, and of every 41st of the segments."""
    content = (state / name).read_bytes()
    step = 1 if name.endswith(".json") else 41
    for place in range(0, len(content), step):
        altered = bytearray(content)
        altered[place] ^= 1 << place % 8
        (state / name).write_bytes(altered)
        outcome = states.load_store(state)
        if isinstance(outcome, tuple):
            assert outcome[1] == states.stored().generations[outcome[0]]
        else:
            assert isinstance(outcome, StateUnreadable)


def test_a_whole_state_of_another_form_is_refused(tmp_path: Path) -> None:
    """What the pipeline saved, with values that it never saves and every checksum right."""
    settings = states.configured()
    for at in range(0, 400, 3):
        states.check_pipeline(states.step(203, 0, at, at % 256))
    files = dict(states.piped().files)
    states._with_newest(files, lambda body, index: (body, index.replace(b'"tidegauge"', b'"something"')))
    for path in settings.state.glob("*.*"):
        path.unlink() if path.suffix in (".json", ".seg") else None
    for name, content in files.items():
        (settings.state / name).write_bytes(content)
    with pytest.raises(StateUnreadable, match="of another form"):
        runner._open(settings)
    store = Store.open(settings.state, schema=SCHEMA)  # nothing holds on to the directory
    store.close()
