"""Applies the schema's shapes to YAML nodes: plain values out, every problem noted, nothing raised.

Knows no key by name. A value that was refused is INVALID in the result, so that later checks can pass over it instead
of complaining twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml

from tidegauge.config.problems import Place, Problem, dotted, listed, quote, suggest
from tidegauge.config.shapes import Either, Items, Leaf, Named, Refused, Section, Shape
from tidegauge.config.yaml_lines import describe, foreign_tag, line_of, scalar


class Mark(Enum):
    """What stands in the result where the file holds something that was refused."""

    INVALID = "invalid"


INVALID = Mark.INVALID


@dataclass(slots=True)
class Findings:
    """The problems of one file and the line of every place in it. Owned by one call of load."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Place, int] = field(default_factory=dict)

    def add(self, place: Place, found: str, allowed: str, hint: str = "") -> None:
        """Notes a problem at a place, or at the nearest enclosing place that the file names."""
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        self.problems.append(Problem(dotted(place), self.lines.get(known, 1), found, allowed, hint, self.file))

    def sorted(self) -> tuple[Problem, ...]:
        """Everything found, in the file's order."""
        rank = {dotted(place): number for number, place in enumerate(self.lines)}
        return tuple(sorted(self.problems, key=lambda problem: (problem.line, rank.get(problem.path, len(rank)))))


def walk(node: yaml.Node, shape: Shape, findings: Findings, place: Place = ()) -> Any:
    """The node's value in the shape's terms: dict, list, a leaf's value, or INVALID."""
    findings.lines.setdefault(place, line_of(node))
    if tag := foreign_tag(node):
        findings.add(place, f"the tag {quote(tag)}", shape.allowed)
        return INVALID
    match shape:
        case Section():
            return _section(node, shape, findings, place)
        case Named():
            return _named(node, shape, findings, place)
        case Items():
            return _items(node, shape, findings, place)
        case Either():
            if isinstance(node, yaml.MappingNode):
                return _section(node, shape.long, findings, place)
            return _leaf(node, shape.short, findings, place, shape.allowed)
        case _:
            return _leaf(node, shape, findings, place, shape.allowed)


def _leaf(node: yaml.Node, shape: Leaf, findings: Findings, place: Place, allowed: str) -> Any:
    findings.lines[place] = line_of(node)
    if not isinstance(node, yaml.ScalarNode):
        findings.add(place, describe(node), allowed)
        return INVALID
    try:
        return shape.read(scalar(node), node.value)
    except Refused as refused:
        findings.add(place, refused.found or describe(node), refused.allowed or allowed, refused.hint)
        return INVALID


def _section(node: yaml.Node, shape: Section, findings: Findings, place: Place) -> Any:
    children = _children(node, shape, findings, place)
    if children is None:
        return INVALID
    keys = {key.name: key for key in shape.keys}
    for name in children:
        if name not in keys:
            findings.add((*place, name), "an unknown key", listed(keys), suggest(name, keys))
    for key in shape.keys:
        if key.required and key.name not in children:
            findings.add((*place, key.name), "nothing", f"{key.shape.allowed} (required)")
    present = [name for name in shape.exactly_one if name in children]
    if shape.exactly_one and len(present) != 1:
        found = f"both {' and '.join(present)}" if present else f"{shape.what} with none of these keys"
        findings.add(place, found, "exactly one of " + listed(shape.exactly_one))
    return {
        name: walk(child, keys[name].shape, findings, (*place, name))
        for name, child in children.items()
        if name in keys
    }


def _named(node: yaml.Node, shape: Named, findings: Findings, place: Place) -> Any:
    children = _children(node, shape, findings, place)
    if children is None:
        return INVALID
    if len(children) < shape.fewest:
        findings.add(place, "an empty mapping", shape.allowed)
    values: dict[str, Any] = {}
    for name, child in children.items():
        if not shape.takes(name):
            options = (*shape.options, f"{shape.prefix}<name>") if shape.prefix else shape.options
            findings.add((*place, name), f"an unknown name {quote(name)}", listed(options), suggest(name, options))
        elif not 1 <= len(name) <= 256 or not name.isprintable():
            findings.add((*place, name), f"the name {quote(name)}", "names of 1 to 256 characters on one line")
        elif shape.reserved and name.startswith(shape.reserved):
            findings.add((*place, name), f"the name {quote(name)}", f"names that do not begin with {shape.reserved}")
        elif shape.reserved and not _as_key(name):
            findings.add((*place, name), f"the name {quote(name)}", 'names without " and without \\')
        else:
            values[name] = walk(child, shape.value, findings, (*place, name))
    return values


def _as_key(name: str) -> bool:
    """Whether a record's key of this name is found: the parser compares keys as they are written, escapes and all."""
    return '"' not in name and "\\" not in name


def _items(node: yaml.Node, shape: Items, findings: Findings, place: Place) -> Any:
    if not isinstance(node, yaml.SequenceNode):
        single = isinstance(node, yaml.ScalarNode) and scalar(node) is not None
        findings.add(place, describe(node), shape.allowed, f"write [{describe(node)}]" if single else "")
        return INVALID
    if len(node.value) < shape.fewest:
        findings.add(place, "an empty list", shape.allowed)
    values = [walk(child, shape.item, findings, (*place, index)) for index, child in enumerate(node.value)]
    seen = set()
    for index, value in enumerate(values):
        # Sections are told apart by their names, which is not this walker's business.
        if isinstance(value, dict | Mark):
            continue
        if value in seen:
            findings.add((*place, index), f"{describe(node.value[index])} a second time", "each item once")
        seen.add(value)
    return values


def _children(
    node: yaml.Node, shape: Section | Named, findings: Findings, place: Place
) -> Mapping[str, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        findings.add(place, describe(node), shape.allowed)
        return None
    children: dict[str, yaml.Node] = {}
    for key, child in node.value:
        if not isinstance(key, yaml.ScalarNode):
            findings.problems.append(
                Problem(dotted(place), line_of(key), f"{describe(key)} as a key", "text as a key", file=findings.file)
            )
            continue
        name: str = key.value
        if name in children:
            first = findings.lines[(*place, name)]
            found = f"the key {quote(name)} a second time (first on line {first})"
            findings.problems.append(
                Problem(dotted((*place, name)), line_of(key), found, "each key once", file=findings.file)
            )
            continue
        children[name] = child
        findings.lines[(*place, name)] = line_of(key)
    return children
