"""The vocabulary of the configuration schema: what a value may look like, as data.

One walker applies these to a file; documentation and a JSON Schema can be generated from the same values. A leaf reads
one scalar (with the text it was written as) and returns the value the program uses, or raises Refused.
"""

from __future__ import annotations

import math
import re
import warnings
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache

from tidegauge.config.durations import format_duration, parse_duration
from tidegauge.config.links import template_problem
from tidegauge.config.problems import listed, quote, suggest

Scalar = str | int | float | bool | None

_DOTTED = re.compile(r"[^.]+(\.[^.]+)*")


class Refused(Exception):
    """A scalar is not allowed here. `found` and `allowed` replace the usual words where there is more to say."""

    def __init__(self, hint: str = "", *, found: str = "", allowed: str = "") -> None:
        super().__init__(hint)
        self.hint, self.found, self.allowed = hint, found, allowed


@dataclass(frozen=True, slots=True)
class Text:
    """Text on one line. A plain number is taken as it is written (`version: 1.10` is "1.10")."""

    what: str = "text"
    longest: int = 256

    @property
    def allowed(self) -> str:
        return f"{self.what} of 1 to {self.longest} characters on one line"

    def read(self, value: Scalar, raw: str) -> str:
        if value is None:
            raise Refused
        if isinstance(value, bool):
            raise Refused(f"quote it to mean the text: {quote(raw)}")
        if not 1 <= len(raw) <= self.longest or not raw.isprintable():
            raise Refused
        return raw


@dataclass(frozen=True, slots=True)
class DottedPath:
    """Names of nested fields in a record, joined by dots."""

    allowed: str = "a dotted path in the record, such as request.id"

    def read(self, value: Scalar, raw: str) -> str:
        text = Text().read(value, raw)
        if not _DOTTED.fullmatch(text):
            raise Refused
        return text


