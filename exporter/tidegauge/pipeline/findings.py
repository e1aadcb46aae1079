"""What is wrong with the models beyond a missed objective: releases to roll back, and what gets worse.

Pure functions of the models' reports. What is found here is what the alerts of the same name page about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tidegauge.assess.verdicts import MISSED
from tidegauge.publish import words
from tidegauge.publish.outlook_words import difference_words, speakers
from tidegauge.publish.report import ModelReport, ProblemReport, ReleaseReport, VersionReport

LAST_DAY = timedelta(days=1)
"""Before a comparison's end somebody has to look at one that is undecided; of a short one it is the last tenth."""
AFTERWARDS = timedelta(days=2)
"""After its end, for so long."""
NEAR = timedelta(days=7)
"""An objective that is forecast to be missed later than this is no problem yet."""
MOST_SLICES = 3
"""Of one version; the page has them all."""


def finding_reports(models: Sequence[ModelReport], now: datetime | None) -> list[ProblemReport]:
    """Everything that is wrong with the models; `now` is the time that windows end by. Not linked yet."""
    return [
        found
        for model in models
        for version in model.versions
        for found in (
            *_of_release(model, version, now),
            *_of_changes(model, version),
            *_of_slices(model, version),
            *_of_forecasts(model, version, now),
        )
    ]


def _problem(code: str, severity: str, subject: str, message: str, advice: str) -> ProblemReport:
    return ProblemReport(code, severity, subject, message, advice, None, None, about="model")


def _of_release(model: ModelReport, version: VersionReport, now: datetime | None) -> Iterator[ProblemReport]:
    release = version.release
    if release is None:
        return
    if release.verdict == "roll_back":
        worse = [one for one in speakers(release) if one.decides and one.verdict == "roll_back"]
        told = "; ".join(difference_words(one, several=len(model.channels) > 1) for one in worse)
        yield _problem(
            "release_regressed",
            "error",
            model.name,
            f"Version {version.name} is worse than {release.baseline}: {told}.",
            f"Send its traffic back to {release.baseline}. The verdict stays until the version gets none any more.",
        )
    elif release.verdict == "keep_watching" and now is not None and _is_late(release, now):
        yield _problem(
            "release_undecided",
            "warning",
            model.name,
            f"Whether version {version.name} is worse than {release.baseline} is not known, and the comparison "
            f"{'ended' if release.ended else 'ends'} {words.clock(release.end_at)}.",
            "Decide by the interval; for the next release give the new version more traffic, or raise "
            "`release.margins` or `release.duration`.",
        )


def _is_late(release: ReleaseReport, now: datetime) -> bool:
    if release.start_at is None or release.end_at is None:
        return False
    before = min(LAST_DAY, (release.end_at - release.start_at) / 10)
    return release.end_at - before <= now < release.end_at + AFTERWARDS


def _of_changes(model: ModelReport, version: VersionReport) -> Iterator[ProblemReport]:
    for one in version.changes:
        if one.state == "detected":
            yield _problem(
                "degrading",
                "warning",
                model.name,
                f"Version {version.name}: {one.summary}.",
                "Look for what changed at that time: inputs, data pipelines, users, labels. If the version was changed "
                "in place, undo that; else retrain.",
            )


def _of_slices(model: ModelReport, version: VersionReport) -> Iterator[ProblemReport]:
    whole = {(one.channel, one.metric) for one in version.changes if one.state == "detected"}
    found = [one for one in version.failing_slices if (one.channel, one.metric) not in whole]
    if not found:  # where the whole version gets worse, so do its slices
        return
    told = "; ".join(one.summary for one in found[:MOST_SLICES])
    more = f"; and {len(found) - MOST_SLICES} more" if len(found) > MOST_SLICES else ""
    yield _problem(
        "slice_degrading",
        "warning",
        model.name,
        f"Version {version.name}: {told}{more}.",
        "Look for what is different about these records since then: a source, a format, a language, a customer.",
    )


def _of_forecasts(model: ModelReport, version: VersionReport, now: datetime | None) -> Iterator[ProblemReport]:
    for one in version.slopes:
        if one.breach_at is None or now is None or one.breach_at > now + NEAR:
            continue
        known = [
            score.verdict for score in version.scores if (score.channel, score.metric) == (one.channel, one.metric)
        ]
        if MISSED not in known:
            yield _problem(
                "breach_forecast",
                "warning",
                model.name,
                f"Version {version.name}: {one.summary}.",
                "Nothing is missed yet: there is time to retrain, or to find out what is drifting.",
            )
