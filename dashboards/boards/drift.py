"""What has moved, and does it matter? Inputs, answers and labels of one model against one reference."""

from __future__ import annotations

from dashboards.board import KEPT, Board, Section, Variable, cell, drill, firing, releases, scope_of, series
from dashboards.boards.common import DRIFT, MODEL, SLICES, variables
from dashboards.boards.worse import evidence_panel
from dashboards.panels import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Json,
    Mapped,
    Query,
    stat,
    state_timeline,
    timeseries,
)
from dashboards.promql import highest, lowest, pooled, total
from dashboards.tables import Column, bars, table

OWN_VARIABLES = (
    Variable("reference", "Reference", "model_drift_reference_records", ("model",), first="training"),
    # A link may bring a window that drift is not published for, so that this is a variable of its own.
    Variable("drift_window", "Drift window", "model_feature_state", ("model",), first="24h", label_of="window"),
    Variable("feature", "Feature", "model_feature_state", ("model",), first="@prediction"),
)
VARIABLES = (*variables(several=("version",)), *OWN_VARIABLES)
SCOPE = scope_of(VARIABLES)
HANDED_ON = (*KEPT, *(variable.name for variable in OWN_VARIABLES))

BY_FEATURE = ("version", "feature")
LEGEND = "{{feature}} {{version}}"
SERIES = ("model", "version")
WINDOW = 'window="$drift_window"'
ANSWERS = 'feature=~"@score|@prediction|@label"'
PSI = 'statistic="psi"'
SHOWN = 10
"""Features on the panel of excess: more lines than this are not told apart."""

NO_REFERENCE = "Nothing to compare with: the reference has no predictions yet (see its size), or bins are still learned"
NO_FEATURES = "Prometheus has nothing of this model's features: it has no predictions, or none are published"
NO_BINS = "No bins of this feature: they are still learned, it is a vector, or max_series left them out"
MOVED: Mapped = {"0": ("as the reference", GREEN), "1": ("moved", RED)}
FEATURE_STATES: Mapped = {
    "ok": ("ok", GREEN),
    "learning": ("learning", BLUE),
    "insufficient_samples": ("too few", BLUE),
    "out_of_range": ("out of range", YELLOW),
    "unseen": ("unseen values", YELLOW),
    "missing": ("missing", ORANGE),
    "stuck": ("stuck", PURPLE),
    "constant": ("constant", RED),
    "invalid": ("invalid", RED),
    "vanished": ("vanished", RED),
}
"""From best to worst; the place is the code in panels."""
STATE_CODES: Mapped = {str(code): told for code, told in enumerate(FEATURE_STATES.values())}
FIRST_FAULT = tuple(FEATURE_STATES).index("out_of_range")


def _of(family: str, *labels: str, where: str = "") -> str:
    return SCOPE.select(family, *SERIES, *labels, where=", ".join(filter(None, (where, WINDOW))))


def _compared(ending: str, where: str = "") -> str:
    """Of the chosen window and reference."""
    return _of(f"model_drift_{ending}", "reference", where=where)


def _run(ending: str) -> str:
    """Of the runs of evidence, which have no window."""
    return SCOPE.select(f"model_drift_{ending}", *SERIES, "reference")


def _coded(code: int, state: str) -> str:
    where = f'state="{state}"'
    return f"{code} * {_of('model_feature_state', where=where)}"


STATE = highest(BY_FEATURE, " or ".join(_coded(code, state) for code, state in enumerate(FEATURE_STATES) if code))
"""The code of a feature's state; of several exporters, the worst."""
DETECTED = highest(BY_FEATURE, _compared("detected"))
EXCESS = highest(BY_FEATURE, _compared("excess", PSI))
_highest = highest(BY_FEATURE, f"max_over_time({_compared('excess', PSI)}[$__range])")
MOST = f"topk({SHOWN}, {_highest})"
EVIDENCE = (
    f"({highest(BY_FEATURE, _run('evidence'))} / on (version) group_left () "
    f"({lowest(('version',), _run('evidence_threshold'))} > 0))"
)
START = f"{lowest(BY_FEATURE, _run('start_timestamp_seconds'))} * 1000"


def _records(where: str, by: tuple[str, ...]) -> str:
    return total(by, _of("model_feature_records", where=where))


_every = _records('condition!="out_of_range"', BY_FEATURE)  # which is a part of valid
_each = _records('condition!="valid"', (*BY_FEATURE, "condition"))
FAULTS = f"({_each} / on (version, feature) group_left () ({_every} > 0)) > 0"
"""Shares of values with a fault; what has none is left out."""


