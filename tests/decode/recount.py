"""The record contract in plain Python, a line at a time: what the decoders are held against.

Written from the contract, with json, datetime and the xxhash library; shares no code with the product.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import xxhash

Outcome = dict[str, Any] | str | None  # a row, a reason, or nothing for a blank line


def _parsed(line: bytes) -> Any:
    text = line.decode("utf-8").strip(" \t\r\n").removeprefix("\ufeff")
    return json.loads(text)


def text_of(value: Any) -> str | None:
    """Canonical text; None if the value has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = int(value) if value.is_integer() and abs(value) <= 2**53 else value
    if isinstance(value, int | float | str):
        text = str(value)
        return text if len(text) <= 256 else text[:255] + "…"
    return None


def number_of(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and not re.fullmatch(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*", value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def key_of(value: Any) -> int | str:
    """The key, or the reason there is none; 0 without an id."""
    if value is None or value == "":
        return 0
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "invalid_prediction_id"
    if isinstance(value, float) and not value.is_integer():
        return "invalid_prediction_id"
    whole = int(value) if isinstance(value, float) and abs(value) <= 2**53 else value
    return int(xxhash.xxh3_64_intdigest(str(whole).encode())) or 1


def time_of(value: Any) -> int | str:
    if value is None:
        return "missing_timestamp"
    low, high = datetime(1990, 1, 1, tzinfo=UTC).timestamp(), datetime(2201, 1, 1, tzinfo=UTC).timestamp()
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        for per_second in (1, 10**3, 10**6, 10**9):
            if low * per_second <= value < high * per_second:
                return value * 1000 // per_second
    if isinstance(value, float) and math.isfinite(value):
        for per_second in (1, 10**3, 10**6, 10**9):
            if low * per_second <= value < high * per_second:
                return round(Fraction(value) * 10**6 / per_second) // 1000
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return "invalid_timestamp"
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if low <= moment.timestamp() < high:
            return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution * 1000)
    return "invalid_timestamp"


def is_set(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false")
    return isinstance(value, list | dict) or (value is not None and value != 0)


def feature_of(value: Any, kind: str) -> Any:
    """What a model saw: None, a number, a text or a list; "invalid" of a wrong type, "not finite" as it says."""
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "numeric":
        return finite(value) if number else ("invalid",)
    if kind == "text_length":
        return float(len(value)) if isinstance(value, str) else ("invalid",)
    if kind == "boolean":
        for text, meant in (("true", (True, 1, "true")), ("false", (False, 0, "false"))):
            if isinstance(value, bool | int | float | str) and value in meant:
                return text
        return ("invalid",)
    if kind == "categorical":
        if value == "":
            return None
        text = text_of(value)
        return ("invalid",) if text is None else text
    if not isinstance(value, list) or not 1 <= len(value) <= 4096:
        return ("invalid",)
    numbers = [feature_of(item, "numeric") for item in value]
    if None in numbers or ("invalid",) in numbers:
        return ("invalid",)
    return ("not finite",) if ("not finite",) in numbers else numbers


def finite(value: float) -> Any:
    try:
        return float(value) if math.isfinite(value) else ("not finite",)
    except OverflowError:
        return ("not finite",)


def prediction(
    line: bytes, tasks: dict[str, str], slices: tuple[str, ...], features: dict[str, dict[str, str]] | None = None
) -> Outcome:
    """The row of a prediction of one of the models `tasks` (name: task), with threshold 0.5 and positive label "1".

    `features` are the kinds by name that each model watches.
    """
    if not line.strip():
        return None
    try:
        record = _parsed(line)
    except ValueError:
        return "invalid_json"
    if not isinstance(record, dict):
        return "not_an_object"
    model = text_of(record.get("model")) or (next(iter(tasks)) if len(tasks) == 1 else None)
    if model is None:
        return "missing_model"
    if model not in tasks:
        return "unknown_model"
    task = tasks[model]
    key, time = key_of(record.get("prediction_id")), time_of(record.get("timestamp"))
    if isinstance(key, str):
        return key
    if isinstance(time, str):
        return time
    weight, count = record.get("weight"), record.get("count")
    weight_number = 1.0 if weight is None else number_of(weight)
    if weight_number is None or not 0 < weight_number <= 1e6:
        return "invalid_weight"
    count_number = 1.0 if count is None else number_of(count)
    if count_number is None or not 1 <= count_number <= 1e9 or not count_number.is_integer():
        return "invalid_count"
    error = is_set(record.get("error"))
    score = None if error else number_of(record.get("score"))
    given = record.get("scores")
    scores = None
    if task == "multiclass" and isinstance(given, dict) and not error:
        scores = {k: number for k, v in given.items() if (number := number_of(v)) is not None}
    answer = record.get("prediction")
    label: str | None = None
    value: float | None = None
    if not error:
        if task == "regression":
            value = number_of(answer)
            if answer is None or value is None:
                return "missing_prediction" if answer is None else "invalid_prediction"
        else:
            label = text_of(answer)
            if answer is not None and label is None:
                return "invalid_prediction"
            if not label and task == "binary" and score is not None:
                label = "1" if score >= 0.5 else "0"
            elif not label and scores:
                label = sorted(scores, key=lambda name: (-scores[name], name))[0]
            if not label:
                return "missing_prediction"
    row = {
        "model": model,
        "key": key,
        "time": time,
        "version": text_of(record.get("version")) or "unknown",
        "label": label,
        "value": value,
        "score": score,
        "scores": scores,
        "latency_ms": number_of(record.get("latency_ms")),
        "error": error,
        "shadow": record.get("role") == "shadow",
        "weight": weight_number,
        "count": int(count_number),
    }
    for name in slices if model == "fraud" else ():
        found = None
        for place in ("slices", "features"):
            inside = record.get(place)
            if isinstance(inside, dict) and isinstance(inside.get(name), str | bool | int | float):
                found = text_of(inside[name]) or None
                break
        row[f"slice {name}"] = found
    inside = record.get("features")
    for name, kind in (features or {}).get(model, {}).items():
        row[f"feature {name}"] = feature_of(inside.get(name) if isinstance(inside, dict) else None, kind)
    return row


def feedback(line: bytes, tasks: dict[str, str], channels: dict[str, set[str]]) -> Outcome:
    """The row of feedback for one of the models `tasks`, none of which has a signal."""
    if not line.strip():
        return None
    try:
        record = _parsed(line)
    except ValueError:
        return "invalid_json"
    if not isinstance(record, dict):
        return "not_an_object"
    model = text_of(record.get("model")) or (next(iter(tasks)) if len(tasks) == 1 else None)
    if model is not None and model not in tasks:
        return "unknown_model"
    key, time = key_of(record.get("prediction_id")), time_of(record.get("timestamp"))
    if isinstance(key, str):
        return key
    if key == 0:
        return "missing_prediction_id"
    if isinstance(time, str):
        return time
    retract = is_set(record.get("retract"))
    possible = {tasks[model]} if model is not None else set(tasks.values())
    numeric, given = possible == {"regression"}, record.get("label")
    label = None if numeric else text_of(given)
    value = number_of(given if numeric else label)
    missing = given is None or (given == "" and not numeric)
    if missing and text_of(record.get("signal")):
        return "unknown_signal"
    allowed = channels[model] if model is not None else set().union(*channels.values())
    channel = text_of(record.get("channel")) or (next(iter(allowed)) if len(allowed) == 1 else None)
    if channel is None:
        return "missing_channel"
    if channel not in allowed:
        return "unknown_channel"
    propensity = record.get("propensity")
    propensity_number = None if propensity is None else number_of(propensity)
    if propensity is not None and (propensity_number is None or not 0 < propensity_number <= 1):
        return "invalid_propensity"
    if not retract:
        if missing:
            return "missing_label"
        if (value if numeric else label) is None:
            return "invalid_label"
    return {
        "model": model,
        "key": key,
        "time": time,
        "channel": channel,
        "label": None if retract else label,
        "value": None if retract or isinstance(given, bool) else value,
        "retract": retract,
        "propensity": propensity_number,
    }
