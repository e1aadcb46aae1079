"""Numbers, times and verdicts as people read them; every expectation is written out by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.page.reports import NOW, model, page_text, report, score, version
from tidegauge.assess.counts import STATES as STATE_NAMES
from tidegauge.assess.verdicts import VERDICTS as VERDICT_NAMES
from tidegauge.assess.verdicts import is_silent, judge, together
from tidegauge.publish import words
from tidegauge.publish.page_model import SHAPES
from tidegauge.publish.report import ChannelReport, CoverageReport, DelayReport, ExporterReport, Report
from tidegauge.publish.summaries import LABELS, STATES, VERDICTS, version_summary

OUTCOME = (ChannelReport("outcome", "complete", 3600.0, None),)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (4, "4 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (12_029, "3 h 20 min"),
        (86_400, "24 h"),
        (172_800, "48 h"),
        (172_801, "2 d"),
        (259_200, "3 d"),
        (300_000, "3 d 11 h"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0"), (999, "999"), (12_345, "12,345"), (1_234_567, "1.23 M"), (2.5e9, "2.5 G"), (float("nan"), "–")],
)
def test_counts(number: float, told: str) -> None:
    assert words.count(number) == told


@pytest.mark.parametrize(
    ("ratio", "told"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.917, "91.7 %"), (0.9997, "99.97 %"), (0.99999999, "over 99.99 %"),
     (1e-9, "under 0.01 %"), (0.004, "0.40 %")],
)  # fmt: skip
def test_shares_never_round_to_all_or_nothing(ratio: float, told: str) -> None:
    assert words.percent(ratio) == told


@pytest.mark.parametrize(
    ("value", "lower", "upper", "told"),
    [
        (0.948, 0.9412, 0.9539, "0.948 (0.941 to 0.954)"),
        (0.5, 0.1, 0.9, "0.5 (0.1 to 0.9)"),
        (1234.56, 1200.0, 1270.0, "1,235 (1,200 to 1,270)"),
        (0.95, 0.94991, 0.95009, "0.95000 (0.94991 to 0.95009)"),
        (3.0, 3.0, 3.0, "3.000 (3.000 to 3.000)"),
    ],
)
def test_scores_have_as_many_digits_as_their_interval_supports(
    value: float, lower: float, upper: float, told: str
) -> None:
    decimals = words.decimals_for(lower, upper, value)
    assert f"{words.number(value, decimals)} ({words.span(lower, upper, decimals)})" == told


@pytest.mark.parametrize(
    ("state", "lower", "upper", "direction", "verdict"),
    [
        ("ok", 0.90, 0.94, "at_least", "missed"),
        ("ok", 0.90, 0.95, "at_least", "uncertain"),
        ("ok", 0.95, 0.99, "at_least", "met"),
        ("ok", 0.94, 0.99, "at_least", "uncertain"),
        ("ok", 0.96, 0.99, "at_most", "missed"),
        ("ok", 0.90, 0.95, "at_most", "met"),
        ("ok", 0.94, 0.96, "at_most", "uncertain"),
        ("insufficient_samples", 0.1, 0.2, "at_least", "unknown"),
        ("immature", None, None, "at_least", "unknown"),
    ],
)
def test_verdicts_go_by_the_interval(
    state: str, lower: float | None, upper: float | None, direction: str, verdict: str
) -> None:
    assert judge(state, lower, upper, 0.95, direction) == verdict
    assert judge(state, lower, upper, None, None) == "no_objective"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_at_most_is_the_mirror_of_at_least(one: float, other: float, target: float) -> None:
    lower, upper = sorted((one, other))
    assert judge("ok", lower, upper, target, "at_most") == judge("ok", -upper, -lower, -target, "at_least")


def test_a_part_that_is_unknown_does_not_hide_one_that_is_known() -> None:
    assert together(["met", "unknown", "idle"]) == "met"
    assert together(["met", "uncertain", "missed"]) == "missed"
    assert together(["idle", "unknown"]) == "unknown"
    assert together([]) == "idle"


def test_silence_needs_ten_missing_labels_by_the_usual_coverage() -> None:
    assert not is_silent(10, 0.9, 30)
    assert is_silent(12, 0.9, 30)
    assert not is_silent(150, 0.05, 30)
    assert is_silent(200, 0.05, 30)
    assert [is_silent(count, None, 30) for count in (29, 30)] == [False, True]


def told(**more: Any) -> str:
    return version_summary(version(**more), OUTCOME, 30)


def test_every_verdict_has_its_sentence() -> None:
    assert told() == "accuracy 0.931 (0.924 to 0.938) over the last 24 h, below its objective 0.95 for sure"
    met = score(lower=0.951, upper=0.96, score=0.955, verdict="met")
    assert told(verdict="met", headline=met).endswith("at or above its objective 0.95 for sure")
    maybe = score(lower=0.94, upper=0.96, score=0.95, verdict="uncertain")
    assert told(verdict="uncertain", headline=maybe).endswith("maybe below its objective 0.95: the interval holds it")
    loss = score(metric="log_loss", score=0.4, lower=0.3, upper=0.5, target=0.2, direction="at_most")
    assert told(headline=loss) == "log loss 0.40 (0.30 to 0.50) over the last 24 h, above its objective 0.2 for sure"
    none = score(target=None, direction=None, verdict="no_objective")
    assert told(verdict="no_objective", headline=none).endswith("; no objective is set")
    assert told(verdict="idle", headline=None) == "no predictions in the last 24 h"
    quiet = (DelayReport("outcome", 10, 1.0, 2.0, 10_800.0, 3600),)
    assert told(verdict="silent", delays=quiet) == (
        "no feedback for 3 h: none of 3,600 predictions since then has a label, though all are old enough; "
        "accuracy 0.931 (0.924 to 0.938) over the last 24 h is from before"
    )


def test_every_state_without_a_judgement_has_its_sentence() -> None:
    nothing = {"score": None, "lower": None, "upper": None, "verdict": "unknown"}
    young = told(verdict="unknown", headline=score(state="immature", **nothing))
    assert young == (
        "accuracy over the last 24 h is not known yet: all of 5,100 predictions are younger than 1 h, the time that "
        "labels need"
    )
    blank = told(verdict="unknown", headline=score(state="no_feedback", **nothing))
    assert blank.endswith("is not known: none of 5,000 predictions that are old enough has a label")
    few = told(verdict="unknown", headline=score(state="insufficient_samples", samples=12.0, verdict="unknown"))
    assert few.endswith("over the last 24 h from 12 labelled predictions only; it is judged from 30 on")
    cannot = told(verdict="unknown", headline=score(state="unsupported", **nothing))
    assert cannot.endswith("cannot be computed from what the logs hold")
    empty = (CoverageReport("outcome", "24h", 86400.0, 0, 0, 0.0, None),)
    assert "its predictions are younger" in told(
        verdict="unknown", headline=score(state="immature", **nothing), coverage=empty
    )


def test_every_verdict_and_state_is_explained() -> None:
    assert tuple(LABELS) == VERDICT_NAMES
    assert set(VERDICTS) == set(SHAPES) == set(VERDICT_NAMES)
    assert tuple(STATES) == STATE_NAMES
    assert len(set(SHAPES.values())) == len(SHAPES), "shapes tell verdicts apart where colours cannot"


def first_sentence(*verdicts: str, **more: object) -> str:
    quiet = version(release=None, changes=(), failing_slices=(), drift=())
    models = tuple(model(f"m{number}", quiet, verdict=verdict) for number, verdict in enumerate(verdicts))
    page = page_text(report(*models, problems=(), **more))
    return page.split('<p class="say">')[1].split("</p>")[0]


def test_the_first_sentence_says_whether_anything_is_wrong() -> None:
    assert first_sentence("met") == "The model meets its objective."
    assert first_sentence("met", "met") == "All 2 models meet their objectives."
    assert first_sentence("uncertain", "uncertain") == "All 2 models are uncertain."
    assert first_sentence("met", "missed", "silent", "met") == (
        "Of 4 models, 1 misses its objective, 1 gets no feedback and 2 are fine."
    )


def test_an_old_page_says_that_refreshes_have_stopped() -> None:
    later = NOW + timedelta(minutes=5)
    assert "refreshes have stopped" not in page_text(report())
    page = page_text(report(), later)
    assert "Everything below is 5 min 4 s old: refreshes have stopped." in page


def test_before_everything_is_read_no_score_is_shown() -> None:
    starting = ExporterReport("0.2.0", "/etc/t.yml", False, True, "wall", None, None, 0.0, 10.0, None, 0)
    page = page_text(Report(starting))
    assert "Starting: the logs are being read." in page
    assert "Not refreshed yet." in page
    assert "State not saved yet." in page
    assert "At a glance" not in page
