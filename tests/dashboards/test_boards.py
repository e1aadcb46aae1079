"""The boards are what the builders say, keep to the linter's rules, and lead to each other without losing anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dashboards
from dashboards.__main__ import written
from dashboards.board import COLUMNS, KEPT
from dashboards.boards import BOARDS
from dashboards.panels import CHANGE_STATES, RELEASE_VERDICTS, STATE_CODES, STATE_TEXTS
from dashboards.preview.picture import HONEST
from tests.dashboards.linter import RULES, panels, selectors, targets
from tidegauge.assess.counts import STATES as ALL_STATES
from tidegauge.assess.detectors.readings import CHANGE_STATES as ALL_CHANGE_STATES
from tidegauge.publish.catalogue import NAMED

Json = dict[str, Any]

FOLDER = Path(dashboards.__file__).parent
GIVEN_BY_PROMETHEUS = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS"}
GIVEN_BY_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
QUESTIONS = {
    "fleet": "Which of my models is in trouble?",
    "model": "How good is it, since when?",
    "release": "Is the new version worse, and what shall I do?",
    "slices": "Is it equally good for everybody?",
    "drift": "What has moved, and does it matter?",
    "pipeline": "Can I trust these numbers?",
}


def committed(name: str) -> Json:
    board: Json = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return board


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> Json:
    """Each committed board."""
    return committed(request.param)


def texts(value: object) -> Iterator[tuple[str, str]]:
    """Every string in the JSON, with the key it stands under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                yield key, inner
            else:
                yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_what_is_committed_is_what_make_dashboards_writes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == written(BOARDS[name])


def test_every_committed_board_has_a_builder_and_a_question() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(BOARDS) == set(QUESTIONS)
    for name, question in QUESTIONS.items():
        assert committed(name)["description"] == question
        assert committed(name)["uid"] == f"tidegauge-{name}"
        assert committed(name)["panels"][0]["title"] == question


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_dashboard_linter_has_nothing_to_say(board: Json, rule: str) -> None:
    assert list(RULES[rule](board)) == []


def test_the_schema_is_one_that_grafana_10_to_13_read(board: Json) -> None:
    assert 39 <= board["schemaVersion"] <= 42


def test_only_metrics_that_exist_are_asked_for(board: Json) -> None:
    known = GIVEN_BY_PROMETHEUS | GIVEN_BY_THE_PROCESS
    for name, family in NAMED.items():
        known |= {f"{name}_bucket"} if family.kind == "histogram" else {name}
    exprs = [target["expr"] for _, target in targets(board)] + [one["expr"] for one in board["annotations"]["list"]]
    exprs += [
        variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0]
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert {selector.name for expr in exprs for selector in selectors(expr)} <= known


def test_only_labels_that_the_metric_has_are_matched(board: Json) -> None:
    for _, target in targets(board):
        for selector in selectors(target["expr"]):
            family = NAMED.get(selector.name.removesuffix("_bucket"))
            if family is not None:
                assert {one.name for one in selector.matchers.matchers} <= {*family.labels, "job", "instance"}, selector


def test_recorded_series_are_left_to_the_alerts(board: Json) -> None:
    assert not [expr for _, target in targets(board) for expr in [target["expr"]] if re.search(r"\w:\w", expr)]


def test_every_panel_has_title_description_unit_and_words_for_being_empty(board: Json) -> None:
    for panel in panels(board):
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        empty = panel["fieldConfig"]["defaults"]["noValue"]
        assert len(empty) > 15, panel["title"]
        assert "no data" not in empty.lower(), panel["title"]


def test_no_two_panels_share_a_title_or_an_id(board: Json) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)


