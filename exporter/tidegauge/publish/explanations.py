"""What a family's help text has no room for: when a series is absent, how exporters add up, what to ask of it.

Data only, for the metric reference. Rules go by the name of the family, the first that fits holds; every family of the
catalogue has one, so a new family either follows the conventions or says what is different about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SUM = "add up"
NEVER = "never add or average"
LOWEST = "take the lowest"
HIGHEST = "take the highest"
SAME = "the same everywhere"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`merge`: over several exporters. `absent`: when there is no series; "" where there always is one."""

    merge: str
    absent: str = ""


_NO_TRAFFIC = "the version has had no traffic for version_expiry"
_NO_RELEASE = "the version was no release: the first, one that returned, or one without a baseline"
_UNLEARNED = "it is being learned, as the state says"
_NO_SIGNAL = "no prediction of the window has the signal"
_NOT_WATCHED = "the version is neither in a release nor among the two busiest"
_NO_BINS = f"the bins are being learned, or {_NOT_WATCHED}"
_NO_REFERENCE = f"that reference does not exist yet, the window has no prediction, {_NO_BINS}"
_RULES: tuple[tuple[str, Explanation], ...] = (
    (r"model_info", Explanation(SAME)),
    (r"model_version_info", Explanation(SAME, _NO_TRAFFIC)),
    (r"model_version_first_.*", Explanation(LOWEST, _NO_TRAFFIC)),
    (r"model_version_last_.*", Explanation(HIGHEST, _NO_TRAFFIC)),
    (r"model_predictions_total|model_prediction_.*", Explanation(SUM, "no record of that role yet (primary: never)")),
    (r"model_feedback_received_total", Explanation(SUM)),
    (r"model_feedback_total", Explanation(SUM, f"{_NO_TRAFFIC}; what has no prediction has no version and stays")),
    (r"model_feedback_delay_seconds", Explanation(SUM, _NO_TRAFFIC)),
    (r"model_feedback_coverage_ratio", Explanation("divide the sums", "no mature prediction in the window")),
    (r"model_window_(predictions|.*_predictions)", Explanation(SUM, _NO_TRAFFIC)),
    (
        r"model_window_confusion",
        Explanation(SUM, "no classification, or no version with traffic; not for the lifetime window"),
    ),
    (r"model_(outcomes|confusion)_total", Explanation(SUM, "no block with labels sealed yet")),
    (r"model_calibration_.*", Explanation(SUM, "no scores in the records; not for the lifetime window")),
    (r"model_release_(start|end)_timestamp_seconds", Explanation(NEVER, _NO_RELEASE)),
    (r"model_release_verdict", Explanation("roll_back if one says so, promote if all do", _NO_RELEASE)),
    (r"model_release_margin", Explanation(NEVER, "it depends on the baseline, of which too little is known yet")),
    (r"model_release_clipped_ratio", Explanation(NEVER, "losses have a natural bound, or none has been compared")),
    (
        r"model_release_difference\w*",
        Explanation(NEVER, "nothing has been compared yet; of the interval: too little has been"),
    ),
    (r"model_release_\w+", Explanation(NEVER, "nothing has been compared yet, or it has no good or bad side")),
    (r"model_drift_start_timestamp_seconds", Explanation(LOWEST, "no drift is detected")),
    (r"model_drift_detected", Explanation(HIGHEST, _NO_REFERENCE)),
    (r"model_drift_evidence_threshold", Explanation(NEVER, _NO_REFERENCE)),
    (r"model_drift_evidence", Explanation(NEVER, "no block has been compared with that reference yet")),
    (r"model_drift_reference_records", Explanation(NEVER, f"the reference is not used, or {_NOT_WATCHED}")),
    (r"model_drift_design_effect", Explanation(NEVER, f"no prediction in the window, or {_NOT_WATCHED}")),
    (
        r"model_drift_(distance|excess)",
        Explanation(NEVER, f"the statistic needs an order and the feature has none, or {_NO_REFERENCE}"),
    ),
    (r"model_drift_\w+", Explanation(NEVER, _NO_REFERENCE)),
    (r"model_schema_changed", Explanation(HIGHEST, "no prediction has come since the start")),
    (r"model_feature_importance_ratio", Explanation(SAME, "no importance is configured")),
    (r"model_feature_records", Explanation(SUM, _NOT_WATCHED)),
    (r"model_feature_bin_records", Explanation("add up where the reference file is the same", _NO_BINS)),
    (r"model_feature_reference_bin_ratio", Explanation(NEVER, _NO_REFERENCE)),
    (r"model_feature_state", Explanation(NEVER, _NOT_WATCHED)),
    (r"model_(slice_)?change_start_timestamp_seconds", Explanation(LOWEST, "no change is noticed")),
    (r"model_change_state", Explanation(NEVER, "no block with labels sealed yet")),
    (r"model_change_detections_total", Explanation(SUM, "no block with labels sealed yet")),
    (r"model_(slice_)?change_detected", Explanation(HIGHEST, _UNLEARNED)),
    (r"model_(slice_)?change_\w+", Explanation(NEVER, _UNLEARNED)),
    (r"model_quality_trend_per_day\w*", Explanation(NEVER, "fewer than 14 days with labels")),
    (
        r"model_objective_breach_\w+",
        Explanation(NEVER, "no objective, no sure trend towards missing it, or only further ahead than is known back"),
    ),
    (r"model_(\w+_)?objective", Explanation(SAME, "no objective on that metric is configured")),
    (
        r"model_quality_baseline_score",
        Explanation(NEVER, "the best constant answer says nothing of this metric, or no reference is configured"),
    ),
    (r"model_(\w+_)?state", Explanation(NEVER, _NO_TRAFFIC)),
    (r"model_(slice_)?proxy_(numerator|denominator)", Explanation(SUM, _NO_SIGNAL)),
    (r"model_(slice_)?proxy_\w+", Explanation(NEVER, _NO_SIGNAL)),
    (r"model_\w+_(lower|upper)", Explanation(NEVER, "there is no score, or too few samples for an interval")),
    (r"model_\w+_(numerator|denominator)", Explanation(SUM, "the metric is no ratio of two sums, or has no value")),
    (r"model_\w+_samples", Explanation(NEVER, _NO_TRAFFIC)),
    (r"model_\w+_score", Explanation(NEVER, "the state says why: immature, no_feedback or unsupported")),
    (r"tidegauge_clock_timestamp_seconds", Explanation(NEVER, "clock: log, and no prediction yet")),
    (r"tidegauge_snapshot_(timestamp|duration)_seconds|tidegauge_snapshot_bytes", Explanation(NEVER, "nothing saved")),
    (r"tidegauge_records_total", Explanation(SUM, "a result that never happened, but for the usual ones")),
    (r"tidegauge_probabilities_dropped_total", Explanation(SUM, "the model is not multiclass")),
    (r"tidegauge_web_config_\w+", Explanation(NEVER, "there is no web configuration")),
    (r"tidegauge_contents_dropped_total", Explanation(SUM, "the model is neither ranking nor text")),
    (r"tidegauge_\w+_total|tidegauge_\w+_(bytes|files|predictions|feedback)|tidegauge_series", Explanation(SUM)),
    (r"tidegauge_\w+", Explanation(NEVER)),
    (r"\w+_total", Explanation(SUM)),
)


