"""A metric, a bin family and a detector are each one new file and one line of registration; channels share a row."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recount.driver import Run
from tests.recount.logs import Feedback, Prediction, generate, models, settings_for
from tests.recount.oracle import Recount
from tests.structure import added_detector, added_family, added_metric, added_pair
from tidegauge.assess import detectors, quality
from tidegauge.config.settings import Model
from tidegauge.pipeline import engine, publication, sealing
from tidegauge.tally import families

FRAUD = models()[0]


@pytest.fixture
def records() -> tuple[list[Prediction], list[Feedback]]:
    return generate(5, (FRAUD,), size=400, disorder=False)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(settings_for(tmp_path, (FRAUD,)))
    yield run
    run.close()


def recount(model: Model, records: tuple[list[Prediction], list[Feedback]]) -> Recount:
    predictions, feedback = records
    clock = max(one.time for one in predictions if one.fate == "accepted")
    return Recount(model, predictions, feedback, clock)


def replay(run: Run, records: tuple[list[Prediction], list[Feedback]]) -> None:
    """In three parts, with a restart from saved state after the first and one that loses work in the second."""
    predictions, feedback = records
    order: list[Prediction | Feedback] = [*predictions, *feedback]
    order.sort(key=lambda record: record.place)
    chance = random.Random(1)
    for part in range(3):
        run.write_records(order[len(order) * part // 3 : len(order) * (part + 1) // 3], chance)
        run.settle()
        if part == 0:
            run.save()
        if part < 2:
            run.reopen()
    run.settle()


def lifetime(run: Run, family: str) -> Counter[tuple[str, int]]:
    """Sums over all time by version and column."""
    one = run.pipeline.engines["fraud"]
    series, sums = one.tally.window(family, -(1 << 62), 1 << 62)
    versions = one.tally.series.split(series)[0]
    return Counter(
        {
            (one.versions.texts[int(version)], column): int(count)
            for version, row in zip(versions, sums, strict=True)
            for column, count in enumerate(row)
            if count
        }
    )


def test_a_new_metric_is_published(
    run: Run, records: tuple[list[Prediction], list[Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "METRICS", (*quality.METRICS, added_metric.METRIC))
    replay(run, records)
    page, expected = run.page(), recount(FRAUD, records).page
    for version in ("v1", "v2"):
        for window in ("1h", "6h", "lifetime"):
            place = ("fraud", version, "outcome")
            accuracy = expected["model_quality_score", (*place, "accuracy", window)]
            published = page["model_quality_score", (*place, "error_rate", window)]
            assert published == pytest.approx(1 - accuracy, abs=1e-9)
            right = expected["model_quality_numerator", (*place, "accuracy", window)]
            rows = expected["model_quality_denominator", (*place, "accuracy", window)]
            assert page["model_quality_numerator", (*place, "error_rate", window)] == rows - right
            assert page["model_quality_denominator", (*place, "error_rate", window)] == rows


def test_a_new_bin_family_is_summed_and_saved(
    run: Run, records: tuple[list[Prediction], list[Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FAMILIES", (*families.FAMILIES, added_family.bind))
    run.reopen()
    replay(run, records)
    expected = tenths(records)
    assert sum(expected.values()) > 100
    assert lifetime(run, "tenths/outcome") == expected


def test_a_bin_family_that_comes_with_an_upgrade_counts_what_still_waits(
    run: Run, records: tuple[list[Prediction], list[Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(run, records)
    run.save()
    before = run.page()
    monkeypatch.setattr(engine, "FAMILIES", (*families.FAMILIES, added_family.bind))
    run.reopen()
    run.settle()
    assert lifetime(run, "tenths/outcome") == tenths(records)
    assert run.page() == before


def tenths(records: tuple[list[Prediction], list[Feedback]]) -> Counter[tuple[str, int]]:
    outcome = FRAUD.channels[0]
    one = recount(FRAUD, records)
    expected: Counter[tuple[str, int]] = Counter()
    for row in one._rows(outcome, one.labels):
        score = row.prediction.score
        if row.given and score is not None and not row.prediction.error:
            expected[row.prediction.version, int(score * 10)] += row.count
    return expected


def test_a_new_detector_of_sealed_blocks_is_published_and_saved(
    run: Run, records: tuple[list[Prediction], list[Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    extended = (*detectors.DETECTORS, added_detector.DETECTOR)
    monkeypatch.setattr(sealing, "DETECTORS", extended)
    monkeypatch.setattr(publication, "DETECTORS", extended)
    replay(run, records)
    page = run.page()
    one = recount(FRAUD, records)
    for channel in FRAUD.channels[:2]:
        wrong: Counter[int] = Counter()
        labelled = set()
        for row in one._rows(channel, one.in_time):
            end = one.block_end(row.prediction.time)
            if end <= one.sealed_until(channel) and one._measured(row):
                labelled.add(end)
                wrong[end] += row.count * one._wrong(row)
        assert page["model_labelled_blocks", ("fraud", channel.name)] >= len(labelled) > 20
        assert page["model_worst_block", ("fraud", channel.name)] == max(wrong.values()) > 0


def test_a_family_can_read_two_channels_of_one_row(
    run: Run, records: tuple[list[Prediction], list[Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FAMILIES", (*families.FAMILIES, added_pair.bind))
    run.reopen()
    replay(run, records)
    one = recount(FRAUD, records)
    expected: Counter[tuple[str, int]] = Counter()
    for prediction in one.accepted:
        labels = [one.labels.get((str(prediction.key), name)) for name in ("audit", "report")]
        values = [label.value for label in labels if label is not None and label.value is not None]
        if prediction.key is not None and len(values) == 2:
            expected[prediction.version, 0] += 1
            if values[0] == values[1]:
                expected[prediction.version, 1] += 1
    assert sum(expected.values()) > 20
    assert lifetime(run, added_pair.NAME) == expected
