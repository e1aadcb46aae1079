"""Which features a record holds, whether configured or not: what schema changes are seen by."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tidegauge.config.settings import Source
from tidegauge.decode.text import shorten

MAX_KEYS = 256
_OBJECT = "features"


class FeatureKeys:
    """Finds the features in records of one source, where its `fields` say that they are."""

    def __init__(self, source: Source) -> None:
        mapped = {name: tuple(path.split(".")) for name, path in source.fields}
        self._object = mapped.get(_OBJECT, (_OBJECT,))
        prefix = f"{_OBJECT}."
        self._moved = {name.removeprefix(prefix): at for name, at in mapped.items() if name.startswith(prefix)}

    def of(self, line: bytes) -> frozenset[str]:
        """The names of the features of an accepted line, at most MAX_KEYS, each shortened as texts are."""
        record = _parsed(line)
        found = _at(record, self._object)
        other_names = {at[-1] for at in self._moved.values() if at[:-1] == self._object}
        keys = [key for key in found if key not in other_names] if isinstance(found, dict) else []
        for name, (*way, last) in self._moved.items():
            holder = _at(record, way)
            if isinstance(holder, dict) and last in holder:
                keys.append(name)
        return frozenset([shorten(key) for key in keys if _is_text(key)][:MAX_KEYS])


def _parsed(line: bytes) -> Any:
    line = line.strip().removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:  # what only Python's parser takes, or a text that is not used and is no UTF-8
        return json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None


def _at(record: Any, path: Any) -> Any:
    for key in path:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def _is_text(key: str) -> bool:
    """Whether it can be written as UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
