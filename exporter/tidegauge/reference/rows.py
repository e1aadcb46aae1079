"""Records of a reference file (CSV, JSON Lines, Parquet) as the lines that the decoders of logs read.

What one format leaves open is settled here: cells of CSV get the type of what they are, columns named like a feature
become that feature. Bounded memory: a block of records at a time.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from tidegauge.config.settings import Model
from tidegauge.reference.cells import Convert, converter, marked

TIME = 1_600_000_000
"""The time of every record, in s: what they are is one window of one version."""
VERSION = "reference"
CHANNEL = "reference"
"""Of the labels in the records."""
BATCH = 10_000
"""Records in a block."""
MOST_UNKNOWN = 256

ANSWERS = ("prediction", "score", "scores")
"""A record with none of these fields is not an answer: its features count, and its label."""
_TAKEN = (*ANSWERS, "label", "error", "weight", "count", "propensity", "unit_id")
_READ = (*_TAKEN, "model", "role", "features")
_OTHERS = ("prediction_id", "timestamp", "version", "channel", "signal", "value", "retract", "experiment", "variant")
_NEVER_FEATURES = frozenset((*_READ, *_OTHERS, "request_id", "latency_ms", "slices"))
_FEATURES = "features."
_SCORES = "scores."

Record = dict[str, Any]


@dataclass(slots=True)
class Reading:
    """What was met on the way that is in no block."""

    rejected: Counter[str] = field(default_factory=Counter)  # records by reason
    unknown: dict[str, None] = field(default_factory=dict)  # features that the model does not configure, MOST_UNKNOWN


def blocks(path: Path, model: Model, reading: Reading) -> Iterator[bytes]:
    """JSON lines with ids, one time and one version, BATCH of them at a time.

    Raises ValueError, naming the file, for what is not of its format, and OSError.
    """
    features = {feature.name: feature.kind for feature in model.features}
    match _format(path):
        case ".csv":
            records = _from_csv(path, model, features, reading)
        case ".parquet":
            records = _from_parquet(path, model, features, reading)
        case _:
            records = _from_json_lines(path, features, reading)
    numbers = count()
    encode = msgspec.json.Encoder(enc_hook=str).encode
    try:
        while batch := list(islice(records, BATCH)):
            lines = [
                encode({"prediction_id": next(numbers), "timestamp": TIME, "version": VERSION, **record})
                for record in batch
                if _is_meant(record, model, reading.rejected)
            ]
            if lines:
                yield b"\n".join([*lines, b""])
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: found what is no gzip: {error}; allowed: a whole gzip file") from None


def _format(path: Path) -> str:
    """The last suffix that tells how the records are written."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _is_meant(record: Record, model: Model, rejected: Counter[str]) -> bool:
    """Whether the record is of this model and was shown; what told so is taken out of it."""
    named, role = record.pop("model", None), record.pop("role", None)
    if named not in (None, "") and str(named) != model.name:
        rejected["other_model"] += 1
        return False
    if role == "shadow":
        rejected["shadow"] += 1
        return False
    if not any(name in record for name in ANSWERS):
        record["error"] = True
    return True


# --- columns: CSV and Parquet -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a column of the file goes: a field of the record, a feature or a class's score."""

    index: int
    into: str  # "", "features" or "scores"
    name: str
    kind: str  # of the feature, or of the field


def _plan(names: list[str], model: Model, features: Mapping[str, str], reading: Reading) -> list[_Column]:
    """The columns that are used. A column named like a feature is that feature, whatever else it could be."""
    chosen: dict[tuple[str, str], _Column] = {}
    for index, name in enumerate(names):
        plain = name in features
        feature = name.removeprefix(_FEATURES) if name.startswith(_FEATURES) and not plain else name
        if feature in features and (plain or feature != name):
            known = chosen.get(("features", feature))
            if known is None or not plain:
                chosen["features", feature] = _Column(index, "features", feature, features[feature])
        elif feature != name:
            _note_unknown(feature, reading)
        elif name in _READ:
            kind = _field_kind(name, model)
            chosen["", name] = _Column(index, "", name, kind)
        elif name.startswith(_SCORES) and model.task == "multiclass":
            chosen["scores", name] = _Column(index, "scores", name.removeprefix(_SCORES), "number")
        elif name not in _NEVER_FEATURES:
            _note_unknown(name, reading)
    if ("", "unit_id") not in chosen and "unit_id" in features and "unit_id" in names:
        # The unit may be watched as a feature, too.
        chosen["", "unit_id"] = _Column(names.index("unit_id"), "", "unit_id", "text")
    return list(chosen.values())


def _field_kind(name: str, model: Model) -> str:
    if name in ("score", "weight", "count", "propensity"):
        return "number"
    if name in ("prediction", "label"):
        if model.task == "ranking":
            return "list"
        return "words" if model.task == "text" else "label"
    return "object" if name in ("scores", "features") else "text"


def _assembled(
    plan: list[_Column], columns: list[list[Any]], features: Mapping[str, str], reading: Reading
) -> Iterator[Record]:
    """Records from columns of equal length, in the plan's order."""
    parts: dict[str, tuple[list[str], list[list[Any]]]] = {into: ([], []) for into in ("", "features", "scores")}
    for column, values in zip(plan, columns, strict=True):
        names, held = parts[column.into]
        names.append(column.name)
        held.append(values)
    rows = len(columns[0]) if columns else 0
    (fields, field_columns), (own, own_columns), (classes, class_columns) = parts.values()
    for number in range(0, rows):
        record = {name: values[number] for name, values in zip(fields, field_columns, strict=True)}
        if own or "features" in record:
            given = {name: values[number] for name, values in zip(own, own_columns, strict=True)}
            record["features"] = given | _chosen(record.get("features"), features, reading)
        if classes:
            given = {name: values[number] for name, values in zip(classes, class_columns, strict=True)}
            record["scores"] = {name: value for name, value in given.items() if value is not None}
        yield record


