"""What comparing one answer with its label gives, where that takes both of them whole: rankings and texts.

A measure is a row of floats, NaN where either side is not there. Work here is by row, in Python around a library's
distances; it is the only place where it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model

Measures = NDArray[np.float64]
Measure = Callable[[Sequence[bytes | None], Sequence[bytes | None]], Measures]
"""(answers, labels as JSON) -> measures of shape (n, measures of the task)."""

RANKING = ("ndcg", "reciprocal_rank")
TEXT = ("word_edits", "words", "character_edits", "characters")
COUNT = {"ranking": len(RANKING), "text": len(TEXT)}
_items = msgspec.json.Decoder(list[str])
_text = msgspec.json.Decoder(str)


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
    for row, (answer, label) in enumerate(zip(answers, labels, strict=True)):
        if answer is None or label is None:
            continue
        relevant = set(_items.decode(label))
        gain = first = 0.0
        ideal = ideals[min(k, len(relevant)) - 1]
        for place, item in enumerate(_items.decode(answer)[:k]):
            if item in relevant:
                relevant.remove(item)
                gain += discounts[place]
                first = first or 1.0 / (place + 1)
        measured[row] = gain / ideal, first
    return measured


def texts(answers: Sequence[bytes | None], labels: Sequence[bytes | None], normalize: tuple[str, ...]) -> Measures:
    """Edits (insertions, deletions, substitutions; Levenshtein 1966) and the label's length, in words and characters.

    Words are what white space separates. Characters are Unicode code points, white space as written but for the ends.
    """
    from rapidfuzz.distance import Levenshtein  # only who has such models pays for loading it

    prepare = _preparation(normalize)
    distance = Levenshtein.distance
    measured = np.full((len(answers), len(TEXT)), np.nan)
    rows, values = [], []
    for row, (answer, label) in enumerate(zip(answers, labels, strict=True)):
        if answer is None or label is None:
            continue
        said, meant = prepare(_text.decode(answer)), prepare(_text.decode(label))
        words = meant.split()
        rows.append(row)
        if said == meant:
            values.append((0, len(words), 0, len(meant)))
        else:
            values.append((distance(meant.split(), said.split()), len(words), distance(meant, said), len(meant)))
    measured[rows] = values if values else 0.0
    return measured


def _preparation(normalize: tuple[str, ...]) -> Callable[[str], str]:
    if not normalize:
        return str.strip

    def prepare(text: str) -> str:
        if "lowercase" in normalize:
            text = text.lower()
        if "remove_punctuation" in normalize:
            text = "".join(character for character in text if not unicodedata.category(character).startswith("P"))
        return text.strip()

    return prepare


def is_wrong(task: str, measures: Measures) -> NDArray[np.bool_]:
    """Where the label contradicts the answer: no item of it at the top, or another text; not where it is unknown."""
    if task == "ranking":
        wrong: NDArray[np.bool_] = measures[:, RANKING.index("reciprocal_rank")] == 0
    else:
        wrong = measures[:, TEXT.index("character_edits")] > 0
    return wrong
