"""YAML as nodes with line numbers: the one place that knows the YAML library.

Only the safe loader's composer is used, so no tag can construct anything. Scalars follow the YAML 1.2 core schema:
`yes`, `010` and `12:30` are text, `1e3` is a number; the library's own YAML 1.1 rules would silently turn labels into
something else.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tidegauge.config.problems import Problem, quote
from tidegauge.config.shapes import Scalar

_NULL = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_LONGEST_NUMBER = 300  # digits; more is text, since no float can hold it
_TEXT_TAG = "tag:yaml.org,2002:str"
_CORE_TAG = "tag:yaml.org,2002:"


def read_nodes(file: Path, expected: str = "a mapping with sources and models") -> yaml.Node | Problem:
    """The root node of the only document in the file, or the one problem that keeps it from being read."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return Problem("", 0, f"a file that cannot be read: {error.strerror}", "a readable YAML file", file=str(file))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return Problem("", line, "bytes that are not UTF-8", "text in UTF-8", file=str(file))
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        return _syntax_problem(error, text, file)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Problem("", line, "a control character", "printable text, tabs and line ends", file=str(file))
    except RecursionError:
        return Problem("", 1, "values nested too deeply", "the keys of the documentation", file=str(file))
    if root is None:
        return Problem("", 1, "an empty file", expected, file=str(file))
    return root


def line_of(node: yaml.Node) -> int:
    """The line that the node starts on, from 1."""
    return int(node.start_mark.line) + 1


def scalar(node: yaml.ScalarNode) -> Scalar:
    """The value that a scalar stands for; quoted ones are text."""
    text: str = node.value
    if node.style is not None:
        return text
    if text in _NULL and node.tag != _TEXT_TAG:
        return None
    if text in _BOOLEANS and node.tag != _TEXT_TAG:
        return _BOOLEANS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text) and node.tag != _TEXT_TAG:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan") if text[-1:].isalpha() else text)
    return text


def foreign_tag(node: yaml.Node) -> str:
    """The node's tag if it is none of YAML's own, else nothing."""
    return "" if str(node.tag).startswith(_CORE_TAG) else str(node.tag)


def describe(node: yaml.Node) -> str:
    """What was found, for a message."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    assert isinstance(node, yaml.ScalarNode), "there is no fourth kind of node"
    value = scalar(node)
    if value is None:
        return "nothing"
    return quote(value) if isinstance(value, str) else quote(node.value)[1:-1]


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: Path) -> Problem:
    # What is never closed is best sought where it was opened, not at the end of the file.
    unclosed = "end of stream" in str(error.problem) and error.context_mark
    mark = unclosed or error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    found = f"a syntax error: {error.problem}" + (f" ({error.context})" if error.context else "")
    hint = ""
    if "alias" in f"{error.context} {error.problem}":
        hint = 'text that begins with * must be quoted: "*"'
    elif "\\t" in str(error.problem):
        hint = "indent with spaces, not with tabs"
    # An error at the very end of the text is reported one line beyond it.
    return Problem("", min(line, text.count("\n") + 1), " ".join(found.split()), "valid YAML", hint, str(file))
