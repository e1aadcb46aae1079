"""What was committed comes back whole; what is damaged is said; nothing is ever forgotten in silence."""

from __future__ import annotations

import os
import random
import shutil
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegauge.state import difference
from tidegauge.state import table as table_module
from tidegauge.state.difference import ROTATION
from tidegauge.state.store import StateError, StateUnreadable, StateUnusable, Store, TableChanged
from tidegauge.state.table import Table

# Rows this wide make pages of 32, so that small tests have many pages.
WIDE = np.dtype([("key", "<u8"), ("body", "V8184")])
NARROW = np.dtype([("key", "<u8"), ("flag", "u1")])
DTYPES = {"wide": WIDE, "narrow": NARROW}

Content = dict[str, dict[int, int]]


def fresh(directory: Path, schema: int = 1) -> Store:
    store = Store.open(directory, schema=schema)
    store.load()
    return store


def save(store: Store, tables: list[Table], blob: bytes = b"") -> int:
    return store.commit(store.capture({"blob": blob}, tables)).bytes


def content(table: Table) -> dict[int, int]:
    numbers = table.live_numbers()
    return dict(zip(numbers.tolist(), table.rows["key"][numbers].tolist(), strict=True))


def reopened(directory: Path) -> tuple[bytes, Content, tuple[str, ...]]:
    store = Store.open(directory, schema=1)
    try:
        restored = store.load()
        assert restored is not None
        found: Content = {}
        for name in restored.tables:
            table = store.restore_table(name, DTYPES[name.split("-")[0]])
            assert table is not None
            found[name] = content(table)
        return restored.blobs["blob"], found, restored.notes
    finally:
        store.close()


def keyed(table: Table, numbers: np.ndarray, key: int) -> None:
    table.rows["key"][numbers] = key
    table.touch(numbers)


# --- what is saved comes back ---------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False))
def test_random_use_with_failed_saves_and_restarts_agrees_with_dicts(tmp_path: Path, chance: random.Random) -> None:
    directory = tmp_path / "state"
    shutil.rmtree(directory, ignore_errors=True)
    store = fresh(directory)
    tables: dict[str, Table] = {}
    model: Content = {}
    saved: tuple[bytes, Content] | None = None
    for step in range(1, chance.randrange(2, 40)):
        action = chance.choice(["write", "write", "write", "save", "lose", "restart", "add", "drop", "replace"])
        names = sorted(tables)
        if action == "add" or not names:
            name = chance.choice(["wide-1", "wide-2", "narrow-1"])
            if name not in tables:
                tables[name] = Table(name, DTYPES[name.split("-")[0]], chance.choice([None, 2000]))
                model[name] = {}
        elif action == "drop":
            name = chance.choice(names)
            del tables[name], model[name]
        elif action == "replace":
            name = chance.choice(names)
            tables[name], model[name] = Table(name, DTYPES[name.split("-")[0]]), {}
        elif action == "write":
            name = chance.choice(names)
            table, rows = tables[name], model[name]
            if chance.random() < 0.5:
                numbers = table.allocate(chance.choice([1, 5, 40, 150]))
            else:
                numbers = np.array(chance.sample(sorted(rows), min(len(rows), chance.choice([1, 4, 60]))), np.int64)
            if chance.random() < 0.7:
                keyed(table, numbers, step)
                rows.update(dict.fromkeys(numbers.tolist(), step))
            else:
                table.free(numbers)
                for number in numbers.tolist():
                    rows.pop(number, None)
        elif action == "save":
            save(store, list(tables.values()), str(step).encode())
            saved = str(step).encode(), {name: dict(rows) for name, rows in model.items()}
        elif action == "lose":
            store.capture({"blob": b"lost"}, chance.sample(list(tables.values()), chance.randint(0, len(tables))))
        elif action == "restart":
            store.close()
            store = Store.open(directory, schema=1)
            restored = store.load()
            if saved is None:
                assert restored is None
                tables, model = {}, {}
                continue
            assert restored is not None
            assert (restored.blobs["blob"], restored.notes) == (saved[0], ())
            model = {name: dict(rows) for name, rows in saved[1].items()}
            tables = {}
            for name in model:
                table_or_none = store.restore_table(name, DTYPES[name.split("-")[0]], chance.choice([None, 1, 2000]))
                assert table_or_none is not None
                tables[name] = table_or_none
                if tables[name].capacity is not None:
                    # The next writes need room: a table restored at capacity 1 holds just what was stored.
                    del tables[name]
                    tables[name] = store.restore_table(name, DTYPES[name.split("-")[0]]) or Table(name, WIDE)
            assert {name: content(table) for name, table in tables.items()} == model
    save(store, list(tables.values()), b"end")
    store.close()
    assert reopened(directory) == (b"end", model, ())


