"""The scenarios: data only. `watch` says what the exporter and its rules should make of each."""

from __future__ import annotations

from typing import Any

from tidegauge.simulate.scenario import (
    DAY,
    MINUTE,
    Category,
    Curve,
    Fault,
    Number,
    Scenario,
    Users,
    Version,
    steps,
)

# When the new version of the scenario "broken-release" breaks, and when it is rolled back; progress of the run.
BREAKS = 0.2
ROLLED_BACK = 0.6

_COUNTRIES = (("US", 0.4), ("DE", 0.25), ("BR", 0.2), ("JP", 0.1), ("NZ", 0.05))

# In six days: two of v1 alone, then 1 % for v2, 5 % from day 3, half from day 4.
_RAMP = steps((0, 0.0), (2 / 6, 0.01), (3 / 6, 0.05), (4 / 6, 0.5))
_REST_OF_RAMP = steps((0, 1.0), (2 / 6, 0.99), (3 / 6, 0.95), (4 / 6, 0.5))


def _version(name: str, accuracy: Curve, share: Curve = ((0, 1.0),)) -> Version:
    """A version that believes to be right 95 times in 100."""
    return Version(name, accuracy, 0.95, share, latency_ms=12.0, error_ratio=0.002)


_WHOLE = Fault()
_KINDS = (("grocery", 0.35), ("fashion", 0.25), ("travel", 0.15), ("electronics", 0.15), ("games", 0.1))


def _features(
    *,
    younger: Curve = ((0, 0.0),),
    games: Curve = ((0, 0.1),),
    risk: Fault = _WHOLE,
    merchant: Fault = _WHOLE,
    weekend: bool = False,
) -> tuple[Number | Category, ...]:
    """What the model is told besides the amount and the country.

    `younger`: by so many standard deviations the ages of accounts (their logarithms) fall; `games`: weight of that kind
    of merchant. On weekends customers are others: younger accounts, more travel, less groceries.
    """
    weights = tuple((kind, games if kind == "games" else ((0, share),)) for kind, share in _KINDS)
    moved = tuple((when, -by) for when, by in younger)
    mixed = (("travel", 1.8), ("grocery", 0.7)) if weekend else ()
    return (
        Number("account_days", median=200, spread=1.2, moved=moved, weekend=-0.3 if weekend else 0.0),
        Number("device_risk", median=0.1, spread=0.8, fault=risk),
        Category("merchant", weights, weekend=mixed, fault=merchant),
    )


