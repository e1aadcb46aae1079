"""The scenarios of releases, slow changes, drift and broken data are what they say, recounted from the bytes of their
logs; and what the page says was measured is what they say must come of them."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.processes import ENVIRONMENT, tidegauge_command
from tidegauge import simulate
from tidegauge.config.load import load

DAY = 86_400_000
START = 20_000 * DAY  # midnight UTC
LONG = [
    "bad-release",
    "harmless-release",
    "busy-users",
    "hard-switch",
    "slow-rot",
    "failing-slice",
    "label-delay",
]
MOVING = [
    "harmless-drift",
    "harmful-drift",
    "more-fraud",
    "dead-feature",
    "missing-values",
    "renamed-field",
    "weekends",
]
PAGE = Path(__file__).parents[2] / "docs" / "scenarios.md"
BUSY = 1 + 0.3**2 / 2
"""The error rate of all rows over that of the clock: the busy hours are the hard ones, both by 30 %."""


class Features(msgspec.Struct):
    country: str


class Prediction(msgspec.Struct):
    prediction_id: str
    timestamp: str
    version: str
    features: Features
    prediction: str | None = None
    unit_id: str | None = None


class Feedback(msgspec.Struct):
    prediction_id: str
    timestamp: str
    label: str


@dataclass(frozen=True)
class Rows:
    """The predictions of a run as columns, with what became known of each."""

    day: NDArray[np.float64]  # since the start
    version: NDArray[np.str_]
    country: NDArray[np.str_]
    user: NDArray[np.str_]
    answered: NDArray[np.bool_]
    labeled: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    wait: NDArray[np.float64]  # for the label, in hours

    def error_rate(self, where: NDArray[np.bool_]) -> tuple[float, float]:
        """The share of wrong answers among labelled rows, and its standard error."""
        wrong = self.wrong[where & self.labeled]
        assert len(wrong) > 300
        return float(wrong.mean()), float(np.sqrt(wrong.mean() * (1 - wrong.mean()) / len(wrong)))

    def during(self, since: float, until: float) -> NDArray[np.bool_]:
        """In days since the start."""
        chosen: NDArray[np.bool_] = (self.day >= since) & (self.day < until)
        return chosen


def milliseconds(times: list[str]) -> NDArray[np.int64]:
    return np.array([at.removesuffix("Z") for at in times], "datetime64[ms]").astype(np.int64)


def columns(predictions: bytes, feedback: bytes) -> Rows:
    asked = msgspec.json.Decoder(Prediction).decode_lines(predictions)
    told = msgspec.json.Decoder(Feedback).decode_lines(feedback)
    place = {row.prediction_id: number for number, row in enumerate(asked)}
    where = np.array([place[row.prediction_id] for row in told], np.int64)
    label = np.full(len(asked), "", dtype="<U1")
    label[where] = [row.label for row in told]
    times = milliseconds([row.timestamp for row in asked])
    wait = np.full(len(asked), np.nan)
    wait[where] = (milliseconds([row.timestamp for row in told]) - times[where]) / 3_600_000
    answer = np.array([row.prediction or "" for row in asked])
    return Rows(
        day=(times - START) / DAY,
        version=np.array([row.version for row in asked]),
        country=np.array([row.features.country for row in asked]),
        user=np.array([row.unit_id or "" for row in asked]),
        answered=answer != "",
        labeled=label != "",
        wrong=label != answer,
        wait=wait,
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rows]:
    """A scenario's natural run, counted once."""

    @cache
    def run(name: str) -> Rows:
        output = tmp_path_factory.mktemp(name)
        simulate.simulate(name, output, seed=5, start=START)
        parts = [(output / part).read_bytes() for part in (simulate.PREDICTIONS, simulate.FEEDBACK)]
        for part in (simulate.PREDICTIONS, simulate.FEEDBACK):
            (output / part).unlink()
        return columns(*parts)

    return run


def assert_rate(rows: Rows, where: NDArray[np.bool_], expected: float) -> None:
    """Within four standard errors: a right simulation fails this once in 15,000 looks, and the seed is fixed."""
    rate, error = rows.error_rate(where)
    assert rate == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("name", [*LONG, *MOVING])