def test_a_table_left_out_of_one_save_is_whole_in_the_next(tmp_path: Path) -> None:
    store, table = fresh(tmp_path), Table("wide", WIDE)
    keyed(table, table.allocate(100), 1)
    save(store, [table])
    save(store, [], b"without")
    assert "wide" not in store_tables(tmp_path, store)
    store = fresh(tmp_path)
    save(store, [table], b"with")
    store.close()
    assert reopened(tmp_path)[1] == {"wide": dict.fromkeys(range(100), 1)}


def store_tables(directory: Path, store: Store) -> tuple[str, ...]:
    store.close()
    again = Store.open(directory, schema=1)
    restored = again.load()
    again.close()
    assert restored is not None
    return restored.tables


def test_a_new_table_of_an_old_name_forgets_the_old_rows(tmp_path: Path) -> None:
    store, old = fresh(tmp_path), Table("wide", WIDE)
    keyed(old, old.allocate(100), 1)
    save(store, [old])
    new = Table("wide", WIDE)
    keyed(new, new.allocate(3), 2)
    save(store, [new])
    store.close()
    assert reopened(tmp_path)[1] == {"wide": {0: 2, 1: 2, 2: 2}}


def test_segments_kept_for_other_tables_do_not_bring_old_rows_back(tmp_path: Path) -> None:
    store, old, other = fresh(tmp_path), Table("wide-1", WIDE), Table("wide-2", WIDE)
    keyed(old, old.allocate(200), 1)
    keyed(other, other.allocate(500), 1)
    save(store, [old, other])
    new = Table("wide-1", WIDE)
    keyed(new, new.allocate(3), 2)
    save(store, [new, other])
    assert (tmp_path / "segment-000000000001.seg").exists()
    store.close()
    assert reopened(tmp_path)[1] == {"wide-1": {0: 2, 1: 2, 2: 2}, "wide-2": dict.fromkeys(range(500), 1)}


def test_a_save_of_nothing_new_writes_nothing(tmp_path: Path) -> None:
    store, table = fresh(tmp_path), Table("wide", WIDE)
    table.allocate(5)
    assert save(store, [table]) > 0
    assert save(store, [table]) == 0
    assert save(store, [table], b"other") > 0
    table.touch(np.array([3]))
    assert save(store, [table], b"other") > 0
    store.close()


def test_saving_costs_what_changed_and_old_segments_go(tmp_path: Path) -> None:
    store, table = fresh(tmp_path), Table("wide", WIDE, 40 * 32)
    table.allocate(40 * 32)
    whole = save(store, [table])
    chance = np.random.default_rng(1)
    for step in range(300):
        changed = chance.choice(40 * 32, 8, replace=False)
        keyed(table, changed, step)
        # Eight rows, as many bytes of old pages rounded up by a page, the index and the manifest.
        assert save(store, [table]) < 2 * 8 * 8192 + 32 * 8192 + 200_000
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert on_disk < 2.5 * whole
    store.close()
    assert reopened(tmp_path)[1]["wide"] == content(table)


def test_the_number_of_segments_stays_bounded_however_little_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "PAGE_BYTES", 128)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    store, table = fresh(tmp_path), Table("narrow", NARROW)
    table.allocate(600 * table.rows_per_page)
    for step in range(ROTATION + 100):
        keyed(table, np.array([0]), step)
        save(store, [table])
    assert len(list(tmp_path.glob("segment-*"))) <= ROTATION + 2
    store.close()
    assert reopened(tmp_path)[1] == {"narrow": content(table)}


def test_captures_may_be_taken_while_a_commit_is_under_way(tmp_path: Path) -> None:
    store, table = fresh(tmp_path), Table("wide", WIDE)
    table.allocate(200)
    saver: threading.Thread | None = None
    failures: list[BaseException] = []

    def commit(capture: object) -> None:
        try:
            store.commit(capture)  # type: ignore[arg-type]
        except BaseException as error:
            failures.append(error)

    chance = np.random.default_rng(2)
    for step in range(150):
        keyed(table, chance.choice(200, 5, replace=False), step)
        capture = store.capture({"blob": str(step).encode()}, [table])
        if saver is not None:
            saver.join()
        saver = threading.Thread(target=commit, args=(capture,))
        saver.start()
    assert saver is not None
    saver.join()
    store.close()
    assert failures == []
    assert reopened(tmp_path)[:2] == (b"149", {"wide": content(table)})


def test_a_capture_that_runs_out_of_memory_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    store, table = fresh(tmp_path), Table("wide", WIDE)
    keyed(table, table.allocate(50), 1)
    save(store, [table])
    keyed(table, np.array([4]), 2)
    with monkeypatch.context() as patch:
        patch.setattr(difference, "_copy", no_memory)
        with pytest.raises(MemoryError):
            store.capture({"blob": b""}, [table])
    save(store, [table])
    store.close()
    assert reopened(tmp_path)[1] == {"wide": dict.fromkeys(range(50), 1) | {4: 2}}


