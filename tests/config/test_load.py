"""What an accepted configuration means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tidegauge.config.load import load
from tidegauge.config.settings import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Channel,
    Feature,
    Model,
    Objective,
    Release,
    Settings,
    Source,
)

CONTRACT = """\
state: state                          # directory; embedded, needs no server
sources:
  - predictions: logs/predictions/*.jsonl
  - feedback: logs/feedback/*.jsonl
    channel: outcome
models:
  - name: fraud                       # "*" sets defaults for models not named; others are rejected and counted
    owner: payments                   # routes alerts
    task: binary                      # binary | multiclass | regression | ranking | text
    positive_label: "1"
    feedback:
      outcome:
        kind: complete                # complete | sample | mistakes | voluntary
        maturity: 1h                  # a prediction is scored when this old; the user must know it
        no_feedback: missing          # or the label that silence means after maturity
    features:
      amount: numeric
      country: categorical
    slices: [country]
    windows: [1h, 24h]
    reference: reference.csv          # optional; CSV, JSON Lines or Parquet with the record's fields
    objectives:
      accuracy: 0.95
    release:
      margins: {accuracy: 0.01}       # how much worse is still acceptable, in the metric's units
"""

SMALLEST = """\
sources:
  - predictions: p.jsonl
models:
  - name: fraud
    task: binary
    feedback: {outcome: {maturity: 1h}}
"""

Loader = Callable[[str], Settings]


@pytest.fixture
def loads(tmp_path: Path) -> Loader:
    """Loads text as the file tidegauge.yml of an otherwise empty directory."""

    def load_text(text: str) -> Settings:
        file = tmp_path / "tidegauge.yml"
        file.write_text(text, encoding="utf-8")
        return load(file)

    return load_text


def model_with(lines: str, task: str = "binary") -> str:
    """The smallest configuration with more lines in its model."""
    more = "".join(f"    {line}\n" for line in lines.splitlines())
    return SMALLEST.replace("task: binary", f"task: {task}") + more


def source_with(lines: str) -> str:
    """The smallest configuration with more lines in its source."""
    more = "".join(f"    {line}\n" for line in lines.splitlines())
    return SMALLEST.replace("models:\n", more + "models:\n")


def test_the_contracts_example_loads_verbatim(loads: Loader, tmp_path: Path) -> None:
    (tmp_path / "reference.csv").write_text("prediction\n")
    assert loads(CONTRACT) == Settings(
        path=tmp_path / "tidegauge.yml",
        state=tmp_path / "state",
        sources=(
            Source("predictions", "predictions", f"{tmp_path}/logs/predictions/*.jsonl"),
            Source("feedback", "feedback", f"{tmp_path}/logs/feedback/*.jsonl", channel="outcome"),
        ),
        models=(
            Model(
                name="fraud",
                task="binary",
                channels=(Channel("outcome", "complete", HOUR, None),),
                owner="payments",
                positive_label="1",
                features=(Feature("amount", "numeric"), Feature("country", "categorical")),
                slices=("country",),
                windows=(HOUR, DAY),
                reference=tmp_path / "reference.csv",
                objectives=(Objective("accuracy", 0.95, "at_least"),),
                release=Release(margins=(("accuracy", 0.01),)),
                horizon=DAY + HOUR + 5 * MINUTE,
            ),
        ),
    )


def test_name_task_and_maturity_are_enough_for_a_model(loads: Loader, tmp_path: Path) -> None:
    settings = loads(SMALLEST)
    assert settings.models == (Model("fraud", "binary", (Channel("outcome"),), horizon=DAY + HOUR + 5 * MINUTE),)
    assert settings.state == tmp_path / "state"
    assert (settings.clock, settings.refresh_interval, settings.poll_interval) == ("wall", 10 * SECOND, SECOND)
    assert settings.default_model is None


def test_settings_cannot_be_changed(loads: Loader) -> None:
    with pytest.raises(FrozenInstanceError):
        loads(SMALLEST).clock = "log"  # type: ignore[misc]


def test_top_level_values_are_taken(loads: Loader) -> None:
    head = "clock: log\nrefresh_interval: 500ms\npoll_interval: 2\nmax_line_bytes: 65536\nmax_models: 7\n"
    settings = loads(head + SMALLEST)
    assert settings.clock == "log"
    assert (settings.refresh_interval, settings.poll_interval) == (500, 2_000)
    assert (settings.max_line_bytes, settings.max_models) == (65_536, 7)


def test_the_state_directory_of_the_command_line_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_text("state: /var/lib/tidegauge\n" + SMALLEST)
    assert load(file).state == Path("/var/lib/tidegauge")
    assert load(file, state=Path("/srv/state")).state == Path("/srv/state")
    monkeypatch.chdir(tmp_path)
    assert load(Path("tidegauge.yml"), state=Path("here")).state == tmp_path / "here"


def test_relative_paths_start_at_the_files_directory_whatever_it_is_called(tmp_path: Path) -> None:
    directory = tmp_path / "[prod] *logs"
    directory.mkdir()
    (directory / "p.jsonl").touch()
    (directory / "tidegauge.yml").write_text(SMALLEST)
    pattern = load(directory / "tidegauge.yml").sources[0].pattern
    assert [str(path) for path in Path("/").glob(pattern.lstrip("/"))] == [str(directory / "p.jsonl")]


def test_a_linked_file_has_the_directory_it_is_named_in(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "tidegauge.yml").write_text(SMALLEST)
    (tmp_path / "tidegauge.yml").symlink_to(tmp_path / "..data" / "tidegauge.yml")
    assert load(tmp_path / "tidegauge.yml").state == tmp_path / "state"


def test_absolute_paths_stay(loads: Loader) -> None:
    text = SMALLEST.replace("p.jsonl", "/var/log/a*/p.jsonl\n    rotated: [/archive/*.gz, old/*.gz]")
    source = loads(text).sources[0]
    assert source.pattern == "/var/log/a*/p.jsonl"
    assert source.rotated[0] == "/archive/*.gz"
    assert source.rotated[1].endswith("/old/*.gz")


def test_sources_are_named_by_kind_and_number(loads: Loader) -> None:
    patterns = ["predictions: a", "feedback: b", "predictions: c", "feedback: d", "predictions: e"]
    lines = "".join(f"  - {pattern}\n" for pattern in patterns)
    names = [source.name for source in loads(SMALLEST.replace("  - predictions: p.jsonl\n", lines)).sources]
    assert names == ["predictions", "feedback", "predictions-2", "feedback-2", "predictions-3"]


def test_a_source_says_what_its_records_leave_out(loads: Loader) -> None:
    source = loads(
        source_with(
            "model: fraud\nversion: 1.10\nfields: {prediction_id: request.id, features: request.inputs}\n"
            "path_pattern: '/(?P<model>[a-z]+)-(?P<version>[^/]+)\\.jsonl'\ntimezone: Europe/Berlin"
        )
    ).sources[0]
    assert (source.model, source.version) == ("fraud", "1.10")  # as written, not 1.1
    assert source.fields == (("prediction_id", "request.id"), ("features", "request.inputs"))
    assert source.path_pattern == re.compile(r"/(?P<model>[a-z]+)-(?P<version>[^/]+)\.jsonl")
    assert source.timezone == "Europe/Berlin"


FEEDBACK = "  - feedback: f.jsonl\nmodels:\n"


def test_feedback_goes_to_the_only_channel_there_is(loads: Loader) -> None:
    assert loads(SMALLEST.replace("models:\n", FEEDBACK)).sources[1].channel == "outcome"


def test_feedback_goes_to_the_only_channel_of_its_model(loads: Loader) -> None:
    other = "  - {name: other, task: binary, feedback: {review: {maturity: 1d}, outcome: {maturity: 1h}}}\n"
    text = SMALLEST.replace("models:\n", FEEDBACK) + other
    assert loads(text).sources[1].channel is None
    assert loads(text.replace("f.jsonl", "f.jsonl\n    model: fraud")).sources[1].channel == "outcome"


def test_a_channel_in_the_path_is_not_overruled_by_the_only_channel(loads: Loader) -> None:
    pattern = FEEDBACK.replace("f.jsonl", "f.jsonl\n    path_pattern: (?P<channel>[a-z]+)/")
    assert loads(SMALLEST.replace("models:\n", pattern)).sources[1].channel is None


def test_a_star_describes_models_that_are_not_named(loads: Loader) -> None:
    settings = loads(SMALLEST + '  - {name: "*", task: regression, feedback: {truth: {maturity: 2h}}}\n')
    assert [model.name for model in settings.models] == ["fraud"]
    assert settings.default_model is not None
    assert (settings.default_model.name, settings.default_model.task) == ("*", "regression")


def test_windows_are_sorted(loads: Loader) -> None:
    assert loads(model_with("windows: [7d, 1h, 86400]")).models[0].windows == (HOUR, DAY, 7 * DAY)


@pytest.mark.parametrize(
    ("lines", "horizon"),
    [
        ("windows: [1h]", DAY),  # never less than a day
        ("windows: [30d]", 30 * DAY + HOUR + 5 * MINUTE),
        ("windows: [24h]\ngrace: 1h", DAY + 2 * HOUR),
        ("windows: [24h]\nhorizon: 2h", 2 * HOUR),
    ],
)
def test_the_horizon_covers_maturity_grace_and_the_longest_window(loads: Loader, lines: str, horizon: int) -> None:
    assert loads(model_with(lines)).models[0].horizon == horizon


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ('"1"', "1"),
        ("-0.0", "0"),
        ("0.5", "0.5"),
        ("true", "true"),
        ("yes", "yes"),  # YAML 1.1 would make it a boolean
        ("NO", "NO"),
        ("010", "010"),  # and this eight
        ("12:30", "12:30"),
        ("2013-01-01", "2013-01-01"),
        ("fraud", "fraud"),
        ("!!str 1", "1"),
    ],
)
def test_labels_are_canonical_text_and_never_reinterpreted(loads: Loader, written: str, label: str) -> None:
    assert loads(model_with(f"positive_label: {written}")).models[0].positive_label == label


