"""Every query of every panel against the real Prometheus, filled from the real exporter: data, and the right one.

A board is looked at as somebody would: variables filled in, a time range, the steps that Grafana would choose.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import pytest

from dashboards.boards import BOARDS
from dashboards.preview.frames import Line, Row, lines, rows
from dashboards.preview.grafana import ALL, Prometheus, View, look, options
from dashboards.preview.layout import laid_out
from dashboards.preview.picture import HONEST, picture
from dashboards.preview.svg import THEMES
from dashboards.preview.units import decades
from tests.dashboards import demo_traffic
from tests.dashboards.demo_data import SCRAPE_INTERVAL, Filled, filled_prometheus
from tests.dashboards.test_boards import committed

Json = dict[str, Any]

CLASSIFICATION = ("Classes", "Confusion")
PROBABILITIES = ("Are its probabilities honest?", "Promised minus came true")
SIGNALS = ("Signals", "Signals now")

FORECAST = "Time until the objective is missed"
LEARNED = ("Evidence of a change for the worse", "Trend of the chosen metric", FORECAST)

EMPTY_BY_DESIGN: dict[tuple[str, str], tuple[str, ...]] = {
    # What only classification has, on models of other tasks; and signals, where none are configured. Only two models
    # have been in use for weeks, and one of these gets no worse.
    ("model", "fraud"): (FORECAST,),
    ("model", "triage"): LEARNED,
    ("model", "delivery-time"): (*CLASSIFICATION, *PROBABILITIES, *SIGNALS),
    ("model", "search"): (*CLASSIFICATION, *PROBABILITIES, *SIGNALS, *LEARNED),
    ("model", "dictation"): (*CLASSIFICATION, *PROBABILITIES, *SIGNALS, *LEARNED),
    ("slices", "delivery-time"): ("Signals by slice",),
}
"""Each of these panels says so in its noValue text. What no alert fires about has no row in the table of alerts."""

VIEWS = [("fleet", ALL), ("pipeline", ALL)]
VIEWS += [("model", model) for model in demo_traffic.RATES]
VIEWS += [("slices", model) for model in ("fraud", "delivery-time")]
VIEWS += [("drift", model) for model in ("fraud", "delivery-time")]
VIEWS += [("release", model) for model in ("fraud", "triage")]
METRIC_OF = {"triage": "accuracy", "delivery-time": "mae", "search": "ndcg", "dictation": "word_error_rate"}
"""What is chosen, where the first metric by name says less."""

ROLL_BACK, DETECTED = 2, 2
SIGNED = {"Headroom to the objective": -10, "Promised minus came true": -1}
"""Shares that can be negative, down to this: a loss can be many times its objective."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_prometheus(tmp_path_factory.mktemp("demo")) as filled:
        yield filled


@dataclass(frozen=True, slots=True)
class Shown:
    """A board with what each of its panels shows, by title."""

    view: View
    views: dict[str, View]  # with a panel's own value of the variable that it repeats for
    panels: dict[str, Json]
    lines: dict[str, list[Line]]
    rows: dict[str, list[Row]]


def shown(demo: Filled, name: str, **chosen: list[str]) -> Shown:
    board = committed(name)
    view = look(
        board, Prometheus(demo.server.url), start=demo.start, end=demo.end, scrape_interval=SCRAPE_INTERVAL, **chosen
    )
    drawn: dict[str, list[Line]] = {}
    tables: dict[str, list[Row]] = {}
    places = {place.title: place for place in laid_out(view) if place.panel["type"] != "row"}
    for title, place in places.items():
        if "transformations" in place.panel:
            tables[title] = rows(place.view, place.panel)
        else:
            drawn[title] = lines(place.view, place.panel)
    views = {title: place.view for title, place in places.items()}
    return Shown(view, views, {title: place.panel for title, place in places.items()}, drawn, tables)


def of_model(demo: Filled, name: str, model: str) -> Shown:
    if model == ALL:
        return shown(demo, name)
    return shown(demo, name, model=[model], metric=[METRIC_OF.get(model, "accuracy")])


@pytest.fixture(scope="module", params=VIEWS, ids="-".join)
def seen(request: pytest.FixtureRequest, demo: Filled) -> tuple[str, str, Shown]:
    """A board as seen of one model, or of all."""
    name, model = request.param
    return name, model, of_model(demo, name, model)