def test_an_older_capture_never_overwrites_a_newer_one(tmp_path: Path) -> None:
    store = fresh(tmp_path)
    first, second = store.capture({"blob": b"1"}, []), store.capture({"blob": b"2"}, [])
    store.commit(second)
    with pytest.raises(ValueError, match="newer capture"):
        store.commit(first)
    store.close()
    assert reopened(tmp_path)[0] == b"2"


# --- other columns, other versions ----------------------------------------------------------------------------------


def test_a_table_with_other_columns_is_named_and_can_be_had_as_stored(tmp_path: Path) -> None:
    store, table = fresh(tmp_path), Table("narrow", NARROW)
    keyed(table, table.allocate(3), 9)
    save(store, [table])
    store.close()
    store = fresh(tmp_path)
    with pytest.raises(TableChanged, match="narrow"):
        store.restore_table("narrow", WIDE)
    raw = store.restore_raw("narrow")
    assert raw is not None
    assert (raw.dtype, content(raw)) == (NARROW, {0: 9, 1: 9, 2: 9})
    assert store.restore_table("other", WIDE) is None
    assert store.restore_raw("other") is None
    store.close()


def test_padded_and_nested_columns_survive(tmp_path: Path) -> None:
    dtype = np.dtype([("a", "u1"), ("b", [("c", "<i8"), ("d", "<f4", (2, 3))])], align=True)
    store, table = fresh(tmp_path), Table("odd", dtype)
    numbers = table.allocate(4)
    table.rows["b"]["d"][numbers] = 1.5
    save(store, [table])
    store.close()
    store = fresh(tmp_path)
    again = store.restore_table("odd", dtype)
    assert again is not None
    assert again.rows[:4]["b"]["d"].tolist() == table.rows[:4]["b"]["d"].tolist()
    store.close()


def test_the_schema_is_handed_back_and_a_newer_one_refused(tmp_path: Path) -> None:
    store = fresh(tmp_path, schema=3)
    save(store, [])
    store.close()
    store = Store.open(tmp_path, schema=4)
    restored = store.load()
    assert restored is not None
    assert restored.schema == 3
    store.close()
    refused(tmp_path, "newer version", schema=2)


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = fresh(tmp_path)
    save(store, [])
    save(store, [], b"2")
    store.close()
    path = tmp_path / "manifest.json"
    path.write_bytes(msgspec.json.encode({"format": 2, "anything": "else"}))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "tidegauge.lock"}
    refused(tmp_path, "newer version of tidegauge; run that version or later")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "tidegauge.lock"} == before


# --- damage ---------------------------------------------------------------------------------------------------------


def refused(directory: Path, reason: str, schema: int = 1) -> None:
    store = Store.open(directory, schema=schema)
    with pytest.raises(StateUnreadable, match=reason):
        store.load()
    store.close()


def two_generations(directory: Path) -> tuple[Content, Content]:
    store, table = fresh(directory), Table("wide", WIDE, 400)
    keyed(table, table.allocate(300), 1)
    save(store, [table], b"first")
    first = {"wide": content(table)}
    keyed(table, np.array([5, 77]), 2)
    table.free(np.array([200]))
    save(store, [table], b"second")
    store.close()
    return first, {"wide": content(table)}


def test_an_untouched_directory_and_one_that_was_only_opened_are_fresh(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store.open(tmp_path / "a" / "b", schema=1)
        assert store.load() is None
        store.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["manifest.json", "segment-000000000002.seg"])
@pytest.mark.parametrize("damage", ["removed", "empty", "zeroed", "halved", "one byte short", "one byte long"])
def test_a_damaged_newest_generation_gives_way_to_the_previous_one_and_says_so(
    tmp_path: Path, name: str, damage: str
) -> None:
    first, _ = two_generations(tmp_path)
    apply_damage(tmp_path / name, damage)
    blob, found, notes = reopened(tmp_path)
    assert (blob, found) == (b"first", first)
    assert "previous save" in notes[-1]
    assert name in notes[0]


def test_the_previous_generation_is_whole_after_every_save(tmp_path: Path) -> None:
    store, table = fresh(tmp_path / "state"), Table("wide", WIDE)
    chance = random.Random(6)
    before: Content = {}
    for step in range(25):
        keyed(table, table.allocate(chance.choice([1, 30, 70])), step)
        keyed(table, np.array(chance.sample(range(table.live), chance.choice([1, table.live]))), step)
        save(store, [table], str(step).encode())
        if step > 0:
            shutil.copytree(tmp_path / "state", tmp_path / "copy")
            apply_damage(tmp_path / "copy" / "manifest.json", "zeroed")
            assert reopened(tmp_path / "copy")[:2] == (str(step - 1).encode(), before)
            shutil.rmtree(tmp_path / "copy")
        before = {"wide": content(table)}
    store.close()


