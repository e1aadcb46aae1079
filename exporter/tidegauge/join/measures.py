"""What comparing one answer with its label gives, where that takes both of them whole: rankings and texts.

A measure is a row of floats, NaN where either side is not there. Work here is by row, in Python around a library's
distances; it is the only place where it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model

T = TypeVar("T")
Measures = NDArray[np.float64]
Measure = Callable[[Sequence[bytes | None], Sequence[bytes | None]], Measures]
"""(answers, labels as JSON) -> measures of shape (n, measures of the task)."""

RANKING = ("ndcg", "reciprocal_rank")
TEXT = ("word_edits", "words", "character_edits", "characters")
COUNT = {"ranking": len(RANKING), "text": len(TEXT)}
AT_ONCE = 128
"""Texts that are decoded at a time."""
_lists = msgspec.json.Decoder(list[str])
_texts = msgspec.json.Decoder(str)


def measure_of(model: Model) -> Measure | None:
    """How this model's answers are compared with labels; None for tasks whose rows hold all that is needed."""
    match model.task:
        case "ranking":
            return lambda answers, labels: rankings(answers, labels, model.k)
        case "text":
            return lambda answers, labels: texts(answers, labels, model.normalize)
        case _:
            return None


def rankings(answers: Sequence[bytes | None], labels: Sequence[bytes | None], k: int) -> Measures:
    """NDCG and reciprocal rank of the first k items, with binary relevance.

    NDCG (Jarvelin, Kekalainen 2002, ACM TOIS 20:422): sum of 1 / log2(rank + 1) over the relevant items, over the same
    of the best ranking. An item that is repeated counts where it stands first. Where nothing is relevant both are 0, as
    the usual libraries have it.
    """
    discounts = (1.0 / np.log2(np.arange(2, k + 2))).tolist()
    ideals = np.cumsum(discounts).tolist()
    measured = np.full((len(answers), len(RANKING)), np.nan)
    rows = _both(answers, labels)
    if not rows:
        return measured
    values = []
    for items, chosen in zip(_decoded(_lists, answers, rows), _decoded(_lists, labels, rows), strict=True):
        relevant = set(chosen)
        gain = first = 0.0
        ideal = ideals[min(k, len(relevant)) - 1]
        top = items[:k]
        for place, item in enumerate([] if relevant.isdisjoint(top) else top):
            if item in relevant:
                relevant.remove(item)
                gain += discounts[place]
                first = first or 1.0 / (place + 1)
        values.append((gain / ideal, first))
    measured[rows] = values
    return measured


def texts(answers: Sequence[bytes | None], labels: Sequence[bytes | None], normalize: tuple[str, ...]) -> Measures:
    """Edits (insertions, deletions, substitutions; Levenshtein 1966) and the label's length, in words and characters.

    Words are what white space separates. Characters are Unicode code points, white space as written but for the ends.
    """
    from rapidfuzz.distance import Levenshtein  # only who has such models pays for loading it
    from rapidfuzz.process import cpdist

    distance = Levenshtein.distance
    prepare = _preparation(normalize)
    measured = np.full((len(answers), len(TEXT)), np.nan)
    rows = _both(answers, labels)
    counted = np.zeros((len(rows), len(TEXT)))
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        said, meant = prepare(_decoded(_texts, answers, some)), prepare(_decoded(_texts, labels, some))
        block = counted[start : start + AT_ONCE]
        # The words of one pair at a time: thousands of short lists would leave the processor's cache.
        block[:, :2] = [_in_words(one, two, distance) for one, two in zip(said, meant, strict=True)]
        block[:, 2] = cpdist(meant, said, scorer=distance, dtype=np.int32)
        block[:, 3] = list(map(len, meant))
    measured[rows] = counted
    return measured


def _in_words(said: str, meant: str, distance: Callable[[list[str], list[str]], int]) -> tuple[int, int]:
    words = meant.split()
    return (0 if said == meant else distance(words, said.split())), len(words)


def _both(answers: Sequence[bytes | None], labels: Sequence[bytes | None]) -> list[int]:
    """Rows that have an answer and a label."""
    pairs = enumerate(zip(answers, labels, strict=True))
    return [row for row, (answer, label) in pairs if answer is not None and label is not None]


def _decoded(decoder: msgspec.json.Decoder[T], contents: Sequence[bytes | None], rows: list[int]) -> list[T]:
    # One call for all of them: JSON holds no newline but between values.
    return decoder.decode_lines(b"\n".join([contents[row] or b"" for row in rows]))


def _preparation(normalize: tuple[str, ...]) -> Callable[[list[str]], list[str]]:
    def without_punctuation(text: str) -> str:
        return "".join(character for character in text if not unicodedata.category(character).startswith("P"))

    def prepare(texts: list[str]) -> list[str]:
        if "lowercase" in normalize:
            texts = [text.lower() for text in texts]
        if "remove_punctuation" in normalize:
            texts = [without_punctuation(text) for text in texts]
        return [text.strip() for text in texts]

    return prepare


def is_wrong(task: str, measures: Measures) -> NDArray[np.bool_]:
    """Where the label contradicts the answer: no item of it at the top, or another text; not where it is unknown."""
    if task == "ranking":
        wrong: NDArray[np.bool_] = measures[:, RANKING.index("reciprocal_rank")] == 0
    else:
        wrong = measures[:, TEXT.index("character_edits")] > 0
    return wrong