@dataclass(frozen=True, slots=True)
class Label:
    """A class label, compared as canonical text: 1, 1.0 and "1" are the same label."""

    allowed: str = "a label: text, a number, true or false"

    def read(self, value: Scalar, raw: str) -> str:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise Refused
        return Text("a label").read(canonical_label(value), canonical_label(value))


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    allowed: str = "true or false"

    def read(self, value: Scalar, raw: str) -> bool:
        if not isinstance(value, bool):
            raise Refused
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return listed(self.options)

    def read(self, value: Scalar, raw: str) -> str:
        if raw in self.options:
            return raw
        raise Refused(suggest(raw, self.options))


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds, both included."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, value: Scalar, raw: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise Refused
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds, both included unless said; infinite bounds mean none."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # the low bound itself is not allowed

    @property
    def allowed(self) -> str:
        return f"a number above {self.low:g}, up to {self.high:g}" if self.above else between(self.low, self.high)

    def read(self, value: Scalar, raw: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused
        number = float(value)
        if not math.isfinite(number) or not self.low <= number <= self.high or (self.above and number == self.low):
            raise Refused
        return number


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration within bounds, both included; read as milliseconds. A bare whole number means seconds."""

    low: int  # ms
    high: int  # ms

    @property
    def allowed(self) -> str:
        bounds = f"from {format_duration(self.low)} to {format_duration(self.high)}"
        return f"a duration {bounds}, such as 90s, 1h30m or a whole number of seconds"

    def read(self, value: Scalar, raw: str) -> int:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise Refused
        try:
            milliseconds = parse_duration(raw)
        except ValueError:
            raise Refused from None
        if not self.low <= milliseconds <= self.high:
            raise Refused
        return milliseconds


@dataclass(frozen=True, slots=True)
class PathText:
    """A path or a glob; relative ones start at the configuration file's directory."""

    what: str
    longest: int = 4096

    @property
    def allowed(self) -> str:
        return f"{self.what}, absolute or relative to this file"

    def read(self, value: Scalar, raw: str) -> str:
        return Text(longest=self.longest).read(value, raw)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression in Python's syntax with at least one of the named groups, and no other named group."""

    groups: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return "a regular expression with named groups " + listed(f"(?P<{group}>...)" for group in self.groups)

    def read(self, value: Scalar, raw: str) -> re.Pattern[str]:
        text = Text(longest=4096).read(value, raw)
        try:
            with _no_warnings():
                pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise Refused(str(error)) from None
        foreign = [group for group in pattern.groupindex if group not in self.groups]
        if foreign:
            raise Refused(suggest(foreign[0], self.groups), found=f"the named group {quote(foreign[0])}")
        if not pattern.groupindex:
            raise Refused(found=f"{quote(text)}, which has no named group")
        return pattern


@dataclass(frozen=True, slots=True)
class TimeZone:
    """An IANA time zone name."""

    allowed: str = "an IANA time zone such as UTC or Europe/Berlin"

    def read(self, value: Scalar, raw: str) -> str:
        text = Text("a time zone").read(value, raw)
        # UTC must not depend on a time zone database: slim images carry none.
        if text == "UTC":
            return text
        try:
            zoneinfo.ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise Refused(suggest(text, _time_zones())) from None
        return text


@dataclass(frozen=True, slots=True)
class Checked:
    """A scalar that a function of its own reads: for what one file alone has, such as a password's hash."""

    allowed: str
    reader: Callable[[Scalar, str], object]

    def read(self, value: Scalar, raw: str) -> object:
        return self.reader(value, raw)


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """An http or https URL in which `{name}` stands for a value, percent-encoded when it is filled in."""

    placeholders: tuple[str, ...]

    @property
    def allowed(self) -> str:
        named = " or ".join(f"{{{name}}}" for name in self.placeholders)
        return f"an http or https URL, with {named} where their names belong"

    def read(self, value: Scalar, raw: str) -> str:
        text = Text(longest=2048).read(value, raw)
        problem = template_problem(text, self.placeholders)
        if problem:
            raise Refused(problem)
        return text


@cache
def _time_zones() -> tuple[str, ...]:
    # Listing them reads the whole database.
    return tuple(sorted(zoneinfo.available_timezones()))


Leaf = (
    Text
    | DottedPath
    | Label
    | Flag
    | Choice
    | Integer
    | Number
    | Duration
    | PathText
    | Regex
    | TimeZone
    | Checked
    | UrlTemplate
)


@dataclass(frozen=True, slots=True)
class Items:
    """A list, each item of one shape, none twice."""

    item: Shape
    what: str
    fewest: int = 0

    @property
    def allowed(self) -> str:
        return f"a list of {self.what}" + (f", at least {self.fewest}" if self.fewest else "")


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from names that the user chooses (or from `options`) to values of one shape."""

    what: str  # what the names and values are, for messages
    value: Shape
    options: tuple[str, ...] = ()
    fewest: int = 0
    prefix: str = ""  # names that begin so are taken besides the options
    reserved: str = ""  # names that begin so are not the user's to give

    def takes(self, name: str) -> bool:
        """Whether this may be a name."""
        return not self.options or name in self.options or bool(self.prefix and name.startswith(self.prefix))

    @property
    def allowed(self) -> str:
        return f"a mapping of {self.what}" + (f", at least {self.fewest}" if self.fewest else "")


class Mark(Enum):
    """Stands for a default where there is none."""

    REQUIRED = "required"


REQUIRED = Mark.REQUIRED


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section. `default` is the value when the key is absent; REQUIRED: it may not be absent."""

    name: str
    shape: Shape
    description: str
    default: object = REQUIRED
    default_text: str = ""  # for people, where the default is not simply a value
    only: tuple[str, ...] = ()  # tasks of a model, kinds of a source, that the key belongs to; empty: all

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with fixed keys. Of the keys in `exactly_one` one must be there."""

    what: str
    keys: tuple[Key, ...]
    exactly_one: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        return f"a mapping with {listed(key.name for key in self.keys)}"


@dataclass(frozen=True, slots=True)
class Either:
    """A scalar, or a section that says more."""

    short: Leaf
    long: Section

    @property
    def allowed(self) -> str:
        return f"{self.short.allowed}, or {self.long.allowed}"


Shape = Leaf | Items | Named | Section | Either


def canonical_label(value: str | int | float | bool) -> str:
    """The text that a label is compared as: true for True, 1 for 1.0, and text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return str(int(value))
    return str(value)


def between(low: float, high: float) -> str:
    """Words for a range of numbers, infinite bounds left out."""
    if math.isinf(low):
        return "a number" if math.isinf(high) else f"a number up to {high:g}"
    return f"a number of at least {low:g}" if math.isinf(high) else f"a number from {low:g} to {high:g}"


@contextmanager
def _no_warnings() -> Iterator[None]:
    # re.compile warns about syntax that may change; the pattern still means what it says today.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