def test_the_same_seed_writes_the_same_bytes_and_another_does_not(name: str, tmp_path: Path) -> None:
    for number, seed in enumerate((1, 1, 2)):
        simulate.simulate(name, tmp_path / str(number), seed=seed, start=START, rate=0.01)
    for part in (simulate.PREDICTIONS, simulate.FEEDBACK):
        first, same, other = ((tmp_path / str(number) / part).read_bytes() for number in range(3))
        assert first == same
        assert first != other


@pytest.mark.parametrize("name", [*LONG, *MOVING])
def test_the_configuration_beside_the_logs_is_accepted(name: str, tmp_path: Path) -> None:
    simulate.simulate(name, tmp_path, start=START, rate=0.001)
    settings = load(tmp_path / simulate.CONFIGURATION)
    (model,) = settings.models
    assert settings.clock == "log"
    assert [channel.maturity for channel in model.channels] == [3_600_000]
    scenario = simulate.find(name)
    assert {feature.name for feature in model.features} == {
        "amount",
        "country",
        *(one.name for one in scenario.features),
    }
    assert model.drift.references == scenario.references or not scenario.references
    released = len(scenario.versions) > 1
    assert dict(model.release.margins) == ({"accuracy": 0.01} if released else {})


def test_further_lines_of_the_model_can_be_given(tmp_path: Path) -> None:
    simulate.simulate("slow-rot", tmp_path, start=START, rate=0.001, extra="owner: payments\n")
    assert load(tmp_path / simulate.CONFIGURATION).models[0].owner == "payments"


def test_the_command_says_what_it_wrote_and_what_is_to_be_seen(tmp_path: Path) -> None:
    answer = tidegauge_command("simulate", "--scenario", "slow-rot", "--output", tmp_path / "run")
    assert answer.returncode == 0
    assert simulate.find("slow-rot").watch in answer.stdout
    assert f"--config.file {tmp_path / 'run' / simulate.CONFIGURATION}" in answer.stdout


@pytest.mark.parametrize("name", LONG)
def test_the_rate_and_the_share_of_feedback_are_as_said(name: str, rows: Callable[[str], Rows]) -> None:
    found, scenario = rows(name), simulate.find(name)
    days = scenario.duration / DAY
    expected = scenario.rate * days * 86_400
    assert len(found.day) == pytest.approx(expected, abs=4 * np.sqrt(expected))
    old = found.answered & (found.day < days - 0.4)  # feedback due after the end is not in the log
    assert found.labeled[old].mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / old.sum()))
    assert not found.labeled[~found.answered].any()
    counted = found.labeled & ~(found.during(9, 10) if name == "label-delay" else found.during(0, 0))
    assert np.mean(found.wait[counted]) == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("name", ["bad-release", "harmless-release", "hard-switch", "slow-rot"])
def test_traffic_and_errors_have_a_daily_cycle_of_thirty_percent(name: str, rows: Callable[[str], Rows]) -> None:
    found = rows(name)
    first = found.version == "v1"
    first &= found.day < {"slow-rot": 14, "hard-switch": 8}.get(name, 2)
    hours = (found.day[first] % 1 * 24).astype(int)
    middle = np.cos(2 * np.pi * (np.arange(24) + 0.5 - 15) / 24)
    traffic = np.bincount(hours, minlength=24)
    assert traffic / traffic.mean() == pytest.approx(1 + 0.3 * middle, abs=5 * np.sqrt(1 / traffic.min()))
    labeled = found.labeled[first]
    errors = np.bincount(hours[labeled & found.wrong[first]], minlength=24)
    known = np.bincount(hours[labeled], minlength=24)
    assert errors / known == pytest.approx(0.05 * (1 + 0.3 * middle), abs=5 * np.sqrt(0.05 / known.min()))


@pytest.mark.parametrize(("name", "worse"), [("bad-release", 0.075), ("harmless-release", 0.05)])
def test_the_release_ramps_up_and_is_as_bad_as_said(name: str, worse: float, rows: Callable[[str], Rows]) -> None:
    found = rows(name)
    second = found.version == "v2"
    for since, until, share in ((0, 2, 0), (2, 3, 0.01), (3, 4, 0.05), (4, 6, 0.5)):
        now = found.during(since, until)
        assert second[now].mean() == pytest.approx(share, abs=4 * np.sqrt(share / now.sum()))
        if share >= 0.05:
            assert_rate(found, now & second, worse * BUSY)
        assert_rate(found, now & ~second, 0.05 * BUSY)
    assert set(found.user) == {""}


