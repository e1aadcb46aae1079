"""Drift and data quality in plain words, for somebody who was woken and has no time for statistics.

Sentences are text, not markup, and may hold hostile names; they say nothing that the report's fields do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidegauge.publish import words
from tidegauge.publish.report import DriftReport, FeatureComparisonReport, FeatureReport, VersionReport

DRIFT_LABELS = {
    "broken": "Data is broken",
    "moved": "Moved",
    "impaired": "Data is impaired",
    "learning": "Learning",
    "no_reference": "No reference yet",
    "insufficient_samples": "Too few predictions",
    "steady": "As before",
}
"""What the state of a window is called, the worst first."""
DRIFT_STATES = {
    "broken": "A feature tells the model nothing any more: it has vanished, has one value, or values of no use.",
    "moved": "An answer or an input is distributed otherwise than in a reference, beyond chance and by enough.",
    "impaired": "More values than before are missing, unusable, never seen before or out of the range that is known.",
    "learning": "It is not known yet how answers and inputs are distributed, so nothing can be compared.",
    "no_reference": "There is nothing yet that answers and inputs could be compared with.",
    "insufficient_samples": "The window has too few predictions to say anything.",
    "steady": "Answers and inputs are distributed as in every reference.",
}
REFERENCES = {
    "training": "the reference file",
    "previous_version": "the version before it at the same time",
    "trailing": "its own past weeks at the same hours",
    "first": "the model's first predictions",
}
SHORT_REFERENCES = {
    "training": "reference file",
    "previous_version": "version before",
    "trailing": "past weeks",
    "first": "first predictions",
}
OWN_FEATURES = {
    "@score": "score",
    "@prediction": "prediction",
    "@label": "label",
    "@inputs": "all numbers together",
    "@reconstruction": "how the numbers go together",
}
"""What Tidegauge watches by itself."""
LABEL = "@label"
ANSWERS = ("@score", "@prediction", LABEL)
PREVIOUS_VERSION = "previous_version"
IMPAIRED = ("invalid", "missing", "unseen", "out_of_range")
_MOST_NAMED = 3


def feature_title(one: FeatureReport) -> str:
    """As tables name it."""
    return OWN_FEATURES.get(one.feature, one.feature)


def is_answer(one: FeatureReport) -> bool:
    """Whether it is the score, the prediction or the label, and no input."""
    return one.feature in ANSWERS


def is_single_input(one: FeatureReport) -> bool:
    """Whether it is a feature that is configured, and not what Tidegauge makes of all of them."""
    return one.feature not in OWN_FEATURES


def reference_words(reference: str, baseline: str | None = None) -> str:
    """A reference in a sentence; `baseline` is the version that previous_version means."""
    if reference == PREVIOUS_VERSION and baseline:
        return f"{baseline} at the same time"
    return REFERENCES.get(reference, reference)


def effect_words(effect: float | None) -> str:
    """Excess PSI: "0.31", "0.024", "0" for what is noise."""
    if effect is None:
        return words.UNKNOWN
    if effect < 0.0005:
        return "0"
    return words.number(effect, 1 if effect >= 10 else 2 if effect >= 0.1 else 3)


def feature_summary(one: FeatureReport) -> str:
    """What was found in a feature's values: "has vanished: none of 12,345 predictions has it"; empty if nothing."""
    rows = words.amount(one.records, "prediction")
    unusable = one.invalid + one.non_finite
    kind = "of the wrong type" if one.invalid else "that are not finite"
    if one.invalid and one.non_finite:
        kind = "of the wrong type or not finite"
    since = "" if one.broken_since is None else f" since {one.broken_since:%Y-%m-%d %H:%M} UTC"
    match one.state:
        case "vanished" if one.missing < one.records:
            return f"has vanished{since}: it is missing in {_share(one.missing, one)}"
        case "vanished":
            return f"has vanished: none of {rows} has it"
        case "constant":
            return f"is constant: one and the same value in {rows}"
        case "stuck":
            return f"is stuck{since}: it used to change all the time, and has stopped"
        case "invalid":
            return f"has values {kind}{since}, in {_share(unusable, one)}"
        case "missing" if unusable > one.missing:
            return f"has values {kind} in {_share(unusable, one)}"
        case "missing":
            return f"is missing in {_share(one.missing, one)}"
        case "unseen":
            return f"has values never seen before in {_share(one.unseen, one)}"
        case "out_of_range":
            return f"is out of the range that is known in {_share(one.out_of_range, one)}"
    return ""


