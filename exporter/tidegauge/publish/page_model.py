"""One model in detail: its versions side by side, each with its score, its recent past, feedback and slices."""

from __future__ import annotations

from datetime import datetime

from tidegauge.publish import words
from tidegauge.publish.charts import Scale, common_scale, gauge, trend
from tidegauge.publish.drift_words import DRIFT_LABELS, broken_features, schema_summary
from tidegauge.publish.markup import link, name, sentence, table, text, tight, visible
from tidegauge.publish.page_drift import DRIFT_SHAPES, drift
from tidegauge.publish.page_outlook import outlook
from tidegauge.publish.report import (
    CoverageReport,
    ModelReport,
    ScoreReport,
    SliceReport,
    TrendReport,
    VersionReport,
)
from tidegauge.publish.summaries import LABELS, metric_words, objective_words

SHAPES = {
    "missed": "▲",
    "silent": "■",
    "idle": "□",
    "uncertain": "◆",
    "unknown": "○",
    "no_objective": "–",
    "met": "●",
}
SHOWN_SLICES = 12
"""The worst; /api/v1/status has more."""


def chip(verdict: str) -> str:
    """A verdict by shape, word and colour."""
    return _chip(verdict, SHAPES[verdict], LABELS[verdict])


def _chip(kind: str, shape: str, label: str) -> str:
    return f'<span class="c {kind}"><span aria-hidden="true">{shape}</span> {label}</span>'


def data_chip(*versions: VersionReport) -> str:
    """Beside the verdict, where a feature of these versions is broken: labels that tell of it are still to come."""
    if not any(map(broken_features, versions)):
        return ""
    return f" {_chip('broken', DRIFT_SHAPES['broken'], DRIFT_LABELS['broken'])}"


def model_section(model: ModelReport, number: int, now: datetime, *, unfolded: bool) -> str:
    """The section of the model of that number; `unfolded`: with its tables open. `now` is what "ago" counts from."""
    about = [words_of_task(model)]
    if model.owner:
        about.append(f"owned by {name(model.owner)}")
    about += [
        f"{name(one.name)}: {text(one.kind)} feedback, scored after {words.duration(one.maturity_seconds)}"
        for one in model.channels
    ]
    board = f" {link(model.dashboard, 'Dashboard', f'of {visible(model.name)}')}" if model.dashboard else ""
    changed = schema_summary(model.vanished_features, model.new_features)
    schema = f'<p class="rl warning">{sentence(changed)}.</p>' if changed else ""
    scales = _scales(model)
    cards = "".join(
        _version(model, one, f"m{number}v{place}", scales, now, unfolded=unfolded)
        for place, one in enumerate(model.versions, 1)
    )
    return (
        f'<section class="m {model.verdict}" aria-labelledby="m{number}"><div class="a"><h3 id="m{number}">'
        f"{name(model.name)}</h3>{chip(model.verdict)}{data_chip(*model.versions)}"
        f'<span class="q">{" · ".join(about)}</span>{board}</div>{schema}'
        f'<div class="vs">{cards or "<p>No predictions yet.</p>"}</div></section>'
    )


def words_of_task(model: ModelReport) -> str:
    """ "binary classification"."""
    kinds = {"binary": "binary classification", "multiclass": "multiclass classification", "text": "texts"}
    return kinds.get(model.task, text(model.task))


def _scales(model: ModelReport) -> dict[tuple[str, str], Scale | None]:
    by_pair: dict[tuple[str, str], list[ScoreReport]] = {}
    for version in model.versions:
        if version.headline is not None:
            by_pair.setdefault((version.headline.channel, version.headline.metric), []).append(version.headline)
    return {pair: common_scale(scores) for pair, scores in by_pair.items()}


def _version(
    model: ModelReport,
    version: VersionReport,
    anchor: str,
    scales: dict[tuple[str, str], Scale | None],
    now: datetime,
    *,
    unfolded: bool,
) -> str:
    who = visible(version.name)
    away = [link(version.dashboard, "Dashboard", f"of version {who}")] if version.dashboard else []
    away += [link(version.runbook, "Runbook", f"for version {who}")] if version.runbook else []
    several = len(model.channels) > 1
    parts = [
        f'<article class="v {version.verdict}" aria-labelledby="{anchor}"><div class="a"><h4 id="{anchor}">'
        f"{name(version.name)}</h4>{chip(version.verdict)}{data_chip(version)}{' '.join(away)}</div>",
        outlook(model, version, unfolded=unfolded),
        drift(model, version, unfolded=unfolded),
        '<div class="g2"><div>',
        _headline(version, scales, several=several),
        _past(version, several=several),
        "</div><div>",
        _facts(version, now),
        _scores(model, version, unfolded=unfolded),
        _slices(model, version, unfolded=unfolded),
        _proxies(model, version, unfolded=unfolded),
        "</div></div></article>",
    ]
    return "".join(parts)


