"""Predictions of one unit fall into one of 256 buckets, evenly, also where a hash sample chooses the predictions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from tidegauge.decode.identifiers import hash_ids
from tidegauge.join.layout import unit_buckets


def test_predictions_of_one_unit_share_a_bucket_and_others_are_units_of_their_own() -> None:
    unit = np.repeat(hash_ids(["a", "b", ""]), 4)
    key = hash_ids([f"prediction-{number}" for number in range(12)])
    buckets = unit_buckets(unit, key)
    assert len(set(buckets[:4].tolist())) == len(set(buckets[4:8].tolist())) == 1
    assert (buckets[8:] == unit_buckets(None, key)[8:]).all()
    assert (buckets[:1] == unit_buckets(None, hash_ids(["a"]))).all()


@pytest.mark.parametrize("exponent", [0, 4, 10])
def test_buckets_are_even_whatever_the_hash_sample(exponent: int) -> None:
    key = hash_ids([f"prediction-{number}" for number in range(300_000)])
    key = (key << np.uint64(exponent))[:: 1 << min(exponent, 3)]
    found = np.bincount(unit_buckets(None, key), minlength=256)
    assert chisquare(found).pvalue > 1e-4


def test_buckets_are_the_low_bits_of_murmurs_finaliser() -> None:
    # What waits is saved with its bucket: another mix would tear units apart.
    identifiers: list[str | int] = ["user-1", "user-2", 7]
    expected = []
    for mixed in map(int, hash_ids(identifiers)):
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            mixed = ((mixed ^ mixed >> 33) * factor) % (1 << 64)
        expected.append((mixed ^ mixed >> 33) & 255)
    assert unit_buckets(hash_ids(identifiers), hash_ids(["x", "y", "z"])).tolist() == expected == [220, 194, 189]
