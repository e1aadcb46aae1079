"""Everything about the rules that can be turned: durations, thresholds, addresses. Nothing else holds a number.

The same rules with shorter durations (`Parameters.faster`) are what demonstrations and end-to-end tests run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from alerts.generator.durations import Duration, days, hours, minutes


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows that must both burn the error budget at least `rate` times as fast as it lasts a month."""

    long: Duration
    short: Duration
    rate: float

    def faster(self, factor: float) -> Burn:
        return Burn(self.long.faster(factor), self.short.faster(factor), self.rate)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The defaults are what alerts/rules/ is written with."""

    # Addresses that the notifications link to.
    grafana: str = "http://localhost:3000"
    runbooks: str = "https://github.com/tidegauge/tidegauge/blob/main/alerts/runbooks"
    exporter_owner: str = "platform"  # who is told about the exporter itself

    # Evaluation, and what is known although it cannot be seen at the moment.
    interval: Duration = minutes(1)
    slow_interval: Duration = minutes(2)  # of what looks back over days
    bridge: Duration = minutes(5)  # longer than missed scrapes and a restart, shorter than any `for` of a verdict
    hold: Duration = days(1)  # how long the last known verdict stands once nothing is known any more
    usual: Duration = days(7)  # what "usual" looks back on
    day: Duration = days(1)
    week: Duration = days(7)

    # Scores against objectives.
    minimum_samples: int = 100  # effective; below it a score is not judged
    missed_for: Duration = minutes(10)
    at_risk_for: Duration = hours(6)
    vanished_for: Duration = minutes(30)

    # Error budgets: the windows of the SRE workbook's chapter 5, the shortest widened to three sealed blocks.
    fast_burns: tuple[Burn, ...] = (
        Burn(hours(1), minutes(15), 14.4),
        Burn(hours(6), minutes(30), 6),
    )
    slow_burns: tuple[Burn, ...] = (
        Burn(hours(24), hours(2), 3),
        Burn(days(3), hours(6), 1),
    )
    fast_for: Duration = minutes(6)
    slow_for: Duration = hours(1)
    burn_cap: float = 0.5  # no pair asks for a larger share of wrong answers than this
    burn_errors: int = 5  # wrong answers in the short window without which nothing burns

    # Releases: the exporter's verdict is final when it is given, so that nothing is waited for but missed scrapes.
    regressed_for: Duration = minutes(6)
    undecided_before: Duration = days(1)  # the comparison's end, but at most
    undecided_share: float = 0.1  # of the comparison
    undecided_after: Duration = days(2)  # the end; then it is told no more
    undecided_tries: float = 3  # times the samples that seemed to be needed
    undecided_least: Duration = days(1)  # from the start, before which what seems to be needed is a guess
    undecided_back: Duration = days(14)  # how far back what seemed to be needed is looked up
    undecided_for: Duration = minutes(30)
    little_traffic: float = 0.1  # share of a model's predictions that is said to be little

    # Changes for the worse, and what they lead to.
    changed_for: Duration = minutes(6)
    slice_changed_for: Duration = minutes(6)
    slices_named: int = 5  # in the alert on the whole model
    forecast_ahead: Duration = days(7)
    forecast_for: Duration = hours(1)

    # Distributions that have moved, and what is wrong with single features.
    drift_for: Duration = minutes(15)
    drift_kept: Duration = hours(1)  # evidence near its threshold goes to and fro
    drift_named: int = 3  # features that have moved most
    broken_for: Duration = minutes(10)
    broken_kept: Duration = minutes(30)
    schema_for: Duration = minutes(15)
    schema_kept: Duration = hours(1)
    keys_named: int = 5  # features that came or went

    # Feedback.
    coverage_drop: float = 0.5  # of the usual coverage
    coverage_expected: int = 30  # labels that the window would usually hold; fewer tell nothing
    coverage_for: Duration = minutes(30)
    feedback_windows: tuple[Duration, ...] = (hours(1), hours(26))  # continuous feeds, daily ones
    feedback_least: int = 5  # records that the quietest tenth of such windows still had
    feedback_for: Duration = minutes(15)

    # Traffic.
    silence_windows: tuple[Duration, ...] = (minutes(15), hours(26))
    silence_least: int = 10
    silent_for: Duration = minutes(6)
    traffic_window: Duration = hours(1)
    collapse_ratio: float = 0.2
    collapse_least: int = 100
    collapse_for: Duration = minutes(15)
    lost_after: Duration = minutes(30)  # by which a version's last prediction is older than the model's

    # Errors and latency.
    service_window: Duration = minutes(15)
    service_least: int = 100  # predictions without which neither is judged
    error_ratio: float = 0.05
    errors_least: int = 10
    errors_for: Duration = minutes(6)
    regression_factor: float = 2
    regression_error_ratio: float = 0.01  # and by at least so much
    regression_latency: float = 0.01  # s; and by at least so much
    regression_for: Duration = minutes(15)

    # The exporter.
    down_for: Duration = minutes(5)
    absent_for: Duration = minutes(10)
    stale_after: Duration = minutes(5)
    stale_for: Duration = minutes(1)
    lag_after: Duration = minutes(10)
    lag_for: Duration = minutes(5)
    not_ready_for: Duration = minutes(30)
    rejected_window: Duration = minutes(15)
    rejected_ratio: float = 0.01
    rejected_least: int = 10
    rejected_for: Duration = minutes(10)
    dropped_window: Duration = minutes(15)
    dropped_for: Duration = minutes(10)
    save_window: Duration = minutes(10)
    save_for: Duration = minutes(5)
    reload_for: Duration = minutes(5)
    unreadable_for: Duration = minutes(5)
    trouble_window: Duration = minutes(15)
    trouble_kept: Duration = hours(6)  # a loss is over at once; somebody should still see it
    sampling_for: Duration = minutes(15)
    unobserved_for: Duration = minutes(1)
    recovery: Duration = minutes(15)  # what an exporter that was away takes to catch up

    def faster(self, factor: float) -> Parameters:
        """The same with every duration so many times shorter, but at least a second."""
        changed: dict[str, Duration | tuple[Duration | Burn, ...]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Duration):
                changed[field.name] = value.faster(factor)
            elif isinstance(value, tuple):
                changed[field.name] = tuple(part.faster(factor) for part in value)
        return replace(self, **changed)  # type: ignore[arg-type]