def _from_csv(path: Path, model: Model, features: Mapping[str, str], reading: Reading) -> Iterator[Record]:
    with _open(path) as binary:
        lines = csv.reader(_text(binary, path))
        try:
            names = next(lines, None)
            if not names:
                raise ValueError(f"{path}: found no header; allowed: a first line that names the columns")
            _check_header(names, path)
            plan = _plan(names, model, features, reading)
            converters: list[Convert] = [converter(column.kind) for column in plan]
            while rows := list(islice(lines, BATCH)):
                whole = [row for row in rows if len(row) == len(names)]
                reading.rejected["wrong_number_of_cells"] += sum(0 < len(row) != len(names) for row in rows)
                cells = list(zip(*whole, strict=True))
                if cells:
                    columns = [convert(cells[column.index]) for convert, column in zip(converters, plan, strict=True)]
                    yield from _assembled(plan, columns, features, reading)
        except csv.Error as error:
            raise ValueError(f"{path}:{lines.line_num}: found {error}; allowed: comma-separated values") from None
    reading.rejected += Counter()  # zeros go


def _text(binary: Iterable[bytes], path: Path) -> Iterator[str]:
    """Lines of text. A line end within quotes stays as it is."""
    for number, line in enumerate(binary, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path}:{number}: found bytes that are not UTF-8; allowed: text in UTF-8") from None


def _check_header(names: list[str], path: Path) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"{path}:1: found the column {twice[0]!r} {names.count(twice[0])} times; allowed: each once")
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise ValueError(f"{path}:1: found one column, {names[0][:80]!r}; allowed: columns separated by commas")


def _from_parquet(path: Path, model: Model, features: Mapping[str, str], reading: Reading) -> Iterator[Record]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(f"{path}: reading Parquet needs pyarrow: pip install 'tidegauge[parquet]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            plan = _plan(file.schema_arrow.names, model, features, reading)
            names = [file.schema_arrow.names[column.index] for column in plan]
            for batch in file.iter_batches(BATCH, columns=names):
                columns = [_values(batch.column(batch.schema.get_field_index(name))) for name in names]
                if columns:
                    yield from _assembled(plan, columns, features, reading)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: found what is no Parquet: {error}; allowed: a Parquet file") from None


def _values(column: Any) -> list[Any]:
    """Python values of an Arrow array; NaN is missing, as data frames mean it."""
    from pyarrow import types

    if types.is_floating(column.type):
        return [_plain(value) for value in column.to_numpy(zero_copy_only=False).tolist()]
    values: list[Any] = column.to_pylist()
    if types.is_decimal(column.type):
        return [None if value is None else float(value) for value in values]
    if types.is_map(column.type):
        return [None if value is None else {str(key): _plain(held) for key, held in value} for value in values]
    if types.is_struct(column.type):
        return [
            None if value is None else {key: _plain(held) for key, held in value.items() if held is not None}
            for value in values
        ]
    if types.is_binary(column.type) or types.is_large_binary(column.type):
        return [None if value is None else value.decode("utf-8", "replace") for value in values]
    return values


def _plain(value: Any) -> Any:
    """A number as JSON can hold it."""
    return None if value != value else marked(value)


# --- records: JSON Lines ----------------------------------------------------------------------------------------------


def _from_json_lines(path: Path, features: Mapping[str, str], reading: Reading) -> Iterator[Record]:
    decode = msgspec.json.Decoder().decode
    with _open(path) as file:
        for line in file:
            try:
                record = decode(line)
            except (msgspec.DecodeError, RecursionError):
                if line.strip():
                    record = _leniently(line)
                    if record is None:
                        reading.rejected["invalid_json"] += 1
                        continue
                else:
                    continue
            if not isinstance(record, dict):
                reading.rejected["not_an_object"] += 1
                continue
            yield _from_object(record, features, reading)


def _leniently(line: bytes) -> Any:
    """What Python's parser takes beyond JSON: NaN and infinities, which Python's own json module writes."""
    try:
        return marked(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _from_object(record: Record, features: Mapping[str, str], reading: Reading) -> Record:
    kept = {name: record[name] for name in _TAKEN if name in record and name not in features}
    for name in ("model", "role"):
        if name in record and name not in features:
            kept[name] = record[name]
    if "unit_id" in record:
        kept["unit_id"] = record["unit_id"]
    given: Record = {}
    for name, value in record.items():
        if name in features:
            given.setdefault(name, value)
        elif name.startswith(_FEATURES):
            feature = name.removeprefix(_FEATURES)
            if feature in features:
                given[feature] = value
            else:
                _note_unknown(feature, reading)
        elif name not in _NEVER_FEATURES:
            _note_unknown(name, reading)
    if "features" not in features:
        given |= _chosen(record.get("features"), features, reading)
    kept["features"] = given
    return kept


def _chosen(given: Any, features: Mapping[str, str], reading: Reading) -> Record:
    """The configured ones of a `features` object."""
    if not isinstance(given, dict):
        return {}
    if not given.keys() <= features.keys():
        for name in given.keys() - features.keys():
            _note_unknown(name, reading)
        return {name: value for name, value in given.items() if name in features}
    return given


def _note_unknown(name: str, reading: Reading) -> None:
    if len(reading.unknown) < MOST_UNKNOWN:
        reading.unknown[name] = None
