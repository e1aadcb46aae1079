"""Everything that is shown to people, as one immutable value: the page and /api/v1/status are two renderings of it.

The fields' names are the JSON's names (docs/page.md lists them); they only grow. Times are aware datetimes in UTC,
durations seconds, None is unknown and no number is NaN. Texts may be hostile: whoever renders them escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

FORMAT = 1
"""Version of these fields' meaning; names that are added do not change it."""


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """One metric of one channel over one window, with its objective if it has one."""

    channel: str
    metric: str
    window: str
    window_seconds: float | None  # None: lifetime
    state: str  # as model_quality_state
    score: float | None
    lower: float | None
    upper: float | None
    samples: float
    target: float | None
    direction: str | None  # at_least | at_most; None without an objective
    verdict: str


@dataclass(frozen=True, slots=True)
class SliceReport:
    """The version's headline score of one slice."""

    key: str
    value: str
    channel: str
    metric: str
    window: str
    state: str
    score: float | None
    lower: float | None
    upper: float | None
    samples: float
    verdict: str


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """A signal that stands in for the truth: a rate or a mean over one window."""

    signal: str
    window: str
    score: float | None
    lower: float | None
    upper: float | None
    samples: float | None


@dataclass(frozen=True, slots=True)
class TrendReport:
    """The recent past of one metric, a value a stretch of prediction time; None where nothing is known."""

    channel: str
    metric: str
    start_at: datetime
    step_seconds: float
    target: float | None
    scores: tuple[float | None, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """How much of the truth is known in one window of one channel."""

    channel: str
    window: str
    window_seconds: float | None
    predictions: int | None  # in the window that ends now, old enough or not; None for lifetime
    mature_predictions: int
    labeled_predictions: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class DelayReport:
    """How long labels took since the state began, and for how long there have been none."""

    channel: str
    labels: int
    median_seconds: float | None  # interpolated within histogram buckets, like 95 %
    p95_seconds: float | None
    silent_seconds: float | None  # how far back mature predictions have no label at all; None: labels are coming
    silent_predictions: int  # mature predictions since then


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """One measure of a release, compared in one way. Differences are the new version's minus the baseline's."""

    channel: str  # empty for what comes before the labels
    metric: str
    design: str | None  # concurrent | before_after; None before anything could be compared
    decides: bool  # about the release
    more_is_better: bool | None  # None: neither way is good
    proportion: bool  # the metric is a share, its differences can be said in percentage points
    verdict: str | None  # roll_back | promote | keep_watching; None where neither way is good
    difference: float | None
    lower: float | None
    upper: float | None
    margin: float | None  # how much worse is acceptable; None like the verdict, and before anything could be compared
    harm_evidence: float | None
    harm_threshold: float | None
    non_inferiority_evidence: float | None
    non_inferiority_threshold: float | None
    samples: float  # outcomes of the new version
    baseline_samples: float
    samples_needed: float | None  # 0 once there is a verdict
    clipped_ratio: float | None  # losses that were held at the cap


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """A new version against the one that it follows."""

    version: str
    baseline: str
    verdict: str  # roll_back | promote | keep_watching
    summary: str
    start_at: datetime | None
    end_at: datetime | None
    ended: bool
    comparisons: tuple[ComparisonReport, ...]  # those that decide first; the design that speaks first


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """How a version, or one of its slices, is watched for getting worse by itself."""

    channel: str
    metric: str
    key: str  # of the slice; empty for the whole version
    value: str
    state: str  # learning | watching | detected
    summary: str
    learned: float  # outcomes that were learned from, or have been so far
    learning_needed: float  # outcomes
    learned_seconds: float
    learning_needed_seconds: float
    expected: float | None  # what is normal for the hours of the window
    score: float | None
    window: str | None
    evidence: float | None
    threshold: float | None
    start_at: datetime | None  # of what was detected


@dataclass(frozen=True, slots=True)
class SlopeReport:
    """A score's slope over at least two weeks, and when its objective will be missed if it goes on."""

    channel: str
    metric: str
    summary: str
    per_day: float
    lower: float
    upper: float
    significant: bool
    target: float | None
    breach_at: datetime | None
    breach_earliest_at: datetime | None
    breach_latest_at: datetime | None  # None with a breach_at: too far off to be said


@dataclass(frozen=True, slots=True)
class FeatureComparisonReport:
    """How far a feature is from one reference."""

    reference: str  # training | previous_version | trailing | first
    records: float  # effective size of the reference; 0: there is none yet
    effect: float | None  # excess PSI; of vectors on its scale
    p_value: float | None
    evidence: float | None
    threshold: float  # what the evidence has to reach now
    detected: bool
    start_at: datetime | None  # of what was detected
    contribution: float | None  # share of the shift of all inputs; None for what has no part in it


@dataclass(frozen=True, slots=True)
class DistributionReport:
    """Shares of a feature's bins, now and in a reference."""

    reference: str
    bins: tuple[str, ...]
    shares: tuple[float, ...]
    reference_shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """One thing that is watched for drift: a feature, or with "@" what Tidegauge watches by itself."""

    feature: str
    state: str  # as model_feature_state
    broken: bool  # it tells the model nothing any more
    detected: bool  # it has moved against some reference
    summary: str  # what was found, empty where nothing was
    records: int
    valid: int
    missing: int
    unseen: int
    out_of_range: int
    invalid: int
    non_finite: int
    comparisons: tuple[FeatureComparisonReport, ...] = ()
    distribution: DistributionReport | None = None  # of the three that moved most
    broken_since: datetime | None = None  # None: it is not, or since before the window


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What a version sees and answers in one window, against what it is compared with."""

    window: str
    window_seconds: float
    state: str  # broken | moved | impaired | learning | insufficient_samples | no_reference | steady
    summary: str
    records: int
    learned: int  # predictions that bins are being learned from, or the reference "first" is made of, so far
    learning_needed: int  # 0 where nothing is being learned
    baseline: str | None  # what previous_version is
    features: tuple[FeatureReport, ...]  # answers and labels first, then inputs: broken, moved, the others


@dataclass(frozen=True, slots=True)
class VersionReport:
    name: str
    verdict: str
    summary: str  # the verdict in one sentence
    headline: ScoreReport | None  # the score that the verdict is about
    dashboard: str | None
    runbook: str | None
    predictions: int
    errors: int
    first_prediction_at: datetime | None
    last_prediction_at: datetime | None
    coverage: tuple[CoverageReport, ...] = ()
    delays: tuple[DelayReport, ...] = ()
    scores: tuple[ScoreReport, ...] = ()
    trends: tuple[TrendReport, ...] = ()
    slices: tuple[SliceReport, ...] = ()  # worst first
    proxies: tuple[ProxyReport, ...] = ()
    release: ReleaseReport | None = None  # while the version gets traffic
    changes: tuple[ChangeReport, ...] = ()
    failing_slices: tuple[ChangeReport, ...] = ()
    slopes: tuple[SlopeReport, ...] = ()
    drift: tuple[DriftReport, ...] = ()  # the longest window first; none of versions that are not watched
    broken_features: tuple[str, ...] = ()  # in any of these windows


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """A feedback channel as configured."""

    name: str
    kind: str
    maturity_seconds: float
    no_feedback: str | None


@dataclass(frozen=True, slots=True)
class ModelReport:
    name: str
    task: str
    owner: str
    verdict: str
    summary: str
    dashboard: str | None
    channels: tuple[ChannelReport, ...]
    minimum_samples: int
    pending_predictions: int
    waiting_feedback: int
    versions: tuple[VersionReport, ...]  # newest first sight first
    vanished_features: tuple[str, ...] = ()  # configured, and in no record any more
    new_features: tuple[str, ...] = ()  # in the records, not configured, and not there on the first day
    broken_features: tuple[str, ...] = ()  # of any version


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """Something wrong with the exporter or its input, or with a model, in plain words."""

    code: str
    severity: str  # error | warning
    subject: str  # a source, a model or a kind of record; empty: the exporter
    message: str
    advice: str
    count: int | None
    runbook: str | None
    about: str = "exporter"  # exporter | model


@dataclass(frozen=True, slots=True)
class SourceReport:
    name: str
    kind: str
    pattern: str
    files: int
    open_files: int
    read_bytes: int
    lag_bytes: int
    lag_seconds: float
    events: dict[str, int]  # those that happened, by name, since the state began


@dataclass(frozen=True, slots=True)
class RecordsReport:
    """What became of the records read: `accepted`, or why they were refused."""

    kind: str
    result: str
    count: int  # since the state began
    recent: int  # in the last quarter of an hour or so


@dataclass(frozen=True, slots=True)
class ExporterReport:
    version: str
    config_file: str
    ready: bool
    reload_succeeded: bool
    clock: str  # wall | log
    clock_at: datetime | None
    refreshed_at: datetime | None
    refresh_seconds: float
    refresh_interval_seconds: float
    saved_at: datetime | None
    save_failures: int
    alerts: str | None = None  # where those that fire are shown


@dataclass(frozen=True, slots=True)
class Report:
    exporter: ExporterReport
    problems: tuple[ProblemReport, ...] = ()
    models: tuple[ModelReport, ...] = ()  # in the configuration's order; none before the exporter is ready
    sources: tuple[SourceReport, ...] = ()
    records: tuple[RecordsReport, ...] = ()
    format: int = field(default=FORMAT)


def moment(milliseconds: int | None) -> datetime | None:
    """Milliseconds since the epoch as a time; None where there is none, or it is outside what a calendar holds."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
