"""The configuration as immutable values, after every check has passed.

`load` builds these from YAML; everything else reads them and never looks at YAML. Durations are whole milliseconds,
paths absolute. Defaults live here, once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

TASKS = ("binary", "multiclass", "regression", "ranking", "text")
CLASSIFICATION = ("binary", "multiclass")
WORDY = ("ranking", "text")
"""Tasks whose answers and labels are too large for a packed row: what waits of them rests in files."""
KINDS = ("complete", "sample", "mistakes", "voluntary")
SIGNAL_TYPES = ("boolean", "numeric")
BETTER = ("higher", "lower")
ERROR_RATIO, LATENCY = "error_ratio", "latency_seconds"
EARLY = (ERROR_RATIO, LATENCY)
"""What is compared of every release besides metrics and signals: it comes with the predictions."""
SIGNAL_PREFIX = "signal:"
"""Signals are called so among what is compared."""
ORIGINS = ("feedback", "confidence", "entropy", "abstention", "answer_length", "disagreement")
"""Where a signal comes from: feedback, or a property of the prediction record."""
BOOLEAN_ORIGINS = ("abstention", "disagreement")
NORMALIZATIONS = ("lowercase", "remove_punctuation")
FEATURE_KINDS = ("numeric", "categorical", "boolean", "text_length", "embedding")
RESERVED = "@"
"""Names of what Tidegauge watches besides the model's features begin so: `@score`, `@prediction`."""
DRIFT_STATISTICS = (
    "psi",
    "jensen_shannon",
    "hellinger",
    "total_variation",
    "l_infinity",
    "kolmogorov_smirnov",
    "wasserstein",
    "chi_squared",
)
TRAINING, PREVIOUS_VERSION, TRAILING, FIRST = "training", "previous_version", "trailing", "first"
DRIFT_REFERENCES = (TRAINING, PREVIOUS_VERSION, TRAILING, FIRST)
"""What features are compared with, in the order of how much a difference says."""


@dataclass(frozen=True, slots=True)
class Source:
    """One set of log files holding one kind of record."""

    name: str  # "predictions" or "feedback" with a number where several share a kind; stable over reloads
    kind: str  # "predictions" | "feedback"
    pattern: str  # absolute glob
    model: str | None = None
    version: str | None = None
    channel: str | None = None  # feedback only
    fields: tuple[tuple[str, str], ...] = ()  # (default field name, dotted path in the record)
    path_pattern: re.Pattern[str] | None = None  # named groups: model, version, channel
    timezone: str = "UTC"  # zone of timestamps that carry no offset; an IANA name
    rotated: tuple[str, ...] = ()  # further globs where rotated files rest; default: beside the live file


@dataclass(frozen=True, slots=True)
class Channel:
    """Where feedback of one origin comes from and what it can support."""

    name: str
    kind: str = "complete"
    maturity: int = HOUR  # ms; a prediction is scored when this old
    no_feedback: str | None = None  # the label that silence means after maturity; None: missing
    carries: str = "label"  # "label", or what a signal's values are: "boolean" | "numeric"

    @property
    def key(self) -> str:
        """Its name among channels and signals: a signal may be called as a channel of another model is."""
        return self.name if self.carries == "label" else f"signal/{self.name}"


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that tells of quality without being a label: given as feedback, or in the prediction itself."""

    name: str
    type: str  # "boolean" | "numeric"
    origin: str = "feedback"  # one of ORIGINS
    maturity: int = 0  # ms; of feedback: a prediction is counted when this old
    no_feedback: str | None = None  # the value that silence means after maturity; None: missing
    labels: tuple[str, ...] = ()  # abstention: the answers that are none
    field: str = ""  # disagreement: dotted path of the rule's answer
    better: str | None = None  # "higher" | "lower"; None: a change of it is neither good nor bad


@dataclass(frozen=True, slots=True)
class Objective:
    metric: str
    target: float
    direction: str  # "at_least" | "at_most"


@dataclass(frozen=True, slots=True)
class Release:
    """How a new version is compared with the one before it."""

    margins: tuple[tuple[str, float], ...] = ()  # (measure, how much worse is still acceptable, in its units)
    alpha: float = 0.05  # probability of a wrong verdict, each of the two
    duration: int = 14 * DAY  # ms; how long a comparison goes on


@dataclass(frozen=True, slots=True)
class Change:
    """How a version is watched for getting worse by itself."""

    false_alarm_interval: int = 90 * DAY  # ms; at most one false alarm in this time, over all that is watched
    learning: int = 7 * DAY  # ms; how long the first version is learned before it is watched


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the model that is watched."""

    name: str  # never begins with RESERVED
    kind: str  # one of FEATURE_KINDS
    importance: float | None = None  # how much the model heeds it, in any unit; None: not said


