"""Releases, by the exporter's own comparison of a version with its baseline: a version to roll back, one undecided.

The exporter's verdicts hold however often they are looked at; the rules add none of their own. With several exporters
one that says "roll back" is enough, and one that has not decided leaves it undecided.
"""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import (
    COUNT,
    NUMBER,
    PERCENT,
    SECONDS,
    TIME,
    VERSION,
    Alert,
    Group,
    Record,
    ask,
    fill,
    held,
    labels,
    shown,
)
from alerts.generator.traffic import LOST

RELEASE = (*VERSION, "baseline_version")
COMPARED = (*RELEASE, "channel", "metric")
_DESIGN = ("job", "instance", *COMPARED[1:], "design")


def group(parameters: Parameters) -> Group:
    """Records, then ModelReleaseRegressed and ModelReleaseUndecided."""
    return Group("tidegauge-releases", parameters.interval, (*_records(parameters), *_alerts(parameters)))


def _records(p: Parameters) -> tuple[Record, ...]:
    def record(name: str, expression: str) -> Record:
        more = {
            "release": labels(RELEASE),
            "compared": labels(COMPARED),
            "design": labels(_DESIGN),
            "before": p.undecided_before.milliseconds // 1000,
            "after": p.undecided_after.milliseconds // 1000,
            "least": p.undecided_least.milliseconds // 1000,
        }
        return Record(name, fill(expression, p, **more))

    return (
        record(
            "model_version:release_regressed:bool",
            """
            max by (<release>) (
              last_over_time(model_release_verdict{metric="overall", verdict="roll_back"}[<bridge>])
            )
            """,
        ),
        record(
            "model_version:release_start:timestamp",
            "min by (<release>) (last_over_time(model_release_start_timestamp_seconds[<bridge>]))",
        ),
        record(
            "model_version:release_end:timestamp",
            "max by (<release>) (last_over_time(model_release_end_timestamp_seconds[<bridge>]))",
        ),
        # How many samples a measure without a verdict seems to need, from the start. Only of labels: what comes
        # early may have no say in the release.
        record(
            "model_version:release_samples:expected",
            """
            max by (<compared>) (
              (
                  last_over_time(model_release_samples{arm="candidate", channel!=""}[<bridge>])
                + on (<design>) group_left ()
                  last_over_time(model_release_samples_needed[<bridge>])
              )
              and on (job, instance, <compared_in_job>)
                (last_over_time(model_release_verdict{verdict="keep_watching"}[<bridge>]) == 1)
            )
            and on (<release>)
              (time() - model_version:release_start:timestamp > <least>)
            """.replace("<compared_in_job>", labels(COMPARED[1:])),
        ),
        # 1: it has had several times as many as once seemed enough. Not the least of the estimates: each is a guess.
        record(
            "model_version:release_tried:bool",
            """
            max by (<release>) (
                max by (<compared>) (
                  last_over_time(model_release_samples{arm="candidate", channel!=""}[<bridge>])
                )
              >= bool on (<compared>)
                <undecided_tries> * (
                  quantile_over_time(0.1, model_version:release_samples:expected[<undecided_back>])
                  and on (<compared>) model_version:release_samples:expected
                )
            )
            or
              model_version:release_end:timestamp * 0
            """,
        ),
        # 1: it ends soon, or has just ended.
        record(
            "model_version:release_ending:bool",
            """
              (
                time() > bool
                  model_version:release_end:timestamp
                  - clamp_max(
                      <undecided_share>
                      * (model_version:release_end:timestamp - on (<release>) model_version:release_start:timestamp),
                      <before>
                    )
              )
            * on (<release>)
              (time() - model_version:release_end:timestamp < bool <after>)
            """,
        ),
        record(
            "model_version:release_undecided:bool",
            """
              max by (<release>) (
                last_over_time(model_release_verdict{metric="overall", verdict="keep_watching"}[<bridge>])
              )
            * on (<release>)
              (model_version:release_regressed:bool == bool 0)
            * on (<release>)
              (model_version:release_ending:bool + on (<release>) model_version:release_tried:bool > bool 0)
            """,
        ),
    )


def _alerts(p: Parameters) -> tuple[Alert, ...]:
    def expression(alert: str, verdict: str) -> str:
        return fill(held(alert, verdict, RELEASE, ended=LOST, ended_by=VERSION), p)

    return (
        Alert(
            "ModelReleaseRegressed",
            "critical",
            expression("ModelReleaseRegressed", "model_version:release_regressed:bool"),
            p.regressed_for,
            "A new version of a model is worse than the version it replaces: roll it back.",
            fill(_regressed(), p),
            "release",
            VERSION,
        ),
        Alert(
            "ModelReleaseUndecided",
            "warning",
            expression("ModelReleaseUndecided", "model_version:release_undecided:bool"),
            p.undecided_for,
            "It is still not known whether a new version of a model is worse.",
            fill(_undecided(), p),
            "release",
            VERSION,
        ),
    )


