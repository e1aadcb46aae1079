"""Three small drawings as inline SVG: an interval against its objective, the recent past of a score, and a feature's
distribution now against a reference.

They stretch to the width that there is, strokes excepted. Coordinates are rounded to tenths of the view box. Each
drawing says in its title what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegauge.publish import words
from tidegauge.publish.markup import text
from tidegauge.publish.report import DistributionReport, ScoreReport, TrendReport

WIDTH = 240.0
_GAUGE_HEIGHT = 20.0
_TREND_HEIGHT = 54.0
_BARS_HEIGHT = 40.0
_GAP = 0.15
"""Between bars, as a part of their room."""
_EDGE = 6.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of values as a stretch of the drawing; values outside are drawn at its ends."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def common_scale(scores: Sequence[ScoreReport]) -> Scale | None:
    """One scale for the gauges of several versions, so that they can be compared by eye; None without any score."""
    values = [value for one in scores for value in (one.score, one.lower, one.upper, one.target) if value is not None]
    if not any(one.score is not None for one in scores):
        return None
    return _scale(min(values), max(values), 0.12, _EDGE, WIDTH - _EDGE)


def _scale(low: float, high: float, margin: float, start: float, end: float) -> Scale:
    spread = (high - low) or abs(high) or 1.0
    return Scale(low - margin * spread, high + margin * spread, start, end)


def gauge(score: ScoreReport, scale: Scale) -> str:
    """The interval as a bar with the score on it, and the objective as a line with the bad side shaded."""
    if score.score is None or score.lower is None or score.upper is None:
        return ""
    decimals = words.decimals_for(score.lower, score.upper, score.score)
    told = f"95 % interval {words.span(score.lower, score.upper, decimals)}"
    parts = []
    if score.target is not None:
        at = scale.at(score.target)
        zone = (at, WIDTH - at) if score.direction == "at_most" else (0.0, at)
        told += f", objective {'at most' if score.direction == 'at_most' else 'at least'} {words.plain(score.target)}"
        parts.append(f'<rect class="zone" x="{_n(zone[0])}" y="1" width="{_n(zone[1])}" height="18"/>')
        parts.append(f'<path class="ob" d="M{_n(at)} 0V20"/>')
    left, right = scale.at(score.lower), scale.at(score.upper)
    parts.append(f'<path class="iv" d="M{_n(left)} 10H{_n(max(right, left + 0.1))}"/>')
    parts.append(f'<path class="pt" d="M{_n(scale.at(score.score))} 10h.1"/>')
    inner = f'<path class="ax" d="M0 10H240"/>{"".join(parts)}'
    return _svg("g", told, _GAUGE_HEIGHT, inner)


def trend(past: TrendReport) -> str:
    """The score as a line over its interval as a band, broken where nothing is known; the objective dashed."""
    known = [value for value in past.scores if value is not None]
    if not known:
        return ""
    values = [*known, *((past.target,) if past.target is not None else ())]
    scale = _scale(min(values), max(values), 0.15, _TREND_HEIGHT - 2, 2)
    step = WIDTH / len(past.scores)
    line, band = [], []
    for run in _runs(past):
        points = [(_n((place + 0.5) * step), *interval) for place, interval in run]
        line.append(
            "M" + "L".join(f"{x} {_n(scale.at(score))}" for x, score, _, _ in points) + ("h.1" if len(run) == 1 else "")
        )
        if len(run) > 1:
            over = [f"{x} {_n(scale.at(upper))}" for x, _, _, upper in points]
            under = [f"{x} {_n(scale.at(lower))}" for x, _, lower, _ in reversed(points)]
            band.append("M" + "L".join(over + under) + "Z")
    objective = ""
    if past.target is not None:
        objective = f'<path class="od" d="M0 {_n(scale.at(past.target))}H240"/>'
    return _svg(
        "r",
        trend_words(past),
        _TREND_HEIGHT,
        f'<path class="bd" d="{"".join(band)}"/>{objective}<path class="ln" d="{"".join(line)}"/>',
    )


def trend_words(past: TrendReport) -> str:
    """What a trend shows, for those who do not see it."""
    known = [value for value in past.scores if value is not None]
    length = words.duration(past.step_seconds * len(past.scores))
    decimals = words.decimals_for(min(known), max(known), *known) if known else 0
    low, high, last = (words.number(value, decimals) for value in (min(known), max(known), known[-1]))
    missing = len(past.scores) - len(known)
    gaps = f"; unknown in {missing} of {len(past.scores)}" if missing else ""
    name = past.metric.replace("_", " ")
    return f"{name} over {length}, every {words.duration(past.step_seconds)}: from {low} to {high}, last {last}{gaps}"


def distribution(found: DistributionReport, title: str) -> str:
    """Shares of the bins now as bars, of the reference as a line in steps; bins that both lack are left out."""
    shares = [
        (now, then) for now, then in zip(found.shares, found.reference_shares, strict=True) if now > 0 or then > 0
    ]
    if not shares:
        return ""
    scale = Scale(0.0, max(map(max, shares)), _BARS_HEIGHT, 2)
    step = WIDTH / len(shares)
    bars = "".join(
        f"M{_n((place + _GAP) * step)} 40V{_n(scale.at(now))}H{_n((place + 1 - _GAP) * step)}V40Z"
        for place, (now, _) in enumerate(shares)
        if now > 0
    )
    line = "".join(
        f"{'V' if place else 'M0 '}{_n(scale.at(then))}H{_n((place + 1) * step)}"
        for place, (_, then) in enumerate(shares)
    )
    return _svg("d", title, _BARS_HEIGHT, f'<path class="br" d="{bars}"/><path class="st" d="{line}"/>')


def _runs(past: TrendReport) -> Iterator[list[tuple[int, tuple[float, float, float]]]]:
    """Stretches in a row that are known: (place, (score, lower, upper))."""
    run: list[tuple[int, tuple[float, float, float]]] = []
    for place, (score, lower, upper) in enumerate(zip(past.scores, past.lower, past.upper, strict=True)):
        if score is None:
            if run:
                yield run
            run = []
        else:
            run.append((place, (score, score if lower is None else lower, score if upper is None else upper)))
    if run:
        yield run


def _svg(kind: str, title: str, height: float, inner: str) -> str:
    return (
        f'<svg class="{kind}" role="img" viewBox="0 0 240 {_n(height)}" preserveAspectRatio="none">'
        f"<title>{text(title, 400)}</title>{inner}</svg>"
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if math.isfinite(value) else "0"