def test_every_panel_has_data_but_for_what_the_model_cannot_have(seen: tuple[str, str, Shown]) -> None:
    name, model, board = seen
    empty = {title for title in board.panels if not (board.lines.get(title) or board.rows.get(title))}
    expected = set(EMPTY_BY_DESIGN.get((name, model), ()))
    if name == "model" and model != "fraud":
        expected.add("Firing alerts")
    assert empty == expected


def test_every_query_has_data_for_some_model(demo: Filled) -> None:
    unanswered: set[tuple[str, str, str]] = set()
    answered: set[tuple[str, str, str]] = set()
    for name, model in VIEWS:
        board = of_model(demo, name, model)
        for title, panel in board.panels.items():
            view = board.views[title]
            for target in panel["targets"]:
                answer = view.instant(target["expr"]) if target["instant"] else view.range(target["expr"])
                (answered if answer else unanswered).add((name, panel["title"], target["refId"]))
    assert unanswered - answered == set()


def test_tables_have_the_columns_they_promise_each_filled_and_no_other(seen: tuple[str, str, Shown]) -> None:
    """But for what the model cannot have: no objective, no best constant answer, no release, nothing learned."""
    change = {"Evidence", "Expected", "Worse since", "Trend a day", "Will miss its objective"}
    absent = {
        ("model", "fraud"): {"Will miss its objective", "Worse since"},
        ("model", "triage"): change,
        ("model", "search"): {"Objective", "Baseline", "Release", *change},
        ("model", "dictation"): {"Objective", "Baseline", "Release", *change},
        ("model", "delivery-time"): {"Baseline", "Release"},
        ("slices", "fraud"): {"Worse since"},
    }
    name, model, board = seen
    for title, table in board.rows.items():
        promised = {
            column
            for step in board.panels[title]["transformations"]
            if step["id"] == "organize"
            for column in step["options"]["renameByName"].values()
        }
        found = {column for row in table for column, value in row.items() if value is not None}
        if table and promised:
            assert promised - found <= absent.get((name, model), set()), title
            assert found <= promised, title


def test_no_value_is_nan_or_infinite_and_shares_and_times_are_what_they_can_be(seen: tuple[str, str, Shown]) -> None:
    _, _, board = seen
    for title, panel in board.panels.items():
        unit = panel["fieldConfig"]["defaults"]["unit"]
        values = [value for line in board.lines.get(title, ()) for _, value in line.points]
        values += [cell for row in board.rows.get(title, ()) for cell in row.values() if isinstance(cell, float)]
        assert all(math.isfinite(value) for value in values), title
        if title in SIGNED:
            assert all(SIGNED[title] <= value <= 1 for value in values), title
        elif unit == "percentunit":
            assert all(0 <= value <= 1 + 1e-9 for value in values), title
        elif unit in ("s", "bytes", "short", "cps", "reqps", "Bps"):
            assert all(value >= 0 for value in values), title


def test_scores_lie_within_their_intervals_and_within_the_range_of_their_metric(demo: Filled) -> None:
    for model in demo_traffic.RATES:
        for row in shown(demo, "model", model=[model]).rows["Every metric now"]:
            assert row["State"] in ("ok", "insufficient_samples")
            if row.get("Score") is None:
                continue
            score, lower, upper = (number(row, column) for column in ("Score", "Lower", "Upper"))
            assert lower <= score <= upper, row
            if row["Metric"] not in ("mae", "rmse", "mean_error", "mape", "log_loss", "r2", "mcc", "brier"):
                assert 0 <= lower <= upper <= 1, row


def number(row: Row, column: str) -> float:
    value = row[column]
    assert isinstance(value, float), (row, column)
    return value


def test_pooled_scores_are_what_the_exporter_says(demo: Filled) -> None:
    selector = 'model_quality_score{window="1h", channel="outcome"}'
    published = demo.server.query(selector, at=demo.end)
    expected = {
        (labels["model"], labels["version"], labels["metric"]): value
        for labels, value in ((dict(pairs), value) for pairs, value in published.items())
    }
    found = {
        (model, str(row["Version"]), str(row["Metric"])): row["Score"]
        for model in demo_traffic.RATES
        for row in shown(demo, "model", model=[model], channel=["outcome"]).rows["Every metric now"]
        if row.get("Score") is not None
    }
    assert found == pytest.approx(expected)


