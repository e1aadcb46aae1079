"""What is made of the scenarios of drift and broken data, in short runs: what moved, what is broken, and what is not.

Whether the alerts come, and when, is measured by `python -m bench.scenarios`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.drift_logs import moved, states
from tests.pipeline.production import feed, production, scenario_logs, values
from tests.recount.driver import Page
from tidegauge import simulate
from tidegauge.config.settings import DAY, HOUR, MINUTE, Channel, Drift, Feature, Model
from tidegauge.simulate import Number, Scenario

CHANGED = "model_schema_changed"


def model_of(scenario: Scenario) -> Model:
    """As little as possible besides the features."""
    features = [Feature("amount", "numeric"), Feature("country", "categorical")]
    features += [
        Feature(one.name, "numeric" if isinstance(one, Number) else "categorical") for one in scenario.features
    ]
    return Model(
        "fraud",
        "binary",
        (Channel("outcome", "complete", HOUR),),
        features=tuple(features),
        windows=(DAY,),
        horizon=2 * DAY,
        block=30 * MINUTE,
        drift=Drift(windows=(DAY,), learning=1000, first=2000, references=("trailing", "first")),
    )


def pages(folder: Path, scenario: Scenario, days: int, rate: float, step: int) -> dict[float, Page]:
    """What is published at each step of a run shortened to so many days, by the day."""
    found: dict[float, Page] = {}
    shortened = replace(scenario, duration=days * DAY)
    run = production(folder, model_of(scenario))
    try:
        logs = scenario_logs(shortened, duration=days * DAY, rate=rate)
        feed(run, logs, step, lambda now, page: found.update({now / DAY: page}))
    finally:
        run.close()
    return found


@pytest.mark.parametrize(
    ("name", "features", "state"),
    [
        ("harmless-drift", {"account_days", "merchant"}, set()),
        ("harmful-drift", {"account_days", "merchant"}, set()),
        ("more-fraud", {"@score", "@prediction", "@label"}, set()),
        ("dead-feature", {"device_risk"}, {"device_risk stuck", "device_risk constant"}),
        ("missing-values", {"device_risk"}, {"device_risk missing"}),
        ("renamed-field", {"merchant"}, {"merchant missing", "merchant vanished"}),
    ],
)
def test_what_moves_or_breaks_is_named_and_nothing_else_is(
    tmp_path: Path, name: str, features: set[str], state: set[str]
) -> None:
    event = 5 * (3 / 5 if name == "renamed-field" else 3 / 4)
    found = pages(tmp_path, simulate.find(name), days=5, rate=0.04, step=3 * HOUR)
    before = [page for day, page in found.items() if 1.5 < day <= event]
    after = [page for day, page in found.items() if day > event]
    assert len(before) > 5
    assert {feature for page in before for feature in moved(page)} == set()
    assert {one for page in before for one in states(page).values()} == {"ok"}
    assert {feature for page in after for feature in moved(page)} == features
    wrong = [{f"{feature} {one}" for feature, one in states(page).items() if one != "ok"} for page in after]
    assert set().union(*wrong) == state
    assert [bool(one) for one in wrong] == sorted(bool(one) for one in wrong), "what is wrong stays so"
    changed = {row[1:] for page in after for (family, row), value in page.items() if family == CHANGED and value}
    renamed = {("merchant", "vanished"), ("merchant_kind", "appeared")}
    assert changed == (renamed if name == "renamed-field" else set())


def test_a_season_of_the_week_moves_against_the_first_days_and_never_against_the_same_hours(tmp_path: Path) -> None:
    found = pages(tmp_path, simulate.find("weekends"), days=17, rate=0.04, step=12 * HOUR)
    late = [page for day, page in found.items() if day > 9]
    assert all(values(page, "model_drift_reference_records", "trailing")[0] > 0 for page in late)
    assert {name for page in late for name in moved(page, "trailing")} == set()
    assert {"account_days", "merchant"} <= {name for page in found.values() for name in moved(page, "first")}
