"""Vectors as sums: exact, whatever the order and the batches, and true to the kernel that they stand for."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidegauge.join.rows import INVALID_NUMBER
from tidegauge.tally.features.embedding import (
    CONDITIONS,
    INVALID,
    MISSING,
    NON_FINITE,
    VALID,
    Projection,
    VectorCounter,
    conditions,
    frequencies,
    learn_projection,
)

Floats = NDArray[np.float64]

PINNED = [
    [0.02013232522997169, 0.2621087032971087, 0.07143855528055702],
    [-0.1564689041712687, 0.033724641252728275, -0.06253948540612554],
]


def normal(rows: int, dimension: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(rows, dimension))


def everything(counter: VectorCounter, vectors: Floats) -> NDArray[np.int64]:
    sums: NDArray[np.int64] = counter.accumulate(vectors, np.zeros(len(vectors), np.int64), 1)[0]
    return sums


@pytest.mark.parametrize(("dimension", "pairs"), [(1, 16), (3, 64), (64, 32), (768, 128)])
def test_sums_are_those_of_cosines_and_sines(dimension: int, pairs: int) -> None:
    """Against the formula in floating point, to half of one of 1024 steps of a turn."""
    reference, vectors = normal(400, dimension) * 3 + 50, normal(300, dimension, 1) * 3 + 50
    projection = learn_projection(reference, pairs)
    angles = 2 * np.pi * (vectors - projection.centre) / projection.sigma
    angles = angles @ frequencies(projection.seed, dimension, pairs)
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(pairs)
    counter = VectorCounter(projection)
    np.testing.assert_allclose(counter.phi(vectors), expected, atol=0.0034 / np.sqrt(pairs))
    np.testing.assert_allclose(
        projection.means(everything(counter, vectors)), expected.mean(axis=0), atol=6 * 0.0018 / np.sqrt(pairs * 300)
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dimension=st.sampled_from([1, 2, 7, 33]),
    cuts=st.lists(st.integers(0, 2500), max_size=6),
    cells=st.integers(1, 5),
)
def test_sums_are_the_same_bits_however_rows_are_batched(
    seed: int, dimension: int, cuts: list[int], cells: int
) -> None:
    random = np.random.default_rng(seed)
    counter = VectorCounter(learn_projection(random.normal(size=(50, dimension)), 8))
    vectors = random.normal(size=(2500, dimension)) * 10.0 ** random.integers(-3, 6)
    vectors[random.random(2500) < 0.1] = np.nan
    local = random.integers(0, cells, 2500)
    whole = counter.accumulate(vectors, local, cells)
    parts = sorted({0, 2500, *cuts})
    again = sum(
        (counter.accumulate(vectors[a:b], local[a:b], cells) for a, b in pairwise(parts)),
        np.zeros_like(whole),
    )
    np.testing.assert_array_equal(again, whole)
    order = random.permutation(2500)
    np.testing.assert_array_equal(counter.accumulate(vectors[order], local[order], cells), whole)
    alone = np.stack([everything(counter, vectors[local == cell]) for cell in range(cells)])
    np.testing.assert_array_equal(alone, whole)


def test_a_record_that_stands_for_many_counts_so_often() -> None:
    vectors, counts = normal(40, 3), np.random.default_rng(1).integers(1, 9, 40)
    counter = VectorCounter(learn_projection(vectors, 8))
    local = np.arange(40) % 3
    expected = counter.accumulate(np.repeat(vectors, counts, axis=0), np.repeat(local, counts), 3)
    np.testing.assert_array_equal(counter.accumulate(vectors, local, 3, counts), expected)


def test_what_is_no_vector_is_counted_and_left_out() -> None:
    vectors = normal(6, 4)
    vectors[1] = np.nan
    vectors[2] = [INVALID_NUMBER, np.nan, np.nan, np.nan]
    vectors[3] = [np.inf, np.nan, np.nan, np.nan]
    vectors[4, 2] = np.nan
    assert conditions(vectors).tolist() == [VALID, MISSING, INVALID, NON_FINITE, NON_FINITE, VALID]
    counter = VectorCounter(learn_projection(normal(50, 4, 1), 8))
    sums = everything(counter, vectors)
    assert sums[:CONDITIONS].tolist() == [2, 1, 1, 2]
    np.testing.assert_array_equal(sums[CONDITIONS:], everything(counter, vectors[[0, 5]])[CONDITIONS:])


def test_vectors_beyond_all_bounds_are_merely_far_away() -> None:
    counter = VectorCounter(learn_projection(normal(100, 5), 16))
    far = np.array([[1e308, -1e308, 0, 1e200, 5.0]])
    sums = everything(counter, far)
    assert sums[VALID] == 1
    assert np.abs(counter.projection.means(sums)).max() <= 1 / np.sqrt(16)
    assert np.isfinite(learn_projection(np.concatenate([far, normal(50, 5)]), 16).sigma)


def test_no_rows_give_no_sums_and_no_mean() -> None:
    counter = VectorCounter(learn_projection(normal(10, 2), 4))
    sums = counter.accumulate(np.zeros((0, 2)), np.zeros(0, np.int64), 3)
    assert sums.shape == (3, counter.projection.columns)
    assert not sums.any()
    assert np.isnan(counter.projection.means(sums)).all()


def test_features_multiply_to_the_kernel() -> None:
    reference = normal(500, 6)
    projection = learn_projection(reference, 512)
    phi = VectorCounter(projection).phi(reference[:100])
    squares = np.square(reference[:100, None] - reference[None, :100]).sum(axis=2)
    np.testing.assert_allclose(phi @ phi.T, np.exp(-squares / (2 * projection.sigma**2)), atol=0.12)


def test_sigma_is_that_of_the_median_distance() -> None:
    reference = normal(800, 6)
    squares = np.square(reference[:, None] - reference[None, :]).sum(axis=2)
    median = np.median(squares[np.triu_indices(800, 1)])
    assert learn_projection(reference, 4).sigma == pytest.approx(np.sqrt(median / 2), rel=1e-6)


def test_mean_and_spectrum_are_those_of_the_reference() -> None:
    reference = normal(3000, 4)
    projection = learn_projection(reference, 16)
    phi = VectorCounter(projection).phi(reference)
    np.testing.assert_allclose(projection.mean, phi.mean(axis=0), atol=1e-6)
    covariance = np.cov(phi.T)
    assert projection.trace == pytest.approx(float(np.trace(covariance)), rel=1e-6)
    assert projection.trace_of_square == pytest.approx(float(np.trace(covariance @ covariance)), rel=1e-6)
    assert list(projection.spectrum) == sorted(projection.spectrum, reverse=True)
    assert projection.rows == 3000


def test_frequencies_are_normal_orthogonal_and_pinned() -> None:
    waves = frequencies(8433, 64, 256) * 2 * np.pi
    assert waves.mean() == pytest.approx(0, abs=0.03)
    assert waves.std() == pytest.approx(1, abs=0.02)
    assert np.linalg.norm(waves, axis=0).std() == pytest.approx(np.sqrt(0.5), rel=0.15)  # of a chi variable
    block = waves[:, 64:128] / np.linalg.norm(waves[:, 64:128], axis=0)
    np.testing.assert_allclose(block.T @ block, np.eye(64), atol=1e-12)
    # A change of these numbers would make every saved reference and every saved sum mean something else.
    np.testing.assert_allclose(frequencies(8433, 2, 3), PINNED, atol=1e-12)


def test_a_projection_survives_being_written_down() -> None:
    projection = learn_projection(normal(100, 5), 16)
    again = Projection.from_json(json.loads(json.dumps(projection.to_json())))
    assert again == projection
    vectors = normal(50, 5, 3)
    np.testing.assert_array_equal(
        everything(VectorCounter(again), vectors), everything(VectorCounter(projection), vectors)
    )


def test_a_reference_without_spread_is_learned_too() -> None:
    projection = learn_projection(np.full((10, 3), 4.0), 8)
    assert projection.sigma == 1.0
    assert projection.trace == 0.0


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ValueError, match="1 valid vectors; a projection needs at least 2"):
        learn_projection(np.array([[1.0, 2.0], [np.nan, np.nan]]))
    with pytest.raises(ValueError, match="vectors of 8193 numbers; they may have 1 to 8192"):
        learn_projection(np.ones((2, 8193)))