def test_the_fleet_names_the_model_in_trouble_and_no_other(demo: Filled) -> None:
    board = shown(demo, "fleet")
    table = {(row["Model"], row["Version"], row["Metric"]): row for row in board.rows["Models and versions"]}
    assert {model for model, _, _ in table} == set(demo_traffic.RATES)
    worse = table["fraud", "v2", "accuracy"]
    assert (worse["Verdict"], worse["Alerts"]) == (0, 1)
    assert table["fraud", "v1", "accuracy"]["Verdict"] == 2
    assert {model for (model, _, _), row in table.items() if row["Verdict"] == 0} == {"fraud"}
    assert {row["Alerts"] for (_, version, _), row in table.items() if version != "v2"} == {0}
    assert table["dictation", "large", "word_error_rate"]["Verdict"] is None, "it has no objective"
    missed = sum(row["Verdict"] == 0 for row in table.values())
    assert board.lines["Objectives missed"][0].points[0][1] == missed
    assert board.lines["Models"][0].points[0][1] == len(demo_traffic.RATES)
    assert [(row["Alert"], row["Model"], row["Version"]) for row in board.rows["Firing alerts"]] == [
        ("ModelObjectiveMissed", "fraud", "v2")
    ]


def test_the_fleet_knows_traffic_and_coverage_of_each_row(demo: Filled) -> None:
    for row in shown(demo, "fleet").rows["Models and versions"]:
        rate = demo_traffic.RATES[str(row["Model"])]
        assert 0.2 * rate < number(row, "Traffic") < 1.5 * rate
        if row["Channel"] == "outcome":
            assert 0.8 < number(row, "Coverage") < 1


def test_headroom_is_positive_for_what_is_kept_in_both_directions(demo: Filled) -> None:
    last = {line.name: line.points[-1][1] for line in shown(demo, "fleet").lines["Headroom to the objective"]}
    assert last["delivery-time v1 mae"] > 0
    assert last["fraud v1 accuracy"] > 0
    assert last["fraud v1 log_loss"] > 0
    assert last["fraud v2 accuracy"] < 0
    assert last["fraud v2 log_loss"] < 0


def test_a_release_is_marked_at_its_first_prediction_and_the_alert_afterwards(demo: Filled) -> None:
    board = shown(demo, "model", model=["fraud"])
    releases, alerts = (one["expr"] for one in board.view.board["annotations"]["list"])
    marks = {one["metric"]["version"]: float(one["values"][-1][1]) / 1000 for one in board.view.range(releases)}
    assert set(marks) == {"v2"}, "v1 came long before what is shown"
    assert demo.start + 0.4 * (demo.end - demo.start) < marks["v2"] < demo.start + 0.6 * (demo.end - demo.start)
    (alert,) = board.view.range(alerts)
    assert float(alert["values"][0][0]) > marks["v2"]


def test_versions_share_the_traffic(demo: Filled) -> None:
    versions = shown(demo, "model", model=["fraud"]).rows["Versions now"]
    assert [row["Version"] for row in versions] == ["v1", "v2"]
    assert sum(number(row, "Share of traffic") for row in versions) == pytest.approx(1)
    assert all(number(row, "Share of traffic") > 0.3 for row in versions)
    assert all(number(row, "Baseline") < number(row, "Score") for row in versions)


def test_one_version_chosen_is_seen_alone(demo: Filled) -> None:
    board = shown(demo, "model", model=["fraud"], version=["v2"])
    assert [row["Version"] for row in board.rows["Versions now"]] == ["v2"]
    assert {line.name for line in board.lines["Quality by version"]} == {"v2", "objective"}


def test_classes_and_confusion_say_the_same(demo: Filled) -> None:
    board = shown(demo, "model", model=["triage"], version=["2024-05"])
    recalls = {row["Class"]: row["Recall"] for row in board.rows["Classes"]}
    assert set(recalls) == set(demo_traffic.TOPICS)
    for row in board.rows["Confusion"]:
        topic = row["actual\\predicted"]
        cells = {name: cell for name, cell in row.items() if name != "actual\\predicted"}
        assert sum(cell for cell in cells.values() if isinstance(cell, float)) == pytest.approx(1)
        assert cells[str(topic)] == pytest.approx(recalls[topic])


