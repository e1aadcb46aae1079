"""The page for people: first what is wrong, then what is wrong with the exporter, then every model in detail.

Plain HTML in one piece, without scripts, pictures or anything from elsewhere. Everything shown may be hostile and
passes through `markup`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from tidegauge.publish import words
from tidegauge.publish.drift_words import DRIFT_LABELS, DRIFT_STATES, broken_features
from tidegauge.publish.markup import advice, link, name, sentence, table, text, visible
from tidegauge.publish.outlook_words import CHANGE_LABELS, CHANGE_STATES, RELEASE_LABELS, RELEASE_VERDICTS
from tidegauge.publish.page_drift import DRIFT_SHAPES, drift_news
from tidegauge.publish.page_model import SHAPES, chip, data_chip, model_section
from tidegauge.publish.page_outlook import OUTLOOK_SHAPES, news
from tidegauge.publish.report import ExporterReport, ModelReport, ProblemReport, Report, VersionReport
from tidegauge.publish.style import HASH, STYLE
from tidegauge.publish.summaries import LABELS, STATES, VERDICTS

CONTENT_TYPE = "text/html; charset=utf-8"
HEADERS = (
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
)
UNFOLDED_VERSIONS = 2
"""With so few versions in all, their tables are open from the start."""
STALE_REFRESHES = 6
STALE_SECONDS = 60.0
_LINKS = (("/metrics", "Metrics"), ("/api/v1/status", "JSON"), ("/-/healthy", "Healthy?"), ("/-/ready", "Ready?"))


def render_page(report: Report, now: datetime) -> bytes:
    """The page as UTF-8 HTML; `now` is what "ago" is counted from."""
    models = sorted(enumerate(report.models, 1), key=lambda one: _rank(one[1]))
    unfolded = sum(len(model.versions) for model in report.models) <= UNFOLDED_VERSIONS
    # With the clock of the logs, what they tell is long ago by the wall's.
    moment = report.exporter.clock_at if report.exporter.clock == "log" else now
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{_title(report)}</title><style>{STYLE}</style></head><body>",
        _header(report.exporter, now),
        f'<main><p class="say">{_verdict(report)}</p>',
        _reading(report),
        _glance(models),
        _findings([one for one in report.problems if one.about == "model"]),
        _problems(_stale(report.exporter, now) + _of_exporter(report), ready=report.exporter.ready),
        '<h2 id="models">Models in detail</h2>' if models else "",
        *(model_section(model, number, moment or now, unfolded=unfolded) for number, model in models),
        _input(report),
        _glossary(),
        "</main>",
        _footer(report.exporter),
        "</body></html>\n",
    ]
    return "".join(parts).encode("utf-8", "backslashreplace")


def _rank(model: ModelReport) -> tuple[int, bool]:
    """What somebody on call wants to see first; broken data comes right after a missed objective."""
    place = list(LABELS).index(model.verdict)
    return (min(place, 1), False) if _is_broken(model) else (place, True)


def _is_broken(model: ModelReport) -> bool:
    return any(map(broken_features, model.versions))


def _title(report: Report) -> str:
    worst = {model.verdict for model in report.models}
    verdict = next((one for one in LABELS if one in worst), None)
    if _to_roll_back(report.models):
        return f"{RELEASE_LABELS['roll_back']} – Tidegauge"
    if _with_broken_data(report.models):
        return f"{DRIFT_LABELS['broken']} – Tidegauge"
    return f"{LABELS[verdict]} – Tidegauge" if verdict else "Tidegauge"


def _header(exporter: ExporterReport, now: datetime) -> str:
    told = "Not refreshed yet."
    if exporter.refreshed_at is not None:
        at = exporter.refreshed_at
        told = f'As of <time datetime="{at.isoformat()}">{words.clock(at)}</time>, {words.ago(at, now)}.'
    return f'<header><h1>Tidegauge</h1><p>{told}</p><nav aria-label="Page"><a href="/">Reload</a></nav></header>'


def _verdict(report: Report) -> str:
    """The first sentence: is anything wrong?"""
    if not report.exporter.ready:
        told = "Starting: the logs are being read."
    elif not report.models:
        told = "Nothing to judge: no predictions have been read yet."
    else:
        told = f"{_of_models(report.models)}."
    back = _to_roll_back(report.models)
    if back:
        first = "A release is to be rolled back." if back == 1 else f"{back} releases are to be rolled back."
        told = f"{first} {told}"
    broken = _with_broken_data(report.models)
    if broken:
        told += f" {words.amount(broken, 'version gets', 'versions get')} broken data."
    worse = sum(_gets_worse(version) for model in report.models for version in model.versions)
    if worse:
        told += f" {words.amount(worse, 'version gets', 'versions get')} worse."
    own = _of_exporter(report)
    errors = sum(problem.severity == "error" for problem in own)
    if errors:
        told += f" The exporter has {words.amount(errors, 'error')}."
    elif own:
        told += f" The exporter has {words.amount(len(own), 'warning')}."
    return told


def _to_roll_back(models: tuple[ModelReport, ...]) -> int:
    versions = [version for model in models for version in model.versions]
    return sum(one.release is not None and one.release.verdict == "roll_back" for one in versions)


def _with_broken_data(models: tuple[ModelReport, ...]) -> int:
    versions = [version for model in models for version in model.versions]
    return sum(map(bool, map(broken_features, versions)))


def _gets_worse(version: VersionReport) -> bool:
    return bool(version.failing_slices) or any(one.state == "detected" for one in version.changes)


def _of_exporter(report: Report) -> list[ProblemReport]:
    return [problem for problem in report.problems if problem.about == "exporter"]


def _of_models(models: tuple[ModelReport, ...]) -> str:
    found = Counter(model.verdict for model in models)
    if len(models) == 1:
        alone = {
            "missed": "The model misses its objective",
            "silent": "The model gets no feedback",
            "idle": "The model makes no predictions",
            "uncertain": "The model may or may not meet its objective",
            "unknown": "It is not known yet how good the model is",
            "no_objective": "The model is measured, and has no objective",
            "met": "The model meets its objective",
        }
        return alone[models[0].verdict]
    said = {
        "missed": ("misses its objective", "miss their objectives"),
        "silent": ("gets no feedback", "get no feedback"),
        "idle": ("makes no predictions", "make no predictions"),
        "uncertain": ("is uncertain", "are uncertain"),
        "unknown": ("is not known yet", "are not known yet"),
        "no_objective": ("has no objective", "have no objective"),
        "met": ("is fine", "are fine"),
    }
    if len(found) == 1:
        verdict = models[0].verdict
        return f"All {len(models)} models {said[verdict][1] if verdict != 'met' else 'meet their objectives'}"
    parts = [f"{found[verdict]} {said[verdict][found[verdict] > 1]}" for verdict in LABELS if found[verdict]]
    return f"Of {len(models)} models, " + (parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}")


def _reading(report: Report) -> str:
    if report.exporter.ready:
        return ""
    left = sum(source.lag_bytes for source in report.sources)
    read = sum(source.read_bytes for source in report.sources)
    return (
        f'<p class="q">{words.size(read)} are read, {words.size(left)} are left. Scores are shown once everything that '
        "the logs held at the start has been read, so that no half-read window raises an alarm.</p>"
    )


def _glance(models: list[tuple[int, ModelReport]]) -> str:
    if not models:
        return ""
    items = []
    for number, model in models:
        owner = f'<span class="q">{name(model.owner)}</span>' if model.owner else ""
        lines = "".join(
            f'<li class="{one.verdict}"><span class="i" aria-hidden="true">{SHAPES[one.verdict]}</span>'
            f"{name(one.name)}: {sentence(one.summary)}</li>{news(one)}{drift_news(one)}"
            for one in sorted(model.versions, key=lambda one: list(LABELS).index(one.verdict))
        )
        chips = f"{chip(model.verdict)}{data_chip(*model.versions)}"
        # No green where data is broken.
        tone = "broken" if _is_broken(model) and model.verdict != "missed" else model.verdict
        items.append(
            f'<li class="{tone}"><div class="a"><a href="#m{number}">{name(model.name)}</a>'
            f"{chips}{owner}</div><ul>{lines or '<li>no predictions yet</li>'}</ul></li>"
        )
    told = f'<ul class="o">{"".join(items)}</ul>'
    return f'<section aria-labelledby="glance"><h2 id="glance">At a glance</h2>{told}</section>'


def _stale(exporter: ExporterReport, now: datetime) -> list[ProblemReport]:
    """What only the reader's time can show: that refreshes have stopped."""
    if exporter.refreshed_at is None:
        return []
    age = (now - exporter.refreshed_at).total_seconds()
    if age < max(STALE_SECONDS, STALE_REFRESHES * exporter.refresh_interval_seconds):
        return []
    message = f"Everything below is {words.duration(age)} old: refreshes have stopped."
    advice = "See the exporter's log; restart it if it does not come back."
    return [ProblemReport("stale", "error", "", message, advice, None, None)]


