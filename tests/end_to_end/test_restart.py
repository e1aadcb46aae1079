"""The process ends cleanly when told to, and goes on where it stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.end_to_end import logs
from tests.end_to_end.counters import assert_none_fell, counters
from tests.processes import Exporter, Metrics


def of_models(metrics: Metrics) -> dict[object, float]:
    return {key: value for key, value in metrics.items() if key[0].startswith("model_")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_with_status_0_and_every_number_is_there_again(tmp_path: Path, number: int) -> None:
    (tmp_path / "tidegauge.yml").write_text(logs.configuration(*logs.EVERY_KIND, sources=logs.EVERY_SOURCE))
    logs.write_every_kind(tmp_path, each=300)
    exporter = Exporter(tmp_path / "tidegauge.yml")
    with exporter:
        before = exporter.wait_ready().settle()
        exporter.signal(number)
        assert exporter.wait() == 0
        exporter.start()
        after = exporter.wait_ready().settle()
    assert of_models(after) == of_models(before)
    assert counters(after) == counters(before)


def test_what_was_written_while_it_was_down_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "tidegauge.yml").write_text(logs.configuration(logs.FRAUD))
    logs.write_every_kind(tmp_path, each=100)
    exporter = Exporter(tmp_path / "tidegauge.yml")
    with exporter:
        before = exporter.wait_ready().settle()
        for kill in (exporter.stop, exporter.kill):
            kill()
            first = 1_000 if kill == exporter.stop else 2_000
            start = logs.START + 2 * logs.HOUR + first * 1000
            logs.append(
                tmp_path / "predictions.jsonl",
                (logs.prediction("fraud", "v1", first + n, start + n, "1", score=0.9) for n in range(50)),
            )
            exporter.start()
            exporter.wait_ready()
        after = exporter.settle()
    assert_none_fell(before, after)
    was, now = (
        page.total("tidegauge_records_total", kind="predictions", result="accepted") for page in (before, after)
    )
    assert now == was + 100
    assert after.total("model_predictions_total") == before.total("model_predictions_total") + 100


def test_cardinality_and_series_counters_go_on(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD + "    max_slice_values: 2\n    max_versions: 1\n"))
    logs.write_every_kind(tmp_path, each=50)
    exporter = Exporter(config)
    with exporter:
        before = exporter.wait_ready().settle()
        exporter.stop()
        exporter.start()
        after = exporter.wait_ready().settle()
    assert before.value("tidegauge_cardinality_folded_total", model="fraud", kind="slice")
    assert before.value("tidegauge_cardinality_folded_total", model="fraud", kind="version")
    assert_none_fell(before, after)


def test_new_classes_make_room_and_the_past_stays(tmp_path: Path) -> None:
    """Confusion tables are laid out anew when a ninth class comes, after the first panes have grown coarse."""
    (tmp_path / "tidegauge.yml").write_text(logs.configuration(logs.ANIMAL))
    (tmp_path / "feedback.jsonl").touch()

    def write(first: int, classes: range, begin: int) -> None:
        numbers = [(number, begin + (number - first) * 6_000) for number in range(first, first + 600)]
        chosen = [f"animal {classes[number % len(classes)]}" for number, _ in numbers]
        logs.append(
            tmp_path / "predictions.jsonl",
            (logs.prediction("animal", "v1", n, at, name) for (n, at), name in zip(numbers, chosen, strict=True)),
        )
        logs.append(
            tmp_path / "feedback.jsonl",
            (logs.feedback("animal", n, at + 500, name) for (n, at), name in zip(numbers, chosen, strict=True)),
        )

    window = {"model": "animal", "version": "v1", "channel": "outcome"}
    exporter = Exporter(tmp_path / "tidegauge.yml")
    with exporter:
        write(0, range(4), logs.START)
        exporter.wait_ready()
        before = exporter.settle()
        assert before.value("model_window_labeled_predictions", **window, window="1h") == 540
        write(1_000, range(30), logs.START + logs.HOUR)
        after = exporter.settle()
        exporter.stop()
        exporter.start()
        again = exporter.wait_ready().settle()
    for metrics in (after, again):
        assert_none_fell(before, metrics)
        for name in ("mature", "labeled"):
            assert metrics.value(f"model_window_{name}_predictions", **window, window="1h") == 600
            assert (
                metrics.value(f"model_window_{name}_predictions", **window, window="lifetime") == 1_145
            )  # floored to 30 s
        assert metrics.value("model_quality_score", **window, metric="accuracy", window="lifetime") == 1
        assert metrics.total("model_outcomes_total") == metrics.total("model_outcomes_total", result="correct") > 1_100
