"""/api/v1/status: documented field by field, free of NaN, in agreement with the page and with /metrics."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.page.reports import page_text, report, score, version
from tests.page.scenes import missed
from tests.processes import Exporter, Metrics
from tidegauge.pipeline.problems import EVENTS, REASONS
from tidegauge.publish import report as reports
from tidegauge.publish.drift_words import DRIFT_LABELS, DRIFT_STATES
from tidegauge.publish.outlook_words import CHANGE_LABELS, RELEASE_LABELS
from tidegauge.publish.status_json import render_status
from tidegauge.publish.summaries import LABELS, STATES

DOCS = (Path(__file__).parents[2] / "docs" / "page.md").read_text(encoding="utf-8")


def parts() -> list[type]:
    """Every dataclass of the report."""
    found = [getattr(reports, name) for name in dir(reports)]
    return [one for one in found if dataclasses.is_dataclass(one) and isinstance(one, type)]


def test_every_field_is_documented_and_no_other() -> None:
    section = DOCS.split("## JSON", 1)[1]
    told = set(re.findall(r"`(\w+)`", section))
    fields = {field.name for part in parts() for field in dataclasses.fields(part)}
    assert fields - told == set()
    words = {"model", "roll_back", "keep_watching", "promote", "concurrent", "before_after"}
    words |= {"learning", "watching", "detected", "links"}
    words |= {"training", "previous_version", "trailing", "first"}
    words |= {"null", "NaN", "lifetime", "wall", "log", "error", "warning", "at_least", "at_most", "missed", "silent"}
    families = {"model_feedback_delay_seconds", "model_feature_state", "model_feature_bin_records"}
    assert told - fields - words == families


def test_every_verdict_state_and_problem_is_documented() -> None:
    for verdict, label in LABELS.items():
        assert re.search(rf"^\| `{verdict}` \| . {label} \|", DOCS, re.MULTILINE), verdict
    assert all(f"| `{state}` |" in DOCS for state in STATES)
    pipeline = Path(reports.__file__).parents[1] / "pipeline"
    source = "".join((pipeline / name).read_text() for name in ("problems.py", "findings.py"))
    codes = set(re.findall(r'_problem\(\s*"(\w+)"', source)) | set(EVENTS)
    assert len(codes) > 15
    assert all(f"`{code}`" in DOCS for code in codes)
    for verdict, label in [*RELEASE_LABELS.items(), *CHANGE_LABELS.items(), *DRIFT_LABELS.items()]:
        assert re.search(rf"^\| `{verdict}` \| . {label} \|", DOCS, re.MULTILINE), verdict
    assert list(DRIFT_LABELS) == list(DRIFT_STATES)


def test_every_reason_for_which_records_are_refused_has_plain_words() -> None:
    from tidegauge.decode.columns import REASONS as DECODED
    from tidegauge.sources.block import LINE_TOO_LONG, NUL_BYTES, TORN_LINE

    counted = {"duplicate", "future", "late", "too_many_models", "undecodable_block"}
    assert set(REASONS) == {*DECODED, LINE_TOO_LONG, NUL_BYTES, TORN_LINE, *counted}


def test_every_field_has_the_type_that_it_says() -> None:
    """Decoding the JSON back into the dataclasses gives the report itself."""
    import msgspec

    assert msgspec.json.decode(render_status(report()), type=reports.Report) == report()
    assert all(typing.get_type_hints(part) for part in parts())


def test_unknown_is_null_and_texts_survive_even_where_they_are_no_unicode() -> None:
    odd = report()
    blank = version(headline=score(score=None, lower=None, upper=None, state="no_feedback", verdict="unknown"))
    model = dataclasses.replace(odd.models[0], name="\udcff\u202e<b>", versions=(blank,))
    shown = json.loads(render_status(dataclasses.replace(odd, models=(model,))))
    assert shown["models"][0]["name"] == "\\udcff\u202e<b>"
    assert shown["models"][0]["versions"][0]["headline"]["score"] is None


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Metrics, str]:
    """(JSON, metrics, page) of one exporter whose logs are at rest."""
    with Exporter(missed(tmp_path_factory.mktemp("status"))) as exporter:
        exporter.wait_ready().settle()
        response = exporter.get("/api/v1/status")
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        return response.json(), exporter.metrics(), exporter.get("/").text


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [one for part in value.values() for one in numbers(part)]
    if isinstance(value, list):
        return [one for part in value for one in numbers(part)]
    return [value] if isinstance(value, float) else []


def test_times_are_rfc_3339_and_numbers_are_finite(answered: tuple[dict[str, Any], Metrics, str]) -> None:
    status = answered[0]
    assert all(map(math.isfinite, numbers(status)))
    for time in (status["exporter"]["refreshed_at"], status["models"][0]["versions"][0]["last_prediction_at"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", time)
        assert datetime.fromisoformat(time).tzinfo is not None


def test_scores_are_those_of_the_metrics(answered: tuple[dict[str, Any], Metrics, str]) -> None:
    status, metrics, _ = answered
    compared = 0
    for model in status["models"]:
        for shown in model["versions"]:
            for one in shown["scores"]:
                # The short window may move between the two requests; lifetime and 24 h do not within a test.
                if one["window"] != "24h" or one["score"] is None:
                    continue
                labels = {"model": model["name"], "version": shown["name"], "channel": one["channel"]}
                labels |= {"metric": one["metric"], "window": one["window"]}
                published = metrics.value("model_quality_score", **labels)
                assert published is not None and math.isclose(published, one["score"], rel_tol=0.01)
                assert metrics.value("model_quality_state", **labels, state=one["state"]) == 1
                compared += 1
    assert compared >= 24


def test_the_page_shows_what_the_json_says(answered: tuple[dict[str, Any], Metrics, str]) -> None:
    status, _, page = answered
    assert {model["name"]: model["verdict"] for model in status["models"]} == {
        "fraud": "missed",
        "search": "uncertain",
        "old": "idle",
    }
    for model in status["models"]:
        for one in model["versions"]:
            assert f"<bdi>{one['name']}</bdi>: " in page
            assert LABELS[one["verdict"]] in page


def test_slices_come_worst_first_by_the_end_that_speaks_for_them(answered: tuple[dict[str, Any], Metrics, str]) -> None:
    (fraud,) = (model for model in answered[0]["models"] if model["name"] == "fraud")
    (bad,) = (one for one in fraud["versions"] if one["name"] == "v2")
    uppers = [one["upper"] for one in bad["slices"] if one["state"] == "ok"]
    assert len(uppers) >= 4 and uppers == sorted(uppers)
    assert bad["slices"][0]["value"] == "NZ"


def test_the_page_of_a_report_names_every_part_of_it() -> None:
    page = page_text(report())
    for words in (
        "fraud",
        "payments",
        "v2",
        "0.931",
        "0.924 to 0.938",
        "at least 0.95",
        "98.0 %",
        "4,870 samples",
        "half within 45 s",
    ):
        assert words in page
    for words in ("95 % within 11 min 40 s", "120,345 so far", "0.01 % gave no answer", "4 s ago", "country", "NZ"):
        assert words in page
    for words in ("click", "0.310", "No file matches x.", "Check <code>path</code>.", "1.2 kB", "/var/log/*.jsonl"):
        assert words in page