def _problems(problems: list[ProblemReport], *, ready: bool) -> str:
    if not problems:
        fine = "No problems: everything that the configuration names is being read, and the state is saved."
        told = f'<p class="q">{fine}</p>' if ready else ""
        return (
            f'<section aria-labelledby="problems"><h2 id="problems">The exporter</h2>{told}</section>' if told else ""
        )
    return _listed("problems", "Problems of the exporter", problems)


def _findings(problems: list[ProblemReport]) -> str:
    return _listed("findings", "What to do", problems) if problems else ""


def _listed(anchor: str, title: str, problems: list[ProblemReport]) -> str:
    items = "".join(_problem(problem) for problem in problems)
    return f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{title}</h2><ul class="p">{items}</ul></section>'


def _problem(problem: ProblemReport) -> str:
    shape, word = ("▲", "Error") if problem.severity == "error" else ("◆", "Warning")
    if problem.about == "model":
        word = "Act now" if problem.severity == "error" else "Look into it"
    subject = f"{name(problem.subject)}: " if problem.subject else ""
    away = f" {link(problem.runbook, 'Runbook', f'for {visible(problem.code)}')}" if problem.runbook else ""
    return (
        f'<li class="{problem.severity}"><p><span class="c"><span aria-hidden="true">{shape}</span> {word}</span> '
        f'{subject}{sentence(problem.message)}</p><p class="q">{advice(problem.advice)}{away}</p></li>'
    )


