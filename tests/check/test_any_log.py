"""Whatever lies in the logs, check says something about it: it never fails, and healthy logs of any kind stay calm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.check.logs import CONFIGURATION, Place
from tests.end_to_end import logs
from tidegauge.check.report import report
from tidegauge.config.load import load

scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["2026-01-05T09:00:00Z", "2026-01-05 09:00:00", "1e400", "\x1b[2J", "NaN", "fraud", "outcome", "1"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = [
    "prediction_id",
    "timestamp",
    "model",
    "version",
    "prediction",
    "score",
    "features",
    "slices",
    "label",
    "channel",
]
records = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8)
lines = st.one_of(
    records.map(lambda record: json.dumps(record).encode()),
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b"{", b"[]", b"null", b"1", b"\xef\xbb\xbf{}", b"\0\0\0", b'{"a":' * 900, b'{"\xff": 1}', b"x" * 70_000]
    ),
)
logs_of_lines = st.lists(lines, max_size=8).map(lambda found: b"\n".join(found))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(predictions=logs_of_lines, feedback=logs_of_lines, task=st.sampled_from(["binary", "multiclass", "regression"]))
def test_check_survives_any_log(place: Place, predictions: bytes, feedback: bytes, task: str) -> None:
    text = CONFIGURATION if task == "binary" else CONFIGURATION.replace("task: binary", f"task: {task}")
    text = text.replace('    positive_label: "1"\n', "") if task != "binary" else text
    place.configure(f"max_line_bytes: 65536\n{text}")
    (place.logs / "predictions.jsonl").write_bytes(predictions)
    (place.logs / "feedback.jsonl").write_bytes(feedback)
    said = place.report()
    assert said.startswith("the logs, by a sample")
    assert all(char.isprintable() or char == "\n" for char in said)


def test_logs_of_every_kind_are_found_healthy(tmp_path: Path) -> None:
    (tmp_path / "tidegauge.yml").write_text(logs.configuration(*logs.EVERY_KIND, sources=logs.EVERY_SOURCE))
    logs.write_every_kind(tmp_path, each=500)
    assert report(load(tmp_path / "tidegauge.yml")).endswith("Nothing looks wrong.\n")


def test_rankings_texts_and_signals_are_found_healthy(place: Place) -> None:
    place.configure(
        """\
sources:
  - predictions: logs/predictions.jsonl
  - feedback: logs/feedback.jsonl
models:
  - {name: search, task: ranking, feedback: {clicks: {maturity: 1h}}, signals: {bought: boolean}}
  - {name: dictation, task: text, feedback: {typed: {maturity: 1h}}, signals: {length: {from: answer_length}}}
"""
    )
    about = {"timestamp": "2026-01-05T11:00:00Z", "version": "v1"}
    asked = [{**about, "prediction_id": f"s{n}", "model": "search", "prediction": ["a", "b", "c"]} for n in range(50)]
    asked += [{**about, "prediction_id": f"d{n}", "model": "dictation", "prediction": "to be"} for n in range(50)]
    later = {"timestamp": "2026-01-05T11:20:00Z"}
    told = [{**later, "prediction_id": f"s{n}", "label": ["b"], "channel": "clicks"} for n in range(50)]
    told += [{**later, "prediction_id": f"s{n}", "signal": "bought"} for n in range(50)]
    told += [{**later, "prediction_id": f"d{n}", "label": "to bee", "channel": "typed"} for n in range(50)]
    place.write("predictions.jsonl", asked)
    place.write("feedback.jsonl", told)
    assert place.findings() == []
    place.write("feedback.jsonl", [*told, *({**one, "signal": "sold"} for one in told[50:100])])
    assert 'Signals seen: "sold" 50 times. ' in place.only()
