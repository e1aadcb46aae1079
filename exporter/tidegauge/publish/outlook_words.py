"""Releases, changes and forecasts in plain words, for somebody who was woken and has no time for statistics.

Sentences are text, not markup, and may hold hostile names; they say nothing that the report's fields do not.
"""

from __future__ import annotations

import math

from tidegauge.publish import words
from tidegauge.publish.report import ChangeReport, ComparisonReport, ReleaseReport, SlopeReport

RELEASE_LABELS = {"roll_back": "Roll back", "keep_watching": "Keep watching", "promote": "Promote"}
"""What each verdict about a release is called, the worst first."""
CHANGE_LABELS = {"detected": "Getting worse", "learning": "Learning", "watching": "As expected"}
RELEASE_VERDICTS = {
    "roll_back": "A new version is worse than the one before it, beyond what chance explains at any number of looks.",
    "keep_watching": "Nothing is known for sure about a new version yet: it stays compared.",
    "promote": "A new version is not worse than the one before it by its margin, on every measure that decides.",
}
CHANGE_STATES = {
    "detected": "A score is worse than what was learned as normal for this hour of the week, beyond chance.",
    "learning": "It is not known yet what is normal for the version, so nothing can be called worse.",
    "watching": "What is normal is known, and the score is as expected.",
}
DESIGNS = {"concurrent": "at the same time", "before_after": "before and after"}
_MOST_NAMED = 3
_SIGNAL = "signal:"


def measure_words(metric: str, channel: str = "") -> str:
    """ "log loss", "signal click", "accuracy by audit"."""
    told = f"signal {metric.removeprefix(_SIGNAL)}" if metric.startswith(_SIGNAL) else metric.replace("_", " ")
    told = told.removesuffix(" seconds")
    return f"{told} by {channel}" if channel else told


def size_words(one: ComparisonReport, value: float, *, unit: bool = True) -> str:
    """How large a difference is, without its sign: "2.8 points", "0.31 s", "0.0125"."""
    scale = 100.0 if one.proportion else 1.0
    ends = [None if end is None else scale * end for end in (one.lower, one.upper)]
    decimals = words.decimals_for(*ends, *(scale * known for known in (one.difference, one.margin) if known))
    shown = f"{abs(scale * value):.{min(decimals, 2)}f}" if one.proportion else words.number(abs(value), decimals)
    if not unit:
        return shown
    return f"{shown} points" if one.proportion else f"{shown} s" if one.metric.endswith("_seconds") else shown


def margin_words(one: ComparisonReport, *, unit: bool = True) -> str:
    """What is acceptable, as it was configured: "1.0 points", "0.25 points", "0.02 s"; empty where nothing is."""
    if one.margin is None:
        return ""
    if one.proportion:
        return f"{100 * one.margin:.2f}".removesuffix("0") + (" points" if unit else "")
    return f"{one.margin:.3g}" + (" s" if unit and one.metric.endswith("_seconds") else "")


def difference_words(one: ComparisonReport, *, several: bool) -> str:
    """ "accuracy 2.8 points lower, surely at least 1.2"; `several`: there are several channels."""
    metric = measure_words(one.metric, one.channel if several else "")
    if one.difference is None:
        return f"{metric} not known yet"
    told = f"{metric} {size_words(one, one.difference)} {_side(one.difference)}"
    if not any(digit in "123456789" for digit in size_words(one, one.difference)):
        told = f"{metric} about the same"
    if one.lower is None or one.upper is None:
        return told
    if one.lower > 0 or one.upper < 0:
        return f"{told}, surely at least {size_words(one, min(abs(one.lower), abs(one.upper)), unit=False)}"
    if one.verdict == "promote":
        worst = one.lower if one.more_is_better else one.upper
        return f"{told}, surely at most {size_words(one, worst, unit=False)} {_side(worst)}"
    lowest, highest = (size_words(one, end, unit=False) for end in (one.lower, one.upper))
    return f"{told}, somewhere from {lowest} lower to {highest} higher"


def _side(value: float) -> str:
    return "higher" if value > 0 else "lower"


def release_summary(release: ReleaseReport, *, several: bool) -> str:
    """The verdict on a release in a few sentences; `several`: the model has several channels."""
    head = f"{release.version} against {release.baseline}: {RELEASE_LABELS[release.verdict].lower()}"
    speaking = speakers(release)
    deciding = [one for one in speaking if one.decides]
    told = ""
    if release.verdict == "keep_watching":
        told = _missing(release, deciding)
    else:
        named = [one for one in deciding if one.verdict == release.verdict]
        told = ". " + "; ".join(_found(one, several=several) for one in named[:_MOST_NAMED])
        if len(named) > _MOST_NAMED:
            told += f"; and {len(named) - _MOST_NAMED} more measures"
    early = [one for one in speaking if not one.decides and one.verdict == "roll_back"]
    if early:
        told += ". Early signs, which do not decide: " + "; ".join(
            difference_words(one, several=several) for one in early[:_MOST_NAMED]
        )
    if deciding and all(one.design == "before_after" for one in deciding if one.design is not None):
        told += _switched(release, deciding)
    return head + told


