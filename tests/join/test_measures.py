"""What comparing an answer with its label gives is what scikit-learn, jiwer and a plain recount give."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import jiwer
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from tidegauge.decode.content import ContentColumn, contents
from tidegauge.join.measures import is_wrong, rankings, texts

Item = str | int | float | bool
ITEMS = st.sampled_from(["1", 1, 1.0, "2", 2, "x", "X", "é", "", True, "true", 0.5, "0.5", 10**20, -0.0])
LISTS = st.lists(ITEMS, max_size=12)
CHARACTERS = st.characters(codec="utf-8") | st.sampled_from(" \t\n\u00a0\u2003\u0301aAbBß.,!'—")
WORDS = st.text(CHARACTERS, max_size=30)
NAMES = ("ndcg", "reciprocal_rank")


def kept(values: Sequence[object], *, lists: bool) -> list[bytes | None]:
    """As decoding hands them on."""
    column = ContentColumn(lists=lists, texts=not lists)
    column.add(list(values), len(values))
    missing, invalid, given_values = column.finish()
    assert not missing.any() and not invalid.any()
    return contents(given_values)


def ranked(answers: Sequence[Sequence[Item]], labels: Sequence[Sequence[Item]], k: int) -> dict[str, list[float]]:
    measured = rankings(kept(answers, lists=True), kept(labels, lists=True), k)
    return dict(zip(NAMES, measured.T.tolist(), strict=True))


def plain(item: Item) -> str:
    """The text by which items compare."""
    if isinstance(item, bool):
        return str(item).lower()
    return str(int(item)) if isinstance(item, float) and item == int(item) else str(item)


def recounted(answer: Sequence[Item], label: Sequence[Item], k: int) -> tuple[float, float]:
    """NDCG and reciprocal rank from their definitions."""
    items, relevant = [plain(item) for item in answer], {plain(item) for item in label}
    met: set[str] = set()
    gain, first = 0.0, math.inf
    for rank, item in enumerate(items[:k], 1):
        if item in relevant and item not in met:
            gain += 1 / math.log2(1 + rank)
            first = min(first, rank)
        met.add(item)
    best = sum(1 / math.log2(1 + rank) for rank in range(1, min(k, len(relevant)) + 1))
    return gain / best if best else 0.0, 1 / first


@given(st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=5), st.integers(1, 15))
def test_rankings_equal_a_plain_recount(pairs: list[tuple[list[Item], list[Item]]], k: int) -> None:
    measured = ranked([one for one, _ in pairs], [one for _, one in pairs], k)
    for row, (answer, label) in enumerate(pairs):
        ndcg, reciprocal = recounted(answer, label, k)
        assert measured["ndcg"][row] == pytest.approx(ndcg, abs=1e-12)
        assert measured["reciprocal_rank"][row] == pytest.approx(reciprocal, abs=1e-12)
        assert 0 <= measured["ndcg"][row] <= 1 + 1e-12


@given(st.permutations(range(12)), st.sets(st.integers(0, 15), min_size=1), st.integers(1, 14))
def test_ndcg_equals_scikit_learn(order: list[int], relevant: set[int], k: int) -> None:
    # The library ranks all that there is; what was never shown stands behind it.
    everything = [*order, *range(12, 16)]
    assume(relevant & set(everything))
    truth = np.array([[float(item in relevant) for item in everything]])
    score = np.arange(len(everything), 0, -1.0)[None]
    measured = ranked([everything], [sorted(relevant)], k)
    assert measured["ndcg"][0] == pytest.approx(ndcg_score(truth, score, k=k), abs=1e-12)


def test_numbers_and_texts_of_one_canonical_text_are_one_item() -> None:
    assert ranked([["7", True], [7.0, "a"]], [[7], ["7", 7]], 5) == {"ndcg": [1, 1], "reciprocal_rank": [1, 1]}


def test_no_item_relevant_or_none_shown_is_worth_nothing() -> None:
    assert ranked([["a"], [], []], [[], ["a"], []], 3) == {"ndcg": [0, 0, 0], "reciprocal_rank": [0, 0, 0]}


def test_what_is_not_there_is_not_measured() -> None:
    assert np.isnan(rankings([None, b'["a"]'], [b'["a"]', None], 3)).all()
    assert np.isnan(texts([None, b'"a"'], [b'"a"', None], ())).all()
    assert texts([None, b'"b"'], [b'"a"', b'"a c"'], ())[1].tolist() == [2, 2, 3, 3]
    assert not is_wrong("text", texts([None], [b'"a"'], ())).any()
    assert not is_wrong("ranking", rankings([None], [b'["a"]'], 3)).any()


def test_a_ranking_is_wrong_where_nothing_relevant_is_at_the_top() -> None:
    answers, labels = kept([["a", "b"], ["a", "b"]], lists=True), kept([["b"], ["b"]], lists=True)
    assert is_wrong("ranking", rankings(answers, labels, 1)).tolist() == [True, True]
    assert is_wrong("ranking", rankings(answers, labels, 2)).tolist() == [False, False]


def measured_texts(pairs: Sequence[tuple[str, str]], *normalize: str) -> np.ndarray:
    answers, labels = ([pair[side] for pair in pairs] for side in (0, 1))
    return texts(kept(answers, lists=False), kept(labels, lists=False), normalize)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_texts_equal_jiwer_pair_by_pair_and_together(pairs: list[tuple[str, str]]) -> None:
    measured = measured_texts(pairs)
    # jiwer splits at blanks; which other white space there is, is Python's to say.
    split = jiwer.Compose(
        [jiwer.SubstituteRegexes({r"[\s\x1c-\x1f]+": " "}), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()]
    )
    letters = jiwer.Compose([jiwer.Strip(), jiwer.ReduceToListOfListOfChars()])
    meant = edits = 0.0
    for (answer, label), (word_edits, words, character_edits, characters) in zip(pairs, measured, strict=True):
        by_word = jiwer.process_words(label, answer, reference_transform=split, hypothesis_transform=split)
        wrong = by_word.substitutions + by_word.deletions + by_word.insertions
        assert word_edits == wrong
        assert words == by_word.hits + by_word.substitutions + by_word.deletions
        by_letter = jiwer.process_characters(label, answer, reference_transform=letters, hypothesis_transform=letters)
        assert character_edits == by_letter.substitutions + by_letter.deletions + by_letter.insertions
        assert characters == by_letter.hits + by_letter.substitutions + by_letter.deletions
        if words:
            assert word_edits / words == pytest.approx(by_word.wer, abs=1e-12)
        edits, meant = edits + word_edits, meant + words
    together = jiwer.process_words(
        [label for _, label in pairs],
        [answer for answer, _ in pairs],
        reference_transform=split,
        hypothesis_transform=split,
    )
    if meant:
        assert edits / meant == pytest.approx(together.wer, abs=1e-9)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
def test_normalization_is_done_to_both_sides(pairs: list[tuple[str, str]]) -> None:
    def bare(text: str) -> str:
        return "".join(one for one in text.lower() if not unicodedata.category(one).startswith("P"))

    both = measured_texts(pairs, "lowercase", "remove_punctuation")
    assert both.tolist() == measured_texts([(bare(one), bare(two)) for one, two in pairs]).tolist()
    assert measured_texts([("Don't, STOP!", "dont stop")], "lowercase", "remove_punctuation").tolist() == [[0, 2, 0, 9]]
    assert measured_texts([("Don't", "don't")]).tolist() == [[1, 1, 1, 5]]


def test_more_texts_than_are_split_at_a_time() -> None:
    pairs = [(f"a b {number}", f"a b {number % 3}") for number in range(1000)]
    measured = measured_texts(pairs)
    assert measured[:, 0].tolist() == [float(number != number % 3) for number in range(1000)]
    assert measured[:, 1].tolist() == [3.0] * 1000


def test_numbers_are_texts_too_and_spelling_does_not_matter() -> None:
    assert texts(kept([7.0, True], lists=False), kept(["7", "true"], lists=False), ())[:, 0].tolist() == [0, 0]