def test_calibrated_scores_have_bars_of_equal_height(demo: Filled) -> None:
    board = shown(demo, "model", model=["triage"])
    assert all(abs(value) < 0.1 for line in board.lines["Promised minus came true"] for _, value in line.points[-5:])
    bins = board.rows["Are its probabilities honest?"]
    assert sum(abs(number(row, "Promised") - number(row, "Came true")) for row in bins) / len(bins) < 0.15


def test_latency_is_that_of_the_traffic(demo: Filled) -> None:
    last = {line.name: line.points[-1][1] for line in shown(demo, "model", model=["fraud"]).lines["Latency"]}
    assert 0.015 < last["v1 p50"] < 0.027
    assert last["v1 p50"] < last["v2 p50"] < last["v2 p95"]


def test_the_worst_slice_comes_out_worst_whether_more_is_better_or_less(demo: Filled) -> None:
    for model, slice_value, version in (("fraud", "BR", "v2"), ("delivery-time", "Oslo", "v1")):
        board = shown(demo, "slices", model=[model])
        table = board.rows["Slices, worst first"]
        worst = max(table, key=lambda row: number(row, "Worse by"))
        assert (worst["Slice"], worst["Version"], worst["Surely"]) == (slice_value, version, 1)
        gap = board.lines["Gap, best to worst"][0].points[0][1]
        assert gap >= number(worst, "Worse by")
        surely = board.lines["Surely worse"][0].points[0][1]
        assert surely == sum(row["Surely"] == 1 for row in table)


def test_the_release_that_is_worse_is_to_be_rolled_back_and_the_harmless_one_is_not(demo: Filled) -> None:
    board = shown(demo, "release", model=["fraud"])
    assert board.lines["Verdict"][0].points[0][1] == ROLL_BACK
    measures = {row["Metric"]: row for row in board.rows["What is compared"]}
    accuracy = measures["accuracy"]
    assert (accuracy["Version"], accuracy["Verdict"], accuracy["Design"]) == ("v2", ROLL_BACK, "concurrent")
    assert number(accuracy, "Lower") < number(accuracy, "Difference") < number(accuracy, "Upper") < 0
    assert number(accuracy, "Worse") >= 1 > number(accuracy, "Not worse")
    assert number(accuracy, "Samples") < number(accuracy, "Baseline")
    assert measures["signal:confidence"]["Verdict"] is None, "it has no good side"
    assert measures["latency_seconds"]["Channel"] is None, "it comes with the prediction"
    (release,) = board.rows["Releases of this model"]
    assert (release["Version"], release["Baseline"], release["Verdict"]) == ("v2", "v1", ROLL_BACK)
    harmless = shown(demo, "release", model=["triage"])
    assert harmless.lines["Verdict"][0].points[0][1] != ROLL_BACK
    assert {(row["Model"], row["Verdict"] == ROLL_BACK) for row in shown(demo, "fleet").rows["Releases"]} == {
        ("fraud", True),
        ("triage", False),
    }
    versions = {row["Version"]: row["Release"] for row in shown(demo, "model", model=["fraud"]).rows["Versions now"]}
    assert versions == {"v1": None, "v2": ROLL_BACK}


def test_the_interval_of_the_difference_shrinks_and_leaves_the_lines_behind(demo: Filled) -> None:
    board = shown(demo, "release", model=["fraud"])
    drawn = {line.name: dict(line.points) for line in board.lines["Difference of the chosen metric, with its interval"]}
    assert set(drawn) == {"difference", "lower", "upper", "margin", "no difference"}
    widths = [upper - drawn["lower"][at] for at, upper in drawn["upper"].items()]
    assert widths[-1] < widths[0] / 3
    (margin,) = {round(value, 9) for value in drawn["margin"].values()}
    assert list(drawn["upper"].values())[-1] < margin < 0, "of accuracy less is worse"
    assert set(drawn["no difference"].values()) == {0}
    evidence = {line.name: line.points[-1][1] for line in board.lines["Evidence that it is worse"]}
    assert evidence["accuracy outcome"] > evidence["enough"] == 1 > evidence["error_ratio"]


