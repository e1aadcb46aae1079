"""Drift and data quality, told so that somebody on call knows what has moved, since when, and whether it does harm."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.page.drift_scenes import MANY, drifting
from tests.page.reports import EARLIER, against, change, drift, feature, model, page_text, report, same, score, version
from tests.processes import Exporter, Metrics
from tidegauge.pipeline.findings import finding_reports
from tidegauge.pipeline.runbooks import alert
from tidegauge.publish.charts import distribution
from tidegauge.publish.drift_words import effect_words, feature_summary, quality_words, speaking
from tidegauge.publish.page_drift import DRIFT_SHAPES
from tidegauge.publish.report import DistributionReport, DriftReport, FeatureReport, ProblemReport, VersionReport
from tidegauge.publish.style import STYLE
from tidegauge.publish.summaries import model_summary

SCORE, PREDICTION = feature("@score"), feature("@prediction")
VANISHED = feature("age", state="vanished", broken=True, missing=12_345)


def watched(*found: DriftReport, **more: object) -> VersionReport:
    """A version of which nothing is to be said but this, with a quality within its objective."""
    usual = {"verdict": "met", "release": None, "changes": (), "failing_slices": (), "slopes": (), "drift": found}
    return version("v2", **(usual | more))


def found(*windows: DriftReport, vanished: tuple[str, ...] = (), new: tuple[str, ...] = (), **more: object) -> Any:
    one = model("fraud", watched(*windows, **more), vanished_features=vanished, new_features=new)
    return finding_reports([one], None)


def shown(*windows: DriftReport, **more: object) -> str:
    return page_text(report(model("fraud", watched(*windows, **more), vanished_features=(), new_features=())))


# --- sentences ------------------------------------------------------------------------------------------


def test_what_has_moved_is_said_with_its_share_since_when_and_against_what() -> None:
    moved = feature("amount", against(), against("trailing", start_at=None))
    other = feature("country", against("previous_version", contribution=0.004))
    told = drift(SCORE, PREDICTION, moved, other, feature("age"), baseline="v1").summary
    assert told == (
        "over the last 24 h, 2 of 3 inputs have moved since 2026-03-03 10:06 UTC compared with the reference file, "
        "compared with its own past weeks at the same hours and since 2026-03-03 10:06 UTC compared with v1 at the "
        "same time: amount (72 % of the shift) and country (under 1 % of the shift). "
        "The score and the prediction have not moved"
    )


def test_answers_are_told_before_inputs() -> None:
    told = drift(feature("@score", against(contribution=None)), PREDICTION, feature("amount", against())).summary
    assert re.match(r"over the last 24 h, the score has moved since .* the reference file\. the only input has", told)
    assert "have not moved" not in told and "has not moved" not in told


def test_inputs_that_moved_only_together_are_said_so() -> None:
    joint = feature("@inputs", against(contribution=None))
    told = drift(SCORE, feature("amount"), feature("age"), joint).summary
    assert re.match(
        r"over the last 24 h, inputs have moved together, and none alone, since .*: all numbers together\. The score",
        told,
    )
    both = drift(SCORE, feature("amount", against()), feature("age"), joint).summary
    assert "1 of 2 inputs has moved since" in both and "(72 % of the shift) and all numbers together." in both


CHIP = '<span class="c broken"><span aria-hidden="true">▲</span> Data is broken</span>'


def test_no_model_is_only_green_while_its_data_is_broken() -> None:
    fine = model("a", watched(drift(SCORE, feature("age"))), verdict="met")
    sick = model("b", watched(drift(SCORE, VANISHED)), verdict="met")
    quiet = model("c", watched(drift(SCORE)), verdict="silent")
    page = page_text(report(fine, quiet, sick))
    assert page.count(CHIP) == 3  # at a glance, at the model, at the version
    glance = re.findall(r'<li class="(\w+)"><div class="a"><a href="#m\d">(?:<bdi>)?(\w)', page)
    assert glance == [("broken", "b"), ("silent", "c"), ("met", "a")]
    missed = page_text(report(replace(sick, verdict="missed")))
    assert missed.count(CHIP) == 3 and '<li class="missed"><div class="a">' in missed
    assert CHIP not in page_text(report(fine))


def test_the_summary_of_a_model_begins_with_broken_data() -> None:
    versions = [replace(watched(drift(SCORE, VANISHED)), name=name, broken_features=("age",)) for name in ("v1", "v2")]
    one = replace(model("fraud", *versions), broken_features=("age",))
    assert model_summary(one) == "v1, v2 with broken data: age; v1, v2 as good as promised"
    assert "broken" not in model_summary(model("fraud", watched()))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (VANISHED, "has vanished: none of 12,345 predictions has it"),
        (feature("a", state="constant"), "is constant: one and the same value in 12,345 predictions"),
        (feature("a", state="stuck"), "is stuck: it used to change all the time, and has stopped"),
        (
            feature("a", state="invalid", invalid=1235),
            "has values of the wrong type, in 10 % of 12,345 predictions",
        ),
        (
            feature("a", state="invalid", non_finite=1235),
            "has values that are not finite, in 10 % of 12,345 predictions",
        ),
        (
            feature("a", state="missing", missing=100, non_finite=270),
            "has values that are not finite in 2.2 % of 12,345 predictions",
        ),
        (
            feature("a", state="vanished", missing=370, broken_since=EARLIER),
            "has vanished since 2026-03-04 05:06 UTC: it is missing in 3.0 % of 12,345 predictions",
        ),
        (
            feature("a", state="stuck", broken_since=EARLIER),
            "is stuck since 2026-03-04 05:06 UTC: it used to change all the time, and has stopped",
        ),
        (feature("a", state="missing", missing=370), "is missing in 3.0 % of 12,345 predictions"),
        (feature("a", state="unseen", unseen=370), "has values never seen before in 3.0 % of 12,345 predictions"),
        (
            feature("a", state="out_of_range", out_of_range=370),
            "is out of the range that is known in 3.0 % of 12,345 predictions",
        ),
        (feature("a"), ""),
    ],
)
def test_each_state_of_a_feature_says_what_was_found(one: FeatureReport, words: str) -> None:
    assert feature_summary(one) == words


def test_nothing_moved_takes_one_short_line() -> None:
    pending = same("trailing", records=0.0)
    still = drift(feature("@score", same(), pending), feature("amount"), feature("age"), state="steady")
    assert still.summary == (
        "Neither answers nor any of 2 inputs have moved over the last 24 h, compared with the reference file. "
        "No reference yet: its own past weeks at the same hours"
    )
    page = shown(still)
    assert page.count("Neither answers nor any") == 1, "it is no news at first glance"
    assert "Drift, by feature" not in page


def test_learning_and_a_missing_reference_are_said_plainly() -> None:
    young = feature("amount", state="learning", records=0, comparisons=())
    assert drift(young, state="learning", learned=1200, learning_needed=2000).summary == (
        "Learning how answers and inputs are distributed: 1,200 of the first 2,000 predictions so far"
    )
    first = feature("amount", same("first", records=0.0, effect=None))
    assert drift(first, state="no_reference", learned=2300, learning_needed=10_000).summary == (
        "Nothing to compare answers and inputs with yet: 2,300 of the first 10,000 predictions so far, "
        "and they must span 24 h"
    )
    few = drift(feature("amount"), state="insufficient_samples", records=12)
    assert few.summary.endswith("whether answers or inputs have moved: 12 over the last 24 h")


def test_effects_have_two_or_three_digits_and_noise_is_none() -> None:
    told = [effect_words(one) for one in (None, -0.2, 0.0004, 0.0213, 0.3127, 14.68)]
    assert told == ["–", "0", "0", "0.021", "0.31", "14.7"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"verdict": "met"}, "Quality is within its objective"),
        ({"verdict": "met", "changes": (change(),)}, "Quality is within its objective, but gets worse"),
        ({"verdict": "missed"}, "Quality misses its objective"),
        ({"verdict": "no_objective", "changes": (change(),)}, "Quality gets worse"),
        ({"verdict": "no_objective"}, "Quality is measured, and has no objective"),
        ({"verdict": "uncertain"}, "Quality may or may not be within its objective"),
        ({"verdict": "silent"}, "Labels have stopped coming, so its quality is not known"),
        (
            {"verdict": "silent", "headline": score(state="no_feedback", score=None)},
            "No labels yet, so its quality is not known",
        ),
        (
            {"verdict": "unknown", "headline": score(state="immature", score=None)},
            "No labels yet, so its quality is not known",
        ),
        (
            {"verdict": "unknown", "headline": score(state="insufficient_samples")},
            "Too few labels yet, so its quality is not known",
        ),
        ({"verdict": "idle", "headline": None}, "Quality is not known"),
    ],
)
def test_drift_is_told_beside_what_is_known_of_the_quality(more: dict[str, Any], words: str) -> None:
    assert quality_words(watched(**more)) == words


# --- what is to be done --------------------------------------------------------------------------------


def codes(problems: list[ProblemReport]) -> list[tuple[str, str]]:
    return [(one.code, one.severity) for one in problems]


def test_each_finding_is_a_problem_with_the_alert_that_pages_about_it() -> None:
    moved = feature("@score", against())
    problems = found(drift(moved, VANISHED, feature("amount", against())), vanished=("city",), new=("years",))
    assert [(*one, alert(one[0])) for one in codes(problems)] == [
        ("feature_broken", "error", "ModelFeatureBroken"),
        ("score_drift", "warning", "ModelScoreDrift"),
        ("input_drift", "warning", "ModelInputDrift"),
        ("schema_changed", "warning", "ModelSchemaChanged"),
    ]
    assert all((one.about, one.subject) == ("model", "fraud") for one in problems)
    assert all(one.message.endswith(".") and one.advice.endswith(".") for one in problems)
    assert problems[0].message == (
        "Version v2: age has vanished: none of 12,345 predictions has it, over the last 24 h. "
        "New in the records is years."
    )
    assert problems[3].message == "No record has city any more. New in the records is years."


def test_harmless_drift_reads_as_harmless_and_harm_as_harm() -> None:
    moved = drift(SCORE, feature("amount", against()))
    (fine,) = found(moved)
    assert fine.message.endswith("Quality is within its objective.") and fine.advice.startswith(
        "Nothing has to be done:"
    )
    (bad,) = found(moved, verdict="missed")
    assert bad.message.endswith("Quality misses its objective.") and "retrain" in bad.advice
    (unknown,) = found(moved, verdict="unknown", headline=score(state="no_feedback", score=None))
    assert "No labels yet" in unknown.message and "drift alone is no harm" in unknown.advice
    gaps = drift(SCORE, feature("amount", against(), state="missing", missing=1000))
    (mend,) = found(gaps)
    assert "amount is missing in 8.1 % of" in mend.message and mend.advice.startswith("Mend upstream")


def test_what_a_broken_feature_explains_is_no_second_problem() -> None:
    broken = feature("age", against(), state="vanished", broken=True, missing=12_345)
    assert codes(found(drift(SCORE, broken), vanished=("age",), new=("years",))) == [("feature_broken", "error")]


def test_a_new_version_that_answers_otherwise_than_the_one_before_is_no_problem() -> None:
    only = drift(feature("@score", against("previous_version"), same()), state="moved", baseline="v1")
    assert found(only) == []
    page = shown(only)
    assert page.count("the score has moved since") == 1, "in its card, not at first glance"


def test_new_features_alone_do_no_harm() -> None:
    (one,) = found(drift(SCORE, state="steady"), new=("years",))
    assert one.code == "schema_changed" and one.advice.startswith("That does no harm.")
    assert found(drift(SCORE, state="steady")) == []


def test_a_feature_that_only_a_short_window_knows_to_be_broken_is_told_too() -> None:
    long = drift(SCORE, feature("age", against()), state="moved")
    short = drift(SCORE, VANISHED, window="1h", state="broken")
    assert [one.code for one in found(long, short)] == ["feature_broken", "input_drift"]
    assert speaking((long, short)) is short
    assert speaking((long, replace(long, window="1h"))) is long
    page = shown(long, short)
    assert "Over the last 1 h, age has vanished" in page and "Over the last 24 h, the only input has moved" in page


# --- the page --------------------------------------------------------------------------------


def table(page: str) -> str:
    part = page[page.index("<table><caption>What has moved in") :].partition("</table>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))


def test_the_table_has_answers_first_then_inputs_with_every_reference_that_is_known() -> None:
    moved = feature("amount", against(), same("trailing", effect=0.004), same("first", records=0.0))
    told = table(shown(drift(SCORE, moved, feature("age"))))
    assert re.search(r"Feature Found reference file past weeks Of the shift score as before 0 0 % ◆ amount", told)
    assert "amount moved moved: 0.31 since 2026-03-03 10:06 UTC 0.004 72 %" in told
    assert " age " not in told


def test_every_state_has_a_colour_and_a_shape() -> None:
    assert all(f".{state}" in STYLE for state in DRIFT_SHAPES)


def test_a_drawing_says_what_it_shows_and_leaves_out_bins_that_are_empty() -> None:
    bins = ("01 (-inf, 1)", "02 [1, 2)", "03 [2, +inf)", "none")
    drawn = distribution(DistributionReport("training", bins, (0.5, 0.5, 0.0, 0.0), (0.25, 0.5, 0.25, 0.0)), "<title>")
    assert "<title>&lt;title&gt;</title>" in drawn
    bars, line = re.findall(r' d="([^"]+)"', drawn)
    assert bars.count("M") == 2 and bars.count("V2H") == 2, "two bars that are as high as the drawing"
    assert line.count("H") == 3, "the reference has three bins, and nothing has the fourth"
    assert line.startswith("M0 21H80V2H160V21H240")
    assert distribution(DistributionReport("training", ("none",), (0.0,), (0.0,)), "") == ""


def test_the_page_says_below_a_drawing_which_bins_changed_most() -> None:
    page = shown(drift())
    assert "[10, +inf) 80 %, was 50 %" in page and "02 [10" not in page


# --- a real exporter ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, DriftReport], Metrics, dict[str, Any]]:
    """(JSON of each model's only version, metrics, whole JSON)"""
    with Exporter(drifting(Path(tmp_path_factory.mktemp("drifting")))) as exporter:
        exporter.wait_ready().settle()
        status = json.loads(exporter.get("/api/v1/status").content)
        return {one["name"]: one["versions"][0]["drift"] for one in status["models"]}, exporter.metrics(), status


Answered = tuple[dict[str, Any], Metrics, dict[str, Any]]


def test_the_json_says_what_the_metrics_say(answered: Answered) -> None:
    drifts, metrics, _ = answered
    compared = 0
    for name, (window,) in drifts.items():
        for one in window["features"]:
            place = {"model": name, "version": "v1", "feature": one["feature"], "window": window["window"]}
            assert metrics.value("model_feature_state", **place, state=one["state"]) == 1
            for held in one["comparisons"]:
                if not held["records"]:
                    continue
                there = place | {"reference": held["reference"]}
                assert metrics.value("model_drift_detected", **there) == held["detected"]
                excess = metrics.value("model_drift_excess", **there, statistic="psi")
                if excess is None:  # vectors have another statistic
                    assert one["feature"] == "@inputs"
                    continue
                assert excess == pytest.approx(held["effect"], rel=0.05, abs=1e-3)
                compared += 1
    assert compared > MANY


def test_each_model_is_in_the_state_that_its_data_is_in(answered: Answered) -> None:
    drifts, _, status = answered
    assert {name: window["state"] for name, (window,) in drifts.items()} == {
        "still": "steady",
        "one-input": "moved",
        "score": "moved",
        "dead": "broken",
        "gaps": "moved",
        "crowd": "moved",
        "young": "learning",
    }
    (still,) = drifts["still"]
    assert {"@inputs", "@reconstruction"} < {one["feature"] for one in still["features"]}
    assert all(one["comparisons"][0]["records"] for one in still["features"] if one["feature"] != "@label")
    for one in status["models"]:
        assert ("amount" in one["broken_features"]) == (one["name"] == "dead")
        versions = [each["broken_features"] for each in one["versions"]]
        assert {name for each in versions for name in each} == set(one["broken_features"])
    vanished = {one["name"]: one["vanished_features"] for one in status["models"]}
    assert vanished["dead"] == ["amount"] and vanished["still"] == []
    (crowd,) = drifts["crowd"]
    assert len(crowd["features"]) == MANY + 3
    inputs = [one for one in crowd["features"] if not one["feature"].startswith("@") and one["detected"]]
    parts = [one["comparisons"][0]["contribution"] for one in inputs]
    assert len(parts) >= 20 and parts == sorted(parts, reverse=True)
    assert sum(one["distribution"] is not None for one in crowd["features"]) == 3
    (drawn,) = (one["distribution"] for one in crowd["features"] if one["feature"] == "f00")
    assert sum(drawn["shares"]) == pytest.approx(1) == pytest.approx(sum(drawn["reference_shares"]))
