"""The catalogue keeps to Prometheus's conventions and to the promised names."""

from __future__ import annotations

import re
import subprocess

import numpy as np
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tidegauge.publish.catalogue import FAMILIES
from tidegauge.publish.render import LabelCache, render
from tidegauge.publish.samples import KINDS, AnySamples, Family, HistogramSamples, Samples


def _one_of_each() -> list[AnySamples]:
    page: list[AnySamples] = []
    for family in FAMILIES:
        rows = [tuple(f"some {label}" for label in family.labels)]
        if family.kind == "histogram":
            page.append(HistogramSamples(family, (0.1, 1.0), rows, np.array([[1, 2, 3]]), np.array([4.5])))
        else:
            page.append(Samples(family, rows, [1.5]))
    return page


def test_promtool_has_nothing_to_say_about_a_full_page() -> None:
    page = render(_one_of_each(), openmetrics=False, cache=LabelCache())
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_a_full_page_is_valid_openmetrics() -> None:
    page = render(_one_of_each(), openmetrics=True, cache=LabelCache()).decode()
    families = list(parse_openmetrics(page))  # type: ignore[no-untyped-call]
    assert len(families) == len(FAMILIES)


def test_no_two_families_share_a_name_with_or_without_their_suffixes() -> None:
    taken: set[str] = set()
    for family in FAMILIES:
        name = family.name
        names = {name}
        if family.kind == "counter":
            names.add(name.removesuffix("_total"))
        if family.kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        assert not names & taken
        taken |= names


def test_names_kinds_and_labels_are_well_formed() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"(model|tidegauge)_[a-z][a-z0-9_]*", family.name)
        assert family.kind in KINDS
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in family.labels)
        assert len(set(family.labels)) == len(family.labels)
        assert not {"le", "quantile", "job", "instance"} & set(family.labels)
        assert family.help.endswith(".")


def test_what_is_windowed_has_its_window_in_a_label_and_what_is_not_does_not() -> None:
    windowed = {family.name for family in FAMILIES if "window" in family.labels}
    assert all("_total" not in name for name in windowed)
    assert {"model_window_predictions", "model_quality_score", "model_window_confusion"} <= windowed


def test_scores_say_that_they_are_per_replica_and_their_sums_that_they_add_up() -> None:
    def help_of(ending: str) -> list[str]:
        return [family.help for family in FAMILIES if family.name.startswith("model_") and family.name.endswith(ending)]

    for ending in ("_score", "_score_lower", "_score_upper", "_samples"):
        assert help_of(ending)
        assert all("do not average" in text for text in help_of(ending))
    for ending in ("_numerator", "_denominator", "_confusion"):
        assert all("add up" in text for text in help_of(ending))


def test_the_promised_families_are_there_with_their_labels() -> None:
    by_name: dict[str, Family] = {family.name: family for family in FAMILIES}
    promised = {
        "model_info": ("model", "task", "owner"),
        "model_version_info": ("model", "version", "baseline_version"),
        "model_predictions_total": ("model", "version", "role"),
        "model_prediction_latency_seconds": ("model", "version", "role"),
        "model_feedback_received_total": ("model", "channel"),
        "model_feedback_total": ("model", "version", "channel", "result"),
        "model_quality_score": ("model", "version", "channel", "metric", "window"),
        "model_quality_state": ("model", "version", "channel", "metric", "window", "state"),
        "model_quality_objective": ("model", "version", "channel", "metric", "direction"),
        "model_quality_baseline_score": ("model", "version", "channel", "metric", "window", "baseline"),
        "model_class_quality_score": ("model", "version", "channel", "class", "metric", "window"),
        "model_slice_quality_score": ("model", "version", "channel", "slice_key", "slice_value", "metric", "window"),
        "model_window_confusion": ("model", "version", "channel", "window", "actual", "predicted"),
        "model_drift_distance": ("model", "version", "feature", "statistic", "reference", "window"),
        "model_drift_excess": ("model", "version", "feature", "statistic", "reference", "window"),
        "model_drift_p_value": ("model", "version", "feature", "reference", "window"),
        "model_drift_detected": ("model", "version", "feature", "reference", "window"),
        "model_drift_features_detected": ("model", "version", "reference", "window"),
        "model_feature_records": ("model", "version", "feature", "window", "condition"),
        "model_feature_bin_records": ("model", "version", "feature", "bin", "window"),
        "model_feature_reference_bin_ratio": ("model", "version", "feature", "bin", "reference", "window"),
        "tidegauge_records_total": ("kind", "result"),
        "tidegauge_ready": (),
    }
    assert {name: by_name[name].labels for name in promised} == promised