def _headline(version: VersionReport, scales: dict[tuple[str, str], Scale | None], *, several: bool) -> str:
    score = version.headline
    if score is None or score.score is None:
        return f"<p>{sentence(_capital(version.summary))}.</p>"
    decimals = words.decimals_for(score.lower, score.upper, score.score)
    scale = scales.get((score.channel, score.metric))
    drawn = f"<figure>{gauge(score, scale)}{_promise(score)}</figure>" if scale is not None else ""
    more = f"<p>{sentence(_capital(version.summary))}.</p>" if _needs_words(version, score) else ""
    return (
        f'<p class="b"><b>{words.number(score.score, decimals)}</b><span>'
        f"{words.span(score.lower, score.upper, decimals)}</span>"
        f'<span class="q">{text(metric_words(score, several=several))} {sentence(words.window_words(score.window))}, '
        f"{words.amount(score.samples, 'sample')}</span></p>{drawn}{more}"
    )


def _promise(score: ScoreReport) -> str:
    objective = objective_words(score)
    return f"<figcaption>objective {objective}</figcaption>" if objective else ""


def _needs_words(version: VersionReport, score: ScoreReport) -> bool:
    """Whether number, interval, objective and chip do not say everything."""
    return version.verdict in ("silent", "unknown") or score.state != "ok"


def _past(version: VersionReport, *, several: bool) -> str:
    drawn = []
    for past in version.trends:
        picture = trend(past)
        if picture:
            which = f"{metric_words(past, several=several)}, " if len(version.trends) > 1 else ""
            drawn.append(f"<figure>{picture}{_caption(past, which)}</figure>")
    return "".join(drawn)


def _caption(past: TrendReport, which: str) -> str:
    known = [value for value in past.scores if value is not None]
    decimals = words.decimals_for(min(known), max(known), *known)
    length = words.duration(past.step_seconds * len(past.scores))
    span = f"{words.number(min(known), decimals)} to {words.number(max(known), decimals)}"
    return (
        f"<figcaption><span>{text(which)}last {length} by {words.duration(past.step_seconds)}</span>"
        f"<span>{span}</span></figcaption>"
    )


def _facts(version: VersionReport, now: datetime) -> str:
    facts = []
    channels = list(dict.fromkeys(one.channel for one in version.coverage))
    for channel in channels:
        which = f" {name(channel)}" if len(channels) > 1 else ""
        rolling = [one for one in version.coverage if one.channel == channel and one.window_seconds is not None]
        facts.append((f"Labelled{which}", "; ".join(_coverage(one) for one in rolling)))
        delay = next((one for one in version.delays if one.channel == channel), None)
        if delay is not None and delay.median_seconds is not None and delay.p95_seconds is not None:
            half, most = words.duration(delay.median_seconds), words.duration(delay.p95_seconds)
            facts.append((f"Label delay{which}", f"half within {half}, 95 % within {most}"))
    made = next((one for one in version.coverage if one.predictions is not None), None)
    lately = f"; {words.count(made.predictions or 0)} in {text(words.window_span(made.window))}" if made else ""
    facts.append(("Predictions", f"{words.count(version.predictions)} so far{lately}"))
    if version.errors:
        facts.append(("Errors", f"{words.percent(version.errors / max(version.predictions, 1))} gave no answer"))
    if version.last_prediction_at is not None:
        facts.append(("Last one", words.ago(version.last_prediction_at, now)))
    return "<dl>" + "".join(f"<dt>{title}</dt><dd>{tight(fact)}</dd>" for title, fact in facts) + "</dl>"


def _coverage(part: CoverageReport) -> str:
    window = text(words.window_span(part.window))
    if part.ratio is None:
        return f"none old enough in {window}"
    return f"{words.percent(part.ratio)} of {words.count(part.mature_predictions)} in {window}"


def _called(model: ModelReport, version: VersionReport) -> str:
    """Model and version, so that no two tables of the page have one name."""
    return f"{text(model.name, 60)} {text(version.name, 60)}"