def _regressed() -> str:
    """Template text: the measures that roll back, each with the numbers of the exporter that is surest."""
    harm = 'hypothesis="harm"'
    measures = ask(
        "topk by (channel, metric) (1, "
        f"last_over_time(model_release_evidence{{<labels>,{harm}}}[<hold>]) "
        "and on (instance, channel, metric) "
        'last_over_time(model_release_verdict{<labels>,verdict="roll_back"}[<hold>]) == 1)',
        RELEASE,
    )
    by = ("instance", "channel", "metric", "design")
    return (
        "Model {{ $labels.model }}: version {{ $labels.version }} is worse than {{ $labels.baseline_version }}, and is "
        f'still asked. {{{{ range {measures} | sortByLabel "metric" }}}}{{{{ $measure := . }}}}{_NAMED}: '
        f"{_of('model_release_difference', by, NUMBER)}{_interval(by)}, "
        f"evidence {{{{ $measure | value | {NUMBER} }}}} where "
        f"{_of('model_release_evidence_threshold', by, NUMBER, harm)} is enough, from "
        f"{_samples(by)} "
        '({{ $measure | label "design" | reReplaceAll "_" " " }}). '
        "{{ else }}By which measure, is unknown. {{ end }}"
        "Differences are {{ $labels.version }} minus {{ $labels.baseline_version }}."
    )


def _undecided() -> str:
    """Template text: how the measures without a verdict stand, and what each of them lacks."""
    waiting = (
        'last_over_time(model_release_verdict{<labels>,metric!="overall",verdict="keep_watching"<more>}[<hold>]) == 1'
    )
    labelled, any_measure = waiting.replace("<more>", ',channel!=""'), waiting.replace("<more>", "")
    measures = ask(f"topk by (channel, metric) (1, ({labelled}) or on (job) ({any_measure}))", RELEASE)
    by = ("instance", "channel", "metric")
    candidate = 'arm="candidate"'
    share = (
        "sum(last_over_time(model_version:predictions:increase{job=%q,model=%q,version=%q}[<hold>])) / "
        "sum(last_over_time(model_version:predictions:increase{job=%q,model=%q}[<hold>]))"
    )
    of_share = "$labels.job $labels.model $labels.version $labels.job $labels.model"
    little = f"{{{{ else if printf `{share} < <little_traffic>` {of_share} | query }}}}"
    gained = f"deriv(model_release_samples{{<by>,{candidate}}}[<day>])"
    none_came = f"{{{{ if {_asked(f'{gained} <= 0', by)} }}}}"
    duration = f"sum(last_over_time(model_release_samples_needed{{<by>}}[<hold>])) / sum({gained} > 0)"
    return (
        "Model {{ $labels.model }}, version {{ $labels.version }}: whether it is worse than "
        "{{ $labels.baseline_version }} is not known, and the comparison's end is "
        f"{shown('max(last_over_time(model_release_end_timestamp_seconds{<labels>}[<hold>]))', RELEASE, TIME)}. "
        f"{{{{ with printf `{share}` {of_share} | query }}}}It answers {{{{ . | first | value | {PERCENT} }}}} of the "
        "predictions. {{ end }}"
        f'{{{{ range {measures} | sortByLabel "metric" }}}}{{{{ $measure := . }}}}{_NAMED}: '
        f"{_of('model_release_difference', by, NUMBER)}{_interval(by)}, acceptable up to "
        f"{_of('model_release_margin', by, NUMBER)}, from {_samples(by)}; about "
        f"{_of('model_release_samples_needed', by, COUNT)} more are needed. "
        f"{none_came}What is missing is outcomes: none came in the last <day>. "
        f"{little}What is missing is traffic. "
        f"{{{{ else }}}}{{{{ with {_asked(duration, by)} }}}}As they come now that takes "
        f"{{{{ . | first | value | {SECONDS} }}}}: what is missing is time or a wider margin. {{{{ end }}}}"
        "{{ end }}{{ end }}After the end people must decide."
    )


_NAMED = '{{ $measure | label "metric" }}{{ with $measure | label "channel" }} on channel {{ . }}{{ end }}'


def _asked(query: str, by: tuple[str, ...]) -> str:
    """Template text: a query about $measure, a sample with the labels `by`, in the release of the alert; <by> in it
    stands for the matchers."""
    matchers = ",".join(f"{name}=%q" for name in (*RELEASE, *by))
    values = " ".join([*(f"$labels.{name}" for name in RELEASE), *(f'($measure | label "{name}")' for name in by)])
    return f"printf `{query.replace('<by>', matchers)}` {' '.join([values] * query.count('<by>'))} | query"


def _of(series: str, by: tuple[str, ...], how: str, more: str = "") -> str:
    """Template text: the last known value of a series about $measure."""
    selector = "<by>" + (f",{more}" if more else "")
    query = _asked(f"last_over_time({series}{{{selector}}}[<hold>])", by)
    return f"{{{{ with {query} }}}}{{{{ . | first | value | {how} }}}}{{{{ else }}}}unknown{{{{ end }}}}"


def _interval(by: tuple[str, ...]) -> str:
    """Template text: " (surely between a and b)", or nothing while there is no interval."""
    there = _asked("last_over_time(model_release_difference_lower{<by>}[<hold>])", by)
    ends = [_of(f"model_release_difference_{end}", by, NUMBER) for end in ("lower", "upper")]
    return f"{{{{ if {there} }}}} (surely between {ends[0]} and {ends[1]}){{{{ end }}}}"


def _samples(by: tuple[str, ...]) -> str:
    of = [_of("model_release_samples", by, COUNT, f'arm="{arm}"') for arm in ("candidate", "baseline")]
    return f"{of[0]} outcomes of {{{{ $labels.version }}}} and {of[1]} of {{{{ $labels.baseline_version }}}}"
