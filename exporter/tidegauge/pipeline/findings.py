"""What is wrong with the models beyond a missed objective: releases to roll back, what gets worse, drift, broken data.

Pure functions of the models' reports. What is found here is what the alerts of the same name page about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tidegauge.assess.verdicts import MET, MISSED
from tidegauge.publish import words
from tidegauge.publish.drift_words import (
    PREVIOUS_VERSION,
    answers_words,
    broken_words,
    inputs_words,
    moved_answers,
    moved_inputs,
    quality_words,
    schema_summary,
)
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
    return [found for model in models for found in (*_of_versions(model, now), *_of_schema(model))]


def _of_versions(model: ModelReport, now: datetime | None) -> Iterator[ProblemReport]:
    for version in model.versions:
        yield from _of_release(model, version, now)
        yield from _of_broken_data(model, version)
        yield from _of_changes(model, version)
        yield from _of_slices(model, version)
        yield from _of_answers(model, version)
        yield from _of_inputs(model, version)
        yield from _of_forecasts(model, version, now)


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


def _of_broken_data(model: ModelReport, version: VersionReport) -> Iterator[ProblemReport]:
    for found in version.drift:  # the longest window that knows of it
        broken = [one for one in found.features if one.broken]
        if broken:
            renamed = f" {schema_summary((), model.new_features)}." if model.new_features else ""
            yield _problem(
                "feature_broken",
                "error",
                model.name,
                f"Version {version.name}: {broken_words(broken)}, {words.window_words(found.window)}.{renamed}",
                "In one version only: send its traffic back, it is its code. In all: whoever provides the feature has "
                "changed or failed. Renamed: change `features` with the release.",
            )
            return


def _of_answers(model: ModelReport, version: VersionReport) -> Iterator[ProblemReport]:
    for found in version.drift:
        # That a new version answers otherwise than the one before it is why it was made.
        moved = [
            one
            for one in moved_answers(found)
            if any(held.detected and held.reference != PREVIOUS_VERSION for held in one.comparisons)
        ]
        if moved:
            yield _problem(
                "score_drift",
                "warning",
                model.name,
                f"Version {version.name}: {answers_words(found, moved)}. {quality_words(version)}.",
                "See which inputs have moved with it. If none has, look at the model, its thresholds, the labels.",
            )
            return


def _of_inputs(model: ModelReport, version: VersionReport) -> Iterator[ProblemReport]:
    for found in version.drift:
        moved = [one for one in moved_inputs(found) if not one.broken]  # those are told already
        impaired = [one for one in moved if one.summary]
        told = f". {broken_words(impaired)}" if impaired else ""
        if moved:
            yield _problem(
                "input_drift",
                "warning",
                model.name,
                f"Version {version.name}: {inputs_words(found, moved)}{told}. {quality_words(version)}.",
                "Mend upstream what is missing or wrong: a unit, a code, a default." if told else _harm(version),
            )
            return


def _harm(version: VersionReport) -> str:
    """What to do about inputs that have moved, by what is known of the quality."""
    if version.verdict == MISSED or any(one.state == "detected" for one in version.changes):
        return "It may be why: if the inputs are right and the world has changed, retrain on recent data."
    if version.verdict == MET:
        return "Nothing has to be done: the version serves what is new as well as the rest."
    return "Nothing has to be done at once: drift alone is no harm. Look at it again when the quality is known."


def _of_schema(model: ModelReport) -> Iterator[ProblemReport]:
    broken = {
        one.feature for version in model.versions for found in version.drift for one in found.features if one.broken
    }
    vanished = [name for name in model.vanished_features if name not in broken]
    if not vanished and (broken or not model.new_features):  # what is broken names what is new
        return
    yield _problem(
        "schema_changed",
        "warning",
        model.name,
        f"{schema_summary(vanished, model.new_features)}.",
        "Renamed, or gone on purpose: change `features`. Gone by mistake: mend the service, or its logging."
        if vanished
        else "That does no harm. If the model uses it, add it to `features`, so that it is watched.",
    )
