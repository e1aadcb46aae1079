"""Links lead where the operator says and nowhere else, whatever models and versions are called."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.config.links import fill
from tidegauge.config.load import ConfigurationError, load
from tidegauge.config.settings import Links

REST = """\
sources: [{predictions: a.jsonl}]
models: [{name: m, task: binary, feedback: {o: {maturity: 1h}}}]
"""
BOARD = "https://grafana.example:3000/d/abc?var-model={model}&var-version={version}#top"


def loaded(directory: Path, links: str) -> Links:
    (directory / "tidegauge.yml").write_text(f"{REST}links:\n{links}\n")
    return load(directory / "tidegauge.yml").links


def test_links_are_optional_and_kept_as_written(tmp_path: Path) -> None:
    assert loaded(tmp_path, "  {}") == Links()
    both = loaded(tmp_path, f'  dashboard: "{BOARD}"\n  runbook: http://wiki.example/{{alert}}.md')
    assert both == Links(BOARD, "http://wiki.example/{alert}.md")


@pytest.mark.parametrize(
    ("link", "hint"),
    [
        ("javascript:alert(1)", "neither https:// nor http://"),
        ("//evil.example/x", "neither https:// nor http://"),
        ("/relative", "neither https:// nor http://"),
        ("data:text/html,x", "neither https:// nor http://"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://{model}.example/", "must not depend"),
        ("https://{model}/", "must not depend"),
        ("https://u:secret@host/", "password"),
        ("https://host/{alert}", "nothing is called {alert}"),
        ("https://host/{}", "nothing is called {}"),
        ("https://host/{model", "other half"),
        ("https://host/}{", "other half"),
        ("https://host/a b", "percent-encoded"),
        ("https://host/\\x22onmouseover=x", "percent-encoded"),
        ("https://host:port/", "Port"),
        ("https://[::1/", "Invalid IPv6"),
    ],
)
def test_what_is_no_link_is_refused_with_its_place(tmp_path: Path, link: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, f'  dashboard: "{link}"')
    (problem,) = refused.value.problems
    assert (problem.path, problem.line) == ("links.dashboard", 4)
    assert problem.allowed == "an http or https URL, with {model} or {version} where their names belong"
    assert hint in problem.hint


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"links\.dashbord: found an unknown key; allowed: dashboard, runbook"):
        loaded(tmp_path, "  dashbord: https://x/")


@given(st.text(), st.text())
def test_names_come_back_from_the_url_as_they_were(model: str, version: str) -> None:
    url = fill(BOARD, model=model, version=version)
    assert url is not None and url.isascii() and not set(url) & set(" \"'<>\\")
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == (
        "https",
        "grafana.example:3000",
        "/d/abc",
        "top",
    )
    found = parse_qs(parts.query, keep_blank_values=True)
    readable = {"var-model": [model], "var-version": [version]}
    assert found.keys() == readable.keys()
    if not any("\ud800" <= letter <= "\udfff" for letter in model + version):
        assert found == readable


def test_a_link_without_all_of_its_values_is_none() -> None:
    assert fill(None, model="m") is None
    assert fill(BOARD, model="m") is None
    assert fill("https://h/{model}", model="a/b?c") == "https://h/a%2Fb%3Fc"