@pytest.mark.parametrize("damage", ["removed", "empty", "zeroed", "halved"])
def test_what_was_saved_after_going_back_is_whole(tmp_path: Path, damage: str) -> None:
    two_generations(tmp_path)
    apply_damage(tmp_path / "manifest.json", damage)
    store = fresh(tmp_path)
    table = store.restore_table("wide", WIDE)
    assert table is not None
    keyed(table, np.array([9]), 7)
    save(store, [table], b"third")
    store.close()
    assert reopened(tmp_path) == (b"third", {"wide": dict.fromkeys(range(300), 1) | {9: 7}}, ())


def apply_damage(path: Path, damage: str) -> None:
    data = path.read_bytes()
    changed = {
        "empty": b"",
        "zeroed": bytes(len(data)),
        "halved": data[: len(data) // 2],
        "one byte short": data[:-2] + b"\n" if path.suffix == ".json" else data[:-1],
        "one byte long": data + b"x",
    }
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(changed[damage])


def test_any_single_changed_byte_is_noticed(tmp_path: Path) -> None:
    first, second = two_generations(tmp_path / "good")
    chance = random.Random(4)
    outcomes = set()
    for round_number in range(150):
        directory = tmp_path / str(round_number)
        shutil.copytree(tmp_path / "good", directory)
        path = directory / chance.choice(sorted(path.name for path in directory.iterdir()))
        data = bytearray(path.read_bytes())
        data[chance.choice([0, len(data) - 1, chance.randrange(len(data))])] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            blob, found, notes = reopened(directory)
        except StateUnreadable:
            outcomes.add("refused")
        else:
            assert (blob, found) in [(b"first", first), (b"second", second)]
            assert (blob == b"first") == bool(notes)
            outcomes.add("back" if notes else "unharmed")
        shutil.rmtree(directory)
    assert outcomes == {"refused", "back", "unharmed"}


@pytest.mark.parametrize("damage", ["removed", "empty", "zeroed", "halved"])
def test_a_state_of_which_nothing_is_readable_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    two_generations(tmp_path)
    for name in ("manifest.json", "manifest.previous.json"):
        apply_damage(tmp_path / name, damage)
    names = sorted(path.name for path in tmp_path.iterdir())
    refused(tmp_path, "Restore the directory from a copy; or move it away")
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_first_generation_that_is_torn_is_refused_not_forgotten(tmp_path: Path) -> None:
    store = fresh(tmp_path)
    save(store, [])
    store.close()
    apply_damage(tmp_path / "manifest.json", "zeroed")
    refused(tmp_path, r"manifest\.json is torn")


def test_segments_without_any_manifest_are_refused(tmp_path: Path) -> None:
    two_generations(tmp_path)
    for name in ("manifest.json", "manifest.previous.json", "tidegauge.lock"):
        (tmp_path / name).unlink()
    refused(tmp_path, "holds a state that cannot be read")


def test_a_segment_damaged_after_loading_is_noticed_when_its_table_is_restored(tmp_path: Path) -> None:
    two_generations(tmp_path)
    store = fresh(tmp_path)
    path = tmp_path / "segment-000000000001.seg"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(StateUnreadable, match="damaged"):
        store.restore_table("wide", WIDE)
    store.close()


# --- other people's directories -------------------------------------------------------------------------------------


def test_a_directory_with_foreign_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StateUnusable, match=r"not tidegauge's \(thesis\.tex\)"):
        Store.open(tmp_path, schema=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_fresh_volume_and_later_foreign_files_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".nfs0001").touch()
    store = fresh(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "segment-1.seg").write_text("not one of ours: the number is too short")
    for step in range(4):
        save(store, [], str(step).encode())
    store.close()
    assert reopened(tmp_path)[0] == b"3"
    names = {path.name for path in tmp_path.iterdir()}
    assert {"lost+found", ".nfs0001", "notes.txt", "segment-1.seg"} <= names


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateUnusable, match="cannot be used for the state"):
        Store.open(tmp_path / "state", schema=1)


def test_saving_before_loading_is_a_mistake_that_is_named(tmp_path: Path) -> None:
    store = Store.open(tmp_path, schema=1)
    with pytest.raises(RuntimeError, match="load the store"):
        store.capture({}, [])
    store.close()


def test_every_refusal_is_a_state_error() -> None:
    assert all(issubclass(error, StateError) for error in (StateUnreadable, StateUnusable, TableChanged))