def explain(family: str) -> Explanation:
    """The explanation of a family. Raises KeyError if no rule fits."""
    for pattern, explanation in _RULES:
        if re.fullmatch(pattern, family):
            return explanation
    raise KeyError(f"no rule explains {family}: add one")


LABELS: Mapping[str, str] = {
    "model": "Name of the model, as in the configuration or in the record.",
    "version": 'Version that answered; "unknown" where records name none, "other" beyond max_versions.',
    "channel": "Feedback channel, as configured.",
    "window": "Width of the window in its one spelling (`1h`, `24h`, `7d`), or `lifetime`.",
    "metric": "What is measured: see [metrics](#the-metric-label). Of releases also `error_ratio`, `latency_seconds`,"
    " `signal:<name>`, and `overall` for the verdict about all of them.",
    "signal": "Name of the signal, as configured.",
    "state": "See [states](#states), of features [states of features](#states-of-features). Of changes: `learning`,"
    " `watching` or `detected`.",
    "design": "`concurrent`: both versions answered at the same time; `before_after`: one took over from the other.",
    "hypothesis": "`harm`: it is worse; `non_inferiority`: it is not worse by the margin.",
    "arm": "`candidate`, the version, or `baseline`.",
    "verdict": "`roll_back`, `promote` or `keep_watching`.",
    "result": "Of feedback: see [results](#what-becomes-of-feedback); of records: see"
    " [records](#what-becomes-of-records); of outcomes: `correct` or `incorrect`.",
    "role": "`primary`, whose answer was used, or `shadow`, whose answer was not.",
    "task": "The model's task.",
    "owner": "The team that is told; empty if none is configured.",
    "baseline_version": 'The version that this one is compared with; "" where there is none.',
    "baseline": "`constant`: the best constant answer on the same labels; `reference`: the reference data.",
    "direction": "`at_least` or `at_most`: which side of the objective is good.",
    "class": 'One class against all others; "other" beyond max_classes.',
    "slice_key": "The feature or slice, as configured under `slices`.",
    "slice_value": 'Its value; "other" beyond max_slice_values.',
    "actual": "The label's class; of many classes the first ten, the rest is `other`.",
    "predicted": "The answer's class; of many classes the first ten, the rest is `other`.",
    "bin": "Of calibration: upper edge of a fifteenth of the range of scores. Of features: number and range"
    " (`03 [1.5, 3.2)`), a category, `other 07` for rare ones together, `unseen`, `none`.",
    "feature": "A configured feature, or what is watched of every model: see [what is watched](#what-is-watched).",
    "statistic": "How the distance is defined: see [statistics](#the-statistic-label).",
    "reference": "What it is compared with: see [references](#references).",
    "condition": "What a value is like: see [conditions](#conditions-of-values).",
    "change": "`appeared` or `vanished`: see [schema changes](#changes-of-the-schema).",
    "source": "The configured source: `predictions`, `predictions-2`, `feedback` and so on.",
    "event": "What happened to a file: see [events](#what-happens-to-files).",
    "kind": "Of records: `predictions` or `feedback`. Of folded values: `version`, `class` or `slice`.",
    "reason": "Why a client was not served: evicted, handshake, malformed, unauthorized, busy or rate_limited.",
    "python_version": "Of the interpreter that runs the exporter.",
}
"""What each label says."""