def test_users_resemble_themselves_and_stay_with_their_version(rows: Callable[[str], Rows]) -> None:
    found = rows("busy-users")
    for version in ("v1", "v2"):
        late = found.during(4, 6) & (found.version == version)
        wrong, user = found.wrong[late & found.labeled], found.user[late & found.labeled]
        _, who, asked = np.unique(user, return_inverse=True, return_counts=True)
        rates = np.bincount(who, wrong) / asked
        assert wrong.mean() == pytest.approx(0.05 * BUSY, abs=4 * rates.std() / np.sqrt(len(asked)))
        # One in ten at 0.35 and nine at 1/60: the variance between users is a fifth of that of a row.
        between = rates.var() - np.mean(rates * (1 - rates) / asked)
        assert between / (wrong.mean() * (1 - wrong.mean())) == pytest.approx(0.22, abs=0.05)
    assert len(np.unique(found.user)) == 1_500
    seen = {version: set(found.user[found.during(4, 6) & (found.version == version)]) for version in ("v1", "v2")}
    assert not seen["v1"] & seen["v2"]
    assert set(found.user[found.version == "v2"]) == seen["v2"], "who was on v2 early is no longer"


def test_the_hard_switch_leaves_no_time_with_both_versions(rows: Callable[[str], Rows]) -> None:
    found = rows("hard-switch")
    assert ((found.version == "v2") == (found.day >= 8)).all()
    assert_rate(found, found.during(0, 8), 0.05 * BUSY)
    assert_rate(found, found.during(8, 11), 0.075 * BUSY)


def test_the_rot_is_slow_and_misses_the_objective_when_it_says(rows: Callable[[str], Rows]) -> None:
    found = rows("slow-rot")
    assert_rate(found, found.during(0, 14), 0.05 * BUSY)
    for since in range(14, 42, 7):
        assert_rate(found, found.during(since, since + 7), (0.05 + 0.05 * (since + 3.5 - 14) / 28) * BUSY)
    assert found.error_rate(found.during(25, 28))[0] < 1 - simulate.find("slow-rot").objective
    assert found.error_rate(found.during(30, 33))[0] > 1 - simulate.find("slow-rot").objective


def test_one_slice_fails_and_the_others_do_not(rows: Callable[[str], Rows]) -> None:
    found = rows("failing-slice")
    before, after = found.during(0, 9), found.during(9, 12)
    for country, share in (("US", 0.4), ("DE", 0.25), ("BR", 0.2), ("JP", 0.1), ("NZ", 0.05)):
        here = found.country == country
        assert here.mean() == pytest.approx(share, abs=4 * np.sqrt(share / len(here)))
        assert_rate(found, here & before, 0.05 * BUSY)
        assert_rate(found, here & after, (0.2 if country == "NZ" else 0.05) * BUSY)


def test_labels_come_late_for_a_day_and_nothing_is_worse(rows: Callable[[str], Rows]) -> None:
    found = rows("label-delay")
    stretch = found.during(9, 10)
    assert np.nanmin(found.wait[stretch]) >= 6
    assert np.nanmean(found.wait[stretch]) == pytest.approx(6.2, abs=0.02)
    assert np.nanmean(found.wait[~stretch] > 1) < 0.01, "later than the maturity"
    for day in range(12):
        assert_rate(found, found.during(day, day + 1), 0.05 * BUSY)


# --- features -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inputs:
    """Records of a run: when they were made, and what they hold."""

    progress: NDArray[np.float64]
    weekend: NDArray[np.bool_]
    records: list[dict[str, Any]]

    def of(self, name: str) -> list[Any]:
        return [record["features"].get(name, ABSENT) for record in self.records]

    def late(self, since: float) -> NDArray[np.bool_]:
        return self.progress >= since


ABSENT = object()
AGES = math.log(200), 1.2
"""Mean and standard deviation of the logarithms of the ages of accounts."""


