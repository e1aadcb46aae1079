"""`tidegauge verdict`: what Prometheus knows of a release, as an exit status for a step of a pipeline.

It knows the names and labels of the exporter's release families, and nothing else of the exporter. Whatever it cannot
find out is "keep watching", never "promote" or "roll back".
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

PROMOTE, ROLL_BACK, KEEP_WATCHING = "promote", "roll_back", "keep_watching"
STATUS = {PROMOTE: 0, ROLL_BACK: 1, KEEP_WATCHING: 2}

# The labels that the release families have; all others say which exporter it was.
_OWN = frozenset(
    ("__name__", "model", "version", "baseline_version", "channel", "metric", "design", "verdict", "hypothesis", "arm")
)
_PREFIX = "model_release_"

Series = tuple[Mapping[str, str], float]


class NoAnswer(Exception):
    """Prometheus did not answer the question; the text says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known of one metric of one channel; None for what is not published."""

    channel: str
    metric: str
    design: str
    verdict: str | None
    difference: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    evidence: Mapping[str, tuple[float | None, float | None]]  # hypothesis -> (evidence, threshold)
    samples: Mapping[str, float | None]  # arm -> rows
    samples_needed: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one exporter says of the version, compared with one baseline."""

    exporter: Mapping[str, str]  # the labels that Prometheus or its configuration added
    baseline: str
    verdict: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict over all exporters, and what it is made of."""

    verdict: str
    reason: str
    comparisons: tuple[Comparison, ...] = ()


class Prometheus:
    """The query API of a Prometheus, or of something that answers as it does."""

    def __init__(
        self, url: str, *, timeout: float = 10.0, bearer_token_file: Path | None = None, ca_file: Path | None = None
    ) -> None:
        """`url` may have a path; `timeout` in seconds. Raises ValueError for what is no URL, OSError for the files."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http or https URL: {_plain(url)}")
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        self._query = url.split("?")[0].split("#")[0].rstrip("/") + "/api/v1/query"
        self._timeout = timeout
        self._token_file = bearer_token_file
        self._session = requests.Session()
        for file in filter(None, (bearer_token_file, ca_file)):
            file.read_bytes()
        if bearer_token_file is not None:
            self._session.auth = self._authorize
        self._verify = True if ca_file is None else str(ca_file)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert self._token_file is not None
        token = self._token_file.read_text().strip()  # each time: tokens are replaced while we wait
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    def ask(self, query: str) -> list[Series]:
        """An instant vector. Raises NoAnswer."""
        try:
            response = self._session.get(
                self._query, params={"query": query}, timeout=self._timeout, verify=self._verify
            )
        except (requests.RequestException, OSError, ValueError) as error:
            raise NoAnswer(f"no answer from {self.name}: {_cause(error)}") from error
        try:
            answer = response.json()
            if answer["status"] != "success":
                raise NoAnswer(f"{self.name} refused the query: {_plain(str(answer.get('error')))}")
            found: list[Series] = [
                (dict(series["metric"]), float(series["value"][1])) for series in answer["data"]["result"]
            ]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise NoAnswer(f"{self.name} answered {response.status_code}, not as Prometheus does") from error
        if answer.get("warnings"):
            raise NoAnswer(f"{self.name} warns that its answer may be partial: {_plain(str(answer['warnings'][0]))}")
        return found