def test_panels_lie_side_by_side_within_the_board_and_do_not_overlap(board: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


def test_panels_are_wide_enough_to_be_read_at_1280_pixels(board: Json) -> None:
    """A grid column is about 52 pixels there, a letter of a title 8."""
    least = {"stat": 4, "timeseries": 6, "state-timeline": 8, "heatmap": 8, "barchart": 8}
    for panel in panels(board):
        width = panel["gridPos"]["w"]
        assert width >= least.get(panel["type"], 8), panel["title"]
        assert len(panel["title"]) * 8 < width * 52, panel["title"]


def test_tables_show_all_their_columns_at_1280_pixels(board: Json) -> None:
    for panel, columns in tables(board):
        narrowest = panel["fieldConfig"]["defaults"]["custom"]["minWidth"]
        own = {name: told(panel, name).get("custom.width", narrowest) for name in columns}
        assert sum(own.values()) <= panel["gridPos"]["w"] * 52, panel["title"]
        assert all(len(name) * 7 <= max(own[name], 75) + 30 for name in columns), own


def tables(board: Json) -> Iterator[tuple[Json, list[str]]]:
    """Tables with the names of their columns."""
    for panel in panels(board):
        for step in panel.get("transformations", ()):
            if step["id"] == "organize" and panel["type"] == "table":
                yield panel, list(step["options"]["renameByName"].values())


def told(panel: Json, column: str) -> Json:
    """What a panel says of one column."""
    return {
        one["id"]: one["value"]
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"] == {"id": "byName", "options": column}
        for one in override["properties"]
    }


def test_a_table_cell_without_a_value_says_less_than_a_table_without_rows(board: Json) -> None:
    """Grafana writes the panel's noValue into empty cells too, where the column has none of its own."""
    for panel, columns in tables(board):
        for column in columns:
            assert len(told(panel, column)["noValue"]) < 15, (panel["title"], column)


def test_colours_are_named_so_that_both_themes_can_show_them(board: Json) -> None:
    named = {"green", "yellow", "red", "blue", "orange", "purple", "text", "transparent"}
    used = {value for key, value in texts(board) if key in ("color", "fixedColor", "iconColor", "fill")}
    assert used
    assert used - {"dash"} <= named


def test_no_data_source_is_hard_coded(board: Json) -> None:
    def sources(value: object) -> Iterator[object]:
        if isinstance(value, dict):
            if "datasource" in value:
                yield value["datasource"]
            for inner in value.values():
                yield from sources(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from sources(inner)

    found = list(sources(board))
    assert len(found) > len(board["panels"])
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in found)


def test_every_board_has_all_the_variables_that_links_hand_on(board: Json) -> None:
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[: len(KEPT)] == list(KEPT)


def test_the_other_boards_are_one_click_away_with_variables_and_time(board: Json) -> None:
    (link,) = board["links"]
    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
    assert set(link["tags"]) <= set(board["tags"])


def links(board: Json) -> Iterator[tuple[Json, str]]:
    for panel in panels(board):
        yield from ((panel, value) for key, value in texts(panel) if key == "url")


def test_links_lead_to_boards_that_exist_and_keep_every_variable_and_the_time(board: Json) -> None:
    variables = {
        read["uid"]: {variable["name"] for variable in read["templating"]["list"]} for read in map(committed, BOARDS)
    }
    for panel, url in links(board):
        found = re.fullmatch(r"/d/([\w-]+)\?(.+)", url)
        assert found, url
        assert found[1] in variables, url
        words = found[2].split("&")
        assert words[-1] == "${__url_time_range}", url
        kept = [re.fullmatch(r"var-(\w+)=.+|\$\{(\w+):queryparam\}", word) for word in words[:-1]]
        names = {one[1] or one[2] for one in kept if one}
        assert len(kept) == len(names) and set(KEPT) <= names, url
        assert names <= variables[found[1]], url
        _fields_exist(panel, url)


def _fields_exist(panel: Json, url: str) -> None:
    """What a link takes from the clicked row or series is there."""
    columns = {
        title
        for step in panel.get("transformations", ())
        if step["id"] == "organize"
        for title in step["options"]["renameByName"].values()
    }
    assert set(re.findall(r"__data\.fields\.(\w+)", url)) <= columns, url
    for label in re.findall(r"__field\.labels\.(\w+)", url):
        assert all(
            f"{{{{{label}}}}}" in target["legendFormat"] or label in target["expr"] for target in panel["targets"]
        )


def test_fleet_rows_and_lines_lead_to_their_model() -> None:
    leading = {panel["title"] for panel, url in links(committed("fleet")) if url.startswith("/d/tidegauge-model?")}
    assert {
        "Models and versions",
        "Headroom to the objective",
        "Traffic",
        "Feedback coverage",
        "Firing alerts",
    } <= leading


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("fleet", {"Releases"}),
        ("model", {"Versions now"}),
        ("release", {"Releases of this model"}),
    ],
)
def test_rows_of_releases_lead_to_the_release_and_back_to_the_model(name: str, titles: set[str]) -> None:
    def leading(board: str, uid: str) -> set[str]:
        return {panel["title"] for panel, url in links(committed(board)) if url.startswith(f"/d/{uid}?")}

    assert titles <= leading(name, "tidegauge-release")
    assert {"What is compared", "Releases of this model"} <= leading("release", "tidegauge-model")


def test_evidence_is_on_a_logarithmic_axis_with_its_threshold() -> None:
    found = {
        panel["title"]: panel for name in BOARDS for panel in panels(committed(name)) if "vidence" in panel["title"]
    }
    assert len(found) == 5
    for title, panel in found.items():
        assert panel["fieldConfig"]["defaults"]["custom"]["scaleDistribution"] == {"type": "log", "log": 10}, title
        assert panel["fieldConfig"]["defaults"]["min"] > 0, title
        assert "enough" in [target["legendFormat"] for target in panel["targets"]], title


def test_every_verdict_and_state_of_change_has_words() -> None:
    assert [text for text, _ in RELEASE_VERDICTS.values()] == ["promote", "keep watching", "roll back"]
    assert len(CHANGE_STATES) == len(ALL_CHANGE_STATES)


def test_releases_and_firing_alerts_are_marked_on_every_board(board: Json) -> None:
    marks = {one["name"]: one for one in board["annotations"]["list"]}
    assert set(marks) == {"Releases", "Alerts"}
    assert "model_version_first_prediction_timestamp_seconds" in marks["Releases"]["expr"]
    assert marks["Releases"]["useValueForTime"] is True
    assert marks["Alerts"]["expr"].startswith('ALERTS{alertstate="firing"')


def test_every_state_of_a_score_has_words() -> None:
    assert tuple(STATE_TEXTS) == tuple(ALL_STATES)
    assert len(STATE_CODES) == len(STATE_TEXTS)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_the_picture_of_each_board_says_what_it_is_and_is_small(name: str) -> None:
    drawn = (FOLDER.parent / "docs" / "images" / f"board-{name}.svg").read_text(encoding="utf-8")
    assert HONEST in drawn
    assert QUESTIONS[name] in drawn
    assert len(drawn) < 300_000
