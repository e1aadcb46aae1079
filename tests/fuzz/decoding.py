"""Targets: a block of a prediction log, a block of a feedback log."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.decode import logs, test_any_log
from tests.fuzz.target import Target
from tidegauge.config.settings import Model
from tidegauge.decode import (
    REASONS,
    Categorical,
    Decoded,
    FeedbackColumns,
    FeedbackDecoder,
    PredictionColumns,
    PredictionDecoder,
)
from tidegauge.decode.timestamps import _END_MS, _FIRST_MS

CORPUS = Path(__file__).parents[1] / "corpus"
MODELS = (logs.FRAUD, logs.DELAY, logs.ANIMAL, logs.SEARCH, logs.SPEECH)
MODEL_SETS: tuple[tuple[Model, ...], ...] = (MODELS, *((model,) for model in MODELS))
DEEP = 300  # levels of nesting from where the interpreter's stack decides
ALONE = 40  # lines of a block that are also decoded alone
_BOM = b"\xef\xbb\xbf"

Outcome = tuple[tuple[str, Any], ...] | str
Batch = PredictionColumns | FeedbackColumns
Decoder = PredictionDecoder | FeedbackDecoder


@cache
def _long_used(kind: str, models: tuple[Model, ...]) -> Decoder:
    """A decoder that goes on from input to input: what it remembers must change no outcome."""
    return _fresh(kind, models)


def _fresh(kind: str, models: tuple[Model, ...]) -> Decoder:
    if kind == "predictions":
        return PredictionDecoder(logs.PREDICTIONS, logs.settings_for(*models))
    return FeedbackDecoder(logs.FEEDBACK, logs.settings_for(*models))


def _check(kind: str, data: bytes) -> None:
    models = MODEL_SETS[len(data) % len(MODEL_SETS)]
    lines = _lines(data)
    together = _outcomes(_fresh(kind, models).decode(data, "/logs/a"), lines)
    for offset, line in list(lines.items())[:ALONE]:
        if line.count(b"[") + line.count(b"{") < DEEP:
            alone = _outcomes(_long_used(kind, models).decode(line, "/logs/a"), {0: line})
            assert alone.get(0) == together.get(offset), f"alone {alone.get(0)}, in its block {together.get(offset)}"


def _lines(data: bytes) -> dict[int, bytes]:
    """The lines that are not blank, by offset."""
    found, offset = {}, 0
    for line in data.split(b"\n"):
        if line.removeprefix(_BOM).strip(b" \t\r"):
            found[offset] = line
        offset += len(line) + 1
    return found


def _outcomes(decoded: Decoded[Any], lines: dict[int, bytes]) -> dict[int, Outcome]:
    """What became of each line: its row or its reason."""
    found: dict[int, Outcome] = {}
    for rejection in decoded.rejections:
        assert rejection.reason in REASONS
        assert rejection.offset not in found, "a line was rejected twice"
        assert rejection.length == len(lines[rejection.offset]), "a rejection is not of a line"
        found[rejection.offset] = rejection.reason
    for batch in decoded.batches:
        for row in _rows(batch):
            offset = row.pop("offset")
            assert offset in lines, "a row is not of a line"
            assert offset not in found, "a line has two outcomes"
            found[offset] = tuple((name, repr(value)) for name, value in row.items())
    rest = lines.keys() - found.keys()
    assert not rest, f"{len(rest)} lines are no row and not rejected"
    return found


def _rows(batch: Batch) -> list[dict[str, Any]]:
    _check_time(batch.time)
    _check_texts(batch.label)
    if isinstance(batch, FeedbackColumns):
        assert (batch.key != 0).all()
        assert not np.isinf(batch.value).any()
        known = ~np.isnan(batch.propensity)
        assert ((batch.propensity[known] > 0) & (batch.propensity[known] <= 1)).all()
        _check_texts(batch.channel)
        assert (batch.channel.codes >= 0).all()
        return logs.feedback_rows(batch)
    for column in (batch.score, batch.latency_ms, batch.value):
        assert not np.isinf(column).any()
    for column in batch.signals.values():
        assert not np.isinf(column).any()
    if batch.content is not None:
        assert all(content is None for content, failed in zip(batch.content, batch.error, strict=True) if failed)
    elif batch.model == logs.DELAY.name:
        assert (np.isnan(batch.value) == batch.error).all(), "a regression without a number"
    else:
        assert ((batch.label.codes == -1) == batch.error).all(), "a classification without a label"
    if batch.weight is not None:
        assert ((batch.weight > 0) & (batch.weight <= 1e6)).all()
    if batch.count is not None:
        assert ((batch.count >= 1) & (batch.count <= 1e9)).all()
    for some in batch.scores or ():
        for label, probability in (some or {}).items():
            label.encode()
            assert len(label) <= 256
            assert np.isfinite(probability)
    for texts in (batch.version, *batch.slices.values()):
        _check_texts(texts)
    assert (batch.version.codes >= 0).all()
    return logs.prediction_rows(batch)


def _check_time(time: np.ndarray) -> None:
    assert ((time >= _FIRST_MS) & (time < _END_MS)).all()


def _check_texts(column: Categorical) -> None:
    assert ((column.codes >= -1) & (column.codes < len(column.values))).all()
    assert len(set(column.values)) == len(column.values)
    for text in column.values:
        text.encode()
        assert len(text) <= 256


def check_predictions(data: bytes) -> None:
    _check("predictions", data)


def check_feedback(data: bytes) -> None:
    _check("feedback", data)


def _seeds(kind: str, *records: dict[str, Any]) -> list[bytes]:
    known = [path.read_bytes() for path in sorted((CORPUS / kind).glob("*.jsonl"))]
    usual = [json.dumps(record).encode() + b"\n" for record in records]
    return [*known, *usual, b"".join(usual) * 3, b"".join(known)[: 1 << 16]]


_TIME = "2024-05-01T10:00:00Z"
_PREDICTION_SEEDS = _seeds(
    "predictions",
    {"prediction_id": "a", "timestamp": _TIME, "model": "fraud", "prediction": "1", "score": 0.5},
    {"prediction_id": 7, "timestamp": 1714557600, "model": "delay", "prediction": 2.5, "latency_ms": 3},
    {"prediction_id": 7, "timestamp": _TIME, "model": "animal", "scores": {"cat": 0.4, "dog": 0.6}, "weight": 2},
    {"prediction_id": 8, "timestamp": _TIME, "model": "search", "prediction": ["a", 1, True]},
    {"prediction_id": 9, "timestamp": _TIME, "model": "speech", "prediction": "the tide is high"},
    {"timestamp": _TIME, "features": {"country": "SE", "amount": 3}, "slices": {"plan": "pro"}, "error": "x"},
)
_FEEDBACK_SEEDS = _seeds(
    "feedback",
    {"prediction_id": "a", "timestamp": _TIME, "model": "fraud", "label": "1", "channel": "outcome"},
    {"prediction_id": 7, "timestamp": _TIME, "model": "delay", "label": 2.5, "propensity": 0.5},
    {"prediction_id": 7, "timestamp": _TIME, "model": "fraud", "channel": "audit", "retract": True},
    {"prediction_id": 8, "timestamp": _TIME, "model": "search", "label": ["b", 2]},
    {"prediction_id": 8, "timestamp": _TIME, "model": "search", "signal": "dwell", "value": 2.5},
    {"prediction_id": 8, "timestamp": _TIME, "model": "search", "signal": "bought"},
    {"prediction_id": 9, "timestamp": _TIME, "model": "speech", "label": "the tide was high"},
    {"prediction_id": 7, "timestamp": _TIME, "signal": "click", "value": True},
)
_TOKENS = [
    *(b'"%s":' % name.encode() for name in ("prediction_id", "timestamp", "model", "prediction", "score", "scores")),
    *(b'"%s":' % name.encode() for name in ("label", "channel", "signal", "retract", "propensity", "weight", "count")),
    *(b'"%s":' % name.encode() for name in ("error", "features", "slices", "version", "role", "country", "latency_ms")),
    *(b"null,true,false,NaN,-Infinity,0,-0,1e400,-1,0.5,1e-320,18446744073709551616,9007199254740993".split(b",")),
    *(b'"",{},[],"x","\\ud800","\\u0000","\\ufeff",[[]],{"cat":0.4},"0.5"," 1 ","1714557600"'.split(b",")),
    *(b'{ } [ ] , : " \\ \n \r\n \0 \xef\xbb\xbf \xff \xed\xa0\x80'.split(b" ")),
    *(b"\xc0\x80 \xf4\x90\x80\x80 \xe2\x80\xae }{ }\n{".split(b" ")),
    b"9" * 4301,
    b"[" * 200,
    b'{"a":' * 200,
    b"1" * 400,
    b"x" * 300,
    b"2024-02-29T23:59:60+23:59",
    b'"2024-05-01T10:00:00.123456789Z"',
]


def _as_block(of: Callable[[], st.SearchStrategy[list[bytes]]]) -> st.SearchStrategy[bytes]:
    return st.tuples(of(), st.sampled_from([b"\n", b"\n", b"\r\n"]), st.booleans()).map(
        lambda parts: parts[1].join(parts[0]) + parts[1] * parts[2]
    )


TARGETS = (
    Target(
        "decode_predictions",
        "each line of a prediction log is one row or one rejection, the same alone and among others",
        check_predictions,
        _PREDICTION_SEEDS,
        _TOKENS,
        _as_block(lambda: test_any_log.a_log(test_any_log.prediction_records)),
    ),
    Target(
        "decode_feedback",
        "each line of a feedback log is one row or one rejection, the same alone and among others",
        check_feedback,
        _FEEDBACK_SEEDS,
        _TOKENS,
        _as_block(lambda: test_any_log.a_log(test_any_log.feedback_records)),
    ),
)
