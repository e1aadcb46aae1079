"""The shape of a record: which fields are needed, where they lie, and the msgspec structs that read just those.

A field is a leaf at a path of JSON keys; leaves below one key share a nested struct. What is not declared is skipped by
the parser. The same layout reads lines whose types have drifted, through plain JSON and one coercion a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_origin

import msgspec

from tidegauge.decode.coercion import ABSENT, KINDS, TEXTUAL, coerced, coerced_column, holds
from tidegauge.decode.enumerated import CodedText, absent_text, is_enumeration

Row = Any  # an instance of one of the layout's structs
Columns = dict[str, list[Any]]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A needed value: the name it goes by here, where it lies, and its kind (a key of KINDS)."""

    name: str
    path: Path
    kind: str
    feature: bool = False  # read with others of its model, not as a column; see `features`


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the instances a field is: the attributes on the way, each with what stands for an absent object."""

    way: tuple[tuple[str, Row], ...]
    attribute: str
    mixed: bool  # the value is as it was in the JSON, see `coercion.coerced`


class Layout:
    """The structs for a set of fields, and how to get columns out of their instances.

    All structs of a layout have the same attributes. `struct()` takes every field; `struct(names)` takes the
    fields of these names and refuses a value in any other, so that those need not be looked at in its instances. For
    the same reason `struct(names, steady)` takes only records with the one value that `steady` has for its field, and
    `struct(names, steady, texts)` only the texts that `texts` has for a field, as its members.
    Raises ValueError if one field lies inside another, or if a number and a text are read from one place
    (features aside: each of them reads any place by its own rule).
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self.names = frozenset(field.name for field in fields)
        self.columnar = frozenset(field.name for field in fields if not field.feature)
        self._root = _Node("Record", _tree(fields))
        self._paths = {field.name: field.path for field in fields}
        self._mixed = {field.name: field.kind for field in fields if self._root.kind(field.path) == "mixed"}
        self.enumerable = frozenset(
            field.name for field in fields if field.feature and self._root.kind(field.path) == "feature_text"
        )
        """Fields whose texts `struct` can enumerate."""

    def struct(
        self,
        names: Collection[str] | None = None,
        steady: tuple[str, str] | None = None,
        texts: Mapping[str, type[CodedText]] | None = None,
    ) -> type[msgspec.Struct]:
        """The struct that accepts a value in the fields of these names only; None: in every field.

        Its class attribute `coded` says which attributes hold nothing but floats: the enumeration of each, or None.
        """
        if names is None:
            return self._root.full
        used = {field.path for field in self.fields if field.name in names}
        types: dict[Path, Any] = {field.path: None for field in self.fields if field.path not in used}
        if steady is not None:
            types[self._paths[steady[0]]] = Literal[steady[1]]
        types |= {self._paths[name]: texts for name, texts in (texts or {}).items()}
        return self._root.struct(types)

    def can_be_steady(self, name: str) -> bool:
        """Whether the field is at the top of the record (so that it is missed if absent) and no other is read there."""
        path = self._paths[name]
        return len(path) == 1 and sum(field.path == path for field in self.fields) == 1

    def columns(self, rows: Sequence[Row], names: Collection[str]) -> Columns:
        """The fields of these names, none a feature, column by column; None where absent."""
        holders: dict[Path, Sequence[Row]] = {(): rows}
        return {name: self._column(name, holders) for name in names}

    def _column(self, name: str, holders: dict[Path, Sequence[Row]]) -> list[Any]:
        column = self._root.column(self._paths[name], holders)
        return coerced_column(column, self._mixed[name]) if name in self._mixed else column

    def place(self, name: str) -> Place:
        """Where a field is."""
        return self._root.place(self._paths[name])

    def given(self, rows: Sequence[Row], names: Collection[str]) -> set[str]:
        """Those of the names for which some row has a value."""
        holders: dict[Path, Sequence[Row]] = {(): rows}
        given = set()
        for name in names:
            column = self._column(name, holders)
            absent = ABSENT.get(self._root.kind(self._paths[name]))
            nothing = column.count(None) + (0 if absent is None else column.count(absent))
            if nothing < len(column):
                given.add(name)
        return given

    def loose_struct(self) -> type[msgspec.Struct]:
        """The struct that accepts anything as a value, but in place of an object only an object; see `settle`."""
        return self._root.loose()

    def settle(self, rows: Sequence[Row]) -> None:
        """Makes loose rows what `coerce` makes of their records, all values of a field at once."""
        self._root.settle(rows)

    def coerce(self, record: Mapping[str, Any]) -> Row:
        """A row from parsed JSON of any types. Raises UnicodeEncodeError if a used text is no UTF-8."""
        return self._root.coerce(record)


