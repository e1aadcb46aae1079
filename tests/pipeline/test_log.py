"""The exporter's own log: one event a line, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.pipeline.log import LONGEST_VALUE, LineFormatter

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelname": "WARNING", "created": 1_700_000_000.25})
    vars(made).update(fields)
    return made


def printable(line: str) -> bool:
    return all(32 <= ord(letter) < 127 or letter.isprintable() for letter in line)


@given(ANY_TEXT, ANY_TEXT)
def test_json_lines_give_back_what_was_logged(message: str, path: str) -> None:
    line = LineFormatter("json").format(record("%s", args=(message,), path=path))
    assert line.isascii()
    assert printable(line)
    found = json.loads(line)
    assert (found["ts"], found["level"]) == ("2023-11-14T22:13:20.250Z", "warning")
    assert (found["msg"], found["path"]) == (message, path)


@given(ANY_TEXT, ANY_TEXT)
def test_logfmt_values_are_bare_words_or_quoted(message: str, path: str) -> None:
    line = LineFormatter("logfmt").format(record("%s", args=(message,), path=path))
    assert printable(line)
    start = "ts=2023-11-14T22:13:20.250Z level=warning msg="
    assert line.startswith(start)
    rest = line.removeprefix(start)
    found, decoder = [], json.JSONDecoder()
    for name in ("", " path="):
        assert rest.startswith(name)
        rest = rest.removeprefix(name)
        if rest.startswith('"'):
            value, end = decoder.raw_decode(rest)
        else:
            end = len(rest.partition(" ")[0])
            value = rest[:end]
        found.append(value)
        rest = rest[end:]
    assert (found, rest) == ([message, path], "")


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_a_long_value_is_cut_in_its_middle(style: str) -> None:
    line = LineFormatter(style).format(record("begin " + "x" * 1_000_000 + " end", number=7))
    assert len(line) < LONGEST_VALUE + 200
    assert "begin x" in line
    assert "x end" in line
    assert "characters" in line


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_a_traceback_is_one_line_that_keeps_its_end(style: str) -> None:
    try:
        raise ValueError("odd \x1b[31m\nvalue" + "y" * 9_000 + " the end")
    except ValueError:
        made = record("it failed", exc_info=sys.exc_info())
    line = LineFormatter(style).format(made)
    assert printable(line)
    assert "Traceback" in line
    assert "the end" in line
    assert len(line) < LONGEST_VALUE * 2 + 200