def _watched(name: str, description: str, watch: str, *, days: int = 12, rate: float = 0.4, **more: Any) -> Scenario:
    """A scenario of one version, with a daily cycle and features that move or break."""
    usual: dict[str, Any] = {"versions": (_version("v1", ((0, 0.95),)),), "features": _features()}
    return Scenario(
        name=name,
        description=description,
        watch=watch,
        model="fraud",
        countries=_COUNTRIES,
        duration=days * DAY,
        rate=rate,
        delay=12 * MINUTE,
        cycle=0.3,
        windows=("1h", "24h"),
        **(usual | more),
    )


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="two-versions",
        description="v1 is right 93 times in 100; v2, released as a growing canary, only 88, and slower",
        watch="v2 has the lower accuracy, beyond what chance explains",
        model="fraud",
        versions=(
            Version("v1", ((0, 0.93),), 0.93, ((0, 0.9), (1, 0.5)), latency_ms=12.0, error_ratio=0.002),
            Version("v2", ((0, 0.88),), 0.93, ((0, 0.1), (1, 0.5)), latency_ms=18.0, error_ratio=0.01),
        ),
        countries=_COUNTRIES,
    ),
    Scenario(
        name="broken-release",
        description="v2 is as good as v1, right 94 times in 100, until its device_risk freezes at 0: 70 in 100; later "
        "it is rolled back",
        watch="device_risk of v2 is stuck, which is the cause; roll back v2; its accuracy falls below the objective; "
        "once it is rolled back, all is well",
        model="fraud",
        versions=(
            Version("v1", ((0, 0.94),), 0.94, ((0, 1.0), (0.06, 1.0), (0.08, 0.6)), latency_ms=12.0, error_ratio=0.002),
            Version(
                "v2",
                ((BREAKS, 0.94), (BREAKS + 0.01, 0.7)),
                0.94,
                ((0, 0.0), (0.06, 0.0), (0.08, 0.4), (ROLLED_BACK, 0.4), (ROLLED_BACK + 1e-9, 0.0)),
                latency_ms=13.0,
                error_ratio=0.002,
            ),
        ),
        countries=_COUNTRIES,
        features=_features(risk=Fault(frozen=steps((0, 0.0), (BREAKS, 1.0)), version="v2")),
        fires=("ModelFeatureBroken", "ModelReleaseRegressed", "ModelObjectiveMissed"),
        may_fire=("ModelInputDrift",),
    ),
    Scenario(
        name="bad-release",
        description="after two days v2 is released to 1, 5 and then 50 % of the traffic; it is wrong 7.5 times in 100, "
        "v1 5 times, both more often in the afternoon",
        watch="roll back v2, while it has 5 % of the traffic (days 3 to 4) or soon after",
        model="fraud",
        versions=(_version("v1", ((0, 0.95),), _REST_OF_RAMP), _version("v2", ((0, 0.925),), _RAMP)),
        countries=_COUNTRIES,
        duration=6 * DAY,
        rate=1.0,
        delay=12 * MINUTE,
        cycle=0.3,
        windows=("1h", "24h"),
        margin=0.01,
        fires=("ModelReleaseRegressed",),
    ),
    Scenario(
        name="harmless-release",
        description="after two days v2 is released to 1, 5 and then 50 % of the traffic; both are wrong 5 times in "
        "100, more often in the afternoon",
        watch="never roll back v2; promote it once it has shown that it is no worse, on days 3 to 5",
        model="fraud",
        versions=(_version("v1", ((0, 0.95),), _REST_OF_RAMP), _version("v2", ((0, 0.95),), _RAMP)),
        countries=_COUNTRIES,
        duration=6 * DAY,
        rate=1.0,
        delay=12 * MINUTE,
        cycle=0.3,
        windows=("1h", "24h"),
        margin=0.01,
    ),
    Scenario(
        name="busy-users",
        description="the harmless release, asked 58 times a day by each of 1,500 users, of whom one in ten is answered "
        "wrongly seven times as often as the mean",
        watch="never roll back v2; its intervals are so much wider than in harmless-release, for users resemble "
        "themselves, that six days leave it undecided",
        model="fraud",
        versions=(_version("v1", ((0, 0.95),), _REST_OF_RAMP), _version("v2", ((0, 0.95),), _RAMP)),
        countries=_COUNTRIES,
        duration=6 * DAY,
        rate=1.0,
        delay=12 * MINUTE,
        cycle=0.3,
        users=Users(number=1_500, hard=0.1, harder=7.0),
        windows=("1h", "24h"),
        margin=0.01,
        may_fire=("ModelReleaseUndecided",),
    ),
    Scenario(
        name="hard-switch",
        description="after eight days v2 replaces v1 at once; it is wrong 7.5 times in 100, v1 5 times, both more "
        "often in the afternoon",
        watch="roll back v2, compared with what v1 was before it, within hours",
        model="fraud",
        versions=(
            _version("v1", ((0, 0.95),), steps((0, 1.0), (8 / 11, 0.0))),
            _version("v2", ((0, 0.925),), steps((0, 0.0), (8 / 11, 1.0))),
        ),
        countries=_COUNTRIES,
        duration=11 * DAY,
        rate=0.5,
        delay=12 * MINUTE,
        cycle=0.3,
        windows=("1h", "24h"),
        margin=0.01,
        fires=("ModelReleaseRegressed",),
    ),
    Scenario(
        name="slow-rot",
        description="the only version is wrong 5 times in 100 for two weeks, then more and more often: 10 times after "
        "six",
        watch="degrading, on about day 21, before the objective of 0.92 is missed on about day 29; "
        "the days differ too much for a forecast of that",
        model="fraud",
        versions=(_version("v1", ((0, 0.95), (1 / 3, 0.95), (1, 0.9))),),
        countries=_COUNTRIES,
        duration=42 * DAY,
        rate=0.1,
        delay=12 * MINUTE,
        cycle=0.3,
        windows=("1h", "24h"),
        objective=0.92,
        fires=("ModelDegrading", "ModelSliceDegrading"),
        may_fire=(
            "ModelObjectiveMissed",
            "ModelObjectiveAtRisk",
            "ModelObjectiveBreachForecast",
            "ModelErrorBudgetBurnSlow",
        ),
    ),
    Scenario(
        name="failing-slice",
        description="after nine days answers for New Zealand, 5 % of the traffic, are wrong 20 times in 100, before "
        "and elsewhere 5 times",
        watch="the slice NZ is degrading, within hours, and no other; later the model, of which NZ is worst off",
        model="fraud",
        versions=(_version("v1", ((0, 0.95),)),),
        countries=_COUNTRIES,
        duration=12 * DAY,
        rate=0.4,
        delay=12 * MINUTE,
        cycle=0.3,
        failing=(("NZ", steps((0, 1.0), (9 / 12, 4.0))),),
        windows=("1h", "24h"),
        fires=("ModelSliceDegrading",),
        may_fire=("ModelDegrading",),
    ),
    Scenario(
        name="label-delay",
        description="for a day, the tenth of twelve, feedback comes six hours later than usual; the model is as right "
        "as ever",
        watch="feedback is missing, within three hours, then late; quality is unknown or as before, never worse",
        model="fraud",
        versions=(_version("v1", ((0, 0.95),)),),
        countries=_COUNTRIES,
        duration=12 * DAY,
        rate=0.4,
        delay=12 * MINUTE,
        cycle=0.3,
        held=steps((0, 0.0), (9 / 12, 6 / 24 / 12), (10 / 12, 0.0)),
        windows=("1h", "24h"),
        fires=("ModelCoverageLost", "ModelScoreVanished", "ModelFeedbackSilent"),
    ),
    _watched(
        "harmless-drift",
        "after nine days a campaign brings other customers: younger accounts, more games; the model is as right as "
        "ever",
        "the inputs have moved, account_days first; neither the answers nor the quality have",
        features=_features(younger=steps((0, 0.0), (9 / 12, 0.6)), games=steps((0, 0.1), (9 / 12, 0.2))),
        fires=("ModelInputDrift",),
    ),
    _watched(
        "harmful-drift",
        "the same campaign, but these customers are not known to the model: it is wrong 9 times in 100, before 5 times",
        "the inputs have moved, within hours; quality suffers, and that is said beside it",
        versions=(_version("v1", steps((0, 0.95), (9 / 12, 0.91))),),
        features=_features(younger=steps((0, 0.0), (9 / 12, 0.6)), games=steps((0, 0.1), (9 / 12, 0.2))),
        fires=("ModelInputDrift", "ModelDegrading"),
        may_fire=(
            "ModelSliceDegrading",
            "ModelObjectiveMissed",
            "ModelObjectiveAtRisk",
            "ModelErrorBudgetBurnSlow",
        ),
    ),
    _watched(
        "more-fraud",
        "after nine days 30 predictions in 100 say fraud, before 20, and rightly so",
        "the answers and the labels have moved, and no input; quality is as before",
        positive_ratio=steps((0, 0.2), (9 / 12, 0.3)),
        fires=("ModelScoreDrift",),
    ),
    _watched(
        "dead-feature",
        "after three days the supplier of device_risk fails, and a 0 stands in its place; the model is wrong 8 times "
        "in 100, before 5 times",
        "device_risk is stuck, within an hour or so, and later constant: no feature without drift",
        days=4,
        versions=(_version("v1", steps((0, 0.95), (3 / 4, 0.92))),),
        features=_features(risk=Fault(frozen=steps((0, 0.0), (3 / 4, 1.0)))),
        fires=("ModelFeatureBroken", "ModelInputDrift"),
    ),
    _watched(
        "missing-values",
        "after three days device_risk is missing in 5 of 100 predictions; the model is as right as ever",
        "the inputs have moved; device_risk is missing, but not broken",
        days=4,
        features=_features(risk=Fault(missing=steps((0, 0.0), (3 / 4, 0.05)))),
        fires=("ModelInputDrift",),
    ),
    _watched(
        "renamed-field",
        "after three days the service writes merchant as merchant_kind; the model is as right as ever",
        "merchant_kind has appeared, at once; once no record of the window has merchant, it has vanished",
        days=5,
        features=_features(merchant=Fault(renamed=steps((0, 0.0), (3 / 5, 1.0)), new_name="merchant_kind")),
        fires=("ModelFeatureBroken", "ModelSchemaChanged", "ModelInputDrift"),
    ),
    _watched(
        "weekends",
        'on weekends traffic is 30 % less, "1" is said 30 % more often, and customers are others; for three weeks',
        "nothing: held against the same hours of the week no weekend is drift",
        days=21,
        rate=0.1,
        features=_features(weekend=True),
        weekend=0.3,
        references=("trailing",),
    ),
)


def find(name: str) -> Scenario:
    """The scenario of that name. Raises ValueError, naming those that exist."""
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    raise ValueError(f'no scenario "{name}"; there are: {", ".join(scenario.name for scenario in SCENARIOS)}')
