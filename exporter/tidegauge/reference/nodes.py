"""YAML nodes of a prepared reference as values of a type that is known beforehand; every problem is noted, none raised.

What is refused reads as an empty value of its type, so that reading goes on; nobody uses it once there is a problem.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import yaml

from tidegauge.config.problems import Place, listed, suggest
from tidegauge.config.walk import Findings
from tidegauge.config.yaml_lines import describe, foreign_tag, line_of, scalar

LARGEST = (1 << 63) - 1


class Nodes:
    """Reads the nodes of one file; owns what was found wrong with it."""

    def __init__(self, file: str) -> None:
        self.findings = Findings(file)

    @property
    def problems(self) -> int:
        return len(self.findings.problems)

    def refuse(self, place: Place, found: str, allowed: str, hint: str = "") -> None:
        self.findings.add(place, found, allowed, hint)

    def named(self, node: yaml.Node, place: Place, allowed: str) -> dict[str, yaml.Node]:
        """The nodes of a mapping with keys of any name."""
        self._meet(node, place, allowed)
        if not isinstance(node, yaml.MappingNode):
            self.refuse(place, describe(node), allowed)
            return {}
        children: dict[str, yaml.Node] = {}
        for key, child in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in children:
                found = f"{describe(key)} as a key" if name is None else f"the key {describe(key)} a second time"
                self.refuse(place, found, "text as a key, each once")
                continue
            children[name] = child
            self.findings.lines[*place, name] = line_of(key)
        return children

    def section(
        self, node: yaml.Node, place: Place, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, yaml.Node]:
        """The nodes of a mapping with known keys."""
        children = self.named(node, place, f"a mapping with {listed(required)}")
        known = (*required, *optional)
        for name in children:
            if name not in known:
                self.refuse((*place, name), "an unknown key", listed(known), suggest(name, known))
        for name in required if isinstance(node, yaml.MappingNode) else ():
            if name not in children:
                self.refuse((*place, name), "nothing", "this key (required)")
        return {name: child for name, child in children.items() if name in known}

    def items(self, node: yaml.Node | None, place: Place, allowed: str) -> list[yaml.Node]:
        """The nodes of a list."""
        if node is None:
            return []
        self._meet(node, place, allowed)
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(place, describe(node), allowed)
            return []
        return list(node.value)

    def text(self, node: yaml.Node | None, place: Place, allowed: str = "text") -> str:
        value = self._scalar(node, place, allowed)
        if node is not None and not isinstance(value, str):
            self.refuse(place, describe(node), allowed)
        return value if isinstance(value, str) else ""

    def whole(self, node: yaml.Node | None, place: Place, largest: int = LARGEST) -> int:
        """A whole number from 0."""
        allowed = f"a whole number from 0 to {largest}"
        value = self._scalar(node, place, allowed)
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest
        if node is not None and not good:
            self.refuse(place, describe(node), allowed)
        return int(value) if good else 0

    def number(self, node: yaml.Node | None, place: Place, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number within bounds."""
        allowed = f"a number from {low:g} to {high:g}" if math.isfinite(high - low) else "a finite number"
        value = self._scalar(node, place, allowed)
        good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if node is not None and not (good and _is_finite(value)):
            self.refuse(place, describe(node), allowed)
            return 0.0
        return float(value) if good else 0.0

    def wholes(self, node: yaml.Node | None, place: Place, length: int | None, largest: int = LARGEST) -> list[int]:
        """A list of whole numbers from 0, so many where the length is known."""
        allowed = "a list of whole numbers" if length is None else f"a list of {length} whole numbers"
        before, nodes = self.problems, self.items(node, place, allowed)
        if node is not None and length is not None and len(nodes) != length and before == self.problems:
            self.refuse(place, f"a list of {len(nodes)}", allowed)
        return [self.whole(item, (*place, index), largest) for index, item in enumerate(nodes)]

    def plain(self, node: yaml.Node, place: Place) -> Any:
        """Whatever mappings, lists and scalars it is; numbers must be finite."""
        self._meet(node, place, "plain values")
        if isinstance(node, yaml.MappingNode):
            children = self.named(node, place, "a mapping")
            return {name: self.plain(child, (*place, name)) for name, child in children.items()}
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(child, (*place, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode), "there is no fourth kind of node"
        value = scalar(node)
        if not _is_finite(value):
            self.refuse(place, describe(node), "a finite number")
        return value

    def _scalar(self, node: yaml.Node | None, place: Place, allowed: str) -> Any:
        if node is None:
            return None
        self._meet(node, place, allowed)
        return scalar(node) if isinstance(node, yaml.ScalarNode) else None

    def _meet(self, node: yaml.Node, place: Place, allowed: str) -> None:
        self.findings.lines[place] = line_of(node)
        if tag := foreign_tag(node):
            self.refuse(place, f"the tag {tag}", allowed)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, int | float) or abs(value) < math.inf
