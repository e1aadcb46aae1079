"""Is it equally good for everybody? One model's score by the values of one slice."""

from __future__ import annotations

from dashboards.board import Board, Section, Variable, cell, drill, firing, releases, scope_of
from dashboards.boards.common import MODEL, NO_EXPORTER, SLICES, variables
from dashboards.boards.worse import evidence_panel, over_threshold
from dashboards.panels import (
    GREEN,
    ORANGE,
    RED,
    STATE_CODES,
    STATE_TEXTS,
    YELLOW,
    Query,
    stat,
    state_timeline,
    timeseries,
)
from dashboards.promql import LOWER_IS_BETTER, OK, highest, lowest, pooled, state_code
from dashboards.tables import Column, table

VARIABLES = (
    *variables(several=("version",)),
    Variable("slice_key", "Slice", "model_slice_quality_state", ("model",)),
)
SCOPE = scope_of(VARIABLES)
SERIES = ("model", "version", "channel", "window")
WHOLE = (*SERIES, "metric")
LABELS = (*WHOLE, "slice_key")
BY_SLICE = ("version", "slice_value")
LEGEND = "{{slice_value}} {{version}}"

NO_SLICES = "This model has no slices (configure them), or none of them has a score yet: see the states below"
NO_SIGNALS = "No signals are configured for this model: see signals in the configuration"


_slice_kind = 'kind="slice"'
MORE_IS_BETTER, LESS_IS_BETTER = f'metric!~"{LOWER_IS_BETTER}"', f'metric=~"{LOWER_IS_BETTER}"'


def _select(ending: str, where: str = "") -> str:
    return SCOPE.select(f"model_slice_quality_{ending}", *LABELS, where=where)


def _whole(ending: str, where: str = "") -> str:
    return SCOPE.select(f"model_quality_{ending}", *WHOLE, where=where)


_known = f"(max by (version, slice_value) ({_select('state', OK)}) == 1)"
SCORE = pooled(SCOPE, "model_slice_quality", BY_SLICE, *LABELS)
SURE = f"({SCORE} and on (version, slice_value) {_known})"
"""Scores of slices that have enough samples for one."""


def _minus_whole(where: str) -> str:
    part = pooled(SCOPE, "model_slice_quality", BY_SLICE, *LABELS, where=where)
    whole = pooled(SCOPE, "model_quality", ("version",), *WHOLE, where=where)
    return f"({part} - on (version) group_left () {whole})"


HARM = f"-1 * {_minus_whole(MORE_IS_BETTER)} or {_minus_whole(LESS_IS_BETTER)}"
"""How much worse than the whole model a slice is, in the metric's units, whether more of it is better or less."""

SURELY_WORSE = (
    f"{highest(BY_SLICE, _select('score_upper', MORE_IS_BETTER))} < bool on (version) group_left () "
    f"{lowest(('version',), _whole('score_lower', MORE_IS_BETTER))}"
    f" or {lowest(BY_SLICE, _select('score_lower', LESS_IS_BETTER))} > bool on (version) group_left () "
    f"{highest(('version',), _whole('score_upper', LESS_IS_BETTER))}"
)
"""1 where the intervals of slice and whole do not overlap, with the slice on the bad side."""

GAP = f"max by (version) ({SURE}) - min by (version) ({SURE})"

WORST = table(
    "Slices, worst first",
    "Each value of the slice with its 95 % interval, and how much worse than the whole model it is. It is called "
    "surely worse where the two intervals do not overlap. With many slices a few look worse by chance.",
    [
        Column("Slice", "slice_value"),
        Column("Version", "version", links=(drill("Open the model", MODEL, version=cell("Version")),)),
        Column("Score", expr=SCORE, decimals=3),
        Column("Lower", expr=lowest(BY_SLICE, _select("score_lower")), decimals=3),
        Column("Upper", expr=highest(BY_SLICE, _select("score_upper")), decimals=3),
        Column("Worse by", expr=HARM, decimals=3),
        Column("Surely", expr=SURELY_WORSE, texts={"0": ("no", GREEN), "1": ("worse", RED)}, width=90),
        Column("Samples", expr=highest(BY_SLICE, _select("samples")), unit="short"),
        Column(
            "State", "state", highest((*BY_SLICE, "state"), _select("state") + " == 1"), texts=STATE_TEXTS, width=140
        ),
    ],
    unit="none",
    empty=NO_SLICES,
    height=10,
    sort="Worse by",
    descending=True,
)

FAILING = ("model", "version", "channel", "metric", "slice_key")
NOT_LEARNED = "No slice is learned yet: that takes 5,000 labels of its own, and change.learning (7 days)"
_over = over_threshold(SCOPE, "model_slice_change", BY_SLICE, *FAILING)


def _change(ending: str) -> str:
    return SCOPE.select(f"model_slice_change_{ending}", *FAILING)


