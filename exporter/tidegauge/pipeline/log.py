"""The exporter's own log: one event a line, as logfmt or JSON, to standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")
LONGEST_VALUE = 4_096
"""Characters of one value in a line; of a longer one the beginning and the end are kept."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(slots=True)
class RateLimit:
    """Lets one event through in so many seconds and counts the others."""

    wait_seconds: float
    withheld: int = 0  # events not let through since the last one that was
    _next: float = 0.0
    _since: int = 0

    def allows(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            self._since += 1
            return False
        self._next = now + self.wait_seconds
        self.withheld, self._since = self._since, 0
        return True


class LineFormatter(logging.Formatter):
    """Timestamp, level, message and the record's extra fields."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self._form = style

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "ts": stamp.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        fields.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        fields = {name: _capped(value) for name, value in fields.items()}
        if self._form == "json":
            return json.dumps(fields)
        return " ".join(f"{name}={_quoted(str(value))}" for name, value in fields.items())


def _capped(value: object) -> str | int | float | None:
    if isinstance(value, int | float | None):
        return value
    text = str(value)
    if len(text) <= LONGEST_VALUE:
        return text
    half = LONGEST_VALUE // 2
    return f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"


def _quoted(text: str) -> str:
    if text and all(letter.isprintable() and letter not in ' ="' for letter in text):
        return text
    return json.dumps(text)


def configure(level: str, style: str) -> None:
    """Sends the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(style))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
