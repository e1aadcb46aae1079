"""What docs/metrics.md says of absence holds on the page of a running exporter."""

from __future__ import annotations

import pytest

from tests.end_to_end import logs
from tests.processes import Exporter, Metrics
from tidegauge.publish.catalogue import FAMILIES
from tidegauge.publish.explanations import explain


def families_of(page: Metrics) -> set[str]:
    names = page.names()
    return {family.name for family in FAMILIES if family.name in names or f"{family.name}_count" in names}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Metrics:
    """The page of an exporter that has not read a single record, by the wall clock."""
    directory = tmp_path_factory.mktemp("idle")
    (directory / "tidegauge.yml").write_text(logs.configuration(logs.FRAUD, settings="clock: wall"))
    for name in ("predictions.jsonl", "feedback.jsonl"):
        (directory / name).touch()
    with Exporter(directory / "tidegauge.yml") as exporter:
        return exporter.wait_ready().settle()


def test_what_is_never_absent_is_there_without_any_record(idle: Metrics) -> None:
    assert {family.name for family in FAMILIES if not explain(family.name).absent} <= families_of(idle)


def test_what_can_be_absent_needs_something_to_be_there(idle: Metrics) -> None:
    conditional = {family.name for family in FAMILIES if explain(family.name).absent}
    # The state of an idle exporter is saved, and counts of what needs no version begin at 0.
    assert families_of(idle) & conditional <= {
        "tidegauge_snapshot_timestamp_seconds",
        "tidegauge_snapshot_duration_seconds",
        "tidegauge_snapshot_bytes",
        "tidegauge_clock_timestamp_seconds",
        "tidegauge_records_total",
        "model_feedback_total",
    }