def speakers(release: ReleaseReport) -> list[ComparisonReport]:
    """One comparison a measure: that of the design which speaks."""
    found: dict[tuple[str, str], ComparisonReport] = {}
    for one in release.comparisons:
        found.setdefault((one.channel, one.metric), one)
    return list(found.values())


def _found(one: ComparisonReport, *, several: bool) -> str:
    told = f"{difference_words(one, several=several)}; {words.amount(one.samples, 'outcome')}"
    return told if one.margin is None else f"{told}; margin {margin_words(one, unit=False)}"


def _missing(release: ReleaseReport, deciding: list[ComparisonReport]) -> str:
    waiting = [one for one in deciding if one.verdict == "keep_watching"]
    if release.ended:
        return ". The comparison has ended without a verdict: people must decide"
    if not waiting or all(one.design is None for one in waiting):
        return ": nothing could be compared yet"
    needed = [one.samples_needed for one in waiting]
    if any(one is None for one in needed):
        return ": how many more outcomes are needed is not known yet"
    return f": about {words.count(rounded(max(one for one in needed if one is not None)))} more outcomes needed"


def _switched(release: ReleaseReport, deciding: list[ComparisonReport]) -> str:
    places = {(one.channel, one.metric) for one in deciding}
    if all(one.design is None for one in deciding):
        return ""
    at_once = [
        one.samples for one in release.comparisons if (one.channel, one.metric) in places and one.design == "concurrent"
    ]
    if any(count > max(one.samples for one in deciding) for count in at_once):  # it has rolled back before that
        return ". Compared before and after, when they did not answer at the same time yet"
    return f". Compared before and after, since they {'hardly ever' if at_once else 'never'} answered at the same time"


def rounded(value: float) -> float:
    """To two digits: an estimate that pretends no more."""
    if value < 10:
        return math.ceil(value)
    size = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / size) * size


def change_summary(one: ChangeReport, *, several: bool) -> str:
    """ "accuracy is getting worse since 2026-03-01 10:00 UTC: expected 0.950, now 0.921 over the last 1 h"."""
    metric = measure_words(one.metric, one.channel if several else "")
    who = f"{metric} of {one.key} {one.value}" if one.key else metric
    if one.state == "learning":
        return f"{who}: learning what is normal, {_learning(one)}"
    if one.state == "watching":
        return f"{who} is as expected{_against(one)}"
    since = "" if one.start_at is None else f" since {one.start_at.strftime('%Y-%m-%d %H:%M UTC')}"
    return f"{who} is getting worse{since}{_against(one)}"


def expected_decimals(one: ChangeReport) -> int:
    """Decimals for what is expected and what is: three digits, or all before the point."""
    return max(0, words.decimals_for(None, None, one.expected) - 1)


def _against(one: ChangeReport) -> str:
    if one.expected is None:
        return ""
    decimals = expected_decimals(one)
    if one.score is None or one.window is None:
        return f": expected {words.number(one.expected, decimals)}"
    return (
        f": expected {words.number(one.expected, decimals)}, now {words.number(one.score, decimals)} "
        f"{words.window_words(one.window)}"
    )


def _learning(one: ChangeReport) -> str:
    rows = f"{words.count(min(one.learned, one.learning_needed))} of {words.count(one.learning_needed)} outcomes"
    needed = words.duration(one.learning_needed_seconds)
    time = f"{words.duration(min(one.learned_seconds, one.learning_needed_seconds))} of {needed}"
    missing = [
        told
        for told, have, want in (
            (rows, one.learned, one.learning_needed),
            (time, one.learned_seconds, one.learning_needed_seconds),
        )
        if have < want
    ]
    return " and ".join(missing) + " so far" if missing else "and will know with the next block that has errors"


def slope_summary(one: SlopeReport, *, several: bool) -> str:
    """ "accuracy falls by 0.0021 a day (0.0012 to 0.0030); it will miss its objective 0.9 about 2026-03-20 (...)"."""
    metric = measure_words(one.metric, one.channel if several else "")
    if not one.significant:
        return f"{metric} follows no trend"
    ends = sorted((abs(one.lower), abs(one.upper)))
    decimals = words.decimals_for(ends[0], ends[1], one.per_day)
    told = (
        f"{metric} {'rises' if one.per_day > 0 else 'falls'} by {words.number(abs(one.per_day), decimals)} a day "
        f"({words.span(ends[0], ends[1], decimals)})"
    )
    if one.breach_at is None or one.target is None:
        return told
    told += f"; if that goes on, it misses its objective {words.plain(one.target)} about {one.breach_at:%Y-%m-%d}"
    if one.breach_earliest_at is not None:
        latest = (
            f"at the latest {one.breach_latest_at:%Y-%m-%d}" if one.breach_latest_at else "the latest is too far off"
        )
        told += f" (at the earliest {one.breach_earliest_at:%Y-%m-%d}, {latest})"
    return told
