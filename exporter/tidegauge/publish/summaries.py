"""Verdicts and states in plain words: what a score says about its objective, or why there is none.

Sentences are text, not markup, and may hold hostile names; they say nothing that the report's fields do not.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.publish import words
from tidegauge.publish.report import ChannelReport, DelayReport, ModelReport, ScoreReport, TrendReport, VersionReport

LABELS = {
    "missed": "Objective missed",
    "silent": "No feedback",
    "idle": "No predictions",
    "uncertain": "Uncertain",
    "unknown": "Not known yet",
    "no_objective": "No objective",
    "met": "Objective met",
}
"""What each verdict is called."""

VERDICTS = {
    "missed": "The whole 95 % interval of a score lies on the wrong side of its objective.",
    "silent": "Predictions are old enough to have their labels, labels used to come, and for a while none has.",
    "idle": "The version has made no predictions within its windows.",
    "uncertain": "The 95 % interval holds the objective: the score may be on either side of it.",
    "unknown": "There is no score that could be judged; the sentence beside it says why.",
    "no_objective": "No objective is configured for what this version is measured by.",
    "met": "The whole 95 % interval of every score lies on the right side of its objective.",
}
STATES = {
    "ok": "There is a score, from enough labelled predictions.",
    "immature": "No prediction of the window is old enough (maturity) to be scored.",
    "no_feedback": "Predictions are old enough, but none of them has a label.",
    "insufficient_samples": "There is a score, from fewer labelled predictions than minimum_samples: too few to judge.",
    "unsupported": "The labels are there, but this score cannot be made of them: no probabilities in the log, only one "
    "class, no positives, or weights of zero.",
}


def score_words(score: ScoreReport, *, several: bool) -> str:
    """ "accuracy 0.948 (0.941 to 0.954) over the last 24 h"; without a score, the metric and the window.

    `several`: there are several channels, so that this one is named.
    """
    metric = metric_words(score, several=several)
    over = words.window_words(score.window)
    if score.score is None:
        return f"{metric} {over}"
    decimals = words.decimals_for(score.lower, score.upper, score.score)
    interval = words.span(score.lower, score.upper, decimals)
    return f"{metric} {words.number(score.score, decimals)} ({interval}) {over}"


def metric_words(score: ScoreReport | TrendReport, *, several: bool) -> str:
    """ "log loss", or "log loss by audit" where there are several channels."""
    metric = score.metric.replace("_", " ")
    return f"{metric} by {score.channel}" if several else metric


def objective_words(score: ScoreReport) -> str:
    """ "at least 0.95"; empty without an objective."""
    if score.target is None:
        return ""
    return f"{'at most' if score.direction == 'at_most' else 'at least'} {words.plain(score.target)}"


def version_summary(version: VersionReport, channels: Sequence[ChannelReport], minimum: int) -> str:
    """The verdict on a version in one sentence."""
    score = version.headline
    if version.verdict == "idle" or score is None:
        widest = max((part.window_seconds or 0 for part in version.coverage), default=0.0)
        return f"no predictions in the last {words.duration(widest)}" if widest else "no predictions yet"
    channel = next(one for one in channels if one.name == score.channel)
    delay = next((one for one in version.delays if one.channel == score.channel), None)
    known = score_words(score, several=len(channels) > 1)
    if version.verdict == "silent" and delay is not None:
        return _silence(score, delay, known)
    return _judgement(score, known) if score.state == "ok" else _why_none(version, score, known, channel, minimum)


def _silence(score: ScoreReport, delay: DelayReport, known: str) -> str:
    since = words.duration(delay.silent_seconds or 0)
    made = words.amount(delay.silent_predictions, "prediction")
    told = f"no feedback for {since}: none of {made} since then has a label, though all are old enough"
    return told if score.score is None else f"{told}; {known} is from before"


def _judgement(score: ScoreReport, told: str) -> str:
    if score.target is None:
        return f"{told}; no objective is set"
    target = words.plain(score.target)
    wrong, right = ("above", "at or below") if score.direction == "at_most" else ("below", "at or above")
    match score.verdict:
        case "missed":
            return f"{told}, {wrong} its objective {target} for sure"
        case "met":
            return f"{told}, {right} its objective {target} for sure"
        case _:
            return f"{told}, maybe {wrong} its objective {target}: the interval holds it"


def _why_none(version: VersionReport, score: ScoreReport, known: str, channel: ChannelReport, minimum: int) -> str:
    window = next(
        (part for part in version.coverage if (part.channel, part.window) == (score.channel, score.window)), None
    )
    match score.state:
        case "immature":
            age = words.duration(channel.maturity_seconds)
            # Of all windows: a long one moves in steps so wide that it may not have reached them yet.
            made = max((part.predictions or 0 for part in version.coverage), default=0)
            who = f"all of {words.amount(made, 'prediction')}" if made else "its predictions"
            return f"{known} is not known yet: {who} are younger than {age}, the time that labels need"
        case "no_feedback":
            mature = words.amount(window.mature_predictions, "prediction") if window else "its predictions"
            return f"{known} is not known: none of {mature} that are old enough has a label"
        case "insufficient_samples":
            have = words.amount(score.samples, "labelled prediction")
            return f"{known} from {have} only; it is judged from {minimum:,} on"
        case _:
            return f"{known} cannot be computed from what the logs hold"


def model_summary(model: ModelReport) -> str:
    """The verdict on a model in a few words, by its versions."""
    if not model.versions:
        return "no predictions yet"
    by_verdict: dict[str, list[str]] = {}
    for version in model.versions:
        by_verdict.setdefault(version.verdict, []).append(version.name)
    said = {
        "missed": "worse than promised",
        "silent": "without feedback",
        "idle": "without predictions",
        "uncertain": "uncertain",
        "unknown": "not known yet",
        "no_objective": "without an objective",
        "met": "as good as promised",
    }
    told = [
        f"{_named(names)} {said[verdict]}"
        for verdict, names in sorted(by_verdict.items(), key=lambda item: list(said).index(item[0]))
    ]
    broken = [version.name for version in model.versions if version.broken_features]
    if broken:
        told.insert(0, f"{_named(broken)} with broken data: {', '.join(model.broken_features)}")
    return "; ".join(told)


def _named(versions: Sequence[str]) -> str:
    """Every version by name only where there are few of them."""
    return ", ".join(versions) if len(versions) <= 3 else f"{len(versions)} versions"
