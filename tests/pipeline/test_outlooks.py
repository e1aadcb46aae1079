"""What the report says of releases and changes agrees with what is published, and with the logs that it is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegauge.assess.measures import measures_of
from tidegauge.assess.panes import Trends
from tidegauge.assess.releases.arms import NO_ROWS, Side
from tidegauge.assess.releases.compared import Compared, Frozen, speaking
from tidegauge.assess.sequential import before_after, comparison
from tidegauge.assess.sequential.comparison import Arm
from tidegauge.config.load import load
from tidegauge.config.settings import Channel, Model
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.findings import finding_reports
from tidegauge.pipeline.pipeline import Pipeline
from tidegauge.pipeline.publication import ModelView, view
from tidegauge.pipeline.release_status import comparisons_of
from tidegauge.pipeline.releases import Standing
from tidegauge.pipeline.status import model_report
from tidegauge.publish.report import ChangeReport, ModelReport, VersionReport, moment
from tidegauge.publish.samples import Samples
from tidegauge.state.store import Store

HOUR = 3_600_000
BEGIN = 1_767_571_200_000 // HOUR * HOUR
"""A Monday, 00:00 UTC."""
STEP = 12_000  # ms from one prediction to the next: 7,200 a day
BREAKS, RELEASED, END = 54 * HOUR, 60 * HOUR, 72 * HOUR  # since BEGIN
CONFIGURATION = """\
state: state
clock: log
sources: [{predictions: predictions.jsonl}, {feedback: feedback.jsonl}]
models:
  - name: fraud
    task: binary
    feedback: {outcome: {maturity: 10m}}
    slices: [region]
    windows: [1h, 6h]
    horizon: 24h
    objectives: {accuracy: 0.8}
    release: {margins: {accuracy: 0.01}, duration: 2d}
    change: {learning: 24h}
