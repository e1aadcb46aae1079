"""Class probabilities that wait for a label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tidegauge.join.vectors import VectorFile
from tidegauge.join.vocabulary import Vocabulary
from tidegauge.state.spool import Spool


def test_probabilities_come_back_by_class_and_rows_without_any_are_told_apart(tmp_path: Path) -> None:
    classes = Vocabulary(10)
    file = VectorFile(Spool(tmp_path, "topic"))
    references = file.write([{"cat": 0.7, "dog": 0.3}, None, {"dog": 0.4, "emu": 0.6}], classes)
    given, probability = file.read(references, len(classes))
    assert given.tolist() == [True, False, True]
    assert np.allclose(probability, [[0.7, 0.3, 0.0], [0.0, 0.0, 0.0], [0.0, 0.4, 0.6]], rtol=0, atol=0)
    assert file.take_dropped() == 0


def test_what_finds_no_room_is_counted_and_reads_as_absent(tmp_path: Path) -> None:
    file = VectorFile(Spool(tmp_path, "topic", max_bytes=64))
    references = file.write([{"cat": 1.0}] * 20, Vocabulary(10))
    kept = int(np.count_nonzero(references))
    assert 0 < kept < 20
    given, _ = file.read(references, 1)
    assert int(given.sum()) == kept
    assert file.take_dropped() == 20 - kept
    assert file.take_dropped() == 0
