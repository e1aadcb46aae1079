"""Numeric features together: standardised as one vector, and rebuilt by a PCA as scikit-learn's would."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tidegauge.join.rows import INVALID_NUMBER
from tidegauge.tally.features.joint import FARTHEST, Pca, Standard, learn_pca, learn_standard

Floats = NDArray[np.float64]


def correlated(rows: int, seed: int = 0, flip: bool = False) -> Floats:
    """(F, rows): six features of two causes; flipped, one feature hangs on its cause the other way round."""
    random = np.random.default_rng(seed)
    causes = random.normal(size=(2, rows))
    weights = np.array([[1, 0.5], [0.8, -0.3], [0.2, 1], [1, 1], [-0.7, 0.4], [0.1, 0.9]])
    weights[0] *= -1 if flip else 1
    scales = np.array([[1], [10], [100], [0.01], [5], [1]])
    rows_: Floats = (weights @ causes + random.normal(size=(6, rows)) * 0.3) * scales
    return rows_


def test_errors_are_those_of_scikit_learn() -> None:
    reference, now = correlated(2000), correlated(500, 1)
    scaler = StandardScaler().fit(reference.T)
    oracle = PCA(n_components=0.65).fit(scaler.transform(reference.T))
    pca = learn_pca(reference)
    assert len(pca.components) == oracle.n_components_
    np.testing.assert_allclose(np.abs(np.array(pca.components)), np.abs(oracle.components_), atol=1e-7)
    standard = scaler.transform(now.T)
    rebuilt = oracle.inverse_transform(oracle.transform(standard))
    np.testing.assert_allclose(pca.errors(now), np.linalg.norm(standard - rebuilt, axis=1), atol=1e-4)


def test_a_broken_relation_shows_where_no_single_feature_has_moved() -> None:
    pca = learn_pca(correlated(5000))
    before, after = pca.errors(correlated(2000, 1)), pca.errors(correlated(2000, 2, flip=True))
    for row, flipped in zip(correlated(2000, 1), correlated(2000, 2, flip=True), strict=True):
        assert abs(row.mean() - flipped.mean()) < 0.1 * row.std()
    assert after.mean() > before.mean() + 0.5 * before.std()


def test_signs_do_not_depend_on_the_rows() -> None:
    for pca in (learn_pca(correlated(3000, seed)) for seed in range(5)):
        for component in np.array(pca.components):
            assert component[np.abs(component).argmax()] > 0


def test_an_error_is_the_same_bits_in_any_batch() -> None:
    pca, rows = learn_pca(correlated(500)), correlated(700, 1)
    whole = pca.errors(rows)
    np.testing.assert_array_equal(np.concatenate([pca.errors(rows[:, n : n + 1]) for n in range(700)]), whole)
    np.testing.assert_array_equal(np.concatenate([pca.errors(rows[:, :13]), pca.errors(rows[:, 13:])]), whole)
    np.testing.assert_array_equal(pca.errors(np.asfortranarray(rows)), whole)


def test_what_is_missing_is_taken_for_the_mean() -> None:
    standard = learn_standard(np.array([[1.0, 3.0, np.nan], [10.0, INVALID_NUMBER, 30.0], [5.0, 5.0, 5.0]]))
    assert standard == Standard((2.0, 20.0, 5.0), (1.0, 10.0, 1.0))
    rows = standard.vectors(np.array([[3.0, np.nan, np.nan], [np.inf, 10.0, INVALID_NUMBER], [5.5, np.nan, np.nan]]))
    np.testing.assert_array_equal(rows, [[1.0, 0.0, 0.5], [0.0, -1.0, 0.0], [np.nan, np.nan, np.nan]])


def test_a_row_without_any_number_has_no_error() -> None:
    pca = learn_pca(correlated(500))
    rows = correlated(3, 1)
    rows[:, 1] = np.nan
    assert np.isnan(pca.errors(rows)).tolist() == [False, True, False]


def test_what_is_far_is_held() -> None:
    standard = learn_standard(np.array([[-1.0, 1.0], [-1.0, 1.0]]))
    np.testing.assert_array_equal(standard.vectors(np.array([[1e300, -9.0], [-1e308, 7.0]])), [[8, -8], [-8, 7]])
    assert FARTHEST == 8.0
    assert np.isfinite(learn_standard(np.array([[1e308, -1e308, 1e300]])).scales).all()


def test_one_component_is_left_out_at_least() -> None:
    """Two unrelated features would else be rebuilt wholly, and nothing ever be wrong with them."""
    pca = learn_pca(np.random.default_rng(0).normal(size=(2, 1000)))
    assert len(pca.components) == 1


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ValueError, match="1 numeric features; reconstruction needs 2 to 1024"):
        learn_pca(np.ones((1, 10)))
    with pytest.raises(ValueError, match="0 rows with numbers"):
        learn_pca(np.full((3, 10), np.nan))
    with pytest.raises(ValueError, match="no numeric feature varies"):
        learn_pca(np.ones((3, 10)))


def test_components_survive_being_written_down() -> None:
    pca = learn_pca(correlated(500))
    again = Pca.from_json(json.loads(json.dumps(pca.to_json())))
    assert again == pca
    np.testing.assert_array_equal(again.errors(correlated(50, 1)), pca.errors(correlated(50, 1)))
