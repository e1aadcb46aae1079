"""/api/v1/status: the report as JSON, field by field as the dataclasses name them."""

from __future__ import annotations

from typing import Any

import msgspec

from tidegauge.publish.report import Report

CONTENT_TYPE = "application/json; charset=utf-8"


def render_status(report: Report) -> bytes:
    """The report as UTF-8 JSON: times as RFC 3339, durations in seconds, null for unknown."""
    try:
        return msgspec.json.encode(report)
    except UnicodeEncodeError:  # names of files may hold bytes that are no UTF-8
        return msgspec.json.encode(_encodable(msgspec.to_builtins(report)))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    return value
