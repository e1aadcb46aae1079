"""What the page shows of a version's release, of whether it gets worse, and of where its scores are heading."""

from __future__ import annotations

from tidegauge.publish import words
from tidegauge.publish.markup import name, sentence, table, text
from tidegauge.publish.outlook_words import (
    DESIGNS,
    RELEASE_LABELS,
    expected_decimals,
    margin_words,
    measure_words,
    size_words,
)
from tidegauge.publish.report import ChangeReport, ComparisonReport, ModelReport, ReleaseReport, VersionReport

OUTLOOK_SHAPES = {
    "roll_back": "▲",
    "keep_watching": "○",
    "promote": "●",
    "detected": "▲",
    "learning": "○",
    "watching": "●",
}
SHOWN_SLICES = 12
"""Failing slices; /api/v1/status has more."""

MOST_EVIDENCE = 1e6
"""Beyond this it is all the same."""


def news(version: VersionReport) -> str:
    """List items for the first glance: what is not as it should be, and releases that are under way."""
    lines = []
    release = version.release
    if release is not None and (release.verdict == "roll_back" or not release.ended):
        lines.append((release.verdict, release.summary))
    lines += [("detected", f"{version.name}: {one.summary}") for one in version.changes if one.state == "detected"]
    slices = version.failing_slices
    if slices and not any(one.state == "detected" for one in version.changes):
        more = f"; and {words.amount(len(slices) - 1, 'more slice')}" if len(slices) > 1 else ""
        lines.append(("detected", f"{version.name}: {slices[0].summary}{more}"))
    lines += [("uncertain", f"{version.name}: {one.summary}") for one in version.slopes if one.breach_at is not None]
    return "".join(
        f'<li class="{kind}"><span class="i" aria-hidden="true">{OUTLOOK_SHAPES.get(kind, "◆")}</span>'
        f"{sentence(told)}</li>"
        for kind, told in lines
    )


