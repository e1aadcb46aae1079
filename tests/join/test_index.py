"""The hash index against a dict."""

from __future__ import annotations

import numpy as np
import pytest

from tidegauge.join.index import MAXIMUM_LOAD, HashIndex


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_inserts_removals_and_lookups_agrees_with_a_dict(seed: int) -> None:
    random = np.random.default_rng(seed)
    pool = random.integers(1, 2**63, 20_000, dtype=np.uint64)
    keys = np.zeros(120_000, dtype=np.uint64)
    index = HashIndex(lambda numbers: keys[numbers])
    known: dict[int, int] = {}
    for step in range(100):
        batch = random.choice(pool, 1_000)  # repeats within a batch and of what is there already
        numbers = np.arange(step * 1_000, step * 1_000 + 1_000)
        keys[numbers] = batch
        added = index.insert(batch, numbers)
        for key, number, was_added in zip(batch.tolist(), numbers.tolist(), added.tolist(), strict=True):
            assert was_added == (key not in known)
            known.setdefault(key, number)
        if step % 4 == 0:
            gone = random.choice(np.array(list(known), dtype=np.uint64), 300, replace=False)
            index.remove(gone)
            for key in gone.tolist():
                del known[key]
        asked = random.choice(pool, 500)
        assert index.lookup(asked).tolist() == [known.get(key, -1) for key in asked.tolist()]
        assert index.live == len(known)


def test_removed_entries_do_not_make_the_index_grow_for_ever() -> None:
    keys = np.arange(1, 4_000_001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    index = HashIndex(lambda numbers: keys[numbers])
    for start in range(0, 400_000, 2_000):
        numbers = np.arange(start, start + 2_000)
        index.insert(keys[numbers], numbers)
        if start >= 4_000:
            index.remove(keys[numbers - 4_000])
    assert index.live == 4_000
    assert index.nbytes < 8 * 4 * 6_000 / MAXIMUM_LOAD