def inputs(name: str, count: int = 30_000) -> Inputs:
    """The scenario at its own pace, but with about so many predictions in all."""
    scenario = simulate.find(name)
    rate = count / (scenario.duration / 1000)
    traffic = simulate.Traffic(scenario, seed=7, start=START, duration=scenario.duration, rate=rate, delay=1000)
    found = [json.loads(line) for line in traffic.step(START + scenario.duration)[0].splitlines()]
    times = milliseconds([record["timestamp"] for record in found])
    days = times.astype("datetime64[ms]").astype("datetime64[D]")
    return Inputs((times - START) / scenario.duration, ~np.is_busday(days), found)


def shares(values: list[Any], where: NDArray[np.bool_]) -> dict[Any, float]:
    chosen = [value for value, there in zip(values, where.tolist(), strict=True) if there]
    return {value: count / len(chosen) for value, count in Counter(chosen).items()}


def moments(values: list[Any], where: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean, in standard deviations of the usual, and standard deviation, of the logarithms."""
    logs = (np.log(np.array(values)[where]) - AGES[0]) / AGES[1]
    return float(logs.mean()), float(logs.std())


@pytest.mark.parametrize("name", ["harmless-drift", "harmful-drift"])
def test_the_campaign_brings_younger_accounts_and_more_games(name: str) -> None:
    found = inputs(name)
    late = found.late(9 / 12)
    assert moments(found.of("account_days"), ~late) == pytest.approx((0, 1), abs=0.03)
    assert moments(found.of("account_days"), late) == pytest.approx((-0.6, 1), abs=0.05)
    assert shares(found.of("merchant"), ~late)["games"] == pytest.approx(0.1, abs=0.01)
    assert shares(found.of("merchant"), late)["games"] == pytest.approx(0.2 / 1.1, abs=0.02)
    for same in ("amount", "device_risk"):
        before, after = (np.log(np.array(found.of(same))[where]).mean() for where in (~late, late))
        assert after == pytest.approx(before, abs=0.07)


@pytest.mark.parametrize(
    ("name", "since", "before", "after"),
    [
        ("harmless-drift", 9 / 12, 0.05, 0.05),
        ("harmful-drift", 9 / 12, 0.05, 0.09),
        ("more-fraud", 9 / 12, 0.05, 0.05),
        ("dead-feature", 3 / 4, 0.05, 0.08),
        ("missing-values", 3 / 4, 0.05, 0.05),
        ("renamed-field", 3 / 5, 0.05, 0.05),
    ],
)
def test_the_model_is_as_wrong_as_said_before_and_after(name: str, since: float, before: float, after: float) -> None:
    scenario = simulate.find(name)
    days = scenario.duration / DAY
    rate = 30_000 / (scenario.duration / 1000)
    traffic = simulate.Traffic(scenario, seed=8, start=START, duration=scenario.duration, rate=rate, delay=1000)
    found = columns(*traffic.step(START + scenario.duration))
    assert_rate(found, found.during(0, since * days), before * BUSY)
    assert_rate(found, found.during(since * days, days), after * BUSY)


def test_more_answers_are_fraud_and_rightly_so() -> None:
    found = inputs("more-fraud")
    said = [record.get("prediction") for record in found.records]
    late = found.late(9 / 12)
    for where, share in ((~late, 0.2), (late, 0.3)):
        assert shares(said, where)["1"] == pytest.approx(share, abs=0.02)


def test_what_breaks_is_as_said_and_only_after_its_day() -> None:
    dead = inputs("dead-feature")
    risk = np.array(dead.of("device_risk"))
    assert (risk[~dead.late(3 / 4)] > 0).all()
    assert (risk[dead.late(3 / 4)] == 0).all()

    holed = inputs("missing-values")
    missing = np.array([value is None for value in holed.of("device_risk")])
    assert not missing[~holed.late(3 / 4)].any()
    assert missing[holed.late(3 / 4)].mean() == pytest.approx(0.05, abs=0.01)

    renamed = inputs("renamed-field")
    late = renamed.late(3 / 5)
    for name, where in (("merchant", ~late), ("merchant_kind", late)):
        assert [value is not ABSENT for value in renamed.of(name)] == where.tolist()
    kinds = [shares(renamed.of(name), where) for name, where in (("merchant", ~late), ("merchant_kind", late))]
    assert kinds[0] == pytest.approx(kinds[1], abs=0.02)


def test_weekends_have_less_traffic_more_fraud_and_other_customers_every_week() -> None:
    found = inputs("weekends")
    said = [record.get("prediction") for record in found.records]
    day = (found.progress * 21).astype(int)
    for week in range(3):
        inside = day // 7 == week
        free, working = inside & found.weekend, inside & ~found.weekend
        assert (free.sum() / 2) / (working.sum() / 5) == pytest.approx(0.7, abs=0.06)
        assert moments(found.of("account_days"), free)[0] == pytest.approx(-0.3, abs=0.1)
        assert moments(found.of("account_days"), working)[0] == pytest.approx(0, abs=0.07)
        assert shares(said, free)["1"] == pytest.approx(0.26, abs=0.04)
        assert shares(said, working)["1"] == pytest.approx(0.2, abs=0.03)
        assert shares(found.of("merchant"), free)["travel"] == pytest.approx(0.266, abs=0.05)


def test_a_feature_of_the_broken_release_freezes_when_it_breaks_and_in_that_version_alone() -> None:
    scenario = simulate.find("broken-release")
    traffic = simulate.Traffic(scenario, seed=9, start=START, duration=scenario.duration, rate=3, delay=1000)
    found = [json.loads(line) for line in traffic.step(START + scenario.duration)[0].splitlines()]
    breaks = START + simulate.BREAKS * scenario.duration
    times = milliseconds([record["timestamp"] for record in found])
    frozen = [record["features"]["device_risk"] == 0 for record in found]
    version = [record["version"] for record in found]
    assert frozen == [name == "v2" and time >= breaks for name, time in zip(version, times.tolist(), strict=True)]


def test_another_feature_changes_nothing_else_in_the_logs() -> None:
    scenario = simulate.find("dead-feature")
    logs = []
    for features in (scenario.features, scenario.features[:1]):
        changed = replace(scenario, features=features)
        traffic = simulate.Traffic(changed, seed=1, start=START, duration=DAY, rate=0.01, delay=1000)
        logs.append([json.loads(line) for line in traffic.step(START + DAY)[0].splitlines()])
    names = {one.name for one in scenario.features[1:]}
    for record in logs[0]:
        record["features"] = {name: value for name, value in record["features"].items() if name not in names}
    assert logs[0] == logs[1]


# --- what comes of them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LONG, *MOVING])
def test_the_page_says_that_the_alerts_came_which_must_and_no_other(name: str) -> None:
    """It is written by bench.scenarios, over the real exporter and the real rules."""
    scenario = simulate.find(name)
    row = re.search(rf"^\| \[{name}\]\(#{name}\) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None, "the page tells it"
    _, told, _, _, others, never = (cell.strip() for cell in row[1].split(" | "))
    assert told == next(iter(scenario.fires), "none is due")
    came = set(re.findall(r"Model[A-Z]\w+", f"{told} {others}"))
    assert set(scenario.fires) <= came <= {*scenario.fires, *scenario.may_fire}
    assert not came & set(never.split(", "))


def test_a_shorter_run_shortens_everything_with_it() -> None:
    scenario = simulate.find("label-delay")
    traffic = simulate.Traffic(scenario, seed=6, start=START, duration=DAY // 2, rate=2, delay=1000)
    found = columns(*traffic.step(START + DAY))
    day = found.day * 24
    assert np.nanmedian(found.wait[(day > 9) & (day < 10)]) == pytest.approx(0.25, abs=0.01)
    hour = (day[day < 12] % 1 * 24).astype(int)  # the hour of a day that is one hour long
    traffic_by_hour = np.bincount(hour, minlength=24)
    assert np.argmax(traffic_by_hour) in range(11, 20)
    assert traffic_by_hour.max() > 1.4 * traffic_by_hour.min()


def test_memory_does_not_grow_with_the_run(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from tidegauge import simulate;"
        "simulate.simulate('bad-release', Path(sys.argv[1]), start=0, duration=int(sys.argv[2]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for days in (1, 6):
        command = [sys.executable, "-c", program, str(tmp_path / str(days)), str(days * DAY)]
        done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 5_000, "kB"
