"""Compares what is published with the recount: the same series, counts equal, scores to 1e-9."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.recount.driver import Page, Run
from tests.recount.logs import Feedback, Prediction
from tests.recount.oracle import Recount, lost

COUNTS = (
    "model_predictions_total",
    "model_prediction_errors_total",
    "model_prediction_latency_seconds",
    "model_feedback_received_total",
    "model_feedback_total",
    "model_feedback_delay_seconds_bucket",
    "model_outcomes_total",
    "model_confusion_total",
    "model_version_first_prediction_timestamp_seconds",
    "model_version_last_prediction_timestamp_seconds",
    "model_window_predictions",
    "model_window_mature_predictions",
    "model_window_labeled_predictions",
)
"""Equal to the last one; everything else is a quotient or a sum of reals."""
ELSEWHERE = (
    "model_info",
    "model_version_info",
    "model_quality_baseline_score",
    "model_quality_objective",
    "model_calibration_bin_predictions",
    "model_calibration_bin_expected",
    "model_calibration_bin_observed",
)
"""Functions of counts that are compared here, tested with assess."""
RECURSIONS = ("model_change_", "model_release_", "model_slice_change_")
"""What sealed blocks say of releases and changes is tested with assess, and with scenarios."""
NOT_RECOUNTED = ("pr_auc",)  # an expectation over orders within bins; tested with assess


def recounted(run: Run, predictions: Sequence[Prediction], feedback: Sequence[Feedback]) -> dict[str, Recount]:
    clock = max((one.time for one in predictions if one.fate in ("accepted", "duplicate")), default=-1)
    return {model.name: Recount(model, predictions, feedback, clock) for model in run.settings.models}


def check(run: Run, predictions: Sequence[Prediction], feedback: Sequence[Feedback]) -> None:
    """Everything published, and the exporter's own counts of records, against the recount."""
    page = run.page()
    expected: Page = {}
    for one in recounted(run, predictions, feedback).values():
        expected |= one.page
    clock = max((one.time for one in predictions if one.fate in ("accepted", "duplicate")), default=-1)
    given_up = lost(run.settings.models, predictions, feedback, clock)
    if given_up:
        expected["model_feedback_total", ("", "", "", "orphaned")] = given_up
    compare(page, expected)
    for fate in ("accepted", "duplicate", "future", "late"):
        counted = run.pipeline.records["predictions", fate]
        assert counted == sum(one.fate == fate for one in predictions), f"predictions {fate}"
    assert run.pipeline.records["feedback", "accepted"] == len(feedback)


def compare(page: Page, expected: Page) -> None:
    problems = []
    for key, value in expected.items():
        family, labels = key
        if key not in page:
            problems.append(f"missing {family}{labels} = {value}")
        elif not _equal(family, labels, page[key], value):
            problems.append(f"{family}{labels} = {page[key]}, recounted {value}")
    for key, value in page.items():
        family, labels = key
        if key in expected or family in ELSEWHERE or any(name in labels for name in NOT_RECOUNTED):
            continue
        if family.startswith(RECURSIONS):
            continue
        if family.endswith(("_lower", "_upper")):
            score = page[family.rpartition("_")[0], labels]
            assert value <= score if family.endswith("_lower") else value >= score, f"{key}: {value}, score {score}"
        elif family.startswith("model_class_quality"):
            if "roc_auc" not in labels:  # one against the rest, of which the whole is the mean
                problems.append(f"nobody expects {family}{labels} = {value}")
        elif family in ("model_window_confusion", "model_outcomes_total") and value == 0:
            pass
        else:
            problems.append(f"nobody expects {family}{labels} = {value}")
    assert not problems, f"{len(problems)} differences:\n" + "\n".join(problems[:40])


def _equal(family: str, labels: tuple[str, ...], published: float, value: float) -> bool:
    if math.isnan(value):
        return True
    if family.startswith(COUNTS) and not family.endswith("_sum"):
        return published == value
    # An R2 far below 0 divides by a spread of labels that is next to nothing: rounding weighs as much more.
    tolerance = 1e-9 if "r2" not in labels else max(1e-9, 1e-14 * abs(value))
    return math.isclose(published, value, rel_tol=tolerance, abs_tol=1e-9)