GETTING_WORSE = table(
    "Slices that were learned",
    "Which are worse than when they were learned. They are judged together: of those called worse, at most one in ten "
    "is not, on average. Evidence is over its threshold.",
    [
        Column("Slice", "slice_value"),
        Column("Version", "version"),
        Column(
            "Change",
            expr=highest(BY_SLICE, _change("detected")),
            texts={"0": ("none", GREEN), "1": ("worse", RED)},
            width=75,
        ),
        Column("Evidence", expr=_over, decimals=2),
        Column(
            "Worse since",
            expr=lowest(BY_SLICE, _change("start_timestamp_seconds")) + " * 1000",
            unit="dateTimeAsIso",
            width=150,
        ),
    ],
    unit="none",
    empty=NOT_LEARNED,
    width=10,
    sort="Evidence",
    descending=True,
)

PROXY_LABELS = ("model", "version", "window", "slice_key")

BOARD = Board(
    uid=SLICES,
    title="Tidegauge / Slices",
    question="Is it equally good for everybody?",
    variables=VARIABLES,
    annotations=(releases(SCOPE), firing('alertname=~"Model.+", model="$model"')),
    sections=(
        Section(
            "Is it equally good for everybody?",
            (
                stat(
                    "Whole model",
                    "The chosen metric over all slices and the versions chosen.",
                    pooled(SCOPE, "model_quality", (), *WHOLE),
                    unit="none",
                    decimals=3,
                    empty="The whole model has no score in this window: the Model board says why",
                ),
                stat(
                    "Gap, best to worst",
                    "Largest difference between two slices of the same version that have enough samples.",
                    f"max({GAP})",
                    unit="none",
                    decimals=3,
                    empty=NO_SLICES,
                ),
                stat(
                    "Surely worse",
                    "Slices whose whole interval is worse than that of the whole model.",
                    f"sum({SURELY_WORSE})",
                    unit="none",
                    empty=NO_SLICES,
                    steps=((None, GREEN), (1, RED)),
                ),
                stat(
                    "Slices",
                    "Values of the slice that are told apart, over all versions; those beyond the cap are in other.",
                    f"count(group by (slice_value) ({_select('state')}))",
                    unit="none",
                    empty=NO_SLICES,
                ),
                stat(
                    "Too small to tell",
                    "Slices of a version that have no score with enough samples now.",
                    f"sum({state_code(SCOPE, 'model_slice_quality_state', BY_SLICE, *LABELS)} > bool 0)",
                    unit="none",
                    empty=NO_SLICES,
                    steps=((None, GREEN), (1, YELLOW)),
                ),
                stat(
                    "Folded into other",
                    "Records in the time range whose slice value went into other because the cap was reached.",
                    f"sum({SCOPE.growth('tidegauge_cardinality_folded_total', 'model', where=_slice_kind)})",
                    unit="short",
                    decimals=0,
                    empty=NO_EXPORTER,
                    steps=((None, GREEN), (1, ORANGE)),
                ),
                WORST,
            ),
        ),
        Section(
            "Since when?",
            (
                timeseries(
                    "Score by slice",
                    "The chosen metric of each slice with enough samples, over the chosen window.",
                    Query(SURE, LEGEND),
                    unit="none",
                    decimals=3,
                    empty=NO_SLICES,
                    width=12,
                    height=9,
                ),
                timeseries(
                    "Gap between the best and the worst slice",
                    "Of the slices with enough samples. A gap that widens while the whole score holds is a group that "
                    "is being left behind.",
                    Query(GAP, "{{version}}"),
                    unit="none",
                    decimals=3,
                    minimum=0,
                    empty=NO_SLICES,
                    width=12,
                    height=9,
                ),
                timeseries(
                    "Samples by slice",
                    "Effective number of labelled predictions behind each slice's score; of several exporters, the "
                    "largest.",
                    Query(highest(BY_SLICE, _select("samples")), LEGEND),
                    unit="short",
                    minimum=0,
                    empty=NO_SLICES,
                    width=12,
                    height=9,
                ),
                state_timeline(
                    "Why is there a score, or none",
                    "The state of each slice's score.",
                    Query(state_code(SCOPE, "model_slice_quality_state", BY_SLICE, *LABELS), LEGEND),
                    texts=STATE_CODES,
                    empty=NO_SLICES,
                    height=9,
                ),
            ),
        ),
        Section(
            "Which slices get worse?",
            (
                evidence_panel(
                    "Evidence that a slice gets worse",
                    "For each slice, as a multiple of the threshold that e-BH asks for: the more slices get worse, the "
                    "lower it is.",
                    _over,
                    LEGEND,
                    empty=NOT_LEARNED,
                    width=14,
                ),
                GETTING_WORSE,
            ),
        ),
        Section(
            "What do the signals say?",
            (
                timeseries(
                    "Signals by slice",
                    "Rates and means of signals, by slice; each signal in its own unit.",
                    Query(
                        pooled(SCOPE, "model_slice_proxy", ("version", "signal", "slice_value"), *PROXY_LABELS),
                        "{{signal}} {{slice_value}} {{version}}",
                    ),
                    unit="none",
                    empty=NO_SIGNALS,
                    width=24,
                ),
            ),
        ),
    ),
)
