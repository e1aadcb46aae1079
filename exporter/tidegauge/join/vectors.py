"""Class probabilities that wait for a label: too large for the packed rows, so they rest in expiring files.

A vector is written as the class codes and their probabilities, so classes that appear later need no rewriting.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegauge.join.vocabulary import Vocabulary
from tidegauge.state.spool import Spool

ENTRY = np.dtype([("code", "u1"), ("probability", "<f8")])


class VectorFile:
    """Probability vectors of one model's pending predictions, by reference."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.dropped = 0  # vectors for which there was no room, since somebody last asked

    def write(self, scores: Sequence[dict[str, float] | None], classes: Vocabulary) -> NDArray[np.uint64]:
        """References of the rows' vectors; 0 where a row has none or there is no room left."""
        references = np.zeros(len(scores), dtype=np.uint64)
        given = [number for number, score in enumerate(scores) if score]
        items = []
        for number in given:
            score = scores[number]
            assert score is not None
            entries = np.empty(len(score), dtype=ENTRY)
            entries["code"] = [classes.code(text) for text in score]
            entries["probability"] = list(score.values())
            items.append(entries.tobytes())
        references[given] = self.spool.append(items)
        self.dropped += len(given) - int(np.count_nonzero(references))
        return references

    def take_dropped(self) -> int:
        """How many vectors found no room since the last call."""
        dropped, self.dropped = self.dropped, 0
        return dropped

    def read(self, references: NDArray[np.uint64], classes: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """(which rows have a vector, probabilities [rows, classes]); classes that a row does not name have 0."""
        probability = np.zeros((len(references), classes))
        given = np.zeros(len(references), dtype=np.bool_)
        some = np.flatnonzero(references)
        items = self.spool.read(references[some])
        held = [(row, item) for row, item in zip(some.tolist(), items, strict=True) if item]
        if not held:
            return given, probability
        lengths = [len(item) // ENTRY.itemsize for _, item in held]
        entries = np.frombuffer(b"".join(item for _, item in held), dtype=ENTRY)
        row = np.repeat([row for row, _ in held], lengths)
        np.add.at(probability, (row, entries["code"].astype(np.int64)), entries["probability"])
        given[row] = True
        return given, probability
