"""Releases, changes and forecasts, told so that somebody on call knows at once what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.page.reports import (
    EARLIER,
    change,
    comparison,
    early,
    model,
    page_text,
    release,
    report,
    slope,
    version,
)
from tidegauge.pipeline.findings import finding_reports
from tidegauge.pipeline.runbooks import alert
from tidegauge.publish.outlook_words import RELEASE_LABELS, difference_words, margin_words, release_summary
from tidegauge.publish.report import ComparisonReport, ModelReport, ProblemReport, ReleaseReport, VersionReport

WATCHED = comparison(
    verdict="keep_watching", difference=-0.004, lower=-0.021, upper=0.013, harm_evidence=1.4, samples_needed=1734.2
)
PROMOTED = comparison(verdict="promote", difference=0.001, lower=-0.008, upper=0.01, samples=31_000.0)


def quiet(**more: object) -> VersionReport:
    """A version of which nothing is to be said but what is given."""
    return replace(version(release=None, changes=(), failing_slices=(), slopes=(), drift=()), **more)  # type: ignore[arg-type]


# --- the sentence about a release --------------------------------------------------------------------------------


def test_a_release_to_roll_back_is_said_with_its_size_its_certainty_and_what_was_acceptable() -> None:
    assert release().summary == (
        "v2 against v1: roll back. accuracy 2.8 points lower, surely at least 1.2; 2,395 outcomes; margin 1.0"
    )


def test_a_release_that_is_watched_says_how_many_outcomes_are_missing_and_pretends_no_precision() -> None:
    told = release(WATCHED, early(), verdict="keep_watching").summary
    assert told == "v2 against v1: keep watching: about 1,800 more outcomes needed"
    unknown = comparison(verdict="keep_watching", design=None, difference=None, lower=None, upper=None)
    assert release(unknown, verdict="keep_watching").summary.endswith("keep watching: nothing could be compared yet")
    over = release(WATCHED, verdict="keep_watching", ended=True).summary
    assert over.endswith("keep watching. The comparison has ended without a verdict: people must decide")


def test_a_promoted_release_says_how_much_worse_it_may_be_at_most() -> None:
    assert release(PROMOTED, verdict="promote").summary == (
        "v2 against v1: promote. accuracy 0.1 points higher, surely at most 0.8 lower; 31,000 outcomes; margin 1.0"
    )


def test_versions_that_never_answered_at_the_same_time_are_said_to_be_compared_before_and_after() -> None:
    after = comparison(design="before_after")
    never = release(after).summary
    assert never.endswith(". Compared before and after, since they never answered at the same time")
    seldom = release(after, comparison(samples=17.0, verdict="keep_watching")).summary
    assert seldom.endswith("since they hardly ever answered at the same time")
    since = release(after, comparison(samples=90_000.0, verdict="keep_watching")).summary
    assert since.endswith(". Compared before and after, when they did not answer at the same time yet")
    assert "before and after" not in release().summary


def test_what_comes_early_is_told_beside_the_verdict_that_it_does_not_decide() -> None:
    slow = early(verdict="roll_back", difference=0.31, lower=0.2, upper=0.42)
    told = release(WATCHED, slow, verdict="keep_watching").summary
    assert told.endswith(". Early signs, which do not decide: latency 0.31 s higher, surely at least 0.20")


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (comparison(), "accuracy 2.8 points lower, surely at least 1.2"),
        (WATCHED, "accuracy 0.4 points lower, somewhere from 2.1 lower to 1.3 higher"),
        (comparison(lower=None, upper=None), "accuracy 2.80 points lower"),
        (comparison(difference=None), "accuracy not known yet"),
        (comparison(difference=0.00001, verdict="promote", lower=-0.008, upper=0.008), "accuracy about the same"),
        (early(metric="signal:click", proportion=True, difference=0.02), "signal click 2.0 points higher"),
    ],
)
def test_differences_are_told_in_points_of_what_is_a_share(one: ComparisonReport, words: str) -> None:
    assert difference_words(one, several=False).startswith(words)


def test_margins_are_said_as_they_were_configured_however_wide_the_interval_is() -> None:
    wide = comparison(difference=-0.22, lower=-0.4, upper=-0.1, margin=0.0025)
    assert release(wide).summary.endswith("accuracy 22 points lower, surely at least 10; 2,395 outcomes; margin 0.25")
    assert margin_words(comparison(margin=0.01)) == "1.0 points"
    assert margin_words(early(margin=0.0213)) == "0.0213 s"
    assert margin_words(comparison(margin=None)) == ""


def test_channels_are_named_where_there_are_several() -> None:
    shown = replace(release(), comparisons=(comparison(),))
    assert "accuracy by outcome 2.8 points" in release_summary(shown, several=True)


# --- what is to be done --------------------------------------------------------------------------------


def known(one: VersionReport) -> ModelReport:
    """Its model, of whose data nothing is to be said."""
    return model("fraud", one, vanished_features=(), new_features=())


def found(one: VersionReport, now_in_days: float = 0.0) -> list[ProblemReport]:
    return finding_reports([known(one)], EARLIER + timedelta(days=now_in_days))


def undecided(**more: object) -> ReleaseReport:
    return release(WATCHED, verdict="keep_watching", **more)


def test_each_finding_is_a_problem_of_its_model_with_the_alert_that_pages_about_it() -> None:
    worst = quiet(
        scores=(),
        release=release(),
        changes=(change(),),
        failing_slices=(change(metric="log_loss", key="country", value="NZ"),),
        slopes=(slope(),),
    )
    problems = found(worst)
    assert [(one.code, one.severity, alert(one.code)) for one in problems] == [
        ("release_regressed", "error", "ModelReleaseRegressed"),
        ("degrading", "warning", "ModelDegrading"),
        ("slice_degrading", "warning", "ModelSliceDegrading"),
        ("breach_forecast", "warning", "ModelObjectiveBreachForecast"),
    ]
    assert all((one.about, one.subject) == ("model", "fraud") for one in problems)
    assert all(one.message.endswith(".") and one.advice.endswith(".") for one in problems)
    assert problems[0].message == "Version v2 is worse than v1: accuracy 2.8 points lower, surely at least 1.2."
    assert "log loss of country NZ is getting worse since 2026-03-02 05:06 UTC" in problems[2].message
    assert "misses its objective 0.9 about 2026-03-09 (at the earliest 2026-03-07" in problems[3].message


def test_an_undecided_release_is_a_problem_only_around_the_end_of_its_comparison() -> None:
    one = quiet(release=undecided())  # ends in 13 days
    assert [problem.code for problem in found(one, 11.9)] == []
    assert [problem.code for problem in found(one, 12.1)] == ["release_undecided"]
    assert alert("release_undecided") == "ModelReleaseUndecided"
    assert [problem.code for problem in found(one, 14.9)] == ["release_undecided"]
    assert [problem.code for problem in found(one, 15.1)] == []
    short = quiet(release=undecided(start_at=EARLIER, end_at=EARLIER + timedelta(days=1)))
    assert [problem.code for problem in found(short, 0.5)] == []
    assert [problem.code for problem in found(short, 0.95)] == ["release_undecided"]
    assert found(quiet(release=release(PROMOTED, verdict="promote")), 13) == []


def test_slices_of_a_version_that_gets_worse_as_a_whole_are_no_second_problem() -> None:
    failing = change(key="country", value="NZ")
    assert [one.code for one in found(quiet(changes=(change(),), failing_slices=(failing,)))] == ["degrading"]
    alone = change(state="watching", start_at=None)
    assert [one.code for one in found(quiet(changes=(alone,), failing_slices=(failing,)))] == ["slice_degrading"]


def test_a_forecast_far_ahead_or_of_what_is_missed_already_is_no_problem() -> None:
    assert [one.code for one in found(quiet(scores=(), slopes=(slope(),)))] == ["breach_forecast"]
    assert found(quiet(scores=(), slopes=(slope(breach_at=EARLIER + timedelta(days=8)),))) == []
    assert found(quiet(slopes=(slope(),))) == [], "its accuracy is missed"
    assert found(quiet(scores=(), slopes=(slope(breach_at=None),))) == []


# --- the page --------------------------------------------------------------------------------


def shown(one: VersionReport) -> str:
    models = (known(one),)
    return page_text(report(*models, problems=tuple(finding_reports(models, EARLIER))))


def test_a_release_to_roll_back_is_the_first_thing_said() -> None:
    page = shown(quiet(release=release()))
    assert '<p class="say">A release is to be rolled back. ' in page
    assert "<title>Roll back – Tidegauge</title>" in page
    assert page.index('id="glance"') < page.index('id="findings"') < page.index('id="problems"')
    assert "The exporter has" not in page, "it is no fault of the exporter"
    assert "Act now" in page and "Send its traffic back to v1." in page


def test_every_measure_of_a_release_is_in_its_table_with_the_design_and_what_does_not_decide() -> None:
    page = shown(quiet(release=release(comparison(), early(), early(metric="signal:click", verdict=None, margin=None))))
    table = page[page.index("<table><caption>fraud v2 minus v1") :].partition("</table>")[0]
    told = re.sub(r"<[^>]+>", " ", table)
    assert re.search(
        r"roll back: +accuracy +−2\.8 points +−4\.4 to −1\.2 +1\.0 points +61 +of 20 +0\.0021 +of 20 +2,395 and 40,112",
        told,
    )
    assert re.search(r"latency +does not decide", told) and "900 more" in told
    assert "signal click" in told and told.count("at the same time") == 3


def test_a_version_that_gets_worse_says_since_when_and_what_was_expected() -> None:
    page = shown(quiet(changes=(change(),)))
    assert "1 version gets worse." in page
    expected = "accuracy is getting worse since 2026-03-02 05:06 UTC: expected 0.950, now 0.901 over the last 24 h"
    assert page.count(expected) == 2, "at a glance and in what to do"
    assert f'<li class="detected"><span class="i" aria-hidden="true">▲</span>v2: {expected}' in page
    assert page.count(f"A{expected[1:]}") == 1, "in its card"


def test_a_version_that_is_learned_says_what_is_missing() -> None:
    learning = change(state="learning", learned=3100.0, learned_seconds=2 * 86400.0, expected=None, start_at=None)
    assert learning.summary == "accuracy: learning what is normal, 3,100 of 5,000 outcomes and 48 h of 7 d so far"
    enough = change(state="learning", learned=9000.0, learned_seconds=3 * 86400.0, expected=None, start_at=None)
    assert enough.summary == "accuracy: learning what is normal, 3 d of 7 d so far"
    page = shown(quiet(changes=(learning,)))
    assert page.count(learning.summary) == 1, "nothing is wrong: it is said in the card only"
    assert "gets worse" not in page


def test_failing_slices_are_counted_and_listed() -> None:
    slices = tuple(change(key="country", value=f"C{place}", metric="accuracy") for place in range(15))
    page = shown(quiet(failing_slices=slices))
    assert "15 slices get worse: accuracy of country C0 is getting worse since" in page
    assert "and 3 more; see /api/v1/status." in page
    assert "; and 14 more slices</li>" in page


def test_a_trend_and_its_forecast_are_told_with_their_uncertainty() -> None:
    assert slope().summary == (
        "accuracy falls by 0.0021 a day (0.0012 to 0.0030); if that goes on, it misses its objective 0.9 about "
        "2026-03-09 (at the earliest 2026-03-07, the latest is too far off)"
    )
    assert slope(significant=False).summary == "accuracy follows no trend"
    assert "follows no trend" not in shown(quiet(slopes=(slope(significant=False, breach_at=None),)))


def test_hostile_names_in_releases_and_slices_are_escaped() -> None:
    attack = "<img src=x onerror=alert(1)>\u202e"
    worst = quiet(
        release=release(comparison(metric=f"signal:{attack}"), version=attack, baseline=attack),
        changes=(change(channel=attack),),
        failing_slices=(change(key=attack, value=attack, state="detected"),),
    )
    page = shown(worst)
    assert "<img" not in page and "\u202e" not in page
    assert page.count("&lt;img") > 8


def test_every_verdict_about_releases_has_a_colour_and_a_shape() -> None:
    from tidegauge.publish.page_outlook import OUTLOOK_SHAPES
    from tidegauge.publish.style import STYLE

    assert set(RELEASE_LABELS) < set(OUTLOOK_SHAPES)
    assert all(f".{kind}" in STYLE for kind in OUTLOOK_SHAPES)
