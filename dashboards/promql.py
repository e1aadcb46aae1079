"""PromQL that the boards share: selectors that keep to the variables, and sums over exporters.

Every selector matches `job` and `instance`; a variable with several values is matched by regular expression, one with a
single value exactly, as Grafana fills them in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegauge.config.metrics import AT_MOST, METRICS

LOWER_IS_BETTER = "|".join(dict.fromkeys(metric.name for metric in METRICS if metric.direction == AT_MOST))
"""A regular expression of the metrics of which less is better."""
HEADLINES = "accuracy|mae|ndcg|word_error_rate|reported_error_rate"
"""The metric that speaks for a model without objectives, one a task or kind of channel."""
STATES = ("ok", "immature", "no_feedback", "insufficient_samples", "unsupported")
"""States of a score, by their code in panels."""
OK = 'state="ok"'


@dataclass(frozen=True, slots=True)
class Scope:
    """What a board's variables select; `several` are those that can hold more than one value."""

    several: frozenset[str]

    def matcher(self, label: str) -> str:
        return f'{label}=~"${label}"' if label in self.several else f'{label}="${label}"'

    def select(self, family: str, *labels: str, where: str = "", over: str = "") -> str:
        """A selector of the family that follows the variables named; `where` adds matchers, `over` a range."""
        matchers = ['job=~"$job"', 'instance=~"$instance"', *(self.matcher(label) for label in labels)]
        selector = f"{family}{{{', '.join(matchers + ([where] if where else []))}}}"
        return f"{selector}[{over}]" if over else selector

    def rate(self, counter: str, *labels: str, where: str = "") -> str:
        """Growth a second of a counter."""
        return f"rate({self.select(counter, *labels, where=where, over='$__rate_interval')})"

    def growth(self, counter: str, *labels: str, where: str = "", over: str = "$__range") -> str:
        """Growth of a counter, by default over the time range that is shown."""
        return f"increase({self.select(counter, *labels, where=where, over=over)})"


def total(by: Sequence[str], expression: str) -> str:
    return aggregate("sum", by, expression)


def highest(by: Sequence[str], expression: str) -> str:
    return aggregate("max", by, expression)


def lowest(by: Sequence[str], expression: str) -> str:
    return aggregate("min", by, expression)


def aggregate(how: str, by: Sequence[str], expression: str) -> str:
    return f"{how} by ({', '.join(by)}) ({expression})" if by else f"{how}({expression})"


def ratio(numerator: str, denominator: str) -> str:
    """A quotient that is absent, not NaN, where there is nothing to divide by."""
    return f"({numerator} / ({denominator} > 0))"


def pooled(scope: Scope, family: str, by: Sequence[str], *labels: str, where: str = "") -> str:
    """A score over all exporters: their sums divided; of scores that are no quotient of sums, the highest.

    `family` is without its ending: model_quality, model_slice_quality, model_proxy or model_slice_proxy. What is
    summed for rmse is its square.
    """

    def part(ending: str, *more: str) -> str:
        return scope.select(f"{family}_{ending}", *labels, where=", ".join(filter(None, (where, *more))))

    def quotient(*more: str) -> str:
        return ratio(total(by, part("numerator", *more)), total(by, part("denominator", *more)))

    divided = quotient()
    if "proxy" not in family:
        root, others = (f'metric{sign}"rmse"' for sign in ("=", "!="))
        divided = f"{quotient(others)} or sqrt{quotient(root)}"
    return f"({divided} or {highest(by, part('score'))})"


def state_code(scope: Scope, family: str, by: Sequence[str], *labels: str, where: str = "") -> str:
    """The number in STATES of a score's state; of several exporters, the one that says least."""

    def coded(code: int) -> str:
        matchers = f'{where}, state="{STATES[code]}"' if where else f'state="{STATES[code]}"'
        return f"{code} * {scope.select(family, *labels, where=matchers)}"

    return highest(by, " or ".join(coded(code) for code in range(1, len(STATES))))