@dataclass(frozen=True, slots=True)
class Drift:
    """How it is noticed that what a model sees and answers has moved."""

    windows: tuple[int, ...] = (DAY,)  # ms, ascending, of the model's windows; load chooses one where none is named
    statistics: tuple[str, ...] = ("psi",)  # of DRIFT_STATISTICS
    references: tuple[str, ...] = DRIFT_REFERENCES  # as named; see Model.drift_references
    minimum_effect: float = 0.01  # excess PSI below which nothing is called drift
    false_alarm_interval: int = 90 * DAY  # ms; at most one false alarm in this time, over all that is watched
    learning: int = 2_000  # predictions from which bins are learned, where no reference file gives them
    first: int = 10_000  # predictions of the reference "first"; it takes 24 hours at least
    trailing: int = 4 * WEEK  # ms; whole weeks of its own past that a version is compared with
    multivariate: bool = False  # whether the joint distribution of the inputs is watched too


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    task: str
    channels: tuple[Channel, ...]
    owner: str = ""
    positive_label: str = "1"
    threshold: float = 0.5  # binary: a record with a score and no prediction is answered by this
    classes: tuple[str, ...] = ()  # multiclass: known classes, in order; others are learned up to max_classes
    max_classes: int = 50
    features: tuple[Feature, ...] = ()
    slices: tuple[str, ...] = ()
    windows: tuple[int, ...] = (HOUR, DAY)  # ms, ascending
    reference: Path | None = None
    signals: tuple[Signal, ...] = ()
    k: int = 10  # ranking: how many items from the top are looked at
    normalize: tuple[str, ...] = ()  # text: what is done to answer and label before they are compared
    objectives: tuple[Objective, ...] = ()
    release: Release = Release()
    change: Change = Change()
    drift: Drift = Drift()
    horizon: int = 0  # ms; how long a prediction waits for feedback; 0: chosen by load from maturity and windows
    grace: int = 5 * MINUTE  # ms; beyond maturity before a block is sealed
    block: int = 5 * MINUTE  # ms; width of a sealed block
    max_pending: int = 10_000_000  # predictions that wait for feedback, then the hash sample starts
    max_versions: int = 50
    max_slice_values: int = 50
    max_series: int = 10_000
    minimum_samples: int = 30  # below this a score's state is insufficient_samples
    version_expiry: int = 7 * DAY

    @property
    def slots(self) -> tuple[Channel, ...]:
        """Everything that can be said of a single prediction later: labels by channel, then signals."""
        return self.channels + tuple(
            Channel(signal.name, "signal", signal.maturity, signal.no_feedback, signal.type)
            for signal in self.signals
            if signal.origin == "feedback"
        )

    @property
    def importances(self) -> tuple[float, ...]:
        """Each feature's share of all importances, in the features' order; 1 in all.

        A feature of which none is said counts as the mean of the others; all count alike where none is above 0.
        """
        told = [feature.importance for feature in self.features]
        largest = max((one for one in told if one is not None), default=0.0)
        if largest == 0:
            return tuple(1 / len(told) for _ in told)
        scaled = [None if one is None else one / largest for one in told]
        given = [one for one in scaled if one is not None]
        each = [sum(given) / len(given) if one is None else one for one in scaled]
        return tuple(one / sum(each) for one in each)

    @property
    def drift_references(self) -> tuple[str, ...]:
        """What the model can be compared with: training needs a reference file, and first stands in for it."""
        usable = [one for one in self.drift.references if one != TRAINING or self.reference is not None]
        return tuple(one for one in usable if one != FIRST or TRAINING not in usable)


@dataclass(frozen=True, slots=True)
class Links:
    """Where people go on from the page; see `links` for what stands in braces."""

    dashboard: str | None = None  # URL; {model} and {version}
    runbook: str | None = None  # URL; {alert}
    alerts: str | None = None  # URL


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration file."""

    path: Path
    state: Path
    sources: tuple[Source, ...]
    models: tuple[Model, ...]  # named ones, in the file's order
    default_model: Model | None = None  # the entry named "*": for models not named
    clock: str = "wall"  # "wall" | "log"
    refresh_interval: int = 10 * SECOND
    poll_interval: int = SECOND
    max_line_bytes: int = 1 << 20
    max_models: int = 100  # that the "*" entry may create
    links: Links = Links()
