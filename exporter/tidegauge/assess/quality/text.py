"""Word and character error rates: edits over the labels' length, both summed over all texts (not a mean of ratios)."""

from __future__ import annotations

from tidegauge.assess.counts import Estimates, TextCounts
from tidegauge.assess.quality.means import ratio_of_sums


def word_error_rate(counts: TextCounts) -> Estimates:
    """Substituted, deleted and inserted words over the words of the labels; above 1 where there is more to undo."""
    return ratio_of_sums(counts.words)


def character_error_rate(counts: TextCounts) -> Estimates:
    """The same by characters."""
    return ratio_of_sums(counts.characters)