def quoted(value: str) -> str:
    """A string of PromQL, for label values with whatever characters."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def ask(prometheus: Prometheus, model: str, version: str) -> Answer:
    """What is known now. Raises NoAnswer."""
    where = f"model={quoted(model)},version={quoted(version)}"
    series = prometheus.ask(f'{{__name__=~"{_PREFIX}.+",{where}}}')
    comparisons = _comparisons(series)
    if not comparisons:
        return Answer(KEEP_WATCHING, _why_nothing(prometheus, model, version))
    said = {comparison.verdict for comparison in comparisons}
    verdict = ROLL_BACK if ROLL_BACK in said else PROMOTE if said == {PROMOTE} else KEEP_WATCHING
    return Answer(verdict, _reason(verdict, comparisons), comparisons)


def wait(
    look: Callable[[], Answer],
    *,
    seconds: float,
    interval: float,
    tell: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """The first verdict that is not "keep watching", or the last answer within `seconds` (0: a single look).

    What Prometheus does not answer is an answer too: keep watching, and why. `tell` gets a line whenever that changes.
    """
    deadline = clock() + seconds
    told = ""
    while True:
        try:
            answer = look()
        except NoAnswer as error:
            answer = Answer(KEEP_WATCHING, str(error))
        left = deadline - clock()
        if answer.verdict != KEEP_WATCHING or left <= 0:
            return answer
        if answer.reason != told:
            told = answer.reason
            tell(f"keep watching: {told}")
        sleep(min(interval, left))


def as_json(model: str, version: str, answer: Answer) -> str:
    """The answer as one JSON object; what is unknown is null."""
    return json.dumps(
        {
            "model": model,
            "version": version,
            "verdict": answer.verdict,
            "reason": answer.reason,
            "comparisons": [
                {
                    "exporter": dict(comparison.exporter),
                    "baseline_version": comparison.baseline,
                    "verdict": comparison.verdict,
                    "measures": [
                        {
                            "channel": measure.channel,
                            "metric": measure.metric,
                            "design": measure.design,
                            "verdict": measure.verdict,
                            "difference": measure.difference,
                            "lower": measure.lower,
                            "upper": measure.upper,
                            "margin": measure.margin,
                            "evidence": {
                                hypothesis: {"value": value, "threshold": threshold}
                                for hypothesis, (value, threshold) in measure.evidence.items()
                            },
                            "samples": dict(measure.samples),
                            "samples_needed": measure.samples_needed,
                        }
                        for measure in comparison.measures
                    ],
                }
                for comparison in answer.comparisons
            ],
        },
        indent=2,
    )


def as_text(model: str, version: str, answer: Answer) -> str:
    """The answer for people."""
    lines = [f"{_plain(model)} {_plain(version)}: {answer.verdict.replace('_', ' ')}, {answer.reason}"]
    for comparison in answer.comparisons:
        place = ", ".join(f"{name}={value}" for name, value in sorted(comparison.exporter.items()))
        said = comparison.verdict.replace("_", " ")
        lines.append("")
        lines.append(_plain(f"against {comparison.baseline}{f' ({place})' if place else ''}: {said}"))
        lines += _table(comparison.measures)
    return "\n".join(lines)


def run(
    model: str, version: str, prometheus: Prometheus, *, seconds: float, interval: float, output: str = "text"
) -> int:
    """Asks, waits, prints; the exit status. Times in seconds."""
    answer = wait(
        lambda: ask(prometheus, model, version),
        seconds=seconds,
        interval=interval,
        tell=lambda line: print(f"tidegauge: {line}", file=sys.stderr, flush=True),
    )
    print((as_json if output == "json" else as_text)(model, version, answer), flush=True)
    return STATUS[answer.verdict]


def _comparisons(series: Sequence[Series]) -> tuple[Comparison, ...]:
    """One for each exporter and baseline that gives an overall verdict."""
    groups: dict[tuple[frozenset[tuple[str, str]], str], list[Series]] = defaultdict(list)
    for labels, value in series:
        others = frozenset((name, text) for name, text in labels.items() if name not in _OWN)
        groups[others, labels.get("baseline_version", "")].append((labels, value))
    found = []
    for (others, baseline), mine in sorted(groups.items(), key=lambda item: (sorted(item[0][0]), item[0][1])):
        verdicts: dict[tuple[str, str], set[str]] = defaultdict(set)
        for labels, value in mine:
            if labels["__name__"] == f"{_PREFIX}verdict":
                said = verdicts[labels.get("channel", ""), labels.get("metric", "")]
                if value == 1:
                    said.add(labels.get("verdict", ""))
        if ("", "overall") in verdicts:
            overall = _single(verdicts["", "overall"]) or KEEP_WATCHING
            found.append(Comparison(dict(sorted(others)), baseline, overall, _measures(mine, verdicts)))
    return tuple(found)


def _measures(series: Sequence[Series], verdicts: Mapping[tuple[str, str], set[str]]) -> tuple[Measure, ...]:
    numbers: dict[tuple[str, str], dict[tuple[str, str], float | None]] = defaultdict(dict)
    designs: dict[tuple[str, str], str] = {}
    for labels, value in series:
        key = labels.get("channel", ""), labels.get("metric", "")
        name = labels["__name__"].removeprefix(_PREFIX)
        if not key[1] or key == ("", "overall") or name == "verdict":
            continue
        designs.setdefault(key, "")
        designs[key] = labels.get("design") or designs[key]
        numbers[key][name, labels.get("hypothesis") or labels.get("arm", "")] = value if math.isfinite(value) else None
    measures = []
    for key in sorted(designs.keys() | (verdicts.keys() - {("", "overall")})):
        known = numbers[key]
        measures.append(
            Measure(
                channel=key[0],
                metric=key[1],
                design=designs.get(key, ""),
                verdict=_single(verdicts.get(key, set())),
                difference=known.get(("difference", "")),
                lower=known.get(("difference_lower", "")),
                upper=known.get(("difference_upper", "")),
                margin=known.get(("margin", "")),
                evidence={
                    hypothesis: (known.get(("evidence", hypothesis)), known.get(("evidence_threshold", hypothesis)))
                    for hypothesis in ("harm", "non_inferiority")
                },
                samples={arm: known.get(("samples", arm)) for arm in ("candidate", "baseline")},
                samples_needed=known.get(("samples_needed", "")),
            )
        )
    return tuple(measures)


def _single(said: set[str]) -> str | None:
    """The one verdict that holds; None where there is none, or none that can be trusted."""
    return next(iter(said)) if len(said) == 1 and said <= STATUS.keys() else None


def _why_nothing(prometheus: Prometheus, model: str, version: str) -> str:
    known = {
        labels.get("version", ""): labels.get("baseline_version", "")
        for labels, _ in prometheus.ask(f"model_version_info{{model={quoted(model)}}}")
    }
    if not known:
        return f'Prometheus knows no model "{_plain(model)}"'
    if version not in known:
        return f'"{_plain(model)}" has no version "{_plain(version)}"; there are: {_plain(", ".join(sorted(known)))}'
    if not known[version]:
        return f'version "{_plain(version)}" is compared with no other'
    return f'version "{_plain(version)}" is not compared with "{_plain(known[version])}" yet, or no longer'


def _reason(verdict: str, comparisons: Sequence[Comparison]) -> str:
    total = len(comparisons)
    of = "" if total == 1 else f", says each of {total} exporters"
    if verdict == PROMOTE:
        return f"it is not worse than the margin allows{of}"
    if verdict == ROLL_BACK:
        worse = {m.metric for c in comparisons if c.verdict == ROLL_BACK for m in c.measures if m.verdict == ROLL_BACK}
        mine = sum(comparison.verdict == ROLL_BACK for comparison in comparisons)
        by = "" if total == 1 else f", say{'s' if mine == 1 else ''} {mine} of {total} exporters"
        where = f" in {_plain(', '.join(sorted(worse)))}" if worse else ""
        return f"it is worse{where}{by}"
    undecided = sum(comparison.verdict == KEEP_WATCHING for comparison in comparisons)
    return "the evidence does not decide yet" + ("" if total == 1 else f" for {undecided} of {total} exporters")


def _table(measures: Sequence[Measure]) -> list[str]:
    if not measures:
        return []
    rows = [
        ("metric", "channel", "verdict", "difference", "interval", "margin", "harm", "no harm", "rows", "needed"),
        *(
            (
                measure.metric + (" (before/after)" if measure.design == "before_after" else ""),
                measure.channel or "-",
                (measure.verdict or "-").replace("_", " "),
                _number(measure.difference, "+.4g"),
                "-"
                if measure.lower is None or measure.upper is None
                else f"{_number(measure.lower, '+.4g')} to {_number(measure.upper, '+.4g')}",
                _number(measure.margin),
                *(_of(*measure.evidence[hypothesis]) for hypothesis in ("harm", "non_inferiority")),
                f"{_number(measure.samples['candidate'], ',.0f')} / {_number(measure.samples['baseline'], ',.0f')}",
                _number(measure.samples_needed, ",.0f"),
            )
            for measure in measures
        ),
    ]
    rows = [tuple(map(_plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _number(value: float | None, form: str = ".4g") -> str:
    return "-" if value is None else format(value, form)


def _of(evidence: float | None, threshold: float | None) -> str:
    return "-" if evidence is None else f"{evidence:.3g} of {_number(threshold, '.3g')}"


def _plain(text: str) -> str:
    """Text from elsewhere, with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _cause(error: BaseException) -> str:
    """The innermost reason; what requests wraps around it repeats the address."""
    if isinstance(error, requests.Timeout):
        return "it took too long"
    if isinstance(error, requests.exceptions.SSLError):
        return _plain(f"TLS failed: {_innermost(error)}")
    return _plain(str(_innermost(error)))


def _innermost(error: BaseException) -> Any:
    while True:
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            return getattr(error, "strerror", None) or error
        error = inner
