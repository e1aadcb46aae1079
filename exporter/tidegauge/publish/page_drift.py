"""What the page shows of drift and data quality: what moved, against what, since when, and what is broken."""

from __future__ import annotations

from tidegauge.publish import words
from tidegauge.publish.charts import distribution
from tidegauge.publish.drift_words import (
    IMPAIRED,
    OWN_FEATURES,
    PREVIOUS_VERSION,
    SHORT_REFERENCES,
    effect_words,
    feature_title,
    is_answer,
    leading,
    part_words,
    quality_words,
    reference_words,
    speaking,
)
from tidegauge.publish.markup import name, sentence, table, text, tight, visible
from tidegauge.publish.report import (
    DistributionReport,
    DriftReport,
    FeatureComparisonReport,
    FeatureReport,
    ModelReport,
    VersionReport,
)

DRIFT_SHAPES = {
    "broken": "▲",
    "moved": "◆",
    "impaired": "◆",
    "learning": "○",
    "no_reference": "○",
    "insufficient_samples": "○",
    "steady": "●",
}
SHOWN_FEATURES = 12
"""Inputs of which something is to be said; /api/v1/status has all."""
_TOLD = ("broken", "moved", "impaired")


def drift_news(version: VersionReport) -> str:
    """A list item for the first glance where data is broken or has moved; nothing else is news."""
    found = speaking(version.drift)
    if found is None or found.state not in ("broken", "moved") or not is_alarming(found):
        return ""
    told = sentence(f"{version.name}: {found.summary}")  # its quality is said on the line above
    return f'<li class="{found.state}">{_shape(found.state)}{told}</li>'


def is_alarming(found: DriftReport) -> bool:
    """Not where only the answers have moved, and only against the version before it: for that it was made."""
    return any(
        one.broken or (one.detected and not is_answer(one)) or any(_counts(held) for held in one.comparisons)
        for one in found.features
    )


def _counts(held: FeatureComparisonReport) -> bool:
    return held.detected and held.reference != PREVIOUS_VERSION


def drift(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    """The part of a version's card; empty where the version is not watched."""
    found = speaking(version.drift)
    if found is None:
        return ""
    others = [one for one in version.drift if one is not found and (one.state in _TOLD or found.state in _TOLD)]
    rest = "".join(f'<p class="q">{sentence(_capital(one.summary))}.</p>' for one in others)
    if not any(one.broken or one.detected or one.state in IMPAIRED for one in found.features):
        return f'<p class="q">{sentence(_capital(found.summary))}.</p>{rest}'
    told = sentence(f"{_capital(found.summary)}. {quality_words(version)}.")
    state = found.state if found.state in DRIFT_SHAPES else "moved"
    body = _details(model, version, found, unfolded=unfolded)
    return f'<div class="rl {state}"><p>{_shape(state)}{told}</p>{body}{rest}</div>'


def _shape(state: str) -> str:
    return f'<span class="i" aria-hidden="true">{DRIFT_SHAPES[state]}</span>'


def _capital(told: str) -> str:
    return told[:1].upper() + told[1:]


def _details(model: ModelReport, version: VersionReport, found: DriftReport, *, unfolded: bool) -> str:
    told = [one for one in found.features if one.broken or one.detected or one.state in IMPAIRED]
    answers = [one for one in found.features if is_answer(one)]
    inputs = [one for one in told if not is_answer(one)]
    rest = len(inputs) - SHOWN_FEATURES
    more = f'<p class="q">and {rest} more; see /api/v1/status.</p>' if rest > 0 else ""
    quiet = sum(not is_answer(one) for one in found.features) - len(inputs)
    more += f'<p class="q">{words.amount(quiet, "other input")}: nothing found.</p>' if quiet else ""
    references = list(
        dict.fromkeys(held.reference for one in found.features for held in one.comparisons if held.records)
    )
    rows = [_row(one, references) for one in (*answers, *inputs[:SHOWN_FEATURES])]
    titles = ["Feature", "Found", *(_reference_title(one, found) for one in references), "Of the shift"]
    who = f"{text(model.name, 60)} {text(version.name, 60)}"
    caption = f"What has moved in {who} {text(words.window_words(found.window))}: excess PSI by reference"
    body = table(caption, titles, rows, lambda column: column > 1)
    pictures = "".join(_picture(one, one.distribution, found) for one in found.features if one.distribution)
    drawn = f'<div class="ds">{pictures}</div>' if pictures else ""
    opened = " open" if unfolded or any(one.broken for one in told) else ""
    return f"{drawn}<details{opened}><summary>Drift, by feature ({len(rows)})</summary>{body}{more}</details>"


def _reference_title(reference: str, found: DriftReport) -> str:
    if reference == PREVIOUS_VERSION and found.baseline:
        return name(found.baseline)
    return text(SHORT_REFERENCES.get(reference, reference))


def _row(one: FeatureReport, references: list[str]) -> list[str]:
    state = "broken" if one.broken else "moved" if one.detected else "impaired" if one.state in IMPAIRED else ""
    title = text(OWN_FEATURES[one.feature]) if one.feature in OWN_FEATURES else name(one.feature)
    if state:
        title = f'<span class="{state}">{_shape(state)}</span>{title}'
    held = {held.reference: held for held in one.comparisons}
    found = sentence(one.summary) if one.summary else f'<span class="q">{_without(one)}</span>'
    chosen = leading(one)
    part = "" if chosen is None or chosen.contribution is None else part_words(chosen.contribution)
    return [title, found, *(_effect(held.get(reference)) for reference in references), part]


def _without(one: FeatureReport) -> str:
    if one.detected:
        return "moved"
    if one.state in ("learning", "insufficient_samples"):
        return text(one.state.replace("_", " "))
    return "as before" if leading(one) is not None else "not compared yet"


def _effect(held: FeatureComparisonReport | None) -> str:
    if held is None or not held.records:
        return ""
    if not held.detected:
        return f'<span class="q">{effect_words(held.effect)}</span>'
    since = "" if held.start_at is None else f" <small>since {held.start_at:%Y-%m-%d %H:%M} UTC</small>"
    return f'<b><span class="h">moved: </span>{effect_words(held.effect)}</b>{since}'


def _picture(one: FeatureReport, found: DistributionReport, shown: DriftReport) -> str:
    title = feature_title(one)
    against = reference_words(found.reference, shown.baseline)
    moved = sorted(
        zip(found.bins, found.shares, found.reference_shares, strict=True), key=lambda bin_: -abs(bin_[1] - bin_[2])
    )
    most = "; ".join(f"{_bin(bin_)} {words.percent(now)}, was {words.percent(then)}" for bin_, now, then in moved[:2])
    drawn = distribution(found, f"{visible(title)} now as bars, in {against} as a line: {most}")
    if not drawn:
        return ""
    caption = (
        f"<span>{name(title)} <small>bars now, line {text(against, 120)}</small></span><span>{text(most, 200)}</span>"
    )
    return f"<figure>{drawn}<figcaption>{tight(caption)}</figcaption></figure>"


def _bin(bin_: str) -> str:
    """A bin as people read it: without its number; "none" is no value."""
    number, _, interval = bin_.partition(" ")
    if number.isdigit() and interval[:1] in ("[", "("):
        return interval
    return "no value" if bin_ == "none" else bin_