def _scores(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    rolling = [one for one in version.scores if one.window_seconds is not None]
    if not rolling:
        return ""
    windows = list(dict.fromkeys(one.window for one in rolling))
    by_place = {(one.channel, one.metric, one.window): one for one in rolling}
    several = len(model.channels) > 1
    rows = []
    for channel, metric in dict.fromkeys((one.channel, one.metric) for one in rolling):
        first = by_place[channel, metric, windows[0]]
        title = text(metric.replace("_", " "))
        objective = objective_words(first)
        title += f" <small>{objective}</small>" if objective else ""
        cells = [by_place.get((channel, metric, window)) for window in windows]
        rows.append([title, *([name(channel)] if several else []), *map(_score_cell, cells)])
    titles = ["Score", *(["Channel"] if several else []), *(f"last {text(words.window_span(one))}" for one in windows)]
    caption = f"Scores of {_called(model, version)} with 95 % intervals"
    body = table(caption, titles, rows, lambda column: column > int(several))
    opened = " open" if unfolded else ""
    return f"<details{opened}><summary>All scores ({len(rows)})</summary>{body}</details>"


def _score_cell(score: ScoreReport | None) -> str:
    if score is None:
        return ""
    if score.score is None:
        return f'<span class="q">{text(score.state.replace("_", " "))}</span>'
    decimals = words.decimals_for(score.lower, score.upper, score.score)
    mark = ""
    if score.verdict == "missed":
        mark = f'{_shape(score.verdict)}<span class="h">missed: </span>'
    few = " few samples" if score.state == "insufficient_samples" else ""
    interval = words.span(score.lower, score.upper, decimals)
    return f"{mark}{words.number(score.score, decimals)} <small>{interval}{few}</small>"


def _slices(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    if not version.slices:
        return ""
    worst = version.slices[0]
    shown = version.slices[:SHOWN_SLICES]
    told = (
        f"worst {name(worst.key)} {name(worst.value)} {_slice_score(worst)}" if worst.score is not None else "no score"
    )
    metric = text(worst.metric.replace("_", " "))
    caption = f"{metric} of {_called(model, version)} by slice {text(words.window_words(worst.window))}, worst first"
    titles = ["Slice", metric, "95 %", "Samples"]
    rows = [
        [
            f'{_slice_verdict(one)}<span class="q">{name(one.key)}</span> {name(one.value)}',
            _slice_score(one),
            words.span(one.lower, one.upper, _slice_decimals(one)),
            words.count(one.samples) + ("<small> few</small>" if one.state == "insufficient_samples" else ""),
        ]
        for one in shown
    ]
    rest = len(version.slices) - len(shown)
    more = f'<p class="q">and {rest} more; see /api/v1/status.</p>' if rest else ""
    body = table(caption, titles, rows, lambda column: column > 0)
    opened = " open" if unfolded else ""
    return f"<details{opened}><summary>Slices ({len(version.slices)}): {told}</summary>{body}{more}</details>"


def _slice_decimals(one: SliceReport) -> int:
    return words.decimals_for(one.lower, one.upper, one.score)


def _slice_score(one: SliceReport) -> str:
    return words.number(one.score, _slice_decimals(one))


def _slice_verdict(one: SliceReport) -> str:
    if one.verdict == "no_objective":
        return ""
    return f'{_shape(one.verdict)}<span class="h">{one.verdict}: </span>'


def _shape(verdict: str) -> str:
    return f'<span class="{verdict}"><span class="i" aria-hidden="true">{SHAPES[verdict]}</span></span>'


def _proxies(model: ModelReport, version: VersionReport, *, unfolded: bool) -> str:
    proxies = version.proxies
    if not proxies:
        return ""
    rows = []
    for one in proxies:
        decimals = words.decimals_for(one.lower, one.upper, one.score)
        samples = "" if one.samples is None else words.count(one.samples)
        cells = [words.number(one.score, decimals), words.span(one.lower, one.upper, decimals), samples]
        rows.append([name(one.signal), text(words.window_span(one.window)), *cells])
    titles = ["Signal", "Window", "Value", "95 %", "Samples"]
    body = table(f"Proxy signals of {_called(model, version)}", titles, rows, lambda column: column > 1)
    opened = " open" if unfolded else ""
    return f"<details{opened}><summary>Proxy signals ({len({one.signal for one in proxies})})</summary>{body}</details>"


def _capital(told: str) -> str:
    return told[:1].upper() + told[1:]
