"""Reading PromQL in tests: the nodes of an expression, the metrics it names, and which metrics exist."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, MatrixSelector, ParenExpr, VectorSelector

from alerts.generator.parameters import Parameters
from alerts.generator.render import files
from alerts.generator.rule import Record
from tidegauge.assess.detectors import DETECTORS
from tidegauge.assess.detectors.detector import Published
from tidegauge.publish import catalogue
from tidegauge.publish.samples import Family

PROMETHEUS = {"up", "ALERTS"}
PROCESS = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
SET_OPERATORS = {"and", "or", "unless"}
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}

PARAMETERS = Parameters()
RECORDS = [
    rule
    for groups in files(PARAMETERS).values()
    for group in groups
    for rule in group.rules
    if isinstance(rule, Record)
]


def parse(query: str) -> Expr:
    """Raises ValueError where it is not PromQL."""
    return promql_parser.parse(query)


def nodes(expression: Expr) -> Iterator[Expr]:
    """The expression and everything in it, outermost first."""
    yield expression
    match expression:
        case BinaryExpr():
            children = [expression.lhs, expression.rhs]
        case AggregateExpr():
            children = [expression.expr, *([expression.param] if expression.param is not None else [])]
        case Call():
            children = list(expression.args)
        case MatrixSelector():
            children = [expression.vector_selector]
        case _:
            inner = getattr(expression, "expr", None)
            children = [] if inner is None else [inner]
    for child in children:
        yield from nodes(child)


def bare(expression: Expr) -> Expr:
    """Without the parentheses around it."""
    while isinstance(expression, ParenExpr):
        expression = expression.expr
    return expression


def selectors(expression: Expr) -> list[VectorSelector]:
    return [node for node in nodes(expression) if isinstance(node, VectorSelector)]


def metrics(expression: Expr) -> set[str]:
    """The names of the metrics that are read; selectors by the label __name__ have none."""
    return {selector.name for selector in selectors(expression) if selector.name}


def existing() -> set[str]:
    """Every name of a series that there is to read: published, recorded, or of Prometheus itself."""
    names = PROMETHEUS | PROCESS | {record.name for record in RECORDS}
    for family in _families():
        parts = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        names |= {family.name + part for part in parts}
    return names


def counters() -> set[str]:
    """Names of series that only grow."""
    families = _families()
    names = {family.name for family in families if family.kind == "counter"}
    histograms = [family.name for family in families if family.kind == "histogram"]
    return names | {name + part for name in histograms for part in ("_bucket", "_sum", "_count")}


def _families() -> list[Family | Published]:
    return [*catalogue.FAMILIES, *(family for detector in DETECTORS for family in detector.families)]
