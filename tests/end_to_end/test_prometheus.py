"""The real Prometheus reads the real exporter: every kind of model, in both formats, and the same numbers come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.end_to_end import logs
from tests.processes import Exporter, Key, Metrics, PrometheusServer, check_page, wait_until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter that has read the logs of every kind of model."""
    directory = tmp_path_factory.mktemp("every-kind")
    config = directory / "tidegauge.yml"
    config.write_text(logs.configuration(*logs.EVERY_KIND, sources=logs.EVERY_SOURCE))
    logs.write_every_kind(directory)
    with Exporter(config) as running:
        running.wait_ready().settle()
        yield running


def of_models(metrics: Metrics) -> dict[Key, float]:
    """What does not change while nothing is written."""
    return {key: value for key, value in metrics.items() if key[0].startswith("model_")}


def test_every_kind_of_model_publishes_its_scores_and_nothing_that_its_channel_cannot_support(
    exporter: Exporter,
) -> None:
    metrics = exporter.metrics()
    scored = {
        (labels["model"], labels["channel"]): set[str]()
        for labels in (dict(pairs) for name, pairs in metrics if name == "model_quality_score")
    }
    for name, pairs in metrics:
        if name == "model_quality_score":
            labels = dict(pairs)
            scored[labels["model"], labels["channel"]].add(labels["metric"])
    classification = {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc", "log_loss", "brier"}
    binary = {"specificity", "roc_auc", "pr_auc", "calibration_error"}
    assert scored["fraud", "outcome"] == classification | binary
    assert scored["fraud", "audit"] == classification | binary
    assert scored["animal", "outcome"] >= classification
    assert scored["price", "outcome"] == {"mae", "rmse", "mape", "r2", "mean_error"}
    assert scored["spam", "reports"] == scored["spam", "survey"] == {"reported_error_rate", "response_rate"}


def test_promtool_finds_nothing_wrong_with_a_full_page(exporter: Exporter) -> None:
    page = exporter.page()
    for family in (
        "model_confusion_total",
        "model_class_quality_score",
        "model_slice_quality_score",
        "model_calibration_bin_observed",
        "model_prediction_latency_seconds_bucket",
        "model_feedback_delay_seconds_bucket",
        "model_quality_objective",
    ):
        assert f"\n{family}{{" in page
    checked = check_page(page)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_openmetrics_says_the_same_as_the_text_format(exporter: Exporter) -> None:
    response = exporter.get("/metrics", Accept=OPENMETRICS)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")
    read = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_openmetrics(response.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    assert of_models(Metrics(read)) == of_models(exporter.metrics())


def test_a_page_is_compressed_for_those_who_accept_it(exporter: Exporter) -> None:
    plain = exporter.get("/metrics", Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    packed = exporter.get("/metrics", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 5
    assert packed.text.startswith("# HELP ")


def test_the_landing_page_shows_versions_and_scores(exporter: Exporter) -> None:
    page = exporter.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    for word in ("fraud", "animal", "price", "spam", "v1", "v2", "accuracy", "reported error rate"):
        assert word in page.text


def test_every_value_comes_back_through_prometheus(exporter: Exporter, tmp_path: Path) -> None:
    published = of_models(exporter.metrics())
    with PrometheusServer(exporter.url, tmp_path / "prometheus") as prometheus:
        prometheus.wait_scraped()
        stored = wait_until(lambda: prometheus.query_names('{__name__=~"model_.+"}'), what="the first scrape")
        assert {key: value for key, value in stored.items() if key[0].startswith("model_")} == {
            (name, drop_empty(labels)): value for (name, labels), value in published.items()
        }
        assert prometheus.query("tidegauge_ready") == {frozenset(): 1.0}
        ratio = "sum(model_quality_numerator{metric='accuracy',channel='outcome',window='1h'})"
        ratio += " / sum(model_quality_denominator{metric='accuracy',channel='outcome',window='1h'})"
        (pooled,) = prometheus.query(ratio).values()
        parts = [
            sum(
                value
                for (name, labels), value in published.items()
                if name == f"model_quality_{part}"
                and {("metric", "accuracy"), ("channel", "outcome"), ("window", "1h")} <= labels
            )
            for part in ("numerator", "denominator")
        ]
        assert pooled == pytest.approx(parts[0] / parts[1], rel=1e-12)


def drop_empty(labels: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Prometheus reads an empty label as an absent one."""
    return frozenset(pair for pair in labels if pair[1])
