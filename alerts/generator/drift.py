"""Inputs, answers and labels that are distributed otherwise than in what they are compared with, features that are
broken, and records whose features have changed.

The exporter's verdicts hold however often they are looked at; the rules only carry them. Where its evidence is near
what is enough a verdict may go to and fro: an alert stays for a while after the verdict has gone.
"""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import (
    COUNT,
    MODEL,
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

COMPARED = (*VERSION, "reference")
SUBJECT = (*COMPARED, "subject")
FEATURE = (*VERSION, "feature")
CHANGE = (*MODEL, "change")
_IN_WINDOW = ("job", "instance", *FEATURE[1:], "window")

INPUTS = 'feature!~"@score|@prediction|@label"'
"""What a model is asked about: its features, and those that are watched together (@inputs, @reconstruction)."""
ANSWERS = 'feature=~"@score|@prediction"'
LABELS = 'feature="@label"'
BROKEN = 'state=~"vanished|invalid|constant|stuck"'
UNKNOWN = 'state=~"learning|insufficient_samples"'
_BASELINE = ask('last_over_time(model_version_info{<labels>,baseline_version!=""}[<hold>])', VERSION)
_REFERENCE = (
    "{{ if eq $labels.reference `training` }}the reference file"
    "{{ else if eq $labels.reference `trailing` }}its own last weeks at the same hours"
    "{{ else if eq $labels.reference `first` }}the model's first predictions"
    f"{{{{ else }}}}what {{{{ with {_BASELINE} }}}}{{{{ . | first | label `baseline_version` }}}}{{{{ else }}}}the "
    "version before it{{ end }} gets at the same time{{ end }}"
)
"""Template text: what is compared with."""
_NEW_VERSION = 'reference="previous_version"'
_OWN_PAST = 'reference!="previous_version"'


def group(parameters: Parameters) -> Group:
    """Verdicts, then ModelInputDrift, ModelScoreDrift, ModelFeatureBroken and ModelSchemaChanged."""
    p = parameters
    return Group("tidegauge-drift", p.interval, (*_records(p), *_drifts(p), _broken(p), *_schema_changes(p)))


def _records(p: Parameters) -> tuple[Record, ...]:
    def record(name: str, expression: str, **more: str) -> Record:
        names = {"model": labels(MODEL), "version": labels(VERSION), "in_window": labels(_IN_WINDOW)}
        return Record(name, fill(expression, p, **names), more)

    def drift(selector: str) -> str:
        return f"max by (<version>, reference) (last_over_time(model_drift_detected{{{selector}}}[<bridge>]))"

    return (
        record("model_version:input_drift:bool", drift(INPUTS)),
        record("model_version:score_drift:bool", drift(ANSWERS), subject="answers"),
        record("model_version:score_drift:bool", drift(LABELS), subject="labels"),
        # That all labels of a window are alike breaks nothing. A window in which too little is known says nothing.
        record(
            "model_version:feature_broken:bool",
            f"""
            max by (<version>, feature) (
              last_over_time(model_feature_state{{{BROKEN}, feature!="@label"}}[<bridge>])
              unless on (<in_window>)
                (last_over_time(model_feature_state{{{UNKNOWN}}}[<bridge>]) == 1)
            )
            """,
        ),
        record(
            "model:schema_changed:bool",
            "max by (<model>, change) (last_over_time(model_schema_changed[<bridge>]))",
        ),
    )


def _drifts(p: Parameters) -> tuple[Alert, ...]:
    def expression(alert: str, verdict: str, by: tuple[str, ...]) -> str:
        return fill(held(alert, verdict, by, ended=LOST, ended_by=VERSION), p)

    chance = "the traffic is not shared out by chance"
    inputs = (
        f"{_counted(INPUTS)} inputs moved{_since(INPUTS)}, compared with {_REFERENCE}."
        f"{_most(INPUTS, 'Most of it')}"
        "{{ if eq $labels.reference `previous_version` }} The world is the same for both: either the features of the "
        f"new version are computed differently, or {chance}.{{{{ end }}}}"
    )
    answers = (
        "{{ if eq $labels.subject `labels` }}the labels, and so the truth that is to be met,{{ else }}its answers "
        f"({_named(ANSWERS)}){{{{ end }}}} moved"
        f"{{{{ if eq $labels.subject `labels` }}}}{_since(LABELS)}{{{{ else }}}}{_since(ANSWERS)}{{{{ end }}}}, "
        f"compared with {_REFERENCE}."
        f"{_most(INPUTS, 'Inputs that have moved too', 'None of its inputs is known to have moved.')}"
    )
    of_a_release = (
        f"{{{{ if eq $labels.subject `labels` }}}} The world is the same for both: either {chance}, or what is "
        "answered changes what is true.{{ else }} A new version may well answer otherwise; what acts on its answers, "
        "at a threshold say, acts more often or less often than before.{{ end }}"
    )
    return (
        Alert(
            "ModelInputDrift",
            "warning",
            expression("ModelInputDrift", "model_version:input_drift:bool", COMPARED),
            p.drift_for,
            "The inputs of a model are not distributed as in what they are compared with.",
            fill(f"{_who()}: {inputs} {_quality()}", p),
            "drift",
            COMPARED,
            keep_firing=p.drift_kept,
        ),
        Alert(
            "ModelScoreDrift",
            "warning",
            expression("ModelScoreDrift", f"model_version:score_drift:bool{{{_OWN_PAST}}}", SUBJECT),
            p.drift_for,
            "The answers of a model, or the labels, are not distributed as they were.",
            fill(f"{_who()}: {answers} {_quality()}", p),
            "drift",
            COMPARED,
            keep_firing=p.drift_kept,
        ),
        # Another model answers otherwise: that is why it was made. The release's verdict says whether it is worse.
        Alert(
            "ModelScoreDrift",
            "info",
            expression("ModelScoreDrift", f"model_version:score_drift:bool{{{_NEW_VERSION}}}", SUBJECT),
            p.drift_for,
            "The answers of a new version, or its labels, are not distributed as those of the version before it.",
            fill(f"{_who()}: {answers}{of_a_release} {_quality()}", p),
            "drift",
            COMPARED,
            keep_firing=p.drift_kept,
        ),
    )


def _broken(p: Parameters) -> Alert:
    states = ask(
        f"group by (state, window) (last_over_time(model_feature_state{{<labels>,{BROKEN}}}[<hold>]) == 1)", FEATURE
    )
    importance = ask("max(last_over_time(model_feature_importance_ratio{<labels>}[<hold>]))", (*MODEL, "feature"))
    moved = f'last_over_time(model_version:score_drift:bool{{<labels>,subject="answers",{_OWN_PAST}}}[<hold>])'
    answers = ask(f"max({moved}) == 1", VERSION)
    gone = ask(
        'max(last_over_time(model_schema_changed{<labels>,change="vanished"}[<hold>])) == 1', (*MODEL, "feature")
    )
    renamed = (
        f"{{{{ if {gone} }}}}{{{{ if {ask(_changed(_NEW), MODEL)} }}}} New in the records are: {_keys(_NEW, MODEL)}. "
        "Perhaps it has another name now.{{ end }}{{ end }}"
    )
    return Alert(
        "ModelFeatureBroken",
        "critical",
        fill(held("ModelFeatureBroken", "model_version:feature_broken:bool", FEATURE, ended=LOST, ended_by=VERSION), p),
        p.broken_for,
        "A feature tells a model nothing any more.",
        fill(
            f"{_who()}: {{{{ $labels.feature }}}}"
            f"{{{{ range $number, $broken := {states} | sortByLabel `window` }}}}{{{{ if $number }}}},{{{{ end }}}} "
            f"{_STATE} (over the last {{{{ $broken | label `window` }}}}{_conditions()}){{{{ end }}}}.{renamed}"
            f"{{{{ with {importance} }}}} Its importance is {{{{ . | first | value | {PERCENT} }}}}.{{{{ end }}}}"
            f"{{{{ if {answers} }}}} The model's answers have moved as well.{{{{ end }}}} {_quality()}",
            p,
        ),
        "drift",
        FEATURE,
        keep_firing=p.broken_kept,
    )


_STATE = (
    "{{ with $broken | label `state` }}{{ if eq . `vanished` }}has vanished from the records"
    "{{ else if eq . `invalid` }}has values that cannot be used"
    "{{ else if eq . `constant` }}has one and the same value"
    "{{ else }}is {{ . }}{{ end }}{{ end }}"
)
"""Template text: what is the matter with a feature, from $broken."""


def _schema_changes(p: Parameters) -> tuple[Alert, ...]:
    def make(change: str, severity: str, summary: str, verb: str, other: str) -> Alert:
        verdict = f'model:schema_changed:bool{{change="{change}"}}'
        return Alert(
            "ModelSchemaChanged",
            severity,
            fill(held("ModelSchemaChanged", verdict, CHANGE), p),
            p.schema_for,
            summary,
            fill(
                f"Model {{{{ $labels.model }}}}: of the features in its records {verb}: {_keys('<labels>', CHANGE)}."
                + other,
                p,
            ),
            "drift",
            MODEL,
            keep_firing=p.schema_kept,
        )

    return (
        make(
            "vanished",
            "warning",
            "The records of a model lack features that they had.",
            "some are gone",
            f"{{{{ if {ask(_changed(_NEW), MODEL)} }}}} New are: {_keys(_NEW, MODEL)}. Perhaps names have changed."
            "{{ end }}",
        ),
        make("appeared", "info", "The records of a model have features that they had not.", "some are new", ""),
    )


_NEW = '<labels>,change="appeared"'


def _changed(selector: str) -> str:
    return f"group by (feature) (last_over_time(model_schema_changed{{{selector}}}[<hold>]) == 1)"


def _keys(selector: str, by: tuple[str, ...]) -> str:
    """Template text: the first few features that have changed so, and how many there are."""
    every = ask(_changed(selector), by)
    more = ask(f"count({_changed(selector)}) > <keys_named>", by)
    return (
        f"{{{{ range $number, $key := {every} | sortByLabel `feature` }}}}{{{{ if lt $number <keys_named> }}}}"
        "{{ if $number }}, {{ end }}{{ $key | label `feature` }}{{ end }}{{ end }}"
        f"{{{{ with {more} }}}} and more, {{{{ . | first | value | {COUNT} }}}} in all{{{{ end }}}}"
    )


def _who() -> str:
    return "Model {{ $labels.model }}, version {{ $labels.version }}"


def _detected(selector: str, which: str = "") -> str:
    """Template text: the pipeline that gives the watched features, or those whose verdict is so."""
    query = f"max by (feature) (last_over_time(model_drift_detected{{<labels>,{selector}}}[<hold>])){which}"
    return ask(query, COMPARED)


def _counted(selector: str) -> str:
    """Template text: "2 of 12"."""
    every = f"max by (feature) (last_over_time(model_drift_detected{{<labels>,{selector}}}[<hold>]))"
    return f"{shown(f'count({every} == 1)', COMPARED, COUNT)} of {shown(f'count({every})', COMPARED, COUNT)}"


def _since(selector: str) -> str:
    start = (
        f"min(last_over_time(model_drift_start_timestamp_seconds{{<labels>,{selector}}}[<hold>]) "
        f"and on (instance, feature) last_over_time(model_drift_detected{{<labels>,{selector}}}[<hold>]) == 1)"
    )
    return (
        f"{{{{ with {ask(start, COMPARED)} }}}} at about {{{{ . | first | value | {TIME} }}}} "
        f"({shown(f'time() - {start}', COMPARED, SECONDS)} ago){{{{ end }}}}"
    )


def _named(selector: str) -> str:
    """Template text: the features that have moved, by name."""
    return (
        f"{{{{ range $number, $feature := {_detected(selector, ' == 1')} | sortByLabel `feature` }}}}"
        "{{ if $number }}, {{ end }}{{ $feature | label `feature` }}{{ end }}"
    )


def _most(selector: str, opening: str, otherwise: str = "") -> str:
    """Template text: the features that have moved most, with their share of the shift and what their values are; or
    another sentence where none has, though they are watched."""

    def of(metric: str) -> str:
        return f"last_over_time({metric}{{<labels>,{selector}}}[<hold>])"

    most = ask(
        f"sort_desc(topk(<drift_named>, (max by (feature) ({of('model_drift_contribution_ratio')}) "
        f"or on (feature) max by (feature) ({of('model_drift_detected')}) * 0) "
        f"and on (feature) {of('model_drift_detected')} == 1))",
        COMPARED,
    )
    none = f"{{{{ else }}}}{{{{ if {_detected(selector)} }}}} {otherwise}{{{{ end }}}}" if otherwise else ""
    states = (
        "printf `group by (state) (last_over_time(model_feature_state{job=%q,model=%q,version=%q,feature=%q,"
        'state=~"missing|unseen|out_of_range|vanished|invalid|constant|stuck"}[<hold>]) == 1)` '
        "$labels.job $labels.model $labels.version ($feature | label `feature`) | query"
    )
    return (
        f"{{{{ with {most} }}}} {opening}: {{{{ range $number, $feature := . }}}}{{{{ if $number }}}}, {{{{ end }}}}"
        "{{ $feature | label `feature` }}"
        f"{{{{ $states := {states} }}}}{{{{ $share := gt ($feature | value) 0.0 }}}}{{{{ if or $share $states }}}} ("
        f"{{{{ if $share }}}}{{{{ $feature | value | {PERCENT} }}}} of the shift{{{{ if $states }}}}; {{{{ end }}}}"
        "{{ end }}{{ with $states }}{{ . | first | label `state` | reReplaceAll `_` ` ` }}{{ end }}){{ end }}"
        f"{{{{ end }}}}.{none}{{{{ end }}}}"
    )


def _conditions() -> str:
    """Template text: ": 1055 missing", of the window of $broken."""
    query = (
        "printf `sort_desc(sum by (condition) (last_over_time(model_feature_records"
        "{job=%q,model=%q,version=%q,feature=%q,window=%q,"
        'condition!="out_of_range"}[<hold>])) > 0)` '
        "$labels.job $labels.model $labels.version $labels.feature ($broken | label `window`) | query"
    )
    return (
        f"{{{{ range $place, $condition := {query} }}}}{{{{ if $place }}}}, {{{{ else }}}}: {{{{ end }}}}"
        f"{{{{ $condition | value | {COUNT} }}}} {{{{ $condition | label `condition` | reReplaceAll `_` ` ` }}}}"
        "{{ end }}"
    )


def _quality() -> str:
    """Template text: whether it matters, as far as that is known."""
    suffering = ask(
        'group by (alertname) (ALERTS{<labels>,alertstate="firing",'
        'alertname=~"ModelObjectiveMissed|ModelObjectiveAtRisk|ModelDegrading|ModelReleaseRegressed"})',
        VERSION,
    )
    known = ask("last_over_time(model_version:quality_score:merged{<labels>}[<hold>])", VERSION)
    return (
        f"{{{{ with {suffering} }}}}Its quality suffers: see {{{{ range $number, $alert := . | sortByLabel `alertname` "
        "}}{{ if $number }}, {{ end }}{{ $alert | label `alertname` }}{{ end }}."
        f"{{{{ else }}}}{{{{ if {known} }}}}No alert on the quality of this version fires."
        "{{ else }}The quality of this version is not known.{{ end }}{{ end }}"
    )
