"""What is bounded: series of a model, versions, slice values, and for how long a version without traffic is shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.end_to_end import logs
from tests.end_to_end.counters import assert_none_fell
from tests.processes import Exporter, Metrics, check_page


def versions(metrics: Metrics) -> set[str]:
    return {dict(labels)["version"] for name, labels in metrics if name == "model_predictions_total"}


def write(directory: Path, version: str, first: int, times: Iterable[int]) -> None:
    logs.append(
        directory / "predictions.jsonl",
        (logs.prediction("fraud", version, first + n, time, "1", score=0.9) for n, time in enumerate(times)),
    )
    (directory / "feedback.jsonl").touch()


def test_series_of_a_model_are_capped_totals_stay_and_the_rest_is_counted(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    logs.write_every_kind(tmp_path, each=300)
    config.write_text(logs.configuration(logs.FRAUD))
    with Exporter(config) as exporter:
        whole = exporter.wait_ready().settle()
        exporter.stop()
    config.write_text(logs.configuration(logs.FRAUD + "    max_series: 300\n"))
    with Exporter(config) as exporter:
        capped = exporter.wait_ready().settle()
        assert check_page(exporter.page()).returncode == 0
        later = exporter.settle()
    of_fraud = [key for key in capped if key[0].startswith("model_") and not key[0].startswith("tidegauge_")]
    assert len(of_fraud) <= 300 < len([key for key in whole if key[0].startswith("model_")])
    assert capped.value("tidegauge_series", model="fraud") == len(of_fraud)
    assert (capped.value("tidegauge_series_dropped_total", model="fraud") or 0) > 1_000
    assert_none_fell(whole, capped)
    assert_none_fell(capped, later)
    assert {key: whole[key] for key in of_fraud} == {key: capped[key] for key in of_fraud}
    for version in ("v1", "v2"):
        labels = {"model": "fraud", "version": version, "channel": "outcome", "metric": "accuracy", "window": "1h"}
        assert capped.value("model_quality_score", **labels) is not None


def test_a_version_without_traffic_expires_and_goes_on_when_it_returns(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD + "    version_expiry: 3h\n    horizon: 2h\n"))
    exporter = Exporter(config)
    with exporter:
        write(tmp_path, "v1", 0, range(logs.START, logs.START + 100_000, 1_000))
        write(tmp_path, "v2", 100, [logs.START + 2 * logs.HOUR])
        assert versions(exporter.wait_ready().settle()) == {"v1", "v2"}
        write(tmp_path, "v2", 200, [logs.START + 3 * logs.HOUR + 200_000])
        expired = exporter.settle()
        assert not any(("version", "v1") in labels for _, labels in expired)
        assert versions(expired) == {"v2"}
        exporter.stop()
        exporter.start()
        assert versions(exporter.wait_ready().settle()) == {"v2"}
        write(tmp_path, "v1", 300, [logs.START + 3 * logs.HOUR + 300_000])
        returned = exporter.settle()
    assert versions(returned) == {"v1", "v2"}
    assert returned.total("model_predictions_total", version="v1") == 101


def test_versions_and_slice_values_beyond_the_limit_are_one_called_other(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD + "    max_versions: 250\n    max_slice_values: 250\n"))
    logs.append(
        tmp_path / "predictions.jsonl",
        (
            logs.prediction("fraud", f"v{n % 400}", n, logs.START + n * 10, "1", slices={"country": f"c{n % 400}"})
            for n in range(800)
        ),
    )
    (tmp_path / "feedback.jsonl").touch()
    with Exporter(config) as exporter:
        metrics = exporter.wait_ready().settle()
    assert len(versions(metrics)) == 251
    assert metrics.total("model_predictions_total", version="other") == 300
    assert metrics.total("model_predictions_total") == 800
    assert metrics.value("tidegauge_cardinality_folded_total", model="fraud", kind="version")


def test_hostile_names_cannot_break_a_page(tmp_path: Path) -> None:
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    names = ['"', "\\", "a\nb", "<script>alert(1)</script>", "é" * 2_000, "\u2028", "\x00", "\ud800", "}", "{", " # "]
    logs.append(
        tmp_path / "predictions.jsonl",
        (
            logs.prediction("fraud", name, n, logs.START + n, "1", slices={"country": name})
            for n, name in enumerate(names)
        ),
    )
    (tmp_path / "feedback.jsonl").touch()
    with Exporter(config) as exporter:
        metrics = exporter.wait_ready().settle()
        assert check_page(exporter.page()).returncode == 0
        html = exporter.get("/").text
        openmetrics = exporter.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("# EOF\n")
    assert metrics.total("model_predictions_total") >= len(names) - 1
    assert "<script>" not in html
    assert max(len(name) for name in versions(metrics)) < 300