def _share(count: int, one: FeatureReport) -> str:
    return f"{words.percent(count / max(one.records, 1))} of {words.amount(one.records, 'prediction')}"


def drift_summary(one: DriftReport) -> str:
    """Everything that was found in one window, the worst first, in a few sentences."""
    broken = [feature for feature in one.features if feature.broken]
    answers, inputs = moved_answers(one), [feature for feature in moved_inputs(one) if not feature.broken]
    impaired = [feature for feature in one.features if feature.state in IMPAIRED and not feature.broken]
    parts = []
    if broken:
        parts.append(broken_words(broken))
    if answers:
        parts.append(answers_words(one, answers))
    if inputs:
        parts.append(inputs_words(one, inputs))
    if impaired:
        parts.append(broken_words(impaired))
    still = [_subject(feature) for feature in one.features if is_answer(feature) and _is_known(feature)]
    if parts and still and not answers:
        parts.append(f"{_capital(_listed(still))} {_have(len(still))} not moved")
    return f"{words.window_words(one.window)}, {'. '.join(parts)}" if parts else _nothing(one)


def broken_features(version: VersionReport) -> tuple[str, ...]:
    """What is broken in any window of a version."""
    return tuple(dict.fromkeys(one.feature for found in version.drift for one in found.features if one.broken))


def broken_words(found: Sequence[FeatureReport]) -> str:
    """ "amount has vanished: none of 12,345 predictions has it; age is constant: ..."."""
    return "; ".join(_named([f"{_subject(one)} {one.summary}" for one in found]))


def moved_answers(one: DriftReport) -> list[FeatureReport]:
    """Score, prediction and label, if they have moved."""
    return [feature for feature in one.features if feature.detected and is_answer(feature)]


def moved_inputs(one: DriftReport) -> list[FeatureReport]:
    """Inputs that have moved, most of the shift first."""
    return [feature for feature in one.features if feature.detected and not is_answer(feature)]


def answers_words(one: DriftReport, moved: Sequence[FeatureReport]) -> str:
    """ "the score has moved since ... compared with the reference file"."""
    return f"{_listed([_subject(feature) for feature in moved])} {_have(len(moved))} moved {_against(one, moved)}"


def inputs_words(one: DriftReport, moved: Sequence[FeatureReport]) -> str:
    """ "2 of 12 inputs have moved since ... compared with ...: amount (72 % of the shift) and country (20 % ...)"."""
    known = [feature for feature in one.features if is_single_input(feature)]
    alone = [feature for feature in moved if is_single_input(feature)]
    named = _listed(_named([f"{feature_title(feature)}{_part(feature)}" for feature in moved]))
    if not alone:  # as they do where each by itself stays
        return f"inputs have moved together, and none alone, {_against(one, moved)}: {named}"
    of = f"{len(alone)} of {words.amount(len(known), 'input')}" if len(known) > 1 else "the only input"
    return f"{of} {_have(len(alone))} moved {_against(one, moved)}: {named}"


def _part(one: FeatureReport) -> str:
    held = leading(one)
    if held is None or not held.contribution:
        return ""
    return f" ({part_words(held.contribution)} of the shift)"


def part_words(contribution: float) -> str:
    """A share of the shift, which is no more exact than that: "72 %"."""
    return f"{100 * contribution:.0f} %" if contribution >= 0.01 or not contribution else "under 1 %"


def leading(one: FeatureReport) -> FeatureComparisonReport | None:
    """The comparison that a feature is told by: the first that detects it, else the first that knows anything."""
    known = [held for held in one.comparisons if held.records]
    return next((held for held in known if held.detected), known[0] if known else None)


def _against(one: DriftReport, moved: Iterable[FeatureReport]) -> str:
    """ "since 2026-03-04 10:00 UTC compared with the reference file and since ..."."""
    since: dict[str, list[FeatureComparisonReport]] = {}
    for held in (held for feature in moved for held in feature.comparisons if held.detected):
        since.setdefault(held.reference, []).append(held)
    told = []
    for reference, found in since.items():
        starts = [held.start_at for held in found if held.start_at is not None]
        start = f"since {min(starts):%Y-%m-%d %H:%M} UTC " if starts else ""
        told.append(f"{start}compared with {reference_words(reference, one.baseline)}")
    return _listed(told)


