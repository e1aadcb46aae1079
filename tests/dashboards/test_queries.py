"""The boards' queries on small made-up series, worked out by hand: several exporters, both directions, what is missing.

promtool evaluates them, with variables filled in as Grafana would.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from dashboards.boards import fleet, release, slices, worse
from dashboards.preview.grafana import ALL, Prometheus, View
from dashboards.promql import HEADLINES, LOWER_IS_BETTER, pooled, state_code
from tests.dashboards.test_boards import committed
from tests.processes import tool
from tidegauge.config.metrics import METRICS

FRAUD = 'model="fraud",version="v1",channel="outcome"'
ACCURACY = f'{FRAUD},metric="accuracy"'
LABELS = ("model", "version", "channel", "metric", "window")


def target(name: str, labels: str, instance: str = "a") -> str:
    """A series as Prometheus stores it."""
    return f'{name}{{job="tidegauge",instance="{instance}",{labels}}}'


def filled(board: str, expr: str, **values: str) -> str:
    """A query of a board, all of everything but for these values."""
    read = committed(board)
    chosen = {variable["name"]: [ALL] for variable in read["templating"]["list"]} | {
        name: [value] for name, value in values.items()
    }
    return View(read, Prometheus(""), 0, 3600, 15, chosen).fill(expr)


def check(tmp_path: Path, expr: str, series: Mapping[str, float], expected: Mapping[str, float]) -> None:
    """That the query gives just these samples. Raises AssertionError with promtool's words."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{value}x10"} for name, value in series.items()],
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": "5m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    command = [tool("promtool"), "test", "rules", str(path)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def of_fleet(expr: str) -> str:
    return filled("fleet", expr, window="1h")


def score_of(*by: str) -> str:
    return of_fleet(pooled(fleet.SCOPE, "model_quality", by, *LABELS))


def two_exporters(metric: str, **sums: tuple[float, float]) -> dict[str, float]:
    """Series of model_quality_* of two exporters."""
    labels = f'{FRAUD},metric="{metric}",window="1h"'
    return {
        target(f"model_quality_{part}", labels, instance): value
        for part, values in sums.items()
        for instance, value in zip("ab", values, strict=True)
    }


def test_sums_of_exporters_are_added_before_they_are_divided(tmp_path: Path) -> None:
    series = two_exporters("accuracy", numerator=(9, 10), denominator=(10, 90), score=(0.9, 10 / 90))
    check(tmp_path, score_of("model", "metric"), series, {'{model="fraud",metric="accuracy"}': 0.19})


def test_rmse_is_the_root_of_its_pooled_square(tmp_path: Path) -> None:
    series = two_exporters("rmse", numerator=(90, 70), denominator=(5, 5), score=(18**0.5, 14**0.5))
    check(tmp_path, score_of("model", "metric"), series, {'{model="fraud",metric="rmse"}': 4})


def test_what_cannot_be_added_is_never_averaged(tmp_path: Path) -> None:
    series = two_exporters("roc_auc", score=(0.7, 0.9))
    check(tmp_path, score_of("model", "metric"), series, {'{model="fraud",metric="roc_auc"}': 0.9})


def test_a_score_of_nothing_is_absent(tmp_path: Path) -> None:
    series = two_exporters("accuracy", numerator=(0, 0), denominator=(0, 0))
    check(tmp_path, score_of("model"), series, {})


def test_of_two_exporters_the_state_that_says_least_is_shown(tmp_path: Path) -> None:
    states = {
        "ok": (1, 0),
        "immature": (0, 0),
        "no_feedback": (0, 0),
        "insufficient_samples": (0, 1),
        "unsupported": (0, 0),
    }
    series = {
        target("model_quality_state", f'{ACCURACY},window="1h",state="{state}"', instance): value
        for state, values in states.items()
        for instance, value in zip("ab", values, strict=True)
    }
    expr = of_fleet(state_code(fleet.SCOPE, "model_quality_state", ("model",), *LABELS))
    check(tmp_path, expr, series, {'{model="fraud"}': 3})


@pytest.mark.parametrize(
    ("direction", "lower", "upper", "verdict"),
    [
        ("at_least", 0.91, 0.95, 2),
        ("at_least", 0.88, 0.95, 1),
        ("at_least", 0.80, 0.89, 0),
        ("at_most", 0.80, 0.89, 2),
        ("at_most", 0.88, 0.95, 1),
        ("at_most", 0.91, 0.95, 0),
    ],
)
def test_the_verdict_goes_by_the_whole_interval_in_both_directions(
    tmp_path: Path, direction: str, lower: float, upper: float, verdict: float
) -> None:
    series = {
        target("model_quality_score_lower", f'{ACCURACY},window="1h"'): lower,
        target("model_quality_score_upper", f'{ACCURACY},window="1h"'): upper,
        target("model_quality_objective", f'{ACCURACY},direction="{direction}"'): 0.9,
    }
    check(tmp_path, of_fleet(fleet.VERDICT), series, {f"{{{ACCURACY}}}": verdict})


def test_the_fleet_shows_objectives_and_one_headline_where_there_are_none(tmp_path: Path) -> None:
    price = 'model="price",version="v1",channel="outcome"'
    series = {target("model_quality_objective", f'{FRAUD},metric="recall",direction="at_least"'): 0.9}
    for metric in ("accuracy", "recall", "f1"):
        series[target("model_quality_state", f'{FRAUD},metric="{metric}",window="1h",state="ok"')] = 1
    for metric in ("mae", "rmse"):
        series[target("model_quality_state", f'{price},metric="{metric}",window="1h",state="immature"')] = 1
    expected = {f'{{{FRAUD},metric="recall"}}': 1.0, f'{{{price},metric="mae"}}': 1.0}
    check(tmp_path, of_fleet(fleet.SHOWN), series, expected)


def test_there_is_a_headline_for_every_task_and_kind_of_channel() -> None:
    for metric in METRICS:
        rivals = {one.name for one in METRICS if set(one.tasks) & set(metric.tasks) and one.kinds == metric.kinds}
        assert len(rivals & set(HEADLINES.split("|"))) == 1, metric


def test_without_any_exporter_no_objective_is_said_to_be_kept(tmp_path: Path) -> None:
    board = committed("fleet")
    for title in ("Objectives missed", "Objectives undecided", "Scores not known"):
        (panel,) = (panel for panel in board["panels"] if panel["title"] == title)
        check(tmp_path, of_fleet(panel["targets"][0]["expr"]), {}, {})


def test_an_alert_about_a_model_counts_on_each_of_its_versions(tmp_path: Path) -> None:
    series = {
        target("model_quality_objective", f'{ACCURACY},direction="at_least"'): 0.9,
        target("model_quality_objective", f'{ACCURACY.replace("v1", "v2")},direction="at_least"'): 0.9,
        'ALERTS{alertname="ModelA",alertstate="firing",severity="critical",model="fraud",version="v2"}': 1,
        'ALERTS{alertname="ModelB",alertstate="firing",severity="warning",model="fraud"}': 1,
        'ALERTS{alertname="ModelC",alertstate="pending",severity="warning",model="fraud"}': 1,
        'ALERTS{alertname="ModelD",alertstate="firing",severity="warning",model="other"}': 1,
    }
    expected = {f"{{{ACCURACY}}}": 1.0, f"{{{ACCURACY.replace('v1', 'v2')}}}": 2.0}
    check(tmp_path, of_fleet(fleet.ALERTS_OF_VERSION), series, expected)


@pytest.mark.parametrize(("metric", "worse_by"), [("accuracy", 0.1), ("mae", -0.1)])
def test_worse_is_lower_or_higher_as_the_metric_has_it(tmp_path: Path, metric: str, worse_by: float) -> None:
    whole = f'{FRAUD},metric="{metric}",window="1h"'
    part = f'{whole},slice_key="country",slice_value="BR"'
    series = {
        target("model_quality_numerator", whole): 9,
        target("model_quality_denominator", whole): 10,
        target("model_slice_quality_numerator", part): 4,
        target("model_slice_quality_denominator", part): 5,
    }
    chosen = {"model": "fraud", "channel": "outcome", "metric": metric, "window": "1h", "slice_key": "country"}
    expr = f"round({filled('slices', slices.HARM, **chosen)}, 0.001)"
    check(tmp_path, expr, series, {'{version="v1",slice_value="BR"}': worse_by})


RELEASED = 'model="fraud",version="v2",baseline_version="v1"'


def of_release(expr: str) -> str:
    return filled("release", expr, model="fraud", channel="outcome", metric="accuracy", window="1h")


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("promote", "promote", 0),
        ("promote", "keep_watching", 1),
        ("keep_watching", "keep_watching", 1),
        ("keep_watching", "roll_back", 2),
        ("promote", "roll_back", 2),
    ],
)
def test_one_exporter_is_enough_to_roll_back_and_all_are_needed_to_promote(
    tmp_path: Path, first: str, second: str, code: float
) -> None:
    series = {
        target("model_release_verdict", f'{RELEASED},metric="overall",verdict="{verdict}"', instance): verdict == said
        for instance, said in (("a", first), ("b", second))
        for verdict in ("promote", "keep_watching", "roll_back")
    }
    expr = of_release(worse.verdict_code(release.SCOPE, ("version",), "model", "version", where=worse.OVERALL))
    check(tmp_path, expr, {name: float(value) for name, value in series.items()}, {'{version="v2"}': code})


