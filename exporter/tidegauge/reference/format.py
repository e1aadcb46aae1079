"""A reference as YAML text for people and programs, and back; the value comes back to the last bit.

Numbers are written in full, texts always in quotes. A file is checked whole: nothing wrong in it gets any further.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tidegauge.config.problems import ConfigurationError, Place, Problem, listed, suggest
from tidegauge.config.yaml_lines import describe, read_nodes, scalar
from tidegauge.reference.nodes import LARGEST, Nodes
from tidegauge.reference.projections import problems
from tidegauge.reference.value import Distribution, Reference, Summary
from tidegauge.tally.features.layout import UNIT_BITS
from tidegauge.tally.features.schema import Bins, CategoricalBins, NumericBins, Schema

__all__ = ["KEY", "VERSION", "Distribution", "Reference", "Summary", "dump", "load"]

VERSION = 1
"""Of the format. A file of a later version is refused."""
KEY = "tidegauge_reference"
"""The first key of every prepared reference."""
LABEL = "@label"
NUMERIC, CATEGORICAL = ("numeric", "text_length"), ("categorical", "boolean")
_WIDTH = 120
_HASHES = (1 << 64) - 1
_HEADER = """\
# Reference data of a model, made by `tidegauge reference`. Sums only: it holds no single record.
#
# Of each feature, the records in each condition and in each bin. Numbers: `records` has one number below the first
# edge, one a bin, one above the last edge; a bin holds its lower edge, the last one both of its edges. `positions` are
# the sums of where in their bin the numbers lie (0: lower edge, 2**30: upper edge; outside, 2**30 is 16 ranges away),
# so that means are kept exactly.
# Categories: those with a bin of their own, then hash buckets for the others that are known (`hashes`: xxh3_64); `new`
# is the share of records whose category was there once, so much is to be expected of what was never there.
"""

# --- writing ----------------------------------------------------------------------------------------------------------


def dump(reference: Reference) -> str:
    """The text of a prepared file. Equal references have equal texts."""
    lines = [
        f"{KEY}: {VERSION}",
        f"model: {_quoted(reference.model)}",
        f"file: {_quoted(reference.file)}",
        f"created: {_quoted(reference.created)}",
        f"records: {reference.records}",
        *_mapping("rejected", dict(sorted(reference.rejected.items())), ""),
        "features:" if reference.schema.features else "features: {}",
    ]
    for number in range(len(reference.schema.features)):
        lines += _feature(reference, number)
    if reference.label is not None:
        counts = reference.label.counts
        bins = reference.label.schema.features[0]
        lines.append("label:")
        lines.append("  kind: " + ("numeric" if isinstance(bins, NumericBins) else "categorical"))
        lines += _bins(reference.label.schema, 0, counts, "  ")
    lines.append("scores:" if reference.scores else "scores: {}")
    for name, score in reference.scores.items():
        lines.append(f"  {_quoted(name)}: {{score: {score!r}, samples: {reference.samples[name]}}}")
    lines += _mapping("projections", reference.projections, "")
    return _HEADER + "\n".join(lines) + "\n"


def _feature(reference: Reference, number: int) -> Iterator[str]:
    yield f"  {_quoted(reference.schema.features[number].name)}:"
    yield f"    kind: {reference.kinds[number]}"
    yield f"    icc: {reference.icc[number]!r}"
    summary = reference.summaries[number]
    if summary is not None:
        yield f"    minimum: {summary.minimum!r}"
        yield f"    maximum: {summary.maximum!r}"
        yield f"    mean: {summary.mean!r}"
        yield f"    standard_deviation: {summary.standard_deviation!r}"
    yield from _bins(reference.schema, number, reference.counts, "    ")


def _bins(schema: Schema, number: int, counts: NDArray[np.int64], indent: str) -> Iterator[str]:
    bins, spot, held = schema.features[number], schema.layout.spots[number], counts.tolist()
    yield f"{indent}missing: {held[spot.missing]}"
    yield f"{indent}invalid: {held[spot.invalid]}"
    if isinstance(bins, NumericBins):
        yield f"{indent}non_finite: {held[spot.non_finite]}"
        yield f"{indent}varied: {held[spot.varied]}"
        yield from _listed(f"{indent}edges: ", bins.edges, indent)
        yield from _listed(f"{indent}records: ", held[spot.bins : spot.bins_end], indent)
        yield from _listed(f"{indent}positions: ", held[spot.bins_end : spot.end], indent)
        return
    yield f"{indent}unseen: {held[spot.unseen]}"
    yield f"{indent}new: {bins.new!r}"
    yield f"{indent}varied: {held[spot.varied]}"
    yield f"{indent}categories:" if bins.values else f"{indent}categories: []"
    for value, records in zip(bins.values, held[spot.bins :], strict=False):
        yield f"{indent}  - [{_quoted(value)}, {records}]"
    if bins.hashed:
        yield from _listed(f"{indent}buckets: ", held[spot.bins + len(bins.values) : spot.bins_end], indent)
        if bins.known is None:
            yield f"{indent}hashes: null"
        else:
            yield from _listed(f"{indent}hashes: ", bins.known, indent)


def _listed(lead: str, values: Iterable[Any], indent: str) -> Iterator[str]:
    """A list in brackets after `lead`, on as many lines as it takes."""
    line = f"{lead}["
    for number, value in enumerate(values):
        text = _inline(value)
        if number:
            line += ","
            if len(line) + len(text) + 3 > _WIDTH:
                yield line
                line = f"{indent}  {text}"
                continue
            line += " "
        line += text
    yield line + "]"


def _mapping(name: str, values: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Plain values: mappings and lists of lists in lines of their own, other lists in brackets."""
    if not values:
        yield f"{indent}{name}: {{}}"
        return
    yield f"{indent}{name}:"
    inner = indent + "  "
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _mapping(_quoted(key), value, inner)
        elif isinstance(value, list | tuple) and value and all(isinstance(row, list | tuple) for row in value):
            yield f"{inner}{_quoted(key)}:"
            for row in value:
                yield from _listed(f"{inner}  - ", row, inner + "  ")
        elif isinstance(value, list | tuple):
            yield from _listed(f"{inner}{_quoted(key)}: ", value, inner)
        else:
            yield f"{inner}{_quoted(key)}: {_inline(value)}"