def test_both_sides_of_the_release_and_no_other_version_are_side_by_side(demo: Filled) -> None:
    board = shown(demo, "release", model=["fraud"], version=["v2"])
    for title in ("From labels: the chosen metric", "Predictions without an answer", "Latency, 95th percentile"):
        assert {line.name for line in board.lines[title]} == {"v1", "v2"}, title
    assert {line.name for line in board.lines["Traffic by version, stacked"]} == {"v2"} | {"v1"}


@pytest.mark.parametrize(("model", "version"), [("delivery-time", ALL), ("fraud", "v1")])
def test_without_a_release_every_panel_about_it_says_why(demo: Filled, model: str, version: str) -> None:
    board = shown(demo, "release", model=[model], version=[version])
    filled = {title for title in board.panels if board.lines.get(title) or board.rows.get(title)}
    assert filled <= {"Traffic by version, stacked", "Releases of this model"}
    for title in board.panels.keys() - filled:
        said = board.panels[title]["fieldConfig"]["defaults"]["noValue"]
        assert re.search(r"[Nn]o release|Nothing is compared|No score", said), title


def test_the_model_that_gets_worse_by_itself_is_found_with_its_forecast(demo: Filled) -> None:
    (row,) = shown(demo, "fleet").rows["Getting worse by themselves"]
    assert (row["Model"], row["Metric"], row["Change"]) == ("delivery-time", "mae", 1)
    past = demo_traffic.PAST_DAYS * demo_traffic.DAY
    assert demo.start - past < number(row, "Since") / 1000 < demo.end
    board = shown(demo, "model", model=["delivery-time"], metric=["mae"])
    (watched,) = board.rows["What is watched"]
    assert (watched["State"], number(watched, "Evidence") > 1) == (DETECTED, True)
    assert number(watched, "Expected") < number(board.rows["Versions now"][0], "Score")
    assert number(watched, "Will miss its objective") / 1000 > demo.end
    left = {line.name: line.points[-1][1] for line in board.lines[FORECAST]}
    assert 0 < left["earliest"] < left["likely"] < left.get("latest", math.inf)
    assert left["likely"] == pytest.approx(number(row, "Will miss in"), abs=1)
    trend = {line.name: line.points[-1][1] for line in board.lines["Trend of the chosen metric"]}
    assert 0 < trend["lower"] < trend["trend"] < trend["upper"]


def test_of_the_slices_the_one_that_gets_worse_is_named(demo: Filled) -> None:
    board = shown(demo, "slices", model=["delivery-time"], metric=["mae"])
    rows_of = {row["Slice"]: row for row in board.rows["Slices that were learned"]}
    assert {city for city, row in rows_of.items() if row["Change"] == 1} == {"Oslo"}
    evidence = {line.name: line.points[-1][1] for line in board.lines["Evidence that a slice gets worse"]}
    assert evidence["Oslo v1"] >= evidence["enough"] > max(evidence["Bremen v1"], evidence["Lisbon v1"])


def test_inputs_that_moved_are_told_from_the_harm_they_do(demo: Filled) -> None:
    board = shown(demo, "drift", model=["fraud"], version=["v1"], reference=["trailing"], feature=["amount"])
    table = {row["Feature"]: row for row in board.rows["Features by their share of what has moved"]}
    moved = {feature for feature, row in table.items() if row["Drift"] == 1}
    assert moved == {"amount", "age", "merchant"}
    assert sum(number(table[feature], "Contribution") for feature in moved) == pytest.approx(1)
    assert all(number(table[feature], "Evidence") >= 1 for feature in moved)
    assert all(demo.start < number(table[feature], "Since") / 1000 < demo.end for feature in moved)
    assert board.lines["Answers that moved"][0].points[0][1] == 0
    faults = {line.name: line.points[-1][1] for line in board.lines["Values with a fault"]}
    assert faults["age missing v1"] == pytest.approx(0.25, abs=0.06)
    assert faults["merchant unseen v1"] == pytest.approx(0.1, abs=0.04)
    bins = board.rows["The chosen feature, now and in the reference"]
    for side in ("Now", "Reference"):
        assert sum(number(row, side) for row in bins) == pytest.approx(1)
    changed = {line.name for line in board.lines["Have the records' features changed?"] if line.points[-1][1] == 1}
    assert changed == {"loyalty appeared"}