def test_of_several_releases_the_last_is_shown(tmp_path: Path) -> None:
    start = "model_release_start_timestamp_seconds"
    series = {
        target(start, RELEASED): 100,
        target(start, 'model="fraud",version="v3",baseline_version="v1"'): 200,
        target(start, 'model="other",version="v4",baseline_version="v1"'): 300,
    }
    check(tmp_path, of_release(release.LATEST), series, {'{version="v3"}': 200})


@pytest.mark.parametrize(("at_once", "after", "design"), [(19, 81, "before_after"), (21, 79, "concurrent")])
def test_the_design_that_decides_is_the_one_the_exporter_goes_by(
    tmp_path: Path, at_once: float, after: float, design: str
) -> None:
    labels = f'{RELEASED},channel="outcome",metric="accuracy"'
    series = {target("model_release_start_timestamp_seconds", RELEASED): 100.0}
    for name, rows in (("concurrent", at_once), ("before_after", after)):
        series[target("model_release_samples", f'{labels},design="{name}",arm="candidate"')] = rows
    expr = f"count by (design) ({of_release(release.DECIDING)})"
    check(tmp_path, expr, series, {f'{{design="{design}"}}': 1})


@pytest.mark.parametrize(("metric", "line"), [("accuracy", -0.02), ("mae", 0.02)])
def test_the_margin_lies_on_the_bad_side(tmp_path: Path, metric: str, line: float) -> None:
    (panel,) = (one for one in committed("release")["panels"] if one["title"].startswith("Difference of"))
    (margin,) = (one["expr"] for one in panel["targets"] if one["legendFormat"] == "margin")
    labels = f'{RELEASED},channel="outcome",metric="{metric}"'
    series = {target("model_release_start_timestamp_seconds", RELEASED): 100.0}
    series[target("model_release_margin", labels)] = 0.02
    expr = filled("release", margin, model="fraud", channel="outcome", metric=metric, window="1h")
    check(tmp_path, expr, series, {"{}": line})