def _inline(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case list() | tuple():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_quoted(key)}: {_inline(held)}" for key, held in value.items()) + "}"
        case _:
            return repr(value)


def _quoted(text: str) -> str:
    """The text in double quotes, on one line and with nothing in it that YAML would not take."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(ord(char)) for char in quoted)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


# --- reading ----------------------------------------------------------------------------------------------------------


def load(path: Path) -> Reference:
    """The reference in a prepared file. Raises ConfigurationError with everything that is wrong with it."""
    root = read_nodes(path, f"a reference made by `tidegauge reference`, which begins with {KEY}")
    if isinstance(root, Problem):
        raise ConfigurationError((root,))
    nodes = Nodes(str(path))
    _check_version(nodes, root)
    reference = _reference(nodes, root) if not nodes.problems else None
    if reference is None or nodes.problems:
        raise ConfigurationError(nodes.findings.sorted())
    return reference


def _check_version(nodes: Nodes, root: yaml.Node) -> None:
    found = nodes.named(root, (), f"a mapping that begins with {KEY}: {VERSION}").get(KEY)
    if nodes.problems:
        return
    allowed = f"{VERSION}, the version of the format"
    if found is None:
        nodes.refuse((KEY,), "nothing", allowed, "make the file by `tidegauge reference`")
        return
    version = scalar(found) if isinstance(found, yaml.ScalarNode) else None
    if version != VERSION or isinstance(version, bool):
        later = isinstance(version, int) and version > VERSION
        hint = "the file is of a later Tidegauge: make it anew with this one" if later else ""
        nodes.refuse((KEY,), describe(found), allowed, hint)


def _reference(nodes: Nodes, root: yaml.Node) -> Reference | None:
    keys = nodes.section(root, (), (KEY, "model", "records", "features"), _OPTIONAL)
    records = nodes.whole(keys.get("records"), ("records",))
    features = nodes.named(keys["features"], ("features",), "features by name") if "features" in keys else {}
    read = [_Feature(nodes, node, ("features", name), name, records) for name, node in features.items()]
    label = _Feature(nodes, keys["label"], ("label",), LABEL, None) if "label" in keys else None
    scores, samples = _scores(nodes, keys.get("scores"))
    rejected = nodes.named(keys["rejected"], ("rejected",), "records by reason") if "rejected" in keys else {}
    reasons = {reason: nodes.whole(node, ("rejected", reason)) for reason, node in rejected.items()}
    model = nodes.text(keys.get("model"), ("model",))
    file, created = (nodes.text(keys.get(name), (name,)) for name in ("file", "created"))
    projections = _projections(nodes, keys.get("projections"))
    if nodes.problems:
        return None
    return Reference(
        model=model,
        records=records,
        schema=Schema(tuple(one.bins for one in read)),
        counts=np.array([count for one in read for count in one.counts], dtype=np.int64),
        kinds=tuple(one.kind for one in read),
        icc=tuple(one.icc for one in read),
        summaries=tuple(one.summary for one in read),
        label=None if label is None else Distribution(Schema((label.bins,)), np.array(label.counts, dtype=np.int64)),
        scores=scores,
        samples=samples,
        projections=projections,
        file=file,
        created=created,
        rejected=reasons,
    )


_OPTIONAL = ("file", "created", "rejected", "label", "scores", "projections")
_OF_NUMBERS = ("kind", "missing", "invalid", "non_finite", "varied", "edges", "records", "positions")
_OF_CATEGORIES = ("kind", "missing", "invalid", "unseen", "varied", "categories")
_SUMMARY = ("minimum", "maximum", "mean", "standard_deviation")


class _Feature:
    """One feature's section: bins and counts, which are of use only if nothing was refused."""

    bins: Bins
    counts: list[int]
    summary: Summary | None

    def __init__(self, nodes: Nodes, node: yaml.Node, place: Place, name: str, records: int | None) -> None:
        before = nodes.problems
        self.kind, self.icc, self.summary = "", 0.0, None
        kinds = (*NUMERIC, *CATEGORICAL)
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        kind = next((child for key, child in pairs if isinstance(key, yaml.ScalarNode) and key.value == "kind"), None)
        self.kind = "" if kind is None else nodes.text(kind, (*place, "kind"), listed(kinds))
        if kind is not None and self.kind not in kinds and nodes.problems == before:
            nodes.refuse((*place, "kind"), describe(kind), listed(kinds), suggest(self.kind, kinds))
        if nodes.problems > before:
            return
        if self.kind in CATEGORICAL:
            keys = nodes.section(node, place, _OF_CATEGORIES, ("icc", "new", "buckets", "hashes"))
        else:
            keys = nodes.section(node, place, _OF_NUMBERS, ("icc", *_SUMMARY))
        if nodes.problems > before:
            return
        self.icc = nodes.number(keys.get("icc"), (*place, "icc"), 0.0, 1.0)
        try:
            if self.kind in CATEGORICAL:
                self._categories(nodes, keys, place, name)
            else:
                self._numbers(nodes, keys, place, name)
        except ValueError as error:
            if nodes.problems == before:
                nodes.refuse(place, f"bins that cannot be: {error}", "bins as they were written")
        if nodes.problems == before and records is not None:
            self._add_up(nodes, place, records)

    def _conditions(self, nodes: Nodes, keys: dict[str, yaml.Node], place: Place, names: tuple[str, ...]) -> list[int]:
        return [nodes.whole(keys[name], (*place, name)) for name in names]

    def _numbers(self, nodes: Nodes, keys: dict[str, yaml.Node], place: Place, name: str) -> None:
        conditions = self._conditions(nodes, keys, place, ("missing", "invalid", "non_finite", "varied"))
        listed_edges = nodes.items(keys["edges"], (*place, "edges"), "a list of numbers, ascending")
        edges = [nodes.number(edge, (*place, "edges", index)) for index, edge in enumerate(listed_edges)]
        self.bins = NumericBins(name, tuple(edges))
        counts = nodes.wholes(keys["records"], (*place, "records"), len(edges) + 1)
        positions = nodes.wholes(keys["positions"], (*place, "positions"), len(edges) + 1)
        self.counts = [*conditions, *counts, *positions]
        for number, (count, position) in enumerate(zip(counts, positions, strict=False)):
            most = count << UNIT_BITS
            if position > most:
                nodes.refuse((*place, "positions", number), str(position), f"at most {most}, for {count} records")
        given = [name for name in _SUMMARY if name in keys]
        values = [nodes.number(keys[name], (*place, name)) for name in given]
        if given and len(given) < len(_SUMMARY):
            nodes.refuse(place, f"only {listed(given)}", f"all of {listed(_SUMMARY)}, or none")
        self.summary = Summary(*values) if len(given) == len(_SUMMARY) else None

    def _categories(self, nodes: Nodes, keys: dict[str, yaml.Node], place: Place, name: str) -> None:
        conditions = self._conditions(nodes, keys, place, ("missing", "invalid", "varied", "unseen"))
        values, counts = [], []
        for index, pair in enumerate(nodes.items(keys["categories"], (*place, "categories"), "a list")):
            here: Place = (*place, "categories", index)
            allowed = "a list of a text in quotes and its records"
            items = nodes.items(pair, here, allowed)
            if len(items) != 2:
                if items:
                    nodes.refuse(here, f"a list of {len(items)}", allowed)
                continue
            values.append(nodes.text(items[0], (*here, 0), "a text in quotes"))
            counts.append(nodes.whole(items[1], (*here, 1)))
        buckets = nodes.wholes(keys.get("buckets"), (*place, "buckets"), None)
        hashes = keys.get("hashes")
        many = isinstance(hashes, yaml.ScalarNode) and scalar(hashes) is None
        known = None if many else tuple(nodes.wholes(hashes, (*place, "hashes"), None, _HASHES))
        new = nodes.number(keys.get("new"), (*place, "new"), 0.0, 1.0)
        self.bins = CategoricalBins(name, tuple(values), len(buckets), known, new)
        self.counts = [*conditions, *counts, *buckets]

    def _add_up(self, nodes: Nodes, place: Place, records: int) -> None:
        schema = Schema((self.bins,))
        spot = schema.layout.spots[0]
        extra = [spot.missing, spot.invalid, spot.non_finite if spot.numeric else spot.unseen]
        total = sum(self.counts[spot.bins : spot.bins_end]) + sum(self.counts[column] for column in extra)
        if total != records:
            nodes.refuse(place, f"counts that add up to {total}", f"counts of all {records} records")


def _scores(nodes: Nodes, node: yaml.Node | None) -> tuple[dict[str, float], dict[str, int]]:
    scores: dict[str, float] = {}
    samples: dict[str, int] = {}
    metrics = {} if node is None else nodes.named(node, ("scores",), "metrics by name")
    for name, metric in metrics.items():
        place: Place = ("scores", name)
        keys = nodes.section(metric, place, ("score", "samples"))
        scores[name] = nodes.number(keys.get("score"), (*place, "score"))
        samples[name] = nodes.whole(keys.get("samples"), (*place, "samples"), LARGEST)
    return scores, samples


def _projections(nodes: Nodes, node: yaml.Node | None) -> dict[str, Any]:
    sections = {} if node is None else nodes.named(node, ("projections",), "projections by name")
    found = {name: nodes.plain(section, ("projections", name)) for name, section in sections.items()}
    if not nodes.problems:
        for place, why in problems(found):
            nodes.refuse(("projections", *place), f"what cannot be used: {why}", "a section as it was written")
    return found
