"""Every metric family that the exporter publishes, with its type, labels and meaning.

Pure data and the only place where names, labels and help texts are written; the metric reference is generated from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge.publish.samples import Family

_VERSION = ("model", "version")
_CHANNEL = (*_VERSION, "channel")
_WINDOW = (*_CHANNEL, "window")
_QUALITY = (*_CHANNEL, "metric", "window")
_CLASS = (*_CHANNEL, "class", "metric", "window")
_SLICE = (*_CHANNEL, "slice_key", "slice_value", "metric", "window")
_PROXY = (*_VERSION, "signal", "window")
_SLICE_PROXY = (*_VERSION, "slice_key", "slice_value", "signal", "window")
_CALIBRATION = (*_WINDOW, "bin")

_PER_REPLICA = "Per replica: do not average or add over exporters"
_SUMMABLE = "Exporters add up"


def _gauge(name: str, help: str, *labels: str) -> Family:
    return Family(name, "gauge", help, labels)


def _counter(name: str, help: str, *labels: str) -> Family:
    return Family(name, "counter", help, labels)


def _histogram(name: str, help: str, *labels: str) -> Family:
    return Family(name, "histogram", help, labels)


# --- models and their traffic -----------------------------------------------------------------------------------------

MODEL_INFO = _gauge("model_info", "Always 1; what is configured for the model.", "model", "task", "owner")
MODEL_VERSION_INFO = _gauge(
    "model_version_info",
    'Always 1; the version that this one is compared with at its release ("" where there is none).',
    *_VERSION,
    "baseline_version",
)
MODEL_VERSION_FIRST_PREDICTION_TIMESTAMP_SECONDS = _gauge(
    "model_version_first_prediction_timestamp_seconds",
    "Earliest prediction time seen of the version, in seconds since the epoch.",
    *_VERSION,
)
MODEL_VERSION_LAST_PREDICTION_TIMESTAMP_SECONDS = _gauge(
    "model_version_last_prediction_timestamp_seconds",
    "Latest prediction time seen of the version, in seconds since the epoch.",
    *_VERSION,
)
MODEL_PREDICTIONS_TOTAL = _counter(
    "model_predictions_total",
    "Predictions read, failed ones included; a record counts as often as its count field says.",
    *_VERSION,
    "role",
)
MODEL_PREDICTION_ERRORS_TOTAL = _counter(
    "model_prediction_errors_total", "Predictions read that gave no answer but an error.", *_VERSION, "role"
)
MODEL_PREDICTION_LATENCY_SECONDS = _histogram(
    "model_prediction_latency_seconds",
    "How long predictions took, of those whose record says so.",
    *_VERSION,
    "role",
)

# --- feedback ---------------------------------------------------------------------------------------------------------

MODEL_FEEDBACK_RECEIVED_TOTAL = _counter(
    "model_feedback_received_total",
    "Feedback records read, whatever became of them.",
    "model",
    "channel",
)
MODEL_FEEDBACK_TOTAL = _counter(
    "model_feedback_total",
    "Feedback records by what finally became of them: joined (gave a prediction its label), replaced (a newer label "
    "took its place), duplicate, superseded (older than the label held), retracted, orphaned (no prediction until the "
    "horizon), late (after its prediction's block was sealed: it reaches the windows, not the outcome counters), "
    "sampled_out (its prediction is outside the hash sample).",
    *_CHANNEL,
    "result",
)
MODEL_FEEDBACK_DELAY_SECONDS = _histogram(
    "model_feedback_delay_seconds",
    "Time from a prediction to its feedback, by their own timestamps.",
    *_CHANNEL,
)
MODEL_WINDOW_PREDICTIONS = _gauge(
    "model_window_predictions",
    f"Predictions in the window that ends now, mature or not. {_SUMMABLE}.",
    *_WINDOW,
)
MODEL_WINDOW_MATURE_PREDICTIONS = _gauge(
    "model_window_mature_predictions",
    f"Predictions in the window that ends one maturity ago: those a score is about. {_SUMMABLE}.",
    *_WINDOW,
)
MODEL_WINDOW_LABELED_PREDICTIONS = _gauge(
    "model_window_labeled_predictions",
    f"Mature predictions of the window that have a label of the channel. {_SUMMABLE}.",
    *_WINDOW,
)
MODEL_FEEDBACK_COVERAGE_RATIO = _gauge(
    "model_feedback_coverage_ratio",
    "Labeled predictions of the window over mature predictions. Over several exporters, divide the sums of "
    "model_window_labeled_predictions and model_window_mature_predictions instead.",
    *_WINDOW,
)

# --- quality ----------------------------------------------------------------------------------------------------------

MODEL_OUTCOMES_TOTAL = _counter(
    "model_outcomes_total",
    "Labeled predictions of sealed blocks, by whether the answer was right. Final: later feedback does not change it.",
    *_CHANNEL,
    "result",
)
MODEL_CONFUSION_TOTAL = _counter(
    "model_confusion_total",
    "Labeled predictions of sealed blocks, by actual and predicted class. Final: later feedback does not change it.",
    *_CHANNEL,
    "actual",
    "predicted",
)
MODEL_QUALITY_SCORE = _gauge(
    "model_quality_score",
    f"Quality of the mature, labeled predictions of the window, in the metric's own units. {_PER_REPLICA}; where there "
    "is a numerator and a denominator, add those and divide.",
    *_QUALITY,
)
MODEL_QUALITY_SCORE_LOWER = _gauge(
    "model_quality_score_lower",
    f"Lower end of the pointwise 95 % interval of model_quality_score. {_PER_REPLICA}.",
    *_QUALITY,
)
MODEL_QUALITY_SCORE_UPPER = _gauge(
    "model_quality_score_upper",
    f"Upper end of the pointwise 95 % interval of model_quality_score. {_PER_REPLICA}.",
    *_QUALITY,
)
MODEL_QUALITY_NUMERATOR = _gauge(
    "model_quality_numerator",
    f"Weighted sum above the line of a score that is a ratio of two sums; of rmse, whose square is one. {_SUMMABLE}.",
    *_QUALITY,
)
MODEL_QUALITY_DENOMINATOR = _gauge(
    "model_quality_denominator",
    f"Weighted sum below the line of a score that is a ratio of two sums; of rmse, whose square is one. {_SUMMABLE}.",
    *_QUALITY,
)
MODEL_QUALITY_SAMPLES = _gauge(
    "model_quality_samples",
    "Effective number of samples behind a score: (sum of weights) squared over sum of squared weights. "
    f"{_PER_REPLICA}.",
    *_QUALITY,
)
MODEL_QUALITY_STATE = _gauge(
    "model_quality_state",
    "1 for the state that the score is in, 0 for the others: ok, immature, no_feedback, insufficient_samples, "
    "unsupported.",
    *_QUALITY,
    "state",
)
MODEL_QUALITY_OBJECTIVE = _gauge(
    "model_quality_objective",
    "What is configured that the score should be: at least this, or at most this.",
    *_CHANNEL,
    "metric",
    "direction",
)
MODEL_QUALITY_BASELINE_SCORE = _gauge(
    "model_quality_baseline_score",
    "What the score would be for the best constant answer on the same labels (constant), or what it is on the "
    f"reference data (reference). {_PER_REPLICA}.",
    *_QUALITY,
    "baseline",
)

# --- releases ---------------------------------------------------------------------------------------------------------

_RELEASE = (*_VERSION, "baseline_version")
_COMPARED = (*_RELEASE, "channel", "metric")
_DESIGN = (*_COMPARED, "design")

MODEL_RELEASE_START_TIMESTAMP_SECONDS = _gauge(
    "model_release_start_timestamp_seconds",
    "When the version was first seen, and its comparison with the baseline began.",
    *_RELEASE,
)
MODEL_RELEASE_END_TIMESTAMP_SECONDS = _gauge(
    "model_release_end_timestamp_seconds", "When the comparison ends, or ended.", *_RELEASE
)
MODEL_RELEASE_VERDICT = _gauge(
    "model_release_verdict",
    "1 for the verdict that holds, 0 for the others. The one of metric overall is about the release; roll_back stays "
    "until the version has lost its traffic.",
    *_COMPARED,
    "verdict",
)
MODEL_RELEASE_DIFFERENCE = _gauge(
    "model_release_difference",
    f"The version minus its baseline, in the metric's units, over what both answered at the same time. {_PER_REPLICA}.",
    *_DESIGN,
)
MODEL_RELEASE_DIFFERENCE_LOWER = _gauge(
    "model_release_difference_lower",
    "Lower end of the interval of the difference, which holds however often it is looked at.",
    *_DESIGN,
)
MODEL_RELEASE_DIFFERENCE_UPPER = _gauge(
    "model_release_difference_upper",
    "Upper end of the interval of the difference, which holds however often it is looked at.",
    *_DESIGN,
)
MODEL_RELEASE_MARGIN = _gauge(
    "model_release_margin", "How much worse is still acceptable, in the metric's units.", *_COMPARED
)
MODEL_RELEASE_EVIDENCE = _gauge(
    "model_release_evidence",
    "Evidence (an e-value) that the version is worse (harm: the most there has been, by which the verdict goes), or "
    "that it is not worse by the margin (non_inferiority: now).",
    *_DESIGN,
    "hypothesis",
)
MODEL_RELEASE_EVIDENCE_THRESHOLD = _gauge(
    "model_release_evidence_threshold",
    "The evidence from which on there is a verdict: 1 / alpha, times the number of measures that decide for harm.",
    *_DESIGN,
    "hypothesis",
)
MODEL_RELEASE_SAMPLES = _gauge(
    "model_release_samples",
    f"Final outcomes that the comparison rests on, of each side. {_PER_REPLICA}.",
    *_DESIGN,
    "arm",
)
MODEL_RELEASE_SAMPLES_NEEDED = _gauge(
    "model_release_samples_needed",
    "Further outcomes of the version until there is a verdict, if the difference stays as it looks now; 0 with one.",
    *_DESIGN,
)
MODEL_RELEASE_CLIPPED_RATIO = _gauge(
    "model_release_clipped_ratio",
    "Share of the losses that were held at the cap, the baseline's 99.9th percentile before the release.",
    *_COMPARED,
)

# --- change -----------------------------------------------------------------------------------------------------------

_WATCHED = (*_CHANNEL, "metric")
_SLICE_WATCHED = (*_CHANNEL, "slice_key", "slice_value", "metric")

MODEL_CHANGE_DETECTED = _gauge(
    "model_change_detected", "1 while the version is worse than it was when it was learned, else 0.", *_WATCHED
)
MODEL_CHANGE_EVIDENCE = _gauge(
    "model_change_evidence",
    "Evidence that the version has become worse: the mean of its Shiryaev-Roberts statistics, held at a thousand times "
    "the threshold.",
    *_WATCHED,
)
MODEL_CHANGE_THRESHOLD = _gauge(
    "model_change_threshold",
    "The evidence from which on it is an alarm: blocks of a false_alarm_interval times what is watched.",
    *_WATCHED,
)
MODEL_CHANGE_START_TIMESTAMP_SECONDS = _gauge(
    "model_change_start_timestamp_seconds", "When the change seems to have begun.", *_WATCHED
)
MODEL_CHANGE_STATE = _gauge("model_change_state", "1 for the state that holds, 0 for the others.", *_WATCHED, "state")
MODEL_CHANGE_BASELINE_SCORE = _gauge(
    "model_change_baseline_score",
    f"The score that is expected at this hour of the week, as it was learned. {_PER_REPLICA}.",
    *_WATCHED,
)
MODEL_CHANGE_DETECTIONS_TOTAL = _counter(
    "model_change_detections_total", "Changes for the worse that were noticed.", *_WATCHED
)
MODEL_SLICE_CHANGE_DETECTED = _gauge(
    "model_slice_change_detected",
    "1 while the slice is worse than it was when it was learned, by e-BH over all slices, else 0.",
    *_SLICE_WATCHED,
)
MODEL_SLICE_CHANGE_EVIDENCE = _gauge(
    "model_slice_change_evidence", "As model_change_evidence, of a slice.", *_SLICE_WATCHED
)
MODEL_SLICE_CHANGE_THRESHOLD = _gauge(
    "model_slice_change_threshold",
    "The evidence from which on the slice is an alarm; the more slices are worse, the lower.",
    *_SLICE_WATCHED,
)
MODEL_SLICE_CHANGE_START_TIMESTAMP_SECONDS = _gauge(
    "model_slice_change_start_timestamp_seconds", "When the change seems to have begun.", *_SLICE_WATCHED
)
MODEL_QUALITY_TREND_PER_DAY = _gauge(
    "model_quality_trend_per_day",
    "By how much the score changes a day: Theil and Sen's slope of the daily means.",
    *_WATCHED,
)
MODEL_QUALITY_TREND_PER_DAY_LOWER = _gauge(
    "model_quality_trend_per_day_lower", "Lower end of the slope's 95 % interval.", *_WATCHED
)
MODEL_QUALITY_TREND_PER_DAY_UPPER = _gauge(
    "model_quality_trend_per_day_upper", "Upper end of the slope's 95 % interval.", *_WATCHED
)
MODEL_OBJECTIVE_BREACH_TIMESTAMP_SECONDS = _gauge(
    "model_objective_breach_timestamp_seconds", "When the objective will be missed if the trend goes on.", *_WATCHED
)
MODEL_OBJECTIVE_BREACH_EARLIEST_TIMESTAMP_SECONDS = _gauge(
    "model_objective_breach_earliest_timestamp_seconds",
    "The same by the end of the slope's interval that is worse.",
    *_WATCHED,
)
MODEL_OBJECTIVE_BREACH_LATEST_TIMESTAMP_SECONDS = _gauge(
    "model_objective_breach_latest_timestamp_seconds",
    "The same by the end of the slope's interval that is better.",
    *_WATCHED,
)

# --- drift ------------------------------------------------------------------------------------------------------------

_FEATURE = (*_VERSION, "feature")
_FEATURE_WINDOW = (*_FEATURE, "window")
_REFERENCE = (*_VERSION, "reference", "window")
_COMPARED_FEATURE = (*_FEATURE, "reference", "window")
_DISTANCE = (*_FEATURE, "statistic", "reference", "window")

MODEL_DRIFT_FEATURES_DETECTED = _gauge(
    "model_drift_features_detected",
    "How many of the configured features are not distributed as in the reference, by model_drift_detected; what "
    f"Tidegauge makes of them, score, prediction and label are not among them. {_PER_REPLICA}.",
    *_REFERENCE,
)
MODEL_DRIFT_DETECTED = _gauge(
    "model_drift_detected",
    "1 while the feature is not distributed as in the reference, else 0: the evidence over time has reached its "
    "threshold (e-BH over the features), and the population stability index exceeds its noise floor by minimum_effect "
    "(vectors: what comes near it).",
    *_COMPARED_FEATURE,
)
MODEL_DRIFT_START_TIMESTAMP_SECONDS = _gauge(
    "model_drift_start_timestamp_seconds",
    "When the drift that is detected seems to have begun, in seconds since the epoch.",
    *_FEATURE,
    "reference",
)
MODEL_DRIFT_EXCESS = _gauge(
    "model_drift_excess",
    "model_drift_distance less its noise floor, which is the distance that so many predictions have on average where "
    f"nothing has moved: about 0 without drift, whatever the window, and below 0 by chance. {_PER_REPLICA}.",
    *_DISTANCE,
)
MODEL_DRIFT_DISTANCE = _gauge(
    "model_drift_distance",
    "How far the feature's distribution over the window is from the reference, by the statistic's own definition: 0 "
    f"where they are equal. It has a noise floor that falls as the window grows. {_PER_REPLICA}.",
    *_DISTANCE,
)
MODEL_DRIFT_CONTRIBUTION_RATIO = _gauge(
    "model_drift_contribution_ratio",
    "The feature's share of what has moved, by its excess times its importance where importances are configured: 0 to "
    f"1, and 1 in all; 0 of every feature where nothing has. {_PER_REPLICA}.",
    *_COMPARED_FEATURE,
)
MODEL_DRIFT_P_VALUE = _gauge(
    "model_drift_p_value",
    "How probable a difference like the window's is where nothing has moved, 0 to 1: Pearson's test of the bins "
    "(vectors: of the maximum mean discrepancy), less what repeated units add. For looking, never for "
    "alerts: looked at often enough, it is small some time. "
    f"{_PER_REPLICA}.",
    *_COMPARED_FEATURE,
)
MODEL_DRIFT_EVIDENCE = _gauge(
    "model_drift_evidence",
    "Evidence that the feature has moved: the likelihood ratio of the sealed blocks of the run, which begins anew "
    f"whenever they speak against it; 1 without a run. It may be looked at as often as one likes. {_PER_REPLICA}.",
    *_FEATURE,
    "reference",
)
MODEL_DRIFT_EVIDENCE_THRESHOLD = _gauge(
    "model_drift_evidence_threshold",
    "The evidence from which on a feature has moved: blocks of a false_alarm_interval, times all that is watched and "
    "compared; less where so many features have moved (more than ten) that e-BH allows a tenth of false ones.",
    *_VERSION,
    "reference",
)
MODEL_DRIFT_REFERENCE_RECORDS = _gauge(
    "model_drift_reference_records",
    "How many predictions the reference amounts to; 0 while there is none yet. Where the window is weighed against "
    f"several times, their effective number. {_PER_REPLICA}.",
    *_REFERENCE,
)
MODEL_DRIFT_DESIGN_EFFECT = _gauge(
    "model_drift_design_effect",
    "How many predictions tell as much as one independent one, at least 1: predictions of the same unit resemble each "
    f"other. {_PER_REPLICA}.",
    *_FEATURE_WINDOW,
)
MODEL_FEATURE_STATE = _gauge(
    "model_feature_state",
    "1 for the state that the feature's data is in, 0 for the others: ok, learning, insufficient_samples, vanished, "
    "invalid, constant, stuck, missing, unseen, out_of_range.",
    *_FEATURE_WINDOW,
    "state",
)
MODEL_SCHEMA_CHANGED = _gauge(
    "model_schema_changed",
    "1 while the records' features are not those they were: one has appeared that is not configured, or one has "
    "vanished; else 0.",
    "model",
    "feature",
    "change",
)
MODEL_FEATURE_IMPORTANCE_RATIO = _gauge(
    "model_feature_importance_ratio",
    "The feature's share of the importances that are configured: 0 to 1, and 1 in all.",
    "model",
    "feature",
)
MODEL_FEATURE_RECORDS = _gauge(
    "model_feature_records",
    "Predictions in the window by the condition of the feature's value: valid, missing, unseen, invalid, non_finite; "
    f"and out_of_range, which is a part of valid. Statistical weights do not count. {_SUMMABLE}.",
    *_FEATURE_WINDOW,
    "condition",
)

# --- quality by class and by slice ------------------------------------------------------------------------------------

MODEL_CLASS_QUALITY_SCORE = _gauge(
    "model_class_quality_score",
    f"As model_quality_score, of one class against all others. {_PER_REPLICA}.",
    *_CLASS,
)
MODEL_CLASS_QUALITY_SCORE_LOWER = _gauge(
    "model_class_quality_score_lower",
    f"Lower end of the pointwise 95 % interval of model_class_quality_score. {_PER_REPLICA}.",
    *_CLASS,
)
MODEL_CLASS_QUALITY_SCORE_UPPER = _gauge(
    "model_class_quality_score_upper",
    f"Upper end of the pointwise 95 % interval of model_class_quality_score. {_PER_REPLICA}.",
    *_CLASS,
)
MODEL_CLASS_QUALITY_NUMERATOR = _gauge(
    "model_class_quality_numerator", f"As model_quality_numerator, of one class. {_SUMMABLE}.", *_CLASS
)
MODEL_CLASS_QUALITY_DENOMINATOR = _gauge(
    "model_class_quality_denominator", f"As model_quality_denominator, of one class. {_SUMMABLE}.", *_CLASS
)
MODEL_CLASS_QUALITY_SAMPLES = _gauge(
    "model_class_quality_samples", f"As model_quality_samples, of one class. {_PER_REPLICA}.", *_CLASS
)
MODEL_CLASS_QUALITY_STATE = _gauge(
    "model_class_quality_state", "As model_quality_state, of one class.", *_CLASS, "state"
)
MODEL_SLICE_QUALITY_SCORE = _gauge(
    "model_slice_quality_score",
    f'As model_quality_score, of one slice; values beyond the cap fold into "other". {_PER_REPLICA}.',
    *_SLICE,
)
MODEL_SLICE_QUALITY_SCORE_LOWER = _gauge(
    "model_slice_quality_score_lower",
    f"Lower end of the pointwise 95 % interval of model_slice_quality_score. {_PER_REPLICA}.",
    *_SLICE,
)
MODEL_SLICE_QUALITY_SCORE_UPPER = _gauge(
    "model_slice_quality_score_upper",
    f"Upper end of the pointwise 95 % interval of model_slice_quality_score. {_PER_REPLICA}.",
    *_SLICE,
)
MODEL_SLICE_QUALITY_NUMERATOR = _gauge(
    "model_slice_quality_numerator", f"As model_quality_numerator, of one slice. {_SUMMABLE}.", *_SLICE
)
MODEL_SLICE_QUALITY_DENOMINATOR = _gauge(
    "model_slice_quality_denominator", f"As model_quality_denominator, of one slice. {_SUMMABLE}.", *_SLICE
)
MODEL_SLICE_QUALITY_SAMPLES = _gauge(
    "model_slice_quality_samples", f"As model_quality_samples, of one slice. {_PER_REPLICA}.", *_SLICE
)
MODEL_SLICE_QUALITY_STATE = _gauge(
    "model_slice_quality_state", "As model_quality_state, of one slice.", *_SLICE, "state"
)

# --- proxies ----------------------------------------------------------------------------------------------------------

MODEL_PROXY_SCORE = _gauge(
    "model_proxy_score",
    "Rate or mean of a signal that tells of quality without being a label, over the window; of signals that come as "
    f"feedback, over mature predictions. {_PER_REPLICA}.",
    *_PROXY,
)
MODEL_PROXY_SCORE_LOWER = _gauge(
    "model_proxy_score_lower",
    f"Lower end of the pointwise 95 % interval of model_proxy_score. {_PER_REPLICA}.",
    *_PROXY,
)
MODEL_PROXY_SCORE_UPPER = _gauge(
    "model_proxy_score_upper",
    f"Upper end of the pointwise 95 % interval of model_proxy_score. {_PER_REPLICA}.",
    *_PROXY,
)
MODEL_PROXY_NUMERATOR = _gauge(
    "model_proxy_numerator",
    f"Sum of the signal's values, true being 1: model_proxy_score times model_proxy_denominator. {_SUMMABLE}.",
    *_PROXY,
)
MODEL_PROXY_DENOMINATOR = _gauge(
    "model_proxy_denominator", f"Weighted predictions in the window that have the signal. {_SUMMABLE}.", *_PROXY
)
MODEL_PROXY_SAMPLES = _gauge(
    "model_proxy_samples", f"Effective number of predictions that model_proxy_score rests on. {_PER_REPLICA}.", *_PROXY
)
MODEL_SLICE_PROXY_SCORE = _gauge(
    "model_slice_proxy_score", f"As model_proxy_score, of one slice. {_PER_REPLICA}.", *_SLICE_PROXY
)
MODEL_SLICE_PROXY_SCORE_LOWER = _gauge(
    "model_slice_proxy_score_lower", f"As model_proxy_score_lower, of one slice. {_PER_REPLICA}.", *_SLICE_PROXY
)
MODEL_SLICE_PROXY_SCORE_UPPER = _gauge(
    "model_slice_proxy_score_upper", f"As model_proxy_score_upper, of one slice. {_PER_REPLICA}.", *_SLICE_PROXY
)
MODEL_SLICE_PROXY_NUMERATOR = _gauge(
    "model_slice_proxy_numerator", f"As model_proxy_numerator, of one slice. {_SUMMABLE}.", *_SLICE_PROXY
)
MODEL_SLICE_PROXY_DENOMINATOR = _gauge(
    "model_slice_proxy_denominator", f"As model_proxy_denominator, of one slice. {_SUMMABLE}.", *_SLICE_PROXY
)
MODEL_SLICE_PROXY_SAMPLES = _gauge(
    "model_slice_proxy_samples", f"As model_proxy_samples, of one slice. {_PER_REPLICA}.", *_SLICE_PROXY
)

# --- the sums behind the scores ---------------------------------------------------------------------------------------

MODEL_WINDOW_CONFUSION = _gauge(
    "model_window_confusion",
    f"Weighted mature, labeled predictions of the window, by actual and predicted class. {_SUMMABLE}.",
    *_WINDOW,
    "actual",
    "predicted",
)
MODEL_CALIBRATION_BIN_PREDICTIONS = _gauge(
    "model_calibration_bin_predictions",
    "Weighted mature, labeled predictions of the window whose score lies in the bin; bin is its upper edge. "
    f"{_SUMMABLE}.",
    *_CALIBRATION,
)
MODEL_CALIBRATION_BIN_EXPECTED = _gauge(
    "model_calibration_bin_expected",
    f"Weighted sum of the scores in the bin: how many positives (multiclass: right answers) they promise. {_SUMMABLE}.",
    *_CALIBRATION,
)
MODEL_CALIBRATION_BIN_OBSERVED = _gauge(
    "model_calibration_bin_observed",
    f"Weighted positives (multiclass: right answers) that came true in the bin. {_SUMMABLE}.",
    *_CALIBRATION,
)

MODEL_FEATURE_BIN_RECORDS = _gauge(
    "model_feature_bin_records",
    "Predictions in the window by the bin of the feature's value; none is what is missing, invalid or not finite. "
    "Exporters with the same reference file have the same bins, and add up.",
    *_FEATURE,
    "bin",
    "window",
)
MODEL_FEATURE_REFERENCE_BIN_RATIO = _gauge(
    "model_feature_reference_bin_ratio",
    "Share of the reference in the bin, 0 to 1: what model_feature_bin_records over their sum would be without drift. "
    f"{_PER_REPLICA}.",
    *_FEATURE,
    "bin",
    "reference",
    "window",
)

# --- the exporter itself ----------------------------------------------------------------------------------------------

TIDEGAUGE_BUILD_INFO = _gauge(
    "tidegauge_build_info", "Always 1; the running exporter and its Python.", "version", "python_version"
)
TIDEGAUGE_READY = _gauge(
    "tidegauge_ready",
    "1 once every file has been read to the size it had at start; until then only tidegauge_* families are served.",
)
TIDEGAUGE_CLOCK_TIMESTAMP_SECONDS = _gauge(
    "tidegauge_clock_timestamp_seconds",
    "The clock that windows end by, in seconds since the epoch: of the wall, or the highest timestamp of the logs.",
)
TIDEGAUGE_CONFIG_LAST_RELOAD_SUCCESSFUL = _gauge(
    "tidegauge_config_last_reload_successful", "1 if the configuration file was accepted when last read, else 0."
)
TIDEGAUGE_WEB_CONFIG_LAST_RELOAD_SUCCESSFUL = _gauge(
    "tidegauge_web_config_last_reload_successful",
    "1 if the web configuration with its certificates was accepted when last read, else 0; absent without such a file.",
)
TIDEGAUGE_HTTP_REFUSED_TOTAL = _counter(
    "tidegauge_http_refused_total",
    "Clients that were not served: evicted (slow or idle when all places were taken), handshake (no TLS, or no trusted "
    "certificate), malformed, unauthorized (no or a wrong password), busy (too many passwords at once), rate_limited.",
    "reason",
)
TIDEGAUGE_RECORDS_TOTAL = _counter(
    "tidegauge_records_total",
    "Records read, by kind (predictions, feedback) and result (accepted, or why it was refused).",
    "kind",
    "result",
)
TIDEGAUGE_READ_BYTES_TOTAL = _counter("tidegauge_read_bytes_total", "Bytes read of the source's logs.", "source")
TIDEGAUGE_LAG_BYTES = _gauge("tidegauge_lag_bytes", "Bytes of the source's logs that wait to be read.", "source")
TIDEGAUGE_LAG_SECONDS = _gauge(
    "tidegauge_lag_seconds",
    "Seconds since the source's logs were last read to their end; 0 when nothing waits.",
    "source",
)
TIDEGAUGE_SOURCE_EVENTS_TOTAL = _counter(
    "tidegauge_source_events_total",
    "What happened to the source's files: rotations, truncations, losses, errors; see the table of cases in the docs.",
    "source",
    "event",
)
TIDEGAUGE_UNREADABLE_FILES = _gauge(
    "tidegauge_unreadable_files",
    "Files of the source that cannot be read now, or not to their end: no permission, errors, damaged or cut off "
    "compression, no text. The exporter's page names them.",
    "source",
)
TIDEGAUGE_OPEN_FILES = _gauge("tidegauge_open_files", "Log files that are held open.")
TIDEGAUGE_PENDING_PREDICTIONS = _gauge(
    "tidegauge_pending_predictions", "Predictions held until their horizon, with or without feedback yet.", "model"
)
TIDEGAUGE_WAITING_FEEDBACK = _gauge(
    "tidegauge_waiting_feedback", "Feedback held whose prediction has not come yet.", "model"
)
TIDEGAUGE_JOIN_SAMPLING_RATIO = _gauge(
    "tidegauge_join_sampling_ratio",
    "Share of prediction ids that are held for feedback: 1, or less once the cap on pending predictions was reached.",
    "model",
)
TIDEGAUGE_PROBABILITIES_DROPPED_TOTAL = _counter(
    "tidegauge_probabilities_dropped_total",
    "Multiclass predictions whose class probabilities found no room on disk to wait for feedback: they are scored by "
    "their answer, and are missing from log_loss, brier, calibration and areas.",
    "model",
)
TIDEGAUGE_CONTENTS_DROPPED_TOTAL = _counter(
    "tidegauge_contents_dropped_total",
    "Rankings, texts and their labels that were too long to be kept until they met, found no room on disk, or could "
    "not be read back: they are in no score.",
    "model",
)
TIDEGAUGE_CARDINALITY_FOLDED_TOTAL = _counter(
    "tidegauge_cardinality_folded_total",
    'Records whose model, version, class or slice value went into "other" because its cap was reached.',
    "model",
    "kind",
)
TIDEGAUGE_SERIES = _gauge("tidegauge_series", "Series published about the model.", "model")
TIDEGAUGE_SERIES_DROPPED_TOTAL = _counter(
    "tidegauge_series_dropped_total",
    "Series left out because the model's cap was reached, added up over refreshes.",
    "model",
)
TIDEGAUGE_LAST_REFRESH_TIMESTAMP_SECONDS = _gauge(
    "tidegauge_last_refresh_timestamp_seconds",
    "When the values on this page were computed, by the wall clock; they stay the same until the next refresh.",
)
TIDEGAUGE_REFRESH_DURATION_SECONDS = _gauge(
    "tidegauge_refresh_duration_seconds", "How long the last refresh took to compute, without saving."
)
TIDEGAUGE_SNAPSHOT_TIMESTAMP_SECONDS = _gauge(
    "tidegauge_snapshot_timestamp_seconds", "When the state was last saved, by the wall clock."
)
TIDEGAUGE_SNAPSHOT_DURATION_SECONDS = _gauge(
    "tidegauge_snapshot_duration_seconds", "How long the last saving of the state took."
)
TIDEGAUGE_SNAPSHOT_BYTES = _gauge("tidegauge_snapshot_bytes", "Bytes that the last saving of the state wrote.")
TIDEGAUGE_SNAPSHOT_FAILURES_TOTAL = _counter(
    "tidegauge_snapshot_failures_total", "Savings of the state that failed; values are then served unsaved."
)

FAMILIES: tuple[Family, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above: the exporter's page and the caps on series go by it."""

NAMED: Mapping[str, Family] = {family.name: family for family in FAMILIES}
