"""What detectors hold, in a table: it comes back as it was, larger or smaller than before, after kill -9 and damage."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.production import FRAUD, START, production, scenario_logs, states
from tidegauge import simulate
from tidegauge.config.settings import HOUR
from tidegauge.pipeline.saved_states import SHEET, SHEETS, SavedStates
from tidegauge.state.store import Store
from tidegauge.state.table import Table

VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
STATES = st.dictionaries(st.text(max_size=5), VALUES | st.text(max_size=5) | st.lists(VALUES, max_size=3), max_size=4)


def noise(size: int, seed: int = 1) -> dict[str, Any]:
    """What cannot be compressed much."""
    return {"quality/": {"cells": np.random.default_rng(seed).random(size).tolist()}}


def test_nothing_was_written_and_nothing_is_read() -> None:
    assert SavedStates(Table("m/detectors", SHEETS)).read() == {}


@settings(max_examples=50)
@given(st.lists(STATES, min_size=1, max_size=3))
def test_what_was_written_last_is_read_to_the_last_bit(written: list[dict[str, Any]]) -> None:
    saved = SavedStates(Table("m/detectors", SHEETS))
    for one in written:
        saved.write(one)
    assert json.dumps(SavedStates(saved.table).read()) == json.dumps(written[-1])


def test_it_grows_and_a_shorter_one_after_a_longer_one_is_whole() -> None:
    saved = SavedStates(Table("m/detectors", SHEETS))
    sizes = []
    for size in (0, 3000, 200, 9000, 1):
        saved.write(noise(size))
        assert saved.read() == noise(size)
        sizes.append(saved.table.high_water)
    assert sizes == sorted(sizes), "sheets are never given back"
    assert sizes[-1] * SHEET < 9000 * 20


def test_only_the_sheets_in_use_are_marked_as_changed() -> None:
    saved = SavedStates(Table("m/detectors", SHEETS))
    saved.write(noise(20_000))
    saved.table.take_changes()
    saved.write(noise(1))
    assert saved.table.take_changes().pages.size < saved.table.high_water * SHEET / (1 << 18) + 2


@pytest.mark.parametrize("sizes", [(10, 5000), (5000, 10), (5000, 5000)])
def test_what_was_committed_survives_and_what_was_not_does_not(tmp_path: Path, sizes: tuple[int, int]) -> None:
    store = Store.open(tmp_path, schema=1)
    store.load()
    saved = SavedStates(Table("m/detectors", SHEETS))
    saved.write(noise(sizes[0], 1))
    store.commit(store.capture({}, [saved.table]))
    saved.write(noise(sizes[1], 2))
    store.capture({}, [saved.table])  # killed before it was on the disk
    store.close()
    again = Store.open(tmp_path, schema=1)
    again.load()
    table = again.restore_table("m/detectors", SHEETS)
    assert table is not None and SavedStates(table).read() == noise(sizes[0], 1)
    again.close()


@pytest.fixture(scope="module")
def logs() -> Any:
    return scenario_logs(simulate.find("bad-release"), duration=6 * HOUR, rate=0.5)


def test_after_damage_the_generation_before_goes_on_to_the_same_states(tmp_path: Path, logs: Any) -> None:
    run = production(tmp_path, FRAUD)
    for begin in range(START, START + 6 * HOUR, HOUR):
        for kind, lines in (("predictions", logs.predictions), ("feedback", logs.feedback)):
            run.write(kind, b"".join(line for time, line in lines if begin <= time < begin + HOUR))
        run.settle()
        run.save()
    expected = states(run)
    run.close()
    newest = max((tmp_path / "state").glob("segment-*.seg"))
    for path in (newest, tmp_path / "state" / "manifest.json"):
        data = bytearray(path.read_bytes())
        data[random.Random(1).randrange(len(data))] ^= 0xFF
        path.write_bytes(data)
    run = production(tmp_path, FRAUD)
    run.settle()
    assert states(run) == expected
    run.close()


def test_a_state_of_another_form_begins_anew_and_the_others_stay(tmp_path: Path, logs: Any) -> None:
    run = production(tmp_path, FRAUD)
    for kind, lines in (("predictions", logs.predictions), ("feedback", logs.feedback)):
        run.write(kind, b"".join(line for _, line in lines))
    run.settle()
    engine = run.pipeline.engines["fraud"]
    before = states(run)
    saved = engine.sealing._save()
    saved["quality/outcome"] = {"an": "older form"}
    engine.sealing._saved.write(saved)
    engine.sealing._changed = False
    run.save()
    run.reopen()
    after = states(run)
    assert "quality/outcome" not in after and before.pop("quality/outcome")
    assert after == before
    assert run.page()
    run.close()