def _input(report: Report) -> str:
    sources = [
        [
            name(one.name),
            f"<code>{text(one.pattern, 400)}</code>",
            words.count(one.files),
            words.size(one.read_bytes),
            words.size(one.lag_bytes) if one.lag_bytes else "nothing",
            words.duration(one.lag_seconds) if one.lag_bytes else UP_TO_DATE,
        ]
        for one in report.sources
    ]
    titles = ["Source", "Files", "Followed", "Read", "Unread", "Behind by"]
    records = [
        [text(one.kind), text(one.result.replace("_", " ")), words.count(one.recent), words.count(one.count)]
        for one in report.records
        if one.count
    ]
    kinds = ["Records", "Result", "Last 15 min", "In all"]
    body = table("Where records come from", titles, sources, lambda column: column > 1) if sources else ""
    body += table("What became of records", kinds, records, lambda column: column > 1) if records else ""
    return f'<section aria-labelledby="input"><h2 id="input">What is read</h2><div class="box">{body}</div></section>'


UP_TO_DATE = "up to date"


def _glossary() -> str:
    verdicts = "".join(
        f'<dt class="{verdict}"><span class="i" aria-hidden="true">{SHAPES[verdict]}</span>{LABELS[verdict]}</dt>'
        f"<dd>{told}</dd>"
        for verdict, told in VERDICTS.items()
    )
    ahead = "".join(
        f'<dt class="{one}"><span class="i" aria-hidden="true">{shapes[one]}</span>{labels[one]}</dt><dd>{told}</dd>'
        for shapes, labels, meanings in (
            (OUTLOOK_SHAPES, RELEASE_LABELS, RELEASE_VERDICTS),
            (OUTLOOK_SHAPES, CHANGE_LABELS, CHANGE_STATES),
            (DRIFT_SHAPES, DRIFT_LABELS, DRIFT_STATES),
        )
        for one, told in meanings.items()
    )
    states = "".join(f"<dt>{state.replace('_', ' ')}</dt><dd>{text(told, 400)}</dd>" for state, told in STATES.items())
    return (
        '<section class="w" aria-labelledby="words"><h2 id="words">What the words mean</h2><div class="box">'
        f"<details><summary>Verdicts, and the states of scores</summary><dl>{verdicts}{ahead}{states}"
        "</dl><p>Intervals of scores are pointwise 95 %: they are for looking at, not for paging. Those of releases "
        "hold however often they are looked at, and so do the verdicts. A window ends one maturity ago, so that every "
        "prediction in it has had the time to get its label.</p></details></div></section>"
    )


def _footer(exporter: ExporterReport) -> str:
    links = "".join(f'<a href="{target}">{label}</a>' for target, label in _LINKS)
    links += "" if exporter.alerts is None else link(exporter.alerts, "Alerts")
    saved = (
        f"State saved {words.clock(exporter.saved_at)}." if exporter.saved_at is not None else "State not saved yet."
    )
    by_log = exporter.clock == "log" and exporter.clock_at is not None
    clock = f" Time is that of the logs: {words.clock(exporter.clock_at)}." if by_log else ""
    return (
        f'<footer><nav aria-label="Data">{links}</nav><p>Tidegauge {text(exporter.version)}, refreshed every '
        f"{words.duration(exporter.refresh_interval_seconds)}. {saved}{clock} Configuration: "
        f"<code>{text(exporter.config_file, 400)}</code></p></footer>"
    )


def utc_now() -> datetime:
    """The wall clock as the page wants it."""
    return datetime.now(UTC)
