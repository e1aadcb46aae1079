"""How fast a model uses up its error budget: wrong answers of sealed blocks against 1 - objective of accuracy.

Multi-window burn rates after the SRE workbook, chapter 5. A rate cannot exceed 1 / budget, so what a pair of windows
asks for is capped: with an objective of 90 % a rate of 14.4 would be 144 % wrong answers, and never fire.
"""

from __future__ import annotations

from collections.abc import Iterator

from alerts.generator.parameters import Burn, Parameters
from alerts.generator.rule import COUNT, MODEL, NUMBER, PERCENT, Alert, Group, Record, fill, held, labels, look

CHANNEL = (*MODEL, "channel")
BURN = (*CHANNEL, "window")


def group(parameters: Parameters) -> Group:
    """Records over every window, a verdict for each pair of windows, then ModelErrorBudgetBurnFast and ...Slow."""
    p = parameters
    rules: list[Record | Alert] = [
        Record(
            "model:error_budget:ratio",
            fill(
                """
                1 - max by (<channel>) (
                  last_over_time(model_quality_objective{metric="accuracy", direction="at_least"}[<bridge>])
                )
                """,
                p,
                channel=labels(CHANNEL),
            ),
        )
    ]
    windows = {window for burn in (*p.fast_burns, *p.slow_burns) for window in (burn.long, burn.short)}
    for window in sorted(windows):
        rules += _counted(p, str(window))
    for speed, burns in (("fast", p.fast_burns), ("slow", p.slow_burns)):
        rules += [_verdict(p, speed, burn) for burn in burns]
    rules += _alerts(p)
    return Group("tidegauge-error-budget", p.interval, tuple(rules))


def _counted(p: Parameters, window: str) -> Iterator[Record]:
    for name, selector in (("outcomes", ""), ("outcomes_incorrect", '{result="incorrect"}')):
        text = "sum by (<channel>) (increase(model_outcomes_total<selector>[<window>]))"
        expression = fill(text, p, channel=labels(CHANNEL), selector=selector, window=window)
        yield Record(f"model:{name}:increase", expression, {"window": window})
    yield Record(
        "model:outcomes_incorrect:ratio",
        fill(
            'model:outcomes_incorrect:increase{window="<window>"} / (model:outcomes:increase{window="<window>"} > 0)',
            p,
            window=window,
        ),
        {"window": window},
    )
    yield Record(
        "model:error_budget_burn:rate",
        fill(
            'model:outcomes_incorrect:ratio{window="<window>"} / on (<channel>) model:error_budget:ratio',
            p,
            channel=labels(CHANNEL),
            window=window,
        ),
        {"window": window},
    )


def _verdict(p: Parameters, speed: str, burn: Burn) -> Record:
    return Record(
        f"model:error_budget_burn_{speed}:bool",
        fill(
            """
              (
                  model:outcomes_incorrect:ratio{window="<long>"}
                > bool on (<channel>)
                  clamp_max(<rate> * model:error_budget:ratio, <burn_cap>)
              )
            * on (<channel>)
              (
                  model:outcomes_incorrect:ratio{window="<short>"}
                > bool on (<channel>)
                  clamp_max(<rate> * model:error_budget:ratio, <burn_cap>)
              )
            * on (<channel>)
              (model:outcomes_incorrect:increase{window="<short>"} >= bool <burn_errors>)
            """,
            p,
            channel=labels(CHANNEL),
            long=burn.long,
            short=burn.short,
            rate=burn.rate,
        ),
        {"window": str(burn.long)},
    )


def _alerts(p: Parameters) -> Iterator[Alert]:
    for speed, severity, lasting, how in (
        ("Fast", "critical", p.fast_for, "fast"),
        ("Slow", "warning", p.slow_for, "steadily"),
    ):
        name = f"ModelErrorBudgetBurn{speed}"
        yield Alert(
            name,
            severity,
            fill(held(name, f"model:error_budget_burn_{speed.lower()}:bool", BURN), p),
            lasting,
            f"A model uses up its error budget {how}.",
            fill(
                "Model {{ $labels.model }}: "
                f"{look('model:outcomes_incorrect:ratio', BURN, PERCENT)} of the answers of the last "
                "{{ $labels.window }} were wrong, "
                f"{look('model:outcomes_incorrect:increase', BURN, COUNT)} of "
                f"{look('model:outcomes:increase', BURN, COUNT)} on channel {{{{ $labels.channel }}}}; its objective "
                "of "
                f"accuracy allows {look('model:error_budget:ratio', CHANNEL, PERCENT)}. That is "
                f"{look('model:error_budget_burn:rate', BURN, NUMBER)} times as fast as a budget can be spent that is "
                "to "
                "last.",
                p,
            ),
            "model",
            ("job", "model", "channel"),
        )
