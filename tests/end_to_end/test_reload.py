"""A reload keeps the state that still fits and says what it drops; a bad one changes nothing but a metric."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.end_to_end import logs
from tests.end_to_end.counters import assert_none_fell, counters
from tests.processes import PATIENCE, Exporter, Key, Metrics, wait_until

TWO_MODELS = logs.configuration(logs.FRAUD, logs.PRICE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    logs.write_every_kind(tmp_path, each=300)
    keep = ("fraud", "price")
    for name in ("predictions", "feedback"):
        lines = (tmp_path / f"{name}.jsonl").read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.startswith(tuple(f'{{"prediction_id":"{model}' for model in keep))]
        (tmp_path / f"{name}.jsonl").write_text("".join(kept))
    (tmp_path / "tidegauge.yml").write_text(TWO_MODELS)
    return tmp_path


@pytest.fixture
def exporter(directory: Path) -> Iterator[Exporter]:
    with Exporter(directory / "tidegauge.yml", "--web.enable-lifecycle") as running:
        running.wait_ready().settle()
        yield running


def reload(exporter: Exporter) -> requests.Response:
    return requests.post(f"{exporter.url}/-/reload", timeout=PATIENCE)


def more(directory: Path, first: int = 10_000, amount: int = 50) -> None:
    """New traffic after all that the logs hold, with the feedback that makes it mature."""
    begin = logs.START + 2 * logs.HOUR
    times = [(number, begin + number * 1000) for number in range(amount)]
    logs.append(
        directory / "predictions.jsonl",
        (
            logs.prediction("fraud", "v1", first + number, time, "1", score=0.9, slices={"country": "DE"})
            for number, time in times
        ),
    )
    logs.append(
        directory / "feedback.jsonl",
        (logs.feedback("fraud", first + number, time + 500, "1") for number, time in times),
    )


def predictions_of_fraud(metrics: Metrics) -> float:
    return metrics.total("model_predictions_total", model="fraud")


def scores_without(metrics: Metrics, *windows: str) -> dict[Key, float]:
    return {
        (name, labels): value
        for (name, labels), value in metrics.items()
        if name.startswith("model_quality_") and not any(("window", window) in labels for window in windows)
    }


def test_a_reload_without_changes_keeps_every_number(exporter: Exporter, directory: Path) -> None:
    before = exporter.metrics()
    assert reload(exporter).text.strip() == "reloaded"
    after = exporter.settle()
    assert {k: v for k, v in after.items() if k[0].startswith("model_")} == {
        k: v for k, v in before.items() if k[0].startswith("model_")
    }
    assert counters(after) == counters(before)
    more(directory)
    assert predictions_of_fraud(exporter.settle()) == predictions_of_fraud(before) + 50


def test_a_window_is_added_and_the_others_stay(exporter: Exporter, directory: Path) -> None:
    before = exporter.metrics()
    (directory / "tidegauge.yml").write_text(TWO_MODELS.replace("[30m, 1h]", "[10m, 30m, 1h]"))
    response = reload(exporter)
    assert response.status_code == 200, response.text
    after = exporter.settle()
    assert_none_fell(before, after)
    exact = scores_without(before, "lifetime")
    assert scores_without(after, "lifetime", "10m") == exact
    labels = {"model": "fraud", "version": "v1", "channel": "outcome", "window": "10m"}
    assert 0 < (after.value("model_window_labeled_predictions", **labels) or 0) < 30
    more(directory)
    assert predictions_of_fraud(exporter.settle()) == predictions_of_fraud(before) + 50


def test_a_slice_is_added_and_fills_from_now_on(directory: Path) -> None:
    config = directory / "tidegauge.yml"
    config.write_text(TWO_MODELS.replace("    slices: [country]\n", ""))
    with Exporter(config, "--web.enable-lifecycle") as exporter:
        before = exporter.wait_ready().settle()
        assert "model_slice_quality_score" not in before.names()
        config.write_text(TWO_MODELS)
        response = reload(exporter)
        assert response.status_code == 200, response.text
        more(directory, amount=600)
        after = exporter.settle()
    assert_none_fell(before, after)
    assert predictions_of_fraud(after) == predictions_of_fraud(before) + 600
    labels = {"model": "fraud", "version": "v1", "channel": "outcome", "metric": "accuracy", "window": "30m"}
    slices = after.total("model_slice_quality_samples", **labels, slice_key="country", slice_value="DE")
    # Of the ten minutes of new traffic half are mature, and this window moves by half minutes: 299 s floored to 30 s.
    assert slices == 270


def test_a_channel_is_added_and_the_old_one_keeps_its_labels(exporter: Exporter, directory: Path) -> None:
    before = exporter.metrics()
    sources = logs.EVERY_SOURCE.split("  - {feedback: reports")[0]
    (directory / "tidegauge.yml").write_text(logs.configuration(logs.AUDITED_FRAUD, logs.PRICE, sources=sources))
    response = reload(exporter)
    assert response.status_code == 200, response.text
    after = exporter.settle()
    assert_none_fell(before, after)
    old = {key: value for key, value in scores_without(before, "lifetime").items() if ("channel", "outcome") in key[1]}
    for key, value in old.items():
        assert after[key] == value, key
    audited = after.total("model_feedback_total", model="fraud", channel="audit", result="joined")
    assert audited == after.total("model_feedback_received_total", model="fraud", channel="audit") > 20


def test_a_channel_is_removed_and_that_is_said(directory: Path) -> None:
    config = directory / "tidegauge.yml"
    sources = logs.EVERY_SOURCE.split("  - {feedback: reports")[0]
    config.write_text(logs.configuration(logs.AUDITED_FRAUD, logs.PRICE, sources=sources))
    with Exporter(config, "--web.enable-lifecycle") as exporter:
        before = exporter.wait_ready().settle()
        config.write_text(TWO_MODELS)
        response = reload(exporter)
        assert response.status_code == 200, response.text
        assert "model fraud: dropped channel audit" in response.text
        after = exporter.settle()
    kept = {key: value for key, value in counters(before).items() if not touches_audit(key)}
    assert {key: counters(after)[key] for key in kept} == kept
    assert not any(("channel", "audit") in labels for _, labels in after)
    old = {key: value for key, value in scores_without(before, "lifetime").items() if ("channel", "outcome") in key[1]}
    assert {key: after[key] for key in old} == old


def touches_audit(key: Key) -> bool:
    """Audits came by the source feedback-2; as records they are not told from other feedback."""
    return ("channel", "audit") in key[1] or ("source", "feedback-2") in key[1]


def test_a_removed_model_is_dropped_and_named(exporter: Exporter, directory: Path) -> None:
    before = exporter.metrics()
    (directory / "tidegauge.yml").write_text(logs.configuration(logs.FRAUD))
    response = reload(exporter)
    assert response.status_code == 200
    assert "model price is not configured any more: its state is dropped" in response.text
    after = exporter.settle()
    assert not any(("model", "price") in labels for _, labels in after)
    kept = {key: value for key, value in counters(before).items() if ("model", "price") not in key[1]}
    assert {key: counters(after)[key] for key in kept} == kept
    more(directory)
    assert predictions_of_fraud(exporter.settle()) == predictions_of_fraud(before) + 50


def test_another_task_starts_the_model_anew_and_says_so(exporter: Exporter, directory: Path) -> None:
    (directory / "tidegauge.yml").write_text(
        TWO_MODELS.replace("task: regression", "task: multiclass").replace("    objectives: {mae: 2}\n", "")
    )
    response = reload(exporter)
    assert response.status_code == 200, response.text
    assert "model price: dropped everything" in response.text
    assert exporter.settle().total("model_predictions_total", model="price") == 0


def test_sighup_reloads_too(exporter: Exporter, directory: Path) -> None:
    (directory / "tidegauge.yml").write_text(TWO_MODELS.replace("accuracy: 0.9", "accuracy: 0.75"))
    exporter.signal(signal.SIGHUP)
    exporter.wait_for(
        lambda metrics: metrics.total("model_quality_objective", version="v1", metric="accuracy") == 0.75,
        what="the new objective",
    )


def test_a_bad_file_keeps_the_old_configuration_and_says_so(exporter: Exporter, directory: Path) -> None:
    before = exporter.metrics()
    (directory / "tidegauge.yml").write_text(TWO_MODELS.replace("task: binary", "task: binry"))
    response = reload(exporter)
    assert response.status_code == 500
    assert "tidegauge.yml:11: models[0].task" in response.text
    assert "binry" in response.text
    after = exporter.settle()
    assert after.value("tidegauge_config_last_reload_successful") == 0
    assert counters(after) == counters(before)
    more(directory)
    assert predictions_of_fraud(exporter.settle()) == predictions_of_fraud(before) + 50
    assert exporter.get("/-/healthy").status_code == 200
    (directory / "tidegauge.yml").write_text(TWO_MODELS)
    assert reload(exporter).status_code == 200
    assert exporter.settle().value("tidegauge_config_last_reload_successful") == 1


def test_the_state_directory_cannot_change_while_running(exporter: Exporter, directory: Path) -> None:
    (directory / "tidegauge.yml").write_text(TWO_MODELS.replace("state: state", "state: elsewhere"))
    response = reload(exporter)
    assert response.status_code == 500
    assert "restart" in response.text
    assert exporter.settle().value("tidegauge_config_last_reload_successful") == 0
    assert not (directory / "elsewhere").exists()


def test_reloading_over_http_needs_permission(directory: Path) -> None:
    with Exporter(directory / "tidegauge.yml") as exporter:
        assert reload(exporter).status_code == 403
        assert requests.get(f"{exporter.url}/-/reload", timeout=PATIENCE).status_code == 405


def test_reloading_in_the_middle_of_a_backlog_loses_nothing(directory: Path) -> None:
    for number in range(20):
        more(directory, first=100_000 + number * 1_000, amount=1_000)
    config = directory / "tidegauge.yml"
    with Exporter(config, "--web.enable-lifecycle") as exporter:
        for windows in ("[30m]", "[10m, 30m, 1h]", "[30m, 1h]"):
            config.write_text(TWO_MODELS.replace("[30m, 1h]", windows))
            assert reload(exporter).status_code == 200
        exporter.wait_ready()
        metrics = wait_until(exporter.settle, what="the end")
    assert predictions_of_fraud(metrics) == 300 + 20 * 1_000
    assert metrics.total("model_feedback_total", model="fraud", result="late") == 0
    assert metrics.total("model_feedback_total", model="fraud", result="joined") == metrics.total(
        "model_feedback_received_total", model="fraud"
    )
