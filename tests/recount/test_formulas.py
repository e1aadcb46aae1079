"""The recount's plain formulas are scikit-learn's."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn import metrics as sk

from tests.recount.logs import CLASSES, Prediction
from tests.recount.oracle import Pair, Row, as_number, confusion_scores, matthews, regression_scores, roc_auc


def pairs_of(classes: list[str], chance: random.Random) -> list[Pair]:
    weights = [chance.choice([1.0, 0.3, 2.5]) for _ in range(150)]
    return [(chance.choice(classes), chance.choice(classes), w, w * w) for w in weights]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("binary", [True, False])
def test_of_classes(seed: int, binary: bool) -> None:
    pairs = pairs_of(["0", "1"] if binary else list(CLASSES), random.Random(seed))
    actual, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    weights = [pair[2] for pair in pairs]
    scores = {name: score.value for name, score in confusion_scores(pairs, binary=binary).items()}
    average = {"pos_label": "1"} if binary else {"average": "macro"}
    common = {"sample_weight": weights}
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(actual, predicted, **common), abs=1e-12)
    balanced = sk.balanced_accuracy_score(actual, predicted, **common)
    assert scores["balanced_accuracy"] == pytest.approx(balanced, abs=1e-12)
    for name, function in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        assert scores[name] == pytest.approx(function(actual, predicted, **common, **average), abs=1e-12)
    assert matthews(pairs) == pytest.approx(sk.matthews_corrcoef(actual, predicted, **common), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_of_ranks(seed: int) -> None:
    chance = random.Random(seed)
    rows = [(chance.randrange(20) / 20, chance.random() < 0.4, chance.choice([1.0, 2.5])) for _ in range(120)]
    score, right, weight = map(np.array, zip(*rows, strict=True))
    assert roc_auc(rows) == pytest.approx(sk.roc_auc_score(right, score, sample_weight=weight), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_of_numbers(seed: int) -> None:
    chance = random.Random(seed)
    rows = []
    for number in range(100):
        answer, label = chance.gauss(5, 2), chance.gauss(5, 2)
        rows.append(Row(Prediction("m", str(number), 0, "v", 0, answer), True, label, chance.choice([1.0, 0.4])))
    predicted = [as_number(row.prediction.answer) for row in rows]
    actual = [as_number(row.label) for row in rows]
    scores = {name: score.value for name, score in regression_scores(rows).items()}
    common = {"sample_weight": [row.weight for row in rows]}
    assert scores["mae"] == pytest.approx(sk.mean_absolute_error(actual, predicted, **common), rel=1e-12)
    assert scores["rmse"] == pytest.approx(sk.root_mean_squared_error(actual, predicted, **common), rel=1e-12)
    assert scores["mape"] == pytest.approx(sk.mean_absolute_percentage_error(actual, predicted, **common), rel=1e-12)
    assert scores["r2"] == pytest.approx(sk.r2_score(actual, predicted, **common), rel=1e-12)