"""


def write(directory: Path) -> Path:
    """v1 is wrong 1 time in 20, in region b every second time after BREAKS. v2 takes a third, and is wrong as often."""
    predictions, feedback = [], []
    for number in range(END // STEP):
        at = BEGIN + number * STEP
        new = at >= BEGIN + RELEASED and number % 3 == 0
        region = "b" if number % 2 else "a"
        often = 2 if new or (region == "b" and at >= BEGIN + BREAKS) else 20
        wrong = (number // 6) % often == 0
        common = {"prediction_id": number, "timestamp": at}
        answer = {"version": "v2" if new else "v1", "prediction": "1", "slices": {"region": region}, "latency_ms": 20}
        predictions.append(json.dumps(common | answer))
        feedback.append(json.dumps(common | {"label": "0" if wrong else "1", "timestamp": at + 60_000}))
    (directory / "predictions.jsonl").write_text("\n".join(predictions) + "\n")
    (directory / "feedback.jsonl").write_text("\n".join(feedback) + "\n")
    config = directory / "tidegauge.yml"
    config.write_text(CONFIGURATION)
    return config


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelReport, ModelView, Engine, int]]:
    settings = load(write(tmp_path_factory.mktemp("outlooks")))
    store = Store.open(settings.state, schema=1)
    pipeline = Pipeline(settings, store, None)
    pipeline.poll()
    while pipeline.step():
        pass
    pipeline.advance()
    (engine,) = pipeline.engines.values()
    shown = view(engine, {}, pipeline.clock)
    yield model_report(engine, shown, Trends(), settings.links, pipeline.clock), shown, engine, pipeline.clock
    pipeline.close()
    store.close()


Told = tuple[ModelReport, ModelView, Engine, int]


def version(told: Told, name: str) -> VersionReport:
    return next(one for one in told[0].versions if one.name == name)


def published(told: Told, family: str, **labels: str) -> float:
    """The one sample with these labels."""
    found = []
    for part in told[1].samples:
        if isinstance(part, Samples) and part.family.name == family:
            for row, value in zip(part.rows, part.values, strict=True):
                if labels.items() <= dict(zip(part.family.labels, row, strict=True)).items():
                    found.append(float(value))
    assert len(found) == 1, (family, labels, found)
    return found[0]


def test_a_release_is_reported_with_the_numbers_that_are_published(told: Told) -> None:
    release = version(told, "v2").release
    assert release is not None and version(told, "v1").release is None
    assert (release.version, release.baseline, release.verdict) == ("v2", "v1", "roll_back")
    assert release.start_at == moment(BEGIN + RELEASED)
    assert release.end_at == moment(BEGIN + RELEASED + 48 * HOUR) and not release.ended
    first = release.comparisons[0]
    assert (first.metric, first.design, first.decides, first.margin) == ("accuracy", "concurrent", True, 0.01)
    labels = {"version": "v2", "baseline_version": "v1", "metric": "accuracy"}
    assert first.difference == published(told, "model_release_difference", **labels)
    assert first.lower == published(told, "model_release_difference_lower", **labels)
    evidence = published(told, "model_release_evidence", **labels, hypothesis="harm")
    assert first.harm_evidence == evidence
    assert first.samples == published(told, "model_release_samples", **labels, arm="candidate")
    assert published(told, "model_release_verdict", **labels, verdict="roll_back") == 1


def test_the_summary_of_a_release_gives_the_difference_of_the_logs(told: Told) -> None:
    """v2 errs every second time; v1 meanwhile 1 time in 20 of one half, and every second time of the other."""
    release = version(told, "v2").release
    assert release is not None
    assert release.comparisons[0].difference == pytest.approx((0.05 + 0.5) / 2 - 0.5, abs=0.01)
    told_first = r"v2 against v1: roll back\. accuracy 2[1-4] points lower, surely at least 1\d; "
    assert re.fullmatch(told_first + r"1,\d+ outcomes; margin 1\.0", release.summary)


def test_early_measures_stand_beside_and_do_not_decide(told: Told) -> None:
    release = version(told, "v2").release
    assert release is not None
    early = {one.metric: one for one in release.comparisons if not one.decides}
    assert set(early) == {"error_ratio", "latency_seconds"}
    assert all(one.channel == "" and one.verdict in ("promote", "keep_watching") for one in early.values())


def test_a_slice_that_fails_is_reported_since_it_does(told: Told) -> None:
    failing = [one for one in version(told, "v1").failing_slices if one.value == "b"]
    (one,) = failing
    assert (one.key, one.metric, one.state) == ("region", "accuracy", "detected")
    assert one.start_at is not None
    assert abs(one.start_at.timestamp() * 1000 - (BEGIN + BREAKS)) < HOUR
    assert one.expected == pytest.approx(0.95, abs=0.01)
    assert one.score == pytest.approx(0.5, abs=0.03) and one.window == "6h"
    labels = {"version": "v1", "slice_value": "b"}
    assert one.evidence == published(told, "model_slice_change_evidence", **labels)
    assert one.threshold == published(told, "model_slice_change_threshold", **labels)
    assert one.evidence > one.threshold
    assert not [other for other in version(told, "v1").failing_slices if other.value == "a"]


def changed(told: Told, name: str) -> ChangeReport:
    (one,) = version(told, name).changes
    return one


def test_a_change_is_reported_with_what_is_published_of_it(told: Told) -> None:
    one = changed(told, "v1")
    assert one.state == "detected" and one.start_at is not None
    assert one.start_at.timestamp() == published(told, "model_change_start_timestamp_seconds", version="v1")
    assert one.evidence == published(told, "model_change_evidence", version="v1")
    assert one.threshold == published(told, "model_change_threshold", version="v1")
    assert one.learned >= one.learning_needed == 5000
    assert re.match(r"accuracy is getting worse since 2026-01-07 0\d:\d\d UTC: expected 0\.9\d\d, now 0\.", one.summary)


def test_a_version_that_is_being_learned_says_what_it_lacks(told: Told) -> None:
    one = changed(told, "v2")
    assert (one.state, one.expected, one.start_at) == ("learning", None, None)
    # A third of 12 hours, less the last 20 minutes at most, which are not sealed yet.
    assert (END - RELEASED - HOUR / 3) / STEP / 3 <= one.learned <= (END - RELEASED) / STEP / 3
    assert one.learning_needed_seconds == 86400, "the rhythm is known from v1"
    assert re.search(r"learning what is normal, 1,\d+ of 5,000 outcomes and 11 h \d+ min of 24 h so far", one.summary)


def test_what_is_found_are_problems_of_the_model(told: Told) -> None:
    codes = [one.code for one in finding_reports([told[0]], moment(told[3]))]
    # The labels themselves have moved: of region b ever more are 0.
    assert [code for code in codes if code != "score_drift"] == ["release_regressed", "degrading"]
    assert set(codes) == {"release_regressed", "degrading", "score_drift"}


def test_the_design_that_rolled_back_speaks_even_when_the_other_has_more_outcomes_since() -> None:
    """By before and after: 5 % was expected, half is wrong. Then ten times as many outcomes, at once with v1's."""
    switch = before_after.plan_before_after("proportion", 0.05, 0.0, 0.0475, 0.0, 0.01, 50_000, 200.0)
    plan = comparison.plan("proportion", 0.05, 0.0475, 0.01, 0.05, 0.05, False)
    compared = Compared.begin(Frozen(plan, 0.01, None, switch, (0.05,) * 168))
    for hour in range(4):
        compared = compared.advance(BEGIN + hour * HOUR, Side(Arm(200.0, 100.0, 100.0)), Side(NO_ROWS))
    assert compared.verdict() == "roll_back"
    for hour in range(4, 8):
        alike = Side(Arm(2000.0, 100.0, 100.0))
        compared = compared.advance(BEGIN + hour * HOUR, alike, alike)
    assert speaking(compared.results()) == "concurrent" and compared.verdict() == "roll_back"
    channel = Channel("outcome", maturity=HOUR)
    (accuracy, *_) = measures_of(Model("fraud", "binary", (channel,)))
    found = comparisons_of(Standing(accuracy, compared))
    assert (found[0].design, found[0].verdict) == ("before_after", "roll_back")
    assert {one.design for one in found} == {"concurrent", "before_after"}