def test_silence_can_mean_a_label(loads: Loader) -> None:
    text = SMALLEST.replace("maturity: 1h", "maturity: 1h, no_feedback: 0")
    assert loads(text).models[0].channels[0].no_feedback == "0"


def test_every_model_value_is_taken(loads: Loader) -> None:
    model = loads(
        model_with(
            "owner: search\nclasses: [1, b, 2.0]\nmax_classes: 9\nmax_pending: 5000\nmax_versions: 4\n"
            "max_slice_values: 3\nmax_series: 200\nminimum_samples: 50\nversion_expiry: 1d\ngrace: 1m\nblock: 1h",
            task="multiclass",
        )
    ).models[0]
    assert (model.owner, model.classes, model.max_classes) == ("search", ("1", "b", "2"), 9)
    assert (model.max_pending, model.max_versions, model.max_slice_values, model.max_series) == (5000, 4, 3, 200)
    assert (model.minimum_samples, model.version_expiry, model.grace, model.block) == (50, DAY, MINUTE, HOUR)


def test_objectives_know_which_way_is_better(loads: Loader) -> None:
    text = model_with(
        "objectives:\n  r2: 0.5\n  mae: 3\n  mean_error: {target: -1e0, direction: at_least}\n  rmse: {target: 4}",
        task="regression",
    )
    assert loads(text).models[0].objectives == (
        Objective("r2", 0.5, "at_least"),
        Objective("mae", 3.0, "at_most"),
        Objective("mean_error", -1.0, "at_least"),
        Objective("rmse", 4.0, "at_most"),
    )


def test_reports_have_their_own_objectives(loads: Loader) -> None:
    text = SMALLEST.replace("maturity: 1h", "maturity: 1h, kind: voluntary")
    text += "    objectives: {reported_error_rate: 0.02, response_rate: 0.1}\n"
    assert loads(text).models[0].objectives == (
        Objective("reported_error_rate", 0.02, "at_most"),
        Objective("response_rate", 0.1, "at_least"),
    )


def test_anchors_may_repeat_a_part(loads: Loader) -> None:
    text = SMALLEST.replace("feedback: {", "feedback: &channels {")
    text += "  - {name: other, task: regression, feedback: *channels}\n"
    first, second = loads(text).models
    assert first.channels == second.channels


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert load(file).models[0].name == "fraud"


def test_utc_needs_no_time_zone_database(loads: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(key: str) -> None:
        raise KeyError(key)

    monkeypatch.setattr("zoneinfo.ZoneInfo", missing)
    assert loads(source_with("timezone: UTC")).sources[0].timezone == "UTC"