def _nothing(one: DriftReport) -> str:
    known, missing = _references(one)
    match one.state:
        case "learning":
            return f"Learning how answers and inputs are distributed: {_progress(one)}"
        case "insufficient_samples":
            lately = words.window_words(one.window)
            return (
                f"Too few predictions to say whether answers or inputs have moved: {words.count(one.records)} {lately}"
            )
        case "no_reference":
            return f"Nothing to compare answers and inputs with yet: {_progress(one)}"
    inputs = sum(is_single_input(feature) and _is_known(feature) for feature in one.features)
    learning = sum(feature.state == "learning" and not feature.records for feature in one.features)
    who = f"Neither answers nor any of {words.amount(inputs, 'input')}" if inputs > 1 else "Neither answers nor input"
    told = f"{who if inputs else 'The answers'} {'have moved' if inputs else 'have not moved'}"
    held = _listed([reference_words(name, one.baseline) for name in known])
    told += f" {words.window_words(one.window)}, compared with {held}"
    if missing:
        told += f". No reference yet: {_listed([reference_words(name, one.baseline) for name in missing])}"
    return f"{told}. {words.amount(learning, 'feature is', 'features are')} still being learned" if learning else told


def _progress(one: DriftReport) -> str:
    _, missing = _references(one)
    if one.learning_needed:
        made = words.count(min(one.learned, one.learning_needed))
        span = ", and they must span 24 h" if one.state == "no_reference" else ""
        return f"{made} of the first {words.amount(one.learning_needed, 'prediction')} so far{span}"
    told = _listed([reference_words(name, one.baseline) for name in missing])
    return f"{told} {_are(len(missing))} not known" if missing else "no reference is in use"


def _references(one: DriftReport) -> tuple[list[str], list[str]]:
    """Those that something is compared with, and those that are not there yet."""
    held = [held for feature in one.features if feature.feature != LABEL for held in feature.comparisons]
    known = {comparison.reference for comparison in held if comparison.records}
    every = dict.fromkeys(comparison.reference for comparison in held)
    return [name for name in every if name in known], [name for name in every if name not in known]


def _is_known(one: FeatureReport) -> bool:
    return any(held.records for held in one.comparisons)


def quality_words(version: VersionReport) -> str:
    """What is known of the quality of a version whose inputs have moved: whether it does harm."""
    worse = any(one.state == "detected" for one in version.changes)
    state = "" if version.headline is None else version.headline.state
    match version.verdict:
        case "met":
            return f"Quality is within its objective{', but gets worse' if worse else ''}"
        case "missed":
            return "Quality misses its objective"
        case "silent" if state != "no_feedback":
            return "Labels have stopped coming, so its quality is not known"
    if worse:
        return "Quality gets worse"
    match version.verdict, state:
        case "uncertain", _:
            return "Quality may or may not be within its objective"
        case "no_objective", _:
            return "Quality is measured, and has no objective"
        case _, "immature" | "no_feedback":
            return "No labels yet, so its quality is not known"
        case _, "insufficient_samples":
            return "Too few labels yet, so its quality is not known"
    return "Quality is not known"


def schema_summary(vanished: Sequence[str], new: Sequence[str]) -> str:
    """ "Records lack amount. New in them is amnt."; empty if nothing has changed."""
    parts = []
    if vanished:
        parts.append(f"No record has {_listed(_named(vanished))} any more")
    if new:
        parts.append(f"New in the records {'is' if len(new) == 1 else 'are'} {_listed(_named(new))}")
    return ". ".join(parts)


def speaking(found: Sequence[DriftReport]) -> DriftReport | None:
    """The window that has most to say; of several the longest."""
    order = list(DRIFT_LABELS)
    return min(found, key=lambda one: order.index(one.state) if one.state in order else len(order), default=None)


def _subject(one: FeatureReport) -> str:
    title = feature_title(one)
    return f"the {title}" if is_answer(one) else title


def _named(texts: Sequence[str]) -> list[str]:
    if len(texts) <= _MOST_NAMED:
        return list(texts)
    return [*texts[:_MOST_NAMED], f"{len(texts) - _MOST_NAMED} more"]


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else ""


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _capital(told: str) -> str:
    return told[:1].upper() + told[1:]
