"""Releases through the real pipeline: bad ones are rolled back, others are not, and what is published is so."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.production import (
    FRAUD,
    PRICE,
    START,
    Logs,
    feed,
    price_logs,
    production,
    scenario_logs,
    states,
    values,
    verdict,
)
from tests.recount.driver import Page
from tidegauge import simulate
from tidegauge.config.settings import HOUR, MINUTE, Release
from tidegauge.publish import catalogue

HALF_A_DAY = 12 * HOUR  # v2 has 1 % from hour 4, 5 % from hour 6, half from hour 8


@cache
def logs_of(name: str, duration: int = HALF_A_DAY, rate: float = 1.0) -> Logs:
    return scenario_logs(simulate.find(name), duration=duration, rate=rate)


def sealed(page_at: int) -> int:
    """End of the last sealed block of labels, when everything up to `page_at` ms after the start has been read."""
    return (START + page_at - HOUR - FRAUD.grace) // FRAUD.block * FRAUD.block


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Page]:
    pages: dict[int, Page] = {}
    run = production(tmp_path_factory.mktemp("bad"), FRAUD)
    feed(run, logs_of("bad-release"), HOUR, pages.__setitem__)
    run.close()
    return pages


class TestBadRelease:
    def test_it_is_rolled_back_and_stays_so(self, pages: dict[int, Page]) -> None:
        verdicts = [verdict(page) for _, page in sorted(pages.items())]
        assert verdicts[:3] == [None] * 3, "there is no release yet"
        first = verdicts.index("roll_back")
        assert set(verdicts[4:first]) == {"keep_watching"}
        assert set(verdicts[first:]) == {"roll_back"}

    def test_the_difference_is_that_of_the_logs_stratified_by_block(self, pages: dict[int, Page]) -> None:
        at = max(pages)
        page = pages[at]
        last = max(
            time for lines in (logs_of("bad-release").predictions, logs_of("bad-release").feedback) for time, _ in lines
        )
        expected, rows = stratified(logs_of("bad-release"), sealed(last - START))
        (difference,) = values(page, "model_release_difference", "outcome")
        (lower,) = values(page, "model_release_difference_lower", "outcome")
        (upper,) = values(page, "model_release_difference_upper", "outcome")
        assert difference == pytest.approx(expected, abs=1e-12)
        assert lower < difference < upper < 0, "accuracy falls"
        assert lower < -0.025 * (1 + 0.3**2 / 2) < upper
        assert {
            row[-1]: value
            for (name, row), value in page.items()
            if name == "model_release_samples" and "outcome" in row
        } == rows

    def test_every_sample_carries_the_labels_of_its_family_and_a_value(self, pages: dict[int, Page]) -> None:
        seen = set()
        for page in pages.values():
            for (name, row), value in page.items():
                if name.startswith(("model_release_", "model_change_", "model_slice_change_")):
                    assert len(row) == len(catalogue.NAMED[name].labels), name
                    assert math.isfinite(value), name
                    seen.add(name)
        assert seen >= {
            *(f"model_release_{end}" for end in ("difference", "difference_lower", "difference_upper", "evidence")),
            *(f"model_release_{end}" for end in ("evidence_threshold", "samples", "samples_needed", "margin")),
            *(f"model_release_{end}" for end in ("verdict", "clipped_ratio", "start_timestamp_seconds")),
            "model_release_end_timestamp_seconds",
            "model_change_state",
            "model_change_detections_total",
        }

    def test_each_verdict_is_one_of_three_and_follows_from_evidence_and_threshold(self, pages: dict[int, Page]) -> None:
        labels = catalogue.NAMED["model_release_verdict"].labels
        assert labels == ("model", "version", "baseline_version", "channel", "metric", "verdict")
        reached: dict[str, bool] = {}
        for _, page in sorted(pages.items()):
            for metric in ("accuracy", "error_ratio", "latency_seconds", "signal:confidence"):
                three = values(page, "model_release_verdict", metric)
                assert sorted(three) in ([], [0, 0, 1])
                harm = values(page, "model_release_evidence", metric, "harm")
                needed = values(page, "model_release_evidence_threshold", metric, "harm")
                assert not harm or needed == [20.0]
                reached[metric] = reached.get(metric, False) or any(one >= 20 for one in harm)
        assert {metric for metric, harmful in reached.items() if harmful} == {"accuracy"}

    def test_the_release_begins_where_the_logs_first_have_it(self, pages: dict[int, Page]) -> None:
        page = pages[max(pages)]
        first = min(time for time, line in logs_of("bad-release").predictions if b'"version":"v2"' in line)
        begin = first // FRAUD.block * FRAUD.block / 1000
        assert values(page, "model_release_start_timestamp_seconds") == [begin]
        assert values(page, "model_release_end_timestamp_seconds") == [begin + 14 * 86_400]
        assert ("model_version_info", ("fraud", "v2", "v1")) in page
        assert ("model_version_info", ("fraud", "v1", "")) in page


def stratified(logs: Logs, until: int) -> tuple[float, dict[str, float]]:
    """v2's accuracy less v1's over blocks of five minutes with both, weighted by n1 n2 / (n1 + n2); and their rows."""
    said: dict[str, tuple[int, str, str]] = {}
    table: dict[int, dict[str, list[bool]]] = {}
    for time, line in logs.predictions:
        record = json.loads(line)
        if "prediction" in record and time < until:
            said[record["prediction_id"]] = (time, record["version"], record["prediction"])
    for time, line in logs.feedback:
        record = json.loads(line)
        if record["prediction_id"] in said:
            made, version, answer = said[record["prediction_id"]]
            block = made // (5 * MINUTE) * 5 * MINUTE
            if time <= block + 5 * MINUTE + HOUR:  # maturity after its end
                table.setdefault(block, {"v1": [], "v2": []})[version].append(record["label"] == answer)
    both = [(np.array(one["v1"]), np.array(one["v2"])) for one in table.values() if one["v1"] and one["v2"]]
    weight = np.array([len(a) * len(b) / (len(a) + len(b)) for a, b in both])
    difference = np.array([b.mean() - a.mean() for a, b in both])
    rows = {"candidate": float(sum(len(b) for _, b in both)), "baseline": float(sum(len(a) for a, _ in both))}
    return float((weight * difference).sum() / weight.sum()), rows


class TestOtherReleases:
    def test_a_harmless_one_is_never_rolled_back_and_promoted_by_a_generous_margin(self, tmp_path: Path) -> None:
        run = production(tmp_path, replace(FRAUD, release=Release((("accuracy", 0.03),))))
        verdicts = []
        feed(run, logs_of("harmless-release"), HOUR, lambda at, page: verdicts.append(verdict(page)))
        run.close()
        assert "roll_back" not in verdicts
        assert verdicts[-1] == "promote"

    def test_users_who_resemble_themselves_widen_the_interval(self, tmp_path: Path) -> None:
        widths = {}
        for name in ("harmless-release", "busy-users"):
            run = production(tmp_path / name, FRAUD)
            page = feed(run, logs_of(name), HALF_A_DAY)
            (engine,) = run.pipeline.engines.values()
            quality = engine.sealing.states["quality/outcome"]
            assert quality.measures["accuracy"].compared["v2"].frozen.plan.clustered == (name == "busy-users")
            run.close()
            assert verdict(page) != "roll_back"
            (lower,) = values(page, "model_release_difference_lower", "outcome")
            (upper,) = values(page, "model_release_difference_upper", "outcome")
            widths[name] = upper - lower
        assert widths["busy-users"] > 1.3 * widths["harmless-release"]

    def test_a_hard_switch_is_judged_by_the_day_before_it(self, tmp_path: Path) -> None:
        logs = logs_of("hard-switch", 44 * HOUR, 0.3)  # the switch is at hour 32
        run = production(tmp_path, FRAUD)
        verdicts = []
        page = feed(run, logs, 4 * HOUR, lambda at, page: verdicts.append(verdict(page)))
        run.close()
        assert verdicts[-1] == "roll_back"
        designs = {row[-1] for (name, row) in page if name == "model_release_difference" and "outcome" in row}
        assert designs == {"before_after"}
        (difference,) = values(page, "model_release_difference", "outcome")
        assert difference == pytest.approx(-0.025, abs=0.012)

    def test_margins_and_alpha_are_those_of_the_configuration(self, tmp_path: Path) -> None:
        release = Release((("accuracy", 0.04), ("latency_seconds", 0.5)), alpha=0.01, duration=2 * HOUR)
        run = production(tmp_path, replace(FRAUD, release=release))
        page = feed(run, logs_of("bad-release"), HALF_A_DAY)
        run.close()
        thresholds = {
            (row[4], row[-1]): value
            for (name, row), value in page.items()
            if name == "model_release_evidence_threshold"
        }
        assert thresholds["accuracy", "harm"] == thresholds["latency_seconds", "harm"] == pytest.approx(200)
        assert thresholds["error_ratio", "harm"] == pytest.approx(100)
        assert [value for (_, which), value in thresholds.items() if which == "non_inferiority"] == [100.0] * 4
        margins = {row[-1]: value for (name, row), value in page.items() if name == "model_release_margin"}
        assert (margins["accuracy"], margins["latency_seconds"]) == (0.04, 0.5)
        (start,) = values(page, "model_release_start_timestamp_seconds")
        assert values(page, "model_release_end_timestamp_seconds") == [start + 7200]
        first, last = int(start * 1000), int(start * 1000) + 2 * HOUR
        asked = sum(
            first <= time < last and b'"version":"v2"' in line for time, line in logs_of("bad-release").predictions
        )
        (compared,) = values(page, "model_release_samples", "error_ratio", "candidate")
        assert compared == asked, "nothing after the end is compared"

    def test_heavy_tails_are_held_at_the_baselines_own_quantile(self, tmp_path: Path) -> None:
        logs = price_logs(hours=10, switch=5, worse=0.5)
        run = production(tmp_path, PRICE)
        page = feed(run, logs, 2 * HOUR)
        (engine,) = run.pipeline.engines.values()
        frozen = engine.sealing.states["quality/outcome"].measures["mae"].compared["v2"].frozen
        run.close()
        errors = [abs(100 - json.loads(line)["label"]) for time, line in logs.feedback if time < START + 4 * HOUR]
        exact = float(np.quantile(errors, 0.999))
        assert frozen.cap is not None and exact / 1.5 < frozen.cap < exact * 1.5 * math.sqrt(2)
        (clipped,) = values(page, "model_release_clipped_ratio", "mae")
        assert 0 < clipped < 0.01
        (difference,) = values(page, "model_release_difference", "mae")
        assert 0.5 < difference < 2 and verdict(page) == "roll_back", "a loss that grows is positive"

    @pytest.mark.parametrize("better", ["higher", "lower", None])
    def test_numbers_below_nothing_are_compared_as_well(self, tmp_path: Path, better: str | None) -> None:
        """A signal may be negative and have no overlap; the state must still be saved."""
        from tidegauge.config.settings import Signal

        model = replace(PRICE, signals=(Signal("gain", "numeric", better=better),))
        run = production(tmp_path, model)
        chance = np.random.default_rng(3)
        n = 9000
        times = np.sort(START + chance.integers(0, 36 * HOUR, n))
        for at in range(0, 36, 4):
            for kind in ("predictions", "feedback"):
                lines = []
                for number in np.flatnonzero((times >= START + at * HOUR) & (times < START + (at + 4) * HOUR)).tolist():
                    time = int(times[number])
                    record = {"prediction_id": number, "timestamp": time, "model": "price"}
                    if kind == "predictions":
                        record |= {"version": "v2" if time > START + 30 * HOUR else "v1", "prediction": 1.0}
                    else:
                        record |= {"signal": "gain", "value": float(chance.normal(-5, 1))}
                    lines.append(json.dumps(record).encode() + b"\n")
                run.write(kind, b"".join(lines))
            run.settle()
            run.save()
            before = states(run)  # raises where a number is none
            run.reopen()
            assert states(run) == before
        page = run.page()
        run.close()
        assert not any(math.isnan(value) for value in page.values())
        assert (verdict(page, "signal:gain") is None) == (better is None)
        assert verdict(page, "signal:gain") != "roll_back"
