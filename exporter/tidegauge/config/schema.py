"""The configuration file as data: every key with its shape, default and meaning.

The walker checks files against it; reference documentation and a JSON Schema come from it too. Defaults are those of
`settings`, where they live once.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tidegauge.config import settings
from tidegauge.config.metrics import DIRECTIONS, METRIC_NAMES
from tidegauge.config.panes import LONGEST_WINDOW, PANE_WIDTHS, SHORTEST_WINDOW
from tidegauge.config.settings import DAY, HOUR, MINUTE
from tidegauge.config.shapes import (
    Choice,
    DottedPath,
    Duration,
    Either,
    Integer,
    Items,
    Key,
    Label,
    Named,
    Number,
    PathText,
    Regex,
    Section,
    Shape,
    Text,
    TimeZone,
    UrlTemplate,
)

PREDICTION_FIELDS = (
    "prediction_id",
    "timestamp",
    "model",
    "version",
    "prediction",
    "score",
    "scores",
    "features",
    "slices",
    "unit_id",
    "latency_ms",
    "error",
    "weight",
    "count",
    "experiment",
    "variant",
    "role",
    "request_id",
)
FEEDBACK_FIELDS = (
    "prediction_id",
    "timestamp",
    "model",
    "label",
    "signal",
    "value",
    "channel",
    "propensity",
    "retract",
)
NO_FEEDBACK_MISSING = "missing"

YEAR = 366 * DAY
_NAME = Text("a name")
_PENDING = Integer(1, 130_000_000)  # row numbers of the join have 27 bits
_MOST_CODES = 250  # versions and slice values are kept as bytes


def _key(owner: type[Any], name: str, shape: Shape, description: str, only: tuple[str, ...] = ()) -> Key:
    default = next(field.default for field in fields(owner) if field.name == name)
    return Key(name, shape, description, default, only=only)


SOURCE = Section(
    "a source",
    (
        Key(
            "predictions", PathText("a glob of log files"), "Files that hold predictions, one JSON object a line.", None
        ),
        Key("feedback", PathText("a glob of log files"), "Files that hold feedback, one JSON object a line.", None),
        _key(settings.Source, "model", _NAME, "The model of records that do not name one."),
        _key(settings.Source, "version", _NAME, "The version of records that do not name one.", ("predictions",)),
        Key(
            "channel",
            _NAME,
            "The channel of records that do not name one.",
            None,
            "the only channel, where just one is configured",
            ("feedback",),
        ),
        Key(
            "fields",
            Named(
                "field names to dotted paths in the record",
                DottedPath(),
                tuple(dict.fromkeys(PREDICTION_FIELDS + FEEDBACK_FIELDS)),
            ),
            "Where the record keeps a field, if not under its default name.",
            (),
        ),
        _key(
            settings.Source,
            "path_pattern",
            Regex(("model", "version", "channel")),
            "Searched in the file's path; its named groups give model, version and channel where neither the record nor"
            " this source does.",
        ),
        _key(settings.Source, "timezone", TimeZone(), "Zone of timestamps that carry no offset."),
        Key(
            "rotated",
            Items(PathText("a glob of rotated files"), "globs"),
            "Where rotated files rest, if not beside the live file.",
            (),
        ),
    ),
    exactly_one=("predictions", "feedback"),
)

CHANNEL = Section(
    "a channel",
    (
        _key(
            settings.Channel,
            "kind",
            Choice(settings.KINDS),
            "What the feedback covers: complete, every prediction; sample, those chosen with a known probability;"
            " mistakes, only those found wrong; voluntary, whoever cared to answer.",
        ),
        Key(
            "maturity",
            Duration(0, YEAR),
            "How old a prediction must be before it is scored: by then nearly all of its feedback has come.",
        ),
        Key(
            "no_feedback",
            Label(),
            "What silence after maturity means: missing, or a label. A label only on complete channels.",
            NO_FEEDBACK_MISSING,
        ),
    ),
)

OBJECTIVE = Section(
    "an objective",
    (
        Key("target", Number(), "The worst score that still meets the objective, in the metric's units."),
        Key(
            "direction",
            Choice(DIRECTIONS),
            "Which side of the target is good.",
            None,
            "at_least where more is better, at_most for losses, errors and rates of errors",
        ),
    ),
)

RELEASE = Section(
    "release",
    (
        Key(
            "margins",
            Named("metric names to numbers", Number(0), METRIC_NAMES),
            "How much worse a new version may be, in the metric's units.",
            (),
        ),
    ),
)

MODEL = Section(
    "a model",
    (
        Key("name", _NAME, 'The model label; "*" describes every model that is not named.'),
        Key("task", Choice(settings.TASKS, later=("ranking", "text")), "What the model answers."),
        Key(
            "feedback",
            Named("channel names to channels", CHANNEL, fewest=1),
            "The channels that feedback comes by.",
        ),
        _key(settings.Model, "owner", Text("a team"), "Who is told; routes alerts."),
        _key(settings.Model, "positive_label", Label(), "The label of the positive class.", ("binary",)),
        _key(
            settings.Model,
            "threshold",
            Number(0, 1),
            "A record with a score and no prediction is answered positive from this score on.",
            ("binary",),
        ),
        _key(
            settings.Model,
            "classes",
            Items(Label(), "labels", fewest=0),
            "Classes in the order to show them; others are learned as they come, up to max_classes.",
            ("multiclass",),
        ),
        _key(
            settings.Model,
            "max_classes",
            Integer(2, 200),
            "Classes told apart; the rest count as other.",
            ("multiclass",),
        ),
        Key(
            "features",
            Named("feature names to numeric or categorical", Choice(("numeric", "categorical"))),
            "The inputs to watch and their types.",
            (),
        ),
        _key(
            settings.Model, "slices", Items(_NAME, "names"), "Features or slices of the record to score separately by."
        ),
        _key(
            settings.Model,
            "windows",
            Items(Duration(SHORTEST_WINDOW, LONGEST_WINDOW), "durations", fewest=1),
            "Rolling windows of prediction time; their spelling is the window label.",
        ),
        _key(
            settings.Model,
            "reference",
            PathText("a readable file"),
            "What the model is compared with: CSV, JSON Lines or Parquet with the record's fields.",
        ),
        Key(
            "objectives",
            Named("metric names to a target, or to target and direction", Either(Number(), OBJECTIVE), METRIC_NAMES),
            "The scores the model must hold.",
            (),
        ),
        Key("release", RELEASE, "How releases are judged.", None),
        Key(
            "horizon",
            Duration(MINUTE, YEAR),
            "How long a prediction waits for feedback.",
            0,
            "the longest maturity, plus grace, plus the longest window; at least 24h",
        ),
        _key(
            settings.Model,
            "grace",
            Duration(0, 30 * DAY),
            "Time beyond maturity before a block of counts becomes final.",
        ),
        _key(
            settings.Model,
            "block",
            Duration(PANE_WIDTHS[0], PANE_WIDTHS[-1]),
            "Width of the blocks of prediction time that become final together.",
        ),
        _key(settings.Model, "max_pending", _PENDING, "Predictions that may wait for feedback unsampled."),
        _key(settings.Model, "max_versions", Integer(1, _MOST_CODES), "Versions told apart."),
        _key(
            settings.Model,
            "max_slice_values",
            Integer(1, _MOST_CODES),
            "Values of a slice told apart; the rest count as other.",
        ),
        _key(settings.Model, "max_series", Integer(100, 10_000_000), "Series published for the model."),
        _key(
            settings.Model, "minimum_samples", Integer(1, 1_000_000), "Fewer make a score's state insufficient_samples."
        ),
        _key(
            settings.Model,
            "version_expiry",
            Duration(MINUTE, YEAR),
            "A version without traffic this long is forgotten.",
        ),
    ),
)

LINKS = Section(
    "links",
    (
        _key(
            settings.Links,
            "dashboard",
            UrlTemplate(("model", "version")),
            "Where the page leads from a model or a version.",
        ),
        _key(settings.Links, "runbook", UrlTemplate(("alert",)), "Where the page leads from what is wrong."),
    ),
)

ROOT = Section(
    "the configuration",
    (
        Key("sources", Items(SOURCE, "sources", fewest=1), "Where records come from."),
        Key("models", Items(MODEL, "models", fewest=1), "What is measured."),
        Key("state", PathText("a directory"), "What must survive a restart; made if absent.", "state"),
        _key(
            settings.Settings,
            "clock",
            Choice(("wall", "log")),
            "Now: the machine's time, or the highest timestamp in the logs (for replays).",
        ),
        _key(settings.Settings, "refresh_interval", Duration(100, HOUR), "How often results are saved and published."),
        _key(settings.Settings, "poll_interval", Duration(10, HOUR), "How often files are looked at."),
        _key(settings.Settings, "max_line_bytes", Integer(1 << 10, 4 << 20), "Longer lines are skipped and counted."),
        _key(settings.Settings, "max_models", Integer(1, 10_000), 'Models that the "*" entry may create.'),
        Key("links", LINKS, "Where people go on from the page.", None),
    ),
)