RECORD_RESULTS: Mapping[str, str] = {
    "accepted": "Used.",
    "duplicate": "A prediction whose id was seen before; the first one holds.",
    "future": "A prediction more than 5 minutes ahead of the clock.",
    "late": "A prediction older than the oldest pane.",
    "too_many_models": 'A record of a further model, when the `"*"` entry has made max_models.',
    "undecodable_block": "Lines that the decoder failed on in a way nobody thought of; the exporter's log says where.",
    "line_too_long": "A line longer than max_line_bytes.",
    "nul_bytes": "A run of NUL bytes, as a writer without O_APPEND leaves after a truncation.",
    "torn_line": "An unfinished last line of a finished file.",
}
"""Values of `result` of tidegauge_records_total besides the decoder's reasons."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask Prometheus."""

    question: str
    query: str


QUESTIONS: Mapping[str, tuple[Question, ...]] = {
    "model_quality_score": (
        Question("How right is each version?", 'model_quality_score{metric="accuracy", window="24h"}'),
        Question(
            "Which scores are surely below their objective?",
            "model_quality_score_upper < on (model, version, channel, metric) group_left () "
            'model_quality_objective{direction="at_least"}',
        ),
    ),
    "model_quality_numerator": (
        Question(
            "How right is the model over all exporters?",
            'sum by (model, version) (model_quality_numerator{metric="accuracy", window="24h"}) '
            '/ sum by (model, version) (model_quality_denominator{metric="accuracy", window="24h"})',
        ),
    ),
    "model_quality_state": (
        Question("Where is there no trustworthy score, and why?", 'model_quality_state{state!="ok"} == 1'),
    ),
    "model_slice_quality_score": (
        Question(
            "Which slices are worst served?",
            'bottomk(5, model_slice_quality_score{metric="accuracy", window="24h"})',
        ),
    ),
    "model_feedback_coverage_ratio": (
        Question(
            "For how many mature predictions is the truth known, over all exporters?",
            "sum by (model, channel, window) (model_window_labeled_predictions) "
            "/ sum by (model, channel, window) (model_window_mature_predictions)",
        ),
    ),
    "model_feedback_delay_seconds": (
        Question(
            "How long does the slowest twentieth of the feedback take?",
            "histogram_quantile(0.95, sum by (model, channel, le) (rate(model_feedback_delay_seconds_bucket[1d])))",
        ),
    ),
    "model_feedback_total": (
        Question(
            "How much feedback finds no prediction?",
            'sum by (channel) (rate(model_feedback_total{result="orphaned"}[1h]))',
        ),
    ),
    "model_predictions_total": (
        Question(
            "How much traffic does each version get?", "sum by (model, version) (rate(model_predictions_total[5m]))"
        ),
        Question(
            "Which share of requests fails?",
            "sum by (model) (rate(model_prediction_errors_total[5m])) "
            "/ sum by (model) (rate(model_predictions_total[5m]))",
        ),
    ),
    "model_prediction_latency_seconds": (
        Question(
            "How slow are answers?",
            "histogram_quantile(0.99, sum by (model, version, le) (rate(model_prediction_latency_seconds_bucket[5m])))",
        ),
    ),
    "model_outcomes_total": (
        Question(
            "How right were the answers of the last day, by final counts?",
            'sum by (model, version) (increase(model_outcomes_total{result="correct"}[1d])) '
            "/ sum by (model, version) (increase(model_outcomes_total[1d]))",
        ),
    ),
    "model_release_verdict": (
        Question(
            "Which releases should be rolled back?", 'model_release_verdict{metric="overall", verdict="roll_back"} == 1'
        ),
    ),
    "model_release_difference": (
        Question("How much worse or better is a release, surely?", "model_release_difference_upper < 0"),
    ),
    "model_change_detected": (Question("Which versions have become worse?", "model_change_detected == 1"),),
    "model_drift_detected": (
        Question("What has moved against the data of training?", 'model_drift_detected{reference="training"} == 1'),
        Question(
            "Which drift comes with a loss of quality?",
            "model_drift_detected == 1 and on (model, version) model_change_detected == 1",
        ),
    ),
    "model_drift_contribution_ratio": (
        Question(
            "Which features make up most of it?",
            'topk by (model, version, reference) (3, model_drift_contribution_ratio{window="24h"})',
        ),
    ),
    "model_feature_state": (
        Question(
            "Which features are broken?", 'model_feature_state{state=~"vanished|missing|invalid|constant|stuck"} == 1'
        ),
    ),
    "model_feature_records": (
        Question(
            "How often is each feature missing, over all exporters?",
            'sum by (model, version, feature, window) (model_feature_records{condition="missing"}) '
            '/ sum by (model, version, feature, window) (model_feature_records{condition!="out_of_range"})',
        ),
    ),
    "model_feature_bin_records": (
        Question(
            "How is a feature distributed now?",
            'model_feature_bin_records{feature="amount", window="24h"} / ignoring (bin) group_left () '
            'sum without (bin) (model_feature_bin_records{feature="amount", window="24h"})',
        ),
    ),
    "model_schema_changed": (Question("Which features have appeared or vanished?", "model_schema_changed == 1"),),
    "model_objective_breach_timestamp_seconds": (
        Question(
            "Which objectives will be missed within a week?",
            "model_objective_breach_timestamp_seconds - time() < 7 * 86400",
        ),
    ),
    "tidegauge_records_total": (
        Question(
            "Are records refused, and why?",
            'sum by (kind, result) (rate(tidegauge_records_total{result!="accepted"}[10m])) > 0',
        ),
    ),
    "tidegauge_lag_seconds": (Question("Is reading behind?", "tidegauge_lag_seconds > 300"),),
    "tidegauge_last_refresh_timestamp_seconds": (
        Question("Has the exporter stopped computing?", "time() - tidegauge_last_refresh_timestamp_seconds > 120"),
    ),
    "tidegauge_snapshot_failures_total": (
        Question("Can the state not be saved?", "increase(tidegauge_snapshot_failures_total[15m]) > 0"),
    ),
    "tidegauge_unreadable_files": (Question("Can a log not be read?", "tidegauge_unreadable_files > 0"),),
    "tidegauge_source_events_total": (
        Question(
            "Were records lost before they could be read?",
            'increase(tidegauge_source_events_total{event=~"lost_bytes|lost_unknown|deleted_unread"}[1h]) > 0',
        ),
    ),
}
"""By the family that answers."""
