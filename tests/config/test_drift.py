"""Features and drift in a configuration: what an accepted one means, and what is refused, where and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidegauge.config.load import load
from tidegauge.config.problems import ConfigurationError, Problem
from tidegauge.config.settings import (
    DAY,
    DRIFT_REFERENCES,
    DRIFT_STATISTICS,
    FEATURE_KINDS,
    HOUR,
    MINUTE,
    WEEK,
    Drift,
    Feature,
    Model,
)

BASE = """\
sources: [{predictions: p.jsonl}]
models:
  - name: fraud
    task: binary
    feedback: {outcome: {maturity: 1h}}
"""


def written(directory: Path, lines: str) -> Path:
    file = directory / "tidegauge.yml"
    file.write_text(BASE + "".join(f"    {line}\n" for line in lines.splitlines()))
    return file


def model_of(directory: Path, lines: str = "") -> Model:
    """The model with these lines, as it is loaded."""
    (model,) = load(written(directory, lines)).models
    return model


def problems_of(directory: Path, lines: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(written(directory, lines))
    return caught.value.problems


# --- what is accepted -------------------------------------------------------------------------------------------------


def test_a_feature_is_a_type_or_says_more(tmp_path: Path) -> None:
    lines = "features:\n  amount: numeric\n  age: {type: numeric, importance: 0.3}\n  note:\n    type: text_length"
    assert model_of(tmp_path, lines).features == (
        Feature("amount", "numeric"),
        Feature("age", "numeric", 0.3),
        Feature("note", "text_length"),
    )


@pytest.mark.parametrize("kind", FEATURE_KINDS)
def test_every_type_of_feature_is_accepted_in_both_forms(kind: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, f"features: {{a: {kind}, b: {{type: {kind}, importance: 0}}}}")
    assert model.features == (Feature("a", kind), Feature("b", kind, 0.0))


def test_features_keep_the_order_of_the_file(tmp_path: Path) -> None:
    model = model_of(tmp_path, "features: {z: numeric, a: categorical, m: boolean}")
    assert [feature.name for feature in model.features] == ["z", "a", "m"]


def test_only_the_beginning_of_a_name_is_reserved(tmp_path: Path) -> None:
    assert model_of(tmp_path, "features: {'mail@work': categorical}").features[0].name == "mail@work"


def test_drift_is_watched_unless_anything_is_said(tmp_path: Path) -> None:
    assert model_of(tmp_path).drift == Drift(
        windows=(DAY,),
        statistics=("psi",),
        references=("training", "previous_version", "trailing", "first"),
        minimum_effect=0.01,
        false_alarm_interval=90 * DAY,
        learning=2000,
        first=10_000,
        trailing=28 * DAY,
        multivariate=False,
    )
    assert model_of(tmp_path, "drift: {}").drift == Drift()


def test_every_key_of_drift_is_taken_as_it_is_written(tmp_path: Path) -> None:
    lines = (
        "windows: [1h, 24h, 7d]\ndrift: {windows: [7d, 1h], statistics: [wasserstein, psi], references: [trailing],"
        " minimum_effect: 0.1, false_alarm_interval: 30d, learning: 100, first: 100, trailing: 7d, multivariate: true}"
    )
    assert model_of(tmp_path, lines).drift == Drift(
        (HOUR, 7 * DAY), ("wasserstein", "psi"), ("trailing",), 0.1, 30 * DAY, 100, 100, WEEK, True
    )


def test_every_statistic_and_every_reference_is_accepted(tmp_path: Path) -> None:
    lines = f"drift: {{statistics: [{', '.join(DRIFT_STATISTICS)}], references: [{', '.join(DRIFT_REFERENCES)}]}}"
    drift = model_of(tmp_path, lines).drift
    assert (drift.statistics, drift.references) == (DRIFT_STATISTICS, DRIFT_REFERENCES)


@pytest.mark.parametrize(
    ("windows", "chosen"),
    [
        ("1h, 24h", DAY),
        ("24h, 7d", DAY),
        ("10m, 6h, 7d, 28d", 6 * HOUR),
        ("7d, 28d", 7 * DAY),
        ("28d, 7d", 7 * DAY),
        ("5m", 5 * MINUTE),
    ],
)
def test_drift_is_of_the_longest_window_up_to_a_day_or_of_the_shortest(
    windows: str, chosen: int, tmp_path: Path
) -> None:
    assert model_of(tmp_path, f"windows: [{windows}]").drift.windows == (chosen,)
    assert model_of(tmp_path, f"windows: [{windows}]\ndrift: {{learning: 500}}").drift.windows == (chosen,)


@pytest.mark.parametrize("weeks", range(1, 9))
def test_whole_weeks_up_to_eight_are_a_past(weeks: int, tmp_path: Path) -> None:
    for spelled in (f"{7 * weeks}d", f"{168 * weeks}h"):
        assert model_of(tmp_path, f"drift: {{trailing: {spelled}}}").drift.trailing == weeks * WEEK


@pytest.mark.parametrize(
    ("named", "file", "used"),
    [
        (None, False, ("previous_version", "trailing", "first")),
        (None, True, ("training", "previous_version", "trailing")),
        ("training, first", True, ("training",)),
        ("training, first", False, ("first",)),
        ("first, trailing", True, ("first", "trailing")),
    ],
)
def test_what_a_model_is_compared_with(named: str | None, file: bool, used: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "reference.csv").touch()
    lines = "reference: reference.csv\n" if file else ""
    lines += f"drift: {{references: [{named}]}}" if named else ""
    assert model_of(tmp_path, lines).drift_references == used


@pytest.mark.parametrize(
    ("importances", "shares"),
    [
        ([], ()),
        ([None, None], (0.5, 0.5)),
        ([0.3, 0.1], (0.75, 0.25)),
        ([30, 10, None], (0.5, 1 / 6, 1 / 3)),
        ([0, 2], (0, 1)),
        ([0, None], (0.5, 0.5)),
        ([1e308, 1e308], (0.5, 0.5)),
    ],
)
def test_importances_are_shares_and_one_that_is_not_said_is_the_mean_of_the_others(
    importances: list[float | None], shares: tuple[float, ...]
) -> None:
    features = tuple(Feature(f"f{place}", "numeric", one) for place, one in enumerate(importances))
    assert Model("m", "binary", (), features=features).importances == pytest.approx(shares)


# --- what is refused --------------------------------------------------------------------------------------------------

TYPES = "numeric, categorical, boolean, text_length, embedding"
REFUSED: dict[str, tuple[str, str, str, str]] = {
    # lines of the model: (path below the model, found, how allowed begins, hint)
    "features: {a: text}": ("features.a", '"text"', f"{TYPES}, or a mapping with type, importance", ""),
    "features: {a: Numeric}": ("features.a", '"Numeric"', TYPES, 'did you mean "numeric"?'),
    "features: {a: }": ("features.a", "nothing", TYPES, ""),
    "features: {a: [numeric]}": ("features.a", "a list", TYPES, ""),
    "features: {a: {}}": ("features.a.type", "nothing", f"{TYPES} (required)", ""),
    "features: {a: {type: float}}": ("features.a.type", '"float"', TYPES, ""),
    "features: {a: {type: numeric, wieght: 1}}": ("features.a.wieght", "an unknown key", "type, importance", ""),
    "features: {a: {type: numeric, importance: -0.1}}": (
        "features.a.importance",
        "-0.1",
        "a number of at least 0",
        "",
    ),
    "features: {a: {type: numeric, importance: .nan}}": ("features.a.importance", ".nan", "a number of at least", ""),
    "features: {a: {type: numeric, importance: .inf}}": ("features.a.importance", ".inf", "a number of at least", ""),
    "features: {a: {type: numeric, importance: high}}": ("features.a.importance", '"high"', "a number of at least", ""),
    "features: {'@score': numeric}": ('features["@score"]', 'the name "@score"', "names that do not begin with @", ""),
    "features: {'@': numeric}": ('features["@"]', 'the name "@"', "names that do not begin with @", ""),
    "features: {'': numeric}": ('features[""]', 'the name ""', "names of 1 to 256 characters on one line", ""),
    "features: {a: numeric, a: boolean}": (
        "features.a",
        'the key "a" a second time (first on line 6)',
        "each key once",
        "",
    ),
    "features: [a]": ("features", "a list", "a mapping of feature names to a type, or to a feature", ""),
    "drift: true": ("drift", "true", "a mapping with windows, statistics", ""),
    "drift: {threshold: 0.1}": ("drift.threshold", "an unknown key", "windows, statistics, references", ""),
    "drift: {statistic: [psi]}": ("drift.statistic", "an unknown key", "windows,", 'did you mean "statistics"?'),
    "drift: {windows: 24h}": ("drift.windows", '"24h"', "a list of durations, at least 1", 'write ["24h"]'),
    "drift: {windows: []}": ("drift.windows", "an empty list", "a list of durations, at least 1", ""),
    "drift: {windows: [1h, 12h]}": ("drift.windows[1]", '"12h"', "a window of the model: 1h, 24h", ""),
    "drift: {windows: [24h, 24h]}": ("drift.windows[1]", '"24h" a second time', "each item once", ""),
    "drift: {windows: [1h, 60m]}": ("drift.windows[1]", '"60m" a second time', "each item once", ""),
    "windows: [7d]\ndrift: {windows: [24h]}": ("drift.windows[0]", '"24h"', "a window of the model: 7d", ""),
    "drift: {statistics: psi}": ("drift.statistics", '"psi"', "a list of statistics, at least 1", 'write ["psi"]'),
    "drift: {statistics: []}": ("drift.statistics", "an empty list", "a list of statistics", ""),
    "drift: {statistics: [kl]}": ("drift.statistics[0]", '"kl"', "psi, jensen_shannon, hellinger", ""),
    "drift: {statistics: [psi, hellinger, psi]}": ("drift.statistics[2]", '"psi" a second time', "each item once", ""),
    "drift: {references: []}": ("drift.references", "an empty list", "a list of references", ""),
    "drift: {references: [trailling]}": (
        "drift.references[0]",
        '"trailling"',
        "training, previous_version, trailing, first",
        'did you mean "trailing"?',
    ),
    "drift: {references: [first, first]}": ("drift.references[1]", '"first" a second time', "each item once", ""),
    "drift: {references: [training]}": (
        "drift.references",
        "training alone, and the model names no reference",
        "one of previous_version, trailing, first besides, or a `reference` of the model",
        "",
    ),
    "drift: {minimum_effect: 0}": ("drift.minimum_effect", "0", "a number above 0, up to 10", ""),
    "drift: {minimum_effect: -0.02}": ("drift.minimum_effect", "-0.02", "a number above 0, up to 10", ""),
    "drift: {minimum_effect: 10.1}": ("drift.minimum_effect", "10.1", "a number above 0, up to 10", ""),
    "drift: {minimum_effect: 2%}": ("drift.minimum_effect", '"2%"', "a number above 0, up to 10", ""),
    "drift: {learning: 99}": ("drift.learning", "99", "a whole number from 100 to 100000", ""),
    "drift: {learning: 100001}": ("drift.learning", "100001", "a whole number from 100 to 100000", ""),
    "drift: {learning: 1d}": ("drift.learning", '"1d"', "a whole number from 100 to 100000", ""),
    "drift: {learning: 5000, first: 4999}": ("drift.first", "4999", "at least 5000 (learning)", ""),
    "drift: {first: 1999}": ("drift.first", "1999", "at least 2000 (learning)", ""),
    "drift: {learning: 20000}": ("drift.learning", "20000", "at most 10000 (first)", ""),
    "drift: {trailing: 6d}": ("drift.trailing", '"6d"', "a duration from 7d to 56d", ""),
    "drift: {trailing: 63d}": ("drift.trailing", '"63d"', "a duration from 7d to 56d", ""),
    "drift: {trailing: 10d}": (
        "drift.trailing",
        '"10d"',
        "whole weeks: 7d, 14d, 21d, 28d, 35d, 42d, 49d, 56d",
        "",
    ),
    "drift: {trailing: 4w}": ("drift.trailing", '"4w"', "a duration from 7d to 56d", ""),
    "drift: {false_alarm_interval: 30s}": (
        "drift.false_alarm_interval",
        '"30s"',
        "a duration from 1m to",
        "",
    ),
    "drift: {multivariate: 1}": ("drift.multivariate", "1", "true or false", ""),
    "drift: {multivariate: 'true'}": ("drift.multivariate", '"true"', "true or false", ""),
    "drift: {multivariate: yes}": ("drift.multivariate", '"yes"', "true or false", ""),
}


@pytest.mark.parametrize("lines", REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(lines: str, tmp_path: Path) -> None:
    path, found, allowed, hint = REFUSED[lines]
    (problem,) = problems_of(tmp_path, lines)
    assert (problem.path, problem.hint) == (f"models[0].{path}", hint)
    assert problem.found == found
    assert problem.allowed.startswith(allowed)
    assert problem.line == BASE.count("\n") + 1 + lines.count("\n")


def test_everything_wrong_with_drift_is_said_at_once(tmp_path: Path) -> None:
    lines = (
        "features:\n  '@inputs': embedding\n  age: {type: number}\n"
        "drift:\n  windows: [5m]\n  trailing: 8d\n  minimum_effect: 11"
    )
    first = BASE.count("\n") + 1
    assert [(problem.line, problem.path) for problem in problems_of(tmp_path, lines)] == [
        (first + 1, 'models[0].features["@inputs"]'),
        (first + 2, "models[0].features.age.type"),
        (first + 4, "models[0].drift.windows[0]"),
        (first + 5, "models[0].drift.trailing"),
        (first + 6, "models[0].drift.minimum_effect"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "windows: [1x]\ndrift: {windows: [1h]}",
        "windows: no\ndrift: {windows: [1h]}",
        "drift: {windows: [1x]}",
        "drift: {first: no, learning: 50000}",
        "drift: {learning: no, first: 100}",
        "drift: {references: [no]}",
        "features: {a: no}\nsignals: {rule: {from: disagreement, field: features.a}}",
        "features: {a: {type: no}}\nsignals: {rule: {from: disagreement, field: features.a}}",
    ],
)
def test_one_mistake_is_not_reported_twice(lines: str, tmp_path: Path) -> None:
    assert len(problems_of(tmp_path, lines)) == 1


@pytest.mark.parametrize(("kind", "taken"), [(kind, kind not in ("categorical", "boolean")) for kind in FEATURE_KINDS])
def test_the_answer_of_a_rule_may_be_a_feature_that_is_read_as_it_is_written(
    kind: str, taken: bool, tmp_path: Path
) -> None:
    for feature in (kind, f"{{type: {kind}}}"):
        lines = f"features: {{a: {feature}}}\nsignals: {{rule: {{from: disagreement, field: features.a}}}}"
        if taken:
            (problem,) = problems_of(tmp_path, lines)
            assert problem.found == '"features.a", where features is read as a number'
        else:
            assert model_of(tmp_path, lines).features == (Feature("a", kind),)


def test_what_is_named_is_what_there_is(tmp_path: Path) -> None:
    """The defaults keep the rules that the file has to keep."""
    default: dict[str, Any] = {name: getattr(Drift(), name) for name in Drift.__dataclass_fields__}
    assert set(default["statistics"]) <= set(DRIFT_STATISTICS)
    assert default["first"] >= default["learning"]
    assert default["trailing"] % WEEK == 0
    assert default["windows"][0] in Model("m", "binary", ()).windows
