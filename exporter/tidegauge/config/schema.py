"""The configuration file as data: every key with its shape, default and meaning.

The walker checks files against it; reference documentation and a JSON Schema come from it too. Defaults are those of
`settings`, where they live once.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tidegauge.config import record_fields, settings
from tidegauge.config.durations import format_duration
from tidegauge.config.metrics import COMPARABLE, DIRECTIONS, METRIC_NAMES
from tidegauge.config.panes import LONGEST_WINDOW, PANE_WIDTHS, SHORTEST_WINDOW
from tidegauge.config.settings import DAY, HOUR, MINUTE, WEEK
from tidegauge.config.shapes import (
    Choice,
    DottedPath,
    Duration,
    Either,
    Flag,
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

PREDICTION_FIELDS = tuple(record_fields.PREDICTION)
FEEDBACK_FIELDS = tuple(record_fields.FEEDBACK)
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
            "predictions",
            PathText("a glob of log files"),
            "Glob of files that hold predictions, one JSON object a line. A source has either this or `feedback`.",
            None,
        ),
        Key(
            "feedback",
            PathText("a glob of log files"),
            "Glob of files that hold feedback, one JSON object a line.",
            None,
        ),
        _key(
            settings.Source,
            "model",
            _NAME,
            "The model of records that name none. If exactly one model is configured, it need not be said.",
        ),
        _key(settings.Source, "version", _NAME, "The version of records that name none.", ("predictions",)),
        Key(
            "channel",
            _NAME,
            "The channel of records that name none; it must be a channel of some model (of this source's `model`, if"
            " there is one).",
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
            "Where the record keeps a field, if not under its default name: a mapping from the default name to a dotted"
            ' path. A path may not lead inside another field; in `{"prediction": {"id": 7, "answer": "a"}}` both are'
            " mapped: `{prediction_id: prediction.id, prediction: prediction.answer}`.",
            (),
        ),
        _key(
            settings.Source,
            "path_pattern",
            Regex(("model", "version", "channel")),
            "A regular expression that is searched in each file's path. Its named groups `model`, `version`"
            " (predictions) and `channel` (feedback) give what neither the record nor this source says.",
        ),
        _key(settings.Source, "timezone", TimeZone(), "Zone of timestamps that carry no offset; an IANA name."),
        Key(
            "rotated",
            Items(PathText("a glob of rotated files"), "globs"),
            "Globs where rotated files rest, if they are moved away from the live file's directory.",
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
            "What the feedback covers. `complete`: every prediction, sooner or later; `sample`: those chosen with a"
            " known probability; `mistakes`: only those found wrong; `voluntary`: whoever cared to answer.",
        ),
        Key(
            "maturity",
            Duration(0, YEAR),
            "How old a prediction must be before it is scored: by then nearly all of its feedback has come. `0` if"
            " feedback is as good as immediate.",
        ),
        Key(
            "no_feedback",
            Label(),
            "What silence after maturity means: `missing`, or a label. A label only on `complete` channels (a number,"
            " for regression).",
            NO_FEEDBACK_MISSING,
        ),
    ),
)

SIGNAL = Section(
    "a signal",
    (
        Key(
            "type",
            Choice(settings.SIGNAL_TYPES),
            "What its values are: `boolean` gives a rate, `numeric` a mean. Required of signals that come as feedback.",
            None,
            "boolean for abstention and disagreement, numeric for confidence, entropy and answer_length",
        ),
        Key(
            "from",
            Choice(settings.ORIGINS),
            "Where it comes from: `feedback` records that name it, or the prediction record itself: `confidence` and"
            " `entropy` of its probabilities, `abstention` from answering, the `answer_length`, `disagreement` with a"
            " rule.",
            "feedback",
        ),
        Key(
            "maturity",
            Duration(0, YEAR),
            "How old a prediction must be before its feedback is counted.",
            0,
            only=("feedback",),
        ),
        Key(
            "no_feedback",
            Label(),
            "What silence after maturity means: missing, or a value.",
            NO_FEEDBACK_MISSING,
            only=("feedback",),
        ),
        Key(
            "labels",
            Items(Label(), "labels", fewest=1),
            "The answers that are none, besides the empty text. Required unless the task is text.",
            (),
            only=("abstention",),
        ),
        Key(
            "field",
            DottedPath(),
            "Where the record keeps the rule's answer, a dotted path.",
            None,
            "it must be given",
            ("disagreement",),
        ),
        _key(
            settings.Signal,
            "better",
            Choice(settings.BETTER),
            "Which way is good. With it a release is judged by the signal too; without it a change is only shown.",
        ),
    ),
)


def implied_type(origin: str) -> str:
    """What the values of a signal are that is derived from the prediction."""
    return "boolean" if origin in settings.BOOLEAN_ORIGINS else "numeric"


OBJECTIVE = Section(
    "an objective",
    (
        Key(
            "target",
            Number(),
            "The worst score that still meets the objective, in the metric's own units; ratios from 0 to 1, not"
            " percentages.",
        ),
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
            Named(
                "what is compared to numbers", Number(0), (*COMPARABLE, *settings.EARLY), prefix=settings.SIGNAL_PREFIX
            ),
            "A mapping from what is compared to how much worse a new version may be and still be acceptable, in its"
            " own units: a metric that is a mean over predictions, `error_ratio`, `latency_seconds`, or"
            " `signal:<name>`. What comes before the labels decides about a release only if it is named here.",
            (),
            "a fifth of the baseline's rate of errors, at least 0.005; a tenth of the baseline's mean loss",
        ),
        _key(
            settings.Release,
            "alpha",
            Number(1e-6, 0.5),
            "How probable a wrong verdict may be, however often it is looked at: to roll back what is no worse, and to"
            " promote what is worse by the margin.",
        ),
        _key(
            settings.Release,
            "duration",
            Duration(MINUTE, YEAR),
            "How long a new version is compared with the one before it.",
        ),
    ),
)

CHANGE = Section(
    "change",
    (
        _key(
            settings.Change,
            "false_alarm_interval",
            Duration(MINUTE, 100 * YEAR),
            "At most one false alarm in this time, on average, over all versions, channels and metrics of the model;"
            " slices have the same once more.",
        ),
        _key(
            settings.Change,
            "learning",
            Duration(MINUTE, YEAR),
            "How long a model is learned, with its daily and weekly cycle, before it is watched. Later versions need"
            " only enough labels of their own.",
        ),
    ),
)

FEATURE = Section(
    "a feature",
    (
        Key(
            "type",
            Choice(settings.FEATURE_KINDS),
            "What its values are. `numeric`: JSON numbers. `categorical`: texts, numbers or booleans, each a name."
            " `boolean`: true or false, 1 or 0. `text_length`: a text, of which only the number of characters is"
            " watched. `embedding`: a list of numbers, watched as a whole.",
        ),
        _key(
            settings.Feature,
            "importance",
            Number(0),
            "How much the model heeds the feature, in any unit that all features share: a mean absolute SHAP value, a"
            " gain. It ranks what moved by what matters; it neither raises an alarm nor holds one back.",
        ),
    ),
)

DRIFT = Section(
    "drift",
    (
        Key(
            "windows",
            Items(Duration(SHORTEST_WINDOW, LONGEST_WINDOW), "durations", fewest=1),
            "Of the model's `windows`, those that drift is published for. A short one shows larger changes only.",
            (),
            "the longest of at most 24h, or the shortest",
        ),
        _key(
            settings.Drift,
            "statistics",
            Items(Choice(settings.DRIFT_STATISTICS), "statistics", fewest=1),
            "Which distances are published; what is detected does not depend on them. See"
            " [statistics](drift.md#statistics).",
        ),
        _key(
            settings.Drift,
            "references",
            Items(Choice(settings.DRIFT_REFERENCES), "references", fewest=1),
            "What the inputs are compared with; see [references](drift.md#references). `training` needs `reference`;"
            " `first` is used only where `training` is not.",
        ),
        _key(
            settings.Drift,
            "minimum_effect",
            Number(0, 10, above=True),
            "How far a feature must have moved to be called drift, however certain the change is: population stability"
            " index less its noise floor. 0.01 is what a bell curve has that moved by 0.1 of its standard deviation.",
        ),
        _key(
            settings.Drift,
            "false_alarm_interval",
            Duration(MINUTE, 100 * YEAR),
            "At most one false alarm in this time, on average, over all that is watched of the model for drift.",
        ),
        _key(
            settings.Drift,
            "learning",
            Integer(100, 100_000),
            "From how many predictions the bins are learned where no reference file gives them.",
        ),
        _key(
            settings.Drift,
            "first",
            Integer(100, 100_000_000),
            "How many predictions the reference `first` takes, and at least 24 hours of them. At least `learning`.",
        ),
        _key(
            settings.Drift,
            "trailing",
            Duration(WEEK, 8 * WEEK),
            "How far back the reference `trailing` reaches, in whole weeks: each hour is compared with the same hour of"
            " the week before.",
        ),
        _key(
            settings.Drift,
            "multivariate",
            Flag(),
            "Whether the joint distribution of the inputs is watched too (`@inputs`, `@reconstruction`): it shows what"
            " no single feature does, and costs more.",
        ),
    ),
)

MODEL = Section(
    "a model",
    (
        Key("name", _NAME, 'The `model` label. The entry `"*"` is for every model that has no entry of its own.'),
        Key("task", Choice(settings.TASKS), "What the model answers."),
        Key(
            "feedback",
            Named("channel names to channels", CHANNEL, fewest=1),
            "The channels that feedback comes by: a mapping from the channel's name.",
        ),
        _key(settings.Model, "owner", Text("a team"), "Who is told. Routes alerts."),
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
            "Classes in the order to show them. Others are learned as they come, up to `max_classes`.",
            ("multiclass",),
        ),
        _key(
            settings.Model,
            "max_classes",
            Integer(2, 200),
            'How many classes are told apart; the rest count as "other".',
            ("multiclass",),
        ),
        Key(
            "features",
            Named(
                "feature names to a type, or to a feature",
                Either(Choice(settings.FEATURE_KINDS), FEATURE),
                reserved=settings.RESERVED,
            ),
            "The inputs to watch: a mapping from a feature's name in the record to its type, or to type and"
            " importance. No name begins with `@`.",
            (),
        ),
        _key(
            settings.Model,
            "slices",
            Items(_NAME, "names"),
            "Features, or names in the record's `slices`, by whose values to score separately.",
        ),
        _key(
            settings.Model,
            "windows",
            Items(Duration(SHORTEST_WINDOW, LONGEST_WINDOW), "durations", fewest=1),
            "Rolling windows of prediction time; their spelling is the `window` label.",
        ),
        _key(
            settings.Model,
            "reference",
            PathText("a readable file"),
            "A file that the model is compared with: CSV, JSON Lines or Parquet with the record's fields, or what"
            " `tidegauge reference` made of one. It must be readable.",
        ),
        Key(
            "signals",
            Named("signal names to a type, or to a signal", Either(Choice(settings.SIGNAL_TYPES), SIGNAL)),
            "Proxies: what tells of quality without being a label.",
            (),
        ),
        _key(settings.Model, "k", Integer(1, 1000), "How many items from the top are looked at.", ("ranking",)),
        _key(
            settings.Model,
            "normalize",
            Items(Choice(settings.NORMALIZATIONS), "steps", fewest=0),
            "What is done to answer and label before they are compared.",
            ("text",),
        ),
        Key(
            "objectives",
            Named("metric names to a target, or to target and direction", Either(Number(), OBJECTIVE), METRIC_NAMES),
            "The scores that the model must hold.",
            (),
        ),
        Key("release", RELEASE, "How releases are judged.", None),
        Key("change", CHANGE, "How it is noticed that a version gets worse by itself.", None),
        Key("drift", DRIFT, "How it is noticed that what the model sees and answers has moved.", None),
        Key(
            "horizon",
            Duration(MINUTE, YEAR),
            "How long a prediction waits for feedback. Later feedback is counted as late or orphaned. At least the"
            " longest maturity plus grace.",
            0,
            "the longest maturity, plus grace, plus the longest window; at least 24h",
        ),
        _key(
            settings.Model,
            "grace",
            Duration(0, 30 * DAY),
            "Time beyond maturity before counts become final: records that are written so late still count.",
        ),
        _key(
            settings.Model,
            "block",
            Duration(PANE_WIDTHS[0], PANE_WIDTHS[-1]),
            "Width of the blocks of prediction time that become final together: one of "
            + ", ".join(f"`{format_duration(width)}`" for width in PANE_WIDTHS)
            + ".",
        ),
        _key(
            settings.Model,
            "max_pending",
            _PENDING,
            "How many predictions may wait for feedback at a time. Beyond that they are sampled by id, with weights"
            " that keep scores unbiased.",
        ),
        _key(
            settings.Model,
            "max_versions",
            Integer(1, _MOST_CODES),
            'How many versions are told apart; the rest count as "other".',
        ),
        _key(
            settings.Model,
            "max_slice_values",
            Integer(1, _MOST_CODES),
            'How many values of a slice are told apart; the rest count as "other".',
        ),
        _key(
            settings.Model,
            "max_series",
            Integer(100, 10_000_000),
            "How many series are published for the model, totals first.",
        ),
        _key(
            settings.Model,
            "minimum_samples",
            Integer(1, 1_000_000),
            "With fewer, a score's state is `insufficient_samples`.",
        ),
        _key(
            settings.Model,
            "version_expiry",
            Duration(MINUTE, YEAR),
            "A version without traffic for this long, and with nothing pending, is forgotten.",
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
            'Where the page leads from a model or a version, for instance `"https://grafana.example/d/tidegauge-model'
            '?var-model={model}&var-version={version}"`. With `{version}` in it, the links are at the versions only.',
        ),
        _key(
            settings.Links,
            "runbook",
            UrlTemplate(("alert",)),
            'Where the page leads from what is wrong, for instance `"https://wiki.example/tidegauge/{alert}"`.'
            " `{alert}` is the name of the alert about it: see [problems](page.md#problems).",
        ),
        _key(
            settings.Links,
            "alerts",
            UrlTemplate(()),
            "Where the foot of the page leads for the alerts that fire now, for instance Alertmanager:"
            ' `"https://alertmanager.example/"`.',
        ),
    ),
)


ROOT = Section(
    "the configuration",
    (
        Key(
            "sources",
            Items(SOURCE, "sources", fewest=1),
            "Where records come from; at least one source of predictions.",
        ),
        Key(
            "models",
            Items(MODEL, "models", fewest=1),
            "What is measured. Records of models that are not listed are rejected and counted, unless there is an"
            ' entry named `"*"`.',
        ),
        Key(
            "state",
            PathText("a directory"),
            "Directory for what must survive a restart; made if absent. `--state.directory` takes precedence.",
            "state",
        ),
        _key(
            settings.Settings,
            "clock",
            Choice(("wall", "log")),
            "What now is. `wall`: the machine's time. `log`: the highest timestamp in the logs, for replays and tests.",
        ),
        _key(settings.Settings, "refresh_interval", Duration(100, HOUR), "How often results are saved and published."),
        _key(settings.Settings, "poll_interval", Duration(10, HOUR), "How often files are looked at."),
        _key(settings.Settings, "max_line_bytes", Integer(1 << 10, 4 << 20), "Longer lines are skipped and counted."),
        _key(settings.Settings, "max_models", Integer(1, 10_000), 'How many models the `"*"` entry may create.'),
        Key("links", LINKS, "Where people go on from [the page](page.md).", None),
    ),
)