def test_evidence_is_shown_over_its_threshold_between_two_ends(tmp_path: Path) -> None:
    labels = f'{RELEASED},channel="outcome",design="concurrent",hypothesis="harm"'
    series = {target("model_release_start_timestamp_seconds", RELEASED): 100.0}
    for metric, evidence in (("accuracy", 60), ("brier", 1e15), ("recall", 0)):
        here = labels + f',metric="{metric}"'
        series[target("model_release_evidence", here)] = evidence
        series[target("model_release_evidence_threshold", here)] = 40
        arm = here.replace('hypothesis="harm"', 'arm="candidate"')
        series[target("model_release_samples", arm)] = 100
    (panel,) = (one for one in committed("release")["panels"] if one["title"] == "Evidence that it is worse")
    shown = {"accuracy": 1.5, "brier": 1e3, "recall": 1e-3}
    key = 'version="v2",channel="outcome",design="concurrent"'
    expected = {f'{{{key},metric="{metric}"}}': value for metric, value in shown.items()}
    check(tmp_path, of_release(panel["targets"][0]["expr"]), series, expected)


def test_less_is_better_of_losses_and_errors_only() -> None:
    worse_when_high = set(LOWER_IS_BETTER.split("|"))
    assert {"log_loss", "brier", "mae", "rmse", "calibration_error", "reported_error_rate"} <= worse_when_high
    assert not {"accuracy", "roc_auc", "r2", "ndcg", "response_rate"} & worse_when_high