class _Node:
    """One object of the record. Its fields are numbered, as JSON keys need not be names."""

    __slots__ = ("_attributes", "_children", "_getters", "_kinds", "_name", "absent", "full")

    def __init__(self, name: str, tree: Mapping[str, Any]) -> None:
        self._name = name
        self._attributes = {key: f"field_{number}" for number, key in enumerate(tree)}
        self._children = {
            key: _Node(f"{name}_{n}", sub) for n, (key, sub) in enumerate(tree.items()) if type(sub) is dict
        }
        self._kinds = {key: kind for key, kind in tree.items() if key not in self._children}
        self._getters = {key: getter(attribute) for key, attribute in self._attributes.items()}
        self.full = self.struct({})
        self.absent: Row = self.full()  # stands for an object that is not there

    def struct(self, special: Mapping[Path, Any], path: Path = ()) -> type[msgspec.Struct]:
        """The struct with these types at these paths and the usual ones elsewhere; a literal is required."""
        types: dict[str, Any] = {
            key: child.struct(special, (*path, key)) | None for key, child in self._children.items()
        }
        types |= {key: special.get((*path, key), KINDS[kind]) for key, kind in self._kinds.items()}
        return self._defined(types)

    def _defined(self, types: Mapping[str, Any]) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any, Any]] = []
        coded: dict[str, type[CodedText] | None] = {}
        for key, attribute in self._attributes.items():
            kind = types[key]
            if is_enumeration(kind):
                coded[attribute] = kind
                fields.append((attribute, kind | None, absent_text(kind)))
            else:
                if self._kinds.get(key) == "feature_number" and kind == KINDS["feature_number"]:
                    coded[attribute] = None
                fields.append(
                    (attribute, kind, msgspec.NODEFAULT if get_origin(kind) is Literal else self._absent(key))
                )
        return msgspec.defstruct(
            self._name,
            fields,
            kw_only=True,
            rename={attribute: key for key, attribute in self._attributes.items()},
            namespace={"coded": coded},
            # The rows of a block live a millisecond and hold no cycles: collecting them would only cost.
            gc=False,
        )

    def _absent(self, key: str) -> Any:
        return ABSENT.get(self._kinds.get(key, ""))

    def kind(self, path: Path) -> str:
        """The kind of the field at the path."""
        return self._kinds[path[0]] if len(path) == 1 else self._children[path[0]].kind(path[1:])

    def place(self, path: Path) -> Place:
        """Where the field at the path is."""
        attribute = self._attributes[path[0]]
        if len(path) == 1:
            return Place((), attribute, self._kinds[path[0]] == "mixed")
        child = self._children[path[0]]
        inner = child.place(path[1:])
        return Place(((attribute, child.absent), *inner.way), inner.attribute, inner.mixed)

    def loose(self) -> type[msgspec.Struct]:
        types = {key: child.loose() | None for key, child in self._children.items()} | dict.fromkeys(self._kinds, Any)
        return self._defined(types)

    def settle(self, rows: Sequence[Row]) -> None:
        for key, kind in self._kinds.items():
            attribute, values = self._attributes[key], self._getters[key](rows)
            if not holds(kind, values):
                absent = self._absent(key)
                for row, value in zip(rows, values, strict=True):
                    if value is not None and value is not absent:
                        setattr(row, attribute, coerced(value, kind))
        for key, child in self._children.items():
            child.settle([row for row in self._getters[key](rows) if row is not None])

    def column(self, path: Path, holders: dict[Path, Sequence[Row]]) -> list[Any]:
        """The values at the path; `holders` keeps the objects on the way there for the next field."""
        node = self
        for depth, key in enumerate(path[:-1], 1):
            if path[:depth] not in holders:
                inner, absent = node._getters[key](holders[path[: depth - 1]]), node._children[key].absent
                holders[path[:depth]] = [absent if holder is None else holder for holder in inner]
            node = node._children[key]
        return node._getters[path[-1]](holders[path[:-1]])

    def coerce(self, record: Mapping[str, Any]) -> Row:
        row = self.full()
        for key, attribute in self._attributes.items():
            value = record.get(key)
            if value is None:
                continue
            if key not in self._children:
                setattr(row, attribute, coerced(value, self._kinds[key]))
            elif isinstance(value, dict):
                setattr(row, attribute, self._children[key].coerce(value))
        return row


def getter(attribute: str) -> Callable[[Sequence[Row]], list[Any]]:
    """What takes an attribute of many rows."""
    # A comprehension made for its attribute takes half the time of attrgetter; the name is ours, never data.
    take: Callable[[Sequence[Row]], list[Any]] = eval(f"lambda rows: [row.{attribute} for row in rows]")
    return take


def _tree(fields: Sequence[Field]) -> dict[str, Any]:
    """Kinds by key, and trees by key for the objects inside."""
    tree: dict[str, Any] = {}
    for field in fields:
        level = tree
        for depth, key in enumerate(field.path[:-1], 1):
            level = level.setdefault(key, {})
            if type(level) is not dict:
                raise ValueError(f"field {'.'.join(field.path[:depth])!r} is both a value and an object")
        known = level.setdefault(field.path[-1], field.kind)
        if type(known) is dict:
            raise ValueError(f"field {'.'.join(field.path)!r} is both a value and an object")
        if field.kind == known:
            continue
        kinds = {field.kind, known}
        if kinds <= TEXTUAL:
            level[field.path[-1]] = "items" if "items" in kinds else "label"
        elif field.feature or known == "mixed" or known.startswith("feature_"):
            level[field.path[-1]] = "mixed"
        else:
            raise ValueError(f"field {'.'.join(field.path)!r} is used both as {known} and as {field.kind}")
    return tree