def outlook(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    """The part of a version's card; empty where there is nothing to say."""
    several = len(model.channels) > 1
    release = "" if version.release is None else _release(model, version.release, unfolded=unfolded, several=several)
    return release + _changes(model, version, unfolded=unfolded)


def _shape(kind: str) -> str:
    return f'<span class="i" aria-hidden="true">{OUTLOOK_SHAPES[kind]}</span>'


def _capital(told: str) -> str:
    return told[:1].upper() + told[1:]


# --- releases ------------------------------------------------------------------------------------------


def _release(model: ModelReport, release: ReleaseReport, *, unfolded: bool, several: bool) -> str:
    until = "ended" if release.ended else "goes on until"
    times = f'<p class="q">Compared from {words.clock(release.start_at)}; {until} {words.clock(release.end_at)}.</p>'
    decided = [one for one in release.comparisons if one.decides]
    rest = [one for one in release.comparisons if not one.decides]
    rows = [_row(one, release, several=several) for one in (*decided, *rest)]
    titles = [
        "Measure",
        "Difference",
        "Surely",
        "Margin",
        "Evidence: worse",
        "Evidence: not worse",
        "Outcomes",
        "Compared",
    ]
    who = f"{text(model.name, 60)} {text(release.version, 60)}"
    caption = f"{who} minus {text(release.baseline, 60)}, what decides first"
    opened = " open" if unfolded or release.verdict == "roll_back" else ""
    body = table(caption, titles, rows, lambda column: column > 0)
    return (
        f'<div class="rl {release.verdict}"><p>{_shape(release.verdict)}'
        f"{sentence(release.summary)}.</p>{times}"
        f"<details{opened}><summary>Release, by measure ({len(rows)})</summary>{body}</details></div>"
    )


def _row(one: ComparisonReport, release: ReleaseReport, *, several: bool) -> list[str]:
    title = text(measure_words(one.metric, one.channel if several else ""))
    if not one.decides:
        title += " <small>does not decide</small>"
    if one.verdict in ("roll_back", "promote"):
        label = RELEASE_LABELS[one.verdict].lower()
        title = f'<span class="{one.verdict}">{_shape(one.verdict)}</span><span class="h">{label}: </span>{title}'
    if one.design is None:
        return [title, '<span class="q">nothing to compare yet</span>', *[""] * 6]
    needed = ""
    if one.samples_needed:
        needed = f" <small>{words.count(one.samples_needed)} more</small>"
    return [
        title,
        _signed(one, one.difference),
        _between(one),
        margin_words(one),
        _evidence(one.harm_evidence, one.harm_threshold),
        _evidence(one.non_inferiority_evidence, one.non_inferiority_threshold),
        f"{words.count(one.samples)} and {words.count(one.baseline_samples)}{needed}",
        text(DESIGNS.get(one.design, one.design)),
    ]


def _signed(one: ComparisonReport, value: float | None, *, unit: bool = True) -> str:
    if value is None:
        return words.UNKNOWN
    size = size_words(one, value, unit=unit)
    if not any(digit in "123456789" for digit in size):
        return size
    return f"{'+' if value > 0 else '−'}{size}"


def _between(one: ComparisonReport) -> str:
    if one.lower is None or one.upper is None:
        return words.UNKNOWN
    return f"{_signed(one, one.lower, unit=False)} to {_signed(one, one.upper, unit=False)}"


def _evidence(value: float | None, threshold: float | None) -> str:
    """Evidence and what is needed: "12 of 40"."""
    if value is None or threshold is None:
        return ""
    shown = f"{value:.2g}"
    if value >= MOST_EVIDENCE:
        shown = f"over {words.count(MOST_EVIDENCE)}"
    elif value >= 10:
        shown = words.count(value)
    return f"{shown} <small>of {words.count(threshold)}</small>"


# --- changes ------------------------------------------------------------------------------------------


def _changes(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    told = [one for one in version.changes if one.state == "detected"]
    quiet = [one for one in version.changes if one.state != "detected"]
    trends = [one for one in version.slopes if one.significant]
    parts = [
        f'<div class="rl detected"><p>{_shape("detected")}{sentence(_capital(one.summary))}.</p></div>' for one in told
    ]
    parts += [
        f'<div class="rl {"warning" if one.breach_at else "unknown"}"><p>{sentence(_capital(one.summary))}.</p></div>'
        for one in trends
    ]
    if version.failing_slices:
        parts.append(_slices(model, version, unfolded=unfolded))
    if quiet:
        lines = "; ".join(one.summary for one in quiet)
        parts.append(f'<p class="q">Over time, {sentence(lines)}.</p>')
    return "".join(parts)


def _slices(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    found = version.failing_slices
    several = len(model.channels) > 1
    rows = [_slice(one, several=several) for one in found[:SHOWN_SLICES]]
    titles = ["Slice", "Measure", "Expected", "Now", "Since"]
    caption = f"Slices of {text(model.name, 60)} {text(version.name, 60)} that get worse, the surest first"
    rest = len(found) - len(rows)
    more = f'<p class="q">and {rest} more; see /api/v1/status.</p>' if rest else ""
    opened = " open" if unfolded else ""
    body = table(caption, titles, rows, lambda column: column > 1)
    which = f"{words.amount(len(found), 'slice gets', 'slices get')} worse: {sentence(found[0].summary)}"
    return f'<div class="rl detected"><details{opened}><summary>{which}</summary>{body}{more}</details></div>'


def _slice(one: ChangeReport, *, several: bool) -> list[str]:
    decimals = expected_decimals(one)
    window = f" <small>in {text(words.window_span(one.window))}</small>" if one.window else ""
    since = words.UNKNOWN if one.start_at is None else f"{one.start_at:%Y-%m-%d %H:%M} UTC"
    return [
        f'<span class="q">{name(one.key)}</span> {name(one.value)}',
        text(measure_words(one.metric, one.channel if several else "")),
        words.number(one.expected, decimals),
        words.number(one.score, decimals) + window,
        since,
    ]
