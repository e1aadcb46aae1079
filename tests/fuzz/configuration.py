"""Target: any bytes as a configuration file."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tidegauge.config.check import explain
from tidegauge.config.load import ConfigurationError, load
from tidegauge.config.schema import ROOT
from tidegauge.config.settings import Settings
from tidegauge.config.shapes import Either, Items, Named, Section, Shape

CORPUS = Path(__file__).parents[1] / "corpus" / "configurations"
MINIMAL = b"sources: [{predictions: p.jsonl}]\nmodels: [{name: m, task: binary, feedback: {o: {maturity: 1h}}}]\n"


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tidegauge-fuzz-")


def check(data: bytes) -> None:
    """Settings that can be explained, or problems that each say where."""
    file = Path(_directory().name) / "tidegauge.yml"
    file.write_bytes(data)
    try:
        settings = load(file)
    except ConfigurationError as error:
        _check_problems(error, file, data)
        return
    assert isinstance(settings, Settings)
    if not any("**" in source.pattern for source in settings.sources) and not _leaves(settings):
        assert explain(settings).endswith("\n")


def _leaves(settings: Settings) -> bool:
    # What a glob finds elsewhere on this machine is no matter of the configuration.
    patterns = [pattern for source in settings.sources for pattern in (source.pattern, *source.rotated)]
    return any(not pattern.startswith(_directory().name) or ".." in pattern for pattern in patterns)


def _check_problems(error: ConfigurationError, file: Path, data: bytes) -> None:
    assert error.problems
    last = data.count(b"\n") + data.count(b"\r") + data.count(b"\x85") + data.count(b"\xe2\x80") + 1
    for problem in error.problems:
        assert problem.file == os.fspath(file)
        assert 1 <= problem.line <= last, f"line {problem.line} of {last}"
        assert problem.found and problem.allowed
        text = str(problem)
        assert text.startswith(f"{file}:{problem.line}: ")
        assert len(text.splitlines()) == 1, "a problem takes several lines"
        text.encode()


def _shaped(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that mostly have the shape."""
    match shape:
        case Section():
            required = {key.name: _shaped(key.shape, depth + 1) for key in shape.keys if key.required}
            optional = {key.name: _shaped(key.shape, depth + 1) for key in shape.keys if not key.required}
            right: st.SearchStrategy[Any] = st.fixed_dictionaries(required, optional=optional)
        case Named():
            names = st.sampled_from(shape.options or ("a", "b", "amount", "*"))
            right = st.dictionaries(names, _shaped(shape.value, depth + 1), max_size=3)
        case Items():
            right = st.lists(_shaped(shape.item, depth + 1), min_size=shape.fewest, max_size=3)
        case Either():
            right = st.one_of(_SCALARS, _shaped(shape.long, depth + 1))
        case _:
            right = _SCALARS
    return st.integers(0, 15).flatmap(lambda n: _SCALARS if n == 15 else right)


_WORDS = (
    *("binary", "multiclass", "regression", "complete", "sample", "missing", "wall", "log", "at_least", "numeric"),
    *("1h", "24h", "5m", "90s", "0s", "365d", "p.jsonl", "logs/*.jsonl", "(?P<model>[a-z]+)", "(?P<channel>x)", "UTC"),
    *(
        "Europe/Berlin",
        "Europe",
        "a.b",
        "a..b",
        "a",
        "b",
        "",
        "yes",
        "0o7",
        "1_000",
        "12:30",
        "1e3",
        "~",
        "*",
        "\ud7ff",
    ),
)
_NUMBERS = (0, 1, -1, 2, 0.5, 0.95, 1000, 60, 3600, 10**30, 1e308, float("inf"), float("nan"), True, False, None)
_SCALARS: st.SearchStrategy[Any] = st.sampled_from([*_WORDS, *_NUMBERS])


def _written(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False).encode()


def _seeds() -> list[bytes]:
    known = [path.read_bytes() for path in sorted(CORPUS.glob("*.yml"))]
    examples = Path(__file__).parents[2] / "examples"
    return [MINIMAL, *known, *(path.read_bytes() for path in sorted(examples.rglob("*.yml")))]


TARGETS = (
    Target(
        "configuration",
        "a configuration gives settings, or problems that each have a path, a line and one line of text",
        check,
        _seeds(),
        [
            *(f"{key.name}: ".encode() for section in (ROOT,) for key in section.keys),
            *(word.encode() for word in _WORDS if word),
            *(b"&a *a <<: - : ? ! !!python/object:os.system !!int !!binary %YAML | > |9- >-2 @ `".split()),
            *(b", [ ] { } ' \" # --- ...".split()),
            *(b'"\\UFFFFFFFF" "\\ud800" "\\x00" "\\N" %TAG !%zz! &a[*a] {*a:*a}'.split()),
            *(b"0x1F 0o17 1_000 1e999 .inf -.nan ~ null".split()),
            *(
                b"\n",
                b"\r",
                b"\t",
                b"\0",
                b" ",
                b"  ",
                b"\n  ",
                b"\n    ",
                b"\xc2\x85",
                b"\xe2\x80\xa8",
                b"\xff",
                b"\xef\xbb\xbf",
            ),
            b"[" * 60,
            b"{a: " * 60,
            b"9" * 400,
            b"a: &a [x, x]\nb: &b [*a, *a]\n",
        ],
        _shaped(ROOT).map(_written),
        quick=250,
        bytes_of_memory=4096,  # a node of the YAML library
    ),
)