def _now() -> str:
    records = _of("model_feature_bin_records", "feature")
    return f"({total(('bin',), records)} / on () group_left () (sum({records}) > 0))"


def to_feature(feature: str) -> Json:
    """This board with that feature."""
    return drill("Show its distribution", DRIFT, HANDED_ON, feature=feature)


MOST_MOVED = table(
    "Features by their share of what has moved",
    "Contribution: the feature's share of what has moved, by its excess and its importance. Excess: the population "
    "stability index less what chance gives. p is for looking only. Evidence is over its threshold: at 1 it is enough.",
    [
        Column("Feature", "feature", links=(to_feature(cell("Feature")),), width=170),
        Column(
            "Version",
            "version",
            links=(
                drill("Open the model", MODEL, version=cell("Version")),
                drill("Open its slices", SLICES, version=cell("Version")),
            ),
        ),
        Column("Drift", expr=DETECTED, texts=MOVED, width=130),
        Column(
            "Contribution",
            expr=highest(BY_FEATURE, _compared("contribution_ratio")),
            unit="percentunit",
            decimals=0,
            gauge=True,
        ),
        Column("Excess PSI", expr=EXCESS, decimals=3),
        Column("p-value", expr=lowest(BY_FEATURE, _compared("p_value")), decimals=4),
        Column("Evidence", expr=f"clamp_max({EVIDENCE}, 1000)", decimals=2),
        Column("State of the data", expr=STATE, texts=STATE_CODES, width=140),
        Column("Since", expr=START, unit="dateTimeAsIso", width=170),
    ],
    unit="none",
    empty=NO_FEATURES,
    height=10,
    sort="Contribution",
    descending=True,
)

DISTRIBUTION = bars(
    "The chosen feature, now and in the reference",
    "Share of the predictions in each bin: over the drift window, of the versions chosen, and in the reference. A "
    "spike at one value, a shift of all, a new category: the shape mostly says what has happened. None: no value "
    "that could be used.",
    [
        Column("bin", "bin"),
        Column("Now", expr=_now()),
        Column("Reference", expr=f"avg by (bin) ({_of('model_feature_reference_bin_ratio', 'reference', 'feature')})"),
    ],
    x="bin",
    unit="percentunit",
    empty=NO_BINS,
    width=24,
)

_scores = ("model", "version", "channel", "metric", "window")