def test_against_the_version_before_the_same_inputs_have_not_moved(demo: Filled) -> None:
    board = shown(demo, "drift", model=["fraud"], version=["v2"], reference=["previous_version"])
    assert board.lines["Inputs that moved"][0].points[0][1] == 0


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    assert decades(-3, 3, 7) == pytest.approx([1e-3, 1e-2, 0.1, 1, 10, 100, 1000])
    assert decades(-3, 3, 3) == pytest.approx([1e-2, 1, 100])
    assert decades(0.2, 0.8) == []


def test_the_pipeline_of_a_healthy_exporter_looks_healthy(demo: Filled) -> None:
    board = shown(demo, "pipeline")
    now = {
        title: drawn[0].points[0][1] for title, drawn in board.lines.items() if board.panels[title]["type"] == "stat"
    }
    assert now["Exporters up"] == now["Caught up"] == 1
    assert now["Waiting to be read"] == now["Refused records"] == now["Orphaned feedback"] == 0
    assert 0 <= now["Age of the last save"] < SCRAPE_INTERVAL
    (exporter,) = board.rows["Exporters"]
    assert (exporter["Up"], exporter["Configuration taken"], exporter["Failed saves"]) == (1, 1, 0)
    median = {line.name: line.points[-1][1] for line in board.lines["Label delay, percentiles"]}
    assert 0.5 * demo_traffic.DELAY * math.log(2) < median["outcome p50"] < 2 * demo_traffic.DELAY * math.log(2)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_variable_offers_what_there_is(demo: Filled, name: str) -> None:
    view = shown(demo, name).view
    for variable in view.board["templating"]["list"]:
        if variable["type"] == "query":
            assert options(view, variable["name"]), variable["name"]
    assert options(view, "model") == sorted(demo_traffic.RATES)


def test_names_with_signs_of_regular_expressions_are_matched_as_they_are(demo: Filled) -> None:
    board = committed("fleet")
    view = look(
        board,
        Prometheus(demo.server.url),
        start=demo.start,
        end=demo.end,
        scrape_interval=SCRAPE_INTERVAL,
        model=["fr.ud", "a|b (c)"],
    )
    assert view.fill('x{model=~"$model"}') == 'x{model=~"(fr\\\\.ud|a\\\\|b \\\\(c\\\\))"}'
    assert view.instant('model_info{model=~"$model"}') == []


def test_each_version_has_a_panel_of_its_own_with_the_score_within_its_band(demo: Filled) -> None:
    board = shown(demo, "model", model=["fraud"])
    bands = {title: drawn for title, drawn in board.lines.items() if title.startswith("Version ")}
    assert set(bands) == {"Version v1", "Version v2"}
    (every,) = (drawn for title, drawn in board.lines.items() if title == "Quality by version")
    scores = {line.name: line.points for line in every}
    for drawn, own, other in (
        (bands["Version v1"], "v1", "v2"),
        (bands["Version v2"], "v2", "v1"),
    ):
        by_name = {line.name: dict(line.points) for line in drawn}
        assert set(by_name) == {"score", "lower", "upper", other, "objective", "baseline: constant"}
        assert by_name["score"] == dict(scores[own]), "as in the panel that has all versions"
        assert by_name[other] == dict(scores[other])
        assert by_name["lower"].keys() == by_name["upper"].keys() == by_name["score"].keys()
        assert all(by_name["lower"][at] <= score <= by_name["upper"][at] for at, score in by_name["score"].items())
        assert set(by_name["objective"].values()) == {demo_traffic.ACCURACY_OBJECTIVE}


@pytest.mark.parametrize("theme", sorted(THEMES))
@pytest.mark.parametrize(("name", "model"), VIEWS, ids="-".join)
def test_every_board_can_be_drawn_and_the_picture_says_what_it_is(
    demo: Filled, name: str, model: str, theme: str
) -> None:
    drawn = picture(of_model(demo, name, model).view, THEMES[theme])
    words = [text.text or "" for text in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert HONEST in words
    assert committed(name)["description"] in words
    assert not [text for text in words if "no data" in text.lower() or "nan" in text.lower().split()]
    assert len(drawn) < 400_000