BOARD = Board(
    uid=DRIFT,
    title="Tidegauge / Drift",
    question="What has moved, and does it matter?",
    variables=VARIABLES,
    annotations=(releases(SCOPE), firing('alertname=~"Model.+", model="$model"')),
    sections=(
        Section(
            "What has moved, and does it matter?",
            (
                stat(
                    "Inputs that moved",
                    "Configured features that are not distributed as in the chosen reference; of several versions and "
                    "exporters, the most.",
                    f"max({_compared('features_detected')})",
                    unit="none",
                    decimals=0,
                    empty=NO_REFERENCE,
                    steps=((None, GREEN), (1, RED)),
                ),
                stat(
                    "Answers that moved",
                    "Score, prediction and label: how many of them are not distributed as in the chosen reference.",
                    f"count(group by (feature) ({_compared('detected', ANSWERS)} == 1)) "
                    f"or 0 * count({_compared('detected', ANSWERS)})",
                    unit="none",
                    decimals=0,
                    empty=NO_REFERENCE,
                    steps=((None, GREEN), (1, ORANGE)),
                ),
                stat(
                    "Impaired features",
                    "Features whose data has a fault in any of the versions chosen: the states, below, say which.",
                    f"count(group by (feature) ({STATE} >= {FIRST_FAULT})) or 0 * count({STATE})",
                    unit="none",
                    decimals=0,
                    empty=NO_FEATURES,
                    steps=((None, GREEN), (1, RED)),
                ),
                stat(
                    "Watched",
                    "Configured features, and what Tidegauge adds to them: names that begin with @.",
                    f"count(group by (feature) ({_of('model_feature_state')}))",
                    unit="none",
                    decimals=0,
                    empty=NO_FEATURES,
                ),
                stat(
                    "First sign of it",
                    "When the earliest of what is detected now seems to have begun.",
                    f"min({_run('start_timestamp_seconds')}) * 1000",
                    unit="dateTimeAsIso",
                    empty="Nothing is detected now",
                ),
                stat(
                    "Quality now",
                    "The chosen metric of the versions chosen: drift that leaves it as it was does no harm by now.",
                    pooled(SCOPE, "model_quality", (), *_scores),
                    unit="none",
                    decimals=3,
                    empty="No score yet: the Model board says why",
                ),
                state_timeline(
                    "Is it distributed as the reference?",
                    "Red while drift is detected: enough evidence over time, and an effect that is large enough.",
                    Query(DETECTED, LEGEND),
                    texts=MOVED,
                    empty=NO_REFERENCE,
                    height=10,
                ),
                state_timeline(
                    "Is its data sound?",
                    "The worst state of each feature's data over the drift window. A feature that died is not without "
                    "drift.",
                    Query(STATE, LEGEND),
                    texts=STATE_CODES,
                    empty=NO_FEATURES,
                    height=10,
                ),
                MOST_MOVED,
            ),
        ),
        Section(
            "How has it moved?",
            (
                DISTRIBUTION,
                timeseries(
                    "Excess by feature",
                    f"Population stability index less its noise floor, of the {SHOWN} features that were highest: "
                    "about 0 where nothing has moved, whatever the window. Below the minimum effect "
                    "(drift.minimum_effect, 0.01 by default) nothing is called drift.",
                    Query(f"{EXCESS} and on (version, feature) {MOST}", LEGEND),
                    unit="none",
                    decimals=3,
                    empty=NO_REFERENCE,
                    width=12,
                    height=9,
                    links=(to_feature(series("feature")),),
                ),
                evidence_panel(
                    "Evidence that it moved",
                    "Of the runs of sealed blocks, as a multiple of the threshold that e-BH asks for: the more has "
                    "moved, the lower it is.",
                    EVIDENCE,
                    LEGEND,
                    empty=NO_REFERENCE,
                    width=12,
                    links=(to_feature(series("feature")),),
                ),
            ),
        ),
        Section(
            "Does it matter?",
            (
                timeseries(
                    "Drift of the answers",
                    "Excess of score, prediction and label over the drift window. Inputs that move while these and the "
                    "quality below stay do no harm; answers that move before labels come are the first sign.",
                    Query(highest(BY_FEATURE, _compared("excess", f"{PSI}, {ANSWERS}")), LEGEND),
                    unit="none",
                    decimals=3,
                    empty=NO_REFERENCE,
                    width=24,
                    height=6,
                ),
                timeseries(
                    "Quality on the same time axis",
                    "The chosen metric by version, over the chosen window. It is what drift is about; where labels are "
                    "late, it lags behind the panel above.",
                    Query(pooled(SCOPE, "model_quality", ("version",), *_scores), "{{version}}"),
                    unit="none",
                    decimals=3,
                    empty="No score in this window yet: the Model board says why",
                    width=24,
                    height=6,
                    links=(drill("Open the model", MODEL, version=series("version")),),
                ),
            ),
        ),
        Section(
            "Is the data sound?",
            (
                timeseries(
                    "Values with a fault",
                    "Share of the predictions in the drift window whose value was missing, invalid, not finite, or not "
                    "known to the reference (unseen, out of range). Features without any are left out.",
                    Query(FAULTS, "{{feature}} {{condition}} {{version}}"),
                    unit="percentunit",
                    minimum=0,
                    maximum=1,
                    empty="Every value is valid, or there is none in the drift window",
                    width=12,
                    height=9,
                    links=(to_feature(series("feature")),),
                ),
                state_timeline(
                    "Have the records' features changed?",
                    "Names that appeared in the records without being configured, and configured ones that vanished. "
                    "One that appears as another vanishes may have been renamed.",
                    Query(
                        highest(("feature", "change"), SCOPE.select("model_schema_changed", "model")),
                        "{{feature}} {{change}}",
                    ),
                    texts={"0": ("as before", GREEN), "1": ("changed", RED)},
                    empty="No features are configured for this model: see features in the configuration",
                    height=9,
                ),
            ),
        ),
        Section(
            "How much can be seen?",
            (
                timeseries(
                    "Size of the references",
                    "How many predictions each reference amounts to; 0 while there is none. Of several exporters, the "
                    "smallest.",
                    Query(
                        lowest(("version", "reference"), _of("model_drift_reference_records")),
                        "{{reference}} {{version}}",
                    ),
                    unit="short",
                    minimum=0,
                    empty=NO_REFERENCE,
                    width=12,
                    height=6,
                ),
                timeseries(
                    "Design effect",
                    "How many predictions tell as much as one independent one: those of one unit resemble each other. "
                    "At 4, a thousand tell as much as 250.",
                    Query(highest(BY_FEATURE, _of("model_drift_design_effect")), LEGEND),
                    unit="none",
                    decimals=2,
                    minimum=0,
                    empty="Bins are still learned, or there is no prediction in the drift window",
                    width=12,
                    height=6,
                ),
            ),
        ),
    ),
)
